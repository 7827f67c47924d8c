"""Sets of ids as sorted arrays do what Python's sets do."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salesforce_targeted.arrow.id_set import (
    IdSet,
    Texts,
    among,
    has,
    id_array,
    is_unique,
    minus,
    span,
)
from salesforce_targeted.arrow.id_set import union as union_of

# Ids that differ by case alone, that begin alike, and the characters between the letters' cases.
texts = st.text(alphabet="03AZaz_", min_size=1, max_size=4)
some_texts = st.lists(texts, max_size=8)


def column(ids: list[str | None], *cuts: int) -> pa.ChunkedArray:
    """Return a column in several chunks, the empty ones too."""
    bounds = [0, *sorted(min(cut, len(ids)) for cut in cuts), len(ids)]
    return pa.chunked_array(
        [pa.array(ids[a:b], pa.string()) for a, b in pairwise(bounds)],
        pa.string(),
    )


@settings(deadline=None, max_examples=60)
@given(some_texts)
def test_ids_are_sorted_and_distinct(ids: list[str]) -> None:
    """By the codes of their characters, as Salesforce orders ids: case counts."""
    assert sorted(set(ids)) == id_array(ids).to_pylist()
    assert pa.string() == id_array(ids).type


@pytest.mark.parametrize(
    ("chunks", "unique"),
    [([], True), ([["a", "b"]], True), ([["b"], ["a"]], True), ([["a"], ["b", "b"]], False),
     ([["a", "b"], ["a"]], False), ([[None], [None]], False)],
)  # fmt: skip
def test_whether_an_id_comes_twice(chunks: list[list[str | None]], unique: bool) -> None:
    """In order or not, in one chunk or in two; null counts as any."""
    assert unique == is_unique(pa.chunked_array(chunks, pa.string()))


def test_capitals_come_before_small_letters() -> None:
    """The order of ids is binary; a language's order would lose ids between two pages."""
    assert ["003A", "003Z", "003_", "003a", "003z"] == id_array(
        ["003a", "003_", "003z", "003Z", "003A"]
    ).to_pylist()


@settings(deadline=None, max_examples=60)
@given(some_texts, some_texts, st.integers(0, 8), st.integers(0, 8))
def test_what_two_sets_make(first: list[str], second: list[str], cut: int, cut_too: int) -> None:
    """Union, difference and intersection of arrays and of columns in chunks, nulls left out."""
    left, right = id_array(first), id_array(second)

    assert sorted({*first, *second}) == union_of(left, right).to_pylist()
    assert sorted({*first, *second}) == (
        union_of(column([*first, None], cut, cut_too), column([None, *second], cut)).to_pylist()
    )
    assert sorted({*first} - {*second}) == minus(left, right).to_pylist()
    assert sorted({*first} & {*second}) == among(left, right).to_pylist()
    assert {pa.string()} == {minus(left, right).type, among(left, right).type}


def test_no_sets_at_all() -> None:
    """The union of nothing, and of what holds nothing but nulls."""
    assert ([], pa.string()) == (union_of().to_pylist(), union_of().type)
    assert [] == union_of(column([None, None])).to_pylist()
    assert [] == union_of(column([]), id_array([])).to_pylist()


def test_what_is_taken_away_or_looked_for_may_be_empty() -> None:
    """Nothing taken away leaves all; nothing looked for finds nothing."""
    ids = id_array(["a", "b"])

    assert ["a", "b"] == minus(ids, id_array([])).to_pylist()
    assert [] == minus(id_array([]), ids).to_pylist()
    assert [] == among(ids, id_array([])).to_pylist()


def test_an_order_that_is_asked_for_is_kept() -> None:
    """What is taken away from a list of ids leaves the others where they were."""
    ids = pa.array(["c", "a", "b"], pa.string())

    assert ["c", "b"] == minus(ids, id_array(["a"])).to_pylist()
    assert ["c", "b"] == among(ids, id_array(["b", "c"])).to_pylist()


@settings(deadline=None, max_examples=60)
@given(some_texts, texts)
def test_whether_an_id_is_there(ids: list[str], wanted: str) -> None:
    """Every id of a set is in it, and no other."""
    assert (wanted in ids) is has(id_array(ids), wanted)
    assert all(has(id_array(ids), id_) for id_ in ids)


