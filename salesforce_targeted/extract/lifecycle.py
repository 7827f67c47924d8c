"""Keep a record's life in the active set: one row of ``sf_active_contacts`` per contact ever held.

Rule: ``sf_contacts`` stays a true copy of Salesforce; what we know *about* a contact stands here. A
row is written when something about it changes, so a quiet run writes none. The same for the leads,
accounts or whatever else a run is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from salesforce_targeted.arrow.columns import TIMESTAMP
from salesforce_targeted.retrieval.results import DELETED, HIDDEN, MERGED, Gone
from salesforce_targeted.target import Target

# Why a contact left, by what became of its last relation.
RELATION_REMOVED, TASK_DELETED, TASK_ARCHIVED = "relation_removed", "task_deleted", "task_archived"
# Behind the column of the id, which is called after the object: type and description.
_COLUMNS = {
    "is_active": (pa.bool_(), "Whether a relation of the org points at the {record}"),
    "relation_count": (pa.int64(), "Relations that the org shows for the {record}"),
    "gone_reason": (
        pa.string(), "Why the org does not return the {record}: deleted, merged, hidden, rejected",
    ),
    "merged_into": (pa.string(), "The {record} that survived the merge"),
    "first_seen_at": (TIMESTAMP, "The run that first saw the {record}"),
    "last_seen_at": (
        TIMESTAMP,
        (
            "When a change of this row was last written while the {record} was active;"
            " for one that left, the last run that saw it active"
        ),
    ),
    "left_at": (TIMESTAMP, "The run that found no relation of the {record} any more"),
    "left_reason": (pa.string(), "relation_removed, task_deleted or task_archived"),
}  # fmt: skip


def schema(key: str) -> pa.Schema:
    """Return the columns of a life table, its key first, as in :class:`RecordLifecycle`."""
    columns = [pa.field(name, kind) for name, (kind, _) in _COLUMNS.items()]
    return pa.schema([pa.field(key, pa.string(), nullable=False), *columns])


def descriptions(target: Target) -> dict[str, str]:
    """Describe the columns of a life table, for the schema."""
    record = target.object_name.lower()
    return {
        target.life_key: f"Salesforce id of the {record}; joins {target.table}",
        **{name: text.format(record=record) for name, (_, text) in _COLUMNS.items()},
    }


class RecordLifecycle(NamedTuple):
    """Hold a row of ``sf_active_contacts``, in the order of :func:`schema`; there are a million."""

    record_id: str
    is_active: bool
    relation_count: int
    gone_reason: str | None
    merged_into: str | None
    first_seen_at: datetime
    last_seen_at: datetime
    left_at: datetime | None = None
    left_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """Hold what a run saw.

    Attributes:
        counts: Active contact to its relations.
        complete: Whether ``counts`` are all there are; if not, no record is marked as having left.
        gone: Contacts that the org did not return.
        rejected: Contacts that came but could not be loaded.
        asked: Contacts that were asked for: one that is neither gone nor rejected came.
        left_reasons: Contact to the reason of its last relation's removal.
        now: The run's time.
        before: The time of the last run that looked at all relations.
    """

    counts: Mapping[str, int]
    complete: bool
    gone: Mapping[str, Gone]
    rejected: frozenset[str]
    asked: frozenset[str]
    left_reasons: Mapping[str, str]
    now: datetime
    before: datetime | None


def changed(
    ids: Iterable[str], known: Mapping[str, RecordLifecycle], seen: Observation
) -> list[RecordLifecycle]:
    """Return those of some contacts' lives that a run changed or began."""
    lives = []
    for record_id in ids:
        before = known.get(record_id)
        if before is None and not seen.complete and record_id not in seen.counts:
            continue  # held by a run that kept no lives: a run over less can't say if it is active
        after = _lived(_whole(before, seen) if before else _begun(record_id, seen), seen)
        if after != before:
            lives.append(after)
    return lives


def to_table(lives: Iterable[RecordLifecycle], key: str) -> pa.Table:
    """Return lives as Arrow rows, the id in the column of that name."""
    columns, rows = schema(key), list(lives)
    arrays = [
        pa.array([life[place] for life in rows], column.type)
        for place, column in enumerate(columns)
    ]
    return pa.Table.from_arrays(arrays, schema=columns)


def _begun(record_id: str, seen: Observation) -> RecordLifecycle:
    count = seen.counts.get(record_id, 0)
    return RecordLifecycle(record_id, count > 0, count, None, None, seen.now, seen.now)


def _whole(life: RecordLifecycle, seen: Observation) -> RecordLifecycle:
    """Fill what is null because its column was dropped and made again."""
    stored: Any = life
    if None not in (life.is_active, life.relation_count, life.first_seen_at, life.last_seen_at):
        return life
    return life._replace(
        is_active=bool(stored.is_active),
        relation_count=stored.relation_count or 0,
        first_seen_at=stored.first_seen_at or seen.now,
        last_seen_at=stored.last_seen_at or seen.now,
    )


def _lived(life: RecordLifecycle, seen: Observation) -> RecordLifecycle:
    life = _returned(life, seen)
    if life.record_id in seen.counts:
        count = seen.counts[life.record_id]
        if not life.is_active or count != life.relation_count:
            return life._replace(
                is_active=True, relation_count=count, last_seen_at=seen.now,
                left_at=None, left_reason=None,
            )  # fmt: skip
        return life
    reason = seen.left_reasons.get(life.record_id)
    if life.is_active and seen.complete:
        return life._replace(
            is_active=False, relation_count=0, left_at=seen.now, left_reason=reason,
            last_seen_at=max(life.last_seen_at, seen.before or life.last_seen_at),
        )  # fmt: skip
    # It left in a run that did not look at the relations, or with one that came back meanwhile.
    return life._replace(left_reason=reason) if reason and not life.is_active else life


def _returned(life: RecordLifecycle, seen: Observation) -> RecordLifecycle:
    """Note in a life why the org does not return the contact, or that it does."""
    gone = seen.gone.get(life.record_id)
    if gone is None:
        if life.record_id in seen.rejected:
            return life._replace(gone_reason="rejected", merged_into=None)
        if life.record_id in seen.asked and (life.gone_reason or life.merged_into):
            return life._replace(gone_reason=None, merged_into=None)
        return life
    if gone.reason == HIDDEN and life.gone_reason in {DELETED, MERGED}:
        # Purged from the recycle bin: what became of it is known already, if not of its winner.
        later = seen.gone.get(life.merged_into or "")
        return life._replace(merged_into=later.merged_into or life.merged_into) if later else life
    return life._replace(gone_reason=gone.reason, merged_into=gone.merged_into)
