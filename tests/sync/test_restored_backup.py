"""A backup of the database is restored: a run goes on from what it holds, not from what was there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.source import salesforce_targeted
from tests.conftest import BOTH, DUCKDB_FILE, Synced


@pytest.mark.brief(1)
@pytest.mark.parametrize("left", [False, True], ids=["as it is", "with a package left unloaded"])
def test_what_was_modified_since_the_backup_is_read_again(
    org: DemoOrg, synced: Synced, tmp_path: Path, credentials: SessionCredentials, left: bool
) -> None:
    """Beyond the budget a cursor of the working folder's would skip it, in every run to come."""
    file, backup = tmp_path / DUCKDB_FILE, tmp_path / "backup"
    lost, later = org.active_ids()[:2]
    synced.begin()
    shutil.copy(file, backup)
    org.advance(7_200)
    org.edit("Contact", lost, Title="Since the backup")
    synced.ok()
    org.advance(7_200)
    org.edit("Contact", later, Title="Later")
    if left:
        synced.pipeline.extract(salesforce_targeted(credentials, ledger=Ledger()))
    else:
        synced.ok()
    shutil.copy(backup, file)
    facts = synced.ok(refresh_call_budget=0)
    held = synced.rows("sf_contacts")

    assert ("Since the backup", "Later") == (held[lost]["title"], held[later]["title"])
    assert [step for step in facts["steps"] if "older than the last run from here" in step]
    assert not synced.pipeline.has_pending_data


@BOTH
def test_what_was_modified_since_the_backup_of_a_table_is_read_again(
    org: DemoOrg, synced: Synced
) -> None:
    """Beyond the budget the state, which is not of the backup, would skip it until a whole pass."""
    lost, later = org.active_ids()[:2]
    synced.begin()
    synced.sql("CREATE TABLE salesforce.backup AS SELECT * FROM salesforce.sf_contacts")
    for contact in (lost, later):
        org.advance(7_200)
        org.edit("Contact", contact, Title="Since the backup")
        synced.ok()
    synced.sql("DELETE FROM salesforce.sf_contacts")
    synced.sql("INSERT INTO salesforce.sf_contacts SELECT * FROM salesforce.backup")
    facts = synced.ok(refresh_call_budget=0)
    held = synced.rows("sf_contacts")

    assert {"Since the backup"} == {held[lost]["title"], held[later]["title"]}
    assert 2 == facts["contacts"]["updated"]
