"""Scale-out: orgs as partitions on Dagster, each an independent run that ends as a plain one does."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest

dg: Any = pytest.importorskip(
    "dagster", reason="Dagster is an extra: pip install -e '.[dagster]' lets this be tested"
)
pytest.importorskip("dagster_dlt", reason="Dagster is an extra: pip install -e '.[dagster]'")

from pipelines import orgs as orgs_module  # noqa: E402
from salesforce_targeted.demo_org import DemoOrg, serve  # noqa: E402
from tests.conftest import make_synced  # noqa: E402
from tests.scale_out.dagster_runs import (  # noqa: E402
    Clock,
    Platform,
    attempts,
    instance_in,
    launched,
    log_of,
    signed_in,
    tables,
)
from tests.support.script import process, session_of  # noqa: E402

# Dagster's own, with the newest pydantic.
pytestmark = [
    pytest.mark.deep,
    pytest.mark.filterwarnings("ignore:The `__.*__` attribute is deprecated"),
]
TABLES = {
    "sf_contacts", "sf_taskwhorelations", "sf_activities", "sf_users", "sf_active_contacts",
    "sf_rejected_records", "sf_sync_runs",
}  # fmt: skip


def test_definitions_load_without_credentials(platform: Platform, tmp_path: Path) -> None:
    """What there is can be looked at by anybody: no sign-in, no database, no folder of dlt's."""
    module = platform.module
    dg.Definitions.validate_loadable(module.defs)
    names = {key.path[-1] for key in module.defs.resolve_all_asset_keys()}

    assert {*TABLES, "first_load"} == names
    assert ["emea", "apac"] == module.BY_ORG.get_partition_keys()
    assert {"daily", "weekly", "hourly"} == {schedule.name for schedule in module.defs.schedules}
    assert [] == list(tmp_path.iterdir())


def test_definitions_load_without_orgs(platform: Platform) -> None:
    """Where nothing is configured yet the platform is empty, and no error."""
    platform.set("ORGS__NAMES", "[]")
    module = platform.module
    dg.Definitions.validate_loadable(module.defs)

    assert [] == module.BY_ORG.get_partition_keys()


@pytest.mark.parametrize("name", ["EMEA", "e-mea", "e__mea", "e mea", "1", "_e", "", "é", "e\n"])
def test_names_that_would_be_folded_are_refused(platform: Platform, name: str) -> None:
    """No two orgs may end in one dataset because a database writes their names alike."""
    from salesforce_targeted.api.errors import ConfigurationError

    platform.set("ORGS__NAMES", repr([name]).replace("'", '"'))
    with pytest.raises(ConfigurationError, match="can't be an org's name"):
        orgs_module.configured()


