"""Stories of an org that moves while a run reads it, each of which lost something once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from salesforce_targeted.demo_org.changes.random_changes import EVERYDAY
from salesforce_targeted.demo_org.faults.faults import Fault
from tests.support.moving import UNSTAMPED, MovingStory
from tests.support.oracles.moving_oracle import Reach
from tests.support.oracles.oracle import HeldTables

# tests/extract/test_moving_org.py keeps the same promises, each once.
pytestmark = pytest.mark.deep


def first_run(story: MovingStory) -> None:
    """Sync while nothing happens."""
    broken = story.run()
    assert [] == broken, broken


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_an_edit_behind_the_reader_arrives_with_the_next_run(tmp_path: Path, nth: int) -> None:
    """A1: one contact is edited after it was read, another with a later stamp before it is read."""
    with MovingStory(tmp_path, refresh_call_budget=1, api="collections") as story:
        first_run(story)
        org = story.org
        ids = org.active_ids()
        for id_ in ids:  # all are changed, so that all are read, in several calls
            org.edit("Contact", id_, Title="new")

        def happen() -> None:
            for number, id_ in enumerate(ids):
                if number % 2 == 0:
                    org.edit("Contact", id_, Title=f"behind {number}")
            org.advance(3600)
            for number, id_ in enumerate(ids):
                if number % 2:
                    org.edit("Contact", id_, Title=f"before {number}")

        org.moves.before_call("collections", happen, nth=nth)
        moving = story.run(reach=Reach.STAMPED)
        quiet = story.run_quietly()

        assert ([], []) == (moving, quiet)


@pytest.mark.parametrize("first", [False, True])
def test_a_relation_edited_behind_the_reader_arrives(tmp_path: Path, first: bool) -> None:
    """A1, of relations: some are edited after their page was read, others an hour later."""
    with MovingStory(tmp_path, refresh_call_budget=1) as story:
        if not first:
            first_run(story)
            for id_ in story.org.rows("TaskWhoRelation"):
                story.org.bump_stamps("TaskWhoRelation", [id_])
        ids = sorted(story.org.rows("TaskWhoRelation"))
        accounts = sorted(story.org.rows("Account"))

        def happen() -> None:
            for number, id_ in enumerate(ids[:6]):
                story.org.edit("TaskWhoRelation", id_, AccountId=accounts[number % 5])
            story.org.advance(3600)
            for number, id_ in enumerate(ids[-6:]):
                story.org.edit("TaskWhoRelation", id_, AccountId=accounts[number % 5])

        story.org.moves.before_call("query_more", happen, nth=2)
        moving = story.run(reach=Reach.STAMPED)
        quiet = story.run_quietly()

        assert ([], []) == (moving, quiet)


@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_takes_hours_loses_nothing(tmp_path: Path, seed: int) -> None:
    """A1, at random: twenty minutes go by with each call, which is more than the lag."""
    changes = [name for name in EVERYDAY if name not in UNSTAMPED]
    with MovingStory(tmp_path, refresh_call_budget=1) as story:
        first_run(story)
        moving = story.run_moving(seed, 1.0, changes, 1_200, reach=Reach.STAMPED)
        quiet = story.run_quietly()

        assert ([], []) == (moving, quiet), story.text(moving + quiet, "both runs")


@pytest.mark.each_value
@pytest.mark.parametrize("rows", [2, -2])
@pytest.mark.parametrize("name", ["TaskWhoRelation", "Contact", "Task"])
def test_pages_that_shift_are_read_again(tmp_path: Path, name: str, rows: int) -> None:
    """A5: rows repeat and are missing in the pages of one cursor, and the sum still fits."""
    with MovingStory(tmp_path, api="query" if name != "TaskWhoRelation" else None) as story:
        story.org.page_rows = 3
        story.org.moves.shift_pages(name, rows)
        broken = story.run()
        quiet = story.run_quietly()

        assert ([], []) == (broken, quiet)


@pytest.mark.parametrize("kind", ["query", "composite"])
def test_work_during_a_run_costs_a_few_calls(tmp_path: Path, kind: str) -> None:
    """A6: one task is logged with a lead while the run reads; it may not read everything for it."""
    with MovingStory(tmp_path) as story:
        first_run(story)
        story.run()
        quiet = story.calls
        lead = next(iter(story.org.rows("Lead")))
        story.org.moves.before_call(kind, lambda: story.org.log_task([lead]), nth=1)
        broken = story.run()

        assert [] == broken
        assert story.calls <= quiet + 4


def test_a_junction_that_is_lost_for_one_run_changes_nothing(tmp_path: Path) -> None:
    """A4: TaskWhoRelation can't be seen for one run: nothing may be marked removed by it."""
    with MovingStory(tmp_path) as story:
        first_run(story)
        held = HeldTables.read(story.synced.pipeline).tables
        story.org.hidden_objects.add("TaskWhoRelation")
        broken = story.run(may_fail=True)
        story.org.hidden_objects.clear()

        assert [] == broken
        assert held == HeldTables.read(story.synced.pipeline).tables


@pytest.mark.parametrize("calls", [6, 12])
def test_few_calls_arrive_in_the_end(tmp_path: Path, calls: int) -> None:
    """A2: with few calls a run, runs go on where the last one stopped, until all is held."""
    with MovingStory(tmp_path, api="query") as story:
        active = set(story.org.active_ids())
        for _ in range(8):
            broken = story.run(reach=Reach.PART, calls_per_run=calls)
            assert [] == broken
            if active == set(story.synced.rows("sf_contacts")):
                break
        else:
            pytest.fail("the contacts never came")


@pytest.mark.parametrize("breaks", ["shift", "locator"])
def test_what_was_modified_is_read_again_where_its_pages_fall_apart(
    tmp_path: Path, breaks: str
) -> None:
    """Beyond the budget, too: a row on two pages hides one on none, and a locator may expire."""
    with MovingStory(tmp_path, refresh_call_budget=0, api="collections") as story:
        # So many pages are fewer calls than reading all: else all would be read anyway.
        story.limits = replace(story.limits, ids_per_collection=1)
        first_run(story)
        story.org.advance(3_600)
        for contact in story.org.active_ids()[-8:]:
            story.org.edit("Contact", contact, LastName="Edited")
        story.org.page_rows = 3
        if breaks == "shift":
            story.org.moves.shift_pages("Contact", 1)
        else:
            story.org.faults.add(Fault("query_more", "bad_locator_400"))
        broken = story.run(reach=Reach.STAMPED)
        names = [row["last_name"] for row in story.synced.rows("sf_contacts").values()]

        assert [] == broken
        assert 8 == names.count("Edited")