@settings(deadline=None, max_examples=60)
@given(some_texts, texts, texts)
def test_where_a_span_lies(ids: list[str], first: str, last: str) -> None:
    """From one to another, both included, whether they are there or not."""
    array = id_array(ids)
    start, end = span(array, first, last)

    assert (
        sorted({i for i in ids if first <= i <= last}) == array[start : max(start, end)].to_pylist()
    )


def test_an_array_as_texts() -> None:
    """An item is a text and a slice a list of them; what begins beyond the end is an error."""
    texts = Texts(pa.array(["a", "b", "c"], pa.string()))

    assert (3, "b", ["b", "c"], []) == (len(texts), texts[1], texts[1:9], texts[3:])
    assert ["a", "b", "c"] == list(texts)
    with pytest.raises(IndexError):
        texts[3]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(some_texts, st.booleans(), st.booleans()), max_size=6), texts)
def test_a_set_that_grows(pages: list[tuple[list[str], bool, bool]], wanted: str) -> None:
    """Whatever comes in whatever pages, and whether it is looked at between them or not."""
    ids, expected = IdSet(), set()
    for page, as_texts, look in pages:
        if as_texts:
            ids.update(page)
        else:
            ids.add(column([*page, None], 3))
        expected |= set(page)
        if look:
            assert len(expected) == len(ids)
            assert (wanted in expected) is (wanted in ids)

    assert sorted(expected) == ids.ids.to_pylist() == list(ids)
    assert all(id_ in ids for id_ in expected)


def test_a_set_is_sorted_a_few_times_only() -> None:
    """A set that grows by pages is not sorted at every page: that would take the square of its size."""
    sorts: list[int] = []

    class Counted(IdSet):
        def _settle(self) -> None:
            sorts.append(1)
            super()._settle()

    ids = Counted()
    for start in range(0, 600_000, 2_000):
        ids.add(pa.array(range(start, start + 2_000)).cast(pa.string()))

    assert 1 <= len(sorts) <= 4
    assert 600_000 == len(ids.ids)


def test_sets_of_many_pages_hold_their_own_ids() -> None:
    """The pages that an array was cut from may go: nothing of them is lost or changed."""
    page = pa.array([f"{n:05}" for n in range(1_000)])
    ids = IdSet()
    for start in range(0, 1_000, 7):
        ids.add(page[start : start + 7])
        ids.add(page[start : start + 3])

    assert page.to_pylist() == ids.ids.to_pylist()
    assert ids.ids.offset == 0


def test_sets_that_are_merged_a_stretch_at_a_time() -> None:
    """Longer than a stretch, of unlike lengths, overlapping at one end, at both and nowhere."""
    names = [f"00T{number:015}" for number in range(300_000)]
    lists = [names[:250_001], names[100_000:], names[99_999:200_001:7], names[-3:], names[1:2]]
    arrays = [id_array(part) for part in lists]

    assert names == union_of(*arrays).to_pylist()
    assert sorted({*lists[2], *lists[3]}) == union_of(arrays[2], arrays[3]).to_pylist()
    assert names[100_000:] == union_of(arrays[3], arrays[1]).to_pylist()


@pytest.mark.parametrize("settled", [False, True], ids=["as added", "sorted"])
def test_marks_are_those_of_a_set(settled: bool) -> None:
    """In whatever order parts came, with nulls, of ids before, within and after them."""
    ids = IdSet()
    for part in (["d", None, "b"], ["h", "f"], [], [None], ["c"]):
        ids.add(pa.array(part, pa.string()))
    if settled:
        assert len(ids) == 5
    asked = ["a", "b", "c", "e", "f", "h", "i"]

    assert ids.marks(pa.array(asked)).to_pylist() == [id_ in set("bcdfh") for id_ in asked]
    assert ids.marks(pa.array([], pa.string())).to_pylist() == []
    assert ids.marks(pa.chunked_array([["c"], ["g"]])).to_pylist() == [True, False]
    assert IdSet().marks(pa.array(["a"])).to_pylist() == [False]
