"""Read the rows of TaskWhoRelation: since a cursor, of some ids, in ranges of ids side by side.

Rules. Ranges that follow one another cover all ids whatever order the org sorts them in.
A result that falls apart is read again from its start, each row yielded once. Where a page fails
for good the rows are read in the order of their ids, and what of a page can't be read is rejected.

Sources: Object Reference, "TaskWhoRelation"; REST API Developer Guide, "Query" (locators); SOQL and
SOSL Reference, "GROUP BY".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, pairwise

import pyarrow.compute as pc

from salesforce_targeted.api import endpoints, errors, readers, soql
from salesforce_targeted.api import ids as sf_ids
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.limits import Limits
from salesforce_targeted.api.models import JsonRows
from salesforce_targeted.arrow.batch import Batch
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.from_json import from_records, from_response
from salesforce_targeted.arrow.id_set import IdSet, first_of_each, in_batches
from salesforce_targeted.relations.queries import Range, as_relation, rows_statement, where
from salesforce_targeted.retrieval.bisection import ATTEMPTS, isolate
from salesforce_targeted.retrieval.parts import Lessons, Part, note_unreadable
from salesforce_targeted.retrieval.query import query_reader
from salesforce_targeted.target import SHARED_ACTIVITIES, Junction

# How often a result that falls apart is read from its start.
_READINGS = 3
# Pages that a range should have at least, for each may end in one that is not full: few, as long as
# there are fewer ranges than calls that may be in flight. Fewer than _WORTH_RANGES are one range.
_PAGES_PER_RANGE, _FEWEST_PER_RANGE, _AT_ONCE, _WORTH_RANGES = 5, 3, 8, 10
_MOST_RANGES = 24
_WITHOUT_LIMIT = "The org can't sort in time what --limit needs: use --since instead, or neither."


def read(
    client: SalesforceClient,
    junction: Junction,
    columns: Columns,
    *,
    since: datetime | None = None,
    limit: int | None = None,
    ids: Sequence[str] | None = None,
    who: Sequence[str] | None = None,
    within: Range = (None, None),
    in_order: tuple[str | None, int] | None = None,
) -> Iterator[Batch]:
    """Yield relation rows, a page at a time, each row once.

    Args:
        columns: Those of TaskWhoRelation, whichever object the rows are made of.
        limit: At most so many rows, the oldest first.
        who: Only relations of these contacts.
        within: From this id on, up to and without that one.
        in_order: In the order of ids, after which one, and how many come on the first page.

    Yields:
        Batches; a relation that can't be read is in the ``rejected`` of the last ones.

    Raises:
        SalesforceError: nothing can be read, or with a limit the first page can't.
    """
    condition = soql.and_(
        where(junction, since, within),
        None if who is None else soql.id_in(who, junction.who),
        None if ids is None else soql.id_in(ids),
    )
    reader = RelationReader(client, junction, columns, condition)
    order = () if limit is None else ("SystemModstamp", "Id")
    statement = reader.statement(order=order, limit=limit)
    came = IdSet()
    for attempt in range(1, _READINGS + 1):
        if (attempt == 1 and not in_order) or limit is not None or ids is not None:
            attempts = ATTEMPTS if limit is None else None  # else they are read in order
            pages = client.iter_pages(statement, reader.batch, attempts_at_500=attempts)
        else:
            pages = reader.in_order_of_ids(*in_order or ())
        try:
            yield from _rows_once(pages, came, columns)
        except errors.SalesforceError as error:
            # A locator expires, rows move from page to page while they are read, and rows that are
            # deleted meanwhile drop out, which can't be told from a response that was cut.
            fell_apart = isinstance(error, errors.FELL_APART)
            if fell_apart and attempt < _READINGS:
                continue
            if limit is not None or not (fell_apart or errors.is_of_records(error)):
                if limit is not None and isinstance(error, errors.QueryTimeoutError):
                    error.remedy = _WITHOUT_LIMIT
                raise
            pages = reader.in_order_of_ids() if ids is None else iter([reader.isolated(ids, error)])
            yield from _rows_once(pages, came, columns)
        return


def _rows_once(pages: Iterator[Batch], came: IdSet, columns: Columns) -> Iterator[Batch]:
    """Yield each row once, whatever pages it comes on.

    Args:
        came: Ids that earlier pages showed; those of these pages are added.

    Raises:
        TruncatedResponseError: a row came on two pages. As many rows as promised came all the same,
            so as many others are missing.
    """
    reading, rows = IdSet(), 0
    for page in pages:
        rows += len(page)
        page_ids = page.table.column(columns.key.name)
        new = first_of_each(page_ids, pc.invert(came.marks(page_ids)))
        reading.add(page_ids)
        came.add(page_ids)
        if page.rejected or pc.any(new, min_count=0).as_py():
            yield page.of_rows(new, columns)
    if len(reading) < rows:
        raise errors.TruncatedResponseError(
            f"rows moved between pages while they were read: {rows - len(reading):,} came twice"
        )


@dataclass(frozen=True, slots=True)
class RelationReader:
    """Read the relations that fulfil a condition; what can't be read is left out and rejected."""

    client: SalesforceClient
    junction: Junction
    columns: Columns
    condition: soql.Condition | None = None
    lessons: Lessons = field(default_factory=Lessons)

    def statement(
        self,
        part: Part | None = None,
        *,
        after: str | None = None,
        order: Sequence[str] = (),
        limit: int | None = None,
        group_by: Sequence[str] = (),
    ) -> soql.Soql:
        """Write the query for a part of them (all), of those whose ids come after one."""
        ids, fields = part or Part((), self.lessons.readable(self.columns.fields))
        named = soql.id_in(ids) if ids else None
        condition = soql.and_(self.condition, named, soql.bound("Id", ">", after))
        return rows_statement(
            self.junction, fields, condition, group_by=group_by, order_by=order, limit=limit
        )

    def batch(self, rows: JsonRows) -> Batch:
        """Make a batch of a response's records."""
        if self.junction is SHARED_ACTIVITIES:
            batch = from_response(rows, self.columns)
        else:
            batch = from_records([as_relation(task) for task in rows.records()], self.columns)
        return note_unreadable(batch, self.lessons.unreadable, self.columns)

    def isolated(self, ids: Sequence[str], error: errors.SalesforceError) -> Batch:
        """Read what can be read of some relations that can't be read together.

        Raises:
            SalesforceError: the one given, where nothing can be read.
            QuotaExceededError: the calls end before all is read.
        """
        read = query_reader(self.client, self.statement)
        readable = isolate(read, ids, self.columns.fields, self.lessons, error)
        if readable.stopped is not None:
            raise readable.stopped
        if self.junction is not SHARED_ACTIVITIES:
            tasks = readable.records.items()
            readable.records = {id_: as_relation(task) for id_, task in tasks}
        return readable.batch(ids, self.columns, self.lessons.unreadable)

    def in_order_of_ids(self, after: str | None = None, size: int = 0) -> Iterator[Batch]:
        """Yield the rows in the order of their ids, a query of its own for each page.

        No locator is used, so that rows which move while they are read come on one page all the
        same. What can't be read of a page is rejected, and the rest of it comes.

        Raises:
            SalesforceError: nothing can be read.
        """
        most = self.client.limits.rows_per_query_page
        size = size or most
        while True:
            statement = self.statement(after=after, order=("Id",), limit=size)
            reading = self.client.iter_pages(statement, self.batch, attempts_at_500=ATTEMPTS)
            try:
                page = next(reading, None)
                if page is None:
                    return
                # An org whose pages are smaller has more of them, between which rows may move, too.
                is_last = len(page) < size and next(reading, None) is None
                most = len(page) if len(page) < size else most  # need not be asked again
                after, size = page.table.column(self.columns.key.name)[-1].as_py(), most
                yield page
                if is_last:
                    return
            except errors.SalesforceError as error:
                if not errors.is_of_records(error):
                    raise
                ids = self.next_ids(after, size, error)
                if ids:
                    yield self.isolated(ids, error)
                if len(ids) < size:
                    return
                after, size = ids[-1], most

    def next_ids(self, after: str | None, most: int, error: errors.SalesforceError) -> list[str]:
        """List the ids of the relations that follow one, in their order.

        Raises:
            SalesforceError: the one given, where not even ids can be read.
        """
        # A query that groups reads no record, so that none makes it fail.
        for groups in ((), ("Id",)):
            statement = self.statement(
                Part(()), after=after, order=("Id",), limit=most, group_by=groups
            )
            try:
                records = self.client.records(statement, attempts_at_500=1)
            except errors.SalesforceError as why:
                if not errors.is_of_records(why):
                    raise
            else:
                return [record["Id"] for record in records]
        raise error


