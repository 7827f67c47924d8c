"""Run a parsed query over the org: which rows, in which order, or which groups.

Source: SOQL and SOSL Reference, "GROUP BY", "ORDER BY", "OFFSET"; rules of aggregates measured on
real orgs, see the project's reference of Salesforce behaviour.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from salesforce_targeted.demo_org.refusals import (
    Refused,
    malformed,
    no_such_object,
    timed_out,
    too_large,
)
from salesforce_targeted.demo_org.schema.activity_kinds import BY_RELATIONS
from salesforce_targeted.demo_org.schema.fields import COMPOUND_TYPES
from salesforce_targeted.demo_org.soql import parser
from salesforce_targeted.demo_org.soql.conditions import Keep, Path, comparison, predicate, resolve
from salesforce_targeted.demo_org.soql.narrowing import candidates, from_key, keyset
from salesforce_targeted.demo_org.soql.parser import Aggregate, Query
from salesforce_targeted.demo_org.storage.people import Row

if TYPE_CHECKING:
    from salesforce_targeted.demo_org.storage.state import OrgState
    from salesforce_targeted.demo_org.storage.tables import Table

MAX_GROUPS = 2_000
MAX_OFFSET = 2_000


@dataclass
class Selection:
    """Hold the rows that a query found: a snapshot of ids; values are read when a page is sent."""

    table: Table
    paths: Sequence[Path]
    ordinals: Sequence[int]


@dataclass
class QueryResult:
    """Hold the result of a query: a count, groups, or a selection of rows."""

    total: int
    groups: list[Row] | None = None
    selection: Selection | None = None


def run(org: OrgState, query: Query, *, all_rows: bool) -> QueryResult:
    """Evaluate *query*.

    Raises:
        Refused: for what Salesforce would not run.
    """
    table = org.object(query.entity)
    if table is None:
        raise no_such_object(query.entity)
    if table.name in BY_RELATIONS and not org.traits.view_all_data:
        raise too_large()
    if query.offset > MAX_OFFSET:
        message = "Maximum SOQL offset allowed is 2000"
        raise Refused(400, "NUMBER_OUTSIDE_VALID_RANGE", message)
    keep = predicate(org, table, query.where) if query.where else None
    if query.group_by or query.aggregates:
        return _aggregate(org, table, query, keep, all_rows=all_rows)
    paths = selected(org, table, query)
    order = [_sortable(resolve(org, table, _field_of(term))) for term in query.order_by]
    among = candidates(org, table, query.where)
    by_id = not order or order[0].names == ("Id",)
    backwards = bool(by_id and order and query.order_by[0].descending)
    if backwards and query.limit is not None:
        among = reversed(list(table.ordinals() if among is None else among))
    matched = org.visible(table, all_rows=all_rows, ordinals=among, keep=keep)
    if by_id and (not backwards or query.limit is not None):
        stop = None if query.limit is None else query.offset + query.limit
        ordinals: Sequence[int] = array("q", islice(matched, query.offset, stop))
    else:
        ordered = _ordered(table, list(matched), order, query)
        stop = None if query.limit is None else query.offset + query.limit
        ordinals = array("q", ordered[query.offset : stop])
    return QueryResult(len(ordinals), selection=Selection(table, paths, ordinals))


def selected(org: OrgState, table: Table, query: Query) -> list[Path]:
    """Return the fields of the SELECT list, FIELDS() written out."""
    paths = [resolve(org, table, item) for item in query.select if isinstance(item, str)]
    if query.fields_group is not None:
        if query.fields_group not in ("ALL", "CUSTOM", "STANDARD"):
            raise malformed(f"unexpected token: '{query.fields_group}'")
        unbounded = query.fields_group != "STANDARD"
        if unbounded and (query.limit is None or query.limit > 200):
            raise malformed("The SOQL FIELDS function must have a LIMIT of at most 200")
        for name, entry in table.visible_entries().items():
            if query.fields_group == "ALL" or entry["custom"] is (query.fields_group == "CUSTOM"):
                paths.append(resolve(org, table, name))
    names = [path.names for path in paths]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise Refused(400, "INVALID_FIELD", f"duplicate field selected: {'.'.join(twice)}")
    return paths


def _field_of(term: parser.Order) -> str:
    if isinstance(term.subject, Aggregate):
        raise malformed("Ordering by an aggregate needs a GROUP BY")
    return term.subject


def _sortable(path: Path) -> Path:
    if not path.entry["sortable"]:
        message = f"field '{path.names[-1]}' can not be sorted in a query call"
        raise Refused(400, "INVALID_FIELD", message)
    return path


def _sort_key(path: Path, term: parser.Order) -> Callable[[Row], tuple[bool, Any]]:
    texts = path.entry["type"] not in ("id", "reference", "datetime", "date")

    def key(row: Row) -> tuple[bool, Any]:
        value = path.read(row)
        if value is None:
            return (term.nulls_last is not term.descending, 0)
        value = value.casefold() if texts and isinstance(value, str) else value
        return (term.nulls_last is term.descending, value)

    return key


def _ordered(table: Table, ordinals: list[int], order: list[Path], query: Query) -> list[int]:
    """Stable sort by the last term first; rows of equal keys stay in the order of their ids."""
    if order[0].names == ("Id",):  # nothing after an id decides anything
        return ordinals[::-1] if query.order_by[0].descending else ordinals
    terms = [
        (_sort_key(path, term), term.descending)
        for path, term in zip(order, query.order_by, strict=True)
    ]
    keyed: list[tuple[Any, ...]] = []  # only keys are kept: 600,000 rows would fill the memory
    for ordinal in ordinals:
        row = table.row(ordinal) or {}
        keyed.append((ordinal, *(key(row) for key, _ in terms)))
    for place, (_, descending) in reversed(list(enumerate(terms, start=1))):
        keyed.sort(key=itemgetter(place), reverse=descending)
    return [item[0] for item in keyed]


# -------------------------------------------------------------------- groups
def _aggregate(
    org: OrgState, table: Table, query: Query, keep: Keep | None, *, all_rows: bool
) -> QueryResult:  # fmt: skip
    matched = org.visible(
        table, all_rows=all_rows, ordinals=candidates(org, table, query.where), keep=keep
    )
    if org.traits.most_aggregate_rows is not None:
        rows = list(islice(matched, org.traits.most_aggregate_rows + 1))
        if len(rows) > org.traits.most_aggregate_rows:
            raise timed_out()
        matched = iter(rows)
    if query.counts_all and not query.group_by:
        if query.order_by:
            raise malformed("Order by not allowed with COUNT()")
        total = sum(1 for _ in matched) if keep or table.hidden else _size(org, table, all_rows)
        return QueryResult(total if query.limit is None else min(total, query.limit))
    if query.limit is not None and not query.group_by:
        raise malformed("Non-grouped query that uses overall aggregate functions cannot also use "
                        "LIMIT")  # fmt: skip
    grouped = [_groupable(resolve(org, table, path)) for path in query.group_by]
    columns = _columns(org, table, query, grouped)
    needed = {resolve(org, table, path).source for path in _mentioned(query)}
    members: dict[tuple[Any, ...], list[Row]] = {}
    enough = None
    if keyset(table, query):
        enough = query.offset + (query.limit or 0)
        map_in_order = from_key(table, query)
        matched = org.visible(table, all_rows=all_rows, ordinals=map_in_order, keep=keep)
    for ordinal in matched:
        whole = table.row(ordinal) or {}
        row = {name: whole.get(name) for name in needed}  # the rest would fill the memory
        key = tuple(path.read(row) for path in grouped)
        if len(members) == enough and key not in members:
            break  # rows come in the order of their groups: no later one is among the first
        members.setdefault(key, []).append(row)
    if not grouped and not members:
        members[()] = []
    groups = list(members.items())
    if query.having is not None:
        groups = [g for g in groups if _has(org, table, query.having, g)]
    groups = _ordered_groups(org, table, query, grouped, groups)
    stop = None if query.limit is None else query.offset + query.limit
    groups = groups[query.offset : stop]
    if len(groups) > MAX_GROUPS:
        raise Refused(
            400, "EXCEEDED_ID_LIMIT", "Aggregate query does not support queryMore(), use LIMIT to "
            "restrict the results to a single batch")  # fmt: skip
    records = [
        {"attributes": {"type": "AggregateResult"}}
        | {name: value(key, rows) for name, value in columns.items()}
        for key, rows in groups
    ]
    return QueryResult(len(records), groups=records)


def _mentioned(query: Query) -> set[str]:
    """Return every field that the groups of a query are made of, ordered by or chosen by."""
    subjects: list[str | Aggregate] = [*query.select, *query.group_by]
    subjects += [term.subject for term in query.order_by]
    conditions = [query.having] if query.having else []
    while conditions:
        condition = conditions.pop()
        if isinstance(condition, parser.Junction):
            conditions += condition.parts
        elif isinstance(condition, parser.Comparison):
            subjects.append(condition.subject)
        else:
            subjects.append(condition.path)
    paths = {item.path if isinstance(item, Aggregate) else item for item in subjects}
    return paths - {""}


def _size(org: OrgState, table: Table, all_rows: bool) -> int:
    """Count the rows that our user sees; only changed rows can be out of sight."""
    if table.name in BY_RELATIONS:
        return sum(1 for _ in org.visible(table, all_rows=all_rows))
    unseen = 0
    for ordinal in table.changed:
        row = table.changed[ordinal]
        unseen += not org.shows(table, ordinal, row, all_rows=all_rows)
    return len(table) - unseen


def _groupable(path: Path) -> Path:
    if not path.entry["groupable"]:
        message = f"field '{path.names[-1]}' can not be grouped in a query call"
        raise malformed(message)
    return path


Column = Callable[[tuple[Any, ...], list[Row]], Any]


def _columns(
    org: OrgState, table: Table, query: Query, grouped: list[Path]
) -> dict[str, Column]:  # fmt: skip
    columns: dict[str, Column] = {}
    places = {path.names: place for place, path in enumerate(grouped)}
    unnamed = 0
    for item in query.select:
        if isinstance(item, Aggregate):
            name = item.alias or f"expr{unnamed}"
            unnamed += item.alias is None
            columns[name] = _function(org, table, item)
            continue
        path = resolve(org, table, item)
        if path.names not in places:
            raise malformed(f"Field must be grouped or aggregated: {path.names[-1]}")
        place = places[path.names]
        alias = query.aliases.get(item, path.names[-1])
        columns[alias] = lambda key, _rows, place=place: key[place]  # type: ignore[misc]
    return columns


def _function(org: OrgState, table: Table, item: Aggregate) -> Column:
    if not item.path:
        raise malformed("unexpected token: ')'")
    path = resolve(org, table, item.path)
    kind = path.entry["type"]
    if not path.entry["aggregatable"] or kind in COMPOUND_TYPES:
        raise malformed(
            f"field {path.names[-1]} does not support aggregate operator {item.function}"
        )
    numeric = kind in ("int", "double", "currency", "percent")
    if item.function in ("SUM", "AVG") and not numeric:
        raise malformed(
            f"field {path.names[-1]} does not support aggregate operator {item.function}"
        )

    def values(rows: Iterable[Row]) -> list[Any]:
        return [value for row in rows if (value := path.read(row)) is not None]

    functions: dict[str, Callable[[list[Any]], Any]] = {
        "COUNT": len,
        "COUNT_DISTINCT": lambda held: len(set(held)),
        "MIN": lambda held: min(held, default=None),
        "MAX": lambda held: max(held, default=None),
        "SUM": lambda held: float(sum(held)) if held else None,
        "AVG": lambda held: sum(held) / len(held) if held else None,
    }
    function = functions[item.function]
    return lambda _key, rows: function(values(rows))


def _has(
    org: OrgState,
    table: Table,
    condition: parser.Condition,
    group: tuple[tuple[Any, ...], list[Row]],
) -> bool:
    if isinstance(condition, parser.Junction):
        results = [_has(org, table, part, group) for part in condition.parts]
        if condition.operator == "NOT":
            return not results[0]
        return all(results) if condition.operator == "AND" else any(results)
    key, rows = group
    if isinstance(condition, parser.Comparison) and isinstance(condition.subject, Aggregate):
        value = _function(org, table, condition.subject)(key, rows)
        entry = {"type": "double", "caseSensitive": False}
        path = Path((condition.subject.function,), entry, lambda _row: value, "")
        return comparison(path, condition.operator, condition.literal, org.now)({})
    return bool(rows) and predicate(org, table, condition)(rows[0])


def _ordered_groups(
    org: OrgState, table: Table, query: Query, grouped: list[Path],
    groups: list[tuple[tuple[Any, ...], list[Row]]],
) -> list[tuple[tuple[Any, ...], list[Row]]]:  # fmt: skip
    for term in reversed(query.order_by):
        if isinstance(term.subject, Aggregate):
            function = _function(org, table, term.subject)
            groups.sort(key=lambda group: _null_first(function(*group)), reverse=term.descending)
            continue
        path = resolve(org, table, term.subject)
        if path.names not in {known.names for known in grouped}:
            raise malformed(f"Field must be grouped or aggregated: {path.names[-1]}")
        key = _sort_key(path, term)
        groups.sort(key=lambda group: key(group[1][0]), reverse=term.descending)
    return groups


def _null_first(value: Any) -> tuple[bool, Any]:
    return (value is not None, 0 if value is None else value)
