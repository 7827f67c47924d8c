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

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api import soql
from salesforce_targeted.arrow.batch import Batch
from salesforce_targeted.arrow.columns import ROW_HASH, TIMESTAMP
from salesforce_targeted.arrow.id_counts import Counting
from salesforce_targeted.arrow.id_set import IdSet, Texts, id_array, in_batches, minus, union
from salesforce_targeted.destination.comparison import kept
from salesforce_targeted.destination.held_tables import RELATIONS
from salesforce_targeted.extract.discovery import discovered
from salesforce_targeted.extract.lifecycle import RELATION_REMOVED, TASK_ARCHIVED, TASK_DELETED
from salesforce_targeted.extract.record_refresh import named_users
from salesforce_targeted.extract.run import Run
from salesforce_targeted.relations import pages as relation_pages
from salesforce_targeted.relations.pages import Range
from salesforce_targeted.retrieval import rebatch
from salesforce_targeted.retrieval.rebatch import ROWS_PER_LOAD_BATCH

# So many contacts with another count are looked at one by one; beyond, all ids are compared.
_SUSPECTS = 2_000


class RelationRefresh:
    """One run's reading of the relations.

    Attributes:
        newest: The latest ``SystemModstamp`` read.
        whole: Whether every relation that counts was read.
        unread: Relations that the org shows and of which nothing can be read.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.columns = run.columns(RELATIONS)
        self.newest: datetime | None = None
        self.whole = False
        self.read_ids = IdSet()
        self.unread = IdSet()
        self.contacts = Counting()
        self.rejected = run.held.rejected_ids("TaskWhoRelation")
        self.key = self.columns.key.stored
        self.who = run.held.name("RelationId")
        self.task = run.held.name("TaskId")

    def read(self, since: datetime | None) -> Iterator[pa.Table]:
        """Read the rows since a moment and yield those to load."""
        run = self.run
        self.whole = since == run.settings.since and run.scope.complete
        for batch in rebatch.pages(self._pages(since)):
            yield from self._to_load(batch)
            run.ledger.step(f"relations: {run.ledger.relations.read:,} read")
        if self.whole and not self.unread:
            run.read_contacts = self.contacts.counts()
        if run.scope.complete and self.rejected:
            yield from self.read_again(minus(id_array(self.rejected), self.read_ids.ids))

    def _pages(self, since: datetime | None) -> Iterator[Batch]:
        """The pages of the rows since a moment, of several ranges at once where that is quicker."""
        run = self.run
        some: list[Range] = [(None, None)]
        known = run.opening.relations
        if self.whole and since is None and known is not None:
            some = relation_pages.ranges(run.client, run.junction, known)
        ours = True
        for number, batch in relation_pages.read_ranges(
            run.client, run.junction, self.columns, some, since=since, limit=run.scope.limit
        ):
            ours = ours and _within(batch, some[number])
            new = batch if ours else self._not_yet(batch)
            self._seen(new)
            yield new

    def _seen(self, batch: Batch) -> None:
        self.read_ids.add(batch.table.column(self.columns.key.name))
        self.unread.update(one.record_id for one in batch.rejected if not one.field)

    def _not_yet(self, batch: Batch) -> Batch:
        """A batch without what was read: an org with an order of its own answers ids twice."""
        key = batch.table.column(self.columns.key.name)
        new = pc.invert(pc.is_in(key, value_set=self.read_ids.ids))
        return batch.of_rows(new, self.columns)

    def read_again(self, ids: pa.Array) -> Iterator[pa.Table]:
        """Read some relations again and yield those to load."""
        pages = relation_pages.read_by_ids(
            self.run.client, self.run.junction, self.columns, ids.to_pylist()
        )
        for batch in rebatch.pages(pages):
            self._seen(batch)
            yield from self._to_load(batch)

    def mend(self) -> Iterator[pa.Table]:
        """Compare counts, then ids; yield rows that came late or back, and rows marked removed."""
        run = self.run
        shown = discovered(run)  # stops the run before anything is marked, if most are gone
        if self.whole:
            # Every relation that the org shows has just been read.
            live = run.held.id_array(RELATIONS, self.key, run.counting_relations)
            gone = minus(minus(live, self.read_ids.ids), self.unread.ids)
            for some in in_batches(Texts(gone), ROWS_PER_LOAD_BATCH):
                yield from self._removed(self._live(self.key, some))
            self._exact()
            return
        before, changes = run.held_relations, run.relation_changes
        held = run.held.count(RELATIONS, run.counting_relations) + changes.total()
        if held <= run.client.limits.rows_per_query_page or self._due():
            # As many can be removed as came back, and no count tells.
            yield from self._compare(None)
            self._exact()
            return
        unlike = {*before.unlike(shown), *(who for who in changes if who)}
        suspects = {
            who: difference
            for who in unlike
            if who.startswith(run.key_prefix)
            and (difference := shown[who] - before[who] - changes[who])
        }
        missing = run.relation_count() - held
        if suspects or missing:
            few = missing == sum(suspects.values()) and len(suspects) <= _SUSPECTS
            yield from self._compare(sorted(suspects) if few else None)

    def _compare(self, who: Sequence[str] | None) -> Iterator[pa.Table]:
        """Compare ids, and whom they point at, both ways: of all relations or of some contacts'."""
        run = self.run
        floor = run.settings.since if run.filters_by_stamp else None
        pages = [pa.table({"id": pa.array([], pa.string()), "who": pa.array([], pa.string())})]
        for page in relation_pages.targets(
            run.client, run.junction, self.columns, since=floor, who=who
        ):
            ids, who_of = (
                page.table.column(name) for name in (self.columns.key.name, "RelationId")
            )
            pages.append(pa.table({"id": ids, "who": who_of}))
            self.unread.update(one.record_id for one in page.rejected if not one.field)
        shown = pa.concat_tables(pages).group_by("id").aggregate([("who", "max")])
        live = self._live(self.who, who)
        both = shown.join(live, keys="id", join_type="left outer")
        # Null differs from an id, and null is null.
        one, other = (pc.fill_null(both.column(name), "") for name in ("who_max", "who"))
        unknown = pc.invert(pc.is_in(both.column("id"), value_set=live.column("id")))
        differ = union(both.column("id").filter(pc.or_(pc.not_equal(one, other), unknown)))
        yield from self.read_again(union(minus(differ, self.read_ids.ids), self.unread.ids))
        known = union(shown.column("id"), self.read_ids.ids, self.unread.ids)
        yield from self._removed(_but(live, known))

    def _due(self) -> bool:
        """Whether the last comparison of all ids is as old as a pass over all rows may be."""
        before = self.run.state.get("relations_compared_at")
        age = timedelta(days=self.run.settings.full_refresh_days)
        return before is None or datetime.fromisoformat(before) + age <= self.run.ledger.started_at

    def _exact(self) -> None:
        self.run.state["relations_compared_at"] = self.run.ledger.started_at.isoformat()

    def _live(self, column: str, some: Sequence[str] | None) -> pa.Table:
        """Held relations that are not marked as removed: columns ``id``, ``task``, ``who``.

        Args:
            some: Values of the column that are wanted; None for all.
        """
        where = self.run.counting_relations
        if some is not None:
            quoted = ",".join(f"'{one}'" for one in some)
            where += f" AND {self.run.held.sql(column)} IN ({quoted})"
        columns = {"id": self.key, "task": self.task, "who": self.who}
        return self.run.held.table(RELATIONS, columns, where)

    def _to_load(self, batch: Batch) -> Iterator[pa.Table]:
        """Compare rows with what is held; yield the new, the changed and those that came back."""
        run, tally = self.run, self.run.ledger.relations
        first = not tally.read
        rows = kept(run.held, RELATIONS, self.columns, batch)
        if self.rejected:
            ids = rows.column(self.columns.key.name)
            run.ledger.answered.setdefault("TaskWhoRelation", IdSet()).update(
                set(self.rejected).intersection(ids.to_pylist())
            )
        self._note(rows)
        for rejected in batch.rejected:
            run.ledger.reject(rejected)
        run.ledger.nuls_removed += batch.nuls_removed
        came = run.held.completed(RELATIONS, self.columns, rows)
        changed = came
        if ROW_HASH in run.held.column_hints(RELATIONS):
            changed = came.filter(pa.array(self._changed(came), pa.bool_()))
        else:
            tally.new += came.num_rows
            self._count(came)
        tally.read += came.num_rows
        carried = bool(self.columns.added) and bool(run.held.column_hints(RELATIONS))
        if carried and not changed.num_rows and first:
            changed = came.slice(0, 1)  # a new column travels with a row, changed or not
        if changed.num_rows:
            yield self._finished(changed, None, None)

    def _changed(self, came: pa.Table) -> list[bool]:
        """Which rows differ from what is held, or are new."""
        run, tally = self.run, self.run.ledger.relations
        ids = came.column(self.columns.key.name).to_pylist()
        found = run.held.by_ids(RELATIONS, self.key, ids, [ROW_HASH, "removed_at", self.who])
        held = {row[0]: row[1:] for row in found}
        changed = []
        for id_, hash_, who in zip(
            ids,
            came.column(ROW_HASH).to_pylist(),
            came.column("RelationId").to_pylist(),
            strict=True,
        ):
            before = held.get(id_)
            live = before is not None and before[1] is None
            # Most are where they were, and a number for each of a million contacts takes room.
            if before is None or not live or before[2] != who:
                run.relation_changes[who] += 1
                if before is not None and live:
                    run.relation_changes[before[2]] -= 1
                    if before[2]:  # a merge moved it, or the task's WhoId did
                        run.left_reasons[before[2]] = RELATION_REMOVED
            same = live and before is not None and before[0] == hash_
            changed.append(not same)
            tally.new += before is None
            tally.unchanged += same
            tally.updated += before is not None and not same
        return changed

    def _count(self, came: pa.Table) -> None:
        """Count new relations, unless all are read, and then nobody asks how many were held."""
        if not self.whole:
            for entry in pc.value_counts(came.column("RelationId")).to_pylist():
                self.run.relation_changes[entry["values"]] += entry["counts"]

    def _note(self, rows: pa.Table) -> None:
        run, tally = self.run, self.run.ledger.relations
        if not rows.num_rows:
            return
        who = rows.column("RelationId")
        contacts = who.filter(pc.starts_with(who, self.run.key_prefix))
        self.contacts.add(contacts)
        run.named_contacts.add(contacts)
        tally.leads += pc.sum(pc.starts_with(who, "00Q")).as_py() or 0
        tally.without_who += who.null_count
        run.named_tasks.add(rows.column("TaskId"))
        run.named_users.update(named_users(rows, self.columns))
        if self.columns.named("SystemModstamp"):
            newest = pc.max(rows.column("SystemModstamp")).as_py()
            if newest is not None:
                self.newest = max(self.newest or newest, newest)

    def _removed(self, vanished: pa.Table) -> Iterator[pa.Table]:
        """Yield the held rows of relations that the org no longer shows, marked with the reason."""
        run = self.run
        reasons = why_removed(run, union(vanished.column("task")).to_pylist())
        by_reason: dict[str, list[str]] = {}
        for row in vanished.sort_by("id").to_pylist():
            who, reason = row["who"], reasons.get(row["task"], RELATION_REMOVED)
            by_reason.setdefault(reason, []).append(row["id"])
            run.relation_changes[who] -= 1
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


def _but(live: pa.Table, shown: pa.Array) -> pa.Table:
    return live.filter(pc.invert(pc.is_in(live.column("id"), value_set=shown)))


def _within(batch: Batch, expected: Range) -> bool:
    """Whether rows lie in their range as ids are sorted here; if not, the org sorts otherwise."""
    if expected == (None, None) or not len(batch):
        return True
    ends = pc.min_max(batch.table.column(0)).as_py()
    low, high = expected
    return (low is None or ends["min"] >= low) and (high is None or ends["max"] < high)
