"""Contacts are deleted, merged, hidden, and come back: what the next default run makes of it.

Each run is compared with the oracle, cell by cell; the tests add what a reader wants to see.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import BOTH
from tests.support.oracles.oracle import Row
from tests.support.story import Story


@BOTH
def test_a_deleted_contact_is_kept_and_comes_back(story: Story) -> None:
    """Its last row says that it is deleted; undeleted, it is as if nothing had been."""
    contact = story.org.active_ids()[0]
    before = story.life(contact)
    story.org.delete_contact(contact)
    story.run()
    gone, row = story.life(contact), story.contact(contact)
    story.org.undelete_contact(contact)
    story.run()

    assert ("deleted", True) == (gone["gone_reason"], row["is_deleted"])
    assert False is story.contact(contact)["is_deleted"]
    assert before == {**story.life(contact), "last_seen_at": before["last_seen_at"]}


@pytest.mark.deep
@pytest.mark.parametrize(("seen", "reason"), [(True, "deleted"), (False, "hidden")])
def test_a_purged_contact_is_deleted_if_a_run_saw_it_deleted(
    story: Story, seen: bool, reason: str
) -> None:
    """Otherwise nothing tells it from a hidden one; its last row is kept in both cases."""
    contact = story.org.active_ids()[0]
    story.org.delete_contact(contact)
    if seen:
        story.run()
    story.org.purge_contact(contact)
    story.run()

    assert reason == story.life(contact)["gone_reason"]
    assert seen == story.contact(contact)["is_deleted"]


@pytest.mark.deep
def test_a_contact_that_was_gone_before_it_was_ever_held(story: Story) -> None:
    """It has a row that says why; it is held as soon as the org shows it, active or not."""
    contact = story.passive()
    story.org.hide_contact(contact)
    task = story.org.log_task([contact])
    story.run()
    hidden = story.life(contact)
    story.org.delete_task(task)
    story.run()
    story.org.show_contact(contact)
    story.run()

    assert (True, "hidden") == (hidden["is_active"], hidden["gone_reason"])
    assert (False, None) == (
        story.life(contact)["is_active"], story.life(contact)["gone_reason"]
    )  # fmt: skip
    assert contact in story.held("sf_contacts")


@pytest.mark.deep
def test_a_deleted_contact_whose_relations_still_show(story: Story) -> None:
    """Whether relations outlive their contact is not documented: both are survived."""
    story.org.relations_outlive_contacts = True
    held, never = story.org.active_ids()[0], story.passive()
    story.org.log_task([never])
    story.org.delete_contact(held)
    story.org.delete_contact(never)
    story.run()

    assert [(True, "deleted")] * 2 == [
        (story.life(id_)["is_active"], story.life(id_)["gone_reason"]) for id_ in (held, never)
    ]
    assert never not in story.held("sf_contacts")


@pytest.mark.deep
@BOTH
def test_a_merge_moves_relations_to_a_winner_that_was_never_active(story: Story) -> None:
    """The winner is held with them; the loser is kept and says into whom it was merged."""
    loser, winner = story.org.active_ids()[0], story.passive()
    relations = set(story.relations_of(loser))
    story.org.merge(winner, [loser])
    story.run()

    assert relations == set(story.relations_of(winner))
    assert ("merged", winner, "relation_removed") == _merge(story.life(loser))
    assert story.contact(loser)["is_deleted"]
    assert story.life(winner)["is_active"]


def _merge(life: Row) -> tuple[Any, Any, Any]:
    return life["gone_reason"], life["merged_into"], life["left_reason"]


@pytest.mark.brief(1)
@pytest.mark.parametrize("between", [False, True], ids=["in one go", "with a run between"])
def test_a_chain_of_merges_resolves_to_the_last_winner(story: Story, between: bool) -> None:
    """Also when the middle of the chain, or its beginning, is purged afterwards."""
    first, second, third, fourth, *_ = story.org.active_ids()
    story.org.merge(second, [first])
    if between:
        story.run()
    story.org.merge(third, [second])
    story.run()
    chain = [story.life(id_)["merged_into"] for id_ in (first, second)]
    story.org.purge_contact(second)
    story.run()
    purged = story.life(first)["merged_into"]
    story.org.purge_contact(first)
    story.org.merge(fourth, [third])
    story.run()

    assert ([third, third], third) == (chain, purged)
    assert fourth == story.life(third)["merged_into"] == story.life(first)["merged_into"]


def test_a_hidden_contact_is_kept_and_true_again_when_shown(story: Story) -> None:
    """Hidden, edited, shown: its stamp is older than the last run, its row is right all the same."""
    contact = story.org.active_ids()[0]
    story.org.hide_contact(contact)
    story.run()
    reason = story.life(contact)["gone_reason"]
    story.org.edit("Contact", contact, Title="while hidden")
    story.org.advance(86_400)
    story.run()
    story.org.show_contact(contact)
    story.run()

    assert ("hidden", None) == (reason, story.life(contact)["gone_reason"])
    assert "while hidden" == story.contact(contact)["title"]
