"""How records are read by runs of few calls: one whose calls ended is gone on with."""

from __future__ import annotations

import pytest

from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import Synced


@pytest.mark.deep
def test_held_records_that_can_not_be_read_are_searched_for_once_in_a_pass(
    org: DemoOrg, synced: Synced
) -> None:
    """To search for them takes all calls of a run: it is done once in a pass, and nothing is new."""
    synced.ok()
    first, second, *others = sorted(org.active_ids())
    for id_ in (first, second):
        org.poisons.add("Contact", id_)
    for id_ in others:
        org.edit("Contact", id_, LastName="Edited")
    statuses = [synced.run(calls_per_run=6, api="collections").facts["status"] for _ in range(5)]
    held = synced.rows("sf_contacts")

    assert {"Edited"} == {held[id_]["last_name"] for id_ in others}
    assert {first, second} == set(synced.rows("sf_rejected_records", "record_id"))
    assert "done" in statuses
