"""Rows that a killed and resumed load left twice are there once after the next run."""

from __future__ import annotations

from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import Synced


def test_copies_are_removed_and_rows_of_ones_own_are_not(org: DemoOrg, synced: Synced) -> None:
    """Where no index forbids it, dlt's plain run leaves each new row twice; a run says so once."""
    synced.begin()
    for table in ("sf_contacts", "sf_active_contacts", "sf_users", "sf_taskwhorelations"):
        synced.sql(f"INSERT INTO {table} SELECT * FROM {table}")
    synced.sql("INSERT INTO sf_contacts (id) VALUES ('local-1'), ('local-1')")
    org.edit("Contact", org.active_ids()[0], LastName="Edited")
    first, second = (synced.ok()["warnings"] for _ in range(2))
    ((rows, ids),) = synced.sql("SELECT count(*), count(DISTINCT id) FROM sf_contacts")

    assert 4 == len([text for text in first if "rows twice, as after" in text])
    assert (len(org.active_ids()) + 2, len(org.active_ids()) + 1) == (rows, ids)
    assert 12 == len(synced.sql("SELECT * FROM sf_active_contacts"))
    assert [] == second
