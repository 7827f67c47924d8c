"""Read back what the destination already holds, through dlt's SQL client.

Rule: the destination is the memory. What is held is never kept in pipeline state, so a second
machine, a restored backup or a dropped working folder can't make the two disagree.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Self

import dlt
import pyarrow as pa
import sqlglot
from dlt.common.configuration.exceptions import ConfigurationValueError
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.schema import Schema
from dlt.destinations.sql_client import SqlClientBase

from salesforce_targeted.arrow.columns import ROW_HASH, Columns
from salesforce_targeted.arrow.id_set import distinct, id_array, in_batches, of_records
from salesforce_targeted.destination.clients import client_of, sql_client_of
from salesforce_targeted.destination.database import check_server, is_postgres, prepare_session
from salesforce_targeted.destination.stored_values import Where, as_stored, typed, typed_ids
from salesforce_targeted.destination.table_names import SCHEMA_NAME
from salesforce_targeted.target import CONTACT, Target

_ID = re.compile(r"[A-Za-z0-9]{15,18}\Z")
_IDS_PER_STATEMENT = 10_000
_ROWS_AT_ONCE = 20_000
# Ids that are kept for the next stage that asks for the same ones: more are read again.
_IDS_KEPT = 100_000
_MAXIMUM = re.compile(r"MAX\(\W?(\w+)\W?\)")


class HeldTables:
    """Read the tables of one dataset, as they are before this run's load."""

    def __init__(
        self, pipeline: dlt.Pipeline, schema: Schema, emptied: frozenset[str] = frozenset()
    ) -> None:
        self.pipeline = pipeline
        self.schema = schema
        # Tables that the coming load empties or drops: what they still show is not held.
        self._emptied = emptied
        # As they are now: dlt writes this run's columns into the schema while the run goes on.
        self._columns = {
            name: {c: dict(hints) for c, hints in table["columns"].items() if "data_type" in hints}
            for name, table in schema.tables.items()
        }
        self._connection = ExitStack()
        self._client_in_use: SqlClientBase[Any] | None = None
        # What stages ask again and again: a round trip to a database far away is dear.
        self._counts: dict[tuple[str, Where], int] = {}
        self._ids: dict[tuple[str, str, Where], pa.Array] = {}

    @classmethod
    def of(cls, pipeline: dlt.Pipeline, target: Target = CONTACT) -> HeldTables:
        """Return the tables of a source that a pipeline which is not running holds."""
        name: Any = target.source_name
        if name not in pipeline.schema_names:
            name = pipeline.default_schema_name
        return cls(pipeline, pipeline.schemas[name] if name else dlt.Schema(SCHEMA_NAME))

    @property
    def location(self) -> str:
        """Name the dataset: the database's place and the dataset's name, no secret in it."""
        try:
            place = client_of(self.pipeline).config.data_location()
        except ConfigurationValueError:
            place = None  # a database in memory has no place
        return f"{place or self.pipeline.destination.destination_type}/{self.pipeline.dataset_name}"

    def name(self, identifier: str) -> str:
        """Return a column's name in the destination."""
        return self.schema.naming.normalize_path(identifier)

    def sql(self, column: str) -> str:
        """Quote a stored column's name for an SQL condition, for its case may count."""
        return self.sql_client().escape_column_name(column)

    @property
    def live(self) -> Where:
        """Write the SQL of: a relation that the org still shows."""
        return Where(f"{self.sql('removed_at')} IS NULL")

    @property
    def active(self) -> Where:
        """Write the SQL of: a record that some relation points at."""
        return Where(f"{self.sql('is_active')} = %s", (True,))

    @property
    def gone(self) -> Where:
        """Write the SQL of: a record that the org does not return, for whatever reason."""
        return Where(f"{self.sql('gone_reason')} IS NOT NULL")

    @property
    def unhashed(self) -> Where:
        """Write the SQL of: held without a hash, so that the row is to be read again."""
        return Where(f"{self.sql(ROW_HASH)} IS NULL")

    def stored_table(self, table: str) -> str:
        """Return a table's name in the destination."""
        return self.schema.naming.normalize_table_identifier(table)

    def column_hints(self, table: str) -> dict[str, dict[str, Any]]:
        """Return the columns that a table has in dlt's schema, by stored name."""
        return self._columns.get(self.stored_table(table), {})

    def rows(
        self,
        table: str,
        columns: Sequence[str],
        where: str | Where = "",
        group_by: str = "",
        newest: tuple[str, int] | None = None,
    ) -> list[tuple[Any, ...]]:
        """Return rows of a table, none where the table or the dataset does not exist yet.

        Args:
            columns: Stored names, which are quoted, or SQL expressions, which are not.
            where: What comes after ``WHERE``, of this module's and its callers' own making.
            newest: A column, and as many rows as are wanted of those in which it is greatest; a
                condition with values can't go with it.
        """
        parts = self._fetched(table, columns, where, group_by, newest)
        return [row for part in parts for row in part]

    def _fetched(
        self,
        table: str,
        columns: Sequence[str],
        where: str | Where,
        group_by: str,
        newest: tuple[str, int] | None = None,
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield rows, some thousands at a time: as Python values they take ten times their room."""
        if self.stored_table(table) in self._emptied:
            return
        client = self.sql_client()

        def quoted(column: str) -> str:
            return client.escape_column_name(column) if column.isidentifier() else column

        hints = self.column_hints(table)
        kinds = [hints.get(_MAXIMUM.sub(r"\1", column), {}).get("data_type") for column in columns]
        where = Where.of(where)
        statement = f"SELECT {', '.join(map(quoted, columns))} FROM {self.table_sql(table)}"  # noqa: S608
        statement += f" WHERE {where.sql}" if where.sql else ""
        statement += f" GROUP BY {quoted(group_by)}" if group_by else ""
        if newest is not None:
            column, count = newest
            dialect = client.capabilities.sqlglot_dialect  # SQL Server writes TOP for LIMIT
            ordered = sqlglot.parse_one(
                f"{statement} ORDER BY {quoted(column)} DESC", dialect=dialect
            )
            statement = ordered.limit(count).sql(dialect)  # type: ignore[attr-defined]
        yield from self._results(statement, where.values, kinds)

    def _results(
        self, statement: str, values: Sequence[Any], kinds: Sequence[str | None]
    ) -> Iterator[list[tuple[Any, ...]]]:
        try:
            with self.sql_client().execute_query(statement, *values) as cursor:
                while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                    yield as_stored(rows, kinds)
        except DestinationUndefinedEntity:
            return

    def texts(
        self, table: str, columns: Mapping[str, str], where: str | Where = "", group_by: str = ""
    ) -> pa.Table:
        """Return columns of texts, and counts, as Arrow; see :meth:`rows`.

        Args:
            columns: What a column is called in the result, and its stored name.
        """
        schema = pa.schema(
            {
                name: pa.int64() if column == "COUNT(*)" else pa.string()
                for name, column in columns.items()
            }
        )
        parts = [
            pa.Table.from_arrays(
                [typed_ids(v, kind, table) for v, kind in zip(values, schema.types, strict=True)],
                schema=schema,
            )
            for rows in self._fetched(table, [*columns.values()], where, group_by)
            for values in [list(zip(*rows, strict=True))]
        ]
        return pa.concat_tables(parts) if parts else schema.empty_table()

    def counts(self, table: str, column: str, where: str | Where = "") -> pa.Table:
        """Count the rows of each value of a column: columns ``id`` and ``count``."""
        return self.texts(table, {"id": column, "count": "COUNT(*)"}, where, group_by=column)

    def id_array(self, table: str, column: str, where: str | Where = "") -> pa.Array:
        """Return the distinct ids of records in a column, as an array of ``id_set``."""
        asked = (table, column, Where.of(where))
        if asked in self._ids:
            return self._ids[asked]
        read = self.texts(table, {"id": f"DISTINCT {self.sql(column)}"}, where)
        ids = of_records(distinct(read.column("id")))
        if len(ids) <= _IDS_KEPT:
            self._ids[asked] = ids
        return ids

    def ids_like(self, prefix: str, columns: Iterable[tuple[str, str]]) -> pa.Array:
        """Return the distinct ids of one kind in several columns, as an array of ``id_set``.

        Args:
            prefix: What the ids begin with.
            columns: Tables and stored names; those that a table does not have yet are left out.
        """
        selects = [
            f"SELECT {self.sql(column)} FROM {self.table_sql(table)}"  # noqa: S608
            f" WHERE {self.sql(column)} LIKE '{prefix}%'"
            for table, column in columns
            if column in self.column_hints(table) and self.stored_table(table) not in self._emptied
        ]
        statement = " UNION ".join(selects)
        parts = self._results(statement, (), [None]) if selects else ()
        return of_records(id_array(row[0] for part in parts for row in part))

    def count(self, table: str, where: str | Where = "") -> int:
        """Count the rows of a table."""
        asked = (table, Where.of(where))
        if asked not in self._counts:
            counted = self.rows(table, ["COUNT(*)"], where)
            self._counts[asked] = int(counted[0][0]) if counted else 0
        return self._counts[asked]

    def by_ids(
        self, table: str, key: str, ids: Iterable[str], columns: Sequence[str]
    ) -> Iterator[tuple[Any, ...]]:
        """Yield rows of some ids; the key is the first value of each."""
        for condition in self._in_batches(key, ids):
            yield from self.rows(table, [key, *columns], condition)

    def table_of(
        self, table: str, columns: Columns, ids: Sequence[str], exclude: Collection[str] = ()
    ) -> pa.Table:
        """Return held rows as Arrow, in the columns' schema, ``row_hash`` last.

        Args:
            exclude: Stored names of columns that are left null, for they can't be read as they
                should.
        """
        left_null = {*exclude, *columns.added}
        read = [name for name in (c.stored for c in columns.items[1:]) if name not in left_null]
        names = [columns.key.stored, *read, ROW_HASH]
        rows = list(self.by_ids(table, names[0], ids, names[1:]))
        values = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
        nulls = [None] * len(rows)
        stored = [*(column.stored for column in columns.items), ROW_HASH]
        return pa.Table.from_arrays(
            [
                typed(values.get(name, nulls), kind, table)
                for name, kind in zip(stored, columns.schema.types, strict=True)
            ],
            schema=columns.schema,
        )

    def clear_row_hashes(self, table: str, key: str, ids: Iterable[str]) -> None:
        """Take the hash off some rows, so that the next run loads them whatever they hold."""
        client = self.sql_client()
        self._counts.clear()
        self._ids.clear()
        for condition in self._in_batches(key, ids):
            client.execute_sql(
                f"UPDATE {self.table_sql(table)} SET {self.sql(ROW_HASH)} = NULL WHERE {condition}"  # noqa: S608
            )

    def _in_batches(self, key: str, ids: Iterable[str]) -> Iterator[str]:
        """Yield conditions for some ids at a time; what is no id could be SQL."""
        for batch in in_batches([id_ for id_ in ids if _ID.match(id_)], _IDS_PER_STATEMENT):
            quoted = ",".join(f"'{id_}'" for id_ in batch)
            yield f"{self.sql(key)} IN ({quoted})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, if one was opened: a load must find nothing in its way."""
        self._client_in_use = None
        self._connection.close()

    def sql_client(self) -> SqlClientBase[Any]:
        """Give the one connection: dlt resolves its whole configuration for each that it makes."""
        if self._client_in_use is None:
            client = sql_client_of(self.pipeline)
            self._client_in_use = self._connection.enter_context(client)
            if is_postgres(self.pipeline):
                # Where dlt runs the source, nothing of ours has looked before.
                check_server(client.native_connection)
                prepare_session(client)
        return self._client_in_use

    def table_sql(self, table: str) -> str:
        """Return the qualified name of a table, quoted, for SQL."""
        return self.sql_client().make_qualified_table_name(self.stored_table(table))
