"""Find the ids that relations point at, with how many do: as the org groups them, or of the rows.

An org with many relations may take longer over a GROUP BY than the two minutes that a query gets,
in whichever run it grows so far. Then the relations are read and counted here: a call for each
2,000 of them, and never a run that can't succeed where another mode could.

Source: airbyte #19947, #27969 (QUERY_TIMEOUT); SOQL and SOSL Reference, "GROUP BY".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api import soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import SalesforceError, TruncatedResponseError, is_of_records
from salesforce_targeted.api.models import JsonRows
from salesforce_targeted.relations.queries import Record, active, where
from salesforce_targeted.target import Junction

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
    warn: Callable[[str], None],
) -> Iterator[pa.Table]:
    """Yield the ids that relations point at, with how many do, as :func:`queries.active`.

    Args:
        warn: Told where the org could not group them, and what that costs.

    Raises:
        SalesforceError: the relations can't be read either.
    """
    try:
        grouped = list(
            active(client, junction, key_prefix, since=since, after=after, first=first, cuts=cuts)
        )
    except SalesforceError as error:
        if not is_of_records(error):
            raise
        warn(
            f"{error.what} The relations were read and counted instead, in a call for each"
            f" {client.limits.rows_per_query_page:,} of them."
        )
        yield _counted(client, junction, key_prefix, since)
        return
    yield from grouped


def _counted(
    client: SalesforceClient, junction: Junction, key_prefix: str, since: datetime | None
) -> pa.Table:
    """Count the relations of each id, of the rows."""
    who = junction.who
    condition = soql.and_(where(junction, since), soql.ne(who, None))
    statement = soql.select(["Id", who], junction.object_name, condition)

    def pairs(rows: JsonRows) -> pa.Table:
        found = [{"relation": row["Id"], "who": row[who]} for row in rows.parsed() if row]
        return pa.Table.from_pylist(found, _PAIR)

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
