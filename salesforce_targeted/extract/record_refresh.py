"""Fetch the selected records of a table and yield the rows to load: new and changed ones."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api.errors import ENDS_EARLY, SalesforceError, UnavailableError
from salesforce_targeted.arrow.batch import EVERY_RECORD, Rejected
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.id_set import IdSet, among, id_array, union
from salesforce_targeted.destination.comparison import compare
from salesforce_targeted.destination.database import is_postgres
from salesforce_targeted.destination.rejected_records import rejected_ids
from salesforce_targeted.destination.row_width import reject_wide_rows
from salesforce_targeted.extract import lessons, refresh_state
from salesforce_targeted.extract.discovery import SHRINK_CONTACTS, SHRINK_SHARE
from salesforce_targeted.extract.findings import Selection
from salesforce_targeted.extract.id_selection import calls_of, named_users
from salesforce_targeted.extract.run import Run
from salesforce_targeted.retrieval import rebatch
from salesforce_targeted.retrieval.planner import Latency, Plan, cheapest
from salesforce_targeted.retrieval.results import HIDDEN, Retrieved
from salesforce_targeted.retrieval.retrieve import Replan, retrieve
from salesforce_targeted.settings import Api

# For users, and for what a plain read does not show.
_CALLS_AFTERWARDS = 3


def refresh(run: Run, table: str, selection: Selection) -> Iterator[pa.Table]:
    """Fetch records and yield the rows to load.

    Where the calls that are left don't suffice for all, only what is not held is fetched;
    ``findings.is_deferred`` then says so, and :func:`refresh_held` follows.
    """
    tally = run.ledger.tally(run.object_of(table))
    if not _suffices(run, table, selection):
        tally.asked += len(selection.new) + sum(map(len, selection.later))
        tally.leave_rest()  # until they are read, whatever ends the calls
        run.findings(table).is_deferred = True
        try:
            yield from _in_pieces(run, table, 0, selection.new)
        finally:  # else a run whose calls end here would ask for the same ones first
            refresh_state.note_gone(run, table, whole=False)
        return
    tally.asked += len(selection)
    ids = union(selection.known, selection.new)
    try:
        yield from _fetched(run, table, ids, selection.left_out)
    except ENDS_EARLY:  # it took more calls than planned: the next run begins with what is not held
        refresh_state.note_gone(run, table, whole=False)
        _note_cut(run, table, 0, selection.later[0])
        raise
    _note_whole(run, table, selection)


def refresh_held(run: Run, table: str, selection: Selection) -> Iterator[pa.Table]:
    """Fetch what is held, as far as the calls go, and yield the rows to load."""
    for part, ids in enumerate(selection.later):
        if not len(ids):
            continue
        try:
            yield from _in_pieces(run, table, part, ids)
        except ENDS_EARLY:
            _note_cut(run, table, part, ids)
            raise
        if run.scope.complete:
            refresh_state.note_position(run, table, part, ids[-1].as_py())
    _note_whole(run, table, selection)


def _in_pieces(run: Run, table: str, part: int, ids: pa.Array) -> Iterator[pa.Table]:
    """Fetch records as far as the calls go, and yield the rows to load.

    Each piece leaves as many calls as it takes itself for asking what became of those that a plain
    read does not show; else those that are gone would be asked for first by every run to come.

    Args:
        part: Of ``Selection.later``: 0 for a plain read, 1 for what it left out before.
    """
    if not len(ids):
        return
    plan = plan_of(run, table, len(ids))
    per_call = ceil(len(ids) / (calls_of(run, 0, len(ids)) if part else plan.calls))
    if not part and plan.api is Api.COLLECTIONS:  # as what was asked for ahead
        per_call = lessons.limits(run, run.object_of(table)).ids_per_collection
    elif not part and plan.api is Api.BULK:  # one job
        per_call = len(ids)
    start, none = 0, ids[:0]
    while start < len(ids):
        size = per_call * max(1, (run.client.meter.left or 0) // 2)
        piece = ids[start : start + size]
        plain, left_out = (none, piece) if part else (piece, none)
        yield from _fetched(run, table, plain, left_out)
        start += size


def _suffices(run: Run, table: str, selection: Selection) -> bool:
    """Return whether the calls that are left are enough for all records, and for what they name."""
    left = run.client.meter.left
    if left is None or not len(selection):
        return True
    plan = plan_of(run, table, len(selection.new) + len(selection.known))
    if refresh_state.was_cut(run, table) and plan.api is not Api.BULK:
        return False
    calls = plan.calls + calls_of(run, 0, len(selection.left_out))
    if table == run.target.table and run.holds_relations:
        calls += ceil(len(run.relations.tasks) / run.client.limits.ids_per_collection)
    return calls + _CALLS_AFTERWARDS <= left


def _warn_of_hidden(run: Run, table: str, selection: Selection) -> None:
    """Warn where the org hides many records at once that it showed before."""
    gone = run.findings(table).gone.items()
    hidden = id_array(id_ for id_, of_it in gone if of_it.reason == HIDDEN)
    newly = len(among(hidden, selection.known))
    if newly > max(SHRINK_CONTACTS, len(selection.known) * SHRINK_SHARE):
        run.ledger.warn(
            f"{newly:,} of {len(selection.known):,} {run.object_of(table)}s that were shown before"
            " are hidden from our user: their last rows are kept. Check its permission sets and"
            " sharing; they are read again as soon as they are shown"
        )


def _note_whole(run: Run, table: str, selection: Selection) -> None:
    """Note that a stage came to its end."""
    findings = run.findings(table)
    _warn_of_hidden(run, table, selection)
    findings.is_deferred = False
    if selection.whole:
        # One that a part of the pass was read without has not healed, though the last part has it.
        for name, why in refresh_state.unread_fields(run, table).items():
            run.ledger.reject(Rejected(run.object_of(table), EVERY_RECORD, name, why, ""))
        answered = run.ledger.answered.setdefault(run.object_of(table), IdSet())
        answered.update([EVERY_RECORD])
    if run.scope.complete:
        refresh_state.note_gone(run, table, whole=selection.whole)
        refresh_state.note_end(run, table, selection, findings.newest)


def _fetched(run: Run, table: str, plain: pa.Array, left_out: pa.Array) -> Iterator[pa.Table]:
    if not len(plain) + len(left_out):
        return
    try:
        retrieved = _retrieved(run, table, plain, left_out)
        yield from rebatch.tables(_changed_rows(run, table, retrieved))
    finally:
        run.ledger.tally(run.object_of(table)).leave_rest()


def plan_of(run: Run, table: str, ids: int) -> Plan:
    """Plan how so many records of a table are fetched, as quick as this run has met the org."""
    meter, object_name = run.client.meter, run.object_of(table)
    return cheapest(
        object_name,
        run.columns(table).fields,
        ids,
        run.in_org(object_name, ids),
        limits=lessons.limits(run, object_name),
        latency=Latency(calls_in_flight=meter.concurrency).measured(meter.timings()),
        budget=meter.left,
        force=run.settings.api,
        exclude=lessons.refused_apis(run, object_name),
    )


def replan(run: Run, table: str, plan: Plan) -> Replan | None:
    """Make what plans again for what a refused way left; None where the way is forced."""
    object_name = run.object_of(table)

    def plan_without_it(api: Api, left: int, error: SalesforceError) -> Plan:
        known = api in run.lessons[object_name].refused
        # An outage ends: the next run tries the same way again.
        is_outage = isinstance(error, UnavailableError) and error.status not in (None, 200, 500)
        lessons.note_refused(run, object_name, api, for_a_day=not is_outage)
        if lessons.refused_apis(run, object_name) >= {*Api}:
            lessons.forget_refused(run, object_name)
            raise error
        if not known:
            again = f" for a day (--full tries {api.value.capitalize()} again)"
            run.ledger.warn(
                f"{error} The {left:,} records that it left were read by another API"
                + ("" if is_outage else f", as they will be{again}")
            )
        return plan_of(run, table, left)

    return None if plan.forced else plan_without_it


def _retrieved(run: Run, table: str, plain: pa.Array, left_out: pa.Array) -> Iterator[Retrieved]:
    object_name, columns = run.object_of(table), run.columns(table)
    answered = run.findings(table).answered
    plan = plan_of(run, table, len(plain))
    run.ledger.plans[object_name] = plan
    retrieved = retrieve(
        run.client, plan, plain, columns, replan(run, table, plan),
        # In the same words, or what was asked for ahead would be asked for again.
        apart=[among(asked, plain) for asked in run.asked.get(table, ())], left_out=left_out,
        lessons=lessons.recall(run, columns, plain), tell=run.ledger.step,
    )  # fmt: skip
    try:
        for part in retrieved:
            answered.add(part.batch.table.column(columns.key.name))
            rejected = {r.record_id for r in part.batch.rejected} - {EVERY_RECORD}
            answered.update([*rejected, *(gone.id for gone in part.gone)])
            yield part
    finally:
        lessons.note(run, object_name)


def _note_cut(run: Run, table: str, part: int, ids: pa.Array) -> None:
    """Keep up to which of some ids all were answered, in a run whose calls ended."""
    answered = run.findings(table).answered
    open_ones = pc.indices_nonzero(pc.invert(pc.is_in(ids, value_set=answered.ids)))
    first_open = open_ones[0].as_py() if len(open_ones) else len(ids)
    if run.scope.complete:
        refresh_state.note_position(
            run, table, part, ids[first_open - 1].as_py() if first_open else None
        )


def _changed_rows(run: Run, table: str, retrieved: Iterator[Retrieved]) -> Iterator[pa.Table]:
    object_name, columns = run.object_of(table), run.columns(table)
    tally = run.ledger.tally(object_name)
    # Whether these alone came is asked later: a million others need no room.
    rejected = set(rejected_ids(run.held, run.rejected_as(table))[0].to_pylist())
    answered = run.ledger.answered.setdefault(object_name, IdSet())
    # A new column reaches the destination with a row that carries it, changed or not.
    must_carry = bool(columns.added) and bool(run.held.column_hints(table))
    stores_in_pages = is_postgres(run.held.pipeline)
    for part in rebatch.retrieved(retrieved):
        if stores_in_pages:
            part.batch = reject_wide_rows(part.batch, columns, object_name)
        _note(run, table, part)
        if run.scope.complete:
            unread = [r for r in part.batch.rejected if r.record_id == EVERY_RECORD]
            refresh_state.unread_fields(run, table).update({r.field: r.error for r in unread})
        if rejected:
            ids = part.batch.table.column(columns.key.name).to_pylist()
            answered.update(rejected & {*ids, *(gone.id for gone in part.gone)})
        comparison = compare(run.held, table, columns, part.batch)
        tally.retrieved += comparison.rows.num_rows
        tally.new += comparison.new
        tally.updated += comparison.updated
        tally.unchanged += comparison.unchanged
        tally.gone += len(part.gone)
        tables = [comparison.changed, _last_rows(run, table, columns, part)]
        if must_carry and not any(map(len, tables)):
            tables.append(comparison.rows.slice(0, 1))
        must_carry = must_carry and not any(map(len, tables))
        run.ledger.step(f"{object_name}: {tally.retrieved + tally.gone:,} of {tally.asked:,}")
        yield from filter(len, tables)


def _note(run: Run, table: str, part: Retrieved) -> None:
    """Keep what is gone and rejected, and which users the rows name."""
    columns, findings = run.columns(table), run.findings(table)
    for batch in (part.batch, part.last_rows):
        if batch is None:
            continue
        for rejected in batch.rejected:
            run.ledger.reject(rejected)
            if not rejected.field:
                findings.rejected.add(rejected.record_id)
        run.ledger.nuls_removed += batch.nuls_removed
        findings.users.update(named_users(batch.table, columns))
        stamp = columns.named("SystemModstamp")
        if stamp is not None:
            newest = pc.max(batch.table.column(stamp.name)).as_py()
            findings.newest = max(filter(None, (findings.newest, newest)), default=None)
    run.ledger.tally(run.object_of(table)).rejected = len(findings.rejected)
    findings.gone.update({gone.id: gone for gone in part.gone})
    findings.archived.extend(part.archived)


def _last_rows(run: Run, table: str, columns: Columns, part: Retrieved) -> pa.Table:
    """Return the last rows of deleted and merged records that are held and differ."""
    if part.last_rows is None:
        return part.batch.table.slice(0, 0)
    last = compare(run.held, table, columns, part.last_rows)
    return last.rows.filter(pc.invert(pc.or_(last.is_new, last.is_same)))
