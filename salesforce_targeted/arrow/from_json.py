"""JSON records become a batch of Arrow rows, the same as of a CSV page.

Source: REST API Developer Guide, "Field Types".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as pa_json

from salesforce_targeted.api.models import JsonRows
from salesforce_targeted.arrow.batch import EVERY_RECORD, Batch, Rejected, one_chunk
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.values import UNREADABLE, array_of_text, batch_of, whole

_LEFT_OUT = "the response has no such field, though it was asked for"


def from_json(rows: JsonRows, columns: Columns) -> Batch:
    """Turn the records of a response into a batch; the nulls among them have no row.

    Raises:
        TruncatedResponseError: the response is no JSON.
    """
    if rows.lines is not None:
        try:
            return _from_lines(rows.lines, columns)
        except UNREADABLE:
            pass  # a value of another type than described: the slower reader finds and names it
    return from_records([record for record in rows.parsed() if record is not None], columns)


def from_response(rows: JsonRows, columns: Columns) -> Batch:
    """Turn what was asked for with all columns into a batch, as :func:`from_json`.

    A field that no record has was left out on the way: its values are not known, which is another
    matter than null.
    """
    batch = from_json(rows, columns)
    empty = [c.field for c in columns.items if batch.table.column(c.name).null_count == len(batch)]
    batch.rejected += [
        Rejected(columns.object_name, EVERY_RECORD, name, _LEFT_OUT, "")
        for name in (_left_out(rows, empty) if len(batch) and empty else ())
    ]
    return batch


def _left_out(rows: JsonRows, fields: list[str]) -> list[str]:
    """List those fields that no record has; none where nulls are not written at all."""
    if rows.lines is not None:
        lines = rows.lines if b":null" in rows.lines else b""
        return [name for name in fields if lines and f'"{name}"'.encode() not in lines]
    records = rows.records()
    names = {name for record in records for name in record}
    writes_nulls = any(value is None for record in records for value in record.values())
    return [name for name in fields if writes_nulls and name not in names]


def from_records(records: Sequence[Mapping[str, Any]], columns: Columns) -> Batch:
    """Turn JSON records into a batch.

    Args:
        records: As a query or Collections returns them, keyed by API name, without ``attributes``.
    """
    raw = {c.field: [record.get(c.field) for record in records] for c in columns.items}
    return batch_of(columns, raw, _array_of_json)


def _from_lines(lines: bytes, columns: Columns) -> Batch:
    """Read JSON lines with Arrow's own reader, in half the time that Python values take.

    Raises:
        pa.ArrowException, ValueError: not JSON, not UTF-8, or not of the types described.
    """
    if not lines:
        return from_records([], columns)
    # Arrow's reader takes bytes that are no text, and only PostgreSQL would notice.
    pa.array([lines], pa.large_binary()).cast(pa.large_string())
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
    raw = {name: one_chunk(read.column(name)) for name in columns.fields}
    for name, values in raw.items():
        # Arrow's reader takes NaN and Infinity, which are no JSON, and numbers beyond a double.
        if pa.types.is_floating(values.type) and pc.all(pc.is_finite(values)).as_py() is False:
            raise ValueError(f"{name}: not a number")
    return batch_of(columns, raw, _array_of_read)


def _array_of_json(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        try:
            return pa.array(values, kind)
        except (pa.ArrowException, TypeError):
            return pa.array([_as_text(value) for value in values], kind)
    if pa.types.is_integer(kind):
        # Inferred, then cast: told to make integers, Arrow cuts 1.5 to 1 without a word.
        numbers = pa.array(values)
        return whole(numbers) if pa.types.is_floating(numbers.type) else numbers.cast(kind)
    if pa.types.is_temporal(kind):
        return array_of_text(pa.array(values, pa.string()), kind)
    try:
        return pa.array(values, kind)
    except pa.ArrowInvalid:
        # A double without a fraction, spelled as a whole number that only rounds to it.
        return pa.array([float(v) if type(v) is int else v for v in values], kind)


def _array_of_read(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Convert what Arrow's JSON reader made: texts where JSON has no type of its own."""
    return values if values.type == kind else array_of_text(values, kind)


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
