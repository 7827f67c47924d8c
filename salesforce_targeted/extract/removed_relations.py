"""Find the relations that the org no longer shows, and those that became visible late; mark why.

No API reports that a relation was removed. So numbers of one moment are compared, and ids where
they differ:

1. How many relations each contact has, as discovery showed, with how many are held. Contacts whose
   number differs have their relations compared by id: a few calls for what changed meanwhile.
2. How many relations are stamped before the moment from which this run read. What is logged or
   edited meanwhile has a later stamp, so this number changes only where one is removed or becomes
   visible late. Where it differs, ranges of ids are counted, five to a call, down to pages. What is
   held with a later stamp must have been read.
3. What fits one page is read, and everything every ``full_refresh_days`` and on ``--full``: as many
   relations can be removed as came back, and no count tells. Nor does a stamp tell of a field that
   another record's change moved, as ``AccountId``.

A relation is marked as removed only after the org, asked for it by its id, does not show it.

Source: Object Reference, "TaskWhoRelation" (supported calls: describe, query, retrieve).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from math import ceil

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api import soql
from salesforce_targeted.api.authorized_session import CALLS_TO_SPARE
from salesforce_targeted.api.errors import SalesforceError, is_of_records, is_refused
from salesforce_targeted.arrow.id_counts import IdCounts
from salesforce_targeted.arrow.id_set import IdSet, Texts, in_batches, minus, union
from salesforce_targeted.destination.comparison import with_hidden_columns
from salesforce_targeted.destination.stored_values import Where
from salesforce_targeted.destination.table_names import RELATIONS
from salesforce_targeted.extract import relation_refresh, relation_selection
from salesforce_targeted.extract.lifecycle import RELATION_REMOVED, TASK_ARCHIVED, TASK_DELETED
from salesforce_targeted.extract.run import Run
from salesforce_targeted.relations import pages
from salesforce_targeted.relations.queries import Range
from salesforce_targeted.retrieval.rebatch import ROWS_PER_LOAD_BATCH

# So many contacts with another count are compared one by one; beyond, all ids are.
_SUSPECTS = 2_000
# Fields of a task that tell what became of it.
_WHY = ("Id", "IsDeleted", "IsArchived")


def mark_removed(run: Run, shown: IdCounts) -> Iterator[pa.Table]:
    """Yield rows that became visible late or came back, and removed ones with the reason.

    Args:
        shown: How many relations each contact between the ids ``run.within`` has in the org.
    """
    findings, held, before = run.relations, run.held, run.held_relations
    after, last = run.within
    if findings.whole:
        live = held.id_array(RELATIONS, _key(run), before.counting)
        for ids in in_batches(Texts(_unseen(run, live)), ROWS_PER_LOAD_BATCH):
            yield from _mark(run, _live(run, _key(run), ids))
        _note_compared(run)
        return
    live_count = held.count(RELATIONS, before.counting) + findings.changes.total()
    # Of a table that was emptied in the database the org shows many more.
    most = max(live_count, run.org.relation_count or 0)
    if live_count <= before.per_page and relation_selection.can_compare(run, most):
        yield from _mark(run, (yield from _compare(run)))
        _note_compared(run)
        return
    unlike = {*before.counts.unlike(shown), *filter(None, findings.changes)}
    differences = {
        who: difference
        for who in unlike
        if after < who <= last
        and who.startswith(run.org.key_prefix)
        and (difference := shown[who] - before.counts[who] - findings.changes[who])
    }
    # Those that can't be read are not held; that so many are missing tells nothing new.
    explained = all(difference > 0 for difference in differences.values())
    explained = explained and sum(differences.values()) <= relation_selection.unread_count(run)
    # Those of fewest relations first: what is compared is loaded, whatever becomes of the others.
    suspects = [] if explained else sorted(differences, key=lambda who: (shown[who], who))
    if len(suspects) > _SUSPECTS:
        if relation_selection.can_compare(run, most):
            yield from _mark(run, (yield from _compare(run)))
        return
    if suspects:
        for who in _within_calls(run, suspects, shown):
            yield from _mark(run, (yield from _compare(run, who=who)))
        run.active = _corrected(run, shown, suspects)
    if run.org.settled_before is not None and not findings.in_parts:
        # What was stamped since has just been read, by this run.
        where = before.counting & before.stamped(">=", run.org.settled_before)
        recent = _unseen(run, held.id_array(RELATIONS, _key(run), where))
        vanished = minus(recent, findings.removed_ids.ids)
        yield from _mark(run, _live(run, _key(run), vanished.to_pylist()))
    yield from _compare_differing_ranges(run, most)


def _within_calls(run: Run, suspects: Sequence[str], shown: IdCounts) -> Iterator[Sequence[str]]:
    """Part contacts so that each part's relations come in half of the calls that are left by then.

    What a run whose calls end has found of a part is loaded; the next one compares the others.
    """
    first, rows = 0, 0
    for place, who in enumerate(suspects):
        left, rows = run.client.meter.left, rows + shown[who]
        few = left is not None and rows > max(1, left // 2) * run.held_relations.per_page
        if few and place > first:
            yield suspects[first:place]
            first, rows = place, shown[who]
    yield suspects[first:]


def _compare_differing_ranges(run: Run, most: int) -> Iterator[pa.Table]:
    gone, pages_in_all = [_live(run, _key(run), ())], ceil(most / run.held_relations.per_page)
    left = run.client.meter.left
    are_few = left is not None and left <= max(CALLS_TO_SPARE, pages_in_all)
    for within in relation_selection.differing_ranges(run, pages_in_all):
        if within != (None, None) or relation_selection.can_compare(run, most):
            vanished = yield from _compare(run, within=within)
            if are_few:  # else a run whose calls end would leave to the next one all that it found
                yield from _mark(run, vanished)
            else:
                gone.append(vanished)
    # All at once: what became of them takes calls of its own.
    yield from _mark(run, pa.concat_tables(gone))


def _corrected(run: Run, shown: IdCounts, who: Sequence[str]) -> IdCounts:
    """Count the relations of some contacts as they have just been compared."""
    numbers = [run.held_relations.counts[id_] + run.relations.changes[id_] for id_ in who]
    compared = pa.table({"id": pa.array(who, pa.string()), "count": pa.array(numbers, pa.int64())})
    rest = _without(shown.table(), compared.column("id"))
    return IdCounts(pa.concat_tables([rest, compared.filter(pc.field("count") > 0)]))


def _compare(
    run: Run, *, who: Sequence[str] | None = None, within: Range = (None, None)
) -> Generator[pa.Table, None, pa.Table]:
    """Compare relations, all or of some contacts or ids, by id and what they point at, both ways.

    Yields rows to load: what became visible late or came back.

    Returns:
        Those held that were not shown: columns ``id``, ``task``, ``who``.
    """
    columns, findings = run.columns(RELATIONS), run.relations
    parts = [pa.table({"id": pa.array([], pa.string()), "who": pa.array([], pa.string())})]
    for page in pages.targets(
        run.client, run.org.junction, columns, since=run.floor, who=who, within=within
    ):
        ids, targets = (page.table.column(name) for name in (columns.key.name, "RelationId"))
        parts.append(pa.table({"id": ids, "who": targets}))
        findings.unread.update(record.record_id for record in page.rejected if not record.field)
    shown = pa.concat_tables(parts).group_by("id").aggregate([("who", "max")])
    live = _live(run, run.held.name("RelationId"), who)
    low, high = within
    if low is not None:
        live = live.filter(pc.greater_equal(live.column("id"), low))
    if high is not None:
        live = live.filter(pc.less(live.column("id"), high))
    pairs = shown.join(live, keys="id", join_type="left outer")
    # Null differs from an id, and null is null.
    shown_who, held_who = (pc.fill_null(pairs.column(name), "") for name in ("who_max", "who"))
    unknown = pc.invert(pc.is_in(pairs.column("id"), value_set=live.column("id")))
    differ = union(pairs.column("id").filter(pc.or_(pc.not_equal(shown_who, held_who), unknown)))
    yield from relation_refresh.read_by_ids(
        run, union(minus(differ, findings.read_ids.ids), findings.unread.ids)
    )
    return _without(live, union(shown.column("id"), findings.read_ids.ids, findings.unread.ids))


def _without(rows: pa.Table, ids: pa.Array | pa.ChunkedArray) -> pa.Table:
    return rows.filter(pc.invert(pc.is_in(rows.column("id"), value_set=ids)))


def _mark(run: Run, vanished: pa.Table) -> Iterator[pa.Table]:
    """Yield the held rows of relations that the org no longer shows, marked with the reason.

    By parts that take half of the calls that are left, or a run whose calls end would mark none.
    """
    vanished = _without(vanished, run.relations.removed_ids.ids).sort_by("task")
    per_call, start = soql.ids_that_fit(_WHY, "Task", run.client.limits), 0
    while start < vanished.num_rows:
        left = run.client.meter.left
        size = vanished.num_rows if left is None else max(1, left // 4) * per_call
        yield from _mark_part(run, vanished.slice(start, size))
        start += size


def _mark_part(run: Run, vanished: pa.Table) -> Iterator[pa.Table]:
    still_there = _shown_by_id(run, union(vanished.column("id")).to_pylist())
    if len(still_there):
        yield from relation_refresh.read_by_ids(run, still_there)
        vanished = _without(vanished, still_there)
    columns, findings = run.columns(RELATIONS), run.relations
    reasons = why_removed(run, union(vanished.column("task")).to_pylist())
    by_reason: dict[str, list[str]] = {}
    for row in vanished.sort_by("id").to_pylist():
        who, reason = row["who"], reasons.get(row["task"], RELATION_REMOVED)
        by_reason.setdefault(reason, []).append(row["id"])
        findings.changes[who] -= 1
        if who:
            findings.left_reasons[who] = reason
    for reason, ids in by_reason.items():
        run.ledger.relations.removed += len(ids)
        findings.removed_ids.update(ids)
        run.ledger.step(f"relations: {len(ids):,} no longer shown ({reason})")
        for batch in in_batches(ids, ROWS_PER_LOAD_BATCH):
            rows = run.held.table_of(RELATIONS, columns, batch)
            rows = with_hidden_columns(run.held, RELATIONS, columns, rows)
            yield relation_refresh.finished(rows, run.ledger.started_at, reason)


def _shown_by_id(run: Run, ids: Sequence[str]) -> pa.Array:
    """Return those of some relations that the org shows when it is asked for them by id.

    Rows move while a long result is read: one that no page showed may have been there all the time.
    """
    columns = run.columns(RELATIONS).only([])
    shown = IdSet()
    for batch in pages.read_by_ids(run.client, run.org.junction, columns, ids):
        shown.add(batch.table.column(columns.key.name))
        shown.update(record.record_id for record in batch.rejected if not record.field)
    return shown.ids


def why_removed(run: Run, tasks: Sequence[str]) -> dict[str, str]:
    """Say what became of the tasks whose relations vanished; a task that is there is left out.

    A task that not even ``queryAll`` shows was deleted for good or is hidden: as far as a
    relation is concerned, ``task_deleted``.
    """
    reasons = dict.fromkeys(tasks, TASK_DELETED)
    per_call = soql.ids_that_fit(_WHY, "Task", run.client.limits)
    for batch in in_batches(tasks, per_call):
        statement = soql.select(_WHY, "Task", soql.id_in(batch))
        try:
            records = run.client.records(statement, all_rows=True)
        except SalesforceError as error:
            if not (is_of_records(error) or is_refused(error)):
                raise
            run.ledger.warn(f"{error} Why some relations vanished is not known")
            for task in batch:
                reasons.pop(task, None)
            continue
        for record in records:
            if record["IsDeleted"]:
                reasons[record["Id"]] = TASK_DELETED
            elif record["IsArchived"]:
                reasons[record["Id"]] = TASK_ARCHIVED
            else:
                reasons.pop(record["Id"], None)  # on two pages, where they shifted
    return reasons


def _unseen(run: Run, ids: pa.Array) -> pa.Array:
    return minus(minus(ids, run.relations.read_ids.ids), run.relations.unread.ids)


def _note_compared(run: Run) -> None:
    run.state[relation_refresh.COMPARED_AT] = run.opened_at.isoformat()
    run.state[relation_refresh.COMPARED_SINCE] = relation_refresh.counted_since(run)


def _key(run: Run) -> str:
    return run.columns(RELATIONS).key.stored


def _live(run: Run, column: str, values: Sequence[str] | None) -> pa.Table:
    """Return held relations not marked as removed: columns ``id``, ``task``, ``who``.

    Args:
        values: Of the column, those that are wanted; None for all.
    """
    where = run.held_relations.counting
    if values is not None and not values:
        where = Where("1 = 0")
    elif values is not None:
        quoted = ",".join(f"'{value}'" for value in values)
        where &= Where(f"{run.held.sql(column)} IN ({quoted})")
    task, who = run.held.name("TaskId"), run.held.name("RelationId")
    return run.held.texts(RELATIONS, {"id": _key(run), "task": task, "who": who}, where)
