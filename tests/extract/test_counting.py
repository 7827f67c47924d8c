"""Relations that are too many to compare in every run are counted; what counts tell and what not."""

from __future__ import annotations

from dataclasses import replace

import pytest

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


@pytest.mark.brief(1)
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
