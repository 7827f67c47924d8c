"""JSON records and CSV pages become the same Arrow rows.

Which API fetched a row can't be seen in its table: same types, nulls, text, instants. An empty
string is null. NUL characters are removed and counted, for PostgreSQL can't store them. A value
that its column can't hold is null in its row and comes back as :class:`Rejected`; the row loads.

Sources: REST API Developer Guide, "Field Types" (JSON values); Bulk API 2.0 Developer Guide, "Get
Results for a Query Job" (CSV: UTF-8, every value quoted, an empty value is null).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pa_csv

from salesforce_targeted.columns import ROW_HASH, Column, Columns

NUL = "\0"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A value, or where ``field`` is empty a whole record, that could not be fetched or loaded.

    Attributes:
        payload: The raw value or record as JSON text. Personal data: never logged.
    """

    object: str
    record_id: str
    field: str
    error: str
    payload: str


@dataclass(slots=True)
class Batch:
    """Rows of one table in its one schema, and what was not loadable of them.

    Attributes:
        table: ``Columns.schema``, ``row_hash`` last.
        nuls_removed: Values that had NUL characters.
    """

    table: pa.Table
    rejected: list[Rejected] = field(default_factory=list)
    nuls_removed: int = 0


def from_records(records: Sequence[Mapping[str, Any]], columns: Columns) -> Batch:
    """Turn JSON records into a batch.

    Args:
        records: As a query or Collections answered, keyed by API name, without ``attributes``.
    """
    raw = {c.field: [record.get(c.field) for record in records] for c in columns.items}
    return _batch(columns, raw, _array_of_json)


