"""Choose which ids of a table a run asks for, and in which order.

Rule. Within the call budget everything held is read again, every run: formula fields, late commits
and new columns then come out right by construction. Beyond it a run asks for new ids and for what
was modified since the last run, and a whole pass follows every ``full_refresh_days``.

What is not held comes first, then what was read longest ago: a run whose calls end before the work
does leaves a position, from which the next one goes on. What a plain read left out before (deleted,
merged, archived, hidden) is asked for through ``queryAll`` at once, which shows it if it is back.
What is held of a table that such a run did read to its end waits until all tables were.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api import endpoints, readers, soql
from salesforce_targeted.api.errors import (
    LocatorExpiredError,
    SalesforceError,
    TruncatedResponseError,
    is_of_records,
    is_refused,
)
from salesforce_targeted.api.models import JsonRows
from salesforce_targeted.arrow.batch import EVERY_RECORD
from salesforce_targeted.arrow.columns import ROW_HASH, Columns
from salesforce_targeted.arrow.id_set import IdSet, among, id_array, minus, union
from salesforce_targeted.destination.rejected_records import rejected_ids
from salesforce_targeted.destination.stored_values import Where
from salesforce_targeted.destination.table_names import CONTACTS, RELATIONS, TASKS
from salesforce_targeted.extract.findings import Selection
from salesforce_targeted.extract.record_table import RecordTable
from salesforce_targeted.extract.run import LAG, Run
from salesforce_targeted.retrieval.bisection import ATTEMPTS

# Fields that name a user who must be held with the row.
_USER_FIELDS = ("OwnerId", "CreatedById", "LastModifiedById")
_FELL_APART = (LocatorExpiredError, TruncatedResponseError)


def named_users(rows: pa.Table, columns: Columns) -> set[str]:
    """Return the ids of the users that rows name.

    Queues and groups, which can own a record, are not users.
    """
    named: set[str] = set()
    for field in _USER_FIELDS:
        column = columns.named(field)
        if column is not None:
            ids = pc.unique(rows.column(column.name)).to_pylist()
            named.update(id_ for id_ in ids if id_ and id_.startswith("005"))
    return named


def tasks_of_held(run: Run) -> pa.Array:
    """Return the tasks that held relations name; none in a run over less."""
    column = run.held.name("TaskId")
    if not run.scope.complete or column not in run.held.column_hints(RELATIONS):
        return id_array(())
    return run.held.id_array(RELATIONS, column)


def users_of_held(run: Run) -> pa.Array:
    """Return the users that held rows name; none in a run over less."""
    if not run.scope.complete:
        return id_array(())
    names = [run.held.name(field) for field in _USER_FIELDS]
    tables = (RELATIONS, CONTACTS, TASKS)
    return run.held.ids_like("005", [(table, name) for table in tables for name in names])


def held_now(table: RecordTable) -> tuple[pa.Array, pa.Array]:
    """Return the held ids that a plain read showed, and those that it left out, before this run."""
    run, left_out = table.run, left_out_before(table)
    key = run.held.name(run.settings.id_column)  # known before the columns are
    return minus(run.held.id_array(table.name, key), left_out), left_out


def left_out_before(table: RecordTable) -> pa.Array:
    """Return the ids that a plain read left out when they were last asked for."""
    run = table.run
    if table.is_target:
        where = run.held.gone & Where(f"{run.held.sql('gone_reason')} <> 'rejected'")
        return run.held.id_array(run.target.life_table, run.target.life_key, where)
    flagged = (_flagged(table, field) for field in ("IsDeleted", "IsArchived"))
    return union(id_array(table.gone_before()), *flagged)


def archived_before(table: RecordTable) -> pa.Array:
    """Return the held ids of archived records that were neither deleted nor hidden since."""
    held = table.run.held
    if table.is_target or held.name("IsDeleted") not in held.column_hints(table.name):
        return id_array(())
    gone = union(_flagged(table, "IsDeleted"), id_array(table.gone_before()))
    return minus(_flagged(table, "IsArchived"), gone)


def _flagged(table: RecordTable, field: str) -> pa.Array:
    """Return the held ids of records whose flag is set; none where it is no column."""
    run = table.run
    flag, key = run.held.name(field), run.held.name(run.settings.id_column)
    if flag not in run.held.column_hints(table.name):
        return id_array(())
    return run.held.id_array(table.name, key, Where(f"{run.held.sql(flag)} = %s", (True,)))


def calls_of(run: Run, plain: int, left_out: int) -> int:
    """Count the calls that so many ids take, those that ``queryAll`` is asked for among them."""
    per_query = run.client.limits.rows_per_query_page
    return ceil(plain / run.client.limits.ids_per_collection) + ceil(left_out / per_query)


def select_ids(table: RecordTable, named: pa.Array) -> Selection:
    """Choose which ids of a table to ask for, so that those named are held after the run."""
    run, cursor = table.run, table.cursor
    if not (run.scope.complete and cursor and table.was_read()):
        return _selected(table, named)
    run.ledger.warn(
        f"{table.object_name}: an earlier run, whose calls ended, has read those that are held;"
        " what was edited since comes with the next run"
    )
    held = run.held.id_array(table.name, table.columns.key.stored)
    rejected = rejected_ids(run.held, table.rejected_as)[0]
    others = union(held, left_out_before(table), rejected, id_array(table.untold_before()))
    none = held[:0]
    return Selection(minus(named, others), none, none, (none, none), whole=False, began_at=cursor)


def _selected(table: RecordTable, named: pa.Array) -> Selection:
    run, key, untold = table.run, table.columns.key.stored, table.untold_before()
    rejected, rejects_a_field = rejected_ids(run.held, table.rejected_as)
    rejects_a_field |= EVERY_RECORD in untold
    rejected = union(rejected, id_array(untold - {EVERY_RECORD}))
    held, left_out = run.held.id_array(table.name, key), left_out_before(table)

    def selection(ids: pa.Array, *, whole: bool) -> Selection:
        absent = among(ids, left_out)
        # What could not be read before waits for what is new, or nothing else would ever come.
        known = minus(among(ids, union(held, rejected)), absent)
        new = minus(minus(ids, absent), known)
        later = (known, absent)
        if run.scope.complete:
            table.go_on(whole=whole)
            # What the pass could not read before its calls ended is not searched for by each run.
            tried = id_array(untold if table.lacked_calls() else ())
            later = table.rest(0, minus(known, tried)), table.rest(1, absent)
        return Selection(new, known, absent, later, whole, run.opened_at)

    if run.scope.retry_rejected and not rejects_a_field:
        return selection(rejected, whole=False)
    if run.scope.limit is not None:
        return selection(named, whole=False)
    if run.scope.retry_rejected:
        return selection(union(held, rejected), whole=True)
    if table.is_target and run.scope.complete:
        # A record that was gone when it was active is held as soon as the org shows it.
        named = union(named, run.held.id_array(run.target.life_table, run.target.life_key))
    everything = union(held, named, rejected)
    if run.scope.since is not None:
        modified = _modified(table, run.scope.since, everything)
        return selection(everything if modified is None else union(named, modified), whole=False)
    calls = calls_of(run, len(minus(everything, left_out)), len(among(everything, left_out)))
    within = calls <= run.settings.refresh_call_budget
    is_due = within or run.scope.full or rejects_a_field or table.is_due()
    cursor = None if is_due else table.cursor
    since = cursor and _held_until(table, cursor) - LAG
    modified = since and _modified(table, since, held)
    if since is None or modified is None:
        return selection(everything, whole=True)
    due = datetime.fromisoformat(table.passed_at) + timedelta(run.settings.full_refresh_days)
    run.ledger.warn(
        f"{table.object_name}: {calls:,} calls for a whole refresh exceed refresh_call_budget ="
        f" {run.settings.refresh_call_budget}; only new records and those modified since"
        f" {since:%Y-%m-%d %H:%M} were read. Formula fields and fields that are new or shown again"
        f" stay as they are in the others, and what was hidden from our user stays unnoticed,"
        f" until the next whole pass, due {due:%Y-%m-%d}"
    )
    # Being shown again moves no stamp. What is archived stays so: most tasks of an old org are, and
    # what is edited of them is among what was modified.
    back = minus(among(named, left_out), archived_before(table))
    hashed = ROW_HASH in run.held.column_hints(table.name)
    unhashed = run.held.id_array(table.name, key, run.held.unhashed) if hashed else rejected[:0]
    asked = union(minus(named, held), modified, back, rejected, unhashed)
    if table.is_target and run.held.column_hints(run.target.life_table):
        # Of one whose life was deleted nothing says why the org does not return it.
        lives = run.held.id_array(run.target.life_table, run.target.life_key)
        asked = union(asked, minus(held, lives))
    return selection(asked, whole=False)


def _held_until(table: RecordTable, cursor: datetime) -> datetime:
    """Return up to when all is held: not to the cursor where the table alone is of a backup."""
    tables = table.run.held
    stamp = tables.name("SystemModstamp")
    if stamp not in tables.column_hints(table.name):
        return cursor
    held = tables.rows(table.name, [f"MAX({tables.sql(stamp)})"])  # none of a table to be emptied
    newest = held[0][0] if held and held[0][0] else cursor
    return min(cursor, newest if newest.tzinfo else newest.replace(tzinfo=UTC))


def _modified(table: RecordTable, since: datetime, ids: pa.Array) -> pa.Array | None:
    """Return those ids whose records were modified since; None where asking is not worth its calls.

    A system job that bumps the stamps of a whole org must not cost a call for every 2,000 of them,
    nor a third of the calls that are left: it has no position, so that each run would begin again.
    """
    client, object_name = table.run.client, table.object_name
    statement = soql.select(["Id"], object_name, soql.bound("SystemModstamp", ">=", since))
    request = endpoints.query(client.version, statement, all_rows=True)
    enough = ceil(len(ids) / client.limits.ids_per_collection)

    def read() -> pa.Array | None:
        page, response = client.send(
            request, lambda response: (readers.page(response), response), attempts_at_500=ATTEMPTS
        )
        further = ceil(page.total / max(1, len(page.records))) - 1
        left = client.meter.left
        if further > enough or (left is not None and further > left // 3):
            return None
        modified, rows = IdSet(), 0
        for records in client.pages_after(request, response, JsonRows.records):
            modified.update(record["Id"] for record in records)
            rows += len(records)
        if len(modified.ids) < rows:
            raise TruncatedResponseError("rows moved between pages while they were read")
        return among(ids, modified.ids)

    try:
        return client.read_twice(read)
    except SalesforceError as error:
        if not (is_of_records(error) or is_refused(error) or isinstance(error, _FELL_APART)):
            raise
        sentence = f"{error} What was modified is not known, so all {object_name}s were read"
        table.run.ledger.warn(sentence)
        return None
