"""The tables that dlt is given, loaded without dlt: the least that PostgreSQL takes.

Run as a script: ``raw_load.py DATABASE FILES copy|adbc``. Both ways fill a staging table and then
insert or update from it; the target has a unique key, as dlt's has.
"""

import io
import json
import sys
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import psycopg2
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

database, files, way = sys.argv[1], Path(sys.argv[2]), sys.argv[3]


def staged_by_adbc(table: str, rows: pa.Table) -> None:
    with adbc.connect(database) as connection:
        with connection.cursor() as cursor:
            cursor.adbc_ingest(f"stage_{table}", rows, mode="create")
        connection.commit()


def staged_by_copy(table: str, rows: pa.Table) -> None:
    staged_by_adbc(table, rows.slice(0, 1))  # makes the columns
    text = io.BytesIO()
    pa_csv.write_csv(rows, text, pa_csv.WriteOptions(include_header=False))
    text.seek(0)
    names = ", ".join(f'"{name}"' for name in rows.column_names)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE stage_{table}")
        cursor.copy_expert(f"COPY stage_{table} ({names}) FROM STDIN (FORMAT csv)", text)


connection = psycopg2.connect(database)
for table, key in json.loads((files / "keys.json").read_text()).items():
    rows = pq.read_table(files / f"{table}.parquet")
    {"adbc": staged_by_adbc, "copy": staged_by_copy}[way](table, rows)
    names = ", ".join(f'"{name}"' for name in rows.column_names)
    sets = ", ".join(f'"{name}" = excluded."{name}"' for name in rows.column_names)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} (LIKE stage_{table}, UNIQUE ({key}))")
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {names} FROM stage_{table}"
            f" ON CONFLICT ({key}) DO UPDATE SET {sets}"
        )
        cursor.execute(f"DROP TABLE stage_{table}")
connection.close()
