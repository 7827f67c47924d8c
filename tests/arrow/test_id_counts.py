"""Numbers of ids as two arrays do what a Counter does."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from salesforce_targeted.arrow.id_counts import Counting, IdCounts

texts = st.text(alphabet="03AZaz_", min_size=1, max_size=3)
numbers = st.dictionaries(texts, st.integers(0, 5), max_size=8)
pages = st.lists(st.lists(st.none() | texts, max_size=8), max_size=6)


def table(rows: list[tuple[str | None, int]]) -> pa.Table:
    """Rows as a batch of discovery holds them."""
    return pa.table(
        {
            "id": pa.array([id_ for id_, _ in rows], pa.string()),
            "count": pa.array([number for _, number in rows], pa.int64()),
        }
    )


def counts(of: dict[str, int]) -> IdCounts:
    return IdCounts(table(list(of.items())))


@settings(deadline=None, max_examples=50)
@given(numbers, texts)
def test_each_id_has_its_number(of: dict[str, int], wanted: str) -> None:
    """Zero for any other; ids in their order."""
    tally = counts(of)

    assert {id_: of[id_] for id_ in of} == {id_: tally[id_] for id_ in tally}
    assert (sorted(of), len(of), sum(of.values())) == (list(tally), len(tally), tally.total)
    assert (wanted in of, of.get(wanted, 0)) == (wanted in tally, tally[wanted])
    assert sorted(of) == tally.ids.to_pylist()
    assert [of[id_] for id_ in sorted(of)] == tally.counts.to_pylist()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(texts, st.integers(1, 9)), max_size=9))
def test_the_numbers_of_one_id_are_added_up(rows: list[tuple[str, int]]) -> None:
    """An id may come in several batches."""
    expected: Counter[str] = Counter()
    for id_, number in rows:
        expected[id_] += number
    tally = IdCounts(table(rows))

    assert expected == Counter({id_: tally[id_] for id_ in tally})


def test_nothing_at_all() -> None:
    """No table, an empty one, and relations that point at no contact."""
    for tally in (IdCounts(), IdCounts(table([])), IdCounts(table([(None, 3)]))):
        assert (0, 0, [], 0) == (len(tally), tally.total, list(tally), tally["003"])
        assert {} == tally.between("", "z")
        assert [] == tally.unlike(IdCounts())


@settings(deadline=None, max_examples=50)
@given(numbers, texts, texts)
def test_the_numbers_of_a_span(of: dict[str, int], first: str, last: str) -> None:
    """From one id to another, both included."""
    expected = {id_: number for id_, number in of.items() if first <= id_ <= last}

    assert expected == (counts(of).between(first, last) if first <= last else {})


@settings(deadline=None, max_examples=50)
@given(numbers, numbers)
def test_where_two_differ(first: dict[str, int], second: dict[str, int]) -> None:
    """Another number, or none there: an id without a number has zero."""
    expected = sorted(id_ for id_ in {*first, *second} if first.get(id_, 0) != second.get(id_, 0))

    assert expected == sorted(counts(first).unlike(counts(second)))
    assert expected == sorted(counts(second).unlike(counts(first)))


def test_as_a_table_and_back() -> None:
    """What is stored is what was counted."""
    tally = counts({"003b": 2, "003a": 1})

    assert [{"id": "003a", "count": 1}, {"id": "003b", "count": 2}] == tally.table().to_pylist()
    assert [] == tally.unlike(IdCounts(tally.table()))


@settings(deadline=None, max_examples=50)
@given(pages, st.integers(0, 5))
def test_counting_page_by_page(batches: list[list[str | None]], look: int) -> None:
    """Every occurrence counts once, nulls don't, and looking in between changes nothing."""
    counting = Counting()
    for number, page in enumerate(batches):
        counting.add(
            pa.chunked_array([pa.array(page[:3], pa.string()), pa.array(page[3:], pa.string())])
        )
        if number == look:
            counting.counts()
    tally = counting.counts()

    assert Counter(id_ for page in batches for id_ in page if id_) == Counter(
        {id_: tally[id_] for id_ in tally}
    )
    assert tally.total == counting.counts().total


def test_counting_is_added_up_a_few_times_only() -> None:
    """What grows by pages is not added up at every page, nor only when all of them are there."""
    sums: list[int] = []

    class Counted(Counting):
        def counts(self) -> IdCounts:
            sums.append(1)
            return super().counts()

    counting = Counted()
    for start in range(0, 600_000, 2_000):
        ids = pa.array(range(start, start + 2_000)).cast(pa.string())
        counting.add(pa.chunked_array([ids]))

    assert 600_000 == counting.counts().total
    assert 2 <= len(sums) <= 4
