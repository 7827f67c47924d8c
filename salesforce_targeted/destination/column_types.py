"""Check that rows come into columns of their own types.

A hint that is given later, or an imported schema, changes what dlt takes a column for and not the
column itself. PostgreSQL would take the bytes of one number for another number: 4.0 is 2e-323 then.

Source: Apache Arrow ADBC, "PostgreSQL Driver" (rows are copied in binary, by their Arrow types).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pyarrow as pa

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.arrow.columns import STORED_TYPES
from salesforce_targeted.destination.clients import client_of
from salesforce_targeted.destination.database import is_duckdb, is_postgres
from salesforce_targeted.destination.held_tables import SYNC_RUNS, HeldTables
from salesforce_targeted.destination.load_options import LoadOptions


class ColumnTypes:
    """Know of which types columns are, or will be.

    Args:
        options: How the load writes; tables that it drops are made anew.
    """

    def __init__(self, held: HeldTables, options: LoadOptions) -> None:
        self._held, self._options = held, options

    def check(self, table: str, schema: pa.Schema) -> None:
        """Check the rows of a table.

        Raises:
            ConfigurationError: names the column, its type and the one that was asked for.
        """
        stored = self._held.stored_table(table)
        asked = self._options.types.get(stored, {})
        # A quiet run, whose own row is all that it loads, asks for nothing.
        there = self._in_place.get(stored, {}) if table != SYNC_RUNS else {}
        for field in schema:
            name = self._held.name(field.name)
            for kind, where in (
                (asked.get(name), "by a hint"),
                (there.get(name), "in the database"),
            ):
                if kind is not None and STORED_TYPES.get(kind, field.type) != field.type:
                    raise ConfigurationError(
                        f"{table}: column {name} is {kind} {where}, and its values come as"
                        f" {field.type}: they would be taken for others",
                        remedy="Take the type out of the hint or of the imported schema; to give a"
                        " field's column another one, run once with it and"
                        ' refresh="drop_sources".',
                    )

    @cached_property
    def _in_place(self) -> dict[str, dict[str, str]]:
        """Return types by stored table and column; of staging tables, where there are any.

        Only of PostgreSQL and DuckDB. Texts are left out, for dlt calls each type so that it does
        not know, and they take no other bytes.
        """
        pipeline, tables = self._held.pipeline, {*self._options.types} - self._options.dropped
        if not (is_postgres(pipeline) or is_duckdb(pipeline)):
            return {}
        client: Any = client_of(pipeline)
        with client:
            found = dict(client.get_storage_tables(tables))
            with client.with_staging_dataset():
                staged = dict(client.get_storage_tables(tables))
        return {
            table: {
                name: hints["data_type"]
                for name, hints in (staged[table] or columns).items()
                if hints["data_type"] != "text"
            }
            for table, columns in found.items()
        }
