"""``sf_sync_runs``: one row per run, made of the same facts as the report.

The row is loaded with the run's data and finished once the load has been checked, so a row whose
status is ``loaded`` belongs to a run that ended between the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Any

import orjson
import pyarrow as pa

from salesforce_targeted.arrow.columns import TIMESTAMP
from salesforce_targeted.ledger import RunFacts
from salesforce_targeted.version import __version__

_COUNTED = {
    "relations": ("read", "new", "updated", "removed", "held"),
    "contacts": (
        "discovered", "asked", "retrieved", "new", "updated", "unchanged", "gone", "rejected",
        "held",
    ),
}  # fmt: skip
SCHEMA = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("started_at", TIMESTAMP),
        pa.field("status", pa.string()),
        pa.field("mode", pa.string()),
        pa.field("seconds", pa.float64()),
        pa.field("cursor", TIMESTAMP),
        pa.field("calls_total", pa.int64()),
        *(
            pa.field(f"{part}_{name}", pa.int64())
            for part, names in _COUNTED.items()
            for name in names
        ),
        pa.field("relations_explained_pct", pa.float64()),
        pa.field("warning_count", pa.int64()),
        pa.field("error", pa.string()),
        pa.field("api_version", pa.string()),
        pa.field("library_version", pa.string()),
        pa.field("dlt_version", pa.string()),
        pa.field("report", pa.string()),
    ]
)


def row(facts: RunFacts) -> dict[str, Any]:
    """Return the row of a run, by column."""
    counted: dict[str, Mapping[str, Any]] = {
        "relations": facts["relations"],
        "contacts": facts["contacts"],
    }
    counts = {
        f"{part}_{name}": counted[part][name] for part, names in _COUNTED.items() for name in names
    }
    return {
        "run_id": facts["run_id"],
        "started_at": facts["started_at"],
        "status": facts["status"],
        "mode": facts["mode"],
        "seconds": facts["seconds"],
        "cursor": facts["cursor"],
        "calls_total": facts["calls"]["total"],
        **counts,
        "relations_explained_pct": facts["closure"]["relations_explained_pct"],
        "warning_count": len(facts["warnings"]),
        "error": facts["error"],
        "api_version": facts["versions"]["api"],
        "library_version": facts["versions"]["library"],
        "dlt_version": facts["versions"]["dlt"],
        "report": as_json(facts),
    }


def verification_row(
    facts: Mapping[str, Any], started_at: datetime, seconds: float
) -> dict[str, Any]:
    """Return the row of a verification, by column; what a sync counts is null.

    Args:
        facts: As :func:`salesforce_targeted.verify.verify` gives them; ids are left out of the row.
    """
    report = {key: facts[key] for key in ("status", "mode", "compared", "calls", "warnings")}
    report["drift"] = {cause: n for cause, n in facts["drift"].items() if isinstance(n, int)}
    return {
        "run_id": f"{started_at:%Y%m%dT%H%M%S.%f}Z",
        "started_at": started_at,
        "status": facts["status"],
        "mode": facts["mode"],
        "seconds": seconds,
        "calls_total": facts["calls"]["total"],
        "warning_count": len(facts["warnings"]),
        "library_version": __version__,
        "dlt_version": version("dlt"),
        "report": as_json(report),
    }


def to_table(facts: RunFacts) -> pa.Table:
    """Return the row of a run as Arrow."""
    return pa.Table.from_pylist([row(facts)], schema=SCHEMA)


def as_json(facts: Mapping[str, object]) -> str:
    """Write facts as one JSON object; instants as ISO 8601 in UTC."""
    return orjson.dumps(facts, option=orjson.OPT_UTC_Z).decode()
