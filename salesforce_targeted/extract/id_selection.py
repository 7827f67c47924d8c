"""Choose which ids of a table a run asks for, and in which order.

Rule. Within the call budget everything held is read again, every run: formula fields, late commits
and new columns then come out right by construction. Beyond it a run asks for new ids and for what
was modified since the last run, and a whole pass follows every ``full_refresh_days``.

What is not held comes first, then what was read longest ago: a run whose calls end before the work
does leaves a position, from which the next one goes on. What a plain read left out before (deleted,
merged, archived, hidden) is asked for through ``queryAll`` at once, which shows it if it is back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import pyarrow as pa

from salesforce_targeted.api import soql
from salesforce_targeted.api.errors import (
    LocatorExpiredError,
    SalesforceError,
    TruncatedResponseError,
    is_of_records,
    is_refused,
)
from salesforce_targeted.arrow.batch import EVERY_RECORD
from salesforce_targeted.arrow.columns import ROW_HASH
from salesforce_targeted.arrow.id_set import IdSet, among, id_array, minus, span, union
from salesforce_targeted.destination.where import Where
from salesforce_targeted.extract.findings import RecordFindings
from salesforce_targeted.extract.run import LAG, Run

# In the source's state: table to how it was read. Of a table: how far, and when a whole pass ended;
# of a pass whose calls ended before it did, when it began, where it goes on, whether it is a whole
# one, and the fields that no record could be read with, with why.
REFRESHED = "refresh"
_CURSOR, _PASSED = "cursor", "passed_at"
_BEGAN, _POSITION, _WHOLE = "pass_began_at", "position", "pass_is_whole"
_UNREAD = "pass_unread_fields"
_GONE, _UNTOLD = "gone", "untold"
# State is loaded with each run: no more ids of a kind than these are kept there.
_MOST_IDS = 2_000
_FELL_APART = (LocatorExpiredError, TruncatedResponseError)


@dataclass(slots=True)
class Selection:
    """Hold the ids that a run asks for.

    Attributes:
        new: Those that are not held, nor were left out before, as an array of ``id_set``.
        known: Those that are held.
        left_out: Those that a plain read left out before.
        later: Those of ``known`` and ``left_out`` that a pass which was cut short has yet to read.
        whole: Whether they are all there are.
        began_at: The org's clock before they were chosen: no cursor passes it.
    """

    new: pa.Array
    known: pa.Array
    left_out: pa.Array
    later: tuple[pa.Array, pa.Array]
    whole: bool
    began_at: datetime

    def __len__(self) -> int:
        return len(self.new) + len(self.known) + len(self.left_out)


def held_now(run: Run, table: str, key: str) -> tuple[pa.Array, pa.Array]:
    """Return the held ids that a plain read showed, and those that it left out, before this run."""
    left_out = left_out_before(run, table)
    return minus(run.held.id_array(table, key), left_out), left_out


def left_out_before(run: Run, table: str) -> pa.Array:
    """Return the ids that a plain read left out when they were last asked for."""
    gone = id_array(_state(run, table).get(_GONE, ()))
    if table == run.target.table:
        where = run.held.gone & Where(f"{run.held.sql('gone_reason')} <> 'rejected'")
        return run.held.id_array(run.target.life_table, run.target.life_key, where)
    columns = run.held.column_hints(table)
    flags = [run.held.name(field) for field in ("IsDeleted", "IsArchived")]
    key = run.held.name(run.settings.id_column)
    flagged = [_flagged(run, table, key, flag) for flag in flags if flag in columns]
    return union(gone, *flagged)


def archived_before(run: Run, table: str, key: str) -> pa.Array:
    """Return the held ids of archived records that were neither deleted nor hidden since."""
    columns = run.held.column_hints(table)
    archived, deleted = run.held.name("IsArchived"), run.held.name("IsDeleted")
    if table == run.target.table or not {archived, deleted} <= columns.keys():
        return id_array(())
    gone = union(_flagged(run, table, key, deleted), id_array(_state(run, table).get(_GONE, ())))
    return minus(_flagged(run, table, key, archived), gone)


def _flagged(run: Run, table: str, key: str, flag: str) -> pa.Array:
    """Return the held ids of records whose flag is set."""
    return run.held.id_array(table, key, Where(f"{run.held.sql(flag)} = %s", (True,)))


def calls_of(run: Run, plain: int, left_out: int) -> int:
    """Count the calls that so many ids take, those that ``queryAll`` is asked for among them."""
    per_query = run.client.limits.rows_per_query_page
    return ceil(plain / run.client.limits.ids_per_collection) + ceil(left_out / per_query)


def select_ids(run: Run, table: str, named: pa.Array) -> Selection:
    """Choose which ids of a table to ask for.

    Args:
        named: Ids that must be held after the run, an array of ``id_set``.
    """
    object_name, key = run.object_of(table), run.columns(table).key.stored
    state = _state(run, table)
    rejected, rejects_a_field = run.held.rejected_ids(run.rejected_as(table))
    untold = {*state.get(_UNTOLD, ())}
    rejects_a_field |= EVERY_RECORD in untold
    rejected = union(rejected, id_array(untold - {EVERY_RECORD}))
    held, left_out = run.held.id_array(table, key), left_out_before(run, table)

    def selection(ids: pa.Array, *, whole: bool) -> Selection:
        again = among(ids, left_out)
        known = minus(among(ids, held), again)
        new = minus(minus(ids, again), known)
        later = (known, again)
        if run.scope.complete:
            _go_on(state, whole=whole, at=run.opened_at)
            later = _later(state, 0, known), _later(state, 1, again)
        return Selection(new, known, again, later, whole, run.opened_at)

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
        return selection(union(named, modified), whole=False)
    calls = calls_of(run, len(minus(everything, left_out)), len(among(everything, left_out)))
    cursor, passed_at = str(state.get(_CURSOR) or ""), str(state.get(_PASSED) or "")
    within = calls <= run.settings.refresh_call_budget
    begun = bool(state.get(_WHOLE)) and _POSITION in state
    no_choice = run.scope.full or rejects_a_field or begun or not cursor
    no_choice = no_choice or run.is_ahead(datetime.fromisoformat(cursor))
    if within or no_choice or not passed_at or run.is_due(passed_at):
        return selection(everything, whole=True)
    age = timedelta(run.settings.full_refresh_days)
    since = _held_until(run, table, datetime.fromisoformat(cursor)) - LAG
    modified = _modified(run, object_name, since, held)
    run.ledger.warn(
        f"{object_name}: {calls:,} calls for a whole refresh exceed refresh_call_budget ="
        f" {run.settings.refresh_call_budget}; only new records and those modified since"
        f" {since:%Y-%m-%d %H:%M} were read. Formula fields and fields that are new or shown again"
        f" stay as they are in the others, and what was hidden from our user stays unnoticed,"
        f" until the next whole pass, due"
        f" {datetime.fromisoformat(passed_at) + age:%Y-%m-%d}"
    )
    # Being shown again moves no stamp. What is archived stays so: most tasks of an old org are, and
    # what is edited of them is among what was modified.
    back = minus(among(named, left_out), archived_before(run, table, key))
    hashed = ROW_HASH in run.held.column_hints(table)
    unhashed = run.held.id_array(table, key, run.held.unhashed) if hashed else rejected[:0]
    asked = union(minus(named, held), modified, back, rejected, unhashed)
    if table == run.target.table and run.held.column_hints(run.target.life_table):
        # Of one whose life somebody deleted nothing says why the org does not return it.
        lives = run.held.id_array(run.target.life_table, run.target.life_key)
        asked = union(asked, minus(held, lives))
    return selection(asked, whole=False)


def note_end(run: Run, table: str, selection: Selection, newest: datetime | None) -> None:
    """Keep, with the load, how far a table has been read by a run that came to its end.

    The cursor never moves backwards, but for one that is ahead of the org's clock, and never past
    that clock when the reading began.
    """
    state = _state(run, table)
    # A pass that took several runs began with the first of them: what was edited since, before the
    # position that it went on from, has not been read.
    began = state.get(_BEGAN)
    limit = datetime.fromisoformat(began) if began else selection.began_at
    for name in (_BEGAN, _POSITION, _WHOLE, _UNREAD):
        state.pop(name, None)
    if selection.whole:
        state[_PASSED] = run.opened_at.isoformat()
    if newest is not None:
        text = min(newest, limit).astimezone(UTC).isoformat()
        known = state.get(_CURSOR) or text
        ahead = run.is_ahead(datetime.fromisoformat(known))
        state[_CURSOR] = text if ahead else max(known, text)


def note_position(run: Run, table: str, part: int, last_id: str) -> None:
    """Keep, with the load, up to which id a pass came whose calls ended before it did.

    Args:
        part: Of ``Selection.later``.
    """
    _state(run, table).setdefault(_POSITION, {})[str(part)] = last_id


def unread_fields(run: Run, table: str) -> dict[str, str]:
    """Return the fields that a part of the pass was read without, and why; the caller adds more."""
    fields: dict[str, str] = _state(run, table).setdefault(_UNREAD, {})
    return fields


def note_gone(run: Run, table: str, gone: Collection[str], *, whole: bool) -> None:
    """Keep some of the ids that the org does not return; ``queryAll`` is asked for them at once.

    Args:
        whole: Whether these are all there are.
    """
    if table == run.target.table:  # whose life table knows
        return
    state = _state(run, table)
    _keep(state, _GONE, {*gone, *(() if whole else state.get(_GONE, ()))})


def note_untold(run: Run, table: str, found: RecordFindings, *, tells: bool) -> None:
    """Keep which records are gone or rejected while this load has no table that says so.

    A run that loads those tables asks for them, whatever it is over: nothing else would.

    Args:
        tells: Whether this load has the tables.
    """
    object_name, state = run.object_of(table), _state(run, table)
    untold = {*state.get(_UNTOLD, ())}
    if tells:
        whole = found.selection is not None and found.selection.whole and not found.is_deferred
        untold = set() if whole else {*minus(id_array(untold), found.answered.ids).to_pylist()}
    else:
        untold.update(found.gone)
        untold.update(r.record_id for r in run.ledger.rejected if r.object == object_name)
    _keep(state, _UNTOLD, untold)


def _keep(state: dict[str, Any], name: str, ids: Collection[str]) -> None:
    """Keep some ids in a table's state, or none."""
    if ids:
        state[name] = sorted(ids)[:_MOST_IDS]
    else:
        state.pop(name, None)


