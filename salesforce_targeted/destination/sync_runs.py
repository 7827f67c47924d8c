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

from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.arrow.columns import TIMESTAMP
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.table_names import SYNC_RUNS
from salesforce_targeted.run_facts import RunFacts
from salesforce_targeted.version import __version__

# The column that a run is found by.
KEY = "run_id"
_TEXT, _NUMBER, _SHARE = pa.string(), pa.int64(), pa.float64()
# Column to its type, where its value stands in the facts, and its description.
_COLUMNS = {
    "run_id": (_TEXT, "run_id", "When the run began, in UTC; reports and logs name it so"),
    "started_at": (TIMESTAMP, "started_at", "When the run began"),
    "status": (_TEXT, "status", "How the run ended; loaded: before its load was checked"),
    "mode": (_TEXT, "mode", "What the run looked at"),
    "seconds": (_SHARE, "seconds", "How long the run took"),
    "cursor": (TIMESTAMP, "cursor", "From here on the next run reads relations"),
    "calls_total": (_NUMBER, "calls.total", "API calls of the run"),
    "relations_read": (_NUMBER, "relations.read", "Relations that the org returned"),
    "relations_new": (_NUMBER, "relations.new", "Relations that were not held"),
    "relations_updated": (_NUMBER, "relations.updated", "Relations held with other content"),
    "relations_removed": (_NUMBER, "relations.removed", "Relations no longer shown"),
    "relations_held": (_NUMBER, "relations.held", "Live relations after the run"),
    "contacts_discovered": (_NUMBER, "contacts.discovered", "Active records in the org"),
    "contacts_asked": (_NUMBER, "contacts.asked", "Records that were asked for"),
    "contacts_retrieved": (_NUMBER, "contacts.retrieved", "Records that the org returned"),
    "contacts_new": (_NUMBER, "contacts.new", "Records that were not held"),
    "contacts_updated": (_NUMBER, "contacts.updated", "Records held with other content"),
    "contacts_unchanged": (_NUMBER, "contacts.unchanged", "Records held with the same content"),
    "contacts_gone": (_NUMBER, "contacts.gone", "Records deleted, merged or hidden"),
    "contacts_rejected": (_NUMBER, "contacts.rejected", "Records that could not be loaded"),
    "contacts_held": (_NUMBER, "contacts.held", "Records after the run"),
    "relations_explained_pct": (
        _SHARE, "closure.relations_explained_pct", "Relations with all they name held or explained",
    ),
    "warning_count": (_NUMBER, "", "Warnings of the run"),
    "error": (_TEXT, "error", "What stopped the run"),
    "api_version": (_TEXT, "versions.api", "Version of Salesforce's API"),
    "library_version": (_TEXT, "versions.library", "Version of salesforce_targeted"),
    "dlt_version": (_TEXT, "versions.dlt", "Version of dlt"),
    "report": (_TEXT, "", "The whole report as JSON"),
}  # fmt: skip
SCHEMA = pa.schema(
    [pa.field(name, kind, nullable=name != KEY) for name, (kind, *_) in _COLUMNS.items()]
)
HINTS = {name: {"description": text} for name, (*_, text) in _COLUMNS.items()}


def row(facts: RunFacts) -> dict[str, Any]:
    """Return the row of a run, by column."""
    counted = {"warning_count": len(facts["warnings"]), "report": as_json(facts)}
    return {
        name: _value(facts, path) if path else counted[name]
        for name, (_, path, _) in _COLUMNS.items()
    }


def _value(facts: Any, path: str) -> Any:
    for key in path.split("."):
        facts = facts[key]
    return facts


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


def write(held: HeldTables, row: Mapping[str, Any]) -> None:
    """Write a run's final row over the one that its load brought, if it did, in a transaction.

    Columns of dlt's, which its settings may add, and of the user's stay as they are.

    Raises:
        SalesforceError: it is not held as it was written.
    """
    client, name = held.sql_client(), held.table_sql(SYNC_RUNS)
    key, status = (held.sql(held.name(column)) for column in (KEY, "status"))
    with client.begin_transaction():
        sets = ", ".join(f"{held.sql(held.name(column))} = %s" for column in row)
        client.execute_sql(
            f"UPDATE {name} SET {sets} WHERE {key} = %s",  # noqa: S608
            *row.values(),
            row[KEY],
        )
        held_as = f"SELECT {status} FROM {name} WHERE {key} = %s"  # noqa: S608
        if not (statuses := client.execute_sql(held_as, row[KEY])):
            of_dlt = [n for n in ("_dlt_id", "_dlt_load_id") if n in held.column_hints(SYNC_RUNS)]
            values: dict[str, Any] = {**row, **dict.fromkeys(of_dlt, str(row[KEY]))}
            names = ", ".join(held.sql(held.name(column)) for column in values)
            marks = ", ".join(["%s"] * len(values))
            client.execute_sql(
                f"INSERT INTO {name} ({names}) VALUES ({marks})",  # noqa: S608
                *values.values(),
            )
            statuses = client.execute_sql(held_as, row[KEY])
    if [tuple(found) for found in statuses or ()] != [(row["status"],)]:
        raise SalesforceError(
            "it is not held as it was written",
            remedy="A trigger of the database keeps it out: let it return NEW.",
        )


def as_json(facts: Mapping[str, object]) -> str:
    """Write facts as one JSON object; instants as ISO 8601 in UTC."""
    return orjson.dumps(facts, option=orjson.OPT_UTC_Z).decode()
