"""A value that can't be held: listed until it comes right, and the rest of its row is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.report.html.page import write
from salesforce_targeted.settings import Scope
from tests.conftest import BOTH, Synced


@BOTH
def test_a_rejected_value_is_listed_until_it_comes_right(org: DemoOrg, synced: Synced) -> None:
    """The row loads without the value; --retry-rejected asks for it again and clears the list."""
    contact = org.active_ids()[0]
    org.set_silently("Contact", contact, Birthdate="no date")
    facts = synced.ok()
    listed = synced.sql("SELECT object, record_id, field, payload FROM sf_rejected_records")
    org.set_silently("Contact", contact, Birthdate="1970-01-02")
    repeat = synced.ok(Scope(retry_rejected=True))

    assert [("Contact", contact, "Birthdate", '"no date"')] == [tuple(row) for row in listed]
    assert (len(org.active_ids()), 1) == (facts["contacts"]["held"], repeat["contacts"]["asked"])
    assert [(0,)] == synced.sql("SELECT count(*) FROM sf_rejected_records")
    assert "1970-01-02" == str(synced.rows("sf_contacts")[contact]["birthdate"])


def test_what_is_no_longer_there_is_not_listed(org: DemoOrg, synced: Synced) -> None:
    """A relation that was removed before it could be read is not asked for by every run to come."""
    relation = max(org.rows("TaskWhoRelation"))
    org.poisons.add("TaskWhoRelation", relation)
    synced.ok()
    listed = list(synced.rows("sf_rejected_records", "record_id"))
    org.poisons.clear()
    org.remove_relation(relation)
    synced.ok()

    assert ([relation], {}) == (listed, synced.rows("sf_rejected_records", "record_id"))


@pytest.mark.deep
def test_what_nothing_names_any_more_is_tried_again(org: DemoOrg, synced: Synced) -> None:
    """A user who could not be read while a task named them; the list says that each run tries."""
    user, other = org.create("User"), min(org.rows("User"))
    task = org.log_task([org.active_ids()[0]], OwnerId=user)
    org.poisons.add("User", user)
    synced.ok()
    org.edit("Task", task, OwnerId=other)
    synced.ok()
    listed = list(synced.rows("sf_rejected_records", "record_id"))
    org.poisons.clear()
    synced.ok()

    assert ([user], {}) == (listed, synced.rows("sf_rejected_records", "record_id"))


def test_the_page_fetches_nothing(synced: Synced, tmp_path: Path) -> None:
    """--report-html: one file for its owner alone, with plots inside and no address to fetch."""
    facts = synced.ok()
    with HeldTables.of(synced.pipeline) as held:
        path = write(facts, held, tmp_path / "page.html")
    page = path.read_text()

    assert 0o600 == path.stat().st_mode & 0o777
    assert page.count('<figure role="img"') == 3
    assert page.count('<span class="bar"') >= 4
    assert not [word for word in ("<script", "<link", "src=", "@import") if word in page]
