"""JSON records and CSV pages become the same Arrow rows.

Which API fetched a row can't be seen in its table: same types, nulls, text, instants. An empty
string is null. NUL characters are removed and counted, for PostgreSQL can't store them. A value
that its column can't hold is null in its row and comes back as :class:`Rejected`; the row loads.

Sources: REST API Developer Guide, "Field Types" (JSON values); Bulk API 2.0 Developer Guide, "Get
Results for a Query Job" (CSV: UTF-8, every value quoted, an empty value is null).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pa_csv
from pyarrow import json as pa_json

from salesforce_targeted.api.errors import TruncatedAnswerError
from salesforce_targeted.api.wire import JsonRows
from salesforce_targeted.columns import FITTING_TYPES, ROW_HASH, TIMESTAMP, Column, Columns

NUL = "\0"

# A number as text that is nothing else: "0123" and "+3" would come back as other texts.
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_BEYOND_EXACT = 2**53  # from here on a double stands for several whole numbers
# The text of a row is twice its size, so a large page is not spelled out at once.
_ROWS_HASHED_AT_ONCE = 4_000
_UNREADABLE = (pa.ArrowException, TypeError, ValueError, OverflowError)


# A rejection's record where it is a field that can't be read of any.
EVERY_RECORD = "*"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A value, or where ``field`` is empty a whole record, that could not be fetched or loaded.

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
    """Rows of one table in its one schema, and what was not loadable of them.

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
        """Some of the rows, and what was rejected of them."""
        table = self.table.filter(chosen)
        if not self.rejected:
            return Batch(table, [], self.nuls_removed)
        ids = set(table.column(columns.key.name).to_pylist())
        rejected = [one for one in dict.fromkeys(self.rejected) if one.record_id in ids]
        return Batch(table, rejected, self.nuls_removed)


def from_json(rows: JsonRows, columns: Columns) -> Batch:
    """Turn the records of an answer into a batch; the nulls among them have no row.

    Raises:
        TruncatedAnswerError: the answer is no JSON.
    """
    if rows.lines is not None:
        try:
            batch = _from_lines(rows.lines, columns)
            if rows.entries in (None, len(batch) + rows.nulls):
                return batch
        except _UNREADABLE:
            pass  # a value of another type than described: the slower reader finds and names it
    return from_records([record for record in rows.parsed() if record is not None], columns)


def from_records(records: Sequence[Mapping[str, Any]], columns: Columns) -> Batch:
    """Turn JSON records into a batch.

    Args:
        records: As a query or Collections answered, keyed by API name, without ``attributes``.
    """
    raw = {c.field: [record.get(c.field) for record in records] for c in columns.items}
    return _batch(columns, raw, _array_of_json)


def _from_lines(lines: bytes, columns: Columns) -> Batch:
    """JSON lines by Arrow's own reader, which takes half the time of reading Python values.

    Raises:
        pa.ArrowException, ValueError: not JSON, not UTF-8, or not of the types described.
    """
    if not lines:
        return from_records([], columns)
    str(lines, "utf-8")  # Arrow takes bytes that are no text, and only PostgreSQL would notice
    wire_types = {
        c.field: pa.string() if pa.types.is_temporal(c.wire_type) else c.wire_type
        for c in columns.items
    }
    read = pa_json.read_json(
        pa.BufferReader(lines),
        read_options=pa_json.ReadOptions(block_size=len(lines) + 1, use_threads=False),
        parse_options=pa_json.ParseOptions(
            explicit_schema=pa.schema(wire_types), unexpected_field_behavior="ignore"
        ),
    )
    if read.num_rows != lines.count(b"\n") + 1:
        raise ValueError("a line of JSON is not a record")
    raw = {name: _one_chunk(read.column(name)) for name in columns.fields}
    for name, values in raw.items():
        # Arrow's reader takes NaN and Infinity, which are no JSON, and numbers beyond a double.
        if pa.types.is_floating(values.type) and pc.all(pc.is_finite(values)).as_py() is False:
            raise ValueError(f"{name}: not a number")
    return _batch(columns, raw, _array_of_read)


