"""Fetch records by id through sObject Collections: alone, or five to a billed ``composite`` call.

Source: REST API Developer Guide, "Get Multiple Records with sObject Collections", "Composite".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import pyarrow as pa

from salesforce_targeted.api import json_lines, models, readers
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.concurrency import map_in_order
from salesforce_targeted.api.errors import SalesforceError, TruncatedAnswerError, is_of_records
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.from_json import from_json
from salesforce_targeted.arrow.id_set import Texts, in_batches
from salesforce_targeted.retrieval.bisection import joined
from salesforce_targeted.retrieval.isolation import ATTEMPTS, Fields, Isolation
from salesforce_targeted.retrieval.results import Answer

T = TypeVar("T")


def by_collections(client: SalesforceClient, ids: pa.Array, columns: Columns) -> Iterator[Answer]:
    """Send a call for each 2,000 ids, several in flight; yield in the order of the ids."""
    collecting = CollectionsReader(client, columns)
    batches = in_batches(Texts(ids), client.limits.ids_per_collection)
    for answers in map_in_order(collecting.answers, batches, client.max_in_flight):
        yield from answers


def by_composite(client: SalesforceClient, ids: pa.Array, columns: Columns) -> Iterator[Answer]:
    """Send five to a billed call; one to a call where the org refuses ``composite``."""
    size, together = client.limits.ids_per_collection, client.limits.composite_queries
    collecting = CollectionsReader(client, columns)
    batches = in_batches(Texts(ids), size * together)
    for answers in map_in_order(collecting.bundled, batches, client.max_in_flight):
        yield from answers


class CollectionsReader:
    """Reads records of one object; what makes a call fail is isolated, and the rest comes."""

    def __init__(self, client: SalesforceClient, columns: Columns) -> None:
        self.client, self.columns = client, columns
        self.isolation = Isolation(client, columns, PartialCollectionsReader(client, columns))

    def answers(self, ids: Sequence[str], attempts: int = ATTEMPTS) -> list[Answer]:
        """Ask for what one call may ask for.

        Args:
            attempts: How often at most where Salesforce answers 500; 1 after another way failed.

        Raises:
            SalesforceError: nothing of it can be read, or the org is not well.
        """
        request, asked, without = self._request(ids)

        def read(response: models.Response) -> Answer:
            return read_rows(response, asked, self.columns)

        try:
            answer = self.client.send(request, read, attempts_at_500=attempts)
        except SalesforceError as error:
            if not is_of_records(error):
                raise
            return self.isolation.answers(asked, without, error)
        self.client.meter.add_rows("collections", len(answer[0]))
        return [self.isolation.noted(answer, without)]

    def bundled(self, ids: Sequence[str]) -> list[Answer]:
        """Ask for five times as many."""
        parts = list(in_batches(ids, self.client.limits.ids_per_collection))
        requests = [self._request(part) for part in parts]
        came = self.client.composite([request for request, _, _ in requests], attempts_at_500=1)
        answers: list[Answer] = []
        for response, part, (_, asked, without) in zip(came, parts, requests, strict=True):
            try:
                if isinstance(response, SalesforceError):
                    raise response
                answer = read_rows(response, asked, self.columns)
            except SalesforceError as error:
                if not is_of_records(error):
                    raise
                answers += self.answers(part, attempts=1)
            else:
                self.client.meter.add_rows("composite", len(answer[0]))
                answers.append(self.isolation.noted(answer, without))
        return answers

    def readable(self) -> tuple[list[str], Fields]:
        """Return the fields to ask for, and those known not to be readable of any record."""
        without = self.isolation.unreadable
        return [name for name in self.columns.fields if name not in without], without

    def _request(self, ids: Sequence[str]) -> tuple[models.Request, list[str], Fields]:
        """Return a request, its ids, and the fields that it leaves out."""
        fields, without = self.readable()
        return *self.client.collection_request(self.columns.object_name, ids, fields), without


def read_rows(response: models.Response, asked: list[str], columns: Columns) -> Answer:
    """Read a Collections answer.

    Raises:
        TruncatedAnswerError: not as many entries as ids, or records that were not asked for.
    """
    batch = from_json(json_lines.raw_collection(response, len(asked)), columns)
    came = batch.table.column(columns.key.name).to_pylist()
    if came == asked:
        return batch, []
    found = set(came)
    if len(found) < len(came) or not found <= set(asked):
        raise TruncatedAnswerError("a Collections answer with records that weren't asked for")
    return batch, [id_ for id_ in asked if id_ not in found]


class PartialCollectionsReader:
    """Some fields of some ids, part by part, in one call where the org lets us; see ``Asking``."""

    hopeless_calls = 3

    def __init__(self, client: SalesforceClient, columns: Columns) -> None:
        self.client, self.columns = client, columns

    def join(self, parts: Sequence[Sequence[str]]) -> list[Sequence[str]]:
        """All ids as one list."""
        return joined(parts)

    def rows(
        self, parts: Sequence[tuple[Sequence[str], Sequence[str]]]
    ) -> list[Answer | SalesforceError]:
        """Rows, and the ids that the org does not show."""
        return self._asked(parts, lambda response, ids: read_rows(response, ids, self.columns))

    def values(
        self, parts: Sequence[tuple[Sequence[str], Sequence[str]]]
    ) -> list[dict[str, Any] | SalesforceError | None]:
        """One record for each part; None where the org does not show it."""
        return self._asked(
            parts, lambda response, ids: readers.collection_in_order(response, ids)[0]
        )

    def _asked(
        self,
        parts: Sequence[tuple[Sequence[str], Sequence[str]]],
        read: Callable[[models.Response, list[str]], T],
    ) -> list[T | SalesforceError]:
        asked = [self.client.collection_request(self.columns.object_name, *part) for part in parts]
        answers = self.client.composite([request for request, _ in asked], attempts_at_500=1)
        found: list[T | SalesforceError] = []
        for answer, (_, ids) in zip(answers, asked, strict=True):
            try:
                found.append(answer if isinstance(answer, SalesforceError) else read(answer, ids))
            except TruncatedAnswerError as error:
                found.append(error)
        return found
