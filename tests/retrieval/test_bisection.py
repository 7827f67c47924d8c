"""What can't be read is found in few calls, and all else is read: isolation alone, without an org."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import ceil, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salesforce_targeted.api.errors import QuotaExceededError, SalesforceError, UnavailableError
from salesforce_targeted.retrieval.bisection import isolate
from salesforce_targeted.retrieval.parts import Lessons, Part, Readable, Record

FIELDS = ["Id", *(f"F{number}" for number in range(30))]
ALL = "*"


class Org:
    """Responds to parts as an org would, and counts the calls.

    Args:
        shown: The ids that are there.
        bad: Pairs of an id and a field that make a response fail; the id ``*`` is any that is
            there, the field ``*`` any, the key included.
    """

    def __init__(self, shown: set[str], bad: set[tuple[str, str]]) -> None:
        self.shown, self.bad, self.calls, self.rows = shown, bad, 0, list[str]()

    def __call__(self, parts: Sequence[Part]) -> list[dict[str, Record] | SalesforceError]:
        self.calls += ceil(len(parts) / 5)
        return [self._part(part) for part in parts]

    def _part(self, part: Part) -> dict[str, Record] | SalesforceError:
        shown, fields = self.shown.intersection(part.ids), {"Id", *part.fields}
        for id_, field in self.bad:
            if (id_ in shown or (id_ == ALL and shown)) and (field == ALL or field in fields):
                return UnavailableError("an unexpected error", status=500)
        return {id_: {name: f"{name} of {id_}" for name in fields} for id_ in shown}

    def whole(self, ids: Sequence[str], lessons: Lessons | None = None) -> Readable:
        """Isolate what a read of all these ids failed for."""
        error = UnavailableError("all of it", status=500)
        readable = isolate(self, ids, FIELDS, lessons or Lessons(), error)
        assert [id_ for id_ in readable.records if id_ not in self.shown] == []
        return readable


def named(numbers: Sequence[int]) -> list[str]:
    return [f"{number:04}" for number in numbers]


@settings(deadline=None, max_examples=60)
@given(
    size=st.integers(6, 300),
    gone=st.sets(st.integers(0, 299), max_size=200),
    places=st.dictionaries(
        st.integers(0, 299), st.sampled_from([ALL, "F0", "F7", "F29"]), max_size=4
    ),
    everywhere=st.sets(st.sampled_from(["F3", "F4", "F28"]), max_size=2),
)
def test_each_record_comes_but_for_what_cant_be_read_of_it(
    size: int, gone: set[int], places: dict[int, str], everywhere: set[str]
) -> None:
    """Wherever they are, whatever is gone, however many fields no record can be read with."""
    ids = named(range(size))
    shown = set(ids) - set(named(sorted(gone)))
    bad = {(id_, field) for place, field in places.items() for id_ in named([place % size])}
    bad = {(id_, field) for id_, field in bad if id_ in shown}
    whole = {id_ for id_, field in bad if field == ALL}
    if len(shown - whole) < 6:
        return  # a field of a few records may be blamed on each of them
    org, lessons = Org(shown, bad | {(ALL, field) for field in everywhere}), Lessons()
    readable = org.whole(ids, lessons)
    unreadable = {(id_, field) for id_, field in bad if id_ not in whole} | {
        (id_, field) for id_ in shown - whole for field in everywhere
    }

    assert shown - whole == set(readable.records)
    assert whole == {id_ for id_, field in readable.rejected if not field}
    assert unreadable == {
        *((id_, field) for id_, field in readable.rejected if field),
        *((id_, field) for id_ in readable.records for field in lessons.unreadable),
    }
    for id_, record in readable.records.items():
        assert record == {
            name: f"{name} of {id_}" for name in FIELDS if (id_, name) not in unreadable
        }


@pytest.mark.parametrize(("field", "most"), [(ALL, 7), ("F7", 10)])
def test_one_of_two_thousand_takes_few_calls(field: str, most: int) -> None:
    """Wherever it is."""
    ids = named(range(2_000))
    for place in range(0, 2_000, 131):
        org = Org(set(ids), {(ids[place], field)})
        readable = org.whole(ids)

        assert [(ids[place], field.strip(ALL))] == list(readable.rejected)
        assert most >= org.calls


@settings(deadline=None, max_examples=20)
@given(places=st.sets(st.integers(0, 1_999), min_size=2, max_size=8))
def test_several_take_no_more_than_a_search_for_each(places: set[int]) -> None:
    """Each is looked for once, among ever fewer; before it whether fields are to blame."""
    ids = named(range(2_000))
    bad = named(sorted(places))
    org = Org(set(ids), {(id_, ALL) for id_ in bad})
    readable = org.whole(ids)

    assert bad == sorted(id_ for id_, _ in readable.rejected)
    assert 6 + len(bad) * ceil(log(2_000, 5)) >= org.calls


def test_a_field_of_every_record_is_found_though_the_first_and_the_last_are_gone() -> None:
    """The records that are there are sampled, whatever else was asked for."""
    ids, lessons = named(range(2_000)), Lessons()
    org = Org(set(ids[10:-10]), {(ALL, "F7")})
    readable = org.whole(ids, lessons)

    assert {} == readable.rejected
    assert ["F7"] == list(lessons.unreadable)
    assert set(ids[10:-10]) == set(readable.records)
    assert 9 >= org.calls


def test_what_is_known_to_be_unreadable_is_not_asked_for() -> None:
    """What one batch has learnt costs the next one nothing."""
    ids, lessons = named(range(100)), Lessons()
    org = Org(set(ids), {(ALL, "F7")})
    org.whole(ids, lessons)
    org.calls = 0
    org.bad.add((ids[50], ALL))
    readable = org.whole(ids, lessons)

    assert [(ids[50], "")] == list(readable.rejected)
    assert 6 >= org.calls


@pytest.mark.parametrize("size", [2, 5, 6, 2_000])
def test_where_nothing_can_be_read_the_error_is_raised_after_few_calls(size: int) -> None:
    """No record is blamed."""
    org = Org(set(named(range(size))), {(ALL, ALL)})
    with pytest.raises(UnavailableError, match="all of it"):
        org.whole(named(range(size)))

    assert 3 >= org.calls


def test_where_no_field_can_be_read_of_any_record_the_error_is_raised() -> None:
    """The keys alone are no rows."""
    org = Org(set(named(range(50))), {(ALL, field) for field in FIELDS[1:]})
    with pytest.raises(UnavailableError, match="all of it"):
        org.whole(named(range(50)))


def test_an_error_that_has_passed_blames_no_record() -> None:
    """A call failed, and each part of it responds."""
    org = Org(set(named(range(50))), set())
    readable = org.whole(named(range(50)))

    assert {} == readable.rejected
    assert named(range(50)) == sorted(readable.records)
    assert 1 == org.calls


def test_ids_of_which_none_is_there() -> None:
    """No record is blamed, and no row is made up."""
    org = Org(set(), {(ALL, ALL)})
    readable = org.whole(named(range(50)))

    assert Readable() == readable
    assert 1 == org.calls


class Ending(Org):
    """Responds to so many calls and to no more."""

    allowed = 1

    def __call__(self, parts: Sequence[Part]) -> list[dict[str, Record] | SalesforceError]:
        if self.calls >= self.allowed:
            raise QuotaExceededError("this run may spend no more")
        return super().__call__(parts)


@settings(deadline=None, max_examples=40)
@given(
    place=st.integers(0, 1_999),
    field=st.sampled_from([ALL, "F0", "F7"]),
    gone=st.sets(st.integers(0, 1_999), max_size=300),
    allowed=st.integers(1, 4),
)
def test_what_was_read_before_the_calls_end_is_kept(
    place: int, field: str, gone: set[int], allowed: int
) -> None:
    """Runs of few calls that each ask for what is left come to the end, and blame one record."""
    ids = named(range(2_000))
    bad, shown = ids[place], set(ids) - set(named(sorted(gone))) | {ids[place]}
    left, read, rejected, runs = ids, set[str](), set[tuple[str, str]](), 0
    while len(left) > 5:
        org = Ending(shown, {(bad, field)})
        org.allowed = allowed
        outcome = org.whole(left)
        read |= outcome.records.keys()
        rejected |= outcome.rejected.keys()
        assert (outcome.stopped is None) == (not outcome.unread)
        assert outcome.unread or allowed > 1
        left, runs = sorted(outcome.unread), runs + 1

    assert shown - read <= {*left, bad}
    assert {id_ for id_, _ in rejected} <= {bad}
    assert runs <= ceil(log(2_000, 5) / allowed) + 1


@pytest.mark.parametrize("allowed", range(8))
def test_where_the_calls_end_before_a_field_is_found_the_search_goes_on(allowed: int) -> None:
    """All fields are left out then, but those without which rows would be untrue."""
    ids, lessons = named(range(50)), Lessons()
    org = Ending(set(ids), {(ALL, "F7")})
    org.allowed = allowed
    with suppress(QuotaExceededError):
        org.whole(ids, lessons)

    assert len(lessons.unreadable) == (
        0 if allowed < 2 else 30 if allowed < 5 else 1
    )  # all of them


def test_fields_are_learnt_before_records_whose_rows_are_not_kept_are_searched_for() -> None:
    """One record and one field: two runs of few calls, of which the second knows the field."""
    ids, lessons, learnt, rows = named(range(2_000)), Lessons(), list[str](), set[str]()
    for allowed in (6, 6):
        org = Ending(set(ids), {(ids[999], ALL), (ALL, "F7")})
        org.allowed = allowed
        with suppress(QuotaExceededError):
            rows |= org.whole(ids, lessons).records.keys()
        learnt += lessons.unreadable

    assert ["F7", "F7"] == learnt
    assert set(ids) - {ids[999]} == rows


def test_a_record_that_goes_away_while_its_fields_are_read_is_gone() -> None:
    """Half of a row is none: what was not read would be null in it."""
    ids = named(range(20))
    org = Org(set(ids), {(ids[3], "F7")})

    class Leaving(Org):
        def _part(self, part: Part) -> dict[str, Record] | SalesforceError:
            if "F29" in part.fields and len(part.ids) == 1 and len(part.fields) < len(FIELDS) - 1:
                self.shown.discard(part.ids[0])
            return super()._part(part)

    readable = Leaving(org.shown, org.bad).whole(ids)

    assert {} == readable.rejected
    assert set(ids) - {ids[3]} == set(readable.records)


def test_a_record_whose_key_fails_is_rejected_whole_though_its_fields_respond() -> None:
    """Never loaded and rejected at once: the sum of what was asked for would not close."""

    class Odd(Org):
        def _part(self, part: Part) -> dict[str, Record] | SalesforceError:
            if part == Part([odd]):
                return UnavailableError("the key", status=500)
            return super()._part(part)

    ids = named(range(50))
    odd = ids[7]
    readable = Odd(set(ids), {(odd, "F7")}).whole(ids)

    assert [(odd, "")] == list(readable.rejected)
    assert set(ids) - {odd} == set(readable.records)


@pytest.mark.parametrize("size", [1, 50])
def test_an_object_of_which_no_field_may_be_read_has_its_keys(size: int) -> None:
    """All its fields are known as unreadable: what is left is which records are there."""
    ids = named(range(size))
    org, lessons = Org(set(ids), set()), Lessons()
    lessons.unreadable = dict.fromkeys(FIELDS[1:], UnavailableError("known"))
    readable = org.whole(ids, lessons)

    assert (set(ids), {}) == (set(readable.records), readable.rejected)
