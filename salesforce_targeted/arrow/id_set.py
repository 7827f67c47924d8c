"""Record ids by the million: sets of them as sorted Arrow arrays, 22 bytes an id.

A Python set takes 110 bytes an id, and a run has a dozen sets: what an org of 600,000 active
contacts names would fill two gigabytes. An array of this module is sorted by its characters' codes,
holds no null and no id twice.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

# How many ids may wait unsorted: fewer, and a set that grows by pages is sorted at every page.
_LOOSE = 200_000
_MERGED_AT_ONCE = 100_000

T = TypeVar("T")


def id_array(ids: Iterable[str]) -> pa.Array:
    """Return ids in any order as an array of this module."""
    return union(pa.array(list(ids), pa.string()))


def union(*parts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the ids that are in any of some arrays or columns, nulls left out."""
    runs: list[pa.Array] = []
    for part in parts:
        chunks = [chunk for chunk in _chunks(part) if len(chunk)]
        run = chunks[0] if len(chunks) == 1 and _in_order(chunks[0]) else _sorted(chunks)
        # What is held and what is named are mostly the same: one array of a million does for both.
        if len(run) and not any(map(run.equals, runs)):
            runs.append(run)
    if len(runs) < 2:  # noqa: PLR2004
        return runs[0] if runs else pa.array([], pa.string())
    longest = max(runs, key=len)
    merged = pa.concat_arrays(list(_merged(runs, Texts(longest))))
    return longest if len(merged) == len(longest) else merged


def _merged(runs: Sequence[pa.Array], longest: Texts) -> Iterator[pa.Array]:
    """Merge sorted arrays a stretch at a time: sorted at once they take ten times their room."""
    starts = [0] * len(runs)
    for cut in range(_MERGED_AT_ONCE, len(longest) + _MERGED_AT_ONCE, _MERGED_AT_ONCE):
        last = cut >= len(longest)
        ends = [len(run) if last else bisect_left(Texts(run), longest[cut]) for run in runs]
        yield _sorted([run[start:end] for run, start, end in zip(runs, starts, ends, strict=True)])
        starts = ends


def _sorted(chunks: Sequence[pa.Array]) -> pa.Array:
    """Return the distinct ids of some arrays, nulls left out."""
    # Sorted, then without repeats: a hash table of the ids takes twice what they take.
    ids = distinct(pa.chunked_array(chunks, pa.string()))
    repeats = pc.equal(ids[1:], ids[:-1])
    if not pc.any(repeats).as_py():
        return ids
    return ids.filter(pa.concat_arrays([pa.array([True]), pc.invert(repeats)]))


def distinct(ids: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Sort ids of which none comes twice, nulls left out."""
    ids = ids.drop_null()
    ids = ids.take(pc.sort_indices(ids))
    return ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids


def of_records(ids: pa.Array) -> pa.Array:
    """Return those that are ids as the API sends them; the others are of rows that a user wrote."""
    return ids.filter(pc.match_substring_regex(ids, "^[0-9A-Za-z]{15}[0-5A-Z]{3}$"))


def _in_order(ids: pa.Array | pa.ChunkedArray) -> bool:
    if ids.null_count:
        return False
    return bool(pc.all(pc.less(ids[:-1], ids[1:]), min_count=0).as_py())


def minus(left: pa.Array, right: pa.Array) -> pa.Array:
    """Return the ids on the left that are not on the right."""
    if not len(right):
        return left
    if left.equals(right):
        return left[:0]
    return left.filter(pc.invert(pc.is_in(left, value_set=right)))


def among(left: pa.Array, right: pa.Array) -> pa.Array:
    """Return the ids on the left that are on the right too."""
    return left.filter(pc.is_in(left, value_set=right))


def has(ids: pa.Array, id_: str) -> bool:
    """Return whether an id is in an array of this module."""
    at = bisect_left(Texts(ids), id_)
    return at < len(ids) and ids[at].as_py() == id_


def span(ids: pa.Array, first: str, last: str) -> tuple[int, int]:
    """Find where the ids from one to another lie in an array of this module: start and end."""
    texts = Texts(ids)
    return bisect_left(texts, first), bisect_right(texts, last)


def is_unique(ids: pa.Array | pa.ChunkedArray) -> bool:
    """Tell whether no id of a column comes twice; most come in order, which is quick to see."""
    return _in_order(ids) or pc.count_distinct(ids, mode="all").as_py() == len(ids)


def first_of_each(ids: pa.ChunkedArray, chosen: pa.ChunkedArray) -> pa.ChunkedArray:
    """Mark those of some chosen rows whose id is in no row before."""
    if is_unique(ids):
        return chosen
    rows = pa.table({"id": ids, "row": range(len(ids))})
    first = rows.group_by("id").aggregate([("row", "min")]).column("row_min")
    return pc.and_(chosen, pc.is_in(rows.column("row"), value_set=first))


class Texts(Sequence[str]):
    """Read an array as a sequence of texts, each made when it is looked at."""

    def __init__(self, ids: pa.Array) -> None:
        self.ids = ids

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, at: int | slice) -> str | list[str]:  # type: ignore[override]
        values = self.ids[at]
        return values.to_pylist() if isinstance(at, slice) else values.as_py()  # type: ignore[no-any-return]


def in_batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items of a sequence in order, so many at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


class IdSet:
    """Keep a set that grows."""

    def __init__(self) -> None:
        self._sorted = id_array(())
        # Each with its least and its greatest id.
        self._parts: list[tuple[pa.Array, str, str]] = []
        self._loose = 0

    def add(self, ids: pa.Array | pa.ChunkedArray) -> None:
        """Put in the ids of a column; nulls are none."""
        for chunk in _chunks(ids):
            least, most = _ends(chunk)
            if least is not None:
                self._parts.append((chunk, least, most))
                self._loose += len(chunk)
        # In proportion to the whole, so that growing costs no more than sorting once or twice.
        if self._loose > max(_LOOSE, len(self._sorted)):
            self._settle()

    def clear(self) -> None:
        """Take all of them out."""
        self._sorted, self._parts, self._loose = id_array(()), [], 0

    def update(self, ids: Iterable[str]) -> None:
        """Put in ids that are texts."""
        self.add(pa.array(list(ids), pa.string()))

    def marks(self, ids: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        """Mark those of some ids that are in the set.

        What is looked through is what lies between the least and the greatest of them: most results
        come in the order of ids, and a set of a million is not hashed for every page.
        """
        least, most = _ends(ids)
        first, last = (0, 0) if least is None else span(self._sorted, least, most)
        near = [
            part
            for part, low, high in self._parts
            if least is not None and low <= most and least <= high
        ]
        return pc.is_in(ids, value_set=pa.concat_arrays([self._sorted[first:last], *near]))

    @property
    def ids(self) -> pa.Array:
        """Join all of them, as an array of this module."""
        self._settle()
        return self._sorted

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id_: str) -> bool:
        return has(self.ids, id_)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids.to_pylist())

    def _settle(self) -> None:
        if self._parts:
            self._sorted = union(self._sorted, *(part for part, _, _ in self._parts))
            self._parts, self._loose = [], 0


def _ends(ids: pa.Array | pa.ChunkedArray) -> tuple[Any, Any]:
    """Return the least and the greatest of some ids; None where there is none."""
    ends = pc.min_max(ids)
    return ends["min"].as_py(), ends["max"].as_py()


def _chunks(ids: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return list(ids.chunks) if isinstance(ids, pa.ChunkedArray) else [ids]
