"""Fetch the selected records of a table and yield the rows to load: new and changed ones."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api.errors import ENDS_EARLY, SalesforceError, UnavailableError
from salesforce_targeted.arrow.batch import EVERY_RECORD, Rejected
from salesforce_targeted.arrow.id_set import IdSet, among, id_array, union
from salesforce_targeted.destination.comparison import compare
from salesforce_targeted.destination.database import is_postgres
from salesforce_targeted.destination.rejected_records import rejected_ids
from salesforce_targeted.destination.row_width import reject_wide_rows
from salesforce_targeted.extract import lessons
from salesforce_targeted.extract.discovery import SHRINK_CONTACTS, SHRINK_SHARE
from salesforce_targeted.extract.findings import Selection
from salesforce_targeted.extract.id_selection import calls_of, named_users
from salesforce_targeted.extract.record_table import RecordTable
from salesforce_targeted.extract.run import CALLS_WORTH_A_COUNT
from salesforce_targeted.retrieval import rebatch
from salesforce_targeted.retrieval.planner import Latency, Plan, cheapest
from salesforce_targeted.retrieval.results import HIDDEN, Retrieved
from salesforce_targeted.retrieval.retrieve import Replan, retrieve
from salesforce_targeted.settings import Api

# For users, and for what a plain read does not show.
_CALLS_AFTERWARDS = 3


def refresh(table: RecordTable, selection: Selection) -> Iterator[pa.Table]:
    """Fetch records and yield the rows to load.

    Where the calls that are left don't suffice for all, only what is not held is fetched;
    ``findings.is_deferred`` then says so, and :func:`refresh_held` follows.
    """
    table.findings.selection, tally = selection, table.tally
    if not _suffices(table, selection):
        tally.asked += len(selection.new) + sum(map(len, selection.later))
        tally.leave_rest()  # until they are read, whatever ends the calls
        table.findings.is_deferred = True
        try:
            yield from _in_pieces(table, 0, selection.new)
        finally:  # else a run whose calls end here would ask for the same ones first
            table.note_gone(whole=False)
        return
    tally.asked += len(selection)
    ids = union(selection.known, selection.new)
    try:
        yield from _fetched(table, ids, selection.left_out)
    except ENDS_EARLY:  # it took more calls than planned: the next run begins with what is not held
        table.note_gone(whole=False)
        _note_cut(table, 0, selection.later[0])
        raise
    _note_whole(table, selection)


def refresh_held(table: RecordTable, selection: Selection) -> Iterator[pa.Table]:
    """Fetch what is held, as far as the calls go, and yield the rows to load."""
    for part, ids in enumerate(selection.later):
        if not len(ids):
            continue
        try:
            yield from _in_pieces(table, part, ids)
        except ENDS_EARLY:
            _note_cut(table, part, ids)
            raise
        if table.run.scope.complete:
            table.note_position(part, ids[-1].as_py())
    _note_whole(table, selection)


def _in_pieces(table: RecordTable, part: int, ids: pa.Array) -> Iterator[pa.Table]:
    """Fetch records as far as the calls go, and yield the rows to load.

    Each piece leaves as many calls as it takes itself for asking what became of those that a plain
    read does not show; else those that are gone would be asked for first by every run to come.

    Args:
        part: Of ``Selection.later``: 0 for a plain read, 1 for what it left out before.
    """
    if not len(ids):
        return
    plan = plan_of(table, len(ids))
    per_call = ceil(len(ids) / (calls_of(table.run, 0, len(ids)) if part else plan.calls))
    if not part and plan.api is Api.COLLECTIONS:  # as what was asked for ahead
        per_call = lessons.limits(table).ids_per_collection
    elif not part and plan.api is Api.BULK:  # one job
        per_call = len(ids)
    start, none = 0, ids[:0]
    while start < len(ids):
        size = per_call * max(1, (table.run.client.meter.left or 0) // 2)
        piece = ids[start : start + size]
        plain, left_out = (none, piece) if part else (piece, none)
        yield from _fetched(table, plain, left_out)
        start += size


def _suffices(table: RecordTable, selection: Selection) -> bool:
    """Return whether the calls that are left are enough for all records, and for what they name."""
    left = table.run.client.meter.left
    if left is None or not len(selection):
        return True
    plan = plan_of(table, len(selection.new) + len(selection.known))
    if table.was_cut() and plan.api is not Api.BULK:
        return False
    calls = plan.calls + calls_of(table.run, 0, len(selection.left_out))
    if table.is_target and table.run.holds_relations:
        calls += ceil(len(table.run.relations.tasks) / table.run.client.limits.ids_per_collection)
    return calls + _CALLS_AFTERWARDS <= left


def _warn_of_hidden(table: RecordTable, selection: Selection) -> None:
    """Warn where the org hides many records at once that it showed before."""
    gone = table.findings.gone.items()
    hidden = id_array(id_ for id_, of_it in gone if of_it.reason == HIDDEN)
    newly = len(among(hidden, selection.known))
    if newly > max(SHRINK_CONTACTS, len(selection.known) * SHRINK_SHARE):
        table.run.ledger.warn(
            f"{newly:,} of {len(selection.known):,} {table.object_name}s that were shown before"
            " are hidden from our user: their last rows are kept. Check its permission sets and"
            " sharing; they are read again as soon as they are shown"
        )


def _note_whole(table: RecordTable, selection: Selection) -> None:
    """Note that a stage came to its end."""
    ledger, object_name = table.run.ledger, table.object_name
    _warn_of_hidden(table, selection)
    table.findings.is_deferred = False
    if selection.whole:
        # One that a part of the pass was read without has not healed, though the last part has it.
        for name, why in table.unread_fields().items():
            ledger.reject(Rejected(object_name, EVERY_RECORD, name, why, ""))
        ledger.answered.setdefault(object_name, IdSet()).update([EVERY_RECORD])
    if table.run.scope.complete:
        table.note_gone(whole=selection.whole)
        table.note_end(selection)


def _fetched(table: RecordTable, plain: pa.Array, left_out: pa.Array) -> Iterator[pa.Table]:
    if not len(plain) + len(left_out):
        return
    try:
        retrieved = _retrieved(table, plain, left_out)
        yield from rebatch.tables(_changed_rows(table, retrieved))
    finally:
        table.tally.leave_rest()


def plan_of(table: RecordTable, ids: int) -> Plan:
    """Plan how so many records of a table are fetched, as quick as this run has met the org."""
    run, meter = table.run, table.run.client.meter
    matters = ids > CALLS_WORTH_A_COUNT * run.client.limits.ids_per_collection
    return cheapest(
        table.object_name,
        table.columns.fields,
        ids,
        run.records_in_org.get(table.object_name, 0) if matters else 0,
        limits=lessons.limits(table),
        latency=Latency(calls_in_flight=meter.concurrency).measured(meter.timings()),
        budget=meter.left,
        force=run.settings.api,
        exclude=lessons.refused_apis(table),
    )


def replan(table: RecordTable, plan: Plan) -> Replan | None:
    """Make what plans again for what a refused way left; None where the way is forced."""

    def plan_without_it(api: Api, left: int, error: SalesforceError) -> Plan:
        known = api in table.run.lessons[table.object_name].refused
        # An outage ends: the next run tries the same way again.
        is_outage = isinstance(error, UnavailableError) and error.status not in (None, 200, 500)
        lessons.note_refused(table, api, for_a_day=not is_outage)
        if lessons.refused_apis(table) >= {*Api}:
            lessons.forget_refused(table)
            raise error
        if not known:
            again = f" for a day (--full tries {api.value.capitalize()} again)"
            table.run.ledger.warn(
                f"{error} The {left:,} records that it left were read by another API"
                + ("" if is_outage else f", as they will be{again}")
            )
        return plan_of(table, left)

    return None if plan.forced else plan_without_it


def _retrieved(table: RecordTable, plain: pa.Array, left_out: pa.Array) -> Iterator[Retrieved]:
    run, columns, answered = table.run, table.columns, table.findings.answered
    run.ledger.plans[table.object_name] = plan = plan_of(table, len(plain))
    retrieved = retrieve(
        run.client, plan, plain, columns, replan(table, plan),
        # In the same words, or what was asked for ahead would be asked for again.
        apart=[among(asked, plain) for asked in run.asked.get(table.name, ())], left_out=left_out,
        lessons=lessons.recall(table, plain), tell=run.ledger.step,
    )  # fmt: skip
    try:
        for part in retrieved:
            answered.add(part.batch.table.column(columns.key.name))
            rejected = {r.record_id for r in part.batch.rejected} - {EVERY_RECORD}
            answered.update([*rejected, *(gone.id for gone in part.gone)])
            yield part
    finally:
        lessons.note(table)


def _note_cut(table: RecordTable, part: int, ids: pa.Array) -> None:
    """Keep up to which of some ids all were answered, in a run whose calls ended."""
    answered = table.findings.answered
    open_ones = pc.indices_nonzero(pc.invert(pc.is_in(ids, value_set=answered.ids)))
    first_open = open_ones[0].as_py() if len(open_ones) else len(ids)
    if table.run.scope.complete:
        table.note_position(part, ids[first_open - 1].as_py() if first_open else None)


def _changed_rows(table: RecordTable, retrieved: Iterator[Retrieved]) -> Iterator[pa.Table]:
    run, object_name, columns, tally = table.run, table.object_name, table.columns, table.tally
    # Whether these alone came is asked later: a million others need no room.
    rejected = set(rejected_ids(run.held, table.rejected_as)[0].to_pylist())
    answered = run.ledger.answered.setdefault(object_name, IdSet())
    # A new column reaches the destination with a row that carries it, changed or not.
    must_carry = bool(columns.added) and bool(run.held.column_hints(table.name))
    stores_in_pages = is_postgres(run.held.pipeline)
    for part in rebatch.retrieved(retrieved):
        if stores_in_pages:
            part.batch = reject_wide_rows(part.batch, columns, object_name)
        _note(table, part)
        if run.scope.complete:
            unread = [r for r in part.batch.rejected if r.record_id == EVERY_RECORD]
            table.unread_fields().update({r.field: r.error for r in unread})
        if rejected:
            ids = part.batch.table.column(columns.key.name).to_pylist()
            answered.update(rejected & {*ids, *(gone.id for gone in part.gone)})
        comparison = compare(run.held, table.name, columns, part.batch)
        tally.retrieved += comparison.rows.num_rows
        tally.new += comparison.new
        tally.updated += comparison.updated
        tally.unchanged += comparison.unchanged
        tally.gone += len(part.gone)
        tables = [comparison.changed, _last_rows(table, part)]
        if must_carry and not any(map(len, tables)):
            tables.append(comparison.rows.slice(0, 1))
        must_carry = must_carry and not any(map(len, tables))
        run.ledger.step(f"{object_name}: {tally.retrieved + tally.gone:,} of {tally.asked:,}")
        yield from filter(len, tables)


def _note(table: RecordTable, part: Retrieved) -> None:
    """Keep what is gone and rejected, and which users the rows name."""
    columns, findings, ledger = table.columns, table.findings, table.run.ledger
    for batch in (part.batch, part.last_rows):
        if batch is None:
            continue
        for rejected in batch.rejected:
            ledger.reject(rejected)
            if not rejected.field:
                findings.rejected.add(rejected.record_id)
        ledger.nuls_removed += batch.nuls_removed
        findings.users.update(named_users(batch.table, columns))
        stamp = columns.named("SystemModstamp")
        if stamp is not None:
            newest = pc.max(batch.table.column(stamp.name)).as_py()
            findings.newest = max(filter(None, (findings.newest, newest)), default=None)
    table.tally.rejected = len(findings.rejected)
    findings.gone.update({gone.id: gone for gone in part.gone})
    findings.archived.extend(part.archived)


def _last_rows(table: RecordTable, part: Retrieved) -> pa.Table:
    """Return the last rows of deleted and merged records that are held and differ."""
    if part.last_rows is None:
        return part.batch.table.slice(0, 0)
    last = compare(table.run.held, table.name, table.columns, part.last_rows)
    return last.rows.filter(pc.invert(pc.or_(last.is_new, last.is_same)))
