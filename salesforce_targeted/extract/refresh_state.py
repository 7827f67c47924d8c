"""Keep, with the load, how far each table of records was read: cursor, position, what is open.

A pass that its calls cut short goes on where it was; the source's state, which dlt loads with the
rows, says where.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from salesforce_targeted.arrow.id_set import among, id_array, minus, span
from salesforce_targeted.extract.findings import Selection
from salesforce_targeted.extract.run import CALLS_LEFT, Run
from salesforce_targeted.retrieval.results import DELETED

# In the source's state: table to how it was read. Of a table: how far, and when a whole pass ended;
# of a pass whose calls ended before it did, when it began, where it goes on, whether it is a whole
# one, how many calls the run had, and the fields that no record could be read with, with why.
REFRESHED = "refresh"
_CURSOR, _PASSED = "cursor", "passed_at"
_BEGAN, _POSITION, _WHOLE = "pass_began_at", "position", "pass_is_whole"
_CUT_WITH = "pass_cut_with_calls"
_UNREAD = "pass_unread_fields"
# Of a table that was read to its end by a run whose calls ended elsewhere: how many calls that run
# had, and whether the table was read whole.
_READ = "read_by_cut_run"
_GONE, _UNTOLD = "gone", "untold"
# State is loaded with each run: no more ids of a kind than these are kept there.
_MOST_IDS = 2_000


@dataclass(frozen=True, slots=True)
class LastPass:
    """Hold how a table was read last.

    Attributes:
        cursor: Up to when all that was modified has been read; None for a table never read.
        ended_at: When it was last read whole, as ISO 8601; empty for never.
        is_due: Whether all of it is to be read, whatever that costs.
    """

    cursor: datetime | None
    ended_at: str
    is_due: bool


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
    if run.findings(table).goes_on:
        run.ledger.warn(
            f"{run.object_of(table)}: this run ended what earlier ones began at"
            f" {limit:%Y-%m-%d %H:%M}; what was edited since comes with the next run"
        )
    if selection.whole:
        state[_PASSED] = run.opened_at.isoformat()
    note_read(run, table, whole=selection.whole)
    if newest is not None:
        text = min(newest, limit).astimezone(UTC).isoformat()
        known = state.get(_CURSOR) or text
        ahead = run.is_ahead(datetime.fromisoformat(known))
        state[_CURSOR] = text if ahead else max(known, text)


def note_read(run: Run, table: str, *, whole: bool) -> None:
    """Keep, with the load, that a table was read to its end, until a run comes to its own."""
    state = _state(run, table)
    for name in (_BEGAN, _POSITION, _WHOLE, _UNREAD, _CUT_WITH):
        state.pop(name, None)
    was_whole = state.get(_READ, (None, False))[1]
    state[_READ] = run.state.get(CALLS_LEFT), whole or was_whole


def forget_read(run: Run, table: str) -> None:
    """Let the next run read all of a table again: no allowance ended this one's calls.

    What is not held still comes first: an outage may strike at the same record again.
    """
    state = _state(run, table)
    for name in (_READ, _CUT_WITH):
        state.pop(name, None)
    if _POSITION in state:
        state[_POSITION] = {}


def was_read(run: Run, table: str) -> bool:
    """Return whether a run that was cut, with about as many calls, has read a table to its end.

    What is left of the calls is for the tables that wait; else none but the first would ever come.
    """
    calls, whole = _state(run, table).get(_READ, (None, False))
    left = run.state.get(CALLS_LEFT)
    suffices = calls is None or left is None or left >= 2 * calls
    return not suffices and (whole or not run.scope.full)


def note_position(run: Run, table: str, part: int, last_id: str | None) -> None:
    """Keep, with the load, up to which id of ``Selection.later[part]`` a pass came that was cut.

    Args:
        last_id: None where it came no further than the last one.
    """
    position = _state(run, table).setdefault(_POSITION, {})
    if (left := run.state.get(CALLS_LEFT)) is not None:
        _state(run, table)[_CUT_WITH] = left
    if last_id is not None:
        position[str(part)] = last_id


def was_cut(run: Run, table: str) -> bool:
    """Return whether the calls of the last pass ended before it did."""
    return _POSITION in _state(run, table)


def lacked_calls(run: Run, table: str) -> bool:
    """Return whether it was an allowance that ended the last pass, and no outage."""
    return _CUT_WITH in _state(run, table)


def unread_fields(run: Run, table: str) -> dict[str, str]:
    """Return the fields that a part of the pass was read without, and why; the caller adds more."""
    return _state(run, table).setdefault(_UNREAD, {})  # type: ignore[no-any-return]


def note_gone(run: Run, table: str, *, whole: bool) -> None:
    """Keep some of the ids that the org does not return; ``queryAll`` is asked for them at once.

    Args:
        whole: Whether these are all there are, with those that an earlier run of this pass found.
    """
    if table == run.target.table:  # whose life table knows
        return
    findings, before = run.findings(table), gone_before(run, table)
    ids = minus(id_array(before), findings.answered.ids)
    if whole and findings.selection is not None:
        ids = among(ids, findings.selection.left_out)
    reasons = {id_: before[id_] for id_ in ids.to_pylist()}
    reasons.update((id_, gone.reason) for id_, gone in findings.gone.items())
    _keep(run, table, _GONE, dict(sorted(reasons.items())[:_MOST_IDS]))


def note_untold(run: Run, table: str, *, tells: bool) -> None:
    """Keep which records are gone while this load has no table that says so, and the rejected ones.

    The next run asks for them, whatever else it is over: nothing else would, in a run that has the
    tables, or once the table of rejected records was emptied.

    Args:
        tells: Whether this load has the tables.
    """
    object_name, findings = run.object_of(table), run.findings(table)
    selection, untold = findings.selection, untold_before(run, table)
    if tells:
        whole = selection is not None and selection.whole and not findings.is_deferred
        untold = set() if whole else {*minus(id_array(untold), findings.answered.ids).to_pylist()}
    else:
        untold.update(findings.gone)
    untold.update(r.record_id for r in run.ledger.rejected if r.object == object_name)
    _keep(run, table, _UNTOLD, sorted(untold)[:_MOST_IDS])


def _keep(run: Run, table: str, name: str, ids: Collection[str]) -> None:
    """Keep ids in a table's state, or none."""
    if ids:
        _state(run, table)[name] = ids
    else:
        _state(run, table).pop(name, None)


