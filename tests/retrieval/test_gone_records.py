"""Ids that a plain read leaves out: deleted, merged, hidden or archived, each exactly once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.errors import QuotaExceededError
from salesforce_targeted.api.limits import DOCUMENTED, TINY, Limits
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.retrieval import retrieve as retrieval
from salesforce_targeted.retrieval.parts import Lessons
from salesforce_targeted.retrieval.results import DELETED, HIDDEN, MERGED, Gone
from salesforce_targeted.retrieval.sobject_collections import RecordReader
from salesforce_targeted.settings import Api
from tests.support.retrieval import (
    BOTH_LIMITS,
    EVERY_WAY,
    WAYS,
    client_of,
    columns_in,
    gone_of,
    ids_of,
    retrieve,
    rows_of,
)


def in_every_state(org: DemoOrg) -> dict[str, Gone | None]:
    """Contacts in every state that an org knows, with what is to be said of each."""
    ids = org.active_ids()
    deleted, loser, middle, winner, hidden, purged, back, into_deleted, lost = ids[:9]
    org.delete_contact(deleted)
    org.merge(middle, [loser])
    org.merge(winner, [middle])
    org.hide_contact(hidden)
    org.delete_contact(purged)
    org.purge_contact(purged)
    org.delete_contact(back)
    org.undelete_contact(back)
    org.merge(into_deleted, [lost])
    org.delete_contact(into_deleted)
    return {
        deleted: Gone(deleted, DELETED), loser: Gone(loser, MERGED, winner),
        middle: Gone(middle, MERGED, winner), winner: None, hidden: Gone(hidden, HIDDEN),
        purged: Gone(purged, HIDDEN), back: None, into_deleted: Gone(into_deleted, DELETED),
        lost: Gone(lost, MERGED, into_deleted), **dict.fromkeys(ids[9:]),
    }  # fmt: skip


@BOTH_LIMITS
@EVERY_WAY
def test_what_does_not_come_is_explained(
    org: DemoOrg, credentials: SessionCredentials, way: Api | str, limits: Limits
) -> None:
    """Deleted, merged (into the last of a chain), hidden or purged; and every id exactly once."""
    states = in_every_state(org)
    answers = retrieve(credentials, limits, way, list(states), columns_in(org))
    reasons = gone_of(answers)

    assert {id_: gone for id_, gone in states.items() if gone} == reasons
    assert sorted(states) == sorted([*ids_of(answers), *reasons])


@EVERY_WAY
def test_the_last_rows_of_the_gone(
    org: DemoOrg, credentials: SessionCredentials, way: Api | str
) -> None:
    """Deleted and merged contacts come as the org still shows them; hidden and purged ones can't."""
    states = in_every_state(org)
    answers = retrieve(credentials, TINY, way, list(states), columns_in(org))
    (last,) = [part.last_rows for part in answers if part.last_rows is not None]
    shown = org.rows("Contact", all_rows=True, ids=[id_ for id_, gone in states.items() if gone])

    assert sorted(shown) == sorted(last.table.column("id").to_pylist())
    assert {(row["Id"], True, row["MasterRecordId"]) for row in shown.values()} == {
        (row["id"], row["IsDeleted"], row["MasterRecordId"]) for row in last.table.to_pylist()
    }


@EVERY_WAY
def test_an_archived_task_is_there(
    org: DemoOrg, credentials: SessionCredentials, way: Api | str
) -> None:
    """Archived is not deleted: the row comes, and it is said where from."""
    archived, deleted, plain, hidden = (org.log_task([org.hostile_id]) for _ in range(4))
    org.archive_task(archived)
    org.delete_task(deleted)
    org.hide_task(hidden)
    answers = retrieve(
        credentials, TINY, way, [archived, deleted, plain, hidden], columns_in(org, "Task")
    )

    assert [archived] == [id_ for part in answers for id_ in part.archived]
    assert {archived, plain} == set(ids_of(answers))
    assert {deleted: Gone(deleted, DELETED), hidden: Gone(hidden, HIDDEN)} == gone_of(answers)


def test_a_contact_that_is_back_before_the_second_question(
    org: DemoOrg, credentials: SessionCredentials
) -> None:
    """Undeleted between the two reads: it is there, and neither gone nor archived."""
    id_ = org.active_ids()[0]
    with client_of(credentials, TINY) as client:
        answer = retrieval.follow_up(RecordReader(client, columns_in(org), Lessons()), [id_])

    assert ([id_], [], []) == (ids_of([answer]), answer.gone, answer.archived)


