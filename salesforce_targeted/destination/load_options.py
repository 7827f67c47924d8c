"""Find out how the coming load writes: which tables it empties, which types were asked for.

A dlt user may change a source's hints, and how a run writes. What keeps the tables true is taken
up; what would lose or double rows without any error is refused before the first call.

Rules:
- A run loads the rows that differ from what is held. So a table that the load empties, drops or
  replaces holds nothing, whatever it shows while the run reads.
- Rows meet by key: a load that appends leaves two versions of a row, one that only inserts leaves
  the old one.
- A row's hash counts every field that was read. A new column whose values the schema contract
  discards is therefore not read: the row would be taken for held when the contract is lifted.
- A column's type that was asked for counts as if the column had it already: dlt copies Arrow into
  PostgreSQL byte by byte, and a bigint's bytes in a double column are another number.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import dlt
from dlt.common.destination.exceptions import DestinationCapabilitiesException
from dlt.common.destination.utils import resolve_merge_strategy
from dlt.common.schema.typing import TTableSchema
from dlt.destinations.sql_client import WithSqlClient
from dlt.extract.exceptions import DltResourceException
from dlt.sources import DltResource, DltSource

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.arrow.columns import STORED_TYPES
from salesforce_targeted.destination import catalog, database, dependants, rejected_records
from salesforce_targeted.destination.clients import client_of
from salesforce_targeted.destination.table_names import (
    REJECTED_RECORDS,
    RELATIONS,
    SYNC_RUNS,
    TASKS,
    USERS,
)
from salesforce_targeted.target import CONTACT, Target

logger = logging.getLogger("salesforce_targeted")

# By these a row replaces the one with its key, and rows that don't come stay.
_MEETING_BY_KEY = ("upsert", "delete-insert")
_WIDEST = 64  # bits


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Hold what is to be known of a load before its rows are chosen.

    Attributes:
        emptied: Tables that the load empties, drops or replaces, as stored.
        dropped: Those of them that it drops, to make them again.
        closed: Tables whose schema contract discards the values of new columns, as stored.
        types: Table as stored to the ``data_type`` that was asked for, by stored column.
        narrow: Table as stored to the columns for which fewer bits were asked for.
    """

    emptied: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()
    types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    narrow: Mapping[str, Collection[str]] = field(default_factory=dict)


def load_options(
    source: DltSource,
    pipeline: dlt.Pipeline,
    package_state: Mapping[str, Any],
    target: Target = CONTACT,
    id_column: str = "id",
) -> LoadOptions:
    """Find the options of the load that an extraction is for.

    Args:
        package_state: dlt's state of the load package: what ``refresh`` drops or empties.

    Raises:
        ConfigurationError: rows would be lost, doubled or changed; says by which hint or
            destination, and what to do instead.
    """
    client = client_of(pipeline)
    database.check(pipeline, client)
    destination = str(pipeline.destination.destination_name)
    capabilities = client.capabilities
    if not isinstance(client, WithSqlClient):
        raise ConfigurationError(
            f"the destination {destination} can't be asked in SQL what it holds",
            remedy="Choose a database, or the filesystem.",
        )
    if not pipeline.config.use_single_dataset and pipeline.default_schema_name not in {
        source.schema.name,
        None,
    }:
        raise ConfigurationError(
            "use_single_dataset = false gives a pipeline's second source a dataset of its own, and"
            " what is held is looked for in the first one's",
            remedy="Give this source a pipeline of its own, or leave that setting out.",
        )
    naming = source.schema.naming
    dropped, truncated = (
        {naming.normalize_table_identifier(table["name"]) for table in package_state.get(key) or ()}
        for key in ("dropped_tables", "truncated_tables")
    )
    emptied = dropped | truncated
    closed: set[str] = set()
    types: dict[str, dict[str, str]] = {}
    narrow: dict[str, set[str]] = {}
    tables = _tables_by_resource(target, id_column)
    for resource in source.resources.selected.values():
        if resource.name not in tables:
            continue  # of another source, added to ours
        table, key = tables[resource.name]
        hints = _hints(resource)
        stored = naming.normalize_table_identifier(table)
        _check_names(resource, hints, table, key)
        _warn_of_limit(resource, target)
        if hints.get("write_disposition") == "replace":
            emptied.add(stored)
        else:
            _check_merge(resource, hints, capabilities, destination)
        contract = source.schema.resolve_contract_settings_for_table(stored, hints)
        leaves_out = stored not in source.schema.tables and "discard" in str(contract["tables"])
        if contract["columns"] == "discard_row" or leaves_out:
            raise ConfigurationError(
                f"{resource.name}: by a schema contract that discards rows or tables all rows are"
                " left out, for each has every column",
                remedy='Choose {"columns": "discard_value"}, which leaves new fields out, or'
                ' "freeze", which stops the run.',
            )
        if contract["columns"] == "discard_value":
            closed.add(stored)
        types[stored] = {
            naming.normalize_path(name): _loadable(resource, name, column["data_type"])
            for name, column in hints["columns"].items()
            if "data_type" in column
        }
        narrow[stored] = {
            naming.normalize_path(name)
            for name, column in hints["columns"].items()
            if (column.get("precision") or _WIDEST) < _WIDEST
        }
    if emptied and database.is_postgres(pipeline):
        of_dlt = {table["name"]: table for table in package_state.get("dropped_tables") or ()}
        dependants.check(pipeline, of_dlt, emptied - of_dlt.keys())
        catalog.release(pipeline)
    return LoadOptions(frozenset(emptied), frozenset(dropped), frozenset(closed), types, narrow)


