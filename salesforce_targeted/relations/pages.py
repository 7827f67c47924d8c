"""Read the rows of TaskWhoRelation: since a cursor, of some ids, in ranges of ids side by side.

Rules. Ranges that follow one another cover all ids whatever order the org sorts them in.
A result that falls apart is read again from its start, each row yielded once. Where a page fails
for good the rows are read in the order of their ids, and what of a page can't be read is rejected.

Sources: Object Reference, "TaskWhoRelation"; REST API Developer Guide, "Query" (locators).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain

import pyarrow.compute as pc

from salesforce_targeted.api import endpoints, readers, soql
from salesforce_targeted.api import ids as sf_ids
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.concurrency import map_in_order, merge_as_completed
from salesforce_targeted.api.errors import (
    LocatorExpiredError,
    SalesforceError,
    TruncatedResponseError,
    is_of_records,
)
from salesforce_targeted.api.limits import Limits
from salesforce_targeted.arrow.batch import Batch
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.id_set import IdSet, first_of_each, in_batches
from salesforce_targeted.relations.queries import Range, as_task_fields, where
from salesforce_targeted.relations.requests import RelationReader
from salesforce_targeted.retrieval.bisection import ATTEMPTS
from salesforce_targeted.target import SHARED_ACTIVITIES, Junction

# How often a result that falls apart is read from its start.
_READINGS = 3
# Calls that a range should be worth at least: each range may end in a page that is not full.
_PAGES_PER_RANGE = 5
_MOST_RANGES = 24


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
    in_order: bool = False,
) -> Iterator[Batch]:
    """Yield relation rows, a page at a time, each row once.

    Args:
        columns: Those of TaskWhoRelation, whichever object answers.
        since: Rows with ``SystemModstamp`` at or after it.
        limit: At most so many rows, the oldest first.
        ids: These relations only.
        who: Only relations of these contacts.
        within: From this id on, up to and without that one.
        in_order: In the order of their ids, so that a reading can be gone on with later.

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
            pages = client.iter_pages(statement, reader.batch)
        else:
            pages = _in_order_of_ids(reader)
        try:
            yield from _rows_once(pages, came, columns)
        except SalesforceError as error:
            # A locator expires, rows move from page to page while they are read, and rows that are
            # deleted meanwhile drop out, which can't be told from a response that was cut.
            fell_apart = isinstance(error, LocatorExpiredError | TruncatedResponseError)
            if fell_apart and attempt < _READINGS:
                continue
            if limit is not None or not is_of_records(error):
                raise
            pages = _in_order_of_ids(reader) if ids is None else iter([reader.isolated(ids, error)])
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
        new = first_of_each(page_ids, pc.invert(pc.is_in(page_ids, value_set=came.ids)))
        reading.add(page_ids)
        came.add(page_ids)
        if page.rejected or pc.any(new, min_count=0).as_py():
            fresh, ids = page.of_rows(new, columns), set(page_ids.to_pylist())
            fresh.rejected += [one for one in page.rejected if one.record_id not in ids]
            yield fresh
    if len(reading) < rows:
        raise TruncatedResponseError(
            f"rows moved between pages while they were read: {rows - len(reading):,} came twice"
        )


def _in_order_of_ids(reader: RelationReader) -> Iterator[Batch]:
    """Yield the rows in the order of their ids, a query of its own for each page.

    No locator is used, so that rows which move while they are read come on one page all the same.
    What can't be read of a page is rejected, and the others of it come.

    Raises:
        SalesforceError: nothing can be read.
    """
    client, key = reader.client, reader.columns.key.name
    size, after = client.limits.rows_per_query_page, None
    while True:
        statement = reader.statement(after=after, order=("Id",), limit=size)
        reading = client.iter_pages(statement, reader.batch, attempts_at_500=ATTEMPTS)
        try:
            page = next(reading, None)
            if page is None:
                return
            # An org whose pages are smaller has more of them, between which rows may move as well.
            is_last = len(page) < size and next(reading, None) is None
            after = page.table.column(key)[-1].as_py()
            yield page
            if is_last:
                return
        except SalesforceError as error:
            if not is_of_records(error):
                raise
            ids = reader.next_ids(after, size, error)
            if ids:
                yield reader.isolated(ids, error)
            if len(ids) < size:
                return
            after = ids[-1]


def ranges(client: SalesforceClient, junction: Junction, expected: int) -> list[Range]:
    """Return ranges of ids, to be read side by side; a single one where that gains nothing.

    One call, where there are more rows than a few pages: the first and the last id.

    Args:
        expected: About how many rows there are.
    """
    pieces = pieces_of(expected, client.limits)
    if pieces == 1:
        return [(None, None)]
    ends: list[str] = []
    statements = [
        soql.select(["Id"], junction.object_name, order_by=[order], limit=1)
        for order in ("Id", soql.descending("Id"))
    ]
    answers = client.composite([endpoints.query(client.version, one) for one in statements])
    for answer in answers:
        if isinstance(answer, SalesforceError):
            return [(None, None)]
        ends += [row["Id"] for row in readers.page(answer).records]
    bounds: list[str | None] = [None]
    bounds += sf_ids.evenly_between(ends[0], ends[-1], pieces) if len(ends) > 1 else []
    return list(zip(bounds, [*bounds[1:], None], strict=True))


def pieces_of(expected: int, limits: Limits) -> int:
    """Count the ranges in which so many rows are read."""
    pages = expected // limits.rows_per_query_page
    return max(1, min(_MOST_RANGES, pages // _PAGES_PER_RANGE))


def read_ranges(
    client: SalesforceClient,
    junction: Junction,
    columns: Columns,
    some: Sequence[Range],
    *,
    since: datetime | None = None,
    limit: int | None = None,
) -> Iterator[Batch]:
    """Yield the rows of several ranges, as they come."""
    readings = [
        read(client, junction, columns, since=since, limit=limit, within=one) for one in some
    ]
    return merge_as_completed(readings, client.max_in_flight)


def read_by_ids(
    client: SalesforceClient, junction: Junction, columns: Columns, ids: Sequence[str]
) -> Iterator[Batch]:
    """Yield the rows of these relations that the org shows, a page at a time."""
    per_call = ids_per_call(junction, columns)

    def ask(some: Sequence[str]) -> list[Batch]:
        return list(read(client, junction, columns, ids=some))

    parts = map_in_order(ask, in_batches(ids, per_call), client.max_in_flight)
    yield from chain.from_iterable(parts)


def ids_per_call(junction: Junction, columns: Columns) -> int:
    """Count the relations that one query can name."""
    fields = columns.fields
    asked = fields if junction is SHARED_ACTIVITIES else as_task_fields(fields)
    return soql.ids_that_fit([*asked, junction.who], junction.object_name)


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
        who: Only relations of these contacts.
        within: Only those from this id on, up to and without that one.
    """
    only = columns.only(["RelationId"])
    parts = [None] if who is None else in_batches(who, targets_per_call(junction))
    for part in parts:
        yield from read(client, junction, only, since=since, who=part, within=within)


def targets_per_call(junction: Junction) -> int:
    """Count the contacts of which one query can name the relations."""
    return soql.ids_that_fit(["Id", junction.who], junction.object_name, field=junction.who) - 10
