"""Values as Salesforce spells them become columns as the destination has them.

An empty string is null. NUL characters are removed and counted, for PostgreSQL can't store them;
the readers put one before the U+FFFD that half a character becomes. A value that its column can't
hold is null in its row and comes back as :class:`Rejected`; the row loads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api.errors import TruncatedResponseError
from salesforce_targeted.arrow.batch import NUL, Batch, Rejected, add_row_hash
from salesforce_targeted.arrow.columns import FITTING_TYPES, TIMESTAMP, Column, Columns

# What is raised where a value is of another type than described.
UNREADABLE = (pa.ArrowException, TypeError, ValueError, OverflowError)

# A number as text that is nothing else: "0123" and "+3" would come back as other texts.
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_BEYOND_EXACT = 2**53  # from here on a double stands for several whole numbers


def batch_of(
    columns: Columns, raw: Mapping[str, Any], to_array: Callable[[Any, pa.DataType], pa.Array]
) -> Batch:
    """Make a batch of the values of each field.

    Args:
        raw: By API name the values as they were read, one for each row, in one order.
        to_array: Makes an array of the wire type of some of the values, or raises one of
            :data:`UNREADABLE`.

    Raises:
        TruncatedResponseError: a record has no id.
    """
    ids = raw[columns.key.field]
    if (ids.null_count if isinstance(ids, pa.Array) else ids.count(None)) > 0:
        raise TruncatedResponseError("a record without an id")
    rejected: list[Rejected] = []
    arrays, nuls = [], 0
    for column in columns.items:
        try:
            array, removed = _clean(to_array(raw[column.field], column.wire_type))
            array = _fit(array, column)
        except UNREADABLE:
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
    arrays: list[pa.Array] = []
    nuls = 0
    for row in range(len(values)):
        cell = values[row : row + 1]
        value = _plain(cell[0])
        array = pa.nulls(1, column.type)
        try:
            if value != "":  # an empty string is null, whatever the type
                read, removed = _clean(to_array(cell, column.wire_type))
                array = _fit(read, column)
                nuls += removed
        except UNREADABLE as error:
            reason = f"{type(error).__name__}: not a value of type {column.type}"
            rejected.append(
                Rejected(object_name, str(_plain(ids[row])), column.field, reason, _as_json(value))
            )
        arrays.append(array)
    return pa.concat_arrays(arrays), nuls


def array_of_text(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Read texts as Salesforce spells values of a type in CSV, and times and dates in JSON too."""
    if pa.types.is_string(kind):
        return texts
    if not pa.types.is_temporal(kind):
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid:
            if not pa.types.is_integer(kind):
                raise
        return whole(texts.cast(pa.float64()))
    if pa.types.is_time(kind):
        # Arrow reads no lone time; on the first day of the epoch it is one.
        moments = pc.binary_join_element_wise("1970-01-01", texts, "T")
        return moments.cast(pa.timestamp("us", tz="UTC")).cast(kind)
    return texts.cast(kind)


def whole(numbers: pa.Array) -> pa.Array:
    """Read doubles as whole numbers: 12.0 is twelve, 12.5 is refused."""
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
    fitted = array_of_text(texts, kind)
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
    """Read texts with empty ones as null and NULs out. Returns the values that had one.

    Raises:
        ValueError: a number that is none, or is beyond a double.
    """
    if pa.types.is_floating(array.type) and pc.all(pc.is_finite(array)).as_py() is False:
        raise ValueError("not a number")
    if not pa.types.is_string(array.type):
        return array, 0
    nuls = pc.sum(pc.match_substring(array, NUL)).as_py() or 0
    if nuls:
        array = pc.replace_substring(array, NUL, "")
    empty = pc.equal(array, "")
    if pc.any(empty).as_py():
        array = pc.if_else(empty, None, array)
    return array, nuls


def _as_json(value: Any) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # a number beyond 64 bits, a lone surrogate: the slower one writes both
        return json.dumps(value, default=str)


def _plain(value: Any) -> Any:
    return value.as_py() if isinstance(value, pa.Scalar) else value
