"""Write SOQL; nothing else does.

Rules:
1. Text becomes SOQL through ``literal`` and ``name`` only; a plain ``str`` is never accepted as a
   condition.
2. Whatever can't be said safely raises before it is sent.

Source: SOQL and SOSL Reference, "Quoted String Escape Sequences", "Date Formats and Date Literals
in WHERE", "Condition Expression Syntax".
"""

import math
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import quote_plus

from .errors import ConfigurationError
from .ids import to_18
from .limits import DOCUMENTED, Limits


class Soql(str):
    """Mark a whole statement that this module wrote."""

    __slots__ = ()


class Condition(str):
    """Mark a condition that this module wrote."""

    __slots__ = ()


class Expression(str):
    """Mark a selected aggregate, or a sort order, that this module wrote."""

    __slots__ = ()


Value = str | bool | int | float | Decimal | datetime | date | None

# "Quoted String Escape Sequences". Of the control characters only these have an escape; the others
# are sent as they are (the URL encodes them). "%" and "_" matter to LIKE only, which we never
# write.
_ESCAPES = str.maketrans(
    {
        "\\": "\\\\",
        "'": "\\'",
        '"': '\\"',
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\b": "\\b",
        "\f": "\\f",
    }
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*){0,5}\Z", re.ASCII)
_LONGEST_NAME = 255
_AGGREGATES = {"COUNT", "COUNT_DISTINCT", "MIN", "MAX", "SUM", "AVG"}
_ORDERING = (">", ">=", "<", "<=")
_SEPARATOR_BYTES = len(quote_plus(","))
# An address with room for less than a quarter of the ids that it could hold is not used.
_NARROW_ADDRESS = 4


