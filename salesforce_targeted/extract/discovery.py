"""Discover whom the org's relations point at now, and guard against losing them all."""

from __future__ import annotations

import pyarrow as pa

from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.arrow.id_counts import IdCounts
from salesforce_targeted.arrow.id_set import Texts, span
from salesforce_targeted.extract.held_relations import SLOW_GROUPS
from salesforce_targeted.extract.lessons import is_slow, note_slow
from salesforce_targeted.extract.run import Run
from salesforce_targeted.relations.active_ids import active_ids

# A set that shrinks under this share of what was active, by more than this many, is more likely a
# permission that was lost than a sales team that stopped working.
SHRINK_SHARE = 0.5
SHRINK_CONTACTS = 20


class ShrinkError(SalesforceError):
    """Say that discovery returned far fewer active contacts than are held as active."""

    default_remedy = (
        "Check that the user still sees the activities (View All Data, sharing). If the contacts"
        " really left, run again with --allow-shrink."
    )


def discover(run: Run) -> IdCounts:
    """Return the active records that the org shows, with how many relations each has; asked once.

    Raises:
        ShrinkError: far fewer than were active; nothing has been marked or loaded.
    """
    if run.active is None:
        counts = run.relations.counts
        active = counts if counts is not None else _discover(run)
        run.ledger.step(f"discovered {len(active):,} active {run.target.object_name.lower()}s")
        if run.scope.complete and not run.scope.allow_shrink:
            _check_shrink(run, len(active))
        run.active = active
    return run.active


def _discover(run: Run) -> IdCounts:
    since = run.scope.since or run.settings.since
    org = run.org
    first = org.first_groups
    begin = first[-1][org.junction.who] if first else run.target.first_id or ""
    cuts = _cuts(run, begin)

    def could_not_group(sentence: str) -> None:
        note_slow(run, SLOW_GROUPS)
        run.ledger.warn(sentence)

    batches = active_ids(
        run.client,
        org.junction,
        org.key_prefix,
        since=since if org.filters_by_stamp else None,
        after=run.target.first_id,
        first=first,
        cuts=cuts,
        groups=not is_slow(run, SLOW_GROUPS),
        warn=could_not_group,
    )
    rows = pa.concat_tables(batches)
    # An org that sorts ids in another order than ours may return one in two ranges.
    once = rows.group_by("id").aggregate([("count", "max")]).rename_columns(["id", "count"])
    return IdCounts(once)


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
    before = run.held.count(run.target.life_table, run.held.active)
    few = count < before * SHRINK_SHARE and before - count > SHRINK_CONTACTS
    if before and (count == 0 or few):
        active = f"active {run.target.object_name.lower()}s"
        raise ShrinkError(
            f"the org shows {count:,} {active} where {before:,} were active; nothing was marked as"
            " left and nothing was loaded"
        )
