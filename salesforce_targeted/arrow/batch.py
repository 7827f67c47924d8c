"""Hold a batch: Arrow rows of one table, and what was not loadable of them.

Which API fetched a row can't be seen in its table: same types, nulls, text, instants, whether
``json_records`` or ``csv_pages`` made it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.arrow.columns import ROW_HASH, Columns

NUL = "\0"

# The text of a row is twice its size, so a large page is not spelled out at once.
_ROWS_HASHED_AT_ONCE = 4_000
# A rejection's record where it is a field that can't be read of any.
EVERY_RECORD = "*"


@dataclass(frozen=True, slots=True)
class Rejected:
    """Name a value, or where ``field`` is empty a record, that could not be fetched or loaded.

    Attributes:
        record_id: Its id; :data:`EVERY_RECORD` for a field that can't be read of any record.
        payload: The raw value or record as JSON text; empty where it could not be fetched.
            Personal data: never logged.
    """

    object: str
    record_id: str
    field: str
    error: str
    payload: str


@dataclass(slots=True)
class Batch:
    """Hold rows of one table in its one schema, and what was not loadable of them.

    Attributes:
        table: ``Columns.schema``, ``row_hash`` last.
        nuls_removed: Values that had NUL characters.
    """

    table: pa.Table
    rejected: list[Rejected] = field(default_factory=list)
    nuls_removed: int = 0

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def of_rows(self, chosen: pa.ChunkedArray, columns: Columns) -> Batch:
        """Return the chosen rows, and what was rejected, but for what is of the other rows."""
        table, key = self.table.filter(chosen), columns.key.name
        if not self.rejected:
            return Batch(table, [], self.nuls_removed)
        others = {*self.table.column(key).to_pylist()}.difference(table.column(key).to_pylist())
        rejected = [
            value for value in dict.fromkeys(self.rejected) if value.record_id not in others
        ]
        return Batch(table, rejected, self.nuls_removed)


def concat(tables: Iterable[pa.Table]) -> pa.Table:
    """Put tables of one schema together, as contiguous columns."""
    return pa.concat_tables(tables).combine_chunks()


def together(batches: Sequence[Batch]) -> Batch:
    """Join several batches of one schema."""
    return Batch(
        concat(batch.table for batch in batches),
        [rejected for batch in batches for rejected in batch.rejected],
        sum(batch.nuls_removed for batch in batches),
    )


def add_row_hash(table: pa.Table) -> pa.Table:
    """Append ``row_hash``: 32 hex digits over the row's non-null columns.

    Nulls don't take part, so a new column leaves the hash of a row without a value in it alone.
    """
    hashes: list[str] = []
    for start in range(0, table.num_rows, _ROWS_HASHED_AT_ONCE):
        hashes += _hashes(table.slice(start, _ROWS_HASHED_AT_ONCE))
    return table.append_column(ROW_HASH, pa.array(hashes, pa.string()))


def _hashes(table: pa.Table) -> list[str]:
    # Of hundreds of fields most are empty in most orgs: those take no part, and no time.
    parts = [
        pc.binary_join_element_wise(name, _hashable(table.column(name)), NUL)
        for name in sorted(table.column_names)
        if table.column(name).null_count < table.num_rows
    ]
    # NUL separates and never occurs in a value: no two rows spell the same text.
    joined = one_chunk(pc.binary_join_element_wise(*parts, NUL, null_handling="skip"))
    joined = joined.cast(pa.large_string())
    ends = memoryview(joined.buffers()[1]).cast("q")[joined.offset :]
    data = memoryview(joined.buffers()[2] or b"")
    blake2b = hashlib.blake2b
    return [
        blake2b(data[ends[row] : ends[row + 1]], digest_size=16).hexdigest()
        for row in range(len(joined))
    ]


def _hashable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write a column as text that is the same for the same values, whatever version wrote it."""
    if pa.types.is_floating(column.type):
        # The bits: no rounding by a printer, and 0.0 differs from -0.0.
        return pa.chunked_array([chunk.view(pa.int64()) for chunk in column.chunks]).cast("string")
    if pa.types.is_date(column.type):
        return column.cast(pa.int32()).cast("string")
    if pa.types.is_temporal(column.type):
        return column.cast(pa.int64()).cast("string")
    return column.cast("string")


def one_chunk(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column as one array."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
