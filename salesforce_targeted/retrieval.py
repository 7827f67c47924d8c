"""Carry out a plan: ids become batches of Arrow rows, records rejected, and ids gone.

Rules. Every id asked for comes out exactly once: as a row, as rejected or as gone. Whatever a plain
read does not return is asked for again through ``queryAll``, which shows deleted, merged and
archived records, before it is called gone. The way that fetched a row can't be seen in it.

Sources: REST API Developer Guide, "Get Multiple Records with sObject Collections" (``null`` for an
id that is invalid or not accessible), "QueryAll".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api import bulk, soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.columns import Columns
from salesforce_targeted.ledger import DELETED, HIDDEN, MERGED
from salesforce_targeted.plan import Api, Plan, ids_per_bulk_job
from salesforce_targeted.tables import Batch, from_csv, from_records

Record = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gone:
    """An id that the org no longer returns, and why.

    Attributes:
        reason: ``deleted``, ``merged`` or ``hidden`` (which a purged record can't be told from).
        merged_into: The record that survived the last merge, if one is known.
        trail_ends: Whether no API shows that record: it may have been merged on, then purged.
    """

    id: str
    reason: str
    merged_into: str | None = None
    trail_ends: bool = False


@dataclass(slots=True)
class Retrieved:
    """An answer to some of the ids asked for.

    Attributes:
        batch: The rows of records that are there.
        last_rows: Rows of deleted and merged records, as the org still shows them.
        archived: Ids in ``batch`` that only the archive shows.
        followed_up: Ids that were asked for a second time, through ``queryAll``.
    """

    batch: Batch
    last_rows: Batch | None = None
    gone: list[Gone] = field(default_factory=list)
    archived: list[str] = field(default_factory=list)
    followed_up: int = 0


@dataclass(slots=True)
class Refreshed:
    """What became of the ids, for whoever keeps the books about them."""

    gone: dict[str, Gone] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)
    archived: list[str] = field(default_factory=list)
    newest: datetime | None = None


def retrieve(
    client: SalesforceClient, plan: Plan, ids: Sequence[str], columns: Columns
) -> Iterator[Retrieved]:
    """Fetch records by id, all columns, the planned way; several calls are in flight.

    Args:
        ids: Distinct 18-character ids of one object.

    Yields:
        Batches in the order of ``ids`` (Bulk: in Salesforce's), then one answer for those that a
        plain read did not return.
    """
    fetch = {Api.COLLECTIONS: _collections, Api.QUERY: _query, Api.BULK: _bulk}[plan.api]
    absent: list[str] = []
    for batch, missed in fetch(client, plan, ids, columns):
        absent.extend(missed)
        if batch.table.num_rows or batch.rejected:
            yield Retrieved(batch)
    if absent:
        yield follow_up(client, absent, columns)


def follow_up(client: SalesforceClient, ids: Sequence[str], columns: Columns) -> Retrieved:
    """Ask ``queryAll`` about ids that a plain read left out, and say what became of each."""
    records = _query_all(client, ids, columns)
    there, last, gone, archived = [], [], [], []
    for id_ in ids:
        record = records.get(id_)
        if record is None:
            gone.append(Gone(id_, HIDDEN))
        elif record.get("MasterRecordId"):
            gone.append(Gone(id_, MERGED, record["MasterRecordId"]))
            last.append(record)
        elif record.get("IsDeleted"):
            gone.append(Gone(id_, DELETED))
            last.append(record)
        else:
            there.append(record)
            if record.get("IsArchived"):
                archived.append(id_)
    gone = _last_winners(client, gone, records, columns)
    last_rows = from_records(last, columns) if last else None
    return Retrieved(from_records(there, columns), last_rows, gone, archived, len(ids))


def _collections(
    client: SalesforceClient, plan: Plan, ids: Sequence[str], columns: Columns
) -> Iterator[tuple[Batch, list[str]]]:
    del plan  # one way to ask

    def ask(some: Sequence[str]) -> tuple[Batch, list[str]]:
        records = client.collections(columns.object_name, some, columns.fields)
        missed = [id_ for id_, record in zip(some, records, strict=True) if record is None]
        return from_records([r for r in records if r is not None], columns), missed

    yield from _in_flight(client, ask, _batches(ids, client.limits.ids_per_collection))


def _query(
    client: SalesforceClient, plan: Plan, ids: Sequence[str], columns: Columns
) -> Iterator[tuple[Batch, list[str]]]:
    del plan  # one way to ask

    def ask(some: Sequence[str]) -> tuple[Batch, list[str]]:
        statement = soql.select(columns.fields, columns.object_name, soql.id_in(some))
        records = client.records(statement)
        found = {record["Id"] for record in records}
        return from_records(records, columns), [id_ for id_ in some if id_ not in found]

    per_call = soql.ids_that_fit(columns.fields, columns.object_name, client.limits)
    yield from _in_flight(client, ask, _batches(ids, per_call))


def _bulk(
    client: SalesforceClient, plan: Plan, ids: Sequence[str], columns: Columns
) -> Iterator[tuple[Batch, list[str]]]:
    """Jobs over lists of ids, or one job over the whole object whose rows are chosen here."""
    wheres: list[soql.Condition | None]
    if plan.bulk_by_ids:
        per_job = ids_per_bulk_job(columns.fields, client.limits)
        wheres = [soql.id_in(some) for some in _batches(ids, per_job)]
    else:
        wheres = [None]
    wanted = pa.array(ids, pa.string())
    unseen = set(ids)
    for where in wheres:
        statement = soql.select(columns.fields, columns.object_name, where)
        for page in bulk.pages(client, statement):
            batch = from_csv(page.body, columns)
            key = columns.key.name
            table = batch.table.filter(pc.is_in(batch.table.column(key), value_set=wanted))
            # A job that Salesforce retried may answer a row twice; the first one is as good.
            fresh = []
            for id_ in table.column(key).to_pylist():
                fresh.append(id_ in unseen)
                unseen.discard(id_)
            table = table.filter(pa.array(fresh, pa.bool_()))
            yield Batch(table, _of(batch, wanted), batch.nuls_removed), []
    yield from_records([], columns), [id_ for id_ in ids if id_ in unseen]


def _of(batch: Batch, wanted: pa.Array) -> list[Any]:
    if not batch.rejected:
        return []
    ids = set(wanted.to_pylist())
    return [rejected for rejected in batch.rejected if rejected.record_id in ids]


def _query_all(client: SalesforceClient, ids: Sequence[str], columns: Columns) -> dict[str, Record]:
    """Records by id as ``queryAll`` shows them: live, archived, in the recycle bin, merged."""
    per_call = soql.ids_that_fit(columns.fields, columns.object_name, client.limits)

    def ask(some: Sequence[str]) -> list[Record]:
        statement = soql.select(columns.fields, columns.object_name, soql.id_in(some))
        return client.records(statement, all_rows=True)

    answers = _in_flight(client, ask, _batches(ids, per_call))
    return {record["Id"]: record for records in answers for record in records}


def _last_winners(
    client: SalesforceClient, gone: list[Gone], records: dict[str, Record], columns: Columns
) -> list[Gone]:
    """Follow chains of merges to the record that was never merged away itself."""
    winners = {one.id: one.merged_into for one in gone if one.merged_into}
    seen = set(records)
    unknown = set(winners.values()) - seen
    fields = [name for name in ("Id", "MasterRecordId") if columns.named(name)]
    asked: set[str] = set()
    while unknown and len(fields) == 2:  # noqa: PLR2004
        found = sorted(unknown)
        asked |= unknown
        per_call = soql.ids_that_fit(fields, columns.object_name, client.limits)
        for some in _batches(found, per_call):
            statement = soql.select(fields, columns.object_name, soql.id_in(some))
            for record in client.records(statement, all_rows=True):
                seen.add(record["Id"])
                if record.get("MasterRecordId"):
                    winners[record["Id"]] = record["MasterRecordId"]
        unknown = set(winners.values()) - seen - asked

    def last(id_: str) -> str:
        passed = {id_}
        while (winner := winners.get(id_)) and winner not in passed:
            passed.add(winner)
            id_ = winner
        return id_

    ends = {one.id: last(one.merged_into) for one in gone if one.merged_into}
    return [
        Gone(
            one.id,
            one.reason,
            ends.get(one.id),
            trail_ends=one.id in ends and ends[one.id] not in seen,
        )
        for one in gone
    ]


def _batches(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _in_flight(
    client: SalesforceClient,
    ask: Callable[[Sequence[str]], T],
    batches: Iterable[Sequence[str]],
) -> Iterator[T]:
    """Ask for the batches, a few at a time, and yield the answers in the order of the batches.

    Never more answers wait than calls may be in flight: memory stays flat for any number of ids.
    """
    waiting: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(client.max_in_flight, thread_name_prefix="retrieve")
    try:
        for batch in batches:
            waiting.append(pool.submit(ask, batch))
            if len(waiting) >= client.max_in_flight:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # After an error the calls that have not begun are never sent.
        pool.shutdown(wait=True, cancel_futures=True)
