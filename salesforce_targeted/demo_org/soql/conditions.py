"""WHERE as a predicate on rows.

Rules:
- Text compares without regard to case; ids compare binary, 15 and 18 characters alike.
- A quoted date, an unquoted string, an unknown field: refused before any row is looked at.

Source: SOQL and SOSL Reference, "Comparison Operators", "Date Formats and Date Literals".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from salesforce_targeted.demo_org.ids import normal
from salesforce_targeted.demo_org.instants import text_of
from salesforce_targeted.demo_org.refusals import Refused, malformed, no_such_field, no_such_object
from salesforce_targeted.demo_org.schema.fields import ID_TYPES, NUMBER_TYPES, Entry
from salesforce_targeted.demo_org.soql import parser
from salesforce_targeted.demo_org.storage.people import Row

if TYPE_CHECKING:
    from salesforce_targeted.demo_org.soql.parser import Condition, Literal
    from salesforce_targeted.demo_org.storage.state import OrgState
    from salesforce_targeted.demo_org.storage.tables import Table

Read = Callable[[Row], Any]
Keep = Callable[[Row], bool]

NOT_IN_SEMI_JOINS = frozenset({"Task", "Event", "TaskWhoRelation", "EventWhoRelation"})


@dataclass(frozen=True)
class Path:
    """A field, of the object itself or of a parent, found in describe."""

    names: tuple[str, ...]  # canonical, e.g. ("Account", "Name")
    entry: Entry
    read: Read
    source: str  # the field of the object itself that it is read from or by


def resolve(org: OrgState, table: Table, path: str) -> Path:
    """Find a field by its path in any case.

    Raises:
        Refused: 400 INVALID_FIELD: no such field, or none that our user may see.
    """
    parts = path.split(".")
    if len(parts) > 1 and parts[0].lower() == table.name.lower():
        parts = parts[1:]
    if len(parts) > 2:
        raise malformed(f"relationship paths of more than one step are not modelled: {path}")
    entries = table.visible_entries()
    if len(parts) == 1:
        canonical = _canonical(entries, parts[0])
        if canonical is None:
            raise no_such_field(parts[0], table.name)
        return Path((canonical,), entries[canonical], reader(org, table, canonical), canonical)
    for name, entry in entries.items():
        if (entry["relationshipName"] or "").lower() == parts[0].lower():
            return _resolve_parent(org, table, name, entry, parts[1])
    raise Refused(
        400, "INVALID_FIELD", f"Didn't understand relationship '{parts[0]}' in field path. If you "
        "are attempting to use a custom relationship, be sure to append the '__r' after the custom "
        "relationship name. Please reference your WSDL or the describe call for the appropriate "
        "names.")  # fmt: skip


def _canonical(entries: dict[str, Entry], name: str) -> str | None:
    if name in entries:
        return name
    lowered = name.lower()
    return next((known for known in entries if known.lower() == lowered), None)


def reader(org: OrgState, table: Table, name: str) -> Read:
    """Return a function that reads the field *name* of a row."""
    if table.entries[name]["type"] in ("address", "location"):
        return lambda row: org.value(table, row, name)
    return lambda row: row.get(name)


def _resolve_parent(
    org: OrgState, table: Table, reference: str, entry: Entry, name: str
) -> Path:  # fmt: skip
    relationship = entry["relationshipName"]
    targets = [parent for target in entry["referenceTo"] if (parent := org.object(target))]
    if not targets:
        raise no_such_field(f"{relationship}.{name}", table.name)
    entries = targets[0].visible_entries()
    if len(entry["referenceTo"]) > 1 and name.lower() not in ("name", "type", "id"):
        raise no_such_field(name, "Name")  # a polymorphic parent shows what all of them have
    if name.lower() == "type" and len(entry["referenceTo"]) > 1:

        def read_type(row: Row) -> Any:
            parent = org.parent(row.get(reference))
            return parent[0].name if parent else None

        return Path((relationship, "Type"), table.entries[reference], read_type, reference)
    canonical = _canonical(entries, name)
    if canonical is None:
        raise no_such_field(name, targets[0].name)

    def read(row: Row) -> Any:
        parent = org.parent(row.get(reference))
        return org.value(parent[0], parent[1], canonical) if parent else None

    return Path((relationship, canonical), entries[canonical], read, reference)


# -------------------------------------------------------------------- literals
def comparable(path: Path, literal: Literal, now: datetime) -> Any:
    """Return the literal as a value of the field's type; a range literal as a pair of texts."""
    kind, name = path.entry["type"], path.names[-1]
    if literal.kind == "null":
        return None
    if kind in ID_TYPES:
        if literal.kind != "string":
            raise _wrong_type(name, "reference", quoted=True)
        if literal.value == "":
            return None
        id_ = normal(literal.value)
        if id_ is None:
            message = f"invalid ID field: {literal.value}"
            raise Refused(400, "INVALID_QUERY_FILTER_OPERATOR", message)
        return id_
    if kind in ("date", "datetime"):
        return _moment(kind, name, literal, now)
    if kind == "boolean":
        if literal.kind != "boolean":
            raise _wrong_type(name, "boolean")
        return literal.value
    if kind in NUMBER_TYPES:
        if literal.kind != "number":
            raise _wrong_type(name, kind)
        return literal.value
    if literal.kind != "string" and kind != "time":
        raise _wrong_type(name, "string", quoted=True)
    return str(literal.value).casefold() or None


