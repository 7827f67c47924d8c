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
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dlt.common.schema import Schema

from salesforce_targeted.arrow.columns import FIELD_HINT
from salesforce_targeted.destination.held_tables import RELATIONS, TASKS, USERS
from salesforce_targeted.destination.stored_catalog import StoredCatalog
from salesforce_targeted.target import CONTACT, Target

PREFIX = "salesforce_targeted_"
NOT_ENFORCED_SINCE = 180_000
_OF_RECORDS = ("AccountId", "OwnerId")
_OF_TABLE = {
    RELATIONS: ("RelationId", "TaskId"),
    TASKS: ("WhoId", "WhatId", "AccountId", "OwnerId"),
}
_LIFE_COLUMN = "is_active"
_MAX_BYTES = 63


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Name a column and the table whose key its values are, as stored."""

    table: str
    column: str
    referenced: str
    key: str


def indexed_columns(schema: Schema, target: Target = CONTACT) -> Iterator[tuple[str, str]]:
    """Yield table and column, as stored, of each index that there should be."""
    for table, fields in {target.table: _OF_RECORDS, **_OF_TABLE}.items():
        stored = schema.naming.normalize_table_identifier(table)
        for field in fields:
            yield from ((stored, column) for column in _columns_of(schema, stored, field))
    yield (
        schema.naming.normalize_table_identifier(target.life_table),
        schema.naming.normalize_path(_LIFE_COLUMN),
    )


def index_statements(
    schema: Schema,
    catalog: StoredCatalog,
    qualified: Callable[[str], str],
    quoted: Callable[[str], str],
    target: Target = CONTACT,
) -> Iterator[tuple[str, str]]:
    """Yield table and SQL of each index that is missing, or that was left unfinished.

    Args:
        qualified: Quotes a table's name, its schema before it.
        quoted: Quotes a name.
    """
    for table, column in indexed_columns(schema, target):
        stored = catalog.tables.get(table)
        if stored is None or column not in stored.columns or column in stored.indexed:
            continue
        name = object_name(table, column)
        create = f"CREATE INDEX {quoted(name)} ON {qualified(table)} ({quoted(column)})"
        if name in stored.invalid:
            yield table, f"DROP INDEX {qualified(name)}; {create}"
        elif name not in catalog.names:
            yield table, create


def foreign_keys(schema: Schema, target: Target = CONTACT) -> Iterator[ForeignKey]:
    """Yield the references between our tables, as stored; some lead to a row that is not held."""
    naming = schema.naming
    of_field = [
        (RELATIONS, "TaskId", TASKS), (RELATIONS, "RelationId", CONTACT.table),
        (target.table, "OwnerId", USERS), (TASKS, "OwnerId", USERS),
    ]  # fmt: skip
    for table, field, referenced in of_field:
        stored, parent = (naming.normalize_table_identifier(name) for name in (table, referenced))
        column = next(_columns_of(schema, stored, field), None)
        key = next(_columns_of(schema, parent, "Id"), None)
        if column and key:
            yield ForeignKey(stored, column, parent, key)
    records, lives = (
        naming.normalize_table_identifier(name) for name in (target.table, target.life_table)
    )
    key = next(_columns_of(schema, records, "Id"), None)
    life_key = naming.normalize_path(target.life_key)
    if key and lives in schema.tables and life_key in schema.tables[lives]["columns"]:
        yield ForeignKey(lives, life_key, records, key)


def foreign_key_statements(
    schema: Schema,
    catalog: StoredCatalog,
    qualified: Callable[[str], str],
    quoted: Callable[[str], str],
    target: Target = CONTACT,
) -> Iterator[tuple[str, str]]:
    """Yield table and SQL of each foreign key that is missing; none before PostgreSQL 18.

    Args:
        qualified: Quotes a table's name, its schema before it.
        quoted: Quotes a name.
    """
    if catalog.version < NOT_ENFORCED_SINCE:
        return
    for one in foreign_keys(schema, target):
        table, parent = catalog.tables.get(one.table), catalog.tables.get(one.referenced)
        if (
            table is not None and parent is not None and one.column in table.columns
            and one.key in parent.unique
            and one.referenced not in table.foreign_keys.get(one.column, ())
        ):  # fmt: skip
            yield (
                one.table,
                (
                    f"ALTER TABLE {qualified(one.table)}"
                    f" ADD CONSTRAINT {quoted(object_name(one.table, one.column, 'fk'))}"
                    f" FOREIGN KEY ({quoted(one.column)})"
                    f" REFERENCES {qualified(one.referenced)} ({quoted(one.key)}) NOT ENFORCED"
                ),
            )


def object_name(*parts: str) -> str:
    """Return the name of an index or a constraint of ours, of at most 63 bytes."""
    name = PREFIX + "_".join(parts)
    if len(name.encode()) <= _MAX_BYTES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: _MAX_BYTES - 9].decode(errors='ignore')}_{digest}"


def _columns_of(schema: Schema, table: str, field: str) -> Iterator[str]:
    columns = schema.tables[table]["columns"] if table in schema.tables else {}
    return (name for name, hints in columns.items() if hints.get(FIELD_HINT) == field)
