"""Scale-out on Dagster: what is tried again, when, from where, and with whose credentials."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import dlt
import psycopg2
import pytest

pytest.importorskip(
    "dagster", reason="Dagster is an extra: pip install -e '.[dagster]' lets this be tested"
)
pytest.importorskip("dagster_dlt", reason="Dagster is an extra: pip install -e '.[dagster]'")

from pipelines import orgs as orgs_module
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.sync import run_lock
from tests.scale_out.dagster_runs import (
    DATABASE,
    Platform,
    attempts,
    log_of,
    waits,
)
from tests.support.script import session_of

# Dagster's own, with the newest pydantic.
pytestmark = [
    pytest.mark.deep,
    pytest.mark.filterwarnings("ignore:The `__.*__` attribute is deprecated"),
]


def test_spent_calls_are_waited_for(emea: Platform, org: DemoOrg) -> None:
    """A run whose calls are spent goes on when there are some again, and then is whole."""
    org.faults.add(Fault("*", "daily_403", nth=2, times=2))
    ran = emea.run("sync")

    assert ran.success
    assert {0.2} == set(waits(emea.instance, ran.run_id))
    assert set(org.active_ids()) == {row["id"] for row in emea.held()["sf_contacts"]}


def test_an_org_that_is_busy_is_waited_for(emea: Platform, org: DemoOrg, tmp_path: Path) -> None:
    """Who comes second asks the org for nothing, waits, and then runs."""
    other = dlt.pipeline(
        "other", destination=dlt.destinations.duckdb(str(tmp_path / DATABASE)),
        dataset_name="salesforce_emea", pipelines_dir=str(tmp_path / "elsewhere"),
    )  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(run_lock.alone(other))
        asked: list[int] = []
        threading.Timer(1.5, lambda: (asked.append(len(org.requests)), stack.close())).start()
        ran = emea.run("sync")

    assert ran.success
    assert [0] == asked
    assert {0.3} == set(waits(emea.instance, ran.run_id))


@pytest.mark.parametrize("fault", ["expire_session", "api_disabled_403", "no_access_403"])
def test_what_people_must_mend_is_not_tried_again(emea: Platform, org: DemoOrg, fault: str) -> None:
    """A sign-in or a permission that is refused is refused once: the run fails with the remedy."""
    org.faults.add(Fault("*", fault, times=1_000))
    ran = emea.run("sync")

    assert not ran.success
    assert 1 == attempts(emea.instance, ran.run_id)


def test_what_passes_is_tried_again(emea: Platform, org: DemoOrg) -> None:
    """An org that is away for longer than a run's own patience is asked by the next attempt."""
    org.faults.add(Fault("composite", "no_route_420", times=8))
    org.faults.add(Fault("describe", "no_route_420", times=5))  # what is sent alone then
    ran = emea.run("sync")

    assert ran.success
    assert 1 <= len(waits(emea.instance, ran.run_id)) <= 3


def test_an_org_without_credentials_of_its_own(
    platform: Platform, org: DemoOrg, server: DemoServer
) -> None:
    """Credentials for all would fill its dataset with another org's rows: nothing is asked."""
    for name, value in session_of(server).items():
        platform.set(name, value)
    ran = platform.run("sync", "apac")

    assert not ran.success
    assert 1 == attempts(platform.instance, ran.run_id)
    assert "no credentials of its own" in log_of(platform.instance, ran.run_id)
    assert [] == org.requests


def test_settings_of_one_org(emea: Platform) -> None:
    """What stands in an org's section is for that org, in the sync and in the check."""
    section = "TARGETED_CONTACTS_EMEA__SOURCES__SALESFORCE_TARGETED"
    emea.set(f"{section}__ID_COLUMN", "salesforce_id")
    emea.set(f"{section}__SINCE", datetime.now(UTC).isoformat())
    ran = emea.run("sync")
    verified = emea.run("verify")

    assert ran.success
    assert [] == emea.held().get("sf_taskwhorelations", [])
    assert emea.verdicts(verified)["true"][0]


def test_as_airflows_helper_runs_it(emea: Platform, org: DemoOrg, tmp_path: Path) -> None:
    """Dlt's helper drops the pipeline, then asks for the source: it is the org's own even so."""
    emea.set("SALESFORCE_INSTANCE_URL", "http://127.0.0.1:9")
    emea.set("SALESFORCE_ACCESS_TOKEN", "another org's")
    pipeline = dlt.pipeline(
        "targeted_contacts_emea", destination=dlt.destinations.duckdb(str(tmp_path / DATABASE)),
        dataset_name="salesforce_emea", pipelines_dir=str(tmp_path / "airflow"),
    )  # fmt: skip
    pipeline.drop().run(orgs_module.source_of(pipeline))

    assert set(org.active_ids()) == {row["id"] for row in emea.held()["sf_contacts"]}


def test_what_a_machine_left_behind_is_not_loaded_over_newer_rows(
    emea: Platform, org: DemoOrg, tmp_path: Path
) -> None:
    """Killed here, retried elsewhere, back here: the package left here is older than the dataset."""
    emea.set("DLT_DATA_DIR", str(tmp_path / "here"))
    with orgs_module.pipeline_of("emea") as pipeline:
        pipeline.extract(orgs_module.source_of(pipeline))
        pipeline.normalize()
    who, other = org.active_ids()[:2]
    org.edit("Contact", who, LastName="Newer")
    org.advance(3_600)
    org.edit("Contact", other, LastName="Newest")  # so that the first is not modified lately
    emea.set("DLT_DATA_DIR", str(tmp_path / "elsewhere"))
    retry = emea.run("sync")
    emea.set("DLT_DATA_DIR", str(tmp_path / "here"))
    emea.set("SOURCES__SALESFORCE_TARGETED__REFRESH_CALL_BUDGET", "0")
    here = emea.run("sync")

    assert retry.success
    assert here.success
    assert [("Newer",)] == emea.sql(
        f"SELECT last_name FROM salesforce_emea.sf_contacts WHERE id = '{who}'"
    )


@pytest.mark.postgres
def test_nobodys_data_in_dagsters_log(
    emea: Platform, org: DemoOrg, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that refuses a row quotes it: Dagster's events and errors don't."""
    monkeypatch.delenv("DESTINATION__DUCKDB__CREDENTIALS")
    emea.set("DESTINATION__POSTGRES__CREDENTIALS", postgres)
    first = emea.run("sync")
    with closing(psycopg2.connect(postgres)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE salesforce_emea.sf_contacts ADD CONSTRAINT known"
            " CHECK (last_name <> 'Unheard Of')"
        )
        connection.commit()
    org.edit("Contact", org.active_ids()[0], LastName="Unheard Of")
    refused = emea.run("sync")
    kept = log_of(emea.instance, refused.run_id)

    assert first.success
    assert not refused.success
    assert 4 == attempts(emea.instance, refused.run_id)
    assert "known" in kept
    assert "Unheard" not in kept
