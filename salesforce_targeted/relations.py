"""TaskWhoRelation: rows since a cursor, and the distinct ids that they point at (discovery).

Rules. A GROUP BY can't be paged, so discovery walks the ids in their own order, one batch a call.
Long results are read in ranges of ids, several at once; ranges that follow one another cover all
ids whatever order the org sorts them in.
TaskWhoRelation exists in REST only, answers ``query`` only, and only where Shared Activities is on;
elsewhere a task's own ``WhoId`` is its one relation, and this module makes the same rows of it.

Sources: Object Reference, "TaskWhoRelation"; SOQL and SOSL Reference, "GROUP BY" (considerations).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api import endpoints, readers, soql
from salesforce_targeted.api import ids as sf_ids
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import (
    LocatorExpiredError,
    SalesforceError,
    TruncatedAnswerError,
)
from salesforce_targeted.api.in_flight import as_they_come, in_order
from salesforce_targeted.api.limits import Limits
from salesforce_targeted.api.wire import JsonRows
from salesforce_targeted.columns import Columns
from salesforce_targeted.id_set import IdSet
from salesforce_targeted.json_records import from_json, from_records
from salesforce_targeted.tables import Batch

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Junction:
    """The object whose rows relate a task to a contact or lead.

    Attributes:
        who: Its field with the contact's or lead's id.
        task: Its field with the task's id.
    """

    object_name: str
    who: str
    task: str


SHARED_ACTIVITIES = Junction("TaskWhoRelation", "RelationId", "TaskId")
TASK_WHO_ID = Junction("Task", "WhoId", "Id")

# How often a result that falls apart is read from its start.
_READINGS = 3
# Calls that a range should be worth at least: each range may end in a page that is not full.
_PAGES_PER_RANGE = 5
_MOST_RANGES = 24

Range = tuple[str | None, str | None]

# What a relation has; TaskWhoRelation's describe decides where it exists.
_FIELDS_OF_TASK = (
    "Id", "IsDeleted", "AccountId", "CreatedDate", "CreatedById", "LastModifiedDate",
    "LastModifiedById", "SystemModstamp",
)  # fmt: skip


def describe_of_task_relations(task: Mapping[str, Any]) -> dict[str, Any]:
    """A describe of TaskWhoRelation made of Task's, for orgs without Shared Activities."""
    entries = {entry["name"]: entry for entry in task["fields"]}
    same = [entries[name] for name in _FIELDS_OF_TASK if name in entries]
    renamed = [
        {**entries["WhoId"], "name": "RelationId", "label": "Relation ID"},
        {**entries["Id"], "name": "TaskId", "type": "reference", "label": "Task ID"},
        {**entries["WhoId"], "name": "Type", "type": "string", "label": "Type"},
    ]
    return {"name": "TaskWhoRelation", "fields": [*same, *renamed]}


def read(
    client: SalesforceClient,
    junction: Junction,
    columns: Columns,
    *,
    since: datetime | None = None,
    limit: int | None = None,
    ids: Sequence[str] | None = None,
    within: Range = (None, None),
) -> Iterator[Batch]:
    """Yield relation rows, a page at a time, each row once.

    Args:
        columns: Those of TaskWhoRelation, whichever object answers.
        since: Rows with ``SystemModstamp`` at or after it.
        limit: At most so many rows, the oldest first.
        ids: These relations only.
        within: From this id on, up to and without that one.
    """
    shared = junction is SHARED_ACTIVITIES
    asked = columns.fields if shared else _as_task_fields(columns.fields)
    low, high = within
    condition = soql.and_(
        _where(junction, since),
        None if ids is None else soql.id_in(ids),
        None if low is None else soql.ge("Id", low),
        None if high is None else soql.lt("Id", high),
    )
    order = () if limit is None else ("SystemModstamp", "Id")
    statement = soql.select(asked, junction.object_name, condition, order_by=order, limit=limit)

    def read_rows(rows: JsonRows) -> Batch:
        if shared:
            return from_json(rows, columns)
        return from_records([_as_relation(task) for task in rows.parsed() if task], columns)

    came = IdSet()
    for attempt in range(1, _READINGS + 1):
        try:
            for page in client.pages_as(statement, read_rows):
                key = page.table.column(columns.key.name)
                new = pc.invert(pc.is_in(key, value_set=came.ids)) if attempt > 1 else None
                came.add(key)
                yield page if new is None else page.of_rows(new, columns)
        except (LocatorExpiredError, TruncatedAnswerError):
            # A locator expires, and rows that are deleted while a long result is read drop out of
            # it, which can't be told from an answer that was cut.
            if attempt == _READINGS:
                raise
        else:
            return


