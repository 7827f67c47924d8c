"""Declare what the report of a run says, as types, and count what it counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict, cast

from salesforce_targeted.api.call_meter import CallMeter

# ``loaded`` belongs to a run that ended between its load and the check of what is held.
Status = Literal["loaded", "done", "partial", "failed", "drift"]


class CallFacts(TypedDict):
    """Count the billed calls of a run; ``org_remaining`` is None where the org did not tell."""

    total: int
    by_kind: dict[str, int]
    org_remaining: int | None


def call_facts(meter: CallMeter) -> CallFacts:
    """Return the calls that a client has spent."""
    return {
        "total": meter.calls.total(),
        "by_kind": dict(sorted(meter.calls.items())),
        "org_remaining": meter.remaining,
    }


class RelationFacts(TypedDict):
    """Count relation rows; ``held`` is None until the destination was asked."""

    read: int
    new: int
    updated: int
    unchanged: int
    removed: int
    leads: int
    without_who: int
    held: int | None


class RecordFacts(TypedDict):
    """Count the records of one object, as :class:`Tally` does.

    ``held`` is there for the records that the run is about, None until the destination was asked.
    """

    discovered: int
    asked: int
    retrieved: int
    new: int
    updated: int
    unchanged: int
    gone: int
    rejected: int
    left: int
    held: NotRequired[int | None]


class ClosureFacts(TypedDict):
    """Explain the parents of held relations that a normal query does not return.

    ``tasks_missing`` and ``contacts_missing`` count by reason, ``task_ids`` names the tasks. The
    last two are None until the destination was asked.
    """

    tasks_missing: dict[str, int]
    task_ids: dict[str, list[str]]
    contacts_missing: dict[str, int]
    relations_explained_pct: float | None
    relations_unexplained: int | None


class RejectedFacts(TypedDict):
    """Name a record or a value that did not load; ``field`` is empty for a whole record."""

    object: str
    record_id: str
    field: str
    error: str


class RunFacts(TypedDict):
    """Report a run: what ``--json`` prints, ``sf_sync_runs`` keeps, people read as text.

    ``contacts`` counts the records of ``object``. ``hidden_fields`` maps an object to the columns
    whose fields the org no longer shows to our user; they keep their last values. ``error`` is
    None where nothing stopped the run.
    """

    status: Status
    mode: str
    object: str
    run_id: str
    started_at: datetime
    seconds: float
    cursor: datetime | None
    calls: CallFacts
    plan: dict[str, Any]
    relations: RelationFacts
    contacts: RecordFacts
    tasks: RecordFacts
    users: RecordFacts
    closure: ClosureFacts
    statistics: dict[str, int]
    nuls_removed: int
    hidden_fields: dict[str, list[str]]
    warnings: list[str]
    rejected: list[RejectedFacts]
    error: str | None
    versions: dict[str, str]
    steps: list[str]


@dataclass(slots=True)
class Tally:
    """Count records of one object in this run, against what was held before the load.

    ``asked = retrieved + gone + rejected + left``, and ``retrieved = new + updated + unchanged``;
    ``left`` are those for which no calls were left.
    """

    discovered: int = 0
    asked: int = 0
    retrieved: int = 0
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    gone: int = 0
    rejected: int = 0
    left: int = 0

    @property
    def conserved(self) -> bool:
        """Return whether each requested id is accounted for."""
        return (
            self.asked == self.retrieved + self.gone + self.rejected + self.left
            and self.retrieved == self.new + self.updated + self.unchanged
        )

    def __str__(self) -> str:
        return (
            f"{self.asked} asked = {self.retrieved} retrieved ({self.new} new, {self.updated}"
            f" updated, {self.unchanged} unchanged) + {self.gone} gone + {self.rejected} rejected"
            + (f" + {self.left} left for the next run" if self.left else "")
        )

    def leave_rest(self) -> None:
        """Count as left what has been asked for, and of which nothing is known yet."""
        # More than was asked for is no less than nothing: then the sum does not close.
        self.left = max(0, self.asked - self.retrieved - self.gone - self.rejected)

    def facts(self) -> RecordFacts:
        """Return the counts as the report has them."""
        return cast("RecordFacts", asdict(self))


@dataclass(slots=True)
class RelationTally:
    """Count relation rows in this run; ``removed`` are those found removed in it."""

    read: int = 0
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    leads: int = 0
    without_who: int = 0

    def facts(self) -> RelationFacts:
        """Return the counts as the report has them, before the destination was asked."""
        return cast("RelationFacts", {**asdict(self), "held": None})
