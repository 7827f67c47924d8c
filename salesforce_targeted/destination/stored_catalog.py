"""Read what a database's catalog says of the tables of a dataset.

Source: PostgreSQL Documentation, "System Catalogs" (pg_class, pg_attribute, pg_description,
pg_index, pg_constraint); DuckDB, "duckdb_ table functions".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dlt.destinations.sql_client import SqlClientBase


@dataclass(slots=True)
class StoredCatalog:
    """Hold what the catalog says of a dataset; columns are pairs of table and column.

    Attributes:
        comments: Each column, and each table as the column ``""``, to its comment.
        owned: Tables that the session's role owns, itself or by membership.
        version: Of a PostgreSQL server, as ``server_version_num``; 0 elsewhere.
        role: The session's role.
        may_create: Whether the role may create in the schema; an index takes that right, too.
        indexes: Names of the schema's indexes, to whether each is finished: a ``CREATE INDEX
            CONCURRENTLY`` may have been left.
        indexed: Columns with which an index of all rows begins.
        unique: Columns of which each value occurs once, by a constraint or an index.
        references: Columns with a foreign key, each with the table that it refers to.
    """

    comments: dict[tuple[str, str], str | None] = field(default_factory=dict)
    owned: set[str] = field(default_factory=set)
    version: int = 0
    role: str = ""
    may_create: bool = True
    indexes: dict[str, bool] = field(default_factory=dict)
    indexed: set[tuple[str, str]] = field(default_factory=set)
    unique: set[tuple[str, str]] = field(default_factory=set)
    references: set[tuple[str, str, str]] = field(default_factory=set)


def read_postgres(client: SqlClientBase[Any]) -> StoredCatalog:
    """Read the catalog of a PostgreSQL schema, in four queries."""
    catalog = StoredCatalog()
    for server in _rows(client, _SERVER):
        catalog.version, catalog.role, catalog.may_create = server
    for table, column, comment, is_owned in _rows(client, _COLUMNS):
        catalog.comments[table, column] = comment
        catalog.owned.update([table] if is_owned else [])
    for table, column, index, is_finished, serves, is_unique in _rows(client, _INDEXES):
        catalog.indexes[index] = is_finished
        if is_finished and serves:
            catalog.indexed.add((table, column))
            catalog.unique.update([(table, column)] if is_unique else [])
    catalog.references.update(_rows(client, _FOREIGN_KEYS))
    return catalog


def read_duckdb(client: SqlClientBase[Any]) -> StoredCatalog:
    """Read the comments of a DuckDB schema."""
    comments = {(table, column): text for table, column, text in _rows(client, _DUCKDB_COLUMNS)}
    return StoredCatalog(comments, owned={table for table, _ in comments})


def _rows(client: SqlClientBase[Any], query: str) -> list[tuple[Any, ...]]:
    schema = client.fully_qualified_dataset_name(quote=False).rpartition(".")[2]
    rows: Any = client.execute_sql(query, schema)
    return rows or []


_SERVER = """
    SELECT current_setting('server_version_num')::int, current_user::text,
           has_schema_privilege(oid, 'CREATE')
    FROM pg_namespace WHERE nspname = %s
"""
_COLUMNS = """
    SELECT t.relname, coalesce(a.attname, ''),
           CASE WHEN a.attnum IS NULL THEN obj_description(t.oid, 'pg_class')
                ELSE col_description(t.oid, a.attnum) END,
           pg_has_role(t.relowner, 'USAGE')
    FROM pg_class t
    JOIN pg_namespace n ON n.oid = t.relnamespace
    CROSS JOIN LATERAL (
        SELECT attname, attnum FROM pg_attribute
        WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped
        UNION ALL SELECT NULL, NULL
    ) a
    WHERE n.nspname = %s AND t.relkind IN ('r', 'p')
"""
# An index of some rows, or of an expression (attribute 0), serves no lookup by the column alone.
_INDEXES = """
    SELECT t.relname, a.attname, i.relname, x.indisvalid,
           x.indpred IS NULL AND a.attname IS NOT NULL AND m.amname = 'btree',
           x.indisunique AND x.indnkeyatts = 1 AND x.indimmediate
    FROM pg_index x
    JOIN pg_class t ON t.oid = x.indrelid
    JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_am m ON m.oid = i.relam
    JOIN pg_namespace n ON n.oid = t.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
    WHERE n.nspname = %s
"""
_FOREIGN_KEYS = """
    SELECT t.relname, a.attname, r.relname
    FROM pg_constraint c
    JOIN pg_class t ON t.oid = c.conrelid
    JOIN pg_class r ON r.oid = c.confrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1]
    WHERE n.nspname = %s AND c.contype = 'f'
"""
# Views have columns, and no entry among the tables.
_DUCKDB_COLUMNS = """
    WITH ours AS (
        SELECT table_oid, table_name, comment FROM duckdb_tables()
        WHERE database_name = current_database() AND schema_name = %s
    )
    SELECT table_name, '', comment FROM ours
    UNION ALL SELECT o.table_name, c.column_name, c.comment
    FROM duckdb_columns() c JOIN ours o USING (table_oid)
    WHERE c.database_name = current_database()
"""
