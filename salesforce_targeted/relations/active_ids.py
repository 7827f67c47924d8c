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

from salesforce_targeted.api import ids as sf_ids
from salesforce_targeted.api import soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.concurrency import merge_as_completed
from salesforce_targeted.api.errors import SalesforceError, TruncatedResponseError, is_of_records
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

    Yields:
        Tables with the columns ``id`` and ``count``. An id comes twice only where the org sorts
        ids in an order of its own.

    Raises:
        SalesforceError: the relations can't be read either.
    """
    per_call = client.limits.groups_per_query

    def of(low: str | None, high: str | None) -> Iterator[list[Record]]:
        while True:
            rows = client.records(groups_statement(junction, per_call, low, since, high))
            yield rows
            if is_last(rows, junction, key_prefix, per_call):
                return
            low = rows[-1][junction.who]

    def as_table(rows: list[Record]) -> pa.Table:
        wanted = [row for row in rows if sf_ids.key_prefix(row[junction.who]) == key_prefix]
        ids = pa.array([row[junction.who] for row in wanted], pa.string())
        counts = pa.array([int(row["relations"]) for row in wanted], pa.int64())
        return pa.table({"id": ids, "count": counts})

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
        if not is_of_records(error):
            raise
        warn(
            f"{error.what} The relations were read and counted instead, in a call for each"
            f" {client.limits.rows_per_query_page:,} of them, as they will be for a day."
        )
        yield _counted(client, junction, key_prefix, since)
        return
    yield from batches


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

    ids = client.read_twice(read).column("who")
    counts = ids.filter(pc.starts_with(ids, key_prefix)).value_counts()
    table = pa.table({"id": counts.field("values"), "count": counts.field("counts")})
    return table.sort_by("id")
