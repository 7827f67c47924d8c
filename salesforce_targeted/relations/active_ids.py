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
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api import endpoints, errors, readers, soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.models import JsonRows, Record
from salesforce_targeted.arrow.id_counts import IdCounts
from salesforce_targeted.relations.queries import groups_statement, where
from salesforce_targeted.target import Junction

_log = logging.getLogger(__name__)
_PAIR = pa.schema([("relation", pa.string()), ("who", pa.string())])
# A table with the columns ``id`` and ``count``, and up to which id all are known by then.
_Batch = tuple[pa.Table, str | None]


def active_ids(
    client: SalesforceClient,
    junction: Junction,
    key_prefix: str,
    after: str | None = None,
    *,
    since: datetime | None = None,
    first: list[Record] | None = None,
    cuts: Sequence[str] = (),
    groups: bool = True,
    enough: Callable[[], bool] | None = None,
    warn: Callable[[str], None] = _log.warning,
    each: Callable[[pa.Table], object] = lambda _batch: None,
) -> tuple[IdCounts, str | None]:
    """Find the ids that relations point at, with how many do, a batch at a time (discovery).

    Args:
        key_prefix: Three characters that the ids of the wanted object start with. Ids come in
            their own order, so the objects lie one after another and the rest is not read.
        after: Only ids after this one.
        first: The first batch, where it is known already.
        cuts: Ids beyond the first batch that part the rest into ranges, read side by side.
        groups: Whether the org is asked to group them; else the relations are read and counted.
        enough: Tells after each batch whether to end with it; None: all are read.
        warn: Told where the org could not group them, and what that costs.
        each: Given each batch as it arrives: a table with the columns ``id`` and ``count``.

    Returns:
        How many relations each id has, and up to which id all are known; None for all there are.

    Raises:
        SalesforceError: the relations can't be read either.
    """
    reader, parts, last = _Reader(client, junction, key_prefix, since), list[pa.Table](), None
    try:
        if groups:
            batches = reader.grouped(after, first, cuts)
        else:
            batches = reader.counted() if enough is None else reader.counted_after(after)
        for counts, last in batches:
            each(counts)
            parts.append(counts)
            if last is not None and enough is not None and enough():
                break
    except errors.SalesforceError as error:
        if not groups or not errors.is_of_query(error):
            raise
        instead = (
            f"{error.what} The relations were read and counted instead, in a call for each"
            f" {client.limits.rows_per_query_page:,} of them, as they will be for a day."
        )
        try:
            counted = active_ids(  # or the org serves nothing now
                client, junction, key_prefix, after, since=since, groups=False, enough=enough
            )
        except errors.QuotaExceededError:
            warn(instead)  # the next run begins with them, and goes on
            raise
        warn(instead)
        return counted
    # An org that sorts ids in another order than ours may return one in two ranges.
    once = pa.concat_tables(parts).group_by("id").aggregate([("count", "max")])
    return IdCounts(once.rename_columns(["id", "count"])), last


def is_last(rows: Sequence[Record], junction: Junction, key_prefix: str, per_call: int) -> bool:
    """Return whether no batch of discovery after this one holds ids of the wanted object."""
    beyond = any(row[junction.who][:3] > key_prefix for row in rows)
    return beyond or len(rows) < per_call


