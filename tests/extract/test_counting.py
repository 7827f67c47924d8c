"""Relations that are too many to compare in every run are counted; what counts tell and what not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.settings import Scope
from tests.conftest import Synced
from tests.support.story import COUNTED, Story


@pytest.fixture
def counted(org: DemoOrg, synced: Synced) -> Story:
    """Provide an org that a run has seen, whose relations are more than a page."""
    synced.begin()
    return Story(org, synced)


def test_a_quiet_run_finds_that_nothing_was_removed_for_free(counted: Story) -> None:
    """The count travels in the first call: one query reads the relations since the cursor."""
    counted.org.reset_calls()
    counted.run(COUNTED)
    quiet = counted.org.calls.copy()
    counted.org.remove_relation(next(iter(counted.org.rows("TaskWhoRelation"))))
    counted.org.reset_calls()
    counted.run(COUNTED)

    assert quiet["query"] < counted.org.calls["query"]
    assert quiet["query"] <= 3  # the relations, and two more batches of discovery


@pytest.mark.deep
@pytest.mark.parametrize("whose", ["contact", "lead", "nobody"])
def test_counting_finds_what_vanished_and_what_came_back(counted: Story, whose: str) -> None:
    """Relations of contacts, which discovery counts, and others, which only the sum tells."""
    org = counted.org
    user_info = {
        "contact": org.active_ids()[0],
        "lead": next(iter(org.rows("Lead"))),
        "nobody": None,
    }
    task = org.log_task([])
    org.relate(task, user_info[whose])
    org.log_task([org.active_ids()[1]])
    org.advance(86_400)
    counted.run(COUNTED)
    org.delete_task(task)
    counted.run(COUNTED)
    gone = [row for row in counted.held("sf_taskwhorelations").values() if row["removed_at"]]
    org.bump_stamps("TaskWhoRelation", [next(iter(org.rows("TaskWhoRelation")))])
    counted.run(COUNTED)
    org.undelete_task(task)
    facts = counted.run(COUNTED)

    assert [task] == [row["task_id"] for row in gone]
    assert (0, 31 + 1) == (facts["relations"]["removed"], facts["relations"]["held"])


@pytest.mark.deep
@pytest.mark.parametrize("scope", [replace(COUNTED, full=True), COUNTED], ids=["full", "due"])
def test_what_counts_cannot_tell_is_found_by_ids(counted: Story, scope: Scope) -> None:
    """One relation removed and one back: a full run compares ids, as one does now and then."""
    contact = counted.org.active_ids()[0]
    tasks = [counted.org.log_task([contact]) for _ in range(2)]
    counted.run(COUNTED)
    counted.org.delete_task(tasks[0])
    counted.run(COUNTED)
    counted.org.advance(86_400)
    counted.org.bump_stamps("TaskWhoRelation", [counted.relation_of(counted.org.active_ids()[1])])
    counted.run(COUNTED)
    counted.org.delete_task(tasks[1])
    counted.org.undelete_task(tasks[0])
    days = 7 if scope.full else 0
    counted.run(scope, full_refresh_days=days)


@pytest.mark.deep
def test_counting_finds_a_relation_that_moved_unseen(counted: Story) -> None:
    """Its stamp is older than the lag: only the contacts' counts tell that it moved."""
    first, second = counted.org.active_ids()[:2]
    moved = counted.relation_of(first)
    counted.org.set_silently("TaskWhoRelation", moved, RelationId=second)
    counted.run(COUNTED)

    assert second == counted.held("sf_taskwhorelations")[moved]["relation_id"]


@pytest.mark.deep
def test_a_field_that_changes_without_a_stamp_is_read_by_the_next_pass(counted: Story) -> None:
    """As an activity's account does with its contact's: now and then all relations are read."""
    relation = counted.relation_of(counted.org.active_ids()[0])
    counted.org.advance(86_400)
    counted.org.bump_stamps("TaskWhoRelation", [counted.relation_of(counted.org.active_ids()[1])])
    counted.run(COUNTED)
    counted.org.set_silently("TaskWhoRelation", relation, AccountId="001000000000001AAA")
    counted.synced.ok(COUNTED)
    stale = counted.held("sf_taskwhorelations")[relation]["account_id"]
    counted.org.advance(7 * 86_400)
    whole = counted.run(COUNTED)
    quiet = counted.run(COUNTED)

    assert "001000000000001AAA" != stale
    assert "001000000000001AAA" == counted.held("sf_taskwhorelations")[relation]["account_id"]
    assert quiet["relations"]["read"] < whole["relations"]["read"] == whole["relations"]["held"]


@pytest.mark.deep
def test_many_that_are_removed_while_a_run_reads_cost_no_more_than_comparing_all(
    org: DemoOrg, synced: Synced
) -> None:
    """What vanished from several ranges is asked for together, and all ids where that is less."""
    for number in range(370):
        org.log_task([org.active_ids()[number % 12]])
    org.advance(86_400)
    org.log_task([org.active_ids()[1]])
    scope = Scope(limits=replace(DOCUMENTED, rows_per_query_page=10, groups_per_query=2))
    synced.ok(scope)
    relations = org.rows("TaskWhoRelation")
    tasks = sorted(row["TaskId"] for row in relations.values())[::4]
    org.reset_calls()
    org.moves.before_call("query", lambda: [org.archive_task(task) for task in tasks])
    synced.ok(scope)
    synced.ok(scope)
    marked = synced.rows("sf_taskwhorelations", where="removed_at IS NOT NULL")

    assert {*tasks} == {row["task_id"] for row in marked.values()}
    assert org.calls["query_all"] <= 2 * 2
    assert org.billed <= 50  # of which 24 are two discoveries; 56 when each range was followed up


@pytest.mark.deep
def test_what_vanished_is_counted_without_shared_activities_too(
    org: DemoOrg, synced: Synced
) -> None:
    """A lead's task is no contact's: only the number of all of them tells, as in any other org."""
    org.shared_activities = False
    story = Story(org, synced)
    story.run(COUNTED)
    lead = next(row for row in story.held("sf_taskwhorelations").values()
                if (row["relation_id"] or "").startswith("00Q"))  # fmt: skip
    org.advance(86_400)
    org.log_task([org.active_ids()[1]])
    story.run(COUNTED)
    org.reset_calls()
    story.run(COUNTED)
    quiet = org.billed
    org.delete_task(lead["task_id"])
    story.run(COUNTED)

    assert story.held("sf_taskwhorelations")[lead["id"]]["removed_at"] is not None
    assert quiet <= 4
