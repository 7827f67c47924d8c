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
from salesforce_targeted.extract.refresh_state import (
    go_on,
    gone_before,
    lacked_calls,
    last_pass,
    rest,
    untold_before,
    was_read,
)
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


def held_now(run: Run, table: str, key: str) -> tuple[pa.Array, pa.Array]:
    """Return the held ids that a plain read showed, and those that it left out, before this run."""
    left_out = left_out_before(run, table)
    return minus(run.held.id_array(table, key), left_out), left_out


def left_out_before(run: Run, table: str) -> pa.Array:
    """Return the ids that a plain read left out when they were last asked for."""
    if table == run.target.table:
        where = run.held.gone & Where(f"{run.held.sql('gone_reason')} <> 'rejected'")
        return run.held.id_array(run.target.life_table, run.target.life_key, where)
    flagged = (_flagged(run, table, field) for field in ("IsDeleted", "IsArchived"))
    return union(id_array(gone_before(run, table)), *flagged)


def archived_before(run: Run, table: str) -> pa.Array:
    """Return the held ids of archived records that were neither deleted nor hidden since."""
    if table == run.target.table or run.held.name("IsDeleted") not in run.held.column_hints(table):
        return id_array(())
    gone = union(_flagged(run, table, "IsDeleted"), id_array(gone_before(run, table)))
    return minus(_flagged(run, table, "IsArchived"), gone)


def _flagged(run: Run, table: str, field: str) -> pa.Array:
    """Return the held ids of records whose flag is set; none where it is no column."""
    flag, key = run.held.name(field), run.held.name(run.settings.id_column)
    if flag not in run.held.column_hints(table):
        return id_array(())
    return run.held.id_array(table, key, Where(f"{run.held.sql(flag)} = %s", (True,)))


def calls_of(run: Run, plain: int, left_out: int) -> int:
    """Count the calls that so many ids take, those that ``queryAll`` is asked for among them."""
    per_query = run.client.limits.rows_per_query_page
    return ceil(plain / run.client.limits.ids_per_collection) + ceil(left_out / per_query)


def select_ids(run: Run, table: str, named: pa.Array) -> Selection:
    """Choose which ids of a table to ask for, so that those named are held after the run."""
    cursor = last_pass(run, table).cursor
    if not (run.scope.complete and cursor and was_read(run, table)):
        return _selected(run, table, named)
    run.ledger.warn(
        f"{run.object_of(table)}: an earlier run, whose calls ended, has read those that are held;"
        " what was edited since comes with the next run"
    )
    held = run.held.id_array(table, run.columns(table).key.stored)
    rejected = rejected_ids(run.held, run.rejected_as(table))[0]
    others = union(held, left_out_before(run, table), rejected, id_array(untold_before(run, table)))
    none = held[:0]
    return Selection(minus(named, others), none, none, (none, none), whole=False, began_at=cursor)


def _selected(run: Run, table: str, named: pa.Array) -> Selection:
    object_name, key = run.object_of(table), run.columns(table).key.stored
    last = last_pass(run, table)
    rejected, rejects_a_field = rejected_ids(run.held, run.rejected_as(table))
    untold = untold_before(run, table)
    rejects_a_field |= EVERY_RECORD in untold
    rejected = union(rejected, id_array(untold - {EVERY_RECORD}))
    held, left_out = run.held.id_array(table, key), left_out_before(run, table)

    def selection(ids: pa.Array, *, whole: bool) -> Selection:
        absent = among(ids, left_out)
        # What could not be read before waits for what is new, or nothing else would ever come.
        known = minus(among(ids, union(held, rejected)), absent)
        new = minus(minus(ids, absent), known)
        later = (known, absent)
        if run.scope.complete:
            go_on(run, table, whole=whole)
            # What the pass could not read before its calls ended is not searched for by each run.
            tried = id_array(untold if lacked_calls(run, table) else ())
            later = rest(run, table, 0, minus(known, tried)), rest(run, table, 1, absent)
        return Selection(new, known, absent, later, whole, run.opened_at)

    if run.scope.retry_rejected and not rejects_a_field:
        return selection(rejected, whole=False)
    if run.scope.limit is not None:
        return selection(named, whole=False)
    if run.scope.retry_rejected:
        return selection(union(held, rejected), whole=True)
    if table == run.target.table and run.scope.complete:
        # A record that was gone when it was active is held as soon as the org shows it.
        named = union(named, run.held.id_array(run.target.life_table, run.target.life_key))
    everything = union(held, named, rejected)
    if run.scope.since is not None:
        modified = _modified(run, object_name, run.scope.since, everything)
        return selection(everything if modified is None else union(named, modified), whole=False)
    calls = calls_of(run, len(minus(everything, left_out)), len(among(everything, left_out)))
    within = calls <= run.settings.refresh_call_budget
    is_due = within or run.scope.full or rejects_a_field or last.is_due
    cursor = None if is_due else last.cursor
    since = cursor and _held_until(run, table, cursor) - LAG
    modified = since and _modified(run, object_name, since, held)
    if since is None or modified is None:
        return selection(everything, whole=True)
    due = datetime.fromisoformat(last.ended_at) + timedelta(run.settings.full_refresh_days)
    run.ledger.warn(
        f"{object_name}: {calls:,} calls for a whole refresh exceed refresh_call_budget ="
        f" {run.settings.refresh_call_budget}; only new records and those modified since"
        f" {since:%Y-%m-%d %H:%M} were read. Formula fields and fields that are new or shown again"
        f" stay as they are in the others, and what was hidden from our user stays unnoticed,"
        f" until the next whole pass, due {due:%Y-%m-%d}"
    )
    # Being shown again moves no stamp. What is archived stays so: most tasks of an old org are, and
    # what is edited of them is among what was modified.
    back = minus(among(named, left_out), archived_before(run, table))
    hashed = ROW_HASH in run.held.column_hints(table)
    unhashed = run.held.id_array(table, key, run.held.unhashed) if hashed else rejected[:0]
    asked = union(minus(named, held), modified, back, rejected, unhashed)
    if table == run.target.table and run.held.column_hints(run.target.life_table):
        # Of one whose life was deleted nothing says why the org does not return it.
        lives = run.held.id_array(run.target.life_table, run.target.life_key)
        asked = union(asked, minus(held, lives))
    return selection(asked, whole=False)


def _held_until(run: Run, table: str, cursor: datetime) -> datetime:
    """Return up to when all is held: not to the cursor where the table alone is of a backup."""
    stamp = run.held.name("SystemModstamp")
    if stamp not in run.held.column_hints(table):
        return cursor
    held = run.held.rows(table, [f"MAX({run.held.sql(stamp)})"])  # none of a table to be emptied
    newest = held[0][0] if held and held[0][0] else cursor
    return min(cursor, newest if newest.tzinfo else newest.replace(tzinfo=UTC))


def _modified(run: Run, object_name: str, since: datetime, ids: pa.Array) -> pa.Array | None:
    """Return those ids whose records were modified since; None where asking is not worth its calls.

    A system job that bumps the stamps of a whole org must not cost a call for every 2,000 of them,
    nor a third of the calls that are left: it has no position, so that each run would begin again.
    """
    client = run.client
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
        run.ledger.warn(f"{error} What was modified is not known, so all {object_name}s were read")
        return None
