"""Read the relations and yield the rows of ``sf_taskwhorelations`` to load: new and changed ones.

Rules.
1. The cursor moves to the newest stamp read, and never past the org's clock when the reading began:
   a row that is edited meanwhile is read by the next run.
2. A reading that takes more calls than a run has, of all relations or of what was modified, is made
   in the order of ids by several runs. Each leaves half of its calls to the records that are named
   and not held, and reads on with what is left of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from math import ceil, isqrt
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api.errors import ENDS_EARLY
from salesforce_targeted.arrow.batch import Batch
from salesforce_targeted.arrow.columns import ROW_HASH, TIMESTAMP, Columns
from salesforce_targeted.arrow.id_counts import Counting
from salesforce_targeted.arrow.id_set import IdSet, among, minus, union
from salesforce_targeted.destination.comparison import Comparison, compare
from salesforce_targeted.destination.rejected_records import rejected_ids
from salesforce_targeted.destination.table_names import RELATIONS
from salesforce_targeted.extract.findings import RelationFindings
from salesforce_targeted.extract.held_relations import PER_PAGE
from salesforce_targeted.extract.id_selection import named_users
from salesforce_targeted.extract.lifecycle import RELATION_REMOVED
from salesforce_targeted.extract.record_table import RecordTable
from salesforce_targeted.extract.run import Run
from salesforce_targeted.relations import pages
from salesforce_targeted.relations.queries import Range
from salesforce_targeted.retrieval import rebatch

# In the source's state: a reading that takes several runs; when all ids were last compared, and
# what the setting ``since`` was then; the fields with which every relation has been read.
READING, COMPARED_AT = "relations_read", "relations_compared_at"
COMPARED_SINCE, READ_FIELDS = "relations_compared_since", "relations_read_fields"


def read_relations(run: Run, since: datetime | None) -> Iterator[pa.Table]:
    """Read the relations modified since a moment (None: all) and yield the rows to load.

    What was read is in ``run.relations`` afterwards.
    """
    columns, findings = run.columns(RELATIONS), run.relations
    rejected, _ = rejected_ids(run.held, "TaskWhoRelation")
    findings.whole = since == run.settings.since and run.scope.complete
    read = columns.fields if findings.whole else run.state.get(READ_FIELDS, columns.fields)
    run.state[READ_FIELDS] = [name for name in read if name in columns.fields]
    contacts, begun = Counting(), run.state.get(READING, {}).get("after")
    try:
        for batch in rebatch.pages(_pages(run, columns, since)):
            who = batch.table.column("RelationId")
            contacts.add(who.filter(pc.starts_with(who, run.org.key_prefix)))
            rejected_ones = [record.record_id for record in batch.rejected if not record.field]
            last = pc.max(batch.table.column(columns.key.name)).as_py()
            last = max(filter(None, [last, *rejected_ones]), default=None)
            yield from _to_load(run, columns, batch, rejected)
            if last is not None and findings.in_parts:
                run.state[READING]["after"] = last
                run.state[READING].pop("at_first", None)
            run.ledger.step(f"relations: {run.ledger.relations.read:,} read")
    except ENDS_EARLY:
        if run.scope.complete:  # the next run reads in an order that can be gone on with
            reading = _reading(run, since)
            if findings.in_parts and reading.get("after") == begun:
                # To search a page for what can't be read takes more calls than a run has.
                most = reading.get("at_first") or run.client.limits.rows_per_query_page
                reading["at_first"] = max(1, isqrt(most))
        raise
    if findings.is_deferred:
        return
    _note_end(run)
    if findings.whole and not findings.unread:
        findings.counts = contacts.counts()
    if run.scope.complete and len(rejected):
        yield from read_by_ids(run, minus(rejected, findings.read_ids.ids))
    findings.complete = True


def _note_end(run: Run) -> None:
    """Note that a reading came to its end."""
    findings = run.relations
    reading = run.state.pop(READING) if findings.in_parts else None
    if reading:
        # Rows stamped since the first of its runs began may have been missed.
        findings.newest = datetime.fromisoformat(reading["began_at"])
        if reading["from_nothing"]:
            run.state[COMPARED_AT] = run.opened_at.isoformat()
            run.state[COMPARED_SINCE] = reading.get("counted_since", "")
    if run.scope.full and (findings.whole or (reading and not reading["since"])):
        RecordTable(run, RELATIONS).note_read(whole=True)


def read_by_ids(run: Run, ids: pa.Array) -> Iterator[pa.Table]:
    """Read some relations and yield the rows to load."""
    columns = run.columns(RELATIONS)
    rejected, _ = rejected_ids(run.held, "TaskWhoRelation")
    asked_again = among(rejected, union(ids))
    read = pages.read_by_ids(run.client, run.org.junction, columns, ids.to_pylist())
    for batch in rebatch.pages(read):
        _note_read(run.relations, batch, columns)
        yield from _to_load(run, columns, batch, rejected)
    # What the org no longer shows is nothing that could not be read.
    run.ledger.answered.setdefault("TaskWhoRelation", IdSet()).add(asked_again)


def _note_read(findings: RelationFindings, batch: Batch, columns: Columns) -> None:
    """Keep which relations a batch showed."""
    findings.read_ids.add(batch.table.column(columns.key.name))
    findings.unread.update(record.record_id for record in batch.rejected if not record.field)


def finished(rows: pa.Table, at: datetime | None, reason: str | None) -> pa.Table:
    """Append when and why the relations of some rows were removed."""
    rows = rows.append_column("removed_at", pa.array([at] * rows.num_rows, TIMESTAMP))
    return rows.append_column("removed_reason", pa.array([reason] * rows.num_rows, pa.string()))


def _pages(run: Run, columns: Columns, since: datetime | None) -> Iterator[Batch]:
    """Read the pages, of several ranges at once where that is quicker; each row once."""
    findings = run.relations
    if run.scope.complete and (READING in run.state or (findings.whole and _exceeds_calls(run))):
        yield from _next_pages(run, columns, since)
        return
    ranges: list[Range] = [(None, None)]
    known = run.org.relation_count or run.held.count(RELATIONS)
    if findings.whole and since is None:
        ranges = pages.ranges(run.client, run.org.junction, known)
    limit = run.scope.limit
    readings = [
        pages.read(run.client, run.org.junction, columns, since=since, limit=limit, within=span)
        for span in ranges
    ]
    yield from _noted(run, columns, run.client.merged(readings))


def counted_since(run: Run) -> str:
    """Return the setting ``since`` as texts that sort as the moments do; empty for none."""
    floor = run.settings.since
    return "" if floor is None else floor.astimezone(UTC).isoformat()


def begin_again(run: Run) -> None:
    """Let a ``--full`` read all relations, whatever an earlier run began, if calls suffice."""
    if run.scope.full and (begun := run.state.get(READING)):
        if begun.get("since") or not _exceeds_calls(run):
            del run.state[READING]
        else:
            run.ledger.warn(
                "The relations were not all read by this run, which has too few calls for that: it"
                f" went on with a reading that was begun at {begun['began_at']}"
            )


def _exceeds_calls(run: Run) -> bool:
    """Return whether fewer calls are left than reading all relations takes."""
    left, known = run.client.meter.left, run.org.relation_count
    most = run.held_relations.per_page
    return left is not None and known is not None and ceil(known / most) >= left


def _reading(run: Run, since: datetime | None) -> dict[str, Any]:
    """Return the reading that takes several runs; the first of them begins it."""
    whole = since == run.settings.since
    begun: dict[str, Any] = {
        "began_at": run.opened_at.isoformat(),
        "since": None if whole or since is None else since.isoformat(),
        "counted_since": counted_since(run),
        "from_nothing": whole and not run.held.count(RELATIONS),
    }
    return run.state.setdefault(READING, begun)  # type: ignore[no-any-return]


def _next_pages(run: Run, columns: Columns, since: datetime | None) -> Iterator[Batch]:
    """Go on with a reading in the order of ids, from where it ended; half of the calls at first."""
    findings, left = run.relations, run.client.meter.left or 0
    keep = 0 if findings.is_deferred or not run.ledger.is_read else left // 2
    findings.whole, findings.in_parts, findings.is_deferred = False, True, False
    reading = _reading(run, since)
    at_first = reading.get("at_first", run.client.limits.rows_per_query_page)
    begin = (reading.get("after"), at_first)
    read = pages.read(run.client, run.org.junction, columns, since=since, in_order=begin)
    for batch in _noted(run, columns, read):
        yield batch
        if keep and (run.client.meter.left or 0) <= keep:
            findings.is_deferred = True
            return


def _noted(run: Run, columns: Columns, read: Iterator[Batch]) -> Iterator[Batch]:
    """Yield pages, each row once, and keep which relations they show.

    An org that sorts ids in an order of its own shows one in two ranges.

    How many relations those hold which others follow is kept for the next run.
    """
    most = 0
    for page in read:
        if most:
            run.state[PER_PAGE] = most
        most = max(most, page.table.num_rows + len(page.rejected))
        known = run.relations.read_ids.marks(page.table.column(columns.key.name))
        new = page.of_rows(pc.invert(known), columns)
        _note_read(run.relations, new, columns)
        yield new


def _to_load(run: Run, columns: Columns, batch: Batch, rejected: pa.Array) -> Iterator[pa.Table]:
    """Compare rows with what is held; yield the new, the changed and those that came back."""
    tally, first = run.ledger.relations, not run.ledger.relations.read
    if len(rejected):
        came = among(rejected, union(batch.table.column(columns.key.name)))
        run.ledger.answered.setdefault("TaskWhoRelation", IdSet()).add(came)
    for value in batch.rejected:
        run.ledger.reject(value)
    run.ledger.nuls_removed += batch.nuls_removed
    comparison = compare(run.held, RELATIONS, columns, batch)
    _note_names(run, columns, comparison.rows)
    changed = comparison.rows.filter(_differs(run, columns, comparison))
    tally.read += comparison.rows.num_rows
    carries = bool(columns.added) and bool(run.held.column_hints(RELATIONS))
    if carries and not changed.num_rows and first:
        changed = comparison.rows.slice(0, 1)  # a new column travels with a row, changed or not
    if changed.num_rows:
        yield finished(changed, None, None)


def _differs(run: Run, columns: Columns, comparison: Comparison) -> pa.Array:
    """Mark the rows that differ from what is held, or are new, or were marked as removed."""
    findings, tally, rows = run.relations, run.ledger.relations, comparison.rows
    ids, live = rows.column(columns.key.name).to_pylist(), dict[str, str | None]()
    is_first = ROW_HASH not in run.held.column_hints(RELATIONS)
    if not is_first:
        stored = ["removed_at", run.held.name("RelationId")]
        held = run.held.by_ids(RELATIONS, columns.key.stored, ids, stored)
        live = {id_: who for id_, removed_at, who in held if removed_at is None}
    if not (is_first and findings.whole):
        # Most are where they were, and a number for each of a million contacts takes room.
        for id_, who in zip(ids, rows.column("RelationId").to_pylist(), strict=True):
            if id_ not in live or live[id_] != who:
                findings.changes[who] += 1
                if id_ in live:
                    findings.changes[live[id_]] -= 1
                if before := live.get(id_):  # a merge moved it, or the task's WhoId did
                    findings.left_reasons[before] = RELATION_REMOVED
    unchanged = pc.and_(comparison.is_same, pa.array([id_ in live for id_ in ids], pa.bool_()))
    tally.new += comparison.new
    tally.unchanged += unchanged.true_count
    tally.updated += rows.num_rows - comparison.new - unchanged.true_count
    return pc.invert(unchanged)


def _note_names(run: Run, columns: Columns, rows: pa.Table) -> None:
    findings, tally = run.relations, run.ledger.relations
    who = rows.column("RelationId")
    findings.contacts.add(who.filter(pc.starts_with(who, run.org.key_prefix)))
    tally.leads += pc.sum(pc.starts_with(who, "00Q")).as_py() or 0
    tally.without_who += who.null_count
    findings.tasks.add(rows.column("TaskId"))
    findings.users.update(named_users(rows, columns))
    if columns.named("SystemModstamp"):
        stamps = rows.column("SystemModstamp")
        if run.org.settled_before is not None:
            settled = pc.less(stamps, run.org.settled_before)
            findings.read_settled.add(rows.column(columns.key.name).filter(settled))
        newest = pc.max(stamps).as_py()
        findings.newest = max(filter(None, (findings.newest, newest)), default=None)