def literal(value: Value) -> str:  # noqa: PLR0911  # one return per type
    """Spell the value as SOQL does; text in quotes, everything else without.

    Raises:
        ValueError: a time without zone or outside of the calendar, a number that isn't finite, text
            that is too long for a literal or can't be written as UTF-8.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, (float, Decimal)):
        if not math.isfinite(value):
            raise ValueError("SOQL has no literal for a number that isn't finite")
        return str(float(value) if isinstance(value, float) else f"{value:f}")
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, date):
        return value.isoformat()
    text = str(value)
    if len(text) > DOCUMENTED.literal_chars:
        raise ValueError(f"a SOQL literal holds at most {DOCUMENTED.literal_chars} characters")
    text.encode()  # a lone surrogate raises UnicodeEncodeError, which is a ValueError
    return f"'{text.translate(_ESCAPES)}'"


def _moment(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError("a time without zone: which instant would it be?")
    try:
        utc = value.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise ValueError("an instant outside of the years 1 to 9999") from None
    # Salesforce keeps milliseconds. Cutting, not rounding: `>=` must never move past the row.
    return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds") + "Z"


def name(identifier: str) -> str:
    """Check the name of an object, a field or a path of fields ("Owner.Name").

    Raises:
        ConfigurationError: it isn't a name, so it can't be one of the org's either.
    """
    if len(identifier) > _LONGEST_NAME or not _NAME.match(identifier):
        raise ConfigurationError(
            f"{identifier[:60]!r} can't be a name of Salesforce",
            remedy="Names are letters, digits and underscores, beginning with a letter.",
        )
    return identifier


def aggregate(function: str, field: str = "", alias: str = "") -> Expression:
    """``COUNT()``, ``COUNT(Id) n``, ``MIN(SystemModstamp) oldest`` for use in ``select``."""
    if function not in _AGGREGATES or (not field and (function != "COUNT" or alias)):
        raise ConfigurationError("that is no aggregate of SOQL")
    call = f"{function}({name(field) if field else ''})"
    return Expression(f"{call} {name(alias)}" if alias else call)


def descending(field: str) -> Expression:
    """Make a sort order for ``order_by``, largest first."""
    return Expression(f"{name(field)} DESC")


def eq(field: str, value: Value) -> Condition:
    """``field = value``; null compares with null here, unlike in SQL."""
    return Condition(f"{name(field)} = {literal(value)}")


def ne(field: str, value: Value) -> Condition:
    """``field != value``."""
    return Condition(f"{name(field)} != {literal(value)}")


def bound(field: str, operator: str, value: Value) -> Condition | None:
    """``field >= value``, or with another of ``>``, ``<`` and ``<=``; None where there is no value.

    Raises:
        ConfigurationError: another operator.
    """
    if operator not in _ORDERING:
        raise ConfigurationError("that is no comparison of SOQL")
    return None if value is None else Condition(f"{name(field)} {operator} {literal(value)}")


def is_in(field: str, values: Iterable[Value]) -> Condition:
    """``field IN (…)``.

    Raises:
        ValueError: no values; SOQL has no empty list, and leaving the condition out would select
            all.
    """
    written = ",".join(literal(value) for value in values)
    if not written:
        raise ValueError("IN needs at least one value")
    return Condition(f"{name(field)} IN ({written})")


def id_in(ids: Iterable[str], field: str = "Id") -> Condition:
    """``Id IN (…)`` for ids in either form, each one checked.

    Raises:
        ValueError: no ids, or one that is none.
    """
    return is_in(field, [to_18(id_) for id_ in ids])


def and_(*conditions: Condition | None) -> Condition | None:
    """Join all of the conditions; None among them counts as none, and None alone gives None."""
    parts = [condition for condition in conditions if condition is not None]
    if not all(isinstance(part, Condition) for part in parts):
        raise TypeError("conditions come from this module, never from text")
    if not parts:
        return None
    if len(parts) == 1:
        return parts[0]
    return Condition("(" + " AND ".join(parts) + ")")


def select(
    fields: Iterable[str],
    object_name: str,
    where: Condition | None = None,
    group_by: Iterable[str] = (),
    order_by: Iterable[str] = (),
    limit: int | None = None,
) -> Soql:
    """Write one statement, on one line.

    Args:
        fields: Names, or what ``aggregate`` returns.
        where: What this module's functions return.
        order_by: Names, or what ``descending`` returns.

    Raises:
        ConfigurationError: a name that can't be one.
        TypeError: a condition that is plain text.
        ValueError: no fields, a negative limit, or a statement longer than Salesforce takes.
    """
    chosen = [_selected(field) for field in fields]
    if not chosen:
        raise ValueError("SELECT needs at least one field")
    statement = f"SELECT {', '.join(chosen)} FROM {name(object_name)}"  # noqa: S608  # checked
    if where is not None:
        if not isinstance(where, Condition):
            raise TypeError("conditions come from this module, never from text")
        statement += f" WHERE {where}"
    if groups := ", ".join(name(field) for field in group_by):
        statement += f" GROUP BY {groups}"
    if orders := ", ".join(_selected(field) for field in order_by):
        statement += f" ORDER BY {orders}"
    if limit is not None:
        if type(limit) is not int or limit < 0:
            raise ValueError("LIMIT needs a number of rows")
        statement += f" LIMIT {int(limit)}"
    if len(statement) > DOCUMENTED.soql_chars:
        raise ValueError(f"the statement exceeds {DOCUMENTED.soql_chars} characters: ask for less")
    return Soql(statement)


def _selected(field: str) -> str:
    return field if isinstance(field, Expression) else name(field)


def ids_that_fit(
    fields: Iterable[str],
    object_name: str,
    limits: Limits = DOCUMENTED,
    field: str = "Id",
) -> int:
    """Count the ids that ``select(fields, object_name, id_in(ids))`` can name in one call.

    Where the fields leave an address little room for ids, the statement travels in the body of a
    ``composite`` call, where only SOQL's own limit holds: calls are in proportion to records, not
    to fields.

    Source: "Status Codes and Error Responses" (414), "SOQL and SOSL Limits".
    """
    id_ = "0" * 18
    frame = select(fields, object_name, is_in(field, [id_]))
    per_id = len(quote_plus(f"'{id_}'")) + _SEPARATOR_BYTES
    # 100 bytes for the path before the statement; more than this travels in a composite body.
    room = limits.uri_bytes - limits.header_bytes - 100
    in_uri = (room - len(quote_plus(frame))) // per_id + 1
    in_soql = (limits.soql_chars - len(frame)) // (len(id_) + 3) + 1
    if in_uri < limits.ids_per_query // _NARROW_ADDRESS:
        return max(1, min(in_soql, limits.rows_per_query_page))
    return max(1, min(in_uri, in_soql, limits.ids_per_query))