def _tables_by_resource(target: Target, id_column: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Map a resource to its table and key, as the source made them."""
    return {
        "task_who_relation": (RELATIONS, (id_column,)),
        "task": (TASKS, (id_column,)),
        "user": (USERS, (id_column,)),
        "rejected_record": (REJECTED_RECORDS, tuple(rejected_records.KEY_AND_HINTS[0])),
        "sync_run": (SYNC_RUNS, ("run_id",)),
        target.resource: (target.table, (id_column,)),
        f"{target.resource}_life": (target.life_table, (target.life_key,)),
    }


def _hints(resource: DltResource) -> TTableSchema:
    try:
        return resource.compute_table_schema()
    except DltResourceException as error:
        raise ConfigurationError(
            f"{resource.name}: hints that depend on the data can't be taken up: tables are read"
            " back before rows come",
            remedy="Give fixed hints.",
        ) from error


def _check_names(
    resource: DltResource, hints: TTableSchema, table: str, key: tuple[str, ...]
) -> None:
    if hints["name"] != table:
        raise ConfigurationError(
            f"{resource.name}: its table can't be called {hints['name']}: what is held is read"
            f" back from {table}",
            remedy="Leave table_name as it is; a view, or a dataset of its own, gives it a name.",
        )
    columns = hints["columns"].items()
    # dlt deletes what has a merge key's value before it inserts: people of one name, all but one.
    asked = {n for n, hint in columns if hint.get("primary_key") or hint.get("merge_key")}
    if asked != set(key):
        raise ConfigurationError(
            f"{resource.name}: rows are merged by {', '.join(key)}, not by"
            f" {', '.join(sorted(asked)) or 'nothing'}",
            remedy="Leave primary_key as it is, and merge_key out.",
        )
    if resource.incremental is not None and table != RELATIONS:
        raise ConfigurationError(
            f"{resource.name}: by an incremental hint rows are left out that are not held: a record"
            " may become active long after it was modified",
            remedy="Leave it out: rows that did not change are not loaded anyway, and"
            " Scope(since=...) looks at less.",
        )
    deleting = [name for name, hint in columns if hint.get("hard_delete")]
    if deleting and table != REJECTED_RECORDS:
        raise ConfigurationError(
            f"{resource.name}: by a hard_delete hint on {', '.join(sorted(deleting))} rows that"
            " are held would be deleted by their own change",
            remedy="Leave it out: sf_active_contacts says which records the org shows no more.",
        )


def _warn_of_limit(resource: DltResource, target: Target) -> None:
    """Say what dlt's limit counts: who wants a cheap trial gets all of a small org by it."""
    if resource.limit is not None:
        instead = "Scope(limit=...) counts relations" if target is CONTACT else "where narrows it"
        logger.warning(
            "%s: add_limit counts batches, of which most tables come in one; %s",
            resource.name,
            instead,
        )


def _check_merge(
    resource: DltResource, hints: TTableSchema, capabilities: Any, destination: str
) -> None:
    disposition: Any = hints.get("write_disposition")
    if disposition != "merge":
        raise ConfigurationError(
            f"{resource.name}: write_disposition {disposition!r} would not leave one row per"
            " record, the newest",
            remedy="Leave it as it is (merge), or choose replace: then every run loads all rows.",
        )
    try:
        strategy = resolve_merge_strategy({str(hints["name"]): hints}, hints, capabilities)
    except DestinationCapabilitiesException:
        strategy = None
    if strategy is None:
        raise ConfigurationError(
            f"{resource.name}: the destination {destination} can't merge by"
            f" {hints.get('x-merge-strategy', 'key')}, and changed records would be held twice",
            remedy=_instead(destination),
        )
    if strategy not in _MEETING_BY_KEY:
        raise ConfigurationError(
            f"{resource.name}: merge strategy {strategy!r} would not leave one row per record, the"
            " newest",
            remedy="Leave it as it is (upsert).",
        )


def _instead(destination: str) -> str:
    replace = 'pipeline.run(source, write_disposition="replace"), by which every run loads all rows'
    if destination == "filesystem":
        return (
            'Give each resource apply_hints(table_format="delta") (pip install "dlt[deltalake]"),'
            f" or run {replace}."
        )
    return (
        'Give each resource apply_hints(write_disposition={"disposition": "merge", "strategy":'
        ' "delete-insert"}), by which columns of your own in these tables are emptied where a'
        f" record changes, or run {replace}."
    )


def _loadable(resource: DltResource, column: str, data_type: str | None) -> str:
    if data_type is None or data_type not in STORED_TYPES:
        raise ConfigurationError(
            f"{resource.name}: column {column} can't be {data_type}: nothing that Salesforce sends"
            " can be loaded into that unchanged",
            remedy=f"Choose one of {', '.join(STORED_TYPES)}, or convert in a view.",
        )
    return data_type
