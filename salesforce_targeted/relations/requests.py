"""Ask for relations of whichever object has them: the query, its rows, and what can't be read.

Sources: REST API Developer Guide, "Query"; SOQL and SOSL Reference, "GROUP BY".
"""

from __future__ import annotations

from collections.abc import Sequence

from salesforce_targeted.api import soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import SalesforceError, is_of_records
from salesforce_targeted.api.models import JsonRows
from salesforce_targeted.arrow.batch import Batch
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.from_json import from_json, from_records
from salesforce_targeted.relations.queries import as_relation, as_task_fields, rows_statement
from salesforce_targeted.retrieval.bisection import isolate
from salesforce_targeted.retrieval.parts import Lessons, Part, Readable, note_unreadable
from salesforce_targeted.retrieval.query import query_reader
from salesforce_targeted.target import SHARED_ACTIVITIES, Junction


class RelationReader:
    """Read the relations that fulfil a condition; what can't be read is left out and rejected.

    Args:
        columns: Those of TaskWhoRelation, whichever object has the relations.
        condition: What all of the relations fulfil.
    """

    def __init__(
        self,
        client: SalesforceClient,
        junction: Junction,
        columns: Columns,
        condition: soql.Condition | None,
    ) -> None:
        self.client, self.junction, self.columns = client, junction, columns
        self.condition = condition
        self.lessons = Lessons()
        self._shared = junction is SHARED_ACTIVITIES
        self._fields = columns.fields if self._shared else as_task_fields(columns.fields)

    def statement(
        self,
        part: Part | None = None,
        *,
        after: str | None = None,
        order: Sequence[str] = (),
        limit: int | None = None,
        group_by: Sequence[str] = (),
    ) -> soql.Soql:
        """Write the query for relations.

        Args:
            part: Some of them, and the fields to read; by default all of all.
            after: Only those whose ids come after this one.
        """
        ids, fields = part or Part((), self.lessons.readable(self._fields))
        condition = soql.and_(
            self.condition,
            soql.id_in(ids) if ids else None,
            soql.bound("Id", ">", after),
        )
        return rows_statement(
            self.junction, fields, condition, group_by=group_by, order_by=order, limit=limit
        )

    def batch(self, rows: JsonRows) -> Batch:
        """Make a batch of a response's records."""
        if self._shared:
            batch = from_json(rows, self.columns)
        else:
            batch = from_records([as_relation(one) for one in rows.records()], self.columns)
        return note_unreadable(batch, self._unreadable(), self.columns)

    def isolated(self, ids: Sequence[str], error: SalesforceError) -> Batch:
        """Read what can be read of some relations that can't be read together.

        Raises:
            SalesforceError: the one given, where nothing can be read.
            QuotaExceededError: the calls end before all is read.
        """
        read = query_reader(self.client, self.statement)
        found = isolate(read, ids, self._fields, self.lessons, error)
        if found.stopped is not None:
            raise found.stopped
        if not self._shared:
            found = Readable(
                {id_: as_relation(task) for id_, task in found.records.items()},
                {(id_, _of_relation(name)): why for (id_, name), why in found.rejected.items()},
            )
        return found.batch(ids, self.columns, self._unreadable())

    def next_ids(self, after: str | None, most: int, error: SalesforceError) -> list[str]:
        """List the ids of the relations that follow one, in their order.

        Args:
            most: How many at most.
            error: What reading them failed with.

        Raises:
            SalesforceError: the one given, where not even ids can be read.
        """
        # A query that groups reads no record, so that none makes it fail.
        for groups in ((), ("Id",)):
            statement = self.statement(
                Part(()), after=after, order=("Id",), limit=most, group_by=groups
            )
            try:
                pages = list(self.client.iter_pages(statement, JsonRows.records, attempts_at_500=1))
            except SalesforceError as why:
                if not is_of_records(why):
                    raise
            else:
                return [record["Id"] for page in pages for record in page]
        raise error

    def _unreadable(self) -> dict[str, SalesforceError]:
        return {_of_relation(name): why for name, why in self.lessons.unreadable.items()}


def _of_relation(field: str) -> str:
    """Name a relation's field that is made of a task's."""
    return "RelationId" if field == "WhoId" else field
