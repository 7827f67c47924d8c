"""Remove the copies of rows that a load left which was killed and resumed.

dlt's plain ``run`` stages once more what a killed load had staged already, and the merge inserts
both copies of what is new, where no index forbids it: in DuckDB. Both change together from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from salesforce_targeted.destination.database import is_duckdb
from salesforce_targeted.destination.held_tables import HeldTables


def remove(held: HeldTables, tables: Iterable[str], warn: Callable[[str], None]) -> None:
    """Keep one of a record's rows that are equal in every column, those of the user's own too."""
    for table in tables if is_duckdb(held.pipeline) else ():
        keys = [c for c, hints in held.column_hints(table).items() if hints.get("primary_key")]
        if not keys:
            continue
        name, distinct = held.table_sql(table), f"COUNT(DISTINCT {held.sql(keys[0])})"
        ((rows, ids),) = held.rows(table, ["COUNT(*)", distinct]) or [(0, 0)]
        if rows == ids:
            continue
        kept = f"SELECT kept FROM (SELECT MIN(rowid) AS kept, * FROM {name} GROUP BY ALL)"  # noqa: S608
        ours = f"length({held.sql(keys[0])}) = 18"
        delete = f"DELETE FROM {name} WHERE {ours} AND rowid NOT IN ({kept})"  # noqa: S608
        removed: Any = held.sql_client().execute_sql(delete)
        if removed[0][0]:  # none where they differ, as rows of the user's own may
            warn(
                f"{table} held {removed[0][0]:,} rows twice, as after a load that was killed and"
                " resumed: the copies are removed"
            )
