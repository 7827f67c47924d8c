"""A run over a part of the source: what it can't say in its tables, the next whole run says."""

from __future__ import annotations

from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import BOTH, Synced


@BOTH
def test_a_run_that_tells_asks_for_what_one_over_a_part_found(org: DemoOrg, synced: Synced) -> None:
    """Beyond the budget nothing else would: their stamps are behind the cursor by then."""
    deleted, unreadable, edited = org.active_ids()[:3]
    synced.begin()
    org.advance(7_200)
    org.delete("Contact", deleted)
    org.edit("Contact", unreadable, Title="One of its fields can't be read")
    org.poisons.add("Contact", unreadable, "Birthdate")
    for title in ("Earlier", "Later"):
        outcome = synced.run(only=("contact",), refresh_call_budget=0)
        assert outcome.facts["status"] == "done"
        org.advance(7_200)
        org.edit("Contact", edited, Title=title)
    facts = synced.ok(refresh_call_budget=0)
    lives = synced.rows("sf_active_contacts", "contact_id")
    rejected = [
        tuple(row) for row in synced.sql("SELECT record_id, field FROM sf_rejected_records")
    ]
    repeat = synced.ok(refresh_call_budget=0)
    synced.sql("DELETE FROM sf_rejected_records")
    org.advance(7_200)
    org.edit("Contact", edited, Title="Last")
    synced.ok(refresh_call_budget=0)

    assert lives[deleted]["gone_reason"] == "deleted"
    assert rejected == [(unreadable, "Birthdate")]
    assert facts["contacts"]["asked"] < 10
    assert repeat["contacts"]["asked"] < 10
    assert rejected == [
        tuple(row) for row in synced.sql("SELECT record_id, field FROM sf_rejected_records")
    ]