def passed_at(run: Run, table: str) -> str:
    """Return when a table was last read whole, as ISO 8601; empty for never."""
    return str(_state(run, table).get(_PASSED) or "")


def _go_on(state: dict[str, Any], *, whole: bool, at: datetime) -> None:
    """Go on with the pass that was cut short, or begin one: a position is of its own kind alone."""
    if state.get(_WHOLE) is not whole:
        for name in (_BEGAN, _POSITION, _UNREAD):
            state.pop(name, None)
    state[_WHOLE] = whole
    state.setdefault(_BEGAN, at.isoformat())


def _later(state: Mapping[str, Any], part: int, ids: pa.Array) -> pa.Array:
    position = state.get(_POSITION, {}).get(str(part))
    return ids if position is None else ids[span(ids, "", position)[1] :]


def _state(run: Run, table: str) -> dict[str, Any]:
    refresh: dict[str, Any] = run.state.setdefault(REFRESHED, {})
    of_table: dict[str, Any] = refresh.setdefault(table, {})
    return of_table


def _held_until(run: Run, table: str, cursor: datetime) -> datetime:
    """Return up to when all is held: not to the cursor where the table alone is of a backup."""
    stamp = run.held.name("SystemModstamp")
    if stamp not in run.held.column_hints(table):
        return cursor
    held = run.held.rows(table, [f"MAX({run.held.sql(stamp)})"])  # none of a table to be emptied
    newest = held[0][0] if held and held[0][0] else cursor
    return min(cursor, newest if newest.tzinfo else newest.replace(tzinfo=UTC))


def _modified(run: Run, object_name: str, since: datetime, ids: pa.Array) -> pa.Array:
    """Return those ids whose records were modified since; all, where that takes fewer calls.

    A system job that bumps the stamps of a whole org must not cost a call for every 2,000 of them.
    """
    statement = soql.select(["Id"], object_name, soql.bound("SystemModstamp", ">=", since))
    enough = ceil(len(ids) / run.client.limits.ids_per_collection)

    def read() -> pa.Array:
        modified, rows = IdSet(), 0
        for number, page in enumerate(run.client.pages(statement, all_rows=True), start=1):
            modified.update(record["Id"] for record in page)
            rows += len(page)
            if number > enough:
                return ids
        if len(modified.ids) < rows:
            raise TruncatedResponseError("rows moved between pages while they were read")
        return among(ids, modified.ids)

    try:
        return run.client.read_twice(read)
    except SalesforceError as error:
        if not (is_of_records(error) or is_refused(error) or isinstance(error, _FELL_APART)):
            raise
        run.ledger.warn(f"{error} What was modified is not known, so all {object_name}s were read")
        return ids
