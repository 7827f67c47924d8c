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
# One of these, the table as stored, and the SQL.
Change = tuple[str, str, str]


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
            allowed = [(kind, sql) for kind, table, sql in changes if _may(catalog, kind, table)]
            statements = [sql for kind, sql in allowed if kind != COMMENT]
            comments = [sql for kind, sql in allowed if kind == COMMENT]
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


def _may(catalog: StoredCatalog, kind: str, table: str) -> bool:
    """Tell whether the role may make it: the table must be its own, and more for an index."""
    return table in catalog.owned and (catalog.may_create or kind != INDEX)


def _missing_rights(catalog: StoredCatalog, changes: Iterable[Change]) -> str:
    refused = [table for kind, table, _ in changes if not _may(catalog, kind, table)]
    if tables := dict.fromkeys(table for table in refused if table not in catalog.owned):
        return f"{_UNDONE}: {catalog.role} does not own {', '.join(tables)}"
    return f"{_UNDONE}: {catalog.role} may not CREATE in the schema" if refused else ""


def release(pipeline: dlt.Pipeline) -> None:
    """Drop our foreign keys in PostgreSQL: what they refer to can't be dropped, or emptied."""
    with sql_client_of(pipeline) as client, client.begin_transaction():
        client.execute_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        schema = client.fully_qualified_dataset_name(quote=False)
        rows: Any = client.execute_sql(_DROP_OUR_FOREIGN_KEYS, schema, f"{indexes.PREFIX}%")
        for (sql,) in rows:
            client.execute_sql(sql)


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
            yield INDEX, table, sql
        for table, sql in indexes.foreign_key_statements(client, schema, catalog, target):
            yield FOREIGN_KEY, table, sql
    literal: Any = client.capabilities.escape_literal
    for (table, column), text in table_comments.comments(schema, target).items():
        present = catalog.comments.get((table, column), text)  # as wanted where it is not there
        if present != text and table_comments.is_ours(present, text):
            name = client.make_qualified_table_name(table)
            on = f"COLUMN {name}.{client.escape_column_name(column)}" if column else f"TABLE {name}"
            yield COMMENT, table, f"COMMENT ON {on} IS {literal(text)}"


_UNDONE = "Indexes or comments could not be made (the rows are loaded)"
_DROP_OUR_FOREIGN_KEYS = """
    SELECT format('ALTER TABLE %%I.%%I DROP CONSTRAINT %%I', n.nspname, t.relname, c.conname)
    FROM pg_constraint c
    JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE n.nspname = %s AND c.contype = 'f' AND c.conname LIKE %s
"""