def _wrong_type(name: str, kind: str, *, quoted: bool = False) -> Refused:
    # Source: recorded responses; INVALID_FIELD whichever way the quotes are wrong.
    wanted = "should be enclosed in quotes" if quoted else "should not be enclosed in quotes"
    message = f"value of filter criterion for field '{name}' must be of type {kind} and {wanted}"
    return Refused(400, "INVALID_FIELD", message)


def _moment(kind: str, name: str, literal: Literal, now: datetime) -> Any:
    if literal.kind == "range":
        return span(kind, literal, now)
    if literal.kind != kind:
        raise _wrong_type(name, "dateTime" if kind == "datetime" else "date")
    try:
        moment = datetime.fromisoformat(literal.value)
    except ValueError:
        raise malformed(f"line 1:1 no viable alternative at '{literal.value}'") from None
    return literal.value if kind == "date" else text_of(moment)


def span(kind: str, literal: Literal, now: datetime) -> tuple[str, str]:
    """Return the first instant (day) of a range literal and the first one after it, in UTC."""
    word, count = literal.value
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = timedelta(days=1)
    spans = {
        "TODAY": (today, today + day), "YESTERDAY": (today - day, today),
        "TOMORROW": (today + day, today + 2 * day),
        "LAST_90_DAYS": (today - 90 * day, today + day),
    }  # fmt: skip
    if count is not None:
        spans |= {
            "LAST_N_DAYS": (today - count * day, today + day),
            "NEXT_N_DAYS": (today + day, today + (count + 1) * day),
            "N_DAYS_AGO": (today - count * day, today - (count - 1) * day),
        }
    if word not in spans:
        raise malformed(f"unexpected token: '{word}'")
    first, after = spans[word]
    if kind == "date":
        return first.date().isoformat(), after.date().isoformat()
    return text_of(first), text_of(after)


# -------------------------------------------------------------------- predicates
def _filterable(path: Path) -> None:
    if not path.entry["filterable"]:
        message = f"field '{path.names[-1]}' can not be filtered in a query call"
        raise Refused(400, "INVALID_FIELD", message)


def predicate(org: OrgState, table: Table, condition: Condition) -> Keep:
    """Turn a condition into a function of a row.

    Raises:
        Refused: for what Salesforce would not run.
    """
    if isinstance(condition, parser.Junction):
        parts = [predicate(org, table, part) for part in condition.parts]
        if condition.operator == "NOT":
            return lambda row: not parts[0](row)
        if condition.operator == "AND":
            return lambda row: all(part(row) for part in parts)
        return lambda row: any(part(row) for part in parts)
    if isinstance(condition, parser.SemiJoin):
        raise _semi_join(org, condition)
    if isinstance(condition, parser.Membership):
        return _membership(resolve(org, table, condition.path), condition, org.now)
    if isinstance(condition.subject, parser.Aggregate):
        raise malformed("aggregate functions are allowed in HAVING only")
    path = resolve(org, table, condition.subject)
    _filterable(path)
    return comparison(path, condition.operator, condition.literal, org.now)


