"""The tables that a sync loaded, as Parquet files: what a bare loader is given."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

KEYS = {
    "sf_contacts": "id",
    "sf_taskwhorelations": "id",
    "sf_activities": "id",
    "sf_users": "id",
    "sf_active_contacts": "contact_id",
    "sf_sync_runs": "run_id",
}
ROWS_PER_GROUP = 10_000  # what the library yields at a time


def dump(database: str, folder: Path, dataset: str = "salesforce") -> dict[str, int]:
    """Write each table that is there to a file of its own; rows by table.

    Binary copies, so the types are PostgreSQL's own and fit the columns that dlt makes of them.
    """
    import adbc_driver_postgresql.dbapi as adbc

    counts = {}
    with adbc.connect(database) as connection, connection.cursor() as cursor:
        for table in KEYS:
            cursor.execute(f"SELECT to_regclass('{dataset}.{table}')::text")
            if cursor.fetchone() == (None,):
                continue
            cursor.execute(f"SELECT * FROM {dataset}.{table}")
            rows = _plain(cursor.fetch_arrow_table())
            pq.write_table(rows, folder / f"{table}.parquet", row_group_size=ROWS_PER_GROUP)
            counts[table] = rows.num_rows
    (folder / "keys.json").write_text(json.dumps({table: KEYS[table] for table in counts}))
    return counts


def _plain(rows: pa.Table) -> pa.Table:
    """Return the rows with json and other extension types as the text that they hold."""
    for position, kind in enumerate(rows.schema):
        if isinstance(kind.type, pa.ExtensionType | pa.BaseExtensionType):
            text = pa.chunked_array([c.storage for c in rows.column(position).chunks], pa.string())
            rows = rows.set_column(position, kind.name, text)
    return rows
