"""What was dropped is made again and filled, beyond one page and beyond the budget, too."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import pytest

from salesforce_targeted import Ledger, salesforce_targeted, targeted
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.settings import Scope
from salesforce_targeted.sync.runner import sync
from tests.conftest import Synced
from tests.support.oracles.recovery import tell

# The tiny org then has more relations than a page, and more records than the budget's calls.
SMALL = Scope(
    limits=replace(DOCUMENTED, rows_per_query_page=4, groups_per_query=4, ids_per_collection=3)
)


def filled(synced: Synced, table: str, column: str) -> tuple[int, int]:
    """Rows, and how many of them have the column filled."""
    ((rows, with_value),) = synced.sql(f"SELECT count(*), count({column}) FROM {table}")
    return rows, with_value


@pytest.mark.brief(1)
@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("sf_taskwhorelations", "task_id"),
        ("sf_taskwhorelations", "system_modstamp"),
        ("sf_contacts", "last_name"),
        ("sf_activities", "created_date"),
    ],
)
def test_a_column_is_filled_whatever_a_run_reads(
    org: DemoOrg, synced: Synced, table: str, column: str
) -> None:
    """No stamp moved: the rows that lost their hash are read again, and only in the next run."""
    few = {"refresh_call_budget": 0}
    synced.ok(SMALL)
    before = filled(synced, table, column)
    synced.sql(f"ALTER TABLE {table} DROP COLUMN {column}")
    facts = synced.ok(SMALL, **few)
    org.reset_calls()
    synced.ok(SMALL, **few)

    assert before == filled(synced, table, column)
    assert [text for text in facts["warnings"] if f"{table} had lost {column}" in text]


@pytest.mark.postgres
@pytest.mark.parametrize("synced", ["postgres"], indirect=True)
def test_a_restoring_that_is_cut_off_begins_again(synced: Synced, postgres: str) -> None:
    """The hashes go first: else every row would count as unchanged, and the column stay empty."""
    synced.begin()
    tell(
        postgres,
        "ALTER TABLE salesforce.sf_contacts DROP COLUMN last_name",
        "CREATE FUNCTION salesforce.refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'statement timeout'; END $$",
        "CREATE TRIGGER refuse BEFORE UPDATE ON salesforce.sf_contacts"
        " FOR EACH STATEMENT EXECUTE FUNCTION salesforce.refuse()",
    )
    cut_off = synced.run()
    tell(postgres, "DROP FUNCTION salesforce.refuse() CASCADE")
    synced.ok()

    assert "failed" == cut_off.facts["status"]
    assert filled(synced, "sf_contacts", "last_name") == (12, 12)


@pytest.mark.deep
@pytest.mark.parametrize("column", ["last_seen_at", "is_active", "relation_count"])
def test_a_column_of_the_lives_is_filled_as_they_are_looked_at(
    org: DemoOrg, synced: Synced, column: str
) -> None:
    """It has no hash; and that a contact leaves meanwhile breaks nothing."""
    synced.begin()
    synced.sql(f"ALTER TABLE sf_active_contacts DROP COLUMN {column}")
    who = org.active_ids()[0]
    for id_, row in org.rows("TaskWhoRelation").items():
        if row["RelationId"] == who:
            org.remove_relation(id_)
    synced.ok()
    lives = synced.rows("sf_active_contacts", key="contact_id")

    assert not lives[who]["is_active"]
    assert None not in {row[column] for row in lives.values()}


@pytest.mark.brief(1)
@pytest.mark.parametrize("table", ["_dlt_loads", "_dlt_version", "_dlt_pipeline_state"])
def test_dlts_own_tables_come_back(synced: Synced, table: str) -> None:
    """A run after it is done, and so is the next one."""
    synced.begin()
    synced.sql(f"DROP TABLE {table}")
    synced.ok()
    synced.ok()


def test_a_table_without_its_key_says_so(synced: Synced) -> None:
    """Renamed by hand: what to do, and nothing is loaded."""
    synced.begin()
    synced.sql("ALTER TABLE sf_users RENAME COLUMN id TO sfid")
    stopped = synced.run()

    assert "sf_users has lost its key, id. Rename the column back" in stopped.facts["error"]


@pytest.mark.deep
def test_each_source_of_a_pipeline_is_looked_after(org: DemoOrg, synced: Synced) -> None:
    """Two sources load through one pipeline: what either lost is restored, and counts are its own."""

    def run(source: Any, ledger: Ledger) -> Any:
        outcome = sync(synced.pipeline, source, ledger)
        assert outcome.error is None, outcome.facts["error"]
        return outcome.facts

    def contacts() -> Any:
        ledger = Ledger()
        return run(salesforce_targeted(synced.credentials, ledger=ledger), ledger)

    def leads() -> Any:
        ledger = Ledger()
        source = targeted(
            synced.credentials, object="Lead", discovered_by="TaskWhoRelation", ledger=ledger
        )
        return run(source, ledger)

    with synced.opened():
        leads()
        facts = contacts()
        synced.sql("ALTER TABLE sf_contacts DROP COLUMN last_name")
        synced.sql("ALTER TABLE sf_leads DROP COLUMN last_name")
        contacts()
        leads()

    assert 100.0 == facts["closure"]["relations_explained_pct"]
    for table in ("sf_contacts", "sf_leads"):
        rows, named = filled(synced, table, "last_name")
        assert rows == named > 0


@pytest.mark.deep
def test_a_working_folder_that_vanishes_between_two_runs_of_a_process(synced: Synced) -> None:
    """Some tidy up /tmp or the home of a service: dlt goes on from what the destination holds."""
    synced.begin()
    shutil.rmtree(synced.pipeline.working_dir)
    facts = synced.ok()

    assert 0 == facts["contacts"]["new"]


@pytest.mark.parametrize(
    "statement", ["DROP TABLE sf_users", "ALTER TABLE sf_contacts DROP COLUMN last_name"]
)
def test_what_was_dropped_comes_back_in_a_plain_run(synced: Synced, statement: str) -> None:
    """With dlt's own run, too: a merge would fail for ever, or a column be missing without a word."""
    synced.begin()
    synced.sql(statement)
    with synced.opened():
        synced.pipeline.run(salesforce_targeted(synced.credentials))

    assert synced.rows("sf_users")
    assert filled(synced, "sf_contacts", "last_name") == (12, 12)
