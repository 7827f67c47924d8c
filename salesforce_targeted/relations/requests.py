"""Ask for relations: as one query, or as several for one billed call.

Source: REST API Developer Guide, "Query", "Composite" (up to five queries).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from salesforce_targeted.api import endpoints, readers, soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import SalesforceError, is_of_records
from salesforce_targeted.api.ids import IdRange
from salesforce_targeted.api.models import JsonRows, Request, Response
from salesforce_targeted.arrow.batch import Batch, together
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.from_json import from_json, from_records
from salesforce_targeted.relations.queries import Record, as_relation, rows_statement
from salesforce_targeted.retrieval.isolation import Asked
from salesforce_targeted.retrieval.results import Answer
from salesforce_targeted.target import SHARED_ACTIVITIES, Junction

T = TypeVar("T")


class PartialRelationsReader:
    """Some fields of some relations, part by part; see ``isolation.Asking``.

    Args:
        condition: What all of the relations fulfil.
    """

    # The ids of ten relations may lie a billion apart: so long no part may hold a row.
    hopeless_calls = 20

    def __init__(
        self,
        client: SalesforceClient,
        junction: Junction,
        columns: Columns,
        condition: soql.Condition | None,
    ) -> None:
        self.client, self.junction, self.columns = client, junction, columns
        self.condition = condition

    def join(self, parts: Sequence[Sequence[str]]) -> list[Sequence[str]]:
        """Ranges of ids can't be put together."""
        return list(parts)

    def statement(
        self,
        ids: Sequence[str] | None,
        fields: Iterable[str],
        order: Sequence[str] = (),
        limit: int | None = None,
        condition: soql.Condition | None = None,
    ) -> soql.Soql:
        """Write the query for some fields of some relations.

        Args:
            ids: A list, or a range of what could be ids; None for all.
            condition: Instead of the one that all of the relations fulfil.
        """
        named: soql.Condition | None = None
        if isinstance(ids, IdRange):
            named = soql.and_(soql.ge("Id", ids[0]), soql.le("Id", ids[-1]))
        elif ids is not None:
            named = soql.id_in(ids)
        condition = soql.and_(condition or self.condition, named)
        return rows_statement(self.junction, fields, condition, order, limit)

    def read(self, rows: JsonRows) -> Batch:
        """Make a batch of an answer's records."""
        if self.junction is SHARED_ACTIVITIES:
            return from_json(rows, self.columns)
        return from_records([as_relation(task) for task in rows.parsed() if task], self.columns)

    def rows(self, parts: Sequence[Asked]) -> list[Answer | SalesforceError]:
        """Return all pages of each part's rows, and no absent ids, which a range can't tell."""

        def read(_part: Asked, first: Request, response: Response) -> Answer:
            pages = list(self.client.pages_after(first, response, self.read))
            return together([from_records([], self.columns), *pages]), []

        return self._asked(parts, read)

    def values(self, parts: Sequence[Asked]) -> list[Record | SalesforceError | None]:
        """One relation for each part, by API name; None where the org does not show it."""
        shared = self.junction is SHARED_ACTIVITIES

        def read(part: Asked, _first: Request, response: Response) -> Record | None:
            found: list[dict[str, Any]] = readers.page(response).records
            if not found:
                return None
            relation = found[0] if shared else as_relation(found[0])
            return {name: value for name, value in relation.items() if name in ("Id", *part[1])}

        return self._asked(parts, read)

    def _asked(
        self,
        parts: Sequence[Asked],
        read: Callable[[Asked, Request, Response], T],
    ) -> list[T | SalesforceError]:
        version = self.client.version
        requests = [endpoints.query(version, self.statement(*part)) for part in parts]
        found: list[T | SalesforceError] = []
        answers = self.client.composite(requests, attempts_at_500=1)
        for part, request, answer in zip(parts, requests, answers, strict=True):
            try:
                if isinstance(answer, SalesforceError):
                    raise answer
                found.append(read(part, request, answer))
            except SalesforceError as error:  # of the first page or of one that follows
                if error is not answer and not is_of_records(error):
                    raise
                found.append(error)
        return found


def id_range(client: SalesforceClient, asking: PartialRelationsReader) -> IdRange | None:
    """Return what could be the ids of the relations asked for, first to last; None if none.

    By sorting, and where the first or the last can't be read by ``MIN`` and ``MAX``, which read no
    record.
    """
    name, condition = asking.junction.object_name, asking.condition
    ends = [
        soql.select(["Id"], name, condition, order_by=[order], limit=1)
        for order in ("Id", soql.descending("Id"))
    ]
    least, most = soql.aggregate("MIN", "Id", "least"), soql.aggregate("MAX", "Id", "most")
    statements = [*ends, soql.select([least, most], name, condition)]
    answers = client.composite(
        [endpoints.query(client.version, one) for one in statements], attempts_at_500=1
    )
    found: list[Any] = []
    for answer in answers:
        if isinstance(answer, SalesforceError):
            continue
        for record in readers.page(answer).records:
            found += [record[name] for name in ("Id", "least", "most") if record.get(name)]
    return IdRange.between(min(found), max(found)) if len(found) > 1 else None
