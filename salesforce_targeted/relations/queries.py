"""TaskWhoRelation: what relates a task to people, and the statements that read it.

Rule. TaskWhoRelation exists in REST only, for ``query`` only, and only where Shared Activities
is on; elsewhere a task's own ``WhoId`` is its one relation, and the same rows are made of it.

Sources: Object Reference, "TaskWhoRelation"; SOQL and SOSL Reference, "GROUP BY" (considerations).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from salesforce_targeted.api import soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.models import Record
from salesforce_targeted.target import SHARED_ACTIVITIES, Junction

# Of ids: the first, and the one before which it ends.
Range = tuple[str | None, str | None]

# What TaskWhoRelation has, as documented; its describe decides.
DOCUMENTED_FIELDS = (
    "Id", "IsDeleted", "RelationId", "TaskId", "AccountId", "Type", "CreatedDate", "CreatedById",
    "LastModifiedDate", "LastModifiedById", "SystemModstamp",
)  # fmt: skip


def describe_of_task_relations(task: Record) -> Record:
    """Make a describe of TaskWhoRelation of Task's, for orgs without Shared Activities."""
    entries = {entry["name"]: entry for entry in task["fields"]}
    # A task's own Type is another field.
    same = [entries[name] for name in DOCUMENTED_FIELDS if name in entries and name != "Type"]
    renamed = [
        {**entries["WhoId"], "name": "RelationId", "label": "Relation ID"},
        {**entries["Id"], "name": "TaskId", "type": "reference", "label": "Task ID"},
        {**entries["WhoId"], "name": "Type", "type": "string", "label": "Type"},
    ]
    return {"name": "TaskWhoRelation", "fields": [*same, *renamed]}


def count_statement(
    junction: Junction,
    since: datetime | None = None,
    *,
    before: datetime | None = None,
    within: Range = (None, None),
) -> soql.Soql:
    """Write the query for how many relations the org shows, stamped from one moment to another."""
    condition = soql.and_(where(junction, since, within), soql.bound("SystemModstamp", "<", before))
    return soql.select([soql.aggregate("COUNT")], junction.object_name, condition)


def count(client: SalesforceClient, junction: Junction, since: datetime | None = None) -> int:
    """Count the relations that the org shows; one call."""
    return client.count(count_statement(junction, since))


def groups_statement(
    junction: Junction,
    per_call: int,
    after: str | None = None,
    since: datetime | None = None,
    before: str | None = None,
) -> soql.Soql:
    """Write the query for the next batch of ids that relations point at, and how many do."""
    return soql.select(
        [junction.who, soql.aggregate("COUNT", "Id", "relations")],
        junction.object_name,
        soql.and_(
            junction.condition,
            soql.bound(junction.who, ">", after) or soql.ne(junction.who, None),
            soql.bound(junction.who, "<=", before),
            soql.bound("SystemModstamp", ">=", since),
        ),
        group_by=[junction.who],
        order_by=[junction.who],
        limit=per_call,
    )


def rows_statement(
    junction: Junction,
    fields: Iterable[str],
    condition: soql.Condition | None,
    *,
    group_by: Sequence[str] = (),
    order_by: Sequence[str] = (),
    limit: int | None = None,
) -> soql.Soql:
    """Write the query for relations, whichever object they are made of.

    The fields come in one order whatever order they are given in, so that the same is asked with
    the same statement.
    """
    shared = junction is SHARED_ACTIVITIES
    names = list(dict.fromkeys(["Id", *sorted(fields)])) if shared else as_task_fields(fields)
    return soql.select(names, junction.object_name, condition, group_by, order_by, limit)


def where(
    junction: Junction, since: datetime | None, within: Range = (None, None)
) -> soql.Condition | None:
    """Write the condition of relations that point at a record, modified since a moment."""
    low, high = within
    return soql.and_(
        junction.condition,
        None if junction is SHARED_ACTIVITIES else soql.ne(junction.who, None),
        soql.bound("SystemModstamp", ">=", since),
        soql.bound("Id", ">=", low),
        soql.bound("Id", "<", high),
    )


def as_task_fields(fields: Iterable[str]) -> list[str]:
    """List the fields of Task that a relation's are made of."""
    names = ["Id" if name == "TaskId" else "WhoId" if name == "RelationId" else name
             for name in fields if name != "Type"]  # fmt: skip
    return list(dict.fromkeys(["Id", *names]))


def as_relation(task: Record) -> Record:
    """Make of a task the one relation that its WhoId is; it takes the task's id."""
    who = task.get("WhoId")
    kind = {"003": "Contact", "00Q": "Lead"}.get(who[:3]) if who else None
    return {**task, "RelationId": who, "TaskId": task["Id"], "Type": kind}
