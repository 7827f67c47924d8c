"""The whole path: an org into a database, and what is held afterwards."""

from __future__ import annotations

import math

import pytest
from dlt.common.configuration.container import Container
from dlt.extract.incremental.context import TimeIntervalContext

from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import BOTH, Synced
from tests.support.oracles.held_values import as_held


def assert_same_cells(org: DemoOrg, synced: Synced, table: str, object_name: str) -> None:
    """Every cell of every held row equals the org's."""
    naming = synced.pipeline.default_schema.naming
    held = synced.rows(table)
    shown = org.rows(object_name, ids=list(held), all_rows=True)
    entries = [
        entry
        for entry in org.fields(object_name)
        if entry["type"] not in {"address", "location", "base64"}
    ]
    differences = [
        (id_, entry["name"], wanted, got)
        for id_, row in held.items()
        for entry in entries
        if entry["name"] in shown[id_]
        for wanted in [as_held(entry["type"], shown[id_][entry["name"]])]
        for got in [row[naming.normalize_path(entry["name"])]]
        if not (wanted == got or (isinstance(got, float) and math.isclose(got, wanted, rel_tol=0)))
    ]
    assert [] == differences


@BOTH
def test_every_active_contact_is_held_with_every_cell(org: DemoOrg, synced: Synced) -> None:
    """The first run loads the active contacts, the hostile one included, as the org has them."""
    facts = synced.ok()

    assert set(org.active_ids()) == set(synced.rows("sf_contacts"))
    assert_same_cells(org, synced, "sf_contacts", "Contact")
    assert_same_cells(org, synced, "sf_activities", "Task")
    assert_same_cells(org, synced, "sf_users", "User")
    assert 100.0 == facts["closure"]["relations_explained_pct"]


@BOTH
def test_a_second_run_changes_no_row(org: DemoOrg, synced: Synced) -> None:
    """Nothing moved in the org: no row is written, none is doubled, fewer calls are made."""
    tables = ("sf_contacts", "sf_activities", "sf_users", "sf_taskwhorelations")
    first = synced.ok()
    before = {table: synced.rows(table) for table in tables}
    lives = synced.rows("sf_active_contacts", key="contact_id")
    org.reset_calls()
    second = synced.ok()

    assert before == {table: synced.rows(table) for table in tables}
    assert lives == synced.rows("sf_active_contacts", key="contact_id")
    assert (0, 0) == (second["contacts"]["new"], second["contacts"]["updated"])
    assert org.billed <= first["calls"]["total"]


@BOTH
def test_the_table_of_rejected_records_is_there_from_the_start(synced: Synced) -> None:
    """Nothing was rejected: the table is empty, and asking it is no error; a later run is quiet."""
    synced.ok()
    synced.ok()

    assert [(0,)] == synced.sql("SELECT count(*) FROM sf_rejected_records")


def test_a_schedulers_interval_is_no_window(
    org: DemoOrg, synced: Synced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would end where relations go on: a run reads from its cursor up to now, however it is started."""
    monkeypatch.setenv("DLT_INTERVAL_START", "2001-01-01T00:00:00Z")
    monkeypatch.setenv("DLT_INTERVAL_END", "2001-01-02T00:00:00Z")
    with Container().injectable_context(TimeIntervalContext(allow_external_schedulers=True)):
        synced.ok()

    assert org.active_ids() == sorted(synced.rows("sf_contacts"))


def test_rows_of_ones_own_are_left_alone(org: DemoOrg, synced: Synced) -> None:
    """Its id is none of Salesforce's or shortened, or a cell was overwritten: that ends no run."""
    synced.begin()
    own = ("local-1", org.active_ids()[0][:15])
    for id_ in own:
        synced.sql(f"INSERT INTO sf_contacts (id, last_name) VALUES ('{id_}', 'Mine')")
    synced.sql("UPDATE sf_activities SET owner_id = '005-nobody'")
    facts = synced.ok()

    assert ["Mine", "Mine"] == [synced.rows("sf_contacts")[id_]["last_name"] for id_ in own]
    assert len(org.active_ids()) == facts["contacts"]["asked"]
