"""Conditions that spare a scan of every row: by id, after an id, from a stamp on.

Rules:
- What is returned holds every matching row and may hold others: the predicate still decides.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from salesforce_targeted.demo_org.ids import normal
from salesforce_targeted.demo_org.schema.fields import ID_TYPES
from salesforce_targeted.demo_org.soql import parser
from salesforce_targeted.demo_org.soql.conditions import span
from salesforce_targeted.demo_org.storage.tables import ContactTable, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from salesforce_targeted.demo_org.soql.parser import Condition, Literal
    from salesforce_targeted.demo_org.storage.state import OrgState


def candidates(org: OrgState, table: Table, condition: Condition | None) -> Iterable[int] | None:
    """Ordinals, ascending, among which all matching rows are; None: any row can match."""
    ordinals = _narrowed(org, table, condition)
    if isinstance(ordinals, range):
        stop = ordinals.stop
        return (ordinal for ordinal in table.ordinals(ordinals.start) if ordinal < stop)
    return ordinals


def _narrowed(org: OrgState, table: Table, condition: Condition | None) -> Iterable[int] | None:
    """Narrow as above; one side of an id is a range of numbers, some of which have no row."""
    if isinstance(condition, parser.Junction) and condition.operator == "AND":
        narrowed = [_narrowed(org, table, part) for part in condition.parts]
        lists = [f for f in narrowed if isinstance(f, list)]
        if lists:
            return min(lists, key=len)
        if sides := [f for f in narrowed if isinstance(f, range)]:
            return range(max(r.start for r in sides), min(r.stop for r in sides))
        return next((f for f in narrowed if f is not None), None)
    if isinstance(condition, parser.Membership):
        by_id = condition.operator == "IN" and condition.path.lower() == "id"
        if by_id:
            return _ordinals(org, table, [str(lit.value) for lit in condition.literals])
    if isinstance(condition, parser.Comparison) and isinstance(condition.subject, str):
        name, literal = condition.subject.lower(), condition.literal
        if name == "id" and literal.kind == "string":
            if condition.operator == "=":
                return _ordinals(org, table, [literal.value])
            if condition.operator in (">", ">=", "<", "<="):
                return _beyond(table, condition.operator, literal.value)
        if name == "systemmodstamp" and condition.operator in (">", ">=", "="):
            return _stamped(table, literal, org.now)
    return None


def _ordinals(org: OrgState, table: Table, ids: list[str]) -> list[int]:
    ordinals = {org.find(table, id_) for id_ in ids}
    return sorted(ordinal for ordinal in ordinals if ordinal is not None)


def _beyond(table: Table, operator: str, id_: str) -> range | None:
    """Numbers, of which not every one need be a row's, on one side of an id."""
    full = normal(id_)
    ordinal = None if full is None else table.numbering.ordinal_of(full)
    if ordinal is None:
        return None
    last = table.next_ordinal()
    return range(max(0, ordinal), last) if operator[0] == ">" else range(min(last, ordinal + 1))


def _stamped(table: Table, literal: Literal, now: datetime) -> Iterable[int] | None:
    """Contacts follow creation by at most a known spread, unless they were changed."""
    if not isinstance(table, ContactTable) or "SystemModstamp" in table.patches:
        return None
    if literal.kind == "datetime":
        first = datetime.fromisoformat(literal.value)
    elif literal.kind == "range":
        first = datetime.fromisoformat(span("datetime", literal, now)[0])
    else:
        return None
    start = min(table.crowd.first_possible(int(first.timestamp())), table.crowd.count)
    earlier = sorted(ordinal for ordinal in table.changed if ordinal < start)
    return _chain(earlier, table.ordinals(start))


def _chain(first: Iterable[int], then: Iterable[int]) -> Iterable[int]:
    yield from first
    yield from then


# -------------------------------------------------------------------- keyset over groups
def keyset(table: Table, query: parser.Query) -> bool:
    """Return whether groups can be read in their order from an index, as far as the limit goes.

    That is ``… GROUP BY RelationId ORDER BY RelationId LIMIT n``: without it, each of fifty such
    calls would group all 300,000 relations of a big org.
    """
    if len(query.group_by) != 1 or len(query.order_by) != 1 or query.limit is None:
        return False
    name, term = query.group_by[0], query.order_by[0]
    entry = table.visible_entries().get(name)
    if entry is None or entry["type"] not in ID_TYPES or isinstance(table, ContactTable):
        return False
    plain = not term.descending and not term.nulls_last and query.having is None
    return plain and term.subject == name


def from_key(table: Table, query: parser.Query) -> Iterable[int]:
    """Return ordinals in the order of the grouped field, from what the condition starts after."""
    pairs, name = table.index(query.group_by[0]), query.group_by[0]
    parts = [query.where]
    if isinstance(query.where, parser.Junction) and query.where.operator == "AND":
        parts = list(query.where.parts)
    start, stop = 0, len(pairs)
    for part in parts:
        if not isinstance(part, parser.Comparison) or part.subject != name:
            continue
        full = normal(str(part.literal.value))
        if full is not None and part.operator in (">", ">="):
            start = max(start, bisect_left(pairs, (full, -1)))
        elif full is not None and part.operator in ("<", "<="):
            stop = min(stop, bisect_left(pairs, (full + "~", -1)))
    return (ordinal for _, ordinal in islice(pairs, start, stop))
