"""What may be held after a run of an org that moved meanwhile, worked out apart from the library.

The org keeps every version of every row with its times (``org.versions``). A run that reads while
people work may hold any version that the org had while the run lasted, and nothing else; what was
there all the time must be held, and what was gone all the time must be marked so. Sentences say
what is wrong; none of them means that the run kept every promise.

How much a run reads decides how old a row may be (:class:`Reach`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from enum import Enum

import dlt

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.storage.history import Version
from tests.support.oracles.held_values import as_held
from tests.support.oracles.oracle import (
    NOT_COLUMNS,
    OBJECTS,
    USER_COLUMNS,
    HeldTables,
    Row,
    same_value,
    users_named_by,
)

RELATIONS, LIVES = "sf_taskwhorelations", "sf_active_contacts"


class Reach(Enum):
    """Hold what a run reads."""

    ALL = "all that is held: every row is a version of the run's time"
    STAMPED = "what a stamp names as changed: a row may be old where no stamp has moved since"
    PART = "what its calls suffice for: a row may be any version that the org ever had"


class MovingOracle:
    """One run of a moving org: what was held before and after, and what the org had meanwhile.

    Args:
        start: ``org.instant()`` before the run; the org kept its history from the first run on.
        end: ``org.instant()`` after it.
        before: What was held at the start.
        after: What is held; read from the destination, if it is not given.
        counted: Whether the run counts relations, which does not tell one that went from one that
            came; then one that was gone all the time need not be marked.
    """

    def __init__(
        self,
        org: DemoOrg,
        pipeline: dlt.Pipeline,
        start: datetime,
        end: datetime,
        before: HeldTables,
        reach: Reach = Reach.ALL,
        after: HeldTables | None = None,
        *,
        counted: bool = False,
    ) -> None:
        self.counted = counted
        self.start, self.end, self.reach = start, end, reach
        self.before, self.held = before.tables, after or HeldTables.read(pipeline)
        self.after = self.held.tables
        self.normalize = pipeline.default_schema.naming.normalize_path
        self.versions = {
            name: org.versions(name) for name in ("Contact", "Task", "User", "TaskWhoRelation")
        }
        self.kinds = {
            name: {field: entry["type"] for field, entry in org.tables[name].entries.items()}
            for name in self.versions
        }

    def broken(self) -> list[str]:
        """Return every promise that the run broke, as a sentence."""
        return [
            *self.held.doubled,
            *self._rows(),
            *self._removed(),
            *self._named(),
            *self._lives(),
            *(self._missing() if self.reach is not Reach.PART else ()),
        ]

    # ---------------------------------------------------------------- versions
    def during(self, name: str, id_: str | None, since: datetime | None = None) -> list[Version]:
        """Return the versions of a row while the run lasted, or from an instant of it on."""
        start = max(self.start, since) if since else self.start
        return [
            version
            for version in self.versions[name].get(id_ or "", ())
            if version.since <= self.end and (version.until is None or version.until > start)
        ]

    def always(self, name: str, id_: str, *, by: str = "query") -> bool:
        """Return whether an API showed the row during the whole run; queryAll shows more."""
        views = self.during(name, id_)
        enough = {"query"} if by == "query" else {"query", "queryAll"}
        return bool(
            views and views[0].since <= self.start and {v.shown_by for v in views} <= enough
        )

    def never(self, name: str, id_: str) -> bool:
        """Return whether ``query`` did not show the row at any time of the run."""
        return all(v.shown_by != "query" for v in self.during(name, id_))

    # ---------------------------------------------------------------- rows
    def _rows(self) -> Iterator[str]:
        """Each row held is one version of it, in all of its columns."""
        wanted_users = users_named_by(self.after)
        for table, name in OBJECTS.items():
            for id_, row in self.after[table].items():
                versions = self.versions[name].get(id_, [])
                may = self._allowed(name, id_)
                if table == "sf_users" and id_ not in wanted_users:
                    may = versions  # a user that no row names any more is not read again
                differences = [
                    self._difference(name, row, version.row) for version in may if version.row
                ]
                if not differences:
                    yield f"{table} {id_} is held, and the org never showed it"
                elif None not in differences:
                    nearest = min((d for d in differences if d), key=lambda d: d[0])
                    yield (
                        f"{table} {id_} is none of its {len(differences)} versions; the nearest"
                        f" differs in {nearest[0]} columns: {nearest[1]}"
                    )

    def _allowed(self, name: str, id_: str) -> list[Version]:
        versions = [v for v in self.versions[name].get(id_, []) if v.since <= self.end]
        during = self.during(name, id_)
        out_of_sight = not during or any(v.row is None for v in during)
        # What nothing shows keeps its last values, of whatever time those were; relations are
        # out of sight with their task.
        if out_of_sight or self.reach is Reach.PART:
            return versions
        if self.reach is Reach.STAMPED and during[0].row:
            stamp = during[0].row["SystemModstamp"]
            same = [v for v in versions if v.row and v.row["SystemModstamp"] == stamp]
            return [*during, *same]
        return during

    def _difference(self, name: str, row: Row, version: Row) -> tuple[int, str] | None:
        """In how many columns a held row differs from a version, and in which first."""
        differences = []
        for field, value in version.items():
            kind, column = self.kinds[name].get(field, "address"), self.normalize(field)
            if kind in NOT_COLUMNS or column not in row:
                continue
            if not same_value(as_held(kind, value), row[column]):
                differences.append(f"{column} is {row[column]!r} and not {as_held(kind, value)!r}")
        return (len(differences), "; ".join(differences[:3])) if differences else None

    # ---------------------------------------------------------------- removed
    def _removed(self) -> Iterator[str]:
        """No relation is marked removed that was there all the time, and the other way round."""
        for id_, row in self.after[RELATIONS].items():
            was = self.before[RELATIONS].get(id_) or {}
            newly = row["removed_at"] is not None and was.get("removed_at") is None
            if row["removed_at"] is not None and self.always("TaskWhoRelation", id_):
                if newly or self.reach is not Reach.PART:
                    yield f"{RELATIONS} {id_} is marked removed and was there all the time"
            elif (
                row["removed_at"] is None
                and was
                and self.reach is not Reach.PART
                and not self.counted
                and self.never("TaskWhoRelation", id_)
            ):
                yield f"{RELATIONS} {id_} was gone all the time and is not marked removed"
            if newly and row["removed_reason"] not in self._reasons(row["task_id"]):
                yield (
                    f"{RELATIONS} {id_} is marked {row['removed_reason']}; its task was"
                    f" {sorted(self._reasons(row['task_id']))}"
                )

    def _reasons(self, task_id: str | None) -> set[str]:
        """Why relations of a task may have been out of sight, by all that the task was."""
        reasons, during = set(), self.during("Task", task_id)
        if not during or during[0].since > self.start:
            reasons.add("task_deleted")
        for version in during:
            task = version.row
            if task is None or task["IsDeleted"]:
                reasons.add("task_deleted")
            else:
                reasons.add("task_archived" if task["IsArchived"] else "relation_removed")
        return reasons

    # ---------------------------------------------------------------- what rows name
    def _named(self) -> Iterator[str]:
        """Every relation held has its task, contact and users, or a reason why not."""
        if self.reach is Reach.PART:
            return
        for id_, row in self.after[RELATIONS].items():
            if row["removed_at"] is not None:
                continue
            seen = min((v.since for v in self.during("TaskWhoRelation", id_)), default=None)
            if seen is None:
                continue  # never shown: of that another sentence speaks
            task = row["task_id"]
            if task not in self.after["sf_activities"] and self._shown_since("Task", task, seen):
                yield f"{RELATIONS} {id_} is held without its task {task}, and nothing hid it"
            who = row["relation_id"]
            if not (who or "").startswith("003"):
                continue
            life = self.after[LIVES].get(who)
            if life is None:
                yield f"{RELATIONS} {id_} is held, and {LIVES} does not know its contact {who}"
            elif who not in self.after["sf_contacts"] and life["gone_reason"] is None:
                yield f"{RELATIONS} {id_} is held without its contact {who}, and no reason is held"
        yield from self._users()

    def _shown_since(self, name: str, id_: str | None, since: datetime) -> bool:
        versions = self.during(name, id_, since)
        # A row that was hidden at first has its first version only when it is shown.
        return (
            bool(versions)
            and versions[0].since <= max(self.start, since)
            and all(v.row is not None and not v.row.get("IsDeleted") for v in versions)
        )

    def _users(self) -> Iterator[str]:
        for table in ("sf_contacts", "sf_activities", RELATIONS):
            for id_, row in self.after[table].items():
                for column in USER_COLUMNS:
                    user = row.get(column) or ""
                    if (
                        user.startswith("005")
                        and user not in self.after["sf_users"]
                        and self.always("User", user)
                    ):
                        yield f"{table} {id_}.{column} names {user}, who is not held"

    # ---------------------------------------------------------------- lives
    def _pointing(self) -> tuple[dict[str, int], dict[str, int]]:
        """By contact: relations that named it all the time, and those that did so at any time."""
        least: dict[str, int] = defaultdict(int)
        most: dict[str, int] = defaultdict(int)
        for id_ in self.versions["TaskWhoRelation"]:
            during = self.during("TaskWhoRelation", id_)
            whos = {v.row["RelationId"] for v in during if v.row}
            for who in whos - {None}:
                most[who] += 1
                least[who] += len(whos) == 1 and self.always("TaskWhoRelation", id_)
        return least, most

    def _lives(self) -> Iterator[str]:
        """Who is active, how often, and who is gone, is so as at some time of the run."""
        least, most = self._pointing()
        for id_, row in self.after[LIVES].items():
            was = self.before[LIVES].get(id_) or {}
            if self.reach is Reach.PART and was.get("is_active") == row["is_active"]:
                continue
            if not row["is_active"] and least[id_]:
                yield f"{LIVES} {id_} is inactive, and a relation named it all the time"
            if row["is_active"] and not most[id_]:
                yield f"{LIVES} {id_} is active, and no relation named it at any time"
            if not least[id_] <= row["relation_count"] <= most[id_]:
                yield (
                    f"{LIVES} {id_}.relation_count is {row['relation_count']}, and the org showed"
                    f" {least[id_]} to {most[id_]}"
                )
        for id_, row in self.after[LIVES].items():
            was = self.before[LIVES].get(id_) or {}
            if self.reach is Reach.PART and was.get("gone_reason") == row["gone_reason"]:
                continue
            if row["gone_reason"] not in self._gone(id_) | {was.get("gone_reason")} or (
                row["gone_reason"] is not None and self.always("Contact", id_)
            ):
                yield (
                    f"{LIVES} {id_}.gone_reason is {row['gone_reason']}, and the contact was"
                    f" {sorted(map(str, self._gone(id_)))}"
                )

    def _gone(self, id_: str) -> set[str | None]:
        """Why a contact may be gone, by all that it was during the run; None: it was there."""
        reasons: set[str | None] = set()
        during = self.during("Contact", id_)
        if not during or during[0].since > self.start:
            reasons.add("hidden")
        for version in during:
            if version.shown_by == "query":
                reasons.add(None)
            elif version.row is None:
                reasons.add("hidden")
            else:
                reasons.add("merged" if version.row["MasterRecordId"] else "deleted")
        return reasons

    # ---------------------------------------------------------------- what is missing
    def _missing(self) -> Iterator[str]:
        """All that was there all the time is held."""
        for id_ in self.versions["TaskWhoRelation"]:
            if self.always("TaskWhoRelation", id_) and id_ not in self.after[RELATIONS]:
                yield f"{RELATIONS} lacks {id_}, which was there all the time"
        least, _ = self._pointing()
        for who, count in least.items():
            if not count or not who.startswith("003") or not self.always("Contact", who):
                continue
            if who not in self.after["sf_contacts"]:
                yield f"sf_contacts lacks {who}, who was active and there all the time"
