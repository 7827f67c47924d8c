"""Discover whom the org's relations point at now, and guard against losing them all.

Rule. Discovery that takes more than half of the calls that a run has left is made by several runs,
in the order of ids: each tells of the ids between two positions alone. Once they have come round,
and until a run comes to its end, the others don't ask.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api.errors import QuotaExceededError, SalesforceError
from salesforce_targeted.arrow.id_counts import IdCounts
from salesforce_targeted.arrow.id_set import Texts, span, union
from salesforce_targeted.destination.table_names import RELATIONS
from salesforce_targeted.extract.held_relations import SLOW_GROUPS
from salesforce_targeted.extract.lessons import is_slow, note_slow
from salesforce_targeted.extract.record_table import RecordTable
from salesforce_targeted.extract.run import ALL_IDS, Run
from salesforce_targeted.relations.active_ids import active_ids

# A set that shrinks under this share of what was active, by more than this many, is more likely a
# permission that was lost than a sales team that stopped working.
SHRINK_SHARE = 0.5
SHRINK_CONTACTS = 20

# Takes a batch of active records: a table with the columns ``id`` and ``count``.
Each = Callable[[pa.Table], object]


def no_batch(_batch: pa.Table) -> None:
    """Do nothing with a batch."""


class ShrinkError(SalesforceError):
    """Say that discovery returned far fewer active contacts than are held as active."""

    default_remedy = (
        "Check that the user still sees what points at them (View All Data, sharing), and that"
        " `since`, if it is set, names no later day than is meant. If they really left, run again"
        " with --allow-shrink (Scope(allow_shrink=True))."
    )


def discover(
    run: Run, each: Each = no_batch, *, after: str = "", in_part: bool = False
) -> IdCounts:
    """Return the active records that the org shows, with how many relations each has; asked once.

    Args:
        each: Given each batch of them as it arrives, where the org groups them.
        after: Only those after this id, as far as half of the calls go, where ``in_part``.

    Raises:
        ShrinkError: far fewer than were active; nothing has been marked or loaded.
    """
    if run.active is None:
        active, last = run.relations.counts, None
        if active is None:
            active, last = _discover(run, each, after, in_part=in_part)
        if in_part:
            run.within = after, ALL_IDS[1] if last is None else last
        run.ledger.step(f"discovered {len(active):,} active {run.target.object_name.lower()}s")
        if run.scope.complete and not run.scope.allow_shrink:
            _check_shrink(run, len(active))
        if last is not None:
            _stop(run, "was asked for some of them")
        run.active = active
    return run.active


def discovered(run: Run, each: Each = no_batch) -> IdCounts | None:
    """Return the active records that the org shows, between the ids ``run.within``.

    None where this run does not ask which they are.

    Raises:
        ShrinkError: far fewer than were active.
    """
    if run.active is None and run.scope.discovers and run.ledger.stopped is None:
        lives = RecordTable(run, run.target.life_table)
        after = lives.reached(0)
        if run.relations.is_deferred:
            _stop(run, "was not asked: the relations are read first")
        elif _suffices(run, begun=bool(after)):
            discover(run, each)
        elif not run.scope.complete:
            _stop(run, "was not asked")
        elif not lives.was_read():
            discover(run, after=after, in_part=True)
    return run.active


def note_discovered(run: Run) -> None:
    """Keep, with the load, up to which id a run discovered that also did what follows from it."""
    if run.scope.complete and run.active is not None:
        lives, (_, last) = RecordTable(run, run.target.life_table), run.within
        if last < ALL_IDS[1]:
            lives.note_position(0, last)
        elif run.within != ALL_IDS or lives.reached(0):
            lives.note_read(whole=True)


def active(run: Run, each: Each = no_batch) -> pa.Array:
    """Return the ids of the active records: shown by the org, or held where it was not asked.

    None in a run that discovers none.
    """
    shown, ids = discovered(run, each), pa.array([], pa.string())
    if run.scope.discovers and run.holds_relations and (shown is None or run.within != ALL_IDS):
        held = run.held_relations.counts.ids
        ids = held.filter(pc.starts_with(held, run.org.key_prefix))
    return ids if shown is None else union(ids, shown.ids)


def told_of(run: Run, ids: pa.Array) -> pa.Array:
    """Return those of some ids of which the run was told whether they are active."""
    after, last = run.within
    return ids[span(ids, "", after)[1] : span(ids, "", last)[1]]


def _suffices(run: Run, *, begun: bool) -> bool:
    """Return whether half of the calls that are left suffice to ask which records are active.

    Args:
        begun: Whether they did not for an earlier run, which asked for the first ones.
    """
    left = run.client.meter.left
    if left is None or run.relations.counts is not None:
        return True
    if begun or RecordTable(run, run.target.life_table).was_read():
        return False
    # The number of relations is known where it is needed, before all were discovered.
    known = run.org.relation_count or max(
        run.held.count(run.target.life_table, run.held.active), len(run.relations.contacts)
    )
    calls = known // run.client.limits.groups_per_query
    if SLOW_GROUPS in run.state:  # the rows are read
        if not run.holds_relations:  # how many of them a page holds is not known
            return False
        calls = (run.org.relation_count or run.held.count(RELATIONS)) // run.held_relations.per_page
    return calls <= left // 2


def _stop(run: Run, asked: str) -> None:
    run.ledger.stop(
        QuotaExceededError(
            f"which {run.target.object_name.lower()}s are no longer active {asked}; all of them"
            " take more than half of the calls that the run had left",
            remedy="Run again to go on, or allow more calls per run.",
        )
    )


def _discover(run: Run, each: Each, after: str, *, in_part: bool) -> tuple[IdCounts, str | None]:
    """Ask which records are active; return them, and up to which id; None for all."""
    org, keep = run.org, (run.client.meter.left or 0) // 2
    first = None if after else org.first_groups
    begin = first[-1][org.junction.who] if first else run.target.first_id or ""

    def could_not_group(sentence: str) -> None:
        note_slow(run, SLOW_GROUPS)
        run.ledger.warn(sentence)

    return active_ids(
        run.client,
        org.junction,
        org.key_prefix,
        after or run.target.first_id,
        since=(run.scope.since or run.settings.since) if org.filters_by_stamp else None,
        first=first,
        cuts=() if in_part else _cuts(run, begin),
        groups=not is_slow(run, SLOW_GROUPS),
        enough=(lambda: (run.client.meter.left or 0) <= keep) if in_part else None,
        warn=could_not_group,
        each=each,
    )


def _cuts(run: Run, begin: str) -> list[str]:
    """Return ids that part what is to be discovered into batches, as far as it is known already."""
    if not run.scope.complete:
        return []
    known = run.held.id_array(run.target.life_table, run.target.life_key, run.held.active)
    # Some come and go: a range of somewhat fewer than fit one batch is still one batch.
    step = run.client.limits.groups_per_query * 9 // 10
    start = span(known, "", begin)[1]
    if step < 1 or len(known) - start < 2 * step:
        return []
    return list(Texts(known)[start + step :: step])


def _check_shrink(run: Run, count: int) -> None:
    known = run.held.id_array(run.target.life_table, run.target.life_key, run.held.active)
    before = len(told_of(run, known))
    few = count < before * SHRINK_SHARE and before - count > SHRINK_CONTACTS
    if before and ((count == 0 and run.within == ALL_IDS) or few):
        active = f"active {run.target.object_name.lower()}s"
        raise ShrinkError(
            f"the org shows {count:,} {active} where {before:,} were active; nothing was marked as"
            " left and nothing was loaded"
        )
