"""Read what a database's catalog says of the tables of a dataset.

Source: PostgreSQL Documentation, "System Catalogs" (pg_class, pg_attribute, pg_description,
pg_index, pg_constraint); DuckDB, "duckdb_ table functions".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dlt.destinations.sql_client import SqlClientBase


@dataclass(slots=True)
class StoredTable:
    """Hold what the catalog says of one table.

    Attributes:
        owned: Whether the session's role owns the table, itself or by membership.
        comment: On the table; None where there is none.
        columns: Each column's comment.
        indexed: Columns with which an index of all rows begins.
        unique: Columns of which each value occurs once, by a constraint or an index.
        invalid: Indexes that a ``CREATE INDEX CONCURRENTLY`` left unfinished.
        foreign_keys: Column to the tables that its foreign keys refer to.
    """

    owned: bool = True
    comment: str | None = None
    columns: dict[str, str | None] = field(default_factory=dict)
    indexed: set[str] = field(default_factory=set)
    unique: set[str] = field(default_factory=set)
    invalid: set[str] = field(default_factory=set)
    foreign_keys: dict[str, set[str]] = field(default_factory=dict)


@dataclass(slots=True)
class StoredCatalog:
    """Hold what the catalog says of a dataset.

    Attributes:
        version: Of a PostgreSQL server, as ``server_version_num``; 0 elsewhere.
        role: The session's role.
        may_create: Whether the role may create in the schema; an index takes that right, too.
        names: Of the schema's indexes.
    """

    version: int = 0
    role: str = ""
    may_create: bool = True
    tables: dict[str, StoredTable] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


def read_postgres(client: SqlClientBase[Any]) -> StoredCatalog:
    """Read the catalog of a PostgreSQL schema, in four queries."""
    schema = _schema(client)
    catalog = StoredCatalog()
    for version, role, may_create in _rows(client, _SERVER, schema):
        catalog = StoredCatalog(version, role, may_create)
    for table, owned, comment, column, of_column in _rows(client, _COLUMNS, schema):
        stored = catalog.tables.setdefault(table, StoredTable(owned, comment))
        stored.columns[column] = of_column
    for table, column, index, valid, whole, unique in _rows(client, _INDEXES, schema):
        catalog.names.add(index)
        stored = catalog.tables.setdefault(table, StoredTable())
        if not valid:
            stored.invalid.add(index)
        elif whole:
            stored.indexed.add(column)
            stored.unique.update([column] if unique else [])
    for table, column, referenced in _rows(client, _FOREIGN_KEYS, schema):
        catalog.tables[table].foreign_keys.setdefault(column, set()).add(referenced)
    return catalog


def read_duckdb(client: SqlClientBase[Any]) -> StoredCatalog:
    """Read the comments of a DuckDB schema."""
    catalog = StoredCatalog()
    for table, comment in _rows(client, _DUCKDB_TABLES, _schema(client)):
        catalog.tables[table] = StoredTable(comment=comment)
    for table, column, comment in _rows(client, _DUCKDB_COLUMNS, _schema(client)):
        if table in catalog.tables:  # and no view
            catalog.tables[table].columns[column] = comment
    return catalog


def _schema(client: SqlClientBase[Any]) -> str:
    name = client.fully_qualified_dataset_name(quote=False)
    return name.rpartition(".")[2]


def _rows(client: SqlClientBase[Any], query: str, schema: str) -> list[tuple[Any, ...]]:
    rows: Any = client.execute_sql(query, schema)
    return rows or []


_SERVER = """
    SELECT current_setting('server_version_num')::int, current_user::text,
           has_schema_privilege(oid, 'CREATE')
    FROM pg_namespace WHERE nspname = %s
"""
_COLUMNS = """
    SELECT t.relname, pg_has_role(t.relowner, 'USAGE'), obj_description(t.oid, 'pg_class'),
           a.attname, col_description(t.oid, a.attnum)
    FROM pg_class t
    JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
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
_DUCKDB_TABLES = """
    SELECT table_name, comment FROM duckdb_tables()
    WHERE database_name = current_database() AND schema_name = %s
"""
_DUCKDB_COLUMNS = """
    SELECT table_name, column_name, comment FROM duckdb_columns()
    WHERE database_name = current_database() AND schema_name = %s
"""
