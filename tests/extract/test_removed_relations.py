"""How removed relations are found by runs of few calls: what one has found is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.settings import Scope
from tests.conftest import Synced


@pytest.mark.deep
def test_what_counts_of_ranges_tell_is_kept_by_runs_whose_calls_end(
    org: DemoOrg, synced: Synced
) -> None:
    """Relations of leads, which no contact's number tells of, in more ranges than a run compares."""
    small = Scope(limits=replace(DOCUMENTED, rows_per_query_page=4))
    lead, contact = min(org.rows("Lead")), min(org.active_ids())
    for number in range(30):
        org.log_task([contact if number % 5 else lead])
    org.advance(86_400)
    org.log_task([contact])  # the others lie before the lag
    synced.ok(small)
    gone = [id_ for id_, row in org.rows("TaskWhoRelation").items() if row["RelationId"] == lead]
    for id_ in gone:
        org.remove_relation(id_)
    for _ in range(9):
        outcome = synced.run(small, calls_per_run=8, api="collections")
        if outcome.error is None:
            break

    assert sorted(gone) == sorted(
        synced.rows("sf_taskwhorelations", where="removed_at IS NOT NULL")
    )
    assert outcome.error is None


@pytest.mark.deep
def test_contacts_with_other_relations_are_compared_by_several_runs(
    org: DemoOrg, synced: Synced
) -> None:
    """Each lost one of many: together they take more pages than a run has calls."""
    small, org.page_rows = Scope(limits=replace(DOCUMENTED, rows_per_query_page=2)), 2
    contacts = sorted(org.active_ids() & org.rows("Contact").keys())[:6]
    logged = {who: [org.log_task([who]) for _ in range(6)] for who in contacts}
    org.advance(86_400)
    org.log_task(contacts[:1])  # the others lie before the lag
    synced.ok(small)
    for who, tasks in logged.items():
        rows = org.rows("TaskWhoRelation").items()
        org.remove_relation(
            next(i for i, r in rows if (r["TaskId"], r["RelationId"]) == (tasks[0], who))
        )
    for _ in range(9):
        outcome = synced.run(small, calls_per_run=12, api="collections")
        if outcome.error is None:
            break

    assert 6 == len(synced.rows("sf_taskwhorelations", where="removed_at IS NOT NULL"))
    assert outcome.error is None


@pytest.mark.deep
def test_why_many_relations_vanished_is_asked_for_by_several_runs(
    org: DemoOrg, synced: Synced
) -> None:
    """Their tasks were deleted, and asking what became of those takes more calls than a run has."""
    small = Scope(limits=replace(DOCUMENTED, rows_per_query_page=20, ids_per_query=4))
    contact = min(org.active_ids() & org.rows("Contact").keys())
    tasks = [org.log_task([contact]) for _ in range(50)]
    org.advance(86_400)
    org.log_task([contact])  # the others lie before the lag
    synced.ok(small)
    for task in tasks:
        org.delete_task(task)
    for _ in range(12):
        outcome = synced.run(small, calls_per_run=12, api="collections")
        if outcome.error is None:
            break

    removed = synced.rows("sf_taskwhorelations", where="removed_at IS NOT NULL").values()
    assert 50 == len([row for row in removed if row["removed_reason"] == "task_deleted"])
    assert outcome.error is None
