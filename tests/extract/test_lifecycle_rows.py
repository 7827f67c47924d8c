"""Whose lives a run tells that counts only what is held."""

from __future__ import annotations

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.settings import Scope
from tests.conftest import Synced


def test_a_lead_that_loses_a_relation_and_keeps_another_is_no_contact(
    org: DemoOrg, synced: Synced
) -> None:
    """A relation's person is exchanged, as at a conversion, and a run reads some relations."""
    lead, contact = min(org.rows("Lead")), min(org.active_ids())
    moved, _ = org.log_task([lead]), org.log_task([lead])
    relation = next(r for r, row in org.rows("TaskWhoRelation").items() if row["TaskId"] == moved)
    synced.ok()
    org.edit("TaskWhoRelation", relation, RelationId=contact, Type="Contact")
    synced.ok(Scope(limit=1_000))

    assert {contact} == {lead, contact} & synced.rows("sf_active_contacts", "contact_id").keys()