def test_an_archived_row_is_the_row_it_was(org: DemoOrg, credentials: SessionCredentials) -> None:
    """Nothing but the archive's mark (and the stamps) tells that it came by another way."""
    task, of = (
        org.log_task([org.hostile_id], Status="Completed", IsClosed=True),
        columns_in(org, "Task"),
    )
    before = rows_of(retrieve(credentials, DOCUMENTED, Api.COLLECTIONS, [task], of))
    org.archive_task(task)
    after = rows_of(retrieve(credentials, DOCUMENTED, Api.COLLECTIONS, [task], of))
    assert before is not None
    assert after is not None
    (old,), (new,) = before.to_pylist(), after.to_pylist()

    assert {"IsArchived", "SystemModstamp", "LastModifiedDate", "row_hash"} >= {
        name for name in old if old[name] != new[name]
    }


@EVERY_WAY
def test_ids_that_nobody_has(org: DemoOrg, credentials: SessionCredentials, way: Api | str) -> None:
    """Well-formed ids of no record are hidden, and nothing else comes."""
    ids = [org.contacts.numbering.id_of(n) for n in range(5_000, 5_005)]
    answers = retrieve(credentials, TINY, way, ids, columns_in(org))

    assert [] == ids_of(answers)
    assert {id_: Gone(id_, HIDDEN) for id_ in ids} == gone_of(answers)


@EVERY_WAY
def test_ids_that_differ_by_case_are_two(
    org: DemoOrg, credentials: SessionCredentials, way: Api | str
) -> None:
    """Salesforce's ids are case-sensitive in their first 15 characters."""
    pairs: dict[str, list[str]] = {}
    for id_ in org.rows("Contact"):
        pairs.setdefault(id_[:15].lower(), []).append(id_)
    first, second = next(pair for pair in pairs.values() if len(pair) == 2)
    org.delete_contact(first)
    answers = retrieve(credentials, TINY, way, [first, second], columns_in(org))

    assert [second] == ids_of(answers)
    assert {first: Gone(first, DELETED)} == gone_of(answers)


def test_merges_that_go_round_in_a_circle_end(
    org: DemoOrg, credentials: SessionCredentials
) -> None:
    """An org that contradicts itself gets an answer, not an endless walk."""
    first, second, third = org.active_ids()[:3]
    org.merge(second, [first])
    org.merge(third, [second])
    org.set_silently("Contact", third, IsDeleted=True, MasterRecordId=first)
    answers = retrieve(credentials, TINY, Api.COLLECTIONS, [first, second, third], columns_in(org))

    assert {first: MERGED, second: MERGED, third: MERGED} == {
        id_: g.reason for id_, g in gone_of(answers).items()
    }


def test_a_long_chain_of_merges_that_were_never_asked_for(
    org: DemoOrg, credentials: SessionCredentials
) -> None:
    """Winners that are not held are followed up to the last one."""
    chain = [org.add_contact(LastName=f"Chain {n}") for n in range(6)]
    for loser, winner in pairwise(chain):
        org.merge(winner, [loser])
    answers = retrieve(credentials, DOCUMENTED, Api.COLLECTIONS, chain[:1], columns_in(org))

    assert {chain[0]: Gone(chain[0], MERGED, chain[-1])} == gone_of(answers)


def test_a_purged_winner_is_still_the_winner(org: DemoOrg, credentials: SessionCredentials) -> None:
    """Where the chain breaks off, the last name known is told, and that it may not be the last."""
    loser, winner = org.active_ids()[:2]
    org.merge(winner, [loser])
    org.delete_contact(winner)
    org.purge_contact(winner)
    answers = retrieve(credentials, TINY, Api.COLLECTIONS, [loser, winner], columns_in(org))

    assert {
        loser: Gone(loser, MERGED, winner, trail_ends=True), winner: Gone(winner, HIDDEN),
    } == gone_of(answers)  # fmt: skip