def from_csv(page: bytes, columns: Columns, among: pa.Array | None = None) -> Batch:
    r"""Turn a page of Bulk results into a batch.

    Args:
        page: UTF-8 CSV with a header row of API names; line ends inside values are data.
        among: Take the rows of these ids only; the others cost next to nothing.

    Raises:
        pa.ArrowException: the page is not CSV with these columns: it was cut or is not ours. (A
            page cut inside its last value reads as whole: ``bulk.pages`` counts before this does.)
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
    if among is not None:
        read = read.filter(pc.is_in(read.column(columns.key.field), value_set=among))
    raw = {name: _one_chunk(read.column(name)) for name in columns.fields}
    return _batch(columns, raw, _array_of_text)


def add_row_hash(table: pa.Table) -> pa.Table:
    """Append ``row_hash``: 32 hex digits over the row's non-null columns.

    Nulls don't take part, so a new column leaves the hash of a row without a value in it alone.
    """
    hashes: list[str] = []
    for start in range(0, table.num_rows, _ROWS_HASHED_AT_ONCE):
        hashes += _hashes(table.slice(start, _ROWS_HASHED_AT_ONCE))
    return table.append_column(ROW_HASH, pa.array(hashes, pa.string()))


def _hashes(table: pa.Table) -> list[str]:
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
    return [
        blake2b(data[ends[row] : ends[row + 1]], digest_size=16).hexdigest()
        for row in range(len(joined))
    ]


def concat(tables: Iterable[pa.Table]) -> pa.Table:
    """Put tables of one schema together, as contiguous columns."""
    return pa.concat_tables(tables).combine_chunks()


def together(batches: Sequence[Batch]) -> Batch:
    """Several batches of one schema as one."""
    return Batch(
        concat(batch.table for batch in batches),
        [rejected for batch in batches for rejected in batch.rejected],
        sum(batch.nuls_removed for batch in batches),
    )


def _batch(
    columns: Columns, raw: Mapping[str, Any], to_array: Callable[[Any, pa.DataType], pa.Array]
) -> Batch:
    ids = raw[columns.key.field]
    if (ids.null_count if isinstance(ids, pa.Array) else ids.count(None)) > 0:
        raise TruncatedAnswerError("a record without an id")
    rejected: list[Rejected] = []
    arrays, nuls = [], 0
    for column in columns.items:
        try:
            array, removed = _clean(to_array(raw[column.field], column.wire_type))
            array = _fit(array, column)
        except _UNREADABLE:
            array, removed = _one_by_one(columns.object_name, column, ids, raw, to_array, rejected)
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
    to_array: Callable[[Any, pa.DataType], pa.Array],
    rejected: list[Rejected],
) -> tuple[pa.Array, int]:
    """Convert a column value by value, so that one bad value costs itself alone."""
    values = raw[column.field]
    found: list[pa.Array] = []
    nuls = 0
    for row in range(len(values)):
        one = values[row : row + 1]
        value = _plain(one[0])
        array = pa.nulls(1, column.type)
        try:
            if value != "":  # an empty string is null, whatever the type
                read, removed = _clean(to_array(one, column.wire_type))
                array = _fit(read, column)
                nuls += removed
        except _UNREADABLE as error:
            reason = f"{type(error).__name__}: not a value of type {column.type}"
            rejected.append(
                Rejected(object_name, str(_plain(ids[row])), column.field, reason, _as_json(value))
            )
        found.append(array)
    return pa.concat_arrays(found), nuls


def _array_of_json(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        try:
            return pa.array(values, kind)
        except (pa.ArrowException, TypeError):
            return pa.array([_as_text(value) for value in values], kind)
    if pa.types.is_integer(kind):
        # Inferred, then cast: told to make integers, Arrow cuts 1.5 to 1 without a word.
        numbers = pa.array(values)
        return _whole(numbers) if pa.types.is_floating(numbers.type) else numbers.cast(kind)
    if pa.types.is_temporal(kind):
        return _array_of_text(pa.array(values, pa.string()), kind)
    try:
        return pa.array(values, kind)
    except pa.ArrowInvalid:
        # A double without a fraction, spelled as a whole number that only rounds to it.
        return pa.array([float(v) if type(v) is int else v for v in values], kind)


def _array_of_read(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """What Arrow's JSON reader made: texts where JSON has no type of its own."""
    return values if values.type == kind else _array_of_text(values, kind)


def _array_of_text(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Texts as Salesforce spells values of a type in CSV, and times and dates in JSON too."""
    if pa.types.is_string(kind):
        return texts
    if not pa.types.is_temporal(kind):
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid:
            if not pa.types.is_integer(kind):
                raise
        return _whole(texts.cast(pa.float64()))
    if pa.types.is_time(kind):
        # Arrow reads no lone time; on the first day of the epoch it is one.
        moments = pc.binary_join_element_wise("1970-01-01", texts, "T")
        return moments.cast(pa.timestamp("us", tz="UTC")).cast(kind)
    return texts.cast(kind)


def _whole(numbers: pa.Array) -> pa.Array:
    """Doubles as whole numbers: 12.0 is twelve, 12.5 is refused."""
    if pc.any(pc.greater_equal(pc.abs(numbers), _BEYOND_EXACT)).as_py():
        raise ValueError("it may have been another whole number before it was a double")
    return numbers.cast(pa.int64())


def _fit(array: pa.Array, column: Column) -> pa.Array:
    """Cast to the type that the destination's column has; refuses what would change a value."""
    if array.type == column.type:
        return array
    if array.null_count == len(array):
        return pa.nulls(len(array), column.type)
    if pa.types.is_string(array.type):
        return _fit_text(array, column.type)
    if pa.types.is_string(column.type):
        return array.cast(column.type)
    if array.type not in FITTING_TYPES[column.type]:
        raise TypeError(f"{array.type} is no {column.type}")
    # By way of whole numbers, for Arrow casts no boolean to a double and back.
    whole = array.cast(pa.int64()) if pa.types.is_boolean(array.type) else array
    fitted = whole.cast(column.type)
    if not fitted.cast(array.type).equals(array):
        raise ValueError("the value would not come back as it was")
    return fitted


def _fit_text(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Read texts as values of a type; refuses those that would come back as other texts."""
    fitted = _array_of_text(texts, kind)
    if pa.types.is_floating(kind):
        same = pc.all(pc.match_substring_regex(texts, _NUMBER)).as_py() and all(
            text is None or Decimal(text) == Decimal(repr(number))
            for text, number in zip(texts.to_pylist(), fitted.to_pylist(), strict=True)
        )
    else:
        # Instants and times have several spellings, and Salesforce's is not Arrow's.
        same = kind in {TIMESTAMP, pa.time64("us")} or fitted.cast(texts.type).equals(texts)
    if not same:
        raise ValueError("the text would not come back as it was")
    return fitted


def _clean(array: pa.Array) -> tuple[pa.Array, int]:
    """Texts with empty ones as null and NULs out. Returns the values that had one."""
    if not pa.types.is_string(array.type):
        return array, 0
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


def _as_json(value: Any) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # a number beyond 64 bits, a lone surrogate: the slower one writes both
        return json.dumps(value, default=str)


def _plain(value: Any) -> Any:
    return value.as_py() if isinstance(value, pa.Scalar) else value


def _one_chunk(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
