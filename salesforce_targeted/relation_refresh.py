"""Keep ``sf_taskwhorelations`` true: rows that are new or changed, that vanished, that came back.

Rule. No API reports that a relation was removed. Where one call tells all ids they are compared in
every run; where there are more, what is held is counted against what the org shows, contact by
contact and in all, and ids are compared where counts differ, on ``--full``, and every
``full_refresh_days``. Comparing goes both ways: it also finds rows that became visible later than
the lag allows for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted import relations
from salesforce_targeted.api import soql
from salesforce_targeted.columns import ROW_HASH, TIMESTAMP
from salesforce_targeted.discovery import discovered
from salesforce_targeted.held import RELATIONS
from salesforce_targeted.refresh import ROWS_PER_LOAD_BATCH, named_users
from salesforce_targeted.relations import Record
from salesforce_targeted.run import Run
from salesforce_targeted.tables import from_records

RELATION_REMOVED, TASK_DELETED, TASK_ARCHIVED = "relation_removed", "task_deleted", "task_archived"
# So many contacts with another count are looked at one by one; beyond, all ids are compared.
_SUSPECTS = 2_000


class RelationRefresh:
    """One run's reading of the relations.

    Attributes:
        newest: The latest ``SystemModstamp`` read.
        whole: Whether every relation that counts was read.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.columns = run.columns(RELATIONS)
        self.newest: datetime | None = None
        self.whole = False
        self.read_ids: set[str] = set()
        self.rejected = set(run.held.rejected_ids("TaskWhoRelation"))
        self.key = self.columns.key.stored
        self.who = run.held.name("RelationId")
        self.task = run.held.name("TaskId")

    def read(self, since: datetime | None) -> Iterator[pa.Table]:
        """Read the rows since a moment and yield those to load."""
        run = self.run
        self.whole = since == run.settings.since and run.scope.complete
        run.held_relations.update(
            dict(
                run.held.rows(RELATIONS, [self.who, "COUNT(*)"], self._counts(), group_by=self.who)
            )
        )
        pages = relations.read(
            run.client, run.junction, self.columns.fields, since=since, limit=run.scope.limit
        )
        for records in _gathered(pages):
            yield from self._to_load(records)
            run.ledger.step(f"relations: {run.ledger.relations.read:,} read")
        per_page = run.client.limits.rows_per_query_page
        run.ledger.predict("query", max(1, ceil(run.ledger.relations.read / per_page)))
        if run.scope.complete:
            yield from self.read_again(sorted(self.rejected - self.read_ids))

    def read_again(self, ids: Sequence[str]) -> Iterator[pa.Table]:
        """Read some relations again and yield those to load."""
        per_call = soql.ids_that_fit(self.columns.fields, self.run.junction.object_name)
        self.run.ledger.predict("query", ceil(len(ids) / per_call))
        pages = relations.read_by_ids(self.run.client, self.run.junction, self.columns.fields, ids)
        for records in _gathered(pages):
            yield from self._to_load(records)

    def mend(self) -> Iterator[pa.Table]:
        """Compare counts, then ids; yield rows that came late or back, and rows marked removed."""
        run = self.run
        shown = discovered(run)  # stops the run before anything is marked, if most are gone
        if self.whole:
            # Every relation that the org shows has just been read.
            live = self._live(None)
            yield from self._removed({id_: live[id_] for id_ in live.keys() - self.read_ids})
            self._exact()
            return
        held = run.held_relations
        one_call = sum(held.values()) <= run.client.limits.rows_per_query_page
        if one_call or self._due():
            # As many can be removed as came back, and no count tells.
            yield from self._compare(None)
            self._exact()
            return
        suspects = [
            who
            for who in {*held, *shown}
            if who and who.startswith("003") and held[who] != shown.get(who, 0)
        ]
        missing = run.relation_count() - sum(held.values())
        if suspects or missing:
            explained = sum(shown.get(who, 0) - held[who] for who in suspects)
            few = missing == explained and len(suspects) <= _SUSPECTS
            yield from self._compare(suspects if few else None)

    def _compare(self, who: Sequence[str] | None) -> Iterator[pa.Table]:
        """Compare ids, and whom they point at, both ways: of all relations or of some contacts'."""
        run = self.run
        floor = run.settings.since if run.filters_by_stamp else None
        shown: dict[str, str | None] = {}
        for page in relations.targets(run.client, run.junction, since=floor, who=who):
            shown.update(page)
            run.ledger.predict("query", 1)
        live = self._live(who)
        differ = {id_ for id_, whom in shown.items() if id_ not in live or live[id_][1] != whom}
        yield from self.read_again(sorted(differ - self.read_ids))
        yield from self._removed({id_: live[id_] for id_ in live.keys() - shown - self.read_ids})

    def _due(self) -> bool:
        """Whether the last comparison of all ids is as old as a pass over all rows may be."""
        before = self.run.state.get("relations_compared_at")
        age = timedelta(days=self.run.settings.full_refresh_days)
        return before is None or datetime.fromisoformat(before) + age <= self.run.ledger.started_at

    def _exact(self) -> None:
        self.run.state["relations_compared_at"] = self.run.ledger.started_at.isoformat()

    def _counts(self) -> str:
        """SQL: a held relation is not marked as removed, and not older than what counts."""
        where, floor = "removed_at IS NULL", self.run.settings.since
        if floor is None or not self.run.filters_by_stamp:
            return where
        stamp = self.run.held.name("SystemModstamp")
        return f"{where} AND {stamp} >= TIMESTAMP WITH TIME ZONE '{floor.isoformat()}'"

    def _live(self, who: Sequence[str] | None) -> dict[str, tuple[Any, ...]]:
        """Held relations that are not marked as removed: id to (task, contact or lead)."""
        where = self._counts()
        if who is not None:
            quoted = ",".join(f"'{one}'" for one in who)
            where += f" AND {self.who} IN ({quoted})"
        rows = self.run.held.rows(RELATIONS, [self.key, self.task, self.who], where)
        return {row[0]: row[1:] for row in rows}

    def _to_load(self, records: list[Record]) -> Iterator[pa.Table]:
        """Compare rows with what is held; yield the new, the changed and those that came back."""
        run, tally = self.run, self.run.ledger.relations
        records = [record for record in records if record["Id"] not in self.read_ids]
        self.read_ids.update(record["Id"] for record in records)
        run.ledger.asked.setdefault("TaskWhoRelation", set()).update(
            self.rejected.intersection(record["Id"] for record in records)
        )
        batch = from_records(records, self.columns)
        self._note(batch.table)
        for rejected in batch.rejected:
            run.ledger.reject(rejected)
        run.ledger.nuls_removed += batch.nuls_removed
        came = run.held.completed(RELATIONS, self.columns, batch.table)
        ids = came.column(self.columns.key.name).to_pylist()
        held = {}
        if ROW_HASH in run.held.column_hints(RELATIONS):
            held = {
                row[0]: row[1:]
                for row in run.held.by_ids(
                    RELATIONS, self.key, ids, [ROW_HASH, "removed_at", self.who]
                )
            }
        changed = []
        hashes = came.column(ROW_HASH).to_pylist()
        for record, id_, hash_ in zip(records, ids, hashes, strict=True):
            before = held.get(id_)
            live = before is not None and before[1] is None
            who = record.get("RelationId") or None
            if before is not None and live:
                run.held_relations[before[2]] -= 1
                if before[2] and before[2] != who:  # a merge moved it, or the task's WhoId did
                    run.left_reasons[before[2]] = RELATION_REMOVED
            run.held_relations[who] += 1
            same = live and before is not None and before[0] == hash_
            changed.append(not same)
            tally.new += before is None
            tally.unchanged += same
            tally.updated += before is not None and not same
        tally.read += len(records)
        rows = came.filter(pa.array(changed, pa.bool_()))
        carried = bool(self.columns.added) and bool(run.held.column_hints(RELATIONS))
        if carried and not rows.num_rows and tally.read == len(records):
            rows = came.slice(0, 1)  # a new column travels with a row, changed or not
        if rows.num_rows:
            yield self._finished(rows, None, None)

    def _note(self, rows: pa.Table) -> None:
        run, tally = self.run, self.run.ledger.relations
        if not rows.num_rows:
            return
        who = rows.column("RelationId").to_pylist()
        run.named_contacts.update(id_ for id_ in who if id_ and id_.startswith("003"))
        tally.leads += sum(1 for id_ in who if id_ and id_.startswith("00Q"))
        tally.without_who += sum(1 for id_ in who if not id_)
        run.named_tasks.update(id_ for id_ in rows.column("TaskId").to_pylist() if id_)
        run.named_users.update(named_users(rows, self.columns))
        if self.columns.named("SystemModstamp"):
            newest = pc.max(rows.column("SystemModstamp")).as_py()
            if newest is not None:
                self.newest = max(self.newest or newest, newest)

    def _removed(self, vanished: dict[str, tuple[Any, ...]]) -> Iterator[pa.Table]:
        """Yield the held rows of relations that the org no longer shows, marked with the reason."""
        run = self.run
        tasks = sorted({task for task, _ in vanished.values() if task})
        reasons = why_removed(run, tasks)
        by_reason: dict[str, list[str]] = {}
        for id_ in sorted(vanished):
            task, who = vanished[id_]
            reason = reasons.get(task, RELATION_REMOVED)
            by_reason.setdefault(reason, []).append(id_)
            run.held_relations[who] -= 1
            if who:
                run.left_reasons[who] = reason
        for reason, ids in by_reason.items():
            run.ledger.relations.removed += len(ids)
            run.ledger.step(f"relations: {len(ids):,} no longer shown ({reason})")
            for start in range(0, len(ids), ROWS_PER_LOAD_BATCH):
                some = ids[start : start + ROWS_PER_LOAD_BATCH]
                rows = run.held.table_of(RELATIONS, self.columns, some)
                rows = run.held.completed(RELATIONS, self.columns, rows)
                yield self._finished(rows, run.ledger.started_at, reason)

    def _finished(self, rows: pa.Table, at: datetime | None, reason: str | None) -> pa.Table:
        rows = rows.append_column("removed_at", pa.array([at] * rows.num_rows, TIMESTAMP))
        return rows.append_column("removed_reason", pa.array([reason] * rows.num_rows, pa.string()))


