"""Give a database's driver the values of conditions, and read those that it returns."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.arrow.columns import STORED_TYPES


@dataclass(frozen=True, slots=True)
class Where:
    """Hold an SQL condition, and the values of the ``%s`` in it.

    Rule: no moment and no truth value is written into the SQL. Each database has literals of its
    own; its driver knows how it keeps the value. A ``%`` of LIKE and a value don't go together.
    """

    sql: str
    values: tuple[Any, ...] = ()

    @classmethod
    def of(cls, condition: str | Where) -> Where:
        """Return a condition, one without values from its SQL."""
        return condition if isinstance(condition, Where) else cls(condition)

    def __and__(self, other: Where) -> Where:
        return Where(f"{self.sql} AND {other.sql}", (*self.values, *other.values))


# What a driver returns for a dlt type that its database does not have, and how it is read: SQLite
# keeps a truth value as a number, and dates as text.
_READ_AS: dict[str, tuple[type, type, Callable[[Any], Any]]] = {
    "bool": (bool, int, bool),
    "date": (date, str, date.fromisoformat),
    "time": (time, str, time.fromisoformat),
    "timestamp": (datetime, str, lambda text: in_utc(datetime.fromisoformat(text))),
}


def in_utc(moment: datetime) -> datetime:
    """Return an instant in UTC, which one without a zone is in already."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def as_stored(rows: list[tuple[Any, ...]], kinds: Sequence[str | None]) -> list[tuple[Any, ...]]:
    """Return rows with values of the columns' types, whatever the driver made of them."""
    odd = {}
    for at, kind in enumerate(kinds):
        if kind in _READ_AS:
            proper, stored, read = _READ_AS[kind]
            value = next((row[at] for row in rows if row[at] is not None), None)
            if isinstance(value, stored) and not isinstance(value, proper):
                odd[at] = read
    if not odd:
        return rows
    return [
        tuple(
            odd[at](value) if at in odd and value is not None else value
            for at, value in enumerate(row)
        )
        for row in rows
    ]


def stored_array(values: Sequence[Any], data_type: str, table: str) -> pa.Array:
    """Return values read back from a column as the Arrow type that may be loaded into it."""
    if data_type == "json":
        return pa.array([None if v is None else json.dumps(v) for v in values], pa.string())
    return typed(values, STORED_TYPES.get(data_type), table)


def typed_ids(values: Sequence[Any], kind: pa.DataType, table: str) -> pa.Array:
    """Make an array of ids, or of their counts.

    Raises:
        ConfigurationError: ids are padded: no other would be equal to one of them.
    """
    array = typed(values, kind, table)
    if kind == pa.string() and pc.any(pc.ends_with(array, " ")).as_py():
        raise ConfigurationError(
            f"{table} pads ids with blanks: a column of ids was altered to character(n)",
            remedy="ALTER TABLE … ALTER … TYPE varchar takes the blanks away; then run again.",
        )
    return array


def typed(values: Sequence[Any], kind: pa.DataType | None, table: str) -> pa.Array:
    """Make an array of what a column gave; a user may have made ``numeric`` of a double.

    Raises:
        ConfigurationError: values of another type.
    """
    try:
        floats = kind is not None and pa.types.is_floating(kind)
        return pa.array(values).cast(kind) if floats else pa.array(values, kind)
    except pa.ArrowException:
        raise ConfigurationError(
            f"{table} has other types of columns than a run makes",
            remedy="Where another program made it, choose another --dataset; else give its columns"
            " back their types (dlt pipeline <name> schema shows them).",
        ) from None
