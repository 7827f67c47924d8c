"""A contact's life: each thing that a run can see, and what it writes about the contact."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from salesforce_targeted.extract import lifecycle
from salesforce_targeted.extract.lifecycle import Observation, RecordLifecycle
from salesforce_targeted.retrieval.results import DELETED, HIDDEN, MERGED, Gone
from salesforce_targeted.target import CONTACT

BORN, BEFORE, NOW = (datetime(2026, 11, day, tzinfo=UTC) for day in (1, 19, 20))
ADA, BOB, EVE = "003A", "003B", "003E"

replace = RecordLifecycle._replace
ACTIVE = RecordLifecycle(ADA, is_active=True, relation_count=2, gone_reason=None, merged_into=None,
              first_seen_at=BORN, last_seen_at=BORN)  # fmt: skip
LEFT = replace(ACTIVE, is_active=False, relation_count=0, left_at=BEFORE, left_reason="task_deleted",
               last_seen_at=BEFORE)  # fmt: skip


def seen(counts: dict[str, int] | None = None, **what: Any) -> Observation:
    """Return what a default run saw; *what* is the rest of it."""
    counts = {ADA: 2} if counts is None else counts
    defaults: dict[str, Any] = {
        "complete": True, "gone": {}, "rejected": frozenset(), "asked": frozenset({*counts, ADA}),
        "left_reasons": {}, "now": NOW, "before": BEFORE,
    }  # fmt: skip
    return Observation(counts=counts, **(defaults | what))


def gone(reason: str, into: str | None = None) -> dict[str, Gone]:
    """Ada did not come, and why."""
    return {ADA: Gone(ADA, reason, into)}


def after(before: RecordLifecycle | None, what: Observation) -> RecordLifecycle | None:
    """Ada's life after the run; None if nothing is written."""
    known = {} if before is None else {ADA: before}
    lives = [life for life in lifecycle.changed([ADA], known, what) if life.record_id == ADA]
    assert len(lives) <= 1
    return lives[0] if lives else None


# --- seen for the first time


def test_an_active_contact_is_born() -> None:
    """Seen first and last now, with its relations."""
    expected = replace(ACTIVE, first_seen_at=NOW, last_seen_at=NOW)

    assert expected == after(None, seen())


def test_a_contact_that_was_never_held_is_born_gone() -> None:
    """Discovered and deleted: the relation's contact has a row that says why it is not held."""
    lives = lifecycle.changed([ADA], {}, seen({ADA: 1}, gone=gone(DELETED)))

    assert [(ADA, True, 1, DELETED)] == [
        (life.record_id, life.is_active, life.relation_count, life.gone_reason) for life in lives
    ]


def test_a_held_contact_without_relations_is_born_inactive() -> None:
    """The table of lives was emptied, or the contact was held for another reason: it never left."""
    life = after(None, seen({}))

    assert life is not None
    assert (False, 0, None) == (life.is_active, life.relation_count, life.left_at)


def test_everyone_has_a_life_in_the_order_of_ids() -> None:
    """Held, counted or gone: each once; one that is known and did not change has no new row."""
    lives = lifecycle.changed(
        [ADA, BOB, "003C", EVE],
        {EVE: replace(LEFT, record_id=EVE)},
        seen({ADA: 1}, gone={"003C": Gone("003C", HIDDEN)}),
    )

    assert [ADA, BOB, "003C"] == [life.record_id for life in lives]


# --- quiet


@pytest.mark.parametrize(
    ("before", "what"),
    [
        (ACTIVE, seen()),
        (ACTIVE, seen({ADA: 2}, complete=False)),
        (LEFT, seen({})),
        (replace(ACTIVE, gone_reason=DELETED), seen(gone=gone(DELETED))),
        (replace(ACTIVE, gone_reason=MERGED, merged_into=BOB), seen(gone=gone(MERGED, BOB))),
        (replace(ACTIVE, gone_reason="rejected"), seen(rejected=frozenset({ADA}))),
        (replace(LEFT, gone_reason=HIDDEN), seen({}, gone=gone(HIDDEN))),
    ],
    ids=["active", "active, partial look", "left", "deleted", "merged", "rejected", "left, hidden"],
)
def test_a_quiet_run_writes_nothing(before: RecordLifecycle, what: Observation) -> None:
    """Nothing about the contact changed, so no row does: last_seen_at is no heartbeat."""
    assert after(before, what) is None


# --- active, left, back


def test_a_contact_leaves() -> None:
    """Its last relation is gone: left now, seen active last by the run before, and why."""
    life = after(ACTIVE, seen({}, left_reasons={ADA: "task_archived"}))

    assert replace(ACTIVE, is_active=False, relation_count=0, left_at=NOW,
                   left_reason="task_archived", last_seen_at=BEFORE) == life  # fmt: skip


