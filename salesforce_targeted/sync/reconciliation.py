"""Check after the load whether what is held is conserved, closed and complete.

Rule: the destination is read for it, not our memory of what we meant to load.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import floor

import pyarrow as pa
import pyarrow.compute as pc
from dlt.destinations.exceptions import DatabaseException
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from salesforce_targeted.arrow.columns import ROW_HASH
from salesforce_targeted.arrow.id_set import id_array, union
from salesforce_targeted.destination.clients import sql_client_of
from salesforce_targeted.destination.database import is_postgres
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.table_names import (
    CONTACTS,
    REJECTED_RECORDS,
    RELATIONS,
    TASKS,
    USERS,
)
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.run_facts import RunFacts
from salesforce_targeted.target import CONTACT, Target

# What tells versions of a row apart, in the tables that have it.
_VERSION = (ROW_HASH, "relation_count")


def reconciled(
    held: HeldTables,
    ledger: Ledger,
    id_column: str,
    statistics: Mapping[str, str] | None = None,
    loaded: Collection[str] = (),
) -> tuple[RunFacts, list[str]]:
    """Complete a run's facts with what the destination says.

    Args:
        loaded: The tables that the load had rows for, as stored.
        statistics: Name to SQL condition over the records' table, besides the built-in ones.

    Returns:
        The report, and a sentence for each object whose ids do not add up.
    """
    relations, contacts = held.count(RELATIONS, held.live), held.count(ledger.target.table)
    counted = _statistics(held, ledger, statistics or {})
    unexplained = _unexplained(held, ledger, id_column) if ledger.scope_complete else []
    if unexplained:
        ledger.warn(
            f"{len(unexplained)} relations have a task or contact that is neither held nor"
            f" accounted for, e.g. {', '.join(unexplained[:3])}"
        )
    empty = set() if ledger.rejected else {held.stored_table(REJECTED_RECORDS)}
    for sentence in _lost_rows(held, ledger.target, {*loaded} - empty):
        ledger.warn(sentence)
    facts = ledger.facts("done")
    facts["relations"]["held"], facts["contacts"]["held"] = relations, contacts
    # Cut, not rounded: one relation in a million without a reason is not 100 %.
    explained = floor(10_000 * (1 - len(unexplained) / relations)) / 100 if relations else 100.0
    facts["closure"]["relations_explained_pct"] = explained
    facts["closure"]["relations_unexplained"] = len(unexplained)
    facts["statistics"] = counted
    return facts, [
        f"{name}: the ids do not add up: {tally}"
        for name, tally in ledger.tallies.items()
        if not tally.conserved
    ]


def _unexplained(held: HeldTables, ledger: Ledger, id_column: str) -> list[str]:
    """List the held relations with a task or a contact that is not held and that has no reason."""
    key, who, task = held.name(id_column), held.name("RelationId"), held.name("TaskId")
    parts: list[pa.Array] = []
    if "Task" in ledger.tallies:
        rejected = (REJECTED_RECORDS, held.name("record_id"), f"{held.name('object')} = 'Task'")
        orphans = _orphans(held, key, task, held.live.sql, [(TASKS, key, ""), rejected])
        reasons = id_array([id_ for ids in ledger.tasks_missing.values() for id_ in ids])
        without = pc.invert(pc.is_in(orphans.column("value"), value_set=reasons))
        parts.append(orphans.column("id").filter(without))
    if ledger.target is CONTACT and CONTACT.object_name in ledger.tallies:
        of_contacts = f"{held.live.sql} AND {held.sql(who)} LIKE '003%'"
        gone = (ledger.target.life_table, ledger.target.life_key, held.gone.sql)
        parents = [(CONTACTS, key, ""), gone]
        parts.append(_orphans(held, key, who, of_contacts, parents).column("id"))
    return union(*parts).to_pylist()  # type: ignore[no-any-return]


def _orphans(
    held: HeldTables, key: str, column: str, where: str, parents: Sequence[tuple[str, str, str]]
) -> pa.Table:
    """Return relations whose value in a column is no parent's key: columns ``id``, ``value``.

    Args:
        parents: Tables to look in, each with its key and a condition; one that does not exist
            yet has no rows.
    """
    sought = f"{held.table_sql(RELATIONS)}.{held.sql(column)}"
    conditions = [where, f"{held.sql(column)} IS NOT NULL"]
    for parent, parent_key, condition in parents:
        if parent_key in held.column_hints(parent):
            conditions.append(
                f"NOT EXISTS (SELECT 1 FROM {held.table_sql(parent)} AS parent"  # noqa: S608
                f" WHERE parent.{held.sql(parent_key)} = {sought}"
                + (f" AND {condition})" if condition else ")")
            )
    return held.texts(RELATIONS, {"id": key, "value": column}, " AND ".join(conditions))


def _lost_rows(held: HeldTables, target: Target, loaded: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each table of PostgreSQL that lacks rows as they came.

    A trigger that returns NULL keeps a row out, or its change, and PostgreSQL says nothing. What
    came is in the staging tables until the next load.

    Source: PostgreSQL Documentation, "Overview of Trigger Behavior" (BEFORE triggers).
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


def _statistics(held: HeldTables, ledger: Ledger, extra: Mapping[str, str]) -> dict[str, int]:
    """Count over the records; a count whose column does not exist is left out with a warning."""
    table, life_table = ledger.target.table, ledger.target.life_table
    counts = {"total": held.count(table)}
    if held.name("Email") in held.column_hints(table):
        counts["with_email"] = held.count(table, f"{held.sql(held.name('Email'))} IS NOT NULL")
    active = held.count(life_table, held.active)
    counts["active"] = active
    counts["inactive"] = held.count(life_table) - active
    dialect = held.pipeline.destination.capabilities().sqlglot_dialect
    for name, condition in extra.items():
        try:
            # More than one condition is refused: a statement after it would be run as well.
            parse_one(condition, into=exp.Condition, dialect=dialect)
            counts[name] = held.count(table, f"({condition})")
        except (DatabaseException, SqlglotError):
            ledger.warn(
                f"statistic {name!r} was left out: {condition!r} is not a condition on"
                f" {table} (configured under [sources.salesforce_targeted.statistics])"
            )
    return counts
