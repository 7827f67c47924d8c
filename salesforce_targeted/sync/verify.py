"""``--verify``: compare what is held with the org, id by id and cell by cell, without writing.

Drift is named by its cause.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict, cast

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.arrow.batch import add_row_hash
from salesforce_targeted.arrow.columns import ROW_HASH
from salesforce_targeted.arrow.id_counts import Counting, IdCounts
from salesforce_targeted.arrow.id_set import IdSet, among, id_array, minus, union
from salesforce_targeted.destination.clients import client_of
from salesforce_targeted.destination.comparison import completed
from salesforce_targeted.destination.database import is_postgres, prepare_session
from salesforce_targeted.destination.row_width import reject_wide_rows
from salesforce_targeted.destination.table_names import RELATIONS, SYNC_RUNS, TASKS, USERS
from salesforce_targeted.extract import lessons
from salesforce_targeted.extract.discovery import discover
from salesforce_targeted.extract.id_selection import named_users
from salesforce_targeted.extract.record_refresh import plan_of, replan
from salesforce_targeted.extract.record_table import RecordTable
from salesforce_targeted.extract.run import Run
from salesforce_targeted.relations import pages
from salesforce_targeted.retrieval.results import HIDDEN
from salesforce_targeted.retrieval.retrieve import retrieve
from salesforce_targeted.run_facts import CallFacts, call_facts

MISSING, EXTRA, STALE, ALTERED, TYPE = "missing", "extra", "stale", "altered", "type"
CAUSES = {
    MISSING: "in the org, but not in the dataset",
    EXTRA: "in the dataset as live, but not in the org",
    STALE: "the org moved on",
    ALTERED: "a value was changed in the database",
    TYPE: "a column of another type than loaded",
}
_EXAMPLES = 20
_ROWS_AT_ONCE = 10_000


class DriftExample(TypedDict):
    """Name one row that drifted, and the columns whose cells differ; never a value."""

    table: str
    cause: str
    id: str
    columns: list[str]


class DriftFacts(TypedDict):
    """Count what drifted, by cause, with some examples of each."""

    missing: int
    extra: int
    stale: int
    altered: int
    type: int
    examples: list[DriftExample]


class VerifyFacts(TypedDict):
    """Report the mode ``verify``.

    ``compared`` maps a table to how many of its rows were compared, ``to_forget`` a table to the
    ids whose row hashes a repair clears. ``repaired`` is the drift before a repair.
    """

    status: Literal["done", "drift"]
    mode: Literal["verify"]
    drift: DriftFacts
    compared: dict[str, int]
    calls: CallFacts
    warnings: list[str]
    to_forget: dict[str, list[str]]
    repaired: NotRequired[DriftFacts]


@dataclass(slots=True)
class Drift:
    """Hold what differs.

    Attributes:
        ids: (table, cause) to the ids concerned; for ``type`` to the columns.
        fields: (table, id) to the columns whose cells differ.
        compared: Table to how many of its rows were compared.
    """

    ids: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    fields: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    compared: Counter[str] = field(default_factory=Counter)

    def note(self, table: str, cause: str, ids: Iterable[str]) -> None:
        """Add ids to a cause."""
        if listed := list(ids):
            self.ids.setdefault((table, cause), []).extend(listed)

    def facts(self) -> DriftFacts:
        """Count by cause, with some examples."""
        counts = {
            cause: sum(len(ids) for (_, name), ids in self.ids.items() if name == cause)
            for cause in CAUSES
        }
        examples = [
            DriftExample(
                table=table, cause=cause, id=id_, columns=self.fields.get((table, id_), [])
            )
            for (table, cause), ids in sorted(self.ids.items())
            for id_ in ids[:_EXAMPLES]
        ]
        return cast("DriftFacts", {**counts, "examples": examples})


def verify(run: Run) -> VerifyFacts:
    """Compare all tables with the org; nothing is written anywhere.

    Returns:
        The report of mode ``verify``; ``status`` is ``drift`` where anything differs.

    Raises:
        ConfigurationError: there was no run yet.
    """
    if not run.held.column_hints(SYNC_RUNS):
        raise ConfigurationError(
            f"nothing is held in {run.held.pipeline.dataset_name} yet, so there is nothing to"
            " verify",
            remedy="Sync first.",
        )
    drift = Drift()
    _check_types(run, drift)
    if run.holds_relations:
        counts, tasks, users = _relations(run, drift)
        users |= _objects(run, drift, run.target.table, counts.ids)
        users |= _objects(run, drift, TASKS, tasks)
        _objects(run, drift, USERS, id_array(users))
    else:
        counts = discover(run)
        _objects(run, drift, run.target.table, counts.ids)
    _lives(run, drift, counts)
    to_forget = defaultdict[str, list[str]](list)
    for (table, cause), ids in drift.ids.items():
        if cause in {STALE, ALTERED} and table != run.target.life_table:
            to_forget[table] += ids
    return {
        "status": "drift" if drift.ids else "done",
        "mode": "verify",
        "drift": drift.facts(),
        "compared": dict(drift.compared),
        "calls": call_facts(run.client.meter),
        "warnings": list(run.ledger.warnings),
        "to_forget": dict(to_forget),
    }


def _check_types(run: Run, drift: Drift) -> None:
    """Compare the types of columns with those that dlt knows of."""
    client: Any = client_of(run.held.pipeline)
    with client:
        if is_postgres(run.held.pipeline):
            prepare_session(client.sql_client)
        related = (RELATIONS, TASKS, USERS) if run.holds_relations else ()
        for table in (run.target.table, *related):
            stored: Any = client.get_storage_table(table)[1]
            for name, hint in run.held.column_hints(table).items():
                if name in stored and stored[name].get("data_type") != hint["data_type"]:
                    drift.note(table, TYPE, [name])


def _relations(run: Run, drift: Drift) -> tuple[IdCounts, pa.Array, set[str]]:
    """Compare the relations.

    Returns:
        How many the org shows for each contact; the tasks and the users that they name.
    """
    columns = run.columns(RELATIONS)
    counts, seen, tasks, users = Counting(), IdSet(), IdSet(), set[str]()
    for batch in pages.read(run.client, run.org.junction, columns, since=run.floor):
        rows = completed(run.held, RELATIONS, columns, batch)
        seen.update(record.record_id for record in batch.rejected if not record.field)
        _compare(run, drift, RELATIONS, rows)
        seen.add(rows.column(columns.key.name))
        who = rows.column("RelationId")
        counts.add(who.filter(pc.starts_with(who, run.org.key_prefix)))
        tasks.add(rows.column("TaskId"))
        users.update(named_users(rows, columns))
    live = run.held.id_array(RELATIONS, columns.key.stored, run.held_relations.counting)
    drift.note(RELATIONS, EXTRA, minus(live, seen.ids).to_pylist())
    return counts.counts(), tasks.ids, users


def _objects(run: Run, drift: Drift, table: str, named: pa.Array) -> set[str]:
    """Compare the records of one table; returns the users that they name."""
    target, users, records = run.target, set[str](), RecordTable(run, table)
    if not run.org.shows(records.object_name):
        return users
    columns = records.columns
    held = run.held.id_array(table, columns.key.stored)
    ids = union(held, named)
    if not len(ids):
        return users
    plan = plan_of(records, len(ids))
    reasons = dict[str, str]()
    if table == target.table:
        stored = [target.life_key, "gone_reason"]
        reasons = dict(run.held.rows(target.life_table, stored, run.held.gone))
    stores_in_pages = is_postgres(run.held.pipeline)
    learnt, other_way = lessons.recall(records, ids), replan(records, plan)
    for part in retrieve(run.client, plan, ids, columns, other_way, lessons=learnt):
        batch = part.batch
        if stores_in_pages:
            batch = reject_wide_rows(batch, columns, records.object_name)
        rows = completed(run.held, table, columns, batch)
        _compare(run, drift, table, rows)
        users.update(named_users(batch.table, columns))
        if table == target.table:
            came = batch.table.column(columns.key.name).to_pylist()
            drift.note(target.life_table, STALE, sorted(reasons.keys() & set(came)))
            drift.note(table, EXTRA, [gone.id for gone in part.gone if gone.id not in reasons])
            # What is hidden now may have been purged: what became of it was known before.
            known = [gone for gone in part.gone if gone.id in reasons and gone.reason != HIDDEN]
            other = [gone.id for gone in known if gone.reason != reasons[gone.id]]
            drift.note(target.life_table, STALE, other)
        if part.last_rows is not None:
            last = completed(run.held, table, columns, part.last_rows)
            known = among(union(last.column(columns.key.name)), held)
            _compare(run, drift, table, _of_ids(last, columns.key.name, known))
    return users


def _compare(run: Run, drift: Drift, table: str, rows: pa.Table) -> None:
    """Compare the org's rows with the held ones, by content."""
    columns, wrong = run.columns(table), set(drift.ids.get((table, TYPE), ()))
    key = columns.key
    removal = ["removed_at"] if table == RELATIONS else []
    names = [c.name for c in columns.items if c.stored not in wrong]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows.slice(start, _ROWS_AT_ONCE)
        wanted = _hashes(part, key.name, names)
        held = run.held.table_of(table, columns, [*wanted], exclude=wrong)
        actual = _hashes(held, key.name, names)
        removed = run.held.by_ids(table, key.stored, wanted, removal) if removal else ()
        dead = {row[0] for row in removed if row[1] is not None}
        drift.compared[table] += len(part)
        drift.note(table, MISSING, [id_ for id_ in wanted if id_ not in actual or id_ in dead])
        differing = [id_ for id_ in wanted if id_ in actual and actual[id_] != wanted[id_]]
        sides = [_of_ids(side, key.name, differing).to_pylist() for side in (part, held)]
        of_org, of_us = ({row[key.name]: row for row in side} for side in sides)
        for id_ in differing:
            ours, theirs = of_us[id_], of_org[id_]
            drift.note(table, ALTERED if ours[ROW_HASH] == theirs[ROW_HASH] else STALE, [id_])
            drift.fields[table, id_] = [name for name in names if ours[name] != theirs[name]]


def _of_ids(rows: pa.Table, key: str, ids: pa.Array | Sequence[str]) -> pa.Table:
    return rows.filter(pc.is_in(rows.column(key), value_set=pa.array(ids, pa.string())))


def _hashes(rows: pa.Table, key: str, names: Sequence[str]) -> dict[str, str]:
    """Return by id the hash of what a row holds in these columns."""
    hashed = add_row_hash(rows.select(list(names))).column(ROW_HASH)
    return dict(zip(rows.column(key).to_pylist(), hashed.to_pylist(), strict=True))


def _lives(run: Run, drift: Drift, shown: IdCounts) -> None:
    """Compare what is said about records with the relations that the org shows."""
    table, key = run.target.life_table, run.target.life_key
    rows = run.held.rows(table, [key, "is_active", "relation_count"])
    known, counts = {row[0]: row[1:] for row in rows}, shown.between("", "~")
    drift.compared[table] += len(known)
    drift.note(table, MISSING, sorted(counts.keys() - known.keys()))
    stale = [who for who, row in known.items() if row != (who in counts, counts.get(who, 0))]
    drift.note(table, STALE, sorted(stale))