def last_pass(run: Run, table: str) -> LastPass:
    """Return how a table was read last."""
    state = _state(run, table)
    cursor = datetime.fromisoformat(state[_CURSOR]) if state.get(_CURSOR) else None
    ended_at = str(state.get(_PASSED) or "")
    waits_to_be_gone_on_with = bool(state.get(_WHOLE)) and was_cut(run, table)
    is_due = waits_to_be_gone_on_with or cursor is None or run.is_ahead(cursor)
    return LastPass(cursor, ended_at, is_due or not ended_at or run.is_due(ended_at))


def gone_before(run: Run, table: str) -> dict[str, str]:
    """Return the ids that :func:`note_gone` kept, and why the org does not return them."""
    gone = _state(run, table).get(_GONE, {})
    return gone if isinstance(gone, dict) else dict.fromkeys(gone, DELETED)  # once a list


def untold_before(run: Run, table: str) -> set[str]:
    """Return the ids that :func:`note_untold` kept."""
    return {*_state(run, table).get(_UNTOLD, ())}


def go_on(run: Run, table: str, *, whole: bool) -> None:
    """Go on with the pass that was cut short, or begin one: a position is of its own kind alone.

    A run of many more calls begins one: what was edited behind the position is read, too.
    """
    state, left = _state(run, table), run.state.get(CALLS_LEFT)
    has_more = _CUT_WITH in state and (left is None or left >= 2 * state[_CUT_WITH])
    if state.get(_WHOLE) is not whole or has_more:
        for name in (_BEGAN, _POSITION, _UNREAD, _CUT_WITH):
            state.pop(name, None)
    state[_WHOLE] = whole
    state.setdefault(_BEGAN, run.opened_at.isoformat())
    run.findings(table).goes_on = bool(state.get(_POSITION))


def reached(run: Run, table: str, part: int) -> str:
    """Return the id that :func:`note_position` kept; empty for none."""
    return _state(run, table).get(_POSITION, {}).get(str(part), "")  # type: ignore[no-any-return]


def rest(run: Run, table: str, part: int, ids: pa.Array) -> pa.Array:
    """Return the ids, of ``Selection.later[part]``, that a pass which was cut has yet to read."""
    return ids[span(ids, "", reached(run, table, part))[1] :]


def _state(run: Run, table: str) -> dict[str, Any]:
    return run.state.setdefault(REFRESHED, {}).setdefault(table, {})  # type: ignore[no-any-return]
