"""Fetch records by id through sObject Collections: alone, or five to a billed ``composite`` call.

Source: REST API Developer Guide, "Get Multiple Records with sObject Collections", "Composite".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from salesforce_targeted.api import json_lines, models, readers
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.concurrency import map_in_order
from salesforce_targeted.api.errors import SalesforceError, TruncatedResponseError, is_of_records
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.from_json import from_json
from salesforce_targeted.arrow.id_set import Texts, in_batches
from salesforce_targeted.retrieval.bisection import (
    ATTEMPTS,
    Lessons,
    Part,
    Readable,
    Record,
    in_portions,
    isolate,
    note_unreadable,
)
from salesforce_targeted.retrieval.results import Fetched


def by_collections(
    client: SalesforceClient, ids: pa.Array, columns: Columns, lessons: Lessons
) -> Iterator[Fetched]:
    """Send a call for each 2,000 ids, several in flight; yield in the order of the ids."""
    collections = CollectionsReader(client, columns, lessons)
    batches = in_batches(Texts(ids), client.limits.ids_per_collection)
    yield from map_in_order(collections.read, batches, client.max_in_flight)


def by_composite(
    client: SalesforceClient, ids: pa.Array, columns: Columns, lessons: Lessons
) -> Iterator[Fetched]:
    """Send five to a billed call; one to a call where the org refuses ``composite``."""
    size, together = client.limits.ids_per_collection, client.limits.composite_queries
    collections = CollectionsReader(client, columns, lessons)
    batches = in_batches(Texts(ids), size * together)
    for fetched in map_in_order(collections.read_five, batches, client.max_in_flight):
        yield from fetched


class CollectionsReader:
    """Read records of one object; what makes a call fail is isolated, and the rest comes."""

    def __init__(self, client: SalesforceClient, columns: Columns, lessons: Lessons) -> None:
        self.client, self.columns, self.lessons = client, columns, lessons

    def read(self, ids: Sequence[str], attempts: int = ATTEMPTS) -> Fetched:
        """Read the records of as many ids as one call may ask for.

        Args:
            attempts: How often at most where the status is 500; 1 after another way failed.

        Raises:
            SalesforceError: nothing of it can be read, or the org is not well.
        """
        request, asked, unreadable = self._request(ids)
        if self.lessons.apart(self.columns.fields):
            return self._in_portions(asked, unreadable)

        def rows(response: models.Response) -> Fetched:
            return read_rows(response, asked, self.columns)

        portion = self.lessons.portion
        try:
            batch, absent = self.client.send(request, rows, attempts_at_500=attempts)
        except SalesforceError as error:
            if not is_of_records(error):
                raise
            return self._isolated(asked, unreadable, portion, error)
        self.client.meter.add_rows("collections", len(batch))
        return note_unreadable(batch, unreadable, self.columns), absent

    def read_five(self, ids: Sequence[str]) -> list[Fetched]:
        """Read five times as many."""
        parts = list(in_batches(ids, self.client.limits.ids_per_collection))
        if self.lessons.apart(self.columns.fields):
            return [self.read(part) for part in parts]
        requests = [self._request(part) for part in parts]
        responses = self.client.composite(
            [request for request, _, _ in requests], attempts_at_500=1
        )
        fetched: list[Fetched] = []
        for response, (_, asked, unreadable) in zip(responses, requests, strict=True):
            try:
                if isinstance(response, SalesforceError):
                    raise response
                batch, absent = read_rows(response, asked, self.columns)
            except SalesforceError as error:
                if not is_of_records(error):
                    raise
                fetched.append(self.read(asked, attempts=1))
            else:
                self.client.meter.add_rows("composite", len(batch))
                fetched.append((note_unreadable(batch, unreadable, self.columns), absent))
        return fetched

    def _in_portions(self, ids: list[str], unreadable: Mapping[str, SalesforceError]) -> Fetched:
        portion = self.lessons.portion
        part = Part(ids, self.lessons.readable(self.columns.fields))
        (response,) = in_portions(self._read_parts, self.lessons)([part])
        if isinstance(response, SalesforceError):
            return self._isolated(ids, unreadable, portion, response)
        return self._as_fetched(ids, Readable(response))

    def _isolated(
        self,
        ids: list[str],
        unreadable: Mapping[str, SalesforceError],
        portion: int | None,
        error: SalesforceError,
    ) -> Fetched:
        lessons = self.lessons
        with lessons.learning:
            if lessons.unreadable is not unreadable or lessons.portion != portion:
                return self.read(ids, attempts=1)  # another call has learnt meanwhile
            readable = isolate(self._read_parts, ids, self.columns.fields, lessons, error)
        return self._as_fetched(ids, readable)

    def _as_fetched(self, ids: list[str], readable: Readable) -> Fetched:
        rejected = {id_ for id_, name in readable.rejected if not name}
        absent = [id_ for id_ in ids if id_ not in readable.records and id_ not in rejected]
        return readable.batch(ids, self.columns, self.lessons.unreadable), absent

    def _read_parts(self, parts: Sequence[Part]) -> list[dict[str, Record] | SalesforceError]:
        results: list[dict[str, Record] | SalesforceError] = []
        name = self.columns.object_name
        for some in in_batches(parts, self.client.limits.composite_queries):
            requests = [self.client.collection_request(name, *part) for part in some]
            responses = self.client.composite(
                [request for request, _ in requests], attempts_at_500=1
            )
            for response, (_, asked) in zip(responses, requests, strict=True):
                try:
                    if isinstance(response, SalesforceError):
                        raise response
                    rows = readers.collection_in_order(response, asked)
                except SalesforceError as error:
                    if not is_of_records(error):
                        raise
                    results.append(error)
                else:
                    records = {row["Id"]: row for row in rows if row is not None}
                    self.client.meter.add_rows("composite", len(records))
                    results.append(records)
        return results

    def _request(
        self, ids: Sequence[str]
    ) -> tuple[models.Request, list[str], Mapping[str, SalesforceError]]:
        """Build a request; return it, its ids, and the fields that it leaves out."""
        unreadable = self.lessons.unreadable
        fields = [name for name in self.columns.fields if name not in unreadable]
        request, asked = self.client.collection_request(self.columns.object_name, ids, fields)
        return request, asked, unreadable


def read_rows(response: models.Response, asked: list[str], columns: Columns) -> Fetched:
    """Read a Collections response.

    Raises:
        TruncatedResponseError: not as many entries as ids, or records that were not asked for.
    """
    batch = from_json(json_lines.raw_collection(response, len(asked)), columns)
    came = batch.table.column(columns.key.name).to_pylist()
    if came == asked:
        return batch, []
    found = set(came)
    if len(found) < len(came) or not found <= set(asked):
        raise TruncatedResponseError("a Collections response with records that weren't asked for")
    return batch, [id_ for id_ in asked if id_ not in found]
