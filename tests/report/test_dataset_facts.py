"""What the page says of the tables is what the tables hold, on each database."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from typing import Any

import dlt
import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.extract.run import Run
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.report.html.dataset_facts import read_dataset, weeks
from salesforce_targeted.report.html.page import write
from salesforce_targeted.settings import Scope, Settings
from salesforce_targeted.sync.runner import verified
from tests.conftest import BOTH, Synced
from tests.support.pages import dataset_of, facts, shown


def test_weeks_have_no_gap() -> None:
    """Empty weeks are nought; what is older than a year is counted, not drawn."""
    days = {date(2026, 11, 18): 2, date(2026, 11, 16): 1, date(2026, 11, 1): 4, date(2020, 1, 1): 9}
    listed, before = weeks(days)

    assert [(date(2026, 10, 26), 4), (date(2026, 11, 2), 0), (date(2026, 11, 9), 0),
            (date(2026, 11, 16), 3)] == listed[-4:]  # fmt: skip
    assert (52, 9) == (len(listed), before)
    assert ([], 0) == weeks({})


@BOTH
def test_the_tables_are_read(org: DemoOrg, synced: Synced) -> None:
    """Life stages, weeks, stamps, filled fields and runs are those that are held."""
    first = synced.ok()
    left, deleted = org.active_ids()[:2]
    for id_, row in list(org.rows("TaskWhoRelation").items()):
        if row["RelationId"] == left:
            org.remove_relation(id_)
    org.delete_contact(deleted)
    facts = synced.ok()
    dataset = dataset_of(synced, facts)
    contacts = synced.rows("sf_contacts")
    relations = synced.rows("sf_taskwhorelations", where="removed_at IS NULL")
    of = {table.table: table for table in dataset.tables}
    values = [[row[name] for row in contacts.values()] for name in next(iter(contacts.values()))]

    assert {"active": 10, "left": 1, "deleted": 1} == dataset.stages
    assert len(relations) == sum(n for _, n in dataset.weeks or ()) + dataset.before
    assert {"sf_contacts", "sf_taskwhorelations", "sf_activities", "sf_users"} == set(of)
    assert max(row["system_modstamp"] for row in contacts.values()) == of["sf_contacts"].newest
    assert len(contacts) == of["sf_contacts"].rows
    # The fields and row_hash, which is always filled.
    assert (
        sum(all(v is not None for v in column) for column in values) - 1 == of["sf_contacts"].always
    )
    assert sum(all(v is None for v in column) for column in values) == len(of["sf_contacts"].empty)
    assert len(values) - 1 == of["sf_contacts"].described
    assert ["incremental", "incremental"] == [run.mode for run in dataset.runs or ()]
    assert [12, 12] == [run.contacts_held for run in dataset.runs or ()]
    assert [facts["started_at"], first["started_at"]] == [
        run.started_at for run in dataset.runs or ()
    ]
    assert (None, 0, []) == (dataset.verified, dataset.rejected, dataset.failures)


@pytest.mark.deep
def test_a_hidden_field_is_hidden_in_its_table_alone(org: DemoOrg, synced: Synced) -> None:
    """A field that describe no longer shows keeps its values, and is not one that is described."""
    before = dataset_of(synced, synced.ok())
    org.hide_field("Contact", "Phone")
    after = dataset_of(synced, synced.ok())
    was, is_ = ({of.table: of for of in dataset.tables} for dataset in (before, after))

    assert [()] * 4 == [of.hidden for of in was.values()]
    assert ("Phone",) == is_["sf_contacts"].hidden
    assert was["sf_contacts"].described - 1 == is_["sf_contacts"].described
    assert {"sf_contacts"} == {name for name, of in is_.items() if of != was[name]}


@BOTH
def test_the_last_verification(org: DemoOrg, synced: Synced, client: Any) -> None:
    """What ``sf_sync_runs`` holds of --verify is shown; where it holds nothing, how to get it."""
    run_facts = synced.ok()
    unknown = shown(run_facts, dataset_of(synced, run_facts))
    changed = org.active_ids()[0]
    synced.sql(f"UPDATE sf_contacts SET last_name = 'x' WHERE id = '{changed}'")
    verified(synced.pipeline, Run(client, Settings(), Scope(), Ledger(), synced.pipeline))
    dataset = dataset_of(synced, run_facts)
    text = shown(run_facts, dataset)

    assert "targeted_contacts.py --verify compares what is held with the org" in unknown
    assert dataset.verified is not None
    assert run_facts["started_at"] < dataset.verified.at
    assert 1 == dataset.verified.drift["altered"]
    at = f"{dataset.verified.at:%Y-%m-%d %H:%M:%S}"
    assert f"rows compared with the org at {at} UTC: 1 differ" in text
    assert "altered 1" in text
    assert changed not in text


def test_a_question_that_fails_costs_its_own_part(synced: Synced) -> None:
    """A table that was changed is missing on the page, which says so; the others are there."""
    run_facts = synced.ok()
    synced.sql("ALTER TABLE sf_users DROP COLUMN username")
    synced.sql("DROP TABLE sf_active_contacts")
    synced.sql("UPDATE sf_sync_runs SET mode = 'verify', report = 'no JSON'")
    dataset = dataset_of(synced, run_facts)
    text = shown(run_facts, dataset)

    assert {"sf_contacts", "sf_taskwhorelations", "sf_activities"} == {
        of.table for of in dataset.tables
    }
    assert ["sf_users: The destination (duckdb) refused", "Drift: JSONDecodeError"] == [
        failure[: failure.index(":", 20)] for failure in dataset.failures
    ]
    assert "Left out of this page sf_users:" in text
    assert {} == dataset.stages


def test_a_database_that_is_away_is_tried_once(tmp_path: Path) -> None:
    """A run that failed for it gets its page, which says what is missing and why."""
    away = dlt.destinations.postgres("postgresql://u:top_secret@127.0.0.1:1/nowhere")
    pipeline = dlt.pipeline("away", destination=away, dataset_name="d", pipelines_dir=str(tmp_path))
    began = time.monotonic()
    with HeldTables.of(pipeline) as held:
        written = write(facts(status="failed"), held, tmp_path / "page.html")
    text = written.read_text("utf-8")

    assert 1 == text.count("The destination (postgres) refused")
    assert 4 <= text.count("The database could not be read")
    assert "top_secret" not in text
    assert time.monotonic() - began < 20


def test_nothing_is_held_yet(tmp_path: Path) -> None:
    """Before a first load every part says that there is nothing."""
    nowhere = dlt.destinations.duckdb(str(tmp_path / "new.duckdb"))
    pipeline = dlt.pipeline(
        "new", destination=nowhere, dataset_name="d", pipelines_dir=str(tmp_path)
    )
    with HeldTables.of(pipeline) as held:
        dataset = read_dataset(held, facts())
    text = shown(facts(), dataset)

    assert [] == dataset.failures
    assert "No table is held yet." in text
    assert "No run is recorded yet." in text


@BOTH
def test_the_newest_runs_are_read(synced: Synced, client: Any) -> None:
    """Twenty of them, the newest first; the last --verify is shown though it lies before these."""
    run_facts = synced.ok()
    verified(synced.pipeline, Run(client, Settings(), Scope(), Ledger(), synced.pipeline))
    synced.sql(
        "INSERT INTO sf_sync_runs (run_id, started_at, mode, status)"
        " SELECT 'pass ' || i, CURRENT_TIMESTAMP + i * INTERVAL '1 hour', 'incremental', 'done'"
        " FROM generate_series(1, 30) AS passes (i)"
    )
    synced.sql("INSERT INTO sf_sync_runs (run_id) VALUES ('without a moment')")
    dataset = dataset_of(synced, run_facts)

    assert [f"pass {i}" for i in range(30, 10, -1)] == [run.run_id for run in dataset.runs or ()]
    assert dataset.verified is not None
    assert [] == dataset.failures
