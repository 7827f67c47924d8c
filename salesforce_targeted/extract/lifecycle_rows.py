"""Find what a run changed in records' lives: what was known, what it saw, the difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.arrow.id_counts import IdCounts
from salesforce_targeted.arrow.id_set import Texts, among, id_array, in_batches, minus, span, union
from salesforce_targeted.destination.table_names import RELATIONS
from salesforce_targeted.extract import lifecycle
from salesforce_targeted.extract.discovery import discovered, told_of
from salesforce_targeted.extract.lifecycle import Observation, RecordLifecycle
from salesforce_targeted.extract.run import ALL_IDS, Run
from salesforce_targeted.retrieval.results import MERGED, Gone

# Lives are read and compared so many at a time: memory stays flat for any number of contacts.
_LIVES_AT_ONCE = 10_000


def changed_lives(run: Run) -> Iterator[pa.Table]:
    """Yield rows of the life table that this run changed or began."""
    held, target = run.held, run.target
    key, *columns = [held.name(name) for name in lifecycle.schema(target.life_key).names]
    shown = discovered(run) if run.scope.complete else None
    counts, seen = _observation(run, shown)
    ids = union(
        held.id_array(target.life_table, key),
        held.id_array(target.table, run.columns(target.table).key.stored),
        run.records.answered.ids,
        counts.ids,
        id_array(seen.gone),
    )
    # Of a contact that no relation points at, as far as this run was told; of the others it can't
    # be said that they have left.
    told = ids[:0]
    if shown is not None:
        told = union(told_of(run, ids), among(ids, id_array(run.relations.left_reasons)))
    parts = ((told, True), (minus(ids, told), False))
    for batch, complete in (
        (batch, complete)
        for part, complete in parts
        for batch in in_batches(Texts(part), _LIVES_AT_ONCE)
    ):
        rows = held.by_ids(target.life_table, key, batch, columns)
        known = {row[0]: RecordLifecycle(*row) for row in rows}
        first, last = span(run.records.answered.ids, batch[0], batch[-1])
        seen = replace(
            seen,
            complete=complete,
            counts=counts.between(batch[0], batch[-1]),
            asked=frozenset(run.records.answered.ids[first:last].to_pylist()),
        )
        seen = replace(
            seen, left_reasons={**_reasons_held(run, known, seen), **run.relations.left_reasons}
        )
        lives = lifecycle.changed(batch, known, seen)
        if lives:
            yield lifecycle.to_table(lives, target.life_key)


def _observation(run: Run, shown: IdCounts | None) -> tuple[IdCounts, Observation]:
    """Return how many relations each active record has, and all else that the run saw.

    Args:
        shown: What was discovered; None where nothing was.
    """
    before, counts = run.state.get("discovered_at"), shown or IdCounts()
    if shown is not None and run.within[1] == ALL_IDS[1]:
        run.state["discovered_at"] = run.ledger.started_at.isoformat()
    # What a part of the relations says is no count.
    partly = run.scope.complete and not run.relations.complete
    if not (run.within == ALL_IDS and shown is not None) and run.holds_relations and not partly:
        named = union(run.relations.contacts.ids, id_array(run.relations.left_reasons))
        held, changes = run.held_relations.counts, run.relations.changes
        if run.relations.in_parts:  # earlier runs read the others, and kept no count
            named = union(named, held.ids)
        named = named.filter(pc.starts_with(named, run.org.key_prefix))  # leads leave, too
        if shown is not None:
            named = minus(named, told_of(run, named))
        numbers = [held[who] + changes[who] for who in named.to_pylist()]
        table = pa.table({"id": named, "count": pa.array(numbers, pa.int64())})
        counts = IdCounts(pa.concat_tables([counts.table(), table.filter(pc.field("count") > 0)]))
    return counts, Observation(
        counts={},
        complete=False,
        gone=_with_known_winners(run, run.records.gone),
        rejected=frozenset(run.records.rejected),
        asked=frozenset(),
        left_reasons=run.relations.left_reasons,
        now=run.ledger.started_at,
        before=datetime.fromisoformat(before) if before else None,
    )


def _reasons_held(
    run: Run, known: Mapping[str, RecordLifecycle], seen: Observation
) -> dict[str, str]:
    """Say why records that leave now left, where an earlier run marked their relations.

    It may have been stopped after it had loaded the relations and before the lives.
    """
    if not seen.complete:
        return {}
    leaving = [
        id_
        for id_, life_ in known.items()
        if life_.is_active and id_ not in seen.counts and id_ not in run.relations.left_reasons
    ]
    if not run.holds_relations:
        return dict.fromkeys(leaving, lifecycle.RELATION_REMOVED)
    who, key = run.held.name("RelationId"), run.columns(RELATIONS).key.stored
    rows = run.held.by_ids(RELATIONS, who, leaving, ["removed_at", key, "removed_reason"])
    # As a run does it that is not stopped: of those removed together the last one's counts.
    removed = sorted((*row[1:3], row[0], row[3]) for row in rows if row[1] and row[3])
    # Those of one that was merged away point at the winner now, and none is marked.
    merged = [id_ for id_ in leaving if id_ in seen.gone and seen.gone[id_].reason == MERGED]
    return {
        **dict.fromkeys(merged, lifecycle.RELATION_REMOVED),
        **{contact: reason for _, _, contact, reason in removed},
    }


def _with_known_winners(run: Run, gone: Mapping[str, Gone]) -> dict[str, Gone]:
    """Name the last winner that a run has seen where a trail of merges ends at a purged record."""
    ends = {id_: end.merged_into for id_, end in gone.items() if end.trail_ends and end.merged_into}
    target, asked = run.target, sorted({*ends, *ends.values()})
    known = dict(run.held.by_ids(target.life_table, target.life_key, asked, ["merged_into"]))
    later = {
        id_: replace(gone[id_], merged_into=known.get(end) or known.get(id_) or end)
        for id_, end in ends.items()
    }
    return {**gone, **later}
