"""The least that dlt takes to load ready-made tables: the bound that a sync is compared with.

Run as a script: ``bare_load.py DATABASE FILES FOLDER [parquet|csv [compressed]]``. The settings are
those that the library sets for itself; nothing of the library is imported.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.parquet as pq

database, files, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
file_format: Any = sys.argv[4] if len(sys.argv) > 4 else "parquet"
packed = "compressed" in sys.argv
dlt.config["normalize.data_writer.disable_compression"] = not packed
dlt.config["sources.data_writer.disable_compression"] = not packed
dlt.config["sources.data_writer.file_max_items"] = 20_000
dlt.config["load.workers"] = 4
dlt.config["load.delete_completed_jobs"] = True
dlt.config["runtime.dlthub_telemetry"] = False


def _rows(table: str) -> Iterator[pa.Table]:
    with pq.ParquetFile(files / f"{table}.parquet") as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)


resources = [
    dlt.resource(
        _rows(table),
        name=table,
        primary_key=key,
        columns={key: {"unique": True, "nullable": False}},
        write_disposition={"disposition": "merge", "strategy": "upsert"},
        file_format=file_format,
    )
    for table, key in json.loads((files / "keys.json").read_text()).items()
]
pipeline = dlt.pipeline(
    "bare",
    destination=dlt.destinations.postgres(database),
    dataset_name="bare",
    pipelines_dir=str(folder / "pipelines"),
)
pipeline.run(resources)
