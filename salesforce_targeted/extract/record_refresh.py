"""Keep a table true: choose which ids to ask for, fetch them, and pass on the rows that changed.

Rule. Within the call budget everything held is read again, every run: formula fields, late commits
and new columns then come out right by construction. Beyond it a run asks for new ids and for what
was modified since the last run, and a whole pass follows every ``full_refresh_days``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api import soql
from salesforce_targeted.api.errors import (
    BulkJobError,
    QuotaExceededError,
    SalesforceError,
    is_of_records,
)
from salesforce_targeted.arrow.batch import EVERY_RECORD
from salesforce_targeted.arrow.columns import ROW_HASH, Columns
from salesforce_targeted.arrow.id_set import IdSet, among, id_array, minus, union
from salesforce_targeted.destination.comparison import kept
from salesforce_targeted.destination.database import is_postgres
from salesforce_targeted.destination.row_width import reject_wide_rows
from salesforce_targeted.extract.run import USER_FIELDS, Run
from salesforce_targeted.retrieval import rebatch
from salesforce_targeted.retrieval.planner import Plan, cheapest
from salesforce_targeted.retrieval.results import Refreshed, Retrieved
from salesforce_targeted.retrieval.retrieve import retrieve
from salesforce_targeted.settings import Api

# How long a row's stamp may lie in the past when the row becomes visible: transactions of ten
# minutes are allowed, rows five minutes late have been recorded.
LAG = timedelta(minutes=15)


@dataclass(slots=True)
class Pass:
    """The ids that a run asks for, an array of ``id_set``; and whether they are all there are."""

    ids: pa.Array
    whole: bool


def choose(run: Run, table: str, named: pa.Array) -> Pass:
    """Decide which ids of a table to ask for.

    Args:
        named: Ids that must be held after the run, an array of ``id_set``.
    """
    object_name, key = run.object_of(table), run.columns(table).key.stored
    rejected = id_array(run.held.rejected_ids(object_name))
    rejects_a_field = run.held.rejects_a_field(object_name)
    if run.scope.retry_rejected and not rejects_a_field:
        return Pass(rejected, whole=False)
    if run.scope.limit is not None:
        return Pass(named, whole=False)
    held = run.held.id_array(table, key)
    if run.scope.retry_rejected:
        return Pass(union(held, rejected), whole=True)
    if table == run.target.table and run.scope.complete:
        # A record that was gone when it was active is held as soon as the org shows it.
        named = union(named, run.held.id_array(run.target.life_table, run.target.life_key))
    everything = union(held, named)
    if run.scope.since is not None:
        modified = _modified(run, object_name, run.scope.since, everything)
        return Pass(union(named, modified), whole=False)
    calls = ceil(len(everything) / run.client.limits.ids_per_collection)
    state = run.state.get("refresh", {}).get(table, {})
    cursor, passed_at = state.get("cursor"), state.get("passed_at")
    within = calls <= run.settings.refresh_call_budget
    no_choice = run.scope.full or rejects_a_field or not cursor or not passed_at
    if within or no_choice or _due(run, passed_at):
        return Pass(everything, whole=True)
    since = datetime.fromisoformat(cursor) - LAG
    modified = _modified(run, object_name, since, held)
    run.ledger.warn(
        f"{object_name}: {calls:,} calls for a whole refresh exceed refresh_call_budget ="
        f" {run.settings.refresh_call_budget}; only new records and those modified since"
        f" {since:%Y-%m-%d %H:%M} were read. Formula fields and newly added fields of the others"
        f" stay as they are, and what was hidden from our user stays unnoticed, until the next"
        f" whole pass, due"
        f" {datetime.fromisoformat(passed_at) + _days(run):%Y-%m-%d}"
    )
    gone = run.held.id_array(run.target.life_table, run.target.life_key, "gone_reason IS NOT NULL")
    back = among(named, gone)  # being shown again moves no stamp
    return Pass(union(minus(named, held), modified, back, rejected), whole=False)


def refresh(run: Run, table: str, chosen: Pass, books: Refreshed) -> Iterator[pa.Table]:
    """Fetch records and yield the rows to load: new and changed ones.

    Args:
        chosen: What to ask for.
        books: Filled in as answers come.
    """
    object_name = run.object_of(table)
    columns = run.columns(table)
    tally = run.ledger.tally(object_name)
    tally.asked += len(chosen.ids)
    if len(chosen.ids):
        plan = plan_of(run, object_name, columns, len(chosen.ids))
        run.ledger.plans[object_name] = plan

        def otherwise(left: int, error: BulkJobError) -> Plan:
            run.ledger.warn(f"{error} The {left:,} records that it left were read otherwise")
            return plan_of(run, object_name, columns, left, but=Api.BULK)

        answers = retrieve(
            run.client, plan, chosen.ids, columns, run.bulk_jobs,
            otherwise=None if plan.forced else otherwise,
        )  # fmt: skip
        try:
            yield from rebatch.tables(
                _changed_rows(run, table, columns, rebatch.answers(answers), books)
            )
        except QuotaExceededError:
            tally.left = tally.asked - tally.retrieved - tally.gone - tally.rejected
            raise
    if chosen.whole:
        run.ledger.answered.setdefault(object_name, IdSet()).update([EVERY_RECORD])
    if books.newest is not None and run.scope.complete:
        _remember(run, table, books.newest, whole=chosen.whole)


def _changed_rows(
    run: Run, table: str, columns: Columns, answers: Iterator[Retrieved], books: Refreshed
) -> Iterator[pa.Table]:
    object_name = run.object_of(table)
    tally = run.ledger.tally(object_name)
    # Of those alone anybody asks whether they came: a million others need no room.
    rejected = set(run.held.rejected_ids(object_name))
    answered = run.ledger.answered.setdefault(object_name, IdSet())
    # A new column reaches the destination with a row that carries it, changed or not.
    must_carry = bool(columns.added) and bool(run.held.column_hints(table))
    in_pages = is_postgres(run.held.pipeline)
    for answer in answers:
        if in_pages:
            answer.batch = reject_wide_rows(answer.batch, columns, object_name)
        _note(run, answer, columns, books)
        if rejected:
            ids = answer.batch.table.column(columns.key.name).to_pylist()
            answered.update(rejected & {*ids, *(gone.id for gone in answer.gone)})
        came = kept(run.held, table, columns, answer.batch)
        came = run.held.completed(table, columns, came)
        changes = run.held.changes(table, columns, came)
        tally.retrieved += answer.batch.table.num_rows
        tally.new += changes.new
        tally.updated += changes.updated
        tally.unchanged += changes.unchanged
        tally.gone += len(answer.gone)
        rows = [changes.table, _last_rows(run, table, columns, answer)]
        if must_carry and not any(part.num_rows for part in rows):
            rows.append(came.slice(0, 1))
        must_carry = must_carry and not any(part.num_rows for part in rows)
        run.ledger.step(f"{object_name}: {tally.retrieved + tally.gone:,} of {tally.asked:,}")
        for part in rows:
            if part.num_rows:
                yield part


def _note(run: Run, answer: Retrieved, columns: Columns, books: Refreshed) -> None:
    """Keep the books on an answer: who is gone, what was rejected, which users its rows name."""
    for batch in (answer.batch, answer.last_rows):
        if batch is None:
            continue
        for rejected in batch.rejected:
            run.ledger.reject(rejected)
            if not rejected.field and rejected.record_id not in books.rejected:
                books.rejected.add(rejected.record_id)
                run.ledger.tally(columns.object_name).rejected += 1
        run.ledger.nuls_removed += batch.nuls_removed
        run.named_users.update(named_users(batch.table, columns))
        stamp = columns.named("SystemModstamp")
        if stamp is not None and batch.table.num_rows:
            newest = pc.max(batch.table.column(stamp.name)).as_py()
            if isinstance(newest, datetime):
                books.newest = max(books.newest or newest, newest)
    books.gone.update({gone.id: gone for gone in answer.gone})
    books.archived.extend(answer.archived)


def _last_rows(run: Run, table: str, columns: Columns, answer: Retrieved) -> pa.Table:
    """Rows of deleted and merged records that are held: the org still shows them as deleted."""
    if answer.last_rows is None:
        return answer.batch.table.slice(0, 0)
    last = kept(run.held, table, columns, answer.last_rows)
    last = run.held.completed(table, columns, last)
    ids = last.column(columns.key.name).to_pylist()
    held = dict(run.held.by_ids(table, columns.key.stored, ids, [ROW_HASH]))
    hashes = last.column(ROW_HASH).to_pylist()
    differs = [id_ in held and held[id_] != hash_ for id_, hash_ in zip(ids, hashes, strict=True)]
    return last.filter(pa.array(differs, pa.bool_()))


def named_users(rows: pa.Table, columns: Columns) -> set[str]:
    """Ids of the users that rows name; queues and groups, which can own too, are not users."""
    named: set[str] = set()
    for field in USER_FIELDS:
        column = columns.named(field)
        if column is not None:
            ids = pc.unique(rows.column(column.name)).to_pylist()
            named.update(id_ for id_ in ids if id_ and id_.startswith("005"))
    return named


def plan_of(run: Run, object_name: str, columns: Columns, ids: int, but: Api | None = None) -> Plan:
    """How so many records of an object are to be fetched."""
    return cheapest(
        object_name,
        columns.fields,
        ids,
        run.in_org(object_name, ids),
        limits=run.client.limits,
        latency=run.latency,
        budget=run.calls_left,
        force=run.settings.api,
        but=but,
    )


def _modified(run: Run, object_name: str, since: datetime, some: pa.Array) -> pa.Array:
    """Those of some ids whose records were modified since; all, where that takes fewer calls.

    A system job that bumps the stamps of a whole org must not cost a call for every 2,000 of them.
    """
    statement = soql.select(["Id"], object_name, soql.ge("SystemModstamp", since))
    enough = ceil(len(some) / run.client.limits.ids_per_collection)
    found = IdSet()
    pages = run.client.pages(statement, all_rows=True)
    try:
        for read, page in enumerate(pages, start=1):
            found.update(record["Id"] for record in page)
            if read > enough:
                return some
    except SalesforceError as error:
        if not is_of_records(error):
            raise
        run.ledger.warn(f"{error} What was modified is not known, so all {object_name}s were read")
        return some
    return among(some, found.ids)


def _due(run: Run, passed_at: str) -> bool:
    return datetime.fromisoformat(passed_at) + _days(run) <= run.ledger.started_at


def _days(run: Run) -> timedelta:
    return timedelta(days=run.settings.full_refresh_days)


def _remember(run: Run, table: str, newest: datetime, *, whole: bool) -> None:
    """Keep, with the load, how far this table has been read; never backwards."""
    state: dict[str, Any] = run.state.setdefault("refresh", {})
    of_table = state.setdefault(table, {})
    before = of_table.get("cursor")
    text = newest.astimezone(UTC).isoformat()
    of_table["cursor"] = max(before, text) if before else text
    if whole:
        of_table["passed_at"] = datetime.now(UTC).isoformat()
