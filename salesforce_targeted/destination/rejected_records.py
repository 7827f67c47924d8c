"""``sf_rejected_records``: records and values that could not be fetched or loaded, until they can.

A rejection is keyed by object, record and field; a field of ``*`` stands for the whole record, a
record of ``*`` for a field that can't be read of any. What comes right in a later run is deleted by
that run's merge (``healed_at`` is dlt's deletion mark and is never seen in the table).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from salesforce_targeted.arrow.batch import EVERY_RECORD
from salesforce_targeted.arrow.columns import TIMESTAMP
from salesforce_targeted.arrow.id_set import has, minus, union
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.table_names import REJECTED_RECORDS
from salesforce_targeted.ledger import Ledger

WHOLE_RECORD = "*"
_KEY = ("object", "record_id", "field")
# Column to its type and description.
_COLUMNS = {
    "object": (pa.string(), "Object, or the name that a source keeps its rejections by"),
    "record_id": (pa.string(), "Salesforce id; * for a field that can't be read of any record"),
    "field": (pa.string(), "API name of the field; * for the whole record"),
    "error": (pa.string(), "Why it could not be read or loaded"),
    "payload": (pa.string(), "The value as Salesforce sent it"),
    "first_seen_at": (TIMESTAMP, "The run that first rejected it"),
    "last_seen_at": (TIMESTAMP, "The last run that rejected it"),
    "healed_at": (TIMESTAMP, "Always null: a run deletes what came right"),
}
SCHEMA = pa.schema(
    [pa.field(name, kind, nullable=name not in _KEY) for name, (kind, _) in _COLUMNS.items()]
)
_HINTS: dict[str, dict[str, Any]] = {
    name: {"description": text} for name, (_, text) in _COLUMNS.items()
}
_HINTS["healed_at"] |= {"hard_delete": True, "data_type": "timestamp", "nullable": True}
KEY_AND_HINTS: tuple[Sequence[str], Any] = (list(_KEY), _HINTS)


def rejected_ids(held: HeldTables, kept_as: str) -> tuple[pa.Array, bool]:
    """Return the ids of the records of which something is rejected; see ``Target.rejected_as``.

    Returns:
        The ids, and whether a field can't be read of any record.
    """
    where = f"{held.sql(held.name('object'))} = '{kept_as}'"
    ids = union(held.texts(REJECTED_RECORDS, {"id": held.name("record_id")}, where)["id"])
    return minus(ids, pa.array([EVERY_RECORD])), has(ids, EVERY_RECORD)


def to_table(held: HeldTables, ledger: Ledger) -> pa.Table:
    """Return this run's rejections, with when each was first seen, and those that came right."""
    names = [held.name(name) for name in SCHEMA.names[:-1]]
    known = {row[:3]: row for row in held.rows(REJECTED_RECORDS, names)}
    now, target = ledger.started_at, ledger.target
    kept_as = {target.object_name: target.rejected_as}
    object_of = {name: of for of, name in kept_as.items()}
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for entry in ledger.rejected:
        key = (
            kept_as.get(entry.object, entry.object), entry.record_id, entry.field or WHOLE_RECORD
        )  # fmt: skip
        first: datetime = known[key][5] if key in known else now
        rows[key] = {
            **dict(zip(_KEY, key, strict=True)),
            "error": entry.error,
            "payload": entry.payload or None,
            "first_seen_at": first,
            "last_seen_at": now,
        }
    for key, row in known.items():
        object_name = object_of.get(key[0], "" if key[0] in kept_as else key[0])
        if key not in rows and ledger.came(object_name, *key[1:]):
            rows[key] = {**dict(zip(SCHEMA.names[:-1], row, strict=True)), "healed_at": now}
    return pa.Table.from_pylist(list(rows.values()), schema=SCHEMA)
