"""What an sObject Collections answer says of the ids asked for: a batch of rows, and who is absent.

Source: REST API Developer Guide, "Get Multiple Records with sObject Collections" (``null`` for an
id that is invalid or not accessible).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from salesforce_targeted.api import json_rows, readers, wire
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import SalesforceError, TruncatedAnswerError
from salesforce_targeted.bisection import joined
from salesforce_targeted.columns import Columns
from salesforce_targeted.json_records import from_json
from salesforce_targeted.tables import Batch

T = TypeVar("T")
# Rows, and the ids that a plain read does not show.
Answer = tuple[Batch, list[str]]


def read_rows(response: wire.Response, asked: list[str], columns: Columns) -> Answer:
    """Read a Collections answer.

    Raises:
        TruncatedAnswerError: not as many entries as ids, or records that were not asked for.
    """
    batch = from_json(json_rows.raw_collection(response, len(asked)), columns)
    came = batch.table.column(columns.key.name).to_pylist()
    if came == asked:
        return batch, []
    found = set(came)
    if len(found) < len(came) or not found <= set(asked):
        raise TruncatedAnswerError("a Collections answer with records that weren't asked for")
    return batch, [id_ for id_ in asked if id_ not in found]


class AskingCollections:
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
        read: Callable[[wire.Response, list[str]], T],
    ) -> list[T | SalesforceError]:
        asked = [self.client.collection_request(self.columns.object_name, *part) for part in parts]
        answers = self.client.together([request for request, _ in asked], attempts_at_500=1)
        found: list[T | SalesforceError] = []
        for answer, (_, ids) in zip(answers, asked, strict=True):
            try:
                found.append(answer if isinstance(answer, SalesforceError) else read(answer, ids))
            except TruncatedAnswerError as error:
                found.append(error)
        return found
