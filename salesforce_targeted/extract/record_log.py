"""``--log-records``: the loaded records as JSON lines, for their owner alone (personal data)."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pyarrow as pa


def append(path: Path, table: str, rows: pa.Table) -> None:
    """Append a JSON object per row: its columns, and ``table``. The file has mode 0600."""
    lines = b"".join(
        orjson.dumps({"table": table, **row}, default=str, option=orjson.OPT_APPEND_NEWLINE)
        for row in rows.to_pylist()
    )
    # Made for its owner alone before the first byte is written.
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(opened, "ab") as file:
        file.write(lines)
