"""TaskWhoRelation: rows since a cursor, and the distinct ids that they point at (discovery).

Rules. A GROUP BY can't be paged, so discovery walks the ids in their own order, one batch a call.
TaskWhoRelation exists in REST only, answers ``query`` only, and only where Shared Activities is on;
elsewhere a task's own ``WhoId`` is its one relation, and this module makes the same rows of it.

Sources: Object Reference, "TaskWhoRelation"; SOQL and SOSL Reference, "GROUP BY" (considerations).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from salesforce_targeted.api import ids as sf_ids
from salesforce_targeted.api import soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import LocatorExpiredError, TruncatedAnswerError

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
    fields: Sequence[str],
    *,
    since: datetime | None = None,
    limit: int | None = None,
    ids: Sequence[str] | None = None,
) -> Iterator[list[Record]]:
    """Yield relation rows, a page at a time; a row may come twice.

    Args:
        fields: Fields of TaskWhoRelation, whichever object answers.
        since: Rows with ``SystemModstamp`` at or after it.
        limit: At most so many rows, the oldest first.
        ids: These relations only.
    """
    condition = soql.and_(_where(junction, since), None if ids is None else soql.id_in(ids))
    asked = fields if junction is SHARED_ACTIVITIES else _as_task_fields(fields)
    order = () if limit is None else ("SystemModstamp", "Id")
    statement = soql.select(asked, junction.object_name, condition, order_by=order, limit=limit)
    for page in _pages(client, statement):
        yield page if junction is SHARED_ACTIVITIES else [_as_relation(record) for record in page]


def read_by_ids(
    client: SalesforceClient, junction: Junction, fields: Sequence[str], ids: Sequence[str]
) -> Iterator[list[Record]]:
    """Yield the rows of these relations that the org shows, a page at a time."""
    asked = fields if junction is SHARED_ACTIVITIES else _as_task_fields(fields)
    per_call = soql.ids_that_fit([*asked, junction.who], junction.object_name)
    for start in range(0, len(ids), per_call):
        yield from read(client, junction, fields, ids=ids[start : start + per_call])


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
) -> Iterator[dict[str, str | None]]:
    """Yield the relations that the org shows, a page at a time: id to whom it points at.

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
            yield {record["Id"]: record[junction.who] for record in page}


def groups_statement(
    junction: Junction, per_call: int, after: str | None = None, since: datetime | None = None
) -> soql.Soql:
    """The next batch of ids that relations point at, in their order, with how many do."""
    beyond = soql.ne(junction.who, None) if after is None else soql.gt(junction.who, after)
    return soql.select(
        [junction.who, soql.aggregate("COUNT", "Id", "relations")],
        junction.object_name,
        soql.and_(beyond, None if since is None else soql.ge("SystemModstamp", since)),
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
) -> Iterator[dict[str, int]]:
    """Yield the ids that relations point at, with how many do, a batch at a time (discovery).

    Args:
        key_prefix: Three characters that the ids of the wanted object start with. Ids are answered
            in their own order, so the objects lie one after another and the rest is not read.
        first: The first batch, where it is known already.
    """
    per_call = client.limits.groups_per_query
    rows = first
    last: str | None = None
    while True:
        if rows is None:
            rows = client.records(groups_statement(junction, per_call, last, since))
        batch = {row[junction.who]: int(row["relations"]) for row in rows}
        wanted = {who: n for who, n in batch.items() if sf_ids.key_prefix(who) == key_prefix}
        if wanted:
            yield wanted
        beyond = any(sf_ids.key_prefix(who) > key_prefix for who in batch)
        if beyond or len(rows) < per_call:
            return
        last, rows = rows[-1][junction.who], None


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
