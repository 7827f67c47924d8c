"""Fetch records by id through sObject Collections: alone, or five to a billed ``composite`` call.

Source: REST API Developer Guide, "Get Multiple Records with sObject Collections", "Composite".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import pyarrow as pa

from salesforce_targeted.api import json_lines, readers
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import (
    LocatorExpiredError,
    QueryError,
    QuotaExceededError,
    SalesforceError,
    SlowResponseError,
    TruncatedResponseError,
    is_of_records,
)
from salesforce_targeted.api.models import Record, Request, Response
from salesforce_targeted.arrow.batch import Batch
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.from_json import from_response
from salesforce_targeted.arrow.id_set import Texts, in_batches, minus, union

from .bisection import ATTEMPTS, isolate, read_in_portions
from .parts import Lessons, Part, Readable, note_unreadable, pieces_of, sample_ids

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RecordReader:
    """Read records of one object; what makes a call fail is isolated, and the rest comes."""

    client: SalesforceClient
    columns: Columns
    lessons: Lessons

    def by_collections(
        self, ids: pa.Array, apart: Sequence[pa.Array] = (), *, composite: bool = False
    ) -> Iterator[Batch]:
        """Send a call for each 2,000 ids, several in flight.

        Args:
            apart: Those that were asked for ahead, as each request has them; they come first.
            composite: Whether five travel in a billed call; one does where the org refuses that.
        """
        limits = self.client.limits
        size = self.lessons.ids_at_once or limits.ids_per_collection
        if composite:
            size = limits.ids_per_collection * limits.composite_queries
        parts = (*apart, minus(ids, union(*apart)) if apart else ids)
        batches = chain.from_iterable(in_batches(Texts(part), size) for part in parts)
        read = self.read_five if composite else self.read
        return chain.from_iterable(self.client.side_by_side(read, batches))

    def read(self, ids: Sequence[str], attempts: int = ATTEMPTS) -> list[Batch]:
        """Read the records of as many ids as one call may ask for.

        Args:
            attempts: How often at most where the status is 500; 1 after another way failed.

        Raises:
            SalesforceError: nothing of it can be read, or the org is not well.
        """
        lessons, at_once = self.lessons, self.lessons.ids_at_once
        unreadable, portion = lessons.unreadable, lessons.portion
        if at_once is not None and len(ids) > at_once:
            return self.read_each(in_batches(ids, at_once), attempts)
        fields = [name for name in self.columns.fields if name not in unreadable]
        asked = list(ids)
        try:
            if lessons.apart(fields):
                readable = read_in_portions(self._read_parts, Part(asked, fields), lessons)
                return [self._batch(asked, readable)]
            batch = self.client.send(
                self._request(Part(asked, fields)),
                RowReader(tuple(asked), self.columns),
                attempts_at_500=attempts,
                attempts_when_slow=attempts,
            )
        except SalesforceError as error:
            if not (is_of_records(error) or isinstance(error, SlowResponseError)):
                raise
            with lessons.learning:
                known = lessons.unreadable, lessons.portion, lessons.ids_at_once
                if known != (unreadable, portion, at_once):
                    return self.read(ids, attempts=1)  # another call has learnt meanwhile
                readable = isolate(self._read_parts, asked, fields, lessons, error)
                lessons.stopped = lessons.stopped or readable.stopped
                self._learn_size(asked, readable, error)
            return [self._batch(asked, readable)]
        self.client.meter.add_rows("collections", len(batch))
        return [note_unreadable(batch, unreadable, self.columns)]

    def read_each(
        self, parts: Iterable[Sequence[str] | Batch], attempts: int = ATTEMPTS
    ) -> list[Batch]:
        """Read parts one by one, but for those that came; where the calls end, what came before.

        Raises:
            QuotaExceededError: they end before anything came.
        """
        came: list[Batch] = []
        for part in parts:
            try:
                came += [part] if isinstance(part, Batch) else self.read(part, attempts)
            except QuotaExceededError as error:
                if not came:
                    raise
                self.lessons.stopped = self.lessons.stopped or error
                break
        return came

    def read_five(self, ids: Sequence[str]) -> list[Batch]:
        """Read five times as many."""
        parts = list(in_batches(ids, self.client.limits.ids_per_collection))
        if self.lessons.apart(self.columns.fields) or self.lessons.ids_at_once is not None:
            return self.read_each(parts)
        unreadable = self.lessons.unreadable

        def fetched(part: Part, _: Request, response: Response) -> Batch:
            batch = RowReader(tuple(part.ids), self.columns)(response)
            self.client.meter.add_rows("composite", len(batch))
            return note_unreadable(batch, unreadable, self.columns)

        fields = [name for name in self.columns.fields if name not in unreadable]
        if len(parts) == 1:  # that may have been asked for ahead, and read by now
            reader, request = RowReader(tuple(ids), self.columns), self._request(Part(ids, fields))
            if (came := self.client.ahead.read(request, reader)) is not None:
                self.client.meter.add_rows(request.kind, len(came[0]))
                return [note_unreadable(came[0], unreadable, self.columns)]
        read = parts_reader(self.client, self._request, fetched)
        responses = zip(parts, read([Part(part, fields) for part in parts]), strict=True)
        return self.read_each(
            (part if isinstance(came, SalesforceError) else came for part, came in responses), 1
        )

    def _learn_size(self, ids: list[str], readable: Readable, error: SalesforceError) -> None:
        """Ask for fewer ids from now on, where fewer were read without anything to blame."""
        size = max((len(part.ids) for part in Part(ids).split()), default=0)
        blamed = readable.rejected or readable.stopped or self.lessons.portion is not None
        if not (size and isinstance(error, SlowResponseError)) or blamed:
            return
        self.lessons.ids_at_once = size
        self.lessons.warn(
            f"{error.what} {len(ids):,} records are too many for one call, so that {size:,} are"
            " read at a time, in more calls, as they will be for a day (--full tries more again)"
        )

    def retry_unreadable(self, ids: Sequence[str]) -> None:
        """Read fields of up to three records that could not be read before, in one call.

        Those that still can't be read stay unreadable.
        """
        before, still = self.lessons.unreadable, dict[str, SalesforceError]()
        ids = sample_ids(ids)[: self.client.limits.ids_per_collection]
        parts = [Part(ids, fields) for fields in pieces_of(list(before))]
        for part, response in zip(parts, self._read_parts(parts), strict=True):
            if isinstance(response, SalesforceError):
                still |= dict.fromkeys(part.fields, response)
            elif not response:  # none of the records is there
                still |= {name: before[name] for name in part.fields}
        if not still and len(parts) > 1:  # each can be read: it may be all together that can't
            (together,) = self._read_parts([Part(ids[:1], self.columns.fields)])
            if isinstance(together, SalesforceError):
                self.lessons.portion = 2 + max(len(part.fields) for part in parts)
        self.lessons.unreadable = still

    def _batch(self, ids: list[str], readable: Readable) -> Batch:
        """Return what came, without a record whose key is refused, which a query may read."""
        for (id_, name), why in [*readable.rejected.items()]:
            if not name and isinstance(why, QueryError):
                del readable.rejected[id_, name]
        return readable.batch(ids, self.columns, self.lessons.unreadable)

    def _read_parts(self, parts: Sequence[Part]) -> list[dict[str, Record] | SalesforceError]:
        def records(part: Part, _: Request, response: Response) -> dict[str, Record]:
            by_id = readers.records_by_id(response, part.ids)
            self.client.meter.add_rows("composite", len(by_id))
            return by_id

        return parts_reader(self.client, self._request, records)(parts)

    def _request(self, part: Part) -> Request:
        return self.client.collection_request(self.columns.object_name, *part)


@dataclass(frozen=True, slots=True)
class RowReader:
    """Read a Collections response; a record that it does not show has no row.

    One is equal to another that makes the same of a response, so that what was read early counts.

    Attributes:
        asked: The ids that were asked for.
        columns: Those of the rows.
    """

    asked: tuple[str, ...]
    columns: Columns

    def __call__(self, response: Response) -> Batch:
        """Return the rows.

        Raises:
            TruncatedResponseError: not as many entries as ids, or records that were not asked for.
        """
        batch = from_response(json_lines.raw_collection(response, len(self.asked)), self.columns)
        came = batch.table.column(self.columns.key.name).to_pylist()
        distinct = set(came)
        if len(distinct) < len(came) or not distinct.issubset(self.asked):
            raise TruncatedResponseError(
                "a Collections response with records that weren't asked for"
            )
        return batch


def parts_reader(
    client: SalesforceClient,
    request_of: Callable[[Part], Request],
    records_of: Callable[[Part, Request, Response], T],
) -> Callable[[Sequence[Part]], list[T | SalesforceError]]:
    """Make what reads parts, five to a billed call: of each what came, or its records' error."""

    def read(parts: Sequence[Part]) -> list[T | SalesforceError]:
        results: list[T | SalesforceError] = []
        for group in in_batches(parts, client.limits.composite_queries):
            requests = [request_of(part) for part in group]
            responses = client.composite(requests, attempts_at_500=1)
            for part, request, response in zip(group, requests, responses, strict=True):
                try:
                    if isinstance(response, SalesforceError):
                        raise response
                    results.append(records_of(part, request, response))
                except SalesforceError as error:  # of the first page or of one that follows
                    # A part that is small enough has a single page, and needs no locator.
                    if not (is_of_records(error) or isinstance(error, LocatorExpiredError)):
                        raise
                    results.append(error)
        return results

    return read
