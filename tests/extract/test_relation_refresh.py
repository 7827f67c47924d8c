"""How relations are read by runs of few calls: what one has read, the next ones need not read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.settings import Scope
from tests.conftest import Synced

SMALL = Scope(limits=replace(DOCUMENTED, rows_per_query_page=4, ids_per_collection=3), full=True)


@pytest.mark.deep
def test_full_runs_do_not_begin_again_with_relations_that_take_nearly_all_calls(
    org: DemoOrg, synced: Synced
) -> None:
    """Thirty of them are eight calls, all that a run of nine has left: the records come, too."""
    org.page_rows = 4
    synced.ok(replace(SMALL, full=False))
    for id_ in sorted(org.active_ids()):
        org.set_silently("Contact", id_, Full_Label__c="No stamp tells")
    for _ in range(9):
        outcome = synced.run(SMALL, calls_per_run=9, api="collections")
        if outcome.error is None:
            break

    assert outcome.error is None
    assert {"No stamp tells"} == {r["full_label__c"] for r in synced.rows("sf_contacts").values()}


@pytest.mark.deep
def test_a_relation_that_can_not_be_read_does_not_hold_up_the_others(
    org: DemoOrg, synced: Synced
) -> None:
    """To search a whole page for it takes more than a run has: the next run reads a smaller one."""
    bad, *others = sorted(org.rows("TaskWhoRelation"))
    org.poisons.add("TaskWhoRelation", bad)
    for _ in range(14):
        synced.run(calls_per_run=6, api="collections")
        if others == sorted(synced.rows("sf_taskwhorelations")):
            break

    assert others == sorted(synced.rows("sf_taskwhorelations"))
    assert {bad} == set(synced.rows("sf_rejected_records", "record_id"))
