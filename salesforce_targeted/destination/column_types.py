"""Check that rows come into columns of their own types.

A hint that is given later, or an imported schema, changes what dlt takes a column for and not the
column itself; a user's ``add_map`` changes what comes. PostgreSQL would take the bytes of one
number for another number: 4.0 is 2e-323 then.
Who alters a column in the database changes it alone: what comes is fitted to that, which is said.

Source: Apache Arrow ADBC, "PostgreSQL Driver" (rows are copied in binary, by their Arrow types).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

import pyarrow as pa
from dlt.common.libs.pyarrow import get_column_type_from_py_arrow

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.arrow.columns import STORED_TYPES, TIMESTAMP
from salesforce_targeted.destination.clients import client_of
from salesforce_targeted.destination.database import is_duckdb, is_postgres, prepare_session
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.load_options import LoadOptions
from salesforce_targeted.destination.table_names import SYNC_RUNS

# Type of what comes -> types of a column that takes it without an error -> what becomes of it.
_ROUNDED = "the database rounds what comes to that"
_CHANGED_BY = {
    pa.float64(): dict.fromkeys(("bigint", "real", "numeric"), _ROUNDED),
    TIMESTAMP: {
        "date": _ROUNDED,
        "timestamp without time zone": "it holds the loading session's local time, read as UTC",
    },
    pa.string(): {"character": "it pads what comes with blanks"},
}
# Those of them that are timestamps, texts or decimals to dlt, as any other, by what DuckDB calls
# them, too.
_EXACT = {name: name for name in ("real", "numeric", "timestamp without time zone", "character")}
_EXACT |= {"float": "real", "decimal": "numeric", "timestamp": "timestamp without time zone"}

# dlt makes columns of 64 bits for them.
_NARROW = (pa.float16(), pa.float32())

Types = Mapping[str, str]


class ColumnTypes:
    """Know of which types columns are, or will be.

    Args:
        options: How the load writes; tables that it drops are made again.
        warn: Told of columns that hold less than what comes.
    """

    def __init__(self, held: HeldTables, options: LoadOptions, warn: Callable[[str], None]) -> None:
        self._held, self._options, self._warn = held, options, warn
        self._loaded: dict[tuple[str, str], str] = {}

    def check(self, table: str, schema: pa.Schema) -> None:
        """Check the rows of a table.

        Raises:
            ConfigurationError: names the column, its type and the one that was asked for.
        """
        stored = self._held.stored_table(table)
        asked, hints = self._options.types.get(stored, {}), self._held.column_hints(table)
        # A quiet run, whose own row is all that it loads, asks for nothing.
        quiet = table == SYNC_RUNS
        staged, holding = ({}, {}) if quiet else self._in_place.get(stored, ({}, {}))
        for field in schema:
            name = self._held.name(field.name)
            kind = get_column_type_from_py_arrow(field.type).get("data_type")
            if kind is None:  # nulls, which any column takes
                continue
            before = self._loaded.setdefault(
                (stored, name), str(hints.get(name, {}).get("data_type", kind))
            )
            for other, where in (
                (asked.get(name), "by a hint"),
                (staged.get(name), "in the database"),
                (before, "as it was loaded"),
            ):
                if other in STORED_TYPES and other != kind:
                    raise ConfigurationError(
                        f"{table}: column {name} is {other} {where}, and its values come as"
                        f" {field.type}: they would be taken for others",
                        remedy="Let add_map return the column's own type, and take the type out of"
                        " the hint or of the imported schema; to give a field's column another"
                        ' one, run once with it and refresh="drop_sources".',
                    )
            narrow = field.type == pa.int64() and name in self._options.narrow.get(stored, ())
            if (narrow or field.type in _NARROW) and is_postgres(self._held.pipeline):
                raise ConfigurationError(
                    f"{table}: column {name} comes as {field.type}, whose bytes PostgreSQL takes"
                    " into a column of as many bits, and this one would have others",
                    remedy="Take precision out of its hint, or let add_map return float64.",
                )
            effect = _CHANGED_BY.get(field.type, {}).get(holding.get(name, ""))
            zoned = hints.get(name, {}).get("timezone", True)  # without one by a hint: in UTC
            if effect and zoned:
                self._warn(
                    f"{table}: column {name} was altered and is {holding[name]} now: {effect}"
                )

    @cached_property
    def _in_place(self) -> dict[str, tuple[Types, Types]]:
        """Return the types of the columns that rows are copied into, and of those that hold them.

        By stored table and column; rows are copied into the staging tables, where there are any.
        Only of PostgreSQL and DuckDB.
        """
        pipeline, tables = self._held.pipeline, {*self._options.types} - self._options.dropped
        if not (is_postgres(pipeline) or is_duckdb(pipeline)):
            return {}
        client: Any = client_of(pipeline)
        with client:
            if is_postgres(pipeline):
                prepare_session(client.sql_client)
            stored = dict(client.get_storage_tables(tables))
            with client.with_staging_dataset():
                staged = dict(client.get_storage_tables(tables))
            exact: dict[str, dict[str, str]] = defaultdict(dict)
            for table, column, kind in client.sql_client.execute_sql(
                "SELECT table_name, column_name, lower(split_part(data_type, '(', 1))"
                " FROM information_schema.columns WHERE table_schema = %s"
                # What an id fills, and a number of any digits, change nothing.
                " AND character_maximum_length IS DISTINCT FROM 18"
                " AND (data_type <> 'numeric' OR numeric_scale IS NOT NULL)",
                client.sql_client.dataset_name,
            ):
                if kind in _EXACT:
                    exact[table][column] = _EXACT[kind]
        return {
            name: (_types(staged[name] or stored[name]), _types(stored[name]) | exact[name])
            for name in stored
        }


def _types(columns: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return types by column, without texts: dlt calls each type so that it does not know."""
    kinds = {name: str(hints["data_type"]) for name, hints in columns.items()}
    return {name: kind for name, kind in kinds.items() if kind != "text"}


def columns_of_others(held: HeldTables, table: str, columns: Collection[str]) -> set[str]:
    """Return those of some stored columns that a held table has, and that no load of ours made.

    A load that failed may have made a column that dlt's schema does not know: it is ours.
    """
    if not columns or not held.column_hints(table):
        return set()
    stored, names = held.stored_table(table), set[str]()
    client: Any = client_of(held.pipeline)
    with client:
        if hasattr(client, "get_storage_table"):
            names = {*columns} & {*client.get_storage_table(stored)[1]}
        if names:
            versions = held.rows(held.schema.version_table_name, ["version_hash"])
            for (version,) in versions:
                schema = json.loads(client.get_stored_schema_by_hash(version).schema)
                our_columns = schema["tables"].get(stored, {}).get("columns", {})
                names -= {name for name, hints in our_columns.items() if "data_type" in hints}
    return names