def ranges(client: SalesforceClient, junction: Junction, expected: int) -> list[Range]:
    """Ranges of ids, to be read side by side; a single one where that gains nothing.

    One call, where there are more rows than a few pages: the first and the last id.

    Args:
        expected: About how many rows there are.
    """
    pieces = pieces_of(expected, client.limits)
    if pieces == 1:
        return [(None, None)]
    ends: list[str] = []
    statements = [
        soql.select(["Id"], junction.object_name, order_by=[order], limit=1)
        for order in ("Id", soql.descending("Id"))
    ]
    answers = client.together([endpoints.query(client.version, one) for one in statements])
    for answer in answers:
        if isinstance(answer, SalesforceError):
            return [(None, None)]
        ends += [row["Id"] for row in readers.page(answer).records]
    bounds: list[str | None] = [None]
    bounds += sf_ids.evenly_between(ends[0], ends[-1], pieces) if len(ends) > 1 else []
    return list(zip(bounds, [*bounds[1:], None], strict=True))


def pieces_of(expected: int, limits: Limits) -> int:
    """How many ranges so many rows are read in."""
    pages = expected // limits.rows_per_query_page
    return max(1, min(_MOST_RANGES, pages // _PAGES_PER_RANGE))


def read_ranges(
    client: SalesforceClient,
    junction: Junction,
    columns: Columns,
    some: Sequence[Range],
    *,
    since: datetime | None = None,
    limit: int | None = None,
) -> Iterator[tuple[int, Batch]]:
    """Yield the rows of several ranges with the number of their range, as they come."""

    def of(number: int) -> Iterator[tuple[int, Batch]]:
        pages = read(client, junction, columns, since=since, limit=limit, within=some[number])
        return ((number, batch) for batch in pages)

    return as_they_come([of(number) for number in range(len(some))], client.max_in_flight)


def read_by_ids(
    client: SalesforceClient, junction: Junction, columns: Columns, ids: Sequence[str]
) -> Iterator[Batch]:
    """Yield the rows of these relations that the org shows, a page at a time."""
    per_call = ids_per_call(junction, columns)

    def ask(some: Sequence[str]) -> list[Batch]:
        return list(read(client, junction, columns, ids=some))

    parts = (ids[start : start + per_call] for start in range(0, len(ids), per_call))
    for batches in in_order(ask, parts, client.max_in_flight):
        yield from batches


def ids_per_call(junction: Junction, columns: Columns) -> int:
    """How many relations one query names."""
    fields = columns.fields
    asked = fields if junction is SHARED_ACTIVITIES else _as_task_fields(fields)
    return soql.ids_that_fit([*asked, junction.who], junction.object_name)


def count_statement(junction: Junction, since: datetime | None = None) -> soql.Soql:
    """How many relations the org shows."""
    return soql.select([soql.aggregate("COUNT")], junction.object_name, _where(junction, since))


def count(client: SalesforceClient, junction: Junction, since: datetime | None = None) -> int:
    """How many relations the org shows; one call."""
    return client.count(count_statement(junction, since))


def targets(
    client: SalesforceClient,
    junction: Junction,
    *,
    since: datetime | None = None,
    who: Sequence[str] | None = None,
) -> Iterator[pa.Table]:
    """Yield the relations that the org shows, a page at a time: columns ``id`` and ``who``.

    Args:
        who: Only relations of these contacts.
    """
    fields = ["Id", junction.who]
    wheres = [_where(junction, since)]
    if who is not None:
        size = soql.ids_that_fit(fields, junction.object_name, field=junction.who) - 10
        some = [who[start : start + size] for start in range(0, len(who), size)]
        wheres = [soql.and_(wheres[0], soql.id_in(part, junction.who)) for part in some]
    for where in wheres:
        for page in _pages(client, soql.select(fields, junction.object_name, where)):
            ids = pa.array([record["Id"] for record in page], pa.string())
            whom = pa.array([record[junction.who] for record in page], pa.string())
            yield pa.table({"id": ids, "who": whom})


def groups_statement(
    junction: Junction,
    per_call: int,
    after: str | None = None,
    since: datetime | None = None,
    before: str | None = None,
) -> soql.Soql:
    """The next batch of ids that relations point at, in their order, with how many do."""
    beyond = soql.ne(junction.who, None) if after is None else soql.gt(junction.who, after)
    return soql.select(
        [junction.who, soql.aggregate("COUNT", "Id", "relations")],
        junction.object_name,
        soql.and_(
            beyond,
            None if before is None else soql.le(junction.who, before),
            None if since is None else soql.ge("SystemModstamp", since),
        ),
        group_by=[junction.who],
        order_by=[junction.who],
        limit=per_call,
    )


def active(
    client: SalesforceClient,
    junction: Junction,
    key_prefix: str,
    *,
    since: datetime | None = None,
    first: list[Record] | None = None,
    cuts: Sequence[str] = (),
) -> Iterator[pa.Table]:
    """Yield the ids that relations point at, with how many do, a batch at a time (discovery).

    Args:
        key_prefix: Three characters that the ids of the wanted object start with. Ids are answered
            in their own order, so the objects lie one after another and the rest is not read.
        first: The first batch, where it is known already.
        cuts: Ids beyond the first batch that part the rest into ranges, read side by side.

    Yields:
        Tables with the columns ``id`` and ``count``. An id comes twice only where the org sorts
        ids in an order of its own.
    """
    per_call = client.limits.groups_per_query

    def of(low: str | None, high: str | None) -> Iterator[list[Record]]:
        last = low
        while True:
            rows = client.records(groups_statement(junction, per_call, last, since, high))
            yield rows
            if is_last(rows, junction, key_prefix, per_call):
                return
            last = rows[-1][junction.who]

    def _table(rows: list[Record]) -> pa.Table:
        wanted = [row for row in rows if sf_ids.key_prefix(row[junction.who]) == key_prefix]
        ids = pa.array([row[junction.who] for row in wanted], pa.string())
        counts = pa.array([int(row["relations"]) for row in wanted], pa.int64())
        return pa.table({"id": ids, "count": counts})

    begin: str | None = None
    if first is not None:
        yield _table(first)
        if is_last(first, junction, key_prefix, per_call):
            return
        begin = first[-1][junction.who]
    lows = [begin, *cuts]
    sources = [of(low, high) for low, high in zip(lows, [*cuts, None], strict=True)]
    for rows in as_they_come(sources, client.max_in_flight):
        yield _table(rows)


def is_last(rows: Sequence[Record], junction: Junction, key_prefix: str, per_call: int) -> bool:
    """Whether no batch of discovery after this one holds ids of the wanted object."""
    beyond = any(sf_ids.key_prefix(row[junction.who]) > key_prefix for row in rows)
    return beyond or len(rows) < per_call


def _pages(client: SalesforceClient, statement: soql.Soql) -> Iterator[list[Record]]:
    """A query's pages; from the start again where they fell apart, so rows may come twice.

    A locator expires, and rows that are deleted while a long result is read drop out of it, which
    can't be told from an answer that was cut.
    """
    for attempt in range(1, _READINGS + 1):
        try:
            yield from client.pages(statement)
        except (LocatorExpiredError, TruncatedAnswerError):
            if attempt == _READINGS:
                raise
        else:
            return


def _where(junction: Junction, since: datetime | None) -> soql.Condition | None:
    return soql.and_(
        None if junction is SHARED_ACTIVITIES else soql.ne(junction.who, None),
        None if since is None else soql.ge("SystemModstamp", since),
    )


def _as_task_fields(fields: Iterable[str]) -> list[str]:
    names = ["Id" if name == "TaskId" else "WhoId" if name == "RelationId" else name
             for name in fields if name != "Type"]  # fmt: skip
    return list(dict.fromkeys(["Id", *names]))


def _as_relation(task: Record) -> Record:
    """A task as the one relation that its WhoId is; the relation takes the task's id."""
    who = task.get("WhoId")
    kind = {"003": "Contact", "00Q": "Lead"}.get(who[:3]) if who else None
    return {**task, "RelationId": who, "TaskId": task["Id"], "Type": kind}