def from_csv(page: bytes, columns: Columns) -> Batch:
    r"""Turn a page of Bulk results into a batch.

    Args:
        page: UTF-8 CSV with a header row of API names; line ends inside values are data.

    Raises:
        pa.ArrowInvalid: the page is not CSV with these columns: it was cut or is not ours.
    """
    text = dict.fromkeys(columns.fields, pa.string())
    read = pa_csv.read_csv(
        pa.BufferReader(page),
        # One block: a value of 131,072 characters may not straddle two.
        read_options=pa_csv.ReadOptions(block_size=max(len(page), 1), use_threads=False),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=text,
            include_columns=columns.fields,
            null_values=[""],  # only the empty value: "NA" and "null" are what somebody typed
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    raw = {name: _one_chunk(read.column(name)) for name in columns.fields}
    return _batch(columns, raw, _array_of_text)


def add_row_hash(table: pa.Table) -> pa.Table:
    """Append ``row_hash``: 32 hex digits over the row's non-null columns.

    Nulls don't take part, so a new column leaves the hash of a row without a value in it alone.
    """
    parts = [
        pc.binary_join_element_wise(name, _hashable(table.column(name)), NUL)
        for name in sorted(table.column_names)
    ]
    # NUL separates and never occurs in a value: no two rows spell the same text.
    joined = _one_chunk(pc.binary_join_element_wise(*parts, NUL, null_handling="skip"))
    joined = joined.cast(pa.large_string())
    ends = memoryview(joined.buffers()[1]).cast("q")[joined.offset :]
    data = memoryview(joined.buffers()[2] or b"")
    blake2b = hashlib.blake2b
    hashes = [
        blake2b(data[ends[row] : ends[row + 1]], digest_size=16).hexdigest()
        for row in range(len(joined))
    ]
    return table.append_column(ROW_HASH, pa.array(hashes, pa.string()))


def concat(tables: Iterable[pa.Table]) -> pa.Table:
    """Put tables of one schema together, as contiguous columns."""
    return pa.concat_tables(tables).combine_chunks()


def _batch(
    columns: Columns, raw: Mapping[str, Any], to_array: Callable[[Column, Any], pa.Array]
) -> Batch:
    ids = raw[columns.key.field]
    rejected: list[Rejected] = []
    arrays, nuls = [], 0
    for column in columns.items:
        try:
            array = _fit(to_array(column, raw[column.field]), column)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            array = _one_by_one(columns.object_name, column, ids, raw, to_array, rejected)
        if pa.types.is_string(array.type):
            array, removed = _clean(array)
            nuls += removed
        arrays.append(array)
    schema = columns.schema.remove(len(columns.items))
    table = pa.Table.from_arrays(arrays, schema=schema)
    return Batch(add_row_hash(table), rejected, nuls)


def _one_by_one(
    object_name: str,
    column: Column,
    ids: Any,
    raw: Mapping[str, Any],
    to_array: Callable[[Column, Any], pa.Array],
    rejected: list[Rejected],
) -> pa.Array:
    """Convert a column value by value, so that one bad value costs itself alone."""
    values = raw[column.field]
    found: list[pa.Array] = []
    for row in range(len(values)):
        one = values[row : row + 1]
        try:
            found.append(_fit(to_array(column, one), column))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            value = _plain(one[0])
            found.append(pa.nulls(1, column.type))
            reason = f"{type(error).__name__}: not a value of type {column.type}"
            payload = orjson.dumps(value, default=str).decode()
            rejected.append(
                Rejected(object_name, str(_plain(ids[row])), column.field, reason, payload)
            )
    return pa.concat_arrays(found)


def _array_of_json(column: Column, values: list[Any]) -> pa.Array:
    kind = column.wire_type
    if pa.types.is_string(kind):
        try:
            return pa.array(values, kind)
        except (pa.ArrowException, TypeError):
            return pa.array([_as_text(value) for value in values], kind)
    if pa.types.is_integer(kind):
        # Inferred, then cast: told to make integers, Arrow cuts 1.5 to 1 without a word.
        return pa.array(values).cast(kind)
    if pa.types.is_temporal(kind):
        return _array_of_text(column, pa.array(values, pa.string()))
    return pa.array(values, kind)


def _array_of_text(column: Column, texts: pa.Array) -> pa.Array:
    kind = column.wire_type
    if pa.types.is_string(kind):
        return texts
    if not pa.types.is_temporal(kind):
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid:
            if not pa.types.is_integer(kind):
                raise
            return texts.cast(pa.float64()).cast(kind)  # "12.0" is twelve, "12.5" is refused
    if pa.types.is_time(kind):
        # Arrow reads no lone time; on the first day of the epoch it is one.
        moments = pc.binary_join_element_wise("1970-01-01", texts, "T")
        return moments.cast(pa.timestamp("us", tz="UTC")).cast(kind)
    return texts.cast(kind)


def _fit(array: pa.Array, column: Column) -> pa.Array:
    """Cast to the type that the destination's column has; refuses what would change a value."""
    if array.type == column.type:
        return array
    if pa.types.is_boolean(array.type) and not pa.types.is_string(column.type):
        array = array.cast(pa.int64())
    if pa.types.is_timestamp(array.type) and pa.types.is_date(column.type):
        fitted = array.cast(column.type)
        if not fitted.cast(array.type).equals(array):
            raise ValueError("a time of day does not fit a date")
        return fitted
    return array.cast(column.type)


def _clean(array: pa.Array) -> tuple[pa.Array, int]:
    """Empty strings to null; NULs out. Returns the values that had one."""
    nuls = pc.sum(pc.match_substring(array, NUL)).as_py() or 0
    if nuls:
        array = pc.replace_substring(array, NUL, "")
    empty = pc.equal(array, "")
    if pc.any(empty).as_py():
        array = pc.if_else(empty, None, array)
    return array, nuls


def _hashable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as text that is the same for the same values, whatever version wrote it."""
    if pa.types.is_floating(column.type):
        # The bits: no rounding by a printer, and 0.0 differs from -0.0.
        return pa.chunked_array([chunk.view(pa.int64()) for chunk in column.chunks]).cast("string")
    if pa.types.is_date(column.type):
        return column.cast(pa.int32()).cast("string")
    if pa.types.is_temporal(column.type):
        return column.cast(pa.int64()).cast("string")
    return column.cast("string")


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _plain(value: Any) -> Any:
    return value.as_py() if isinstance(value, pa.Scalar) else value


def _one_chunk(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
