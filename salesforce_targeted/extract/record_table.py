"""Keep, with the load, how far each table of records was read: cursor, position, what is open.

A pass that its calls cut short goes on where it was; the source's state, which dlt loads with the
rows, says where.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.id_set import among, id_array, minus, span
from salesforce_targeted.destination.table_names import OBJECTS, TASKS, USERS
from salesforce_targeted.extract.findings import RecordFindings, Selection
from salesforce_targeted.extract.run import CALLS_LEFT, Run
from salesforce_targeted.retrieval.results import DELETED
from salesforce_targeted.run_facts import Tally

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


class RecordTable:
    """Look at a table of records in a run: whose they are, what was found, how far it was read.

    Attributes:
        is_target: Whether it holds the records that the run is about.
        object_name: The object whose records it holds.
        rejected_as: What those are called in ``sf_rejected_records``.
    """

    def __init__(self, run: Run, name: str) -> None:
        self.run, self.name = run, name
        self.is_target = name == run.target.table
        self.object_name = run.target.object_name if self.is_target else OBJECTS.get(name, "")
        self.rejected_as = run.target.rejected_as if self.is_target else self.object_name

    @property
    def findings(self) -> RecordFindings:
        """Return what its stage found."""
        run = self.run
        return {TASKS: run.tasks, USERS: run.users}.get(self.name, run.records)

    @property
    def columns(self) -> Columns:
        """Return its columns, reconciled with what the destination has."""
        return self.run.columns(self.name)

    @property
    def tally(self) -> Tally:
        """Return what became of the records that were asked for."""
        return self.run.ledger.tally(self.object_name)

    @property
    def state(self) -> dict[str, Any]:
        """Return what is kept of it with the load."""
        state: dict[str, Any] = self.run.state.setdefault(REFRESHED, {})
        return state.setdefault(self.name, {})  # type: ignore[no-any-return]

    @property
    def cursor(self) -> datetime | None:
        """Return up to when all that was modified has been read; None for a table never read."""
        known = self.state.get(_CURSOR)
        return datetime.fromisoformat(known) if known else None

    @property
    def passed_at(self) -> str:
        """Return when it was last read whole, as ISO 8601; empty for never."""
        return str(self.state.get(_PASSED) or "")

    def is_due(self) -> bool:
        """Return whether all of it is to be read, whatever that costs."""
        cursor, passed_at = self.cursor, self.passed_at
        if cursor is None or not passed_at or (self.state.get(_WHOLE) and self.was_cut()):
            return True
        return self.run.is_ahead(cursor) or self.run.is_due(passed_at)

    def note_end(self, selection: Selection) -> None:
        """Keep, with the load, how far a table has been read by a run that came to its end.

        The cursor never moves backwards, but for one that is ahead of the org's clock, and never
        past that clock when the reading began.
        """
        state = self.state
        # A pass that took several runs began with the first of them: what was edited since, before
        # the position that it went on from, has not been read.
        began = state.get(_BEGAN)
        limit = datetime.fromisoformat(began) if began else selection.began_at
        if self.findings.goes_on:
            self.run.ledger.warn(
                f"{self.object_name}: this run ended what earlier ones began at"
                f" {limit:%Y-%m-%d %H:%M}; what was edited since comes with the next run"
            )
        if selection.whole:
            state[_PASSED] = self.run.opened_at.isoformat()
        self.note_read(whole=selection.whole)
        if self.findings.newest is not None:
            text = min(self.findings.newest, limit).astimezone(UTC).isoformat()
            ahead = self.run.is_ahead(self.cursor)
            state[_CURSOR] = text if ahead else max(state.get(_CURSOR) or text, text)

    def note_read(self, *, whole: bool) -> None:
        """Keep, with the load, that a table was read to its end, until a run comes to its own."""
        state = self.state
        for name in (_BEGAN, _POSITION, _WHOLE, _UNREAD, _CUT_WITH):
            state.pop(name, None)
        was_whole = state.get(_READ, (None, False))[1]
        state[_READ] = self.run.state.get(CALLS_LEFT), whole or was_whole

    def forget_read(self) -> None:
        """Let the next run read all of a table again: no allowance ended this one's calls.

        What is not held still comes first: an outage may strike at the same record again.
        """
        state = self.state
        for name in (_READ, _CUT_WITH):
            state.pop(name, None)
        if _POSITION in state:
            state[_POSITION] = {}

    def was_read(self) -> bool:
        """Return whether a run that was cut, with about as many calls, has read a table to its end.

        What is left of the calls is for the tables that wait; else none but the first would ever
        come.
        """
        calls, whole = self.state.get(_READ, (None, False))
        left = self.run.state.get(CALLS_LEFT)
        suffices = calls is None or left is None or left >= 2 * calls
        return not suffices and (whole or not self.run.scope.full)

    def note_position(self, part: int, last_id: str | None) -> None:
        """Keep, with the load, up to which id of ``Selection.later[part]`` a cut pass came.

        Args:
            last_id: None where it came no further than the last one.
        """
        position = self.state.setdefault(_POSITION, {})
        if (left := self.run.state.get(CALLS_LEFT)) is not None:
            self.state[_CUT_WITH] = left
        if last_id is not None:
            position[str(part)] = last_id

    def was_cut(self) -> bool:
        """Return whether the calls of the last pass ended before it did."""
        return _POSITION in self.state

    def lacked_calls(self) -> bool:
        """Return whether it was an allowance that ended the last pass, and no outage."""
        return _CUT_WITH in self.state

    def unread_fields(self) -> dict[str, str]:
        """Return the fields that a part of the pass was read without, and why; callers add more."""
        return self.state.setdefault(_UNREAD, {})  # type: ignore[no-any-return]

    def note_gone(self, *, whole: bool) -> None:
        """Keep some ids that the org does not return; ``queryAll`` is asked for them at once.

        Args:
            whole: Whether they are all there are, with those that earlier runs of this pass found.
        """
        if self.is_target:  # whose life table knows
            return
        findings, before = self.findings, self.gone_before()
        ids = minus(id_array(before), findings.answered.ids)
        if whole and findings.selection is not None:
            ids = among(ids, findings.selection.left_out)
        reasons = {id_: before[id_] for id_ in ids.to_pylist()}
        reasons.update((id_, gone.reason) for id_, gone in findings.gone.items())
        self._keep(_GONE, dict(sorted(reasons.items())[:_MOST_IDS]))

    def note_untold(self, *, tells: bool) -> None:
        """Keep what is gone while this load has no table that says so, and what is rejected.

        The next run asks for them, whatever else it is over: nothing else would, in a run that has
        the tables, or once the table of rejected records was emptied.

        Args:
            tells: Whether this load has the tables.
        """
        findings, untold = self.findings, self.untold_before()
        selection = findings.selection
        if tells:
            whole = selection is not None and selection.whole and not findings.is_deferred
            rest = minus(id_array(untold), findings.answered.ids)
            untold = set() if whole else {*rest.to_pylist()}
        else:
            untold.update(findings.gone)
        rejected = self.run.ledger.rejected
        untold.update(r.record_id for r in rejected if r.object == self.object_name)
        self._keep(_UNTOLD, sorted(untold)[:_MOST_IDS])

    def _keep(self, name: str, ids: Collection[str]) -> None:
        """Keep ids in a table's state, or none."""
        if ids:
            self.state[name] = ids
        else:
            self.state.pop(name, None)

    def gone_before(self) -> dict[str, str]:
        """Return the ids that :meth:`note_gone` kept, and why the org does not return them."""
        gone = self.state.get(_GONE, {})
        return gone if isinstance(gone, dict) else dict.fromkeys(gone, DELETED)  # once a list

    def untold_before(self) -> set[str]:
        """Return the ids that :meth:`note_untold` kept."""
        return {*self.state.get(_UNTOLD, ())}

    def go_on(self, *, whole: bool) -> None:
        """Go on with the pass that was cut short, or begin one: a position is of its kind alone.

        A run of many more calls begins one: what was edited behind the position is read, too.
        """
        state, left = self.state, self.run.state.get(CALLS_LEFT)
        has_more = _CUT_WITH in state and (left is None or left >= 2 * state[_CUT_WITH])
        if state.get(_WHOLE) is not whole or has_more:
            for name in (_BEGAN, _POSITION, _UNREAD, _CUT_WITH):
                state.pop(name, None)
        state[_WHOLE] = whole
        state.setdefault(_BEGAN, self.run.opened_at.isoformat())
        self.findings.goes_on = bool(state.get(_POSITION))

    def reached(self, part: int) -> str:
        """Return the id that :meth:`note_position` kept; empty for none."""
        return self.state.get(_POSITION, {}).get(str(part), "")  # type: ignore[no-any-return]

    def rest(self, part: int, ids: pa.Array) -> pa.Array:
        """Return the ids of ``Selection.later[part]`` that a pass which was cut has yet to read."""
        return ids[span(ids, "", self.reached(part))[1] :]
