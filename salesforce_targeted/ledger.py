"""What happened in a run, in the order in which it happened: the one source of every report."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from salesforce_targeted.plan import Plan
from salesforce_targeted.tables import Rejected

logger = logging.getLogger("salesforce_targeted")

DELETED, MERGED, HIDDEN, REJECTED = "deleted", "merged", "hidden", "rejected"


@dataclass(slots=True)
class Tally:
    """Records of one object in this run: ``asked = retrieved + gone + rejected``, and
    ``retrieved = new + updated + unchanged`` against what was held before the load.
    """

    discovered: int = 0
    asked: int = 0
    retrieved: int = 0
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    gone: int = 0
    rejected: int = 0

    @property
    def conserved(self) -> bool:
        """Whether every id asked for is accounted for."""
        return (
            self.asked == self.retrieved + self.gone + self.rejected
            and self.retrieved == self.new + self.updated + self.unchanged
        )

    def __str__(self) -> str:
        return (
            f"{self.asked} asked = {self.retrieved} retrieved ({self.new} new, {self.updated}"
            f" updated, {self.unchanged} unchanged) + {self.gone} gone + {self.rejected} rejected"
        )


@dataclass(slots=True)
class RelationTally:
    """Relation rows in this run; ``removed`` are those found removed in it."""

    read: int = 0
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    returned: int = 0
    rejected: int = 0
    leads: int = 0
    without_who: int = 0


@dataclass(slots=True)
class Ledger:
    """One run's facts.

    Attributes:
        mode: ``incremental`` (the default run), ``full``, ``since``, ``limit``.
        tallies: Object name to its tally.
        plans: Object name to the plan that was carried out.
        predicted: Calls that the plans foresaw, by kind.
        tasks_missing: Why a task that a held relation names is not shown by a plain read:
            ``archived`` (held all the same, read through queryAll), ``deleted``, ``hidden``.
        contacts_gone: Contact id to why the org does not return it.
        refresh: Which refresh policy was used and what it can't see.
    """

    mode: str = "incremental"
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    relations: RelationTally = field(default_factory=RelationTally)
    tallies: dict[str, Tally] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    predicted: Counter[str] = field(default_factory=Counter)
    tasks_missing: dict[str, list[str]] = field(
        default_factory=lambda: {"archived": [], DELETED: [], HIDDEN: []}
    )
    contacts_gone: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    refresh: str = ""
    cursor: datetime | None = None
    nuls_removed: int = 0
    steps: list[str] = field(default_factory=list)

    def tally(self, object_name: str) -> Tally:
        """The tally of an object, begun at its first mention."""
        return self.tallies.setdefault(object_name, Tally())

    def warn(self, sentence: str) -> None:
        """Note what the user should know, once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)
            logger.warning("%s", sentence)

    def step(self, sentence: str) -> None:
        """Note a batch or a step done: the progress that a log shows."""
        self.steps.append(sentence)
        logger.info("%s", sentence)

    def reject(self, rejected: Rejected) -> None:
        """Note a record or value that could not be fetched or loaded."""
        self.rejected.append(rejected)