def ranges(client: SalesforceClient, junction: Junction, expected: int) -> list[Range]:
    """Return ranges of ids, to be read side by side; a single one where that gains nothing.

    One call, where more rows are expected than a few pages: the first and the last id.
    """
    if (pieces := pieces_of(expected, client.limits)) == 1:
        return [(None, None)]
    ends: list[str] = []
    queries = [
        soql.select(["Id"], junction.object_name, order_by=[order], limit=1)
        for order in ("Id", soql.descending("Id"))
    ]
    for response in client.composite([endpoints.query(client.version, q) for q in queries]):
        if isinstance(response, errors.SalesforceError):
            return [(None, None)]
        ends += [row["Id"] for row in readers.page(response).records]
    bounds = sf_ids.evenly_between(ends[0], ends[-1], pieces) if len(ends) > 1 else []
    return list(pairwise([None, *bounds, None]))


def pieces_of(expected: int, limits: Limits) -> int:
    """Count the ranges in which so many rows are read."""
    count = expected // limits.rows_per_query_page
    if count < _WORTH_RANGES:
        return 1
    return min(
        _MOST_RANGES, max(count // _PAGES_PER_RANGE, min(_AT_ONCE, count // _FEWEST_PER_RANGE))
    )


def read_by_ids(
    client: SalesforceClient, junction: Junction, columns: Columns, ids: Sequence[str]
) -> Iterator[Batch]:
    """Yield the rows of these relations that the org shows, a page at a time."""
    per_call = soql.ids_that_fit([*columns.fields, junction.who], junction.object_name)

    def rows_of(part: Sequence[str]) -> list[Batch]:
        return list(read(client, junction, columns, ids=part))

    return chain.from_iterable(client.side_by_side(rows_of, in_batches(ids, per_call)))


def targets(
    client: SalesforceClient,
    junction: Junction,
    columns: Columns,
    *,
    since: datetime | None = None,
    who: Sequence[str] | None = None,
    within: Range = (None, None),
) -> Iterator[Batch]:
    """Yield the relations that the org shows, a page at a time: their ids and ``RelationId``.

    Args:
        columns: Those of TaskWhoRelation; only these two of them are read.
        who, within: As for :func:`read`.
    """
    only = columns.only(["RelationId"])
    for part in [None] if who is None else in_batches(who, targets_per_call(junction)):
        yield from read(client, junction, only, since=since, who=part, within=within)


def targets_per_call(junction: Junction) -> int:
    """Count the contacts of which one query can name the relations."""
    return soql.ids_that_fit(["Id", junction.who], junction.object_name, field=junction.who) - 10
