"""What must be held after a run, worked out from inside the demo org and apart from the library.

The oracle is told what was held before a run and asks the org, not its API, what our user may see.
It answers with differences in plain sentences; none of them means that the run kept every promise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

import dlt
from dlt.common.destination.exceptions import DestinationUndefinedEntity

from salesforce_targeted.demo_org import DemoOrg
from tests.support.oracles.held_values import as_held

Row = dict[str, Any]
Rows = dict[str, Row]

KEYS = {
    "sf_contacts": "id",
    "sf_activities": "id",
    "sf_users": "id",
    "sf_taskwhorelations": "id",
    "sf_active_contacts": "contact_id",
}
OBJECTS = {
    "sf_contacts": "Contact",
    "sf_activities": "Task",
    "sf_users": "User",
    "sf_taskwhorelations": "TaskWhoRelation",
}
OURS = {"row_hash", "removed_at", "removed_reason"}
NOT_COLUMNS = {"address", "location", "base64"}
USER_COLUMNS = ("owner_id", "created_by_id", "last_modified_by_id")
RELATION_OF_TASK = (
    "Id", "IsDeleted", "AccountId", "CreatedDate", "CreatedById", "LastModifiedDate",
    "LastModifiedById", "SystemModstamp",
)  # fmt: skip
# Below this share of the active contacts, and with more than so many gone, a run must stop.
SHRINK_SHARE, SHRINK_CONTACTS = 0.5, 20


def fitted(value: Any, data_type: str) -> tuple[bool, Any]:
    """Return a value as a column of another type can hold it unchanged: whether it can, and what it is."""
    if value is None or data_type in ("", _type_of(value)):
        return True, value
    try:
        return True, _FITTINGS[data_type](value)
    except (ValueError, KeyError, TypeError):
        return False, None


def _type_of(value: Any) -> str:
    names = {str: "text", bool: "bool", int: "bigint", float: "double", datetime: "timestamp",
             date: "date", time: "time"}  # fmt: skip
    return names[type(value)]


def _whole(value: Any) -> int:
    if isinstance(value, datetime | date | time) or float(value) != int(float(value)):
        raise ValueError(value)
    return int(float(value))


def _day(value: Any) -> date:
    if isinstance(value, datetime):
        if value.time() != time():
            raise ValueError(value)
        return value.date()
    return date.fromisoformat(value)


def _moment(value: Any) -> datetime:
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return datetime.fromisoformat(value).astimezone(UTC)


_FITTINGS: dict[str, Any] = {
    "bool": {"true": True, "false": False, 1: True, 0: False}.__getitem__,
    "text": lambda value: value,  # any spelling of it: see same_value
    "double": float,
    "bigint": _whole,
    "date": _day,
    "timestamp": _moment,
}


def same_value(wanted: Any, got: Any) -> bool:
    """Return whether a cell holds a value, in any words where a text column holds another type."""
    if wanted is None or got is None or isinstance(got, type(wanted)):
        return bool(wanted == got)
    if not isinstance(got, str):
        return bool(wanted == got)
    if isinstance(wanted, bool):
        return got == str(wanted).lower()
    try:
        if isinstance(wanted, int | float):
            return float(got) == wanted
        if isinstance(wanted, datetime):
            return datetime.fromisoformat(got) == wanted
    except ValueError:
        return False
    return bool(got == wanted.isoformat())


@dataclass(frozen=True)
class HeldTables:
    """Hold the destination's rows at one moment, and dlt's types of its columns."""

    tables: dict[str, Rows]
    types: dict[str, dict[str, str]]
    doubled: tuple[str, ...]

    @classmethod
    def read(cls, pipeline: dlt.Pipeline) -> HeldTables:
        """Read all tables; those that do not exist are empty."""
        tables: dict[str, Rows] = {table: {} for table in KEYS}
        doubled: list[str] = []
        # A lost working folder knows no schema, and the tables are there all the same.
        known = pipeline.default_schema.tables if pipeline.default_schema_name else {}
        types = {
            table: {
                name: str(hints.get("data_type", ""))
                for name, hints in known.get(table, {}).get("columns", {}).items()
            }
            for table in KEYS
        }
        with pipeline.sql_client() as client:
            for table, key in KEYS.items():
                name = client.make_qualified_table_name(table)
                try:
                    with client.execute_query(f"SELECT * FROM {name}") as cursor:
                        names = [column[0] for column in cursor.description]
                        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
                except DestinationUndefinedEntity:
                    continue
                tables[table] = {row[key]: row for row in rows}
                counts = Counter(row[key] for row in rows)
                doubled += [f"{table} {id_} stands {n} times" for id_, n in counts.items() if n > 1]
        return cls(tables, types, tuple(doubled))


class Shown:
    """Hold what the org shows our user at one moment."""

    def __init__(self, org: DemoOrg) -> None:
        self.live = {name: org.rows(name) for name in ("Contact", "Task", "User")}
        self.all = {name: org.rows(name, all_rows=True) for name in ("Contact", "Task", "User")}
        self.entries = {
            name: {entry["name"]: entry for entry in org.fields(name)}
            for name in ("Contact", "Task", "User", "TaskWhoRelation")
        }
        if org.shared_activities:
            self.relations = org.rows("TaskWhoRelation")
        else:
            self._relations_of_tasks()
        self.live["TaskWhoRelation"] = self.all["TaskWhoRelation"] = self.relations
        user_info = [row["RelationId"] for row in self.relations.values()]
        self.active = Counter(id_ for id_ in user_info if id_ and id_.startswith("003"))

    def _relations_of_tasks(self) -> None:
        entries = self.entries["Task"]
        names = [name for name in RELATION_OF_TASK if name in entries]
        self.entries["TaskWhoRelation"] = {
            **{name: entries[name] for name in names},
            **{name: {"name": name, "type": "string"} for name in ("RelationId", "TaskId", "Type")},
        }
        kinds = {"003": "Contact", "00Q": "Lead"}
        self.relations = {
            id_: {
                **{name: task[name] for name in names},
                "RelationId": task["WhoId"], "TaskId": id_, "Type": kinds[task["WhoId"][:3]],
            }
            for id_, task in self.live["Task"].items()
            if task["WhoId"]
        }  # fmt: skip

    def why_gone(self, contact_id: str) -> str | None:
        """Why the org does not return a contact; None where it does."""
        if contact_id in self.live["Contact"]:
            return None
        row = self.all["Contact"].get(contact_id)
        if row is None:
            return "hidden"
        return "merged" if row["MasterRecordId"] else "deleted"

    def why_removed(self, task_id: str | None) -> str:
        """Why a relation of a task is no longer shown."""
        task = self.all["Task"].get(task_id or "")
        if task is None or task["IsDeleted"]:
            return "task_deleted"
        return "task_archived" if task["IsArchived"] else "relation_removed"

    def last(self, table: str, id_: str) -> Row | None:
        """Return a record as the org shows it now, live, archived or in the recycle bin."""
        name = OBJECTS[table]
        return self.live[name].get(id_) or self.all[name].get(id_)


class Comparison:
    """Compare the destination before and after a run with what the org shows."""

    def __init__(self, pipeline: dlt.Pipeline, org: DemoOrg, before: HeldTables) -> None:
        self.shown = Shown(org)
        self.before = before.tables
        self.held = HeldTables.read(pipeline)
        self.after = self.held.tables
        self.normalize = pipeline.default_schema.naming.normalize_path

    def rows_lost(self) -> Iterator[str]:
        """No row may vanish, none may stand twice."""
        yield from self.held.doubled
        for table, rows in self.before.items():
            for id_ in rows.keys() - self.after[table].keys():
                yield f"{table} {id_} is no longer held"

    def row(self, table: str, id_: str, record: Row | None) -> Iterator[str]:
        """Return how a held row differs from a record, or, where the org shows none, from what it was."""
        before, after = self.before[table].get(id_), self.after[table][id_]
        if record is None:
            yield from self._as_before(table, id_, before or {}, set(after))
            return
        types = self.held.types[table]
        entries = self.shown.entries[OBJECTS[table]]
        seen = set(OURS)
        for name, entry in entries.items():
            column = self.normalize(name)
            if entry["type"] in NOT_COLUMNS:
                continue
            seen.add(column)
            if column not in after:
                yield f"{table} has no column {column}"
                continue
            wanted = as_held(entry["type"], record[name])
            fits, as_stored = fitted(wanted, types.get(column, ""))
            got = after[column]
            if not fits:
                if got is not None and got != (before or {}).get(column):
                    yield f"{table} {id_}.{column}: {wanted!r} does not fit and became {got!r}"
            elif not same_value(as_stored, got):
                yield f"{table} {id_}.{column}: the org has {wanted!r}, held is {got!r}"
        yield from self._as_before(table, id_, before or {}, set(after) - seen)

    def _as_before(self, table: str, id_: str, before: Row, columns: set[str]) -> Iterator[str]:
        for column in sorted(columns):
            if before.get(column) != self.after[table][id_][column]:
                yield (
                    f"{table} {id_}.{column} was {before.get(column)!r} and became"
                    f" {self.after[table][id_][column]!r}, which the org does not say"
                )

    def differs(self, table: str, id_: str) -> bool:
        """Return whether a row's content, our own bookkeeping apart, is another than before."""
        before, after = self.before[table][id_], self.after[table][id_]
        return any(before.get(name) != value for name, value in after.items() if name != "row_hash")


def users_named_by(tables: Mapping[str, Rows]) -> set[str]:
    """Ids of users that held rows name."""
    return {
        row[column]
        for table in ("sf_contacts", "sf_activities", "sf_taskwhorelations")
        for row in tables[table].values()
        for column in USER_COLUMNS
        if (row.get(column) or "").startswith("005")
    }
