"""Carry out a plan: ids become batches of Arrow rows, records rejected, and ids gone.

Rules. Every id asked for comes out exactly once: as a row, as rejected or as gone. Whatever a plain
read does not return is asked for again through ``queryAll``, which shows deleted, merged and
archived records, before it is called gone. The way that fetched a row can't be seen in it.

Sources: REST API Developer Guide, "Get Multiple Records with sObject Collections" (``null`` for an
id that is invalid or not accessible), "QueryAll".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api import bulk, soql, wire
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import (
    NotFoundError,
    PermissionDeniedError,
    QueryError,
    SalesforceError,
    TooLargeError,
    TruncatedAnswerError,
)
from salesforce_targeted.api.in_flight import in_order
from salesforce_targeted.api.wire import JsonRows
from salesforce_targeted.bulk_jobs import BulkJobs
from salesforce_targeted.columns import Columns
from salesforce_targeted.id_set import Texts, minus, union
from salesforce_targeted.ledger import DELETED, HIDDEN, MERGED
from salesforce_targeted.plan import Api, Plan, ids_per_bulk_job
from salesforce_targeted.tables import Batch, from_csv, from_json, from_records

Record = dict[str, Any]
# Result pages of Bulk in memory at once: each holds tens of thousands of whole records.
_BULK_PAGES_AT_ONCE = 3
# Ids that a plain read left out, asked about together: their rows are in memory as Python values.
_FOLLOWED_UP_AT_ONCE = 20_000


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
    client: SalesforceClient,
    plan: Plan,
    ids: pa.Array,
    columns: Columns,
    jobs: BulkJobs | None = None,
) -> Iterator[Retrieved]:
    """Fetch records by id, all columns, the planned way; several calls are in flight.

    Args:
        ids: 18-character ids of one object, as an array of ``id_set``.
        jobs: Where Bulk jobs are remembered until they have been read.

    Yields:
        Batches in the order of ``ids`` (Bulk: in Salesforce's), then answers for those that a
        plain read did not return.
    """
    if plan.api is Api.BULK:
        answers = _bulk(client, plan, ids, columns, jobs)
    else:
        fetch = {
            Api.COLLECTIONS: _collections,
            Api.COMPOSITE: _composite,
            Api.QUERY: _query,
        }[plan.api]
        answers = fetch(client, ids, columns)
    absent: list[str] = []
    for batch, missed in answers:
        absent.extend(missed)
        if batch.table.num_rows or batch.rejected:
            yield Retrieved(batch)
    for some in _batches(absent, _FOLLOWED_UP_AT_ONCE):
        yield follow_up(client, some, columns)


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
    client: SalesforceClient, ids: pa.Array, columns: Columns
) -> Iterator[tuple[Batch, list[str]]]:
    def ask(some: Sequence[str]) -> tuple[Batch, list[str]]:
        return _collected(client, some, columns)

    batches = _batches(Texts(ids), client.limits.ids_per_collection)
    yield from in_order(ask, batches, client.max_in_flight)


def _composite(
    client: SalesforceClient, ids: pa.Array, columns: Columns
) -> Iterator[tuple[Batch, list[str]]]:
    """Collections, five to a billed call; one to a call where the org refuses ``composite``."""
    size, together = client.limits.ids_per_collection, client.limits.composite_queries

    def ask(some: Sequence[str]) -> list[tuple[Batch, list[str]]]:
        parts = list(_batches(some, size))
        asked = [client.collection_request(columns.object_name, p, columns.fields) for p in parts]

        def read(response: wire.Response) -> list[tuple[Batch, list[str]] | SalesforceError]:
            answers = wire.composite_results(response, len(asked))
            return [
                _read_part(wire.part(*answer), request, in_part, columns)
                for answer, (request, in_part) in zip(answers, asked, strict=True)
            ]

        bundle = wire.composite(client.version, [request for request, _ in asked])
        try:
            found = client.ask(bundle, read)
        except (PermissionDeniedError, NotFoundError, QueryError, TooLargeError):
            return [_collected(client, part, columns) for part in parts]
        read_parts = []
        for part in found:
            if isinstance(part, SalesforceError):
                raise part
            read_parts.append(part)
        client.add_rows("composite", sum(len(batch) for batch, _ in read_parts))
        return read_parts

    for answers in in_order(ask, _batches(Texts(ids), size * together), client.max_in_flight):
        yield from answers


def _read_part(
    response: wire.Response, request: wire.Request, asked: list[str], columns: Columns
) -> tuple[Batch, list[str]] | SalesforceError:
    """Read one Collections answer of a composite, or say why it was refused.

    Raises:
        TruncatedAnswerError: it failed in a way that may pass: the composite is asked for again.
    """
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TruncatedAnswerError(f"a part of a composite failed (HTTP {response.status})")
    if response.status >= HTTPStatus.MULTIPLE_CHOICES:
        return wire.error_from(response, request.call, request.kind)
    return _read(response, asked, columns)


def _collected(
    client: SalesforceClient, ids: Sequence[str], columns: Columns
) -> tuple[Batch, list[str]]:
    """One Collections call: its batch, and the ids that it has null for."""
    request, asked = client.collection_request(columns.object_name, ids, columns.fields)
    batch, missed = client.ask(request, lambda response: _read(response, asked, columns))
    client.add_rows("collections", len(batch))
    return batch, missed


def _read(response: wire.Response, asked: list[str], columns: Columns) -> tuple[Batch, list[str]]:
    """Read a Collections answer.

    Raises:
        TruncatedAnswerError: not as many entries as ids, or records that were not asked for.
    """
    batch = from_json(wire.raw_collection(response, len(asked)), columns)
    came = batch.table.column(columns.key.name).to_pylist()
    if came == asked:
        return batch, []
    found = set(came)
    if len(found) < len(came) or not found <= set(asked):
        raise TruncatedAnswerError("a Collections answer with records that weren't asked for")
    return batch, [id_ for id_ in asked if id_ not in found]


def _query(
    client: SalesforceClient, ids: pa.Array, columns: Columns
) -> Iterator[tuple[Batch, list[str]]]:
    def read(rows: JsonRows) -> Batch:
        return from_json(rows, columns)

    def ask(some: Sequence[str]) -> list[tuple[Batch, list[str]]]:
        statement = soql.select(columns.fields, columns.object_name, soql.id_in(some))
        pages = client.read_twice(lambda: list(client.pages_as(statement, read)))
        found = {id_ for page in pages for id_ in page.table.column(columns.key.name).to_pylist()}
        missed = [id_ for id_ in some if id_ not in found]
        return [*((page, []) for page in pages), (from_records([], columns), missed)]

    per_call = soql.ids_that_fit(columns.fields, columns.object_name, client.limits)
    for answers in in_order(ask, _batches(Texts(ids), per_call), client.max_in_flight):
        yield from answers


def _bulk(
    client: SalesforceClient,
    plan: Plan,
    ids: pa.Array,
    columns: Columns,
    jobs: BulkJobs | None,
) -> Iterator[tuple[Batch, list[str]]]:
    """Jobs over lists of ids, or one job over the whole object whose rows are chosen here."""
    wheres: list[soql.Condition | None] = [None]
    if plan.bulk_by_ids:
        per_job = ids_per_bulk_job(columns.fields, client.limits)
        wheres = [soql.id_in(some) for some in _batches(Texts(ids), per_job)]
    unseen, key = ids, columns.key.name
    converting = threading.Lock()

    def read(page: bulk.CsvPage) -> Batch:
        try:
            # Pages arrive side by side, but a page being read takes ten times its size.
            with converting:
                return from_csv(page.body, columns, among=ids)
        except pa.ArrowException:
            raise TruncatedAnswerError("a Bulk result that is no CSV of these fields") from None

    for where in wheres:
        statement = soql.select(columns.fields, columns.object_name, where)
        job = bulk.job_of(
            client,
            statement,
            expected_seconds=plan.job_seconds,
            resume=jobs.resumable(statement) if jobs else None,
            created=partial(jobs.created, statement) if jobs else None,
        )
        for page in bulk.results_as(client, job, read, at_once=_BULK_PAGES_AT_ONCE):
            # A job that Salesforce retried may answer a row twice; the first one is as good.
            batch = page.of_rows(_first_of_each(page.table.column(key), unseen), columns)
            unseen = minus(unseen, union(batch.table.column(key)))
            yield batch, []
        if jobs:
            jobs.read(statement)
    yield from_records([], columns), unseen.to_pylist()


def _first_of_each(ids: pa.ChunkedArray, wanted: pa.Array) -> pa.ChunkedArray:
    """Which rows are of wanted ids, and the first with theirs."""
    chosen = pc.is_in(ids, value_set=wanted)
    if pc.count_distinct(ids).as_py() < len(ids):
        rows = pa.table({"id": ids, "row": range(len(ids))})
        first = rows.group_by("id").aggregate([("row", "min")]).column("row_min")
        chosen = pc.and_(chosen, pc.is_in(rows.column("row"), value_set=first))
    return chosen


def _query_all(client: SalesforceClient, ids: Sequence[str], columns: Columns) -> dict[str, Record]:
    """Records by id as ``queryAll`` shows them: live, archived, in the recycle bin, merged."""
    per_call = soql.ids_that_fit(columns.fields, columns.object_name, client.limits)

    def ask(some: Sequence[str]) -> list[Record]:
        statement = soql.select(columns.fields, columns.object_name, soql.id_in(some))
        return client.records(statement, all_rows=True)

    answers = in_order(ask, _batches(ids, per_call), client.max_in_flight)
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