def test_a_contact_leaves_without_a_reason() -> None:
    """No run saw the relation go: the reason stays empty."""
    life = after(ACTIVE, seen({}))

    assert life is not None
    assert (NOW, None) == (life.left_at, life.left_reason)


@pytest.mark.parametrize(
    ("last", "before", "expected"),
    [(BORN, BEFORE, BEFORE), (BEFORE, BORN, BEFORE), (BORN, None, BORN)],
)
def test_when_a_contact_that_leaves_was_last_seen(
    last: datetime, before: datetime | None, expected: datetime
) -> None:
    """By the last run that looked at everything, or by a later one that looked at less."""
    life = after(replace(ACTIVE, last_seen_at=last), seen({}, before=before))

    assert life is not None
    assert expected == life.last_seen_at


def test_the_reason_of_a_contact_that_left_is_found_later() -> None:
    """A run that looked at contacts alone saw it leave; the one that looks at relations knows why."""
    before = replace(LEFT, left_reason=None)
    life = after(before, seen({}, left_reasons={ADA: "relation_removed"}))

    assert replace(LEFT, left_reason="relation_removed") == life


def test_an_active_contact_has_no_reason_to_have_left() -> None:
    """One of its relations was removed, another is there."""
    assert after(ACTIVE, seen(left_reasons={ADA: "relation_removed"})) is None
    assert after(ACTIVE, seen({}, complete=False, left_reasons={ADA: "relation_removed"})) is None


def test_nobody_leaves_a_run_that_did_not_look_at_everything() -> None:
    """``--since`` and ``--limit`` see some relations: the absence of others says nothing."""
    assert after(ACTIVE, seen({}, complete=False)) is None


def test_a_contact_comes_back() -> None:
    """Active again, with nothing of its leaving left; it was first seen when it was."""
    life = after(LEFT, seen({ADA: 1}))

    assert replace(ACTIVE, relation_count=1, last_seen_at=NOW) == life


def test_a_contact_comes_back_with_as_many_relations_as_none() -> None:
    """Coming back is a change whatever the count says."""
    life = after(replace(LEFT, relation_count=2), seen({ADA: 2}))

    assert life is not None
    assert life.is_active


def test_another_relation() -> None:
    """More or fewer relations are a change."""
    assert replace(ACTIVE, relation_count=3, last_seen_at=NOW) == after(ACTIVE, seen({ADA: 3}))


# --- gone and returned


@pytest.mark.parametrize("before", [ACTIVE, LEFT], ids=["active", "left"])
@pytest.mark.parametrize(("reason", "into"), [(DELETED, None), (MERGED, BOB), (HIDDEN, None)])
def test_a_contact_is_gone(before: RecordLifecycle, reason: str, into: str | None) -> None:
    """Why, and into whom; whether it is active is another matter."""
    counts = {ADA: 2} if before.is_active else {}
    expected = replace(before, gone_reason=reason, merged_into=into)

    assert expected == after(before, seen(counts, gone=gone(reason, into)))


def test_a_deleted_contact_loses_its_relations() -> None:
    """Gone and left in one run."""
    life = after(ACTIVE, seen({}, gone=gone(DELETED), left_reasons={ADA: "relation_removed"}))

    assert replace(ACTIVE, gone_reason=DELETED, is_active=False, relation_count=0, left_at=NOW,
                   left_reason="relation_removed", last_seen_at=BEFORE) == life  # fmt: skip


@pytest.mark.parametrize(("known", "into"), [(DELETED, None), (MERGED, BOB)])
def test_a_purged_contact_stays_what_it_was_known_as(known: str, into: str | None) -> None:
    """Emptying the recycle bin makes a deleted contact look hidden: it is not."""
    before = replace(LEFT, gone_reason=known, merged_into=into)

    assert after(before, seen({}, gone=gone(HIDDEN))) is None


@pytest.mark.parametrize(
    ("winner", "expected"),
    [(Gone(BOB, MERGED, EVE), EVE), (Gone(BOB, DELETED), BOB), (Gone(BOB, HIDDEN), BOB)],
    ids=["merged on", "deleted", "hidden"],
)
def test_a_purged_contact_follows_its_winner(winner: Gone, expected: str) -> None:
    """Nothing shows the loser any more; its winner still tells where both went."""
    before = replace(LEFT, gone_reason=MERGED, merged_into=BOB)
    life = after(before, seen({}, gone={**gone(HIDDEN), BOB: winner})) or before

    assert (MERGED, expected) == (life.gone_reason, life.merged_into)


def test_a_contact_purged_unseen_is_hidden() -> None:
    """No run saw it deleted: a purged contact can't be told from a hidden one."""
    assert replace(ACTIVE, gone_reason=HIDDEN) == after(ACTIVE, seen(gone=gone(HIDDEN)))


