"""Keep what happens in a run, in its order: the one source of every report."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.arrow.batch import EVERY_RECORD, Rejected
from salesforce_targeted.arrow.id_set import IdSet
from salesforce_targeted.retrieval.planner import Plan
from salesforce_targeted.retrieval.results import DELETED, HIDDEN
from salesforce_targeted.run_facts import RelationTally, RunFacts, Status, Tally
from salesforce_targeted.target import CONTACT, Target
from salesforce_targeted.version import __version__

logger = logging.getLogger("salesforce_targeted")


@dataclass(slots=True)
class Ledger:
    """Hold one run's facts.

    Attributes:
        mode: ``incremental`` (the default run), ``full``, ``since``, ``limit``.
        tallies: Object name to its tally.
        plans: Object name to the plan that was carried out.
        tasks_missing: Why a task that a held relation names is not shown by a plain read:
            ``archived`` (held all the same, read through queryAll), ``deleted``, ``hidden``.
        contacts_gone: Contact id to why the org does not return it.
        hidden_fields: Object name to the columns whose fields the org no longer shows.
        answered: Object name to those of the ids rejected before that the org said something about
            now; ``EVERY_RECORD`` among them where it was asked about all that are held.
        target: What the run is about; the facts' ``contacts`` count its records.
        is_read: Whether the run's caller reads it. A run whose calls are spent then loads what came
            and says so here; else it fails.
        indexes: Whether PostgreSQL's tables are indexed once they are loaded.
        stopped: What ended the run before its end, although what came before was loaded.
    """

    mode: str = "incremental"
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    relations: RelationTally = field(default_factory=RelationTally)
    tallies: dict[str, Tally] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    tasks_missing: dict[str, list[str]] = field(
        default_factory=lambda: {"archived": [], DELETED: [], HIDDEN: []}
    )
    contacts_gone: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    cursor: datetime | None = None
    nuls_removed: int = 0
    hidden_fields: dict[str, list[str]] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    org_remaining: int | None = None
    answered: dict[str, IdSet] = field(default_factory=dict)
    stopped: SalesforceError | None = None
    scope_complete: bool = True
    api_version: str = ""
    target: Target = CONTACT
    is_read: bool = True
    indexes: bool = True
    _rejected: set[tuple[str, str, str]] = field(default_factory=set, repr=False)

    def tally(self, object_name: str) -> Tally:
        """Return the tally of an object; the first use begins it."""
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

    def stop(self, error: SalesforceError) -> None:
        """Note that the run ends early; what it did not look at can't be judged by it."""
        if self.stopped is None:
            self.stopped = error
            self.scope_complete = False
            self.step(f"stopping: {error}")

    def reject(self, rejected: Rejected) -> None:
        """Note a record or value that could not be fetched or loaded, once."""
        key = (rejected.object, rejected.record_id, rejected.field)
        if key not in self._rejected:
            self._rejected.add(key)
            self.rejected.append(rejected)

    def came(self, object_name: str, record_id: str, field: str) -> bool:
        """Tell whether a value was read in this run; ``*`` stands for any record, or all fields."""
        in_its_way = {(record_id, field), (record_id, ""), (EVERY_RECORD, field)}
        return record_id in self.answered.get(object_name, IdSet()) and not any(
            value.object == object_name and (value.record_id, value.field) in in_its_way
            for value in self.rejected
        )

    def explain_tasks(self, archived: Iterable[str], reasons: Mapping[str, str]) -> None:
        """Note why a plain read did not show a task."""
        self.tasks_missing["archived"].extend(sorted(archived))
        for id_, reason in sorted(reasons.items()):
            self.tasks_missing[HIDDEN if reason == HIDDEN else DELETED].append(id_)

    @property
    def left_over(self) -> str:
        """Say what a stopped run has loaded and left; empty where none was stopped."""
        if self.stopped is None:
            return ""
        left = [f"{tally.left:,} of {name}" for name, tally in self.tallies.items() if tally.left]
        what = f"; left are {', '.join(left)}, and what comes after them" if left else ""
        if not self.relations.read and not any(tally.retrieved for tally in self.tallies.values()):
            return f"Nothing had come{what}. The next run tries again."
        return f"What came before is loaded{what}. The next run goes on from there."

    def facts(self, status: Status) -> RunFacts:
        """Return the report as a value.

        What only the destination can tell (``held``, the share explained) is None until it was
        asked (``reconciliation.reconciled``): a run that failed before has not checked it.
        """
        seconds = (datetime.now(UTC) - self.started_at).total_seconds()
        contacts = self.tallies.get(self.target.object_name, Tally())
        plan = self.plans.get(self.target.object_name)
        return {
            "status": status,
            "mode": self.mode,
            "object": self.target.object_name,
            "run_id": f"{self.started_at:%Y%m%dT%H%M%S.%f}Z",
            "started_at": self.started_at,
            "seconds": round(seconds, 3),
            "cursor": self.cursor,
            "calls": {
                "total": self.calls.total(),
                "by_kind": dict(sorted(self.calls.items())),
                "org_remaining": self.org_remaining,
            },
            "plan": plan.facts() if plan else {"api": None, "price": {}},
            "relations": self.relations.facts(),
            "contacts": {**contacts.facts(), "held": None},
            "tasks": self.tallies.get("Task", Tally()).facts(),
            "users": self.tallies.get("User", Tally()).facts(),
            "closure": {
                "tasks_missing": {why: len(ids) for why, ids in self.tasks_missing.items()},
                "task_ids": {why: list(ids) for why, ids in self.tasks_missing.items()},
                "contacts_missing": dict(sorted(Counter(self.contacts_gone.values()).items())),
                "relations_explained_pct": None,
                "relations_unexplained": None,
            },
            "statistics": {},
            "nuls_removed": self.nuls_removed,
            "hidden_fields": {name: list(columns) for name, columns in self.hidden_fields.items()},
            "warnings": list(self.warnings),
            "rejected": [
                {"object": r.object, "record_id": r.record_id, "field": r.field, "error": r.error}
                for r in self.rejected
            ],
            "error": None,
            "versions": {
                "library": __version__,
                "dlt": version("dlt"),
                "api": self.api_version,
            },
            "steps": list(self.steps),
        }
