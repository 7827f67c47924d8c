"""Conditions that spare a scan of every row: by id, after an id, from a stamp on.

Rules:
- What is returned holds every matching row and may hold others: the predicate still decides.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from . import soql
from .conditions import span
from .ids import normal
from .tables import ContactTable, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .soql import Condition, Literal
    from .state import OrgState


def candidates(org: OrgState, table: Table, condition: Condition | None) -> Iterable[int] | None:
    """Ordinals, ascending, among which all matching rows are; None: any row can match."""
    if isinstance(condition, soql.Junction) and condition.operator == "AND":
        found = [candidates(org, table, part) for part in condition.parts]
        lists = [f for f in found if isinstance(f, list)]
        return min(lists, key=len) if lists else next((f for f in found if f is not None), None)
    if isinstance(condition, soql.Membership):
        by_id = condition.operator == "IN" and condition.path.lower() == "id"
        if by_id:
            return _ordinals(org, table, [str(lit.value) for lit in condition.literals])
    if isinstance(condition, soql.Comparison) and isinstance(condition.subject, str):
        name, literal = condition.subject.lower(), condition.literal
        if name == "id" and literal.kind == "string":
            if condition.operator == "=":
                return _ordinals(org, table, [literal.value])
            if condition.operator in (">", ">="):
                return _after(table, literal.value)
        if name == "systemmodstamp" and condition.operator in (">", ">=", "="):
            return _stamped(table, literal, org.now)
    return None


def _ordinals(org: OrgState, table: Table, ids: list[str]) -> list[int]:
    found = {org.find(table, id_) for id_ in ids}
    return sorted(ordinal for ordinal in found if ordinal is not None)


def _after(table: Table, id_: str) -> Iterable[int] | None:
    full = normal(id_)
    ordinal = None if full is None else table.numbering.ordinal_of(full)
    return None if ordinal is None else table.ordinals(max(0, ordinal))


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