@pytest.mark.postgres
def test_side_by_side_and_one_is_killed(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two orgs at once, the process of one killed in mid-run: each ends as a plain run does."""
    home, data, together = tmp_path / "home", tmp_path / "dlt", threading.Barrier(2)
    lock = data / "pipelines" / ".targeted_contacts_emea.lock"
    pretended = {"emea": DemoOrg(3_000, 300, seed=7), "apac": DemoOrg(2_000, 200, seed=8)}
    environ = {
        "ORGS__NAMES": '["emea", "apac"]', "ORGS__RETRY_SECONDS": "1", "DLT_DATA_DIR": str(data),
        "DESTINATION__POSTGRES__CREDENTIALS": postgres, "RUNTIME__DLTHUB_TELEMETRY": "false",
    }  # fmt: skip
    got, wanted = {}, {}
    with instance_in(home) as instance, ExitStack() as stack:
        servers = {name: stack.enter_context(serve(org)) for name, org in pretended.items()}
        clock = pretended["emea"].latency = Clock(together, kill_at=2, lock=lock)
        pretended["apac"].latency = Clock(together)
        for name, server in servers.items():
            environ |= signed_in(name, server)
        running = [launched("sync", name, home, environ) for name in servers]
        outputs = [child.communicate(timeout=400)[0] for child in running]
        runs = {run.tags["dagster/partition"]: run for run in instance.get_runs()}
        begun = {name: attempts(instance, run.run_id) for name, run in runs.items()}
        emea = log_of(instance, runs["emea"].run_id)
        for name, server in servers.items():
            pretended[name].latency = None
            plain = {"DESTINATION__POSTGRES__CREDENTIALS": postgres, **session_of(server)}
            folder = tmp_path / name
            folder.mkdir()
            ended = process("--json", "--dataset", f"plain_{name}", cwd=folder, environ=plain)
            assert 0 == ended.code, ended.err
    with closing(psycopg2.connect(postgres)) as connection:
        for name in servers:
            got[name] = tables(connection, f"salesforce_{name}")
            wanted[name] = tables(connection, f"plain_{name}")

    assert [0, 0] == [child.returncode for child in running], "\n".join(outputs)
    assert not together.broken
    assert clock.killed
    assert "exited with code -9" in emea or "SIGKILL" in emea
    assert {"emea": 2, "apac": 1} == begun
    assert {"emea": 300, "apac": 200} == {name: len(got[name]["sf_contacts"]) for name in got}
    for name in servers:
        assert TABLES - {"sf_sync_runs"} == set(got[name])
        for table in wanted[name]:
            assert wanted[name][table] == got[name][table], (name, table)


def test_windows_and_then_a_sync_are_one_run(
    platform: Platform, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Windows in any order, slices smaller than a second's rows: with a sync after them, all is held."""
    org = DemoOrg(60, 20, seed=11, leads=8, lead_relations=3)
    platform.set("ORGS__RELATIONS_PER_SLICE", "10")
    platform.set("ORGS__FIRST_MONTH", "2026-03-01")
    for id_, row in org.rows("TaskWhoRelation").items():
        if row["SystemModstamp"] >= "2026-10-15":
            org.remove_relation(id_)  # so that October ends after the last of them
    stamps = Counter(row["SystemModstamp"] for row in org.rows("TaskWhoRelation").values())
    with serve(org) as server:
        for name, value in signed_in("emea", server).items():
            platform.set(name, value)
        june = platform.run("first_load", "2026-06-01|emea")
        after_june = platform.held()
        org.reset_calls()
        april = platform.run("first_load", "2026-04-01|emea")
        calls_of_april = org.billed
        october = platform.run("first_load", "2026-10-01|emea")
        last = platform.run("sync")
        synced = make_synced(
            request,
            tmp_path,
            platform.module.SessionCredentials(server.url, server.token),
            "duckdb",
        )
        synced.ok()
    with duckdb.connect(str(tmp_path / "held.duckdb")) as connection:
        wanted = tables(connection, "salesforce")
    until_july = {
        id_ for id_, row in org.rows("TaskWhoRelation").items()
        if row["SystemModstamp"] < "2026-07-01"
    }  # fmt: skip

    assert 10 < max(stamps.values())
    assert [True] * 4 == [run.success for run in (june, april, october, last)]
    assert until_july <= {row["id"] for row in after_june["sf_taskwhorelations"]}
    assert len(after_june["sf_taskwhorelations"]) < len(org.rows("TaskWhoRelation"))
    assert 0 == calls_of_april
    assert wanted == platform.held()


def test_checks_tell_a_true_dataset_from_an_altered_one(emea: Platform) -> None:
    """``fresh`` and ``true`` pass after a sync; a cell that was changed is found."""
    never = emea.verdicts(emea.run("freshness"))["fresh"]
    synced = emea.run("sync")
    right = emea.verdicts(emea.run("verify"))["true"]
    emea.sql("UPDATE salesforce_emea.sf_users SET alias = 'somebody'")
    wrong = emea.run("verify")
    passed, facts = emea.verdicts(wrong)["true"]
    emea.set("ORGS__FRESH_HOURS", "0")
    old = emea.verdicts(emea.run("freshness"))["fresh"]

    assert not never[0]
    assert synced.success
    assert emea.verdicts(synced)["fresh"][0]
    assert ["emea"] == [check.partition for check in wrong.get_asset_check_evaluations()]
    assert right[0]
    assert wrong.success
    assert not passed
    assert 4 == facts["altered"]
    assert "somebody" not in str(facts)
    assert not old[0]


def test_a_part_of_the_tables(emea: Platform) -> None:
    """One asset chosen is that table, with its lives; the others are not materialised."""
    ran = emea.run("sf_taskwhorelations")
    materialized = {event.asset_key.path[-1] for event in ran.get_asset_materialization_events()}

    assert ran.success
    assert {"sf_taskwhorelations"} == {
        event.asset_key.path[-1] for event in ran.get_asset_materialization_events()
    }, materialized
    assert "sf_contacts" not in emea.held()
