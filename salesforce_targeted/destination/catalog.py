"""Complete a database's catalog after a load: indexes, foreign keys, comments.

Rules:
- The rows are loaded already. Whatever is refused here is one warning and never an error, and the
  next run tries again.
- What is there is read first, and only what differs is written: a quiet run changes nothing.
- No lock is waited for longer than ``LOCK_SECONDS``; after the first wait in vain the rest is left.
- What belongs to others stays: their tables, indexes, comments.

Source: PostgreSQL Documentation, "CREATE INDEX", "COMMENT" (both are the owner's), "Explicit
Locking" (an index keeps writers waiting, a comment neither readers nor writers).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import dlt
from dlt.common.schema import Schema
from dlt.destinations.sql_client import SqlClientBase

from salesforce_targeted.destination import indexes, stored_catalog, table_comments
from salesforce_targeted.destination.clients import sql_client_of
from salesforce_targeted.destination.database import is_duckdb, is_postgres
from salesforce_targeted.destination.errors import message_and_remedy
from salesforce_targeted.destination.stored_catalog import StoredCatalog
from salesforce_targeted.target import CONTACT, Target

logger = logging.getLogger("salesforce_targeted")

LOCK_SECONDS = 5
INDEX, FOREIGN_KEY, COMMENT = "index", "foreign key", "comment"


@dataclass(frozen=True, slots=True)
class Change:
    """Hold a statement that is to run.

    Attributes:
        table: As stored; it must be the role's own.
        kind: ``INDEX``, which takes the right to create in the schema, too, ``FOREIGN_KEY`` or
            ``COMMENT``.
    """

    table: str
    sql: str
    kind: str


def update(
    pipeline: dlt.Pipeline,
    schema: Schema | None = None,
    *,
    target: Target = CONTACT,
    indexed: bool = True,
) -> str:
    """Make the indexes, foreign keys and comments that our tables lack.

    In PostgreSQL all three, in DuckDB comments, elsewhere nothing.

    Args:
        schema: dlt's schema of the source; None: the pipeline's default one.
        indexed: Whether indexes and foreign keys are wanted, too.

    Returns:
        A sentence about what could not be made, and the remedy; empty if all is there.
    """
    postgres = is_postgres(pipeline)
    if not (postgres or is_duckdb(pipeline)):
        return ""
    read = stored_catalog.read_postgres if postgres else stored_catalog.read_duckdb
    try:
        with sql_client_of(pipeline) as client:
            catalog, schema = read(client), schema or pipeline.default_schema
            indexed = indexed and postgres
            changes = list(_changes(client, schema, catalog, target, indexed=indexed))
            allowed = [change for change in changes if _may(catalog, change)]
            statements = [change.sql for change in allowed if change.kind != COMMENT]
            comments = [change.sql for change in allowed if change.kind == COMMENT]
            for sql in filter(None, [*statements, "; ".join(comments)]):
                with client.begin_transaction():
                    if postgres:
                        client.execute_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
                    client.execute_sql(sql)
            return _missing_rights(catalog, changes)
    except Exception as error:  # the load is done, and this is not worth its exit code
        logger.debug("the catalog could not be completed", exc_info=True)
        return f"{_UNDONE}: {message_and_remedy(error)[0]}. The next run tries again"


def missing_rights(pipeline: dlt.Pipeline) -> str:
    """Say which right the role lacks to make what :func:`update` would; empty if none.

    Returns:
        A sentence with its remedy.
    """
    with sql_client_of(pipeline) as client:
        catalog = stored_catalog.read_postgres(client)
        changes = _changes(client, pipeline.default_schema, catalog, CONTACT, indexed=True)
        return _missing_rights(catalog, changes)


def _may(catalog: StoredCatalog, change: Change) -> bool:
    return change.table in catalog.owned and (catalog.may_create or change.kind != INDEX)


def _missing_rights(catalog: StoredCatalog, changes: Iterable[Change]) -> str:
    refused = [change for change in changes if not _may(catalog, change)]
    if tables := dict.fromkeys(c.table for c in refused if c.table not in catalog.owned):
        return f"{_UNDONE}: {catalog.role} does not own {', '.join(tables)}"
    return f"{_UNDONE}: {catalog.role} may not CREATE in the schema" if refused else ""


def release(pipeline: dlt.Pipeline) -> None:
    """Drop our foreign keys: tables that they refer to can't be dropped, nor emptied at times."""
    if not is_postgres(pipeline):
        return
    with sql_client_of(pipeline) as client, client.begin_transaction():
        client.execute_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        schema = client.fully_qualified_dataset_name(quote=False)
        rows: Any = client.execute_sql(_OUR_FOREIGN_KEYS, schema, f"{indexes.PREFIX}%")
        for table, name in rows:
            client.execute_sql(
                f"ALTER TABLE {client.make_qualified_table_name(table)}"
                f" DROP CONSTRAINT {client.escape_column_name(name)}"
            )


def _changes(
    client: SqlClientBase[Any],
    schema: Schema,
    catalog: StoredCatalog,
    target: Target,
    *,
    indexed: bool,
) -> Iterator[Change]:
    if indexed:
        for table, sql in indexes.index_statements(client, schema, catalog, target):
            yield Change(table, sql, INDEX)
        for table, sql in indexes.foreign_key_statements(client, schema, catalog, target):
            yield Change(table, sql, FOREIGN_KEY)
    literal: Any = client.capabilities.escape_literal
    for (table, column), text in table_comments.comments(schema, target).items():
        present = catalog.comments.get((table, column), text)  # as wanted where it is not there
        if present != text and table_comments.is_ours(present, text):
            name = client.make_qualified_table_name(table)
            on = f"COLUMN {name}.{client.escape_column_name(column)}" if column else f"TABLE {name}"
            yield Change(table, f"COMMENT ON {on} IS {literal(text)}", COMMENT)


_UNDONE = "Indexes or comments could not be made (the rows are loaded)"
_OUR_FOREIGN_KEYS = """
    SELECT t.relname, c.conname FROM pg_constraint c
    JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE n.nspname = %s AND c.contype = 'f' AND c.conname LIKE %s
"""
