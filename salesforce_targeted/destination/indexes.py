"""Write the SQL of the indexes and foreign keys that our tables lack in PostgreSQL.

Rules:
- Indexed is what tables are joined or filtered by. A column with which an index of the user's
  begins gets no second one.
- A plain ``CREATE INDEX`` keeps writers waiting and readers not, and leaves nothing half-made.
  Only a run writes to these tables, and it has ended.
- A foreign key is ``NOT ENFORCED``, for an org shows relations to leads, and to tasks and contacts
  that its user can't see: an enforced one would refuse them. PostgreSQL has that since 18.

Source: PostgreSQL Documentation, "CREATE INDEX" (Building Indexes Concurrently), "CREATE TABLE"
(NOT ENFORCED), "Identifiers and Key Words" (63 bytes).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from dlt.common.schema import Schema
from dlt.destinations.sql_client import SqlClientBase

from salesforce_targeted.arrow.columns import FIELD_HINT
from salesforce_targeted.destination.stored_catalog import StoredCatalog
from salesforce_targeted.destination.table_names import RELATIONS, TASKS, USERS
from salesforce_targeted.target import CONTACT, Target

PREFIX = "salesforce_targeted_"
NOT_ENFORCED_SINCE = 180_000
# Each run asks how new what is held is, and counts what was stamped since a moment.
STAMP = "SystemModstamp"
_MAX_BYTES = 63


def index_statements(
    client: SqlClientBase[Any], schema: Schema, catalog: StoredCatalog, target: Target = CONTACT
) -> Iterator[tuple[str, str]]:
    """Yield table and SQL of each index that is missing, or that was left unfinished."""
    qualified, quoted = client.make_qualified_table_name, client.escape_column_name
    fields = [
        (target.table, "AccountId"), (target.table, "OwnerId"), (target.table, STAMP),
        (RELATIONS, "RelationId"), (RELATIONS, "TaskId"), (RELATIONS, STAMP),
        (TASKS, "WhoId"), (TASKS, "WhatId"), (TASKS, "AccountId"), (TASKS, "OwnerId"),
        (TASKS, STAMP),
    ]  # fmt: skip
    wanted = [column for table, field in fields for column in _columns_of(schema, table, field)]
    for table, column in [*wanted, _own_column(schema, target.life_table, "is_active")]:
        if (table, column) not in catalog.comments or (table, column) in catalog.indexed:
            continue
        name = object_name(table, column)
        while catalog.indexes.get(name):  # a table that was renamed keeps it
            name = object_name(name.removeprefix(PREFIX), "2")
        create = f"CREATE INDEX {quoted(name)} ON {qualified(table)} ({quoted(column)})"
        unfinished = f"DROP INDEX {qualified(name)}; " if name in catalog.indexes else ""
        yield table, unfinished + create


def foreign_key_statements(
    client: SqlClientBase[Any], schema: Schema, catalog: StoredCatalog, target: Target = CONTACT
) -> Iterator[tuple[str, str]]:
    """Yield table and SQL of each foreign key that is missing; none before PostgreSQL 18."""
    if catalog.version < NOT_ENFORCED_SINCE:
        return
    qualified, quoted = client.make_qualified_table_name, client.escape_column_name
    fields = [
        (RELATIONS, "TaskId", TASKS), (RELATIONS, "RelationId", CONTACT.table),
        (target.table, "OwnerId", USERS), (TASKS, "OwnerId", USERS),
    ]  # fmt: skip
    wanted = [
        (column, key)
        for table, field, referenced in fields
        for column in _columns_of(schema, table, field)
        for key in _columns_of(schema, referenced, "Id")
    ]
    life = _own_column(schema, target.life_table, target.life_key)
    wanted += [(life, key) for key in _columns_of(schema, target.table, "Id")]
    for (table, column), (parent, key) in wanted:
        if (
            (table, column) in catalog.comments and (parent, key) in catalog.unique
            and (table, column, parent) not in catalog.references
        ):  # fmt: skip
            name = quoted(object_name(table, column, "fk"))
            sql = (  # one of that name refers to a table that was renamed
                f"ALTER TABLE {qualified(table)}"
                f" DROP CONSTRAINT IF EXISTS {name}, ADD CONSTRAINT {name}"
                f" FOREIGN KEY ({quoted(column)})"
                f" REFERENCES {qualified(parent)} ({quoted(key)}) NOT ENFORCED"
            )
            yield table, sql


def object_name(*parts: str) -> str:
    """Return the name of an index or a constraint of ours, of at most 63 bytes."""
    name = PREFIX + "_".join(parts)
    if len(name.encode()) <= _MAX_BYTES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: _MAX_BYTES - 9].decode(errors='ignore')}_{digest}"


def _columns_of(schema: Schema, table: str, field: str) -> list[tuple[str, str]]:
    """Return table and column, as stored, of a field of Salesforce's, if it has one."""
    stored = schema.naming.normalize_table_identifier(table)
    columns = schema.tables[stored]["columns"] if stored in schema.tables else {}
    return [(stored, name) for name, hints in columns.items() if hints.get(FIELD_HINT) == field]


def _own_column(schema: Schema, table: str, name: str) -> tuple[str, str]:
    return schema.naming.normalize_table_identifier(table), schema.naming.normalize_path(name)