def _semi_join(org: OrgState, condition: parser.SemiJoin) -> Refused:
    inner = org.object(condition.inner.entity)
    if inner is None:
        return no_such_object(condition.inner.entity)
    if inner.name in NOT_IN_SEMI_JOINS:
        return malformed(f"Entity '{inner.name}' is not supported for semi join inner selects")
    return malformed("semi joins are not modelled by this org")


def _folded(path: Path) -> Read:
    kind, read = path.entry["type"], path.read
    if kind in ID_TYPES or kind in NUMBER_TYPES or kind in ("boolean", "date", "datetime"):
        return read
    if path.entry["caseSensitive"]:
        return read

    def folded(row: Row) -> Any:
        value = read(row)
        return value.casefold() if isinstance(value, str) else value

    return folded


def comparison(path: Path, operator: str, literal: Literal, now: datetime) -> Keep:
    """Turn a comparison into a function of a row; a null never satisfies an ordering."""
    if operator == "LIKE":
        return _like(path, literal)
    value, read = comparable(path, literal, now), _folded(path)
    if path.entry["caseSensitive"] and literal.kind == "string":
        value = literal.value or None
    if isinstance(value, tuple):
        return _within(read, operator, *value)
    if operator == "=":
        return lambda row: bool(read(row) == value)
    if operator == "!=":
        return lambda row: bool(read(row) != value)
    if value is None or path.entry["type"] == "boolean":
        code = "INVALID_QUERY_FILTER_OPERATOR"
        raise Refused(400, code, f"invalid operator on {path.entry['type']} field")
    tests: dict[str, Callable[[Any], bool]] = {
        "<": lambda held: bool(held < value), "<=": lambda held: bool(held <= value),
        ">": lambda held: bool(held > value), ">=": lambda held: bool(held >= value),
    }  # fmt: skip
    test = tests[operator]

    def ordered(row: Row) -> bool:
        held = read(row)
        return held is not None and test(held)

    return ordered


def _within(read: Read, operator: str, first: str, after: str) -> Keep:
    tests: dict[str, Callable[[str], bool]] = {
        "=": lambda held: first <= held < after, "!=": lambda held: not first <= held < after,
        "<": lambda held: held < first, "<=": lambda held: held < after,
        ">": lambda held: held >= after, ">=": lambda held: held >= first,
    }  # fmt: skip
    test = tests[operator]

    def keep(row: Row) -> bool:
        held = read(row)
        return operator == "!=" if held is None else test(held)

    return keep


def _like(path: Path, literal: Literal) -> Keep:
    if path.entry["type"] in ID_TYPES:
        raise Refused(400, "INVALID_QUERY_FILTER_OPERATOR", "invalid operator on id field")
    if literal.kind != "string" or path.entry["soapType"] != "xsd:string":
        raise Refused(400, "INVALID_QUERY_FILTER_OPERATOR", "invalid operator")
    pattern = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in literal.value)
    match = re.compile(pattern, re.IGNORECASE | re.DOTALL).fullmatch
    read = path.read
    return lambda row: (held := read(row)) is not None and match(held) is not None


def _membership(path: Path, condition: parser.Membership, now: datetime) -> Keep:
    _filterable(path)
    kind = path.entry["type"]
    if condition.operator in ("INCLUDES", "EXCLUDES"):
        if kind != "multipicklist":
            message = f"{condition.operator} operator only valid on multipicklist fields"
            raise Refused(400, "INVALID_QUERY_FILTER_OPERATOR", message)
        groups = [set(str(lit.value).casefold().split(";")) for lit in condition.literals]
        wanted = condition.operator == "INCLUDES"
        read = path.read

        def has(row: Row) -> bool:
            held = set((read(row) or "").casefold().split(";"))
            return wanted is any(group <= held for group in groups)

        return has
    values = {comparable(path, literal, now) for literal in condition.literals}
    if any(isinstance(value, tuple) for value in values):
        raise malformed("date ranges in IN are not modelled")
    folded = _folded(path)
    if condition.operator == "IN":
        return lambda row: folded(row) in values
    return lambda row: folded(row) not in values
