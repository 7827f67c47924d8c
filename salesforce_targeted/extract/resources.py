"""Make the dlt resources that every source of this library has.

A source gives them names and tables; see ``source`` (contacts) and ``any_object``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Optional

import dlt
from dlt.extract.items_transform import MapItem
from dlt.sources import DltResource

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.destination import rejected_records, sync_runs, table_comments
from salesforce_targeted.destination.table_names import REJECTED_RECORDS, SYNC_RUNS
from salesforce_targeted.extract import lifecycle
from salesforce_targeted.extract.findings import Selection
from salesforce_targeted.extract.resource_feed import Extractions
from salesforce_targeted.extract.stages import REJECTED, RELATION, SYNC_RUN, ids_resource


class RowCheck(MapItem):
    """Come after every step of the user's, in whatever order dlt is given them."""

    placement_affinity = 1.5


def target_resources(extractions: Extractions, id_column: str) -> tuple[DltResource, DltResource]:
    """Make the resources of the records and of their lives: ``contact``, ``contact_life``."""
    target = extractions.target
    hints = {name: {"description": text} for name, text in lifecycle.descriptions(target).items()}
    life = table_hints(target.life_table, target.life_key, hints)
    ids = dlt.resource(active_ids, name=ids_resource(target), selected=False)(extractions)
    record = dlt.transformer(records, name=target.resource, **table_hints(target.table, id_column))
    return ids | record(extractions), table_resource(extractions, f"{target.resource}_life", life)


def run_resources(extractions: Extractions) -> tuple[DltResource, DltResource]:
    """Make the resources ``rejected_record`` and ``sync_run``."""
    rejected = table_hints(REJECTED_RECORDS, *rejected_records.KEY_AND_HINTS)
    runs = table_hints(SYNC_RUNS, "run_id", sync_runs.HINTS)
    return (
        table_resource(extractions, REJECTED, rejected),
        table_resource(extractions, SYNC_RUN, runs),
    )


def table_resource(extractions: Extractions, name: str, hints: dict[str, Any]) -> DltResource:
    """Make a resource of the tables that the stages yield under its name."""

    def items() -> Iterator[Any]:
        yield from extractions.items(name)

    resource: DltResource = dlt.resource(items, name=name, **hints)()
    return resource


def completed(extractions: Extractions, *resources: DltResource) -> tuple[DltResource, ...]:
    """Give each resource the check of its rows, and its table's description, which dlt shows."""
    texts = table_comments.descriptions(extractions.target)
    for resource in resources:
        if resource.selected:
            table = str(resource.table_name)
            resource.add_step(RowCheck(partial(extractions.check_rows, table)))
            resource.apply_hints(additional_table_hints={"description": texts[table]})
    return resources


def task_who_relation(
    extractions: Extractions,
    modified: dlt.sources.incremental[datetime] = dlt.sources.incremental(
        # Equal stamps are read again, not remembered: thousands of rows can share one second.
        "SystemModstamp",
        lag=15 * 60,
        primary_key=(),
        # An interval of a scheduler has an end; a run reads from its own cursor up to now.
        allow_external_schedulers=False,
    ),
) -> Iterator[Any]:
    """Yield relations of tasks to contacts and leads, those modified since the last run."""
    if modified.end_value is not None:
        raise ConfigurationError(
            "task_who_relation: a window with an end (end_value) is not read, for what is held"
            " beyond it would look removed",
            remedy="Use scope=Scope(since=...) for what was modified since a moment.",
        )
    extraction = extractions.of(RELATION)
    # The range is applied in SOQL; rows that came late or back may lie before it.
    modified.advance(None)  # type: ignore[arg-type]
    extraction.modified = modified
    yield from extraction.items(RELATION)
    if extraction.run.relations.complete and extraction.run.ledger.cursor is not None:
        modified.advance(extraction.run.ledger.cursor)


def active_ids(extractions: Extractions) -> Iterator[Optional[Selection]]:
    """Yield the ids of the records to hold true: one complete set, not loaded itself.

    It is planned as a whole, and a set that is not complete would make records leave.
    """
    yield from extractions.items(ids_resource(extractions.target))


def records(_selection: Selection, extractions: Extractions) -> Iterator[Any]:
    """Yield active records with all their fields."""
    yield from extractions.items(extractions.target.resource)


def table_hints(name: str, key: str | Sequence[str], hints: Any = None) -> dict[str, Any]:
    """Return what all our tables have in common: merged by key, loaded as parquet.

    But for the rejected records: without rows, parquet can't be loaded into PostgreSQL.
    """
    columns: dict[str, Any] = dict(hints or {})
    if isinstance(key, str):
        columns[key] = {**columns.get(key, {}), "unique": True, "nullable": False}
    return {
        "table_name": name,
        "primary_key": key,
        # dlt's default merge deletes and inserts: columns that others added would be lost.
        "write_disposition": {"disposition": "merge", "strategy": "upsert"},
        "columns": columns,
        "file_format": None if name == REJECTED_RECORDS else "parquet",
    }