STATES = ["live", "deleted", "merged", "hidden", "purged", "unknown"]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(states=st.lists(st.sampled_from(STATES), max_size=14), way=st.sampled_from(WAYS))
def test_every_id_comes_out_exactly_once(states: list[str], way: Api | str) -> None:
    """Rows + gone = ids, whatever the mixture and wherever the batches end."""
    org = DemoOrg.tiny()
    winner = org.add_contact(LastName="Winner")
    expected: dict[str, str | None] = {}
    for n, state in enumerate(states):
        id_ = org.contacts.numbering.id_of(7_000 + n) if state == "unknown" else org.add_contact()
        if state == "deleted":
            org.delete_contact(id_)
        elif state == "merged":
            org.merge(winner, [id_])
        elif state == "hidden":
            org.hide_contact(id_)
        elif state == "purged":
            org.purge_contact(id_)
        reason = {"live": None, "deleted": DELETED, "merged": MERGED}
        expected[id_] = reason.get(state, HIDDEN)
    with serve(org) as server:
        session = SessionCredentials(instance_url=server.url, access_token=server.token)
        answers = retrieve(session, TINY, way, list(expected), columns_in(org))

    assert sorted(id_ for id_, reason in expected.items() if reason is None) == sorted(
        ids_of(answers)
    )
    assert {id_: reason for id_, reason in expected.items() if reason} == {
        id_: gone.reason for id_, gone in gone_of(answers).items()
    }


@pytest.mark.parametrize(
    ("status", "code"), [(500, "UNKNOWN_EXCEPTION"), (400, "QUERY_TIMEOUT"), (403, "NO_ACCESS")]
)
def test_a_winner_that_can_not_be_read(
    org: DemoOrg, credentials: SessionCredentials, status: int, code: str
) -> None:
    """It costs what it was merged into itself, if it was: each loser names the winner it knows."""
    winner, *losers, other = org.active_ids()[:5]
    org.merge(winner, losers)
    org.poisons.add("Contact", winner, status=status, code=code)
    with client_of(credentials, DOCUMENTED) as client:
        answer = retrieval.follow_up(
            RecordReader(client, columns_in(org), Lessons()), [*losers, other]
        )

    assert [Gone(id_, MERGED, winner, trail_ends=True) for id_ in losers] == answer.gone
    assert [other] == ids_of([answer])


def test_calls_that_end_before_a_chain_does(org: DemoOrg, credentials: SessionCredentials) -> None:
    """What became of each record is told, or runs of few calls would ask it for ever."""
    winner, *losers, other = org.active_ids()[:5]
    org.merge(winner, losers)
    lessons = Lessons()
    with client_of(credentials, DOCUMENTED) as client:
        client.meter.calls_allowed = 1
        answer = retrieval.follow_up(
            RecordReader(client, columns_in(org), lessons), [*losers, other]
        )

    assert [Gone(id_, MERGED, winner, trail_ends=True) for id_ in losers] == answer.gone
    assert [other] == ids_of([answer])
    assert isinstance(lessons.stopped, QuotaExceededError)


def test_pages_that_came_before_the_calls_ended_count(
    org: DemoOrg, credentials: SessionCredentials
) -> None:
    """The wide rows of an org come in small pages: what is on the first ones is told."""
    ids, org.page_rows, lessons = org.active_ids()[:6], 2, Lessons()
    for id_ in ids:
        org.delete_contact(id_)
    with client_of(credentials, DOCUMENTED) as client:
        client.meter.calls_allowed = 2
        answer = retrieval.follow_up(RecordReader(client, columns_in(org), lessons), ids)

    assert [Gone(id_, DELETED) for id_ in ids[:4]] == answer.gone
    assert isinstance(lessons.stopped, QuotaExceededError)


@pytest.mark.parametrize("rows", [1, -1])
def test_what_a_shift_of_pages_hides_is_not_called_gone(
    org: DemoOrg, credentials: SessionCredentials, rows: int
) -> None:
    """Where all fields are refused together, what is deleted is read in portions of several pages."""
    ids, org.page_rows, org.traits.most_fields = org.active_ids(), 2, 60
    for id_ in ids[:6]:
        org.delete_contact(id_)
    org.moves.shift_pages("Contact", rows, 3)
    parts = retrieve(credentials, DOCUMENTED, Api.COLLECTIONS, ids, columns_in(org))

    assert {id_: Gone(id_, DELETED) for id_ in ids[:6]} == gone_of(parts)
    assert sorted(ids[6:]) == sorted(ids_of(parts))
