"""Find rows that a load brought and that its tables don't hold.

A trigger that returns NULL keeps a row out, or its change, and PostgreSQL says nothing. What came
is in the staging tables until the next load.

Source: PostgreSQL Documentation, "Overview of Trigger Behavior" (BEFORE triggers that return NULL).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from salesforce_targeted.arrow.columns import ROW_HASH
from salesforce_targeted.destination.clients import sql_client_of
from salesforce_targeted.destination.database import is_postgres
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.table_names import REJECTED_RECORDS, RELATIONS, TASKS, USERS
from salesforce_targeted.target import Target

# What tells versions of a row apart, in the tables that have it.
_VERSION = (ROW_HASH, "relation_count")


def lost_rows(held: HeldTables, target: Target, loaded: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each table of PostgreSQL that lacks rows as they came.

    Args:
        loaded: The tables that the load had rows for, as stored.
    """
    tables = {target.table, target.life_table, RELATIONS, TASKS, USERS, REJECTED_RECORDS}
    merged = [
        table
        for table in sorted({*map(held.stored_table, tables)} & {*loaded})
        if held.schema.tables[table].get("write_disposition") == "merge"
    ]
    if not merged or not is_postgres(held.pipeline):
        return
    with sql_client_of(held.pipeline) as client:
        for table in merged:
            hints, name = held.column_hints(table), client.make_qualified_table_name(table)
            with client.with_staging_dataset():
                staged = client.make_qualified_table_name(table)
            key = [column for column, hint in hints.items() if hint.get("primary_key")]
            version = {*map(held.name, _VERSION)} & {*hints}
            matches = " AND ".join(
                f"held.{held.sql(column)} {operator} came.{held.sql(column)}"
                for operator, columns in (("=", key), ("IS NOT DISTINCT FROM", version))
                for column in columns
            )
            live = [f" AND {held.sql(c)} IS NULL" for c in hints if hints[c].get("hard_delete")]
            named = held.sql(key[len(key) // 2])  # of a rejection: its record's id
            (row,) = client.execute_sql(
                f"SELECT COUNT(*), MIN({named}) FROM {staged} AS came"  # noqa: S608
                f" WHERE NOT EXISTS (SELECT 1 FROM {name} AS held WHERE {matches}){''.join(live)}"
            )
            if row[0]:
                yield (
                    f"{table}: {row[0]:,} rows that were loaded are not held as they came, e.g."
                    f" {row[1]}: a trigger of the database keeps them out (let it return NEW), or"
                    " row security hides them"
                )
