"""Make tables and columns of ours that were dropped again, and let them be filled.

dlt looks at a table when its schema changes, and at no other time: after a ``DROP`` in a console
every merge would fail, or, while nothing changes in the org, every run would say that all is well.

Rules:
- What dlt believes to have made is compared with what is there before each run; one query to the
  destination, two with the staging dataset.
- Rows of a table that got a column back lose their hash, so that they are loaded again as they are
  read.
- Types that were altered are left alone: the database itself says whether values still fit.
"""

from __future__ import annotations

from typing import Any

import dlt
from dlt.common.schema.utils import has_table_seen_data

from salesforce_targeted.arrow.columns import ROW_HASH
from salesforce_targeted.ledger import Ledger

Lost = dict[str, list[str]]


def restore(pipeline: dlt.Pipeline, ledger: Ledger) -> None:
    """Make again the tables and columns that are gone from the dataset, and warn of each.

    A working folder that knows no schema yet can't tell what is gone; the run brings the schema.
    """
    if pipeline.default_schema_name is None:
        return
    client: Any = pipeline.destination_client()
    if not hasattr(client, "get_storage_tables"):
        return  # no tables that a user could drop: files, for example
    with client:
        lost = _restore_in(client)
        with client.with_staging_dataset():
            _restore_in(client)
        for table, columns in lost.items():
            ledger.warn(_warning(table, columns))
            if columns and ROW_HASH in client.schema.tables[table]["columns"]:
                name = client.sql_client.make_qualified_table_name(table)
                client.sql_client.execute_sql(f"UPDATE {name} SET {ROW_HASH} = NULL")  # noqa: S608


def _restore_in(client: Any) -> Lost:
    """Make what is lost in the client's dataset; return it, whole tables without columns."""
    known = {
        name: [c for c, hints in table["columns"].items() if "data_type" in hints]
        for name, table in client.schema.tables.items()
        if has_table_seen_data(table) or name == client.schema.version_table_name
    }
    if not client.is_storage_initialized():
        return {}  # dlt makes the whole dataset
    stored = {name: set(columns) for name, columns in client.get_storage_tables(known)}
    # Where even its own record is not, or is of another schema, dlt looks for itself.
    if not stored.get(client.schema.version_table_name):
        return {}
    if client.get_stored_schema_by_hash(client.schema.stored_version_hash) is None:
        return {}
    lost = {
        name: [column for column in columns if column not in stored[name]] if stored[name] else []
        for name, columns in known.items()
        if not stored[name].issuperset(columns)
    }
    if lost:
        client.update_stored_schema(only_tables=list(lost), force=True)
    return lost


def _warning(table: str, columns: list[str]) -> str:
    if not columns:
        return f"the table {table} was gone from the dataset: it is made and filled again"
    return (
        f"{table} had lost {', '.join(columns)}: made again, and filled for each row that this"
        " run reads (--full reads all; to leave a field of Contact out, configure `fields`)"
    )
