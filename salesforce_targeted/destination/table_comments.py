"""Describe tables and columns for people and programs that meet them in the database.

Rules:
- A comment ends with where the value comes from, in brackets: Salesforce's API name of the field or
  object, or this library. By that end ours are told from other people's, which stay.
- Labels and help texts are those that the newest load of the table brought.

Source: Object Reference, "Field Properties"; Metadata API Developer Guide, "CustomField"
(label, inlineHelpText).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dlt.common.schema import Schema

from salesforce_targeted.arrow.columns import FIELD_HINT, ROW_HASH, Columns
from salesforce_targeted.destination.table_names import (
    REJECTED_RECORDS,
    RELATIONS,
    SYNC_RUNS,
    TASKS,
    USERS,
)
from salesforce_targeted.target import CONTACT, Target

OURS = "salesforce_targeted"
# Columns that come with Salesforce's fields.
_ADDED = {
    ROW_HASH: "Hash of the row, by which a run tells that the record changed",
    "removed_at": "The run that found that the org no longer shows the relation",
    "removed_reason": "relation_removed, task_deleted or task_archived",
}


def comments(schema: Schema, target: Target = CONTACT) -> dict[tuple[str, str], str]:
    """Return the comments of our tables, by table and column as in :class:`StoredCatalog`."""
    naming = schema.naming
    texts: dict[tuple[str, str], str] = {}
    for name, (text, origin) in _tables(target).items():
        table = naming.normalize_table_identifier(name)
        if table not in schema.tables:
            continue
        texts[table, ""] = f"{text} [{origin}]"
        for column, hints in schema.tables[table]["columns"].items():
            if description := hints.get("description"):
                texts[table, column] = f"{description} [{hints.get(FIELD_HINT) or OURS}]"
    return texts


def is_ours(comment: str | None, wanted: str) -> bool:
    """Tell whether a comment may be written over: there is none, or this library wrote it."""
    return comment is None or comment.endswith(wanted[wanted.rindex(" [") :])


def hints(columns: Columns, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what dlt's schema is to say of a table's columns, of the added ones that come, too.

    Args:
        names: As the columns of the rows are called in Arrow.
    """
    fields = {c.name: {"description": c.description, FIELD_HINT: c.field} for c in columns.items}
    return fields | {name: {"description": _ADDED[name]} for name in names if name in _ADDED}


def descriptions(target: Target = CONTACT) -> dict[str, str]:
    """Return what each table holds, for dlt's schema."""
    return {table: text for table, (text, _) in _tables(target).items()}


def _tables(target: Target) -> Mapping[str, tuple[str, str]]:
    """Return what each table holds, and where that comes from."""
    junction = target.discovered_by.object_name
    known = f"What is known of each record of {target.table}: active or not, since when and why"
    return {
        target.table: (f"Records that {junction} names or once did", target.object_name),
        target.life_table: (known, OURS),
        RELATIONS: ("Relations of tasks to contacts and leads", "TaskWhoRelation"),
        TASKS: ("Tasks that a relation names", "Task"),
        USERS: ("Owners, creators and last modifiers of the rows", "User"),
        REJECTED_RECORDS: ("Records and values that could not be read or loaded", OURS),
        SYNC_RUNS: ("Runs: counts, calls, seconds, outcome, the report as JSON", OURS),
    }
