"""``--verify`` finds every kind of drift, and nothing else; ``--repair`` mends just that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.cli import verify as command
from salesforce_targeted.demo_org import DemoOrg, Fault
from salesforce_targeted.extract.run import Run
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.settings import Scope, Settings
from salesforce_targeted.sync.verify import CAUSES, verify
from tests.conftest import BOTH, Synced
from tests.support.script import DUCKDB_FILE, Script, rows


def look(synced: Synced, **given: Any) -> dict[str, Any]:
    """Verify what is held, without writing."""
    client, settings = SalesforceClient(synced.credentials), Settings.parse(**given)
    run = Run(client, settings, Scope(), Ledger(), synced.pipeline)
    try:
        return verify(run)
    finally:
        run.close()


def causes(facts: dict[str, Any]) -> dict[str, int]:
    """Return the causes that were found, with their counts."""
    return {cause: facts["drift"][cause] for cause in CAUSES if facts["drift"][cause]}


@BOTH
def test_a_clean_dataset_has_no_drift(org: DemoOrg, synced: Synced) -> None:
    """Right after a run nothing differs, and looking costs at most eight calls."""
    synced.begin()
    org.reset_calls()
    facts = look(synced)

    assert ("done", {}) == (facts["status"], causes(facts))
    assert org.billed <= 8
    assert len(org.active_ids()) == facts["compared"]["sf_contacts"]


DAMAGES = {
    "altered": "UPDATE sf_contacts SET last_name = 'x', row_hash = row_hash WHERE id = '{id}'",
    "missing": "DELETE FROM sf_contacts WHERE id = '{id}'",
    "stale": "UPDATE sf_active_contacts SET relation_count = 77 WHERE contact_id = '{id}'",
    "extra": "INSERT INTO sf_taskwhorelations (id) VALUES ('0RT000000000001AAA')",
}


@pytest.mark.brief(2)
@BOTH
@pytest.mark.parametrize("cause", DAMAGES)
def test_damage_in_the_destination_is_found(synced: Synced, org: DemoOrg, cause: str) -> None:
    """Each kind of damage is named by its cause, and only that one."""
    synced.begin()
    synced.sql(DAMAGES[cause].format(id=org.active_ids()[0]))
    facts = look(synced)

    assert ("drift", {cause: 1}) == (facts["status"], causes(facts))


def test_relations_that_do_not_count_are_no_drift(synced: Synced) -> None:
    """A later ``since`` than before leaves older relations held, and no repair would take them."""
    synced.begin()
    stamps = sorted(row["system_modstamp"] for row in synced.rows("sf_taskwhorelations").values())
    later = stamps[20].isoformat()
    synced.ok(since=later)

    assert {} == causes(look(synced, since=later))


@pytest.mark.deep
def test_a_change_in_the_org_is_stale(synced: Synced, org: DemoOrg) -> None:
    """A row that the org edited since is stale; the columns that differ are named, no values."""
    synced.begin()
    contact = org.active_ids()[0]
    org.edit("Contact", contact, LastName="Moved on")
    facts = look(synced)
    example = next(example for example in facts["drift"]["examples"] if example["id"] == contact)

    assert ("stale", 1) == (example["cause"], causes(facts)["stale"])
    assert "LastName" in example["columns"]
    assert "Moved on" not in str(facts)


@pytest.mark.postgres
@pytest.mark.parametrize("synced", ["postgres"], indirect=True)
def test_a_wrong_reason_is_stale(synced: Synced, org: DemoOrg) -> None:
    """The org tells why it does not return a contact; another reason is mended by a repair."""
    gone = org.active_ids()[0]
    synced.begin()
    org.delete("Contact", gone)
    synced.ok()
    clean = causes(look(synced))
    synced.sql(f"UPDATE sf_active_contacts SET gone_reason = 'hidden' WHERE contact_id = '{gone}'")
    wrong = look(synced)
    synced.ok()

    assert ({}, {"stale": 1}) == (clean, causes(wrong))
    assert [(gone, "sf_active_contacts")] == [
        (example["id"], example["table"]) for example in wrong["drift"]["examples"]
    ]
    assert "deleted" == synced.rows("sf_active_contacts", "contact_id")[gone]["gone_reason"]


def test_an_altered_column_is_named(synced: Synced) -> None:
    """A column that was given another type is drift that a repair can't mend."""
    synced.begin()
    synced.sql(
        "ALTER TABLE sf_contacts ALTER COLUMN department TYPE json USING to_json(department)"
    )

    assert {"type": 1} == causes(look(synced))


@BOTH
def test_repair_loads_what_drifted(synced: Synced, org: DemoOrg) -> None:
    """All damage at once is mended; rows that had not drifted are not written."""
    synced.begin()
    before = synced.rows("sf_contacts")
    altered, missing, *_ = org.active_ids()
    synced.sql(DAMAGES["altered"].format(id=altered))
    synced.sql(DAMAGES["missing"].format(id=missing))
    synced.sql(DAMAGES["stale"].format(id=altered))
    run = Run(SalesforceClient(synced.credentials), Settings(), Scope(), Ledger(), synced.pipeline)
    facts = command.verify(run, synced.pipeline, synced.credentials, repairs=True, given={})

    assert ("done", {}) == (facts["status"], causes(facts))
    assert before == synced.rows("sf_contacts")
    assert 3 == sum(facts["repaired"][cause] for cause in CAUSES)


@pytest.mark.parametrize("refused", ["collections", "query_all"])
def test_what_is_refused_one_way_is_compared_by_another(
    synced: Synced, org: DemoOrg, refused: str
) -> None:
    """As a run reads it: a user who can sync can verify."""
    synced.begin()
    org.faults.add(Fault(refused, "no_access_403", times=999))
    facts = look(synced)

    assert {} == causes(facts)
    assert len(org.active_ids()) == facts["compared"]["sf_contacts"]


def test_the_command_finds_drift_and_mends_it_and_notes_both(
    org: DemoOrg, script: Script, tmp_path: Path
) -> None:
    """--verify ends with 4 where rows differ, --repair with 0; each look is a row, without ids."""
    altered = org.active_ids()[0]
    script()
    clean = script("--verify")
    with duckdb.connect(DUCKDB_FILE) as held:
        held.execute(f"UPDATE salesforce.sf_contacts SET last_name = 'x' WHERE id = '{altered}'")
    stale = org.active_ids()[1]
    org.edit("Contact", stale, LastName="Newer")
    check, repaired = script("--verify"), script("--verify", "--repair", "--json")
    noted = [row for row in rows(tmp_path, "sf_sync_runs") if row["mode"] == "verify"]

    assert (0, 4, 0) == (clean.code, check.code, repaired.code)
    assert "no drift" in clean.out
    assert "drift found; --verify --repair loads again exactly what drifted" in check.out
    assert (1, 0) == (repaired.facts["repaired"]["altered"], repaired.facts["drift"]["altered"])
    assert (1, 0) == (repaired.facts["repaired"]["stale"], repaired.facts["drift"]["stale"])
    assert ["done", "drift", "drift", "done"] == [row["status"] for row in noted]
    assert altered in check.out
    assert not [row for row in noted if altered in row["report"]]
    assert org.rows("Contact")[altered]["LastName"] in {
        row["last_name"] for row in rows(tmp_path, "sf_contacts") if row["id"] == altered
    }