@dataclass(frozen=True, slots=True)
class _Reader:
    """Read whom relations point at, a batch a call."""

    client: SalesforceClient
    junction: Junction
    key_prefix: str
    since: datetime | None

    def grouped(
        self, after: str | None, first: list[Record] | None, cuts: Sequence[str]
    ) -> Iterator[_Batch]:
        """Yield the ids as the org groups them: in their order, or as the ranges arrive."""
        if not cuts or (first is not None and self._is_last(first)):
            return self._range(after, None, first)
        starts = [first, *[None] * len(cuts)]
        ends = pairwise([after, *cuts, None])
        ranges = [self._range(*bounds, rows) for bounds, rows in zip(ends, starts, strict=True)]
        return self.client.merged(ranges)

    def _range(
        self, low: str | None, high: str | None, rows: list[Record] | None
    ) -> Iterator[_Batch]:
        """Yield the ids after one and up to another, a call at a time; ``rows`` came already."""
        who = self.junction.who
        while True:
            if rows is None:
                per_call = self.client.limits.groups_per_query
                statement = groups_statement(self.junction, per_call, low, self.since, high)
                rows = self.client.records(statement)
            wanted = [row for row in rows if row[who].startswith(self.key_prefix)]
            ids = pa.array([row[who] for row in wanted], pa.string())
            counts = pa.array([int(row["relations"]) for row in wanted], pa.int64())
            low = None if self._is_last(rows) else rows[-1][who]
            yield pa.table({"id": ids, "count": counts}), low
            if low is None:
                return
            rows = None

    def _is_last(self, rows: list[Record]) -> bool:
        per_call = self.client.limits.groups_per_query
        return is_last(rows, self.junction, self.key_prefix, per_call)

    def counted(self) -> Iterator[_Batch]:
        """Count the relations of each id, of the rows in whatever order they come.

        Where that takes too long, or rows shift whenever they are read, a page at a time.
        """
        who = self.junction.who
        condition = soql.and_(where(self.junction, self.since), soql.ne(who, None))
        statement = soql.select(["Id", who], self.junction.object_name, condition)

        def pairs(rows: JsonRows) -> pa.Table:
            relations = [{"relation": row["Id"], "who": row[who]} for row in rows.records()]
            return pa.Table.from_pylist(relations, _PAIR)

        def read() -> pa.Table:
            pages = self.client.iter_pages(statement, pairs)
            rows = pa.concat_tables([_PAIR.empty_table(), *pages])
            if pc.count_distinct(rows.column("relation")).as_py() < len(rows):
                raise errors.TruncatedResponseError("rows moved between pages while they were read")
            return rows

        try:
            counts = self._counts(self.client.read_twice(read).column("who"))
        except errors.SalesforceError as error:
            if not (isinstance(error, errors.FELL_APART) or errors.is_of_query(error)):
                raise
            yield from self.counted_after(None)
        else:
            yield counts, None

    def counted_after(self, after: str | None) -> Iterator[_Batch]:
        """Count the relations of the ids after one, a page at a time, in the order of ids.

        A query of its own for each page: of rows that move between the pages of one query some
        would be on two, and the only one of a contact on none.
        """
        who, most = self.junction.who, self.client.limits.rows_per_query_page
        of_all, name = where(self.junction, self.since), self.junction.object_name
        while True:
            beyond = soql.bound(who, ">", after) or soql.ne(who, None)
            condition = soql.and_(of_all, beyond)
            statement = soql.select(["Id", who], name, condition, (), [who], most)
            page = self.client.send(endpoints.query(self.client.version, statement), readers.page)
            ids = [row[who] for row in page.records]
            ended = page.next is None and page.total < most
            if ended or not ids or ids[-1][:3] > self.key_prefix:
                yield self._counts(pa.array(ids, pa.string())), None
                return
            # The next page may have more of the last one, or all of this one is its.
            whole = pa.array([id_ for id_ in ids if id_ != ids[-1]], pa.string())
            if len(whole):
                after = whole[-1].as_py()
                yield self._counts(whole), after
                continue
            after = ids[-1]
            of_it = soql.and_(of_all, soql.eq(who, after))
            count = self.client.count(soql.select([soql.aggregate("COUNT")], name, of_it))
            yield pa.table({"id": [after], "count": [count]}), after

    def _counts(self, ids: pa.Array | pa.ChunkedArray) -> pa.Table:
        counts = ids.filter(pc.starts_with(ids, self.key_prefix)).value_counts()
        return pa.table({"id": counts.field("values"), "count": counts.field("counts")})
