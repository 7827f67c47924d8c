"""Make tables and columns of ours that were dropped again, and let them be filled.

dlt looks at a table when its schema changes, and at no other time: after a ``DROP`` in a console
every merge would fail, or, while nothing changes in the org, every run would say that all is well.

Rules:
- What dlt believes to have made is compared with what is there as each run begins to read, however
  it was started; one query to the destination, two with the staging dataset.
- Rows of a table that got a column back lose their hash, so that they are loaded again as they are
  read.
- Types that were altered are left alone: the database itself says whether values still fit.
"""

from __future__ import annotations

from typing import Any

import dlt
from dlt.common.schema import Schema
from dlt.common.schema.utils import has_table_seen_data

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.arrow.columns import ROW_HASH
from salesforce_targeted.destination.clients import client_of
from salesforce_targeted.ledger import Ledger

Lost = dict[str, list[str]]


def restore(pipeline: dlt.Pipeline, schema_name: str, ledger: Ledger) -> None:
    """Make again the tables and columns that are gone from the dataset, and warn of each.

    A pipeline that has not loaded the schema yet can't tell what is gone.

    Raises:
        ConfigurationError: a table has lost its key, by which alone its rows can be found.
    """
    if schema_name in pipeline.schema_names:
        _restore(client_of(pipeline, schema_name), ledger)


def _restore(client: Any, ledger: Ledger) -> None:
    if not hasattr(client, "get_storage_tables"):
        return  # no tables that a user could drop: files, for example
    with client:
        lost = _lost(client)
        _check_keys(client.schema, lost)
        hashed = {name for name in lost if ROW_HASH in client.schema.tables[name]["columns"]}
        for table in hashed:
            if lost[table] and ROW_HASH not in lost[table]:
                # First: whatever ends this here, the next run finds the column lost as before.
                name = client.sql_client.make_qualified_table_name(table)
                column = client.sql_client.escape_column_name(ROW_HASH)
                client.sql_client.execute_sql(
                    f"UPDATE {name} SET {column} = NULL WHERE {column} IS NOT NULL"  # noqa: S608
                )
        _make(client, lost)
        with client.with_staging_dataset():
            _make(client, _lost(client))
        for table, columns in lost.items():
            ledger.warn(_warning(table, columns, read_again=table in hashed))


def _lost(client: Any) -> Lost:
    """Return what is lost in the client's dataset, whole tables without columns."""
    own = {client.schema.version_table_name, client.schema.loads_table_name}
    known = {
        name: [c for c, hints in table["columns"].items() if "data_type" in hints]
        for name, table in client.schema.tables.items()
        if has_table_seen_data(table) or name in own
    }
    if not client.is_storage_initialized():
        return {}  # dlt makes the whole dataset
    stored = {name: set(columns) for name, columns in client.get_storage_tables(known)}
    # Where even its own record is not, or is of another schema, dlt looks for itself.
    if not stored.get(client.schema.version_table_name):
        return {}
    if client.get_stored_schema_by_hash(client.schema.stored_version_hash) is None:
        return {}
    return {
        name: [column for column in columns if column not in stored[name]] if stored[name] else []
        for name, columns in known.items()
        if not stored[name].issuperset(columns)
    }


def _make(client: Any, lost: Lost) -> None:
    if lost:
        client.update_stored_schema(only_tables=list(lost), force=True)


def _check_keys(schema: Schema, lost: Lost) -> None:
    for table, columns in lost.items():
        hints = schema.tables[table]["columns"]
        if keys := [name for name in columns if hints[name].get("primary_key")]:
            raise ConfigurationError(
                f"{table} has lost its key, {', '.join(keys)}",
                remedy="Rename the column back, or drop the table: it is made and filled again.",
            )


def _warning(table: str, columns: list[str], *, read_again: bool) -> str:
    if not columns:
        return f"the table {table} was gone from the dataset: it is made and filled again"
    if not read_again:
        return f"{table} had lost {', '.join(columns)}: made again, and filled as its rows change"
    return (
        f"{table} had lost {', '.join(columns)}: made again, and filled for each row that this"
        " run reads (--full reads all; to leave a field of Contact out, configure `fields`)"
    )