def why_removed(run: Run, tasks: Sequence[str]) -> dict[str, str]:
    """What became of the tasks whose relations vanished; a task that is there is left out.

    A task that not even ``queryAll`` shows was deleted for good or is hidden: as far as a
    relation is concerned, ``task_deleted``.
    """
    fields = ["Id", "IsDeleted", "IsArchived"]
    reasons = dict.fromkeys(tasks, TASK_DELETED)
    per_call = soql.ids_that_fit(fields, "Task", run.client.limits)
    run.ledger.predict("query_all", ceil(len(tasks) / per_call))
    for start in range(0, len(tasks), per_call):
        some = soql.id_in(tasks[start : start + per_call])
        for record in run.client.records(soql.select(fields, "Task", some), all_rows=True):
            if record["IsDeleted"]:
                reasons[record["Id"]] = TASK_DELETED
            elif record["IsArchived"]:
                reasons[record["Id"]] = TASK_ARCHIVED
            else:
                del reasons[record["Id"]]
    return reasons


def _gathered(pages: Iterator[list[Record]]) -> Iterator[list[Record]]:
    """Pages in batches of the size that loads fastest."""
    waiting: list[Record] = []
    for page in pages:
        waiting.extend(page)
        if len(waiting) >= ROWS_PER_LOAD_BATCH:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