def test_a_hidden_contact_that_is_shown_as_deleted() -> None:
    """Knowing more replaces knowing less."""
    before = replace(ACTIVE, gone_reason=HIDDEN)

    assert replace(before, gone_reason=DELETED) == after(before, seen(gone=gone(DELETED)))


def test_a_winner_is_merged_away_too() -> None:
    """The chain grew: the last winner is the one to look for."""
    before = replace(LEFT, gone_reason=MERGED, merged_into=BOB)

    assert replace(before, merged_into=EVE) == after(before, seen({}, gone=gone(MERGED, EVE)))


@pytest.mark.parametrize("reason", [DELETED, MERGED, HIDDEN, "rejected"])
def test_a_contact_returns(reason: str) -> None:
    """Undeleted, shown again or readable again: asked for, and it came."""
    before = replace(ACTIVE, gone_reason=reason, merged_into=BOB if reason == MERGED else None)

    assert replace(ACTIVE) == after(before, seen())


def test_a_contact_that_was_not_asked_for_did_not_return() -> None:
    """A run that asks for some says nothing about the others."""
    before = replace(ACTIVE, gone_reason=DELETED)

    assert after(before, seen(asked=frozenset())) is None


def test_a_contact_is_rejected() -> None:
    """It came and could not be loaded: it is not gone into anybody."""
    before = replace(ACTIVE, gone_reason=MERGED, merged_into=BOB)

    assert replace(ACTIVE, gone_reason="rejected") == after(before, seen(rejected=frozenset({ADA})))


def test_gone_says_more_than_rejected() -> None:
    """A deleted contact whose last row could not be read is deleted."""
    life = after(ACTIVE, seen(gone=gone(DELETED), rejected=frozenset({ADA})))

    assert life is not None
    assert DELETED == life.gone_reason


# --- the rules of every transition

WHATS: list[dict[str, Any]] = [
    {}, {"asked": frozenset()}, {"rejected": frozenset({ADA})}, {"gone": gone(DELETED)},
    {"gone": gone(MERGED, EVE)}, {"gone": gone(HIDDEN)},
]  # fmt: skip
COUNTS: list[dict[str, int]] = [{}, {ADA: 1}]
STATES = [
    replace(life_, gone_reason=reason, merged_into=BOB if reason == MERGED else None)
    for life_ in (ACTIVE, LEFT)
    for reason in (None, DELETED, MERGED, HIDDEN, "rejected")
]
SIGHTS = [
    seen(counts, complete=complete, **what)
    for counts in COUNTS
    for complete in (True, False)
    for what in WHATS
]


@pytest.mark.parametrize("before", [None, *STATES])
@pytest.mark.parametrize("what", SIGHTS)
def test_every_transition_keeps_the_rules(
    before: RecordLifecycle | None, what: Observation
) -> None:
    """Left is the opposite of active, merged has a winner, birth is for ever; a repeat is quiet.

    A run that looks at less begins no life of a contact that it did not see.
    """
    life = after(before, what) or before
    if life is None:
        assert (False, False) == (what.complete, ADA in what.counts)
        return
    if ADA in what.counts:
        assert (True, what.counts[ADA]) == (life.is_active, life.relation_count)
    if life.is_active:
        assert (None, None) == (life.left_at, life.left_reason)
    elif before is not None:
        assert (False, 0) == (life.left_at is None, life.relation_count)

    assert (MERGED == life.gone_reason) == (life.merged_into is not None)
    assert (NOW if before is None else BORN) == life.first_seen_at
    assert life.first_seen_at <= life.last_seen_at <= NOW
    assert after(life, what) is None


def test_a_life_costs_few_steps() -> None:
    """There are a million of them: one is made, and compared, without a call for each field."""
    steps: list[str] = []
    sys.setprofile(lambda _frame, event, _arg: steps.append(event))
    try:
        lifecycle.changed([ADA] * 100, {}, seen())
    finally:
        sys.setprofile(None)
    begun = sum(event.endswith("call") for event in steps)

    assert begun < 100 * 15


def test_lives_as_arrow() -> None:
    """One schema; the order of the columns is that of the fields, which Life(*row) leans on."""
    table = lifecycle.to_table([ACTIVE, LEFT], "lead_id")
    rows = [list(life._asdict().values()) for life in (ACTIVE, LEFT)]

    assert lifecycle.schema("lead_id") == table.schema == lifecycle.to_table([], "lead_id").schema
    assert rows == [list(row.values()) for row in table.to_pylist()]
    assert ["record_id", *lifecycle.schema("lead_id").names[1:]] == list(ACTIVE._asdict())
    assert lifecycle.schema("contact_id").names == list(lifecycle.descriptions(CONTACT))
