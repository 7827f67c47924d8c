"""Fetch records by id through SOQL, as many ids as an address holds to a call.

Sources: REST API Developer Guide, "Query", "QueryAll", "Composite".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

import pyarrow as pa

from salesforce_targeted.api import endpoints, soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import (
    QuotaExceededError,
    SalesforceError,
    SlowResponseError,
    TruncatedResponseError,
    is_of_records,
    is_refused,
)
from salesforce_targeted.api.models import JsonRows, Record, Request, Response
from salesforce_targeted.arrow.batch import Batch
from salesforce_targeted.arrow.from_json import from_response
from salesforce_targeted.arrow.id_set import Texts, in_batches
from salesforce_targeted.retrieval.bisection import ATTEMPTS, isolate, read_in_portions
from salesforce_targeted.retrieval.parts import Part, Read, Readable, note_unreadable
from salesforce_targeted.retrieval.sobject_collections import RecordReader, parts_reader

S = TypeVar("S")


def by_query(reader: RecordReader, ids: pa.Array) -> Iterator[Batch]:
    """Send several statements in flight; one that fails for good is left to Collections."""
    client, columns, lessons = reader.client, reader.columns, reader.lessons

    def read(call_ids: Sequence[str]) -> list[Batch]:
        attempts = ATTEMPTS
        if not lessons.apart(columns.fields):
            try:
                return client.read_twice(lambda: _queried(reader, call_ids))
            except SalesforceError as error:
                if not (is_of_records(error) or isinstance(error, SlowResponseError)):
                    raise
                attempts = 1
        parts = in_batches(call_ids, client.limits.ids_per_collection)
        return reader.read_each(parts, attempts)

    per_call = soql.ids_that_fit(columns.fields, columns.object_name, client.limits)
    per_call = min(per_call, lessons.ids_at_once or per_call)
    return chain.from_iterable(client.side_by_side(read, in_batches(Texts(ids), per_call)))


def _queried(reader: RecordReader, ids: Sequence[str]) -> list[Batch]:
    columns, lessons, unreadable = reader.columns, reader.lessons, reader.lessons.unreadable
    fields = [name for name in columns.fields if name not in unreadable]

    def read(rows: JsonRows) -> Batch:
        return note_unreadable(from_response(rows, columns), unreadable, columns)

    def ids_on(page: Batch) -> list[str]:
        ids: list[str] = page.table.column(columns.key.name).to_pylist()
        return ids

    statement = soql.select(fields, columns.object_name, soql.id_in(ids))
    # After a 500 Collections are asked, which find the record of whose making it is.
    pages = reader.client.iter_pages(statement, read, attempts_at_500=1)
    came, _, stopped = _until_calls_end(pages, ids_on, ids)
    lessons.stopped = lessons.stopped or stopped
    return came


def _until_calls_end(
    pages: Iterator[S], ids_on: Callable[[S], list[str]], asked: Sequence[str]
) -> tuple[list[S], set[str], QuotaExceededError | None]:
    """Return the pages of a query by ids, those that are on them, and what cut it short, if any.

    Raises:
        QuotaExceededError: the calls ended before any page came.
        TruncatedResponseError: rows moved between pages, or were not asked for.
    """
    came, ids, stopped = list[S](), list[str](), None
    try:
        for page in pages:
            came.append(page)
            ids += ids_on(page)
    except QuotaExceededError as error:  # what came before is not lost
        stopped = error
    seen = {*ids}
    if not seen <= {*asked}:
        raise TruncatedResponseError("a query's response with records that weren't asked for")
    if len(seen) < len(ids):
        raise stopped or TruncatedResponseError("rows moved between pages while they were read")
    if stopped is not None and not came:
        raise stopped
    return came, seen, stopped


def query_all_requests(
    client: SalesforceClient, object_name: str, fields: Sequence[str], ids: Sequence[str]
) -> list[Request]:
    """List the requests that :func:`shown_by_query_all` sends for some ids."""
    per_call = soql.ids_that_fit(fields, object_name, client.limits)
    return [
        endpoints.query(
            client.version, soql.select(fields, object_name, soql.id_in(call_ids)), all_rows=True
        )
        for call_ids in in_batches(ids, per_call)
    ]


def shown_by_query_all(reader: RecordReader, ids: Sequence[str]) -> Readable:
    """Read records by id as ``queryAll`` shows them: live, archived, in the recycle bin, merged."""
    client, columns, lessons = reader.client, reader.columns, reader.lessons

    def statement(part: Part) -> soql.Soql:
        fields = dict.fromkeys(["Id", *part.fields])
        return soql.select(fields, columns.object_name, soql.id_in(part.ids))

    read_parts = query_reader(client, statement, all_rows=True)

    def read(call_ids: Sequence[str]) -> Readable:
        part = Part(call_ids, lessons.readable(columns.fields))
        try:
            if lessons.apart(part.fields):
                return read_in_portions(read_parts, part, lessons)
            return client.read_twice(lambda: _shown(client, statement(part), call_ids))
        except SalesforceError as error:
            if is_refused(error):  # plain reads are served: what became of these is not known
                return Readable(rejected=dict.fromkeys(((id_, "") for id_ in call_ids), error))
            if not is_of_records(error):
                raise
            with lessons.learning:
                return isolate(read_parts, call_ids, columns.fields, lessons, error)

    def read_or_leave(call_ids: Sequence[str]) -> Readable:
        try:
            return read(call_ids)
        except QuotaExceededError as error:  # what came before is not lost
            return Readable(unread=call_ids, stopped=error)

    shown, unread = Readable(), set[str]()
    per_call = soql.ids_that_fit(columns.fields, columns.object_name, client.limits)
    for readable in client.side_by_side(read_or_leave, in_batches(ids, per_call)):
        shown.records.update(readable.records)
        shown.rejected.update(readable.rejected)
        unread.update(readable.unread)
        lessons.stopped = lessons.stopped or readable.stopped
    shown.unread = unread
    return shown


def _shown(client: SalesforceClient, statement: soql.Soql, ids: Sequence[str]) -> Readable:
    pages = client.iter_pages(statement, JsonRows.records, all_rows=True, attempts_at_500=ATTEMPTS)
    came, seen, stopped = _until_calls_end(pages, lambda rows: [row["Id"] for row in rows], ids)
    by_id = {record["Id"]: record for page in came for record in page}
    return Readable(by_id, unread={*ids} - seen if stopped else (), stopped=stopped)


def query_reader(
    client: SalesforceClient, statement: Callable[[Part], soql.Soql], *, all_rows: bool = False
) -> Read:
    """Make what reads parts by queries, five to a billed call; ``all_rows`` by ``queryAll``."""

    def records(_: Part, request: Request, response: Response) -> dict[str, Record]:
        pages = client.pages_after(request, response, JsonRows.records)
        rows = [record for page in pages for record in page]
        by_id = {record["Id"]: record for record in rows}
        if len(by_id) < len(rows):
            raise TruncatedResponseError("rows moved between pages while they were read")
        return by_id

    def request(part: Part) -> Request:
        return endpoints.query(client.version, statement(part), all_rows)

    return parts_reader(client, request, records)
