"""Find the ids that relations point at, with how many do: as the org groups them, or of the rows.

A GROUP BY can't be paged, so discovery walks the ids in their own order, one batch a call.
An org with many relations may take longer over a GROUP BY than the two minutes that a query gets,
in whichever run it grows so far. Then the relations are read and counted here: a call for each
2,000 of them, and never a run that can't succeed where another mode could.

Source: airbyte #19947, #27969 (QUERY_TIMEOUT); SOQL and SOSL Reference, "GROUP BY"
(considerations).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api import endpoints, readers, soql
from salesforce_targeted.api import ids as sf_ids
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.concurrency import merge_as_completed
from salesforce_targeted.api.errors import (
    QuotaExceededError,
    SalesforceError,
    TruncatedResponseError,
    is_of_query,
)
from salesforce_targeted.api.models import JsonRows, Record
from salesforce_targeted.relations.queries import groups_statement, where
from salesforce_targeted.target import Junction

_log = logging.getLogger(__name__)
_PAIR = pa.schema([("relation", pa.string()), ("who", pa.string())])


def active_ids(
    client: SalesforceClient,
    junction: Junction,
    key_prefix: str,
    *,
    since: datetime | None = None,
    after: str | None = None,
    first: list[Record] | None = None,
    cuts: Sequence[str] = (),
    groups: bool = True,
    warn: Callable[[str], None] = _log.warning,
    each: Callable[[pa.Table], object] = lambda _batch: None,
) -> Iterator[pa.Table]:
    """Yield the ids that relations point at, with how many do, a batch at a time (discovery).

    Args:
        key_prefix: Three characters that the ids of the wanted object start with. Ids come in
            their own order, so the objects lie one after another and the rest is not read.
        after: Only ids after this one.
        first: The first batch, where it is known already.
        cuts: Ids beyond the first batch that part the rest into ranges, read side by side.
        groups: Whether the org is asked to group them, where its first batch has not come.
        warn: Told where the org could not group them, and what that costs.
        each: Given each batch as it arrives: none is yielded before all have come.

    Yields:
        Tables with the columns ``id`` and ``count``. An id comes twice only where the org sorts
        ids in an order of its own.

    Raises:
        SalesforceError: the relations can't be read either.
    """
    per_call = client.limits.groups_per_query

    def of(low: str | None, high: str | None) -> Iterator[list[Record]]:
        return _groups(client, junction, key_prefix, since, low, high)

    def as_table(rows: list[Record]) -> pa.Table:
        table = _as_table(rows, junction, key_prefix)
        each(table)
        return table

    if first is None and not groups:
        yield _counted(client, junction, key_prefix, since)
        return
    batches = [] if first is None else [as_table(first)]
    begin = first[-1][junction.who] if first else after
    try:
        if first is None or not is_last(first, junction, key_prefix, per_call):
            ranges = [of(low, high) for low, high in pairwise([begin, *cuts, None])]
            batches += map(as_table, merge_as_completed(ranges, client.max_in_flight))
    except SalesforceError as error:
        if not is_of_query(error):
            raise
        instead = (
            f"{error.what} The relations were read and counted instead, in a call for each"
            f" {client.limits.rows_per_query_page:,} of them, as they will be for a day."
        )
        try:
            counted = _counted(client, junction, key_prefix, since)  # or the org serves nothing now
        except QuotaExceededError:
            warn(instead)  # the next run begins with them, and goes on
            raise
        warn(instead)
        yield counted
        return
    yield from batches


def active_ids_after(
    client: SalesforceClient,
    junction: Junction,
    key_prefix: str,
    after: str | None,
    *,
    since: datetime | None = None,
    first: list[Record] | None = None,
    groups: bool = True,
) -> Iterator[tuple[pa.Table, str | None]]:
    """Yield the ids after one that relations point at, a call's worth at a time, in their order.

    Args:
        first: The first batch, where it is known already.
        groups: Whether the org is asked to group them; else the relations are read and counted.

    Yields:
        Tables as of :func:`active_ids`, and up to which id all are known by then; None for all.

    Raises:
        SalesforceError: they can't be grouped, or read.
    """
    if first is None and not groups:
        yield from _counted_after(client, junction, key_prefix, after, since)
        return
    for rows in _groups(client, junction, key_prefix, since, after, None, first):
        ended = is_last(rows, junction, key_prefix, client.limits.groups_per_query)
        reached = None if ended else rows[-1][junction.who]
        yield _as_table(rows, junction, key_prefix), reached


def _groups(
    client: SalesforceClient,
    junction: Junction,
    key_prefix: str,
    since: datetime | None,
    low: str | None,
    high: str | None,
    rows: list[Record] | None = None,
) -> Iterator[list[Record]]:
    """Yield the ids after one and up to another as the org groups them, a call at a time."""
    per_call = client.limits.groups_per_query
    while True:
        if rows is None:
            rows = client.records(groups_statement(junction, per_call, low, since, high))
        yield rows
        if is_last(rows, junction, key_prefix, per_call):
            return
        low, rows = rows[-1][junction.who], None


def _as_table(rows: list[Record], junction: Junction, key_prefix: str) -> pa.Table:
    wanted = [row for row in rows if sf_ids.key_prefix(row[junction.who]) == key_prefix]
    ids = pa.array([row[junction.who] for row in wanted], pa.string())
    counts = pa.array([int(row["relations"]) for row in wanted], pa.int64())
    return pa.table({"id": ids, "count": counts})


def is_last(rows: Sequence[Record], junction: Junction, key_prefix: str, per_call: int) -> bool:
    """Return whether no batch of discovery after this one holds ids of the wanted object."""
    beyond = any(sf_ids.key_prefix(row[junction.who]) > key_prefix for row in rows)
    return beyond or len(rows) < per_call


def _counted(
    client: SalesforceClient, junction: Junction, key_prefix: str, since: datetime | None
) -> pa.Table:
    """Count the relations of each id, of the rows."""
    who = junction.who
    condition = soql.and_(where(junction, since), soql.ne(who, None))
    statement = soql.select(["Id", who], junction.object_name, condition)

    def pairs(rows: JsonRows) -> pa.Table:
        relations = [{"relation": row["Id"], "who": row[who]} for row in rows.records()]
        return pa.Table.from_pylist(relations, _PAIR)

    def read() -> pa.Table:
        pages = client.iter_pages(statement, pairs)
        rows = pa.concat_tables([_PAIR.empty_table(), *pages])
        if pc.count_distinct(rows.column("relation")).as_py() < len(rows):
            raise TruncatedResponseError("rows moved between pages while they were read")
        return rows

    return _counts(client.read_twice(read).column("who"), key_prefix).sort_by("id")


def _counted_after(
    client: SalesforceClient,
    junction: Junction,
    key_prefix: str,
    after: str | None,
    since: datetime | None,
) -> Iterator[tuple[pa.Table, str | None]]:
    """Count the relations of the ids after one, a page at a time, as for ``active_ids_after``.

    A query of its own for each page: of rows that move between the pages of one query some would be
    on two, and the only one of a contact on none.
    """
    who, most = junction.who, client.limits.rows_per_query_page
    while True:
        beyond = soql.bound(who, ">", after) or soql.ne(who, None)
        condition = soql.and_(where(junction, since), beyond)
        statement = soql.select(["Id", who], junction.object_name, condition, (), [who], most)
        page = client.send(endpoints.query(client.version, statement), readers.page)
        ids = [row[who] for row in page.records]
        ended = page.next is None and page.total < most
        if ended or not ids or sf_ids.key_prefix(ids[-1]) > key_prefix:
            yield _counts(pa.array(ids, pa.string()), key_prefix), None
            return
        # The next page may have more of the last one, or all of this one is its.
        whole = pa.array([id_ for id_ in ids if id_ != ids[-1]], pa.string())
        if len(whole):
            after = whole[-1].as_py()
            yield _counts(whole, key_prefix), after
            continue
        after = ids[-1]
        of_it = soql.and_(where(junction, since), soql.eq(who, after))
        count = soql.select([soql.aggregate("COUNT")], junction.object_name, of_it)
        yield pa.table({"id": [after], "count": [client.count(count)]}), after


def _counts(ids: pa.Array | pa.ChunkedArray, key_prefix: str) -> pa.Table:
    counts = ids.filter(pc.starts_with(ids, key_prefix)).value_counts()
    return pa.table({"id": counts.field("values"), "count": counts.field("counts")})
