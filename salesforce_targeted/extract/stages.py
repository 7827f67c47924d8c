"""Run the stages of one extraction in their order.

``stages`` says the order, top to bottom: what a stage needs, those above it have found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Any

import dlt
import pyarrow as pa
from dlt.sources import incremental

from salesforce_targeted.api import errors
from salesforce_targeted.arrow.deduplication import once_in_a_load
from salesforce_targeted.arrow.id_set import id_array, minus, union
from salesforce_targeted.destination import rejected_records, sync_runs, table_comments
from salesforce_targeted.destination.database import is_postgres
from salesforce_targeted.destination.rejected_records import rejected_ids
from salesforce_targeted.destination.table_names import REJECTED_RECORDS, RELATIONS, TASKS, USERS
from salesforce_targeted.target import Target

from . import id_selection, record_log
from .discovery import active, discovered, note_discovered
from .findings import Selection
from .held_relations import SLOW_STAMPS
from .lessons import note_slow, open_run
from .lifecycle_rows import changed_lives
from .record_refresh import refresh, refresh_held
from .record_table import REFRESHED, RecordTable
from .relation_refresh import COMPARED_AT, READING, begin_again, read_by_ids, read_relations
from .relation_selection import relations_since
from .removed_relations import mark_removed
from .requests_ahead import ask_for_discovered, ask_for_held, ask_for_new, ask_for_rest
from .run import Run

RELATION, TASK, USER = "task_who_relation", "task", "user"
REJECTED, SYNC_RUN = "rejected_record", "sync_run"

Item = tuple[str, Any]


def ids_resource(target: Target) -> str:
    """Return the name of the resource that yields the ids of the active records."""
    return target.life_table.removeprefix("sf_")


def stages(
    run: Run, wanted: Collection[str], modified: Callable[[], incremental[datetime] | None]
) -> Iterator[Item]:
    """Run the stages and yield each item with the resource that it belongs to.

    Args:
        wanted: The resources that are loaded.
        modified: Gives dlt's incremental once the relations' resource was polled; None before.
    """
    record, life = run.target.resource, f"{run.target.resource}_life"
    of_relations, lives = RecordTable(run, RELATIONS), RecordTable(run, run.target.life_table)
    tables = {**_tables(run), RELATION: of_relations, life: lives}
    loaded = [table for name, table in tables.items() if name in wanted]
    last_read = next((name for name in (USER, TASK, record) if name in wanted), RELATION)
    order: dict[str, Callable[[], Iterator[Item]]] = {
        RELATION: lambda: _of(RELATION, of_relations, _relations(run, modified())),
        record: lambda: _record_items(tables[record], wanted),
        TASK: lambda: _of(TASK, tables[TASK], _tasks(tables[TASK])),
        USER: lambda: _of(USER, tables[USER], _users(tables[USER])),
        life: lambda: ((life, rows) for rows in _until_calls_end(run, changed_lives(run))),
        REJECTED: lambda: ((REJECTED, rows) for rows in _rejected(run)),
        SYNC_RUN: lambda: iter([(SYNC_RUN, sync_runs.to_table(run.facts("loaded")))]),
    }
    # Known once dlt polls the relations: a range that is not read is refused before any call.
    while RELATION in wanted and modified() is None:
        yield RELATION, None
    ahead = ask_for_held(run, [table.name for table in loaded])
    open_run(run, ahead.along, reads_relations=RELATION in wanted)
    ask_for_rest(run, ahead)
    if run.changes_dataset:
        for name in (REFRESHED, COMPARED_AT, READING):  # all is read again
            run.state.pop(name, None)
    if TASK in wanted and RELATION not in wanted and not run.held.count(RELATIONS):
        run.ledger.warn(
            f"{TASK}: those are loaded that held relations name, and none is held. Load {RELATION}"
            " with it, or before"
        )
    for resource, items in order.items():
        if resource in wanted:
            yield from items()
            if resource == last_read:
                yield from _deferred(run)
                _explain(run)
                _note_untold(run, wanted)
    stopped = run.ledger.stopped
    # What the org cut short, and not an allowance, finds all its calls again.
    if not isinstance(stopped, errors.QuotaExceededError) or stopped.status is not None:
        for table in loaded:
            table.forget_read()


def _relations(run: Run, modified: incremental[datetime] | None) -> Iterator[pa.Table]:
    """Yield relation rows to load: read since the cursor, then those removed or late."""
    if run.scope.retry_rejected:
        yield from read_by_ids(run, rejected_ids(run.held, "TaskWhoRelation")[0])
        return
    if not run.relations.is_deferred:
        begin_again(run)
    since = relations_since(run, modified.start_value if modified is not None else None)
    try:
        yield from read_relations(run, since)
    except errors.SalesforceError as error:
        # Without a stamp it may begin again, if it failed before its first row.
        may_read_whole = since is not None and run.settings.since is None and run.scope.complete
        if not may_read_whole or len(run.relations.read_ids) or not errors.is_of_records(error):
            raise
        run.ledger.warn(
            f"{error.what} The relations that were modified could not be asked for, so all of them"
            " were read, as they will be for a day"
        )
        note_slow(run, SLOW_STAMPS)
        yield from read_relations(run, None)
    if run.relations.is_deferred:
        spent = "the relations to read take more calls than this run may spend"
        run.ledger.stop(errors.QuotaExceededError(spent))
        return
    newest = run.relations.newest
    if newest is not None and run.scope.since is None:
        # Not past the moment at which the reading began: what is edited meanwhile is read again.
        newest = min(newest, run.opened_at)
        is_long = run.ledger.relations.read > run.held_relations.per_page
        if run.scope.complete and not run.relations.in_parts and is_long:
            newest = run.opened_at  # what was imported at once is not read by every run to come
        last = None if run.is_ahead(run.held_relations.cursor) else run.held_relations.cursor
        run.ledger.cursor = max(last or newest, newest)
    # Stops the run before anything is marked, if most are gone.
    if run.scope.complete and (shown := discovered(run)) is not None:
        yield from mark_removed(run, shown)
        note_discovered(run)
    run.relations.read_ids.clear()  # a million of them take room, too


def _record_items(table: RecordTable, wanted: Collection[str]) -> Iterator[Item]:
    """Yield the ids of the records to hold true, one complete set, then their rows."""
    run = table.run
    for selection in _until_calls_end(run, _selection(table, wanted)):
        yield ids_resource(run.target), selection
        if RELATION not in wanted:
            note_discovered(run)
        yield from _of(run.target.resource, table, _records(table, wanted, selection))


def _records(
    table: RecordTable, wanted: Collection[str], selection: Selection
) -> Iterator[pa.Table]:
    """Yield the records; what else is named is asked for at once, by calls that may end, too."""
    ask_for_new(table, selection, _named_by_relations(table.run, wanted))
    yield from refresh(table, selection)


def _selection(table: RecordTable, wanted: Collection[str]) -> Iterator[Selection]:
    """Yield the ids of the records to hold true: one complete set."""
    run, each = table.run, ask_for_discovered(table, reads_relations=RELATION in wanted)
    named = union(run.relations.contacts.ids, active(run, each))
    table.tally.discovered = len(named)
    yield id_selection.select_ids(table, named)


def _tasks(table: RecordTable) -> Iterator[pa.Table]:
    """Yield the tasks that held relations name, archived ones too."""
    run = table.run
    if run.org.shows("Task"):
        named = _named_tasks(run)
        run.relations.tasks.clear()  # a million of them take room
        yield from refresh(table, id_selection.select_ids(table, named))


def _named_by_relations(run: Run, wanted: Collection[str]) -> dict[str, pa.Array]:
    """Return the tasks and users that relations name; more users are named by those tasks."""
    named = {}
    if TASK in wanted and run.org.shows("Task"):
        named[TASKS] = _named_tasks(run)
    if USER in wanted and run.org.shows("User"):
        named[USERS] = id_array(run.relations.users)
    return named


def _named_tasks(run: Run) -> pa.Array:
    return union(run.relations.tasks.ids, id_selection.tasks_of_held(run))


def _users(table: RecordTable) -> Iterator[pa.Table]:
    """Yield the users who own, made or last modified held rows."""
    run = table.run
    if run.org.shows("User"):
        users = run.relations.users | run.records.users | run.tasks.users
        named = union(id_array(users), id_selection.users_of_held(run))
        yield from refresh(table, id_selection.select_ids(table, named))


def _deferred(run: Run) -> Iterator[Item]:
    """Yield what was put off for what is not held: the table that was read longest ago first.

    Before them the rest of the relations: the next run asks for what those name.
    """
    if run.relations.is_deferred:
        yield from _of(RELATION, RecordTable(run, RELATIONS), _relations(run, None))
    put_off = [stage for stage in _tables(run).items() if stage[1].findings.is_deferred]
    for resource, table in sorted(put_off, key=lambda stage: stage[1].passed_at):
        if (selection := table.findings.selection) is not None:
            yield from _of(resource, table, refresh_held(table, selection))


def _explain(run: Run) -> None:
    """Note why a plain read does not show what relations name, as far as it is known by now."""
    run.ledger.contacts_gone = {id_: gone.reason for id_, gone in run.records.gone.items()}
    archived, reasons = {*run.tasks.archived}, dict[str, str]()
    if run.scope.complete and run.tasks.selection is not None:
        # Those that were not read again are what they were.
        tasks = RecordTable(run, TASKS)
        before = minus(id_selection.archived_before(tasks), run.tasks.answered.ids)
        archived.update(before.to_pylist())
        reasons.update(tasks.gone_before())
    reasons |= {id_: gone.reason for id_, gone in run.tasks.gone.items()}
    run.ledger.explain_tasks(archived, reasons)


def _note_untold(run: Run, wanted: Collection[str]) -> None:
    """Keep what is gone or rejected and is said by no table that is loaded, for a later run."""
    life = f"{run.target.resource}_life"
    for resource, table in _tables(run).items():
        if resource in wanted:
            tells = REJECTED in wanted and (not table.is_target or life in wanted)
            table.note_untold(tells=tells)


def _tables(run: Run) -> dict[str, RecordTable]:
    """Return the table of each resource of records."""
    names = {run.target.resource: run.target.table, TASK: TASKS, USER: USERS}
    return {resource: RecordTable(run, name) for resource, name in names.items()}


def _rejected(run: Run) -> Iterator[pa.Table]:
    """Yield the records and values that could not be fetched or loaded, until they can be."""
    if run.ledger.rejected:
        run.ledger.warn(
            f"{len(run.ledger.rejected):,} values or records could not be read or loaded:"
            f" {REJECTED_RECORDS} lists them, and every run tries them again"
        )
    rows = rejected_records.to_table(run.held, run.ledger)
    # The first run makes the table, so that asking it is never an error.
    if rows.num_rows or not run.held.column_hints(REJECTED_RECORDS):
        # Without rows parquet can't be loaded into PostgreSQL, whatever format the user asks for.
        kind: Any = "csv" if is_postgres(run.held.pipeline) else "parquet"
        yield dlt.mark.with_hints(rows, dlt.mark.make_hints(file_format=kind))


def _of(resource: str, table: RecordTable, rows: Iterator[pa.Table]) -> Iterator[Item]:
    """Yield a stage's tables, each id once; the first one brings the columns' descriptions."""
    run, first = table.run, True
    for batch in once_in_a_load(_until_calls_end(run, rows), lambda: table.columns.key.name):
        if run.scope.record_log is not None:
            record_log.append(run.scope.record_log, table.name, batch)
        if first:
            hints: Any = table_comments.hints(table.columns, batch.column_names)
            batch = dlt.mark.with_hints(batch, dlt.mark.make_hints(columns=hints))  # noqa: PLW2901
        yield resource, batch
        first = False


def _until_calls_end(run: Run, rows: Iterator[Any]) -> Iterator[Any]:
    """End a stage where it is once its calls are spent or the org is down: what came is loaded.

    No stage moves a cursor or a date that it did not get to the end of, so that the next run goes
    on from there.

    Raises:
        QuotaExceededError, UnavailableError: nothing reads the ledger, so nothing would tell of it.
    """
    try:
        yield from rows
    except errors.ENDS_EARLY as error:
        if not run.ledger.is_read:
            raise
        # The org may have refused it: what comes after is refused here, without a call.
        run.client.meter.calls_allowed = run.client.meter.calls.total()
        run.ledger.stop(error)
