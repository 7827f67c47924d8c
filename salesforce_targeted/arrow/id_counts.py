"""Count how many relations each id has: ids and numbers as two Arrow arrays, 30 bytes an id."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.arrow.batch import one_chunk
from salesforce_targeted.arrow.id_set import Texts, has, span

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("count", pa.int64())])
# So many rows may wait to be added up.
_LOOSE = 200_000


class IdCounts:
    """Keep a number for each id; zero for an id that is not in it.

    Attributes:
        ids: An array of ``id_set``.
        counts: As many numbers.
    """

    def __init__(self, table: pa.Table | None = None) -> None:
        """Add up the numbers of a table with the columns ``id`` and ``count``."""
        table = _SCHEMA.empty_table() if table is None else table
        table = table.filter(pc.is_valid(table.column("id")))
        summed = table.group_by("id").aggregate([("count", "sum")]).rename_columns(["id", "count"])
        summed = summed.cast(_SCHEMA).sort_by("id").combine_chunks()
        self.ids: pa.Array = one_chunk(summed.column("id"))
        self.counts: pa.Array = one_chunk(summed.column("count"))

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id_: str) -> bool:
        return has(self.ids, id_)

    def __getitem__(self, id_: str) -> int:
        start, end = span(self.ids, id_, id_)
        return int(self.counts[start].as_py()) if end > start else 0

    def __iter__(self) -> Iterator[str]:
        return iter(Texts(self.ids))

    @property
    def total(self) -> int:
        """Return the sum of all numbers."""
        return int(pc.sum(self.counts).as_py() or 0)

    def between(self, first: str, last: str) -> dict[str, int]:
        """Return the numbers of the ids from one to another."""
        start, end = span(self.ids, first, last)
        rows = slice(start, end)
        return dict(zip(self.ids[rows].to_pylist(), self.counts[rows].to_pylist(), strict=True))

    def unlike(self, other: IdCounts) -> list[str]:
        """Return the ids whose number differs between the two."""
        mine, theirs = self.table(), other.table().rename_columns(["id", "other"])
        pairs = mine.join(theirs, keys="id", join_type="full outer")
        number, elsewhere = (pc.fill_null(pairs.column(name), 0) for name in ("count", "other"))
        return list(pairs.filter(pc.not_equal(number, elsewhere)).column("id").to_pylist())

    def table(self) -> pa.Table:
        """Return a table with the columns ``id`` and ``count``."""
        return pa.Table.from_arrays([self.ids, self.counts], schema=_SCHEMA)


class Counting:
    """Keep counts that grow by the pages of a result."""

    def __init__(self) -> None:
        self._parts: list[pa.Table] = []
        self._loose = 0
        self._kept = 0

    def add(self, ids: pa.ChunkedArray) -> None:
        """Count each of the ids once more, for every time that it occurs."""
        counts = pc.value_counts(ids)
        self._parts.append(
            pa.Table.from_arrays([counts.field("values"), counts.field("counts")], schema=_SCHEMA)
        )
        self._loose += len(counts)
        if self._loose > max(_LOOSE, self._kept):
            self.counts()

    def counts(self) -> IdCounts:
        """Return what has been counted so far."""
        counts = IdCounts(pa.concat_tables(self._parts) if self._parts else None)
        self._parts, self._loose, self._kept = [counts.table()], 0, len(counts)
        return counts
