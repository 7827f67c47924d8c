"""Make the dlt resources that every source of this library has.

A source gives them names and tables; see ``source`` (contacts) and ``any_object``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any, Optional

import dlt
import pyarrow as pa
from dlt.common.libs import is_arrow_object, is_pandas_frame
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.extract.items_transform import MapItem
from dlt.sources import DltResource

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SalesforceCredentials
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.destination import rejected_records, sync_runs, table_comments
from salesforce_targeted.destination.held_tables import REJECTED_RECORDS, SYNC_RUNS
from salesforce_targeted.extract import lifecycle
from salesforce_targeted.extract.id_selection import Selection
from salesforce_targeted.extract.known_org import check_source
from salesforce_targeted.extract.run import Run
from salesforce_targeted.extract.stages import (
    REJECTED,
    RELATION,
    SYNC_RUN,
    Extraction,
    ids_resource,
)
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.settings import Scope, Settings
from salesforce_targeted.target import CONTACT, Target

# Short calls are not limited in number; of those that take 20 seconds, 25 may run (5 in a
# Developer Edition). The client sends fewer as soon as responses are slow.
CALLS_IN_FLIGHT = 8
# In the source's state: which of its resources the load under way has.
_LOADING = "loading"


def scope_of(given: Scope | None) -> Scope:
    """Return what a run looks at, all that changed where nothing is given.

    Raises:
        ConfigurationError: it is no scope.
    """
    if given is None or isinstance(given, Scope):
        return given or Scope()
    written = ", ".join(f"{k}={v!r}" for k, v in given.items()) if isinstance(given, dict) else "…"
    raise ConfigurationError(
        f"scope = {given!r} is no Scope",
        remedy=f"Write scope=Scope({written}), after from salesforce_targeted import Scope.",
    )


class Extractions:
    """Give the resources of one extraction the same run, and those of the next one a new run."""

    def __init__(
        self,
        credentials: SalesforceCredentials,
        settings: Settings,
        scope: Scope | None,
        ledger: Ledger | None,
        target: Target = CONTACT,
    ) -> None:
        self.target = target
        self._credentials = credentials
        self._settings = settings
        self._scope = scope_of(scope)
        self._ledger = ledger
        self._current: Extraction | None = None
        # With ``parallelize()`` dlt starts resources in threads.
        self._lock = Lock()

    def of(self, resource: str) -> Extraction:
        """Return the extraction of a resource; one that begins again belongs to a new one."""
        with self._lock:
            extraction = self._extraction(resource)
            extraction.begun.add(resource)
        return extraction

    def _extraction(self, resource: str) -> Extraction:
        if self._current is None or resource in self._current.begun:
            _check_pipeline()
            client = SalesforceClient(
                self._credentials,
                limits=self._scope.limits,
                max_in_flight=CALLS_IN_FLIGHT,
                api_version=self._settings.api_version,
            )
            client.meter.calls_allowed = self._settings.calls_per_run
            ledger = Ledger(is_read=False) if self._ledger is None else self._ledger
            run = Run(client, self._settings, self._scope, ledger, target=self.target)
            wanted = frozenset(dlt.current.source().resources.selected)
            _check_loaded(self.target, resource, wanted)
            check_source(self.target, run.state)  # it names the other one
            _check_load(run.state, wanted - {REJECTED, SYNC_RUN})
            self._current = Extraction(run, wanted)
        return self._current

    def items(self, resource: str) -> Iterator[Any]:
        """Yield the tables of a resource."""
        yield from self.of(resource).items(resource)

    def check_types(self, table: str, rows: Any) -> Any:
        """Check rows as they are loaded, whatever a user's ``add_map`` made of them."""
        if self._current is not None and (is_arrow_object(rows) or is_pandas_frame(rows)):
            schema = rows.schema if is_arrow_object(rows) else pa.Schema.from_pandas(rows)
            self._current.run.column_types.check(table, schema)
        return rows


class TypeCheck(MapItem):
    """Come after every step of the user's, in whatever order dlt is given them."""

    placement_affinity = 1.5


def _check_pipeline() -> None:
    """Refuse to be iterated by hand.

    Raises:
        ConfigurationError: no load is under way.
    """
    try:
        dlt.current.load_package_state()
    except CurrentLoadPackageStateNotAvailable:
        raise ConfigurationError(
            "this source runs in a pipeline: what its dataset holds says which rows are to load",
            remedy="Write pipeline.run(source), and read the tables with pipeline.dataset().",
        ) from None


def _check_loaded(target: Target, polled: str, wanted: Collection[str]) -> None:
    """Refuse a resource that is polled and not loaded under its name: nothing would come of it.

    Raises:
        ConfigurationError: it was given another name, or only feeds a transformer.
    """
    name = target.resource if polled == ids_resource(target) else polled
    if name not in wanted:
        raise ConfigurationError(
            f"{name} is not loaded by this name, but {', '.join(sorted(wanted))}: what is held of"
            " it would not be known",
            remedy="Leave with_name() out, and add a transformer of your own beside it:"
            f' source.resources["mine"] = source.{name} | mine.',
        )


def _check_load(state: dict[str, Any], resources: Collection[str]) -> None:
    """Refuse a second source that loads the same tables in one load, which holds no row twice.

    Raises:
        ConfigurationError: a source of this load has been extracted that fills one of them.
    """
    load_id = dlt.current.load_package_state()["load_id"]
    before = state.get(_LOADING, {})
    others = before.get("resources", []) if before.get("load_id") == load_id else []
    if twice := sorted({*resources} & {*others}):
        raise ConfigurationError(
            f"two sources of one run load {', '.join(twice)}: each row would be held twice",
            remedy="Run them one after the other, or give one a table of its own.",
        )
    state[_LOADING] = {"load_id": load_id, "resources": sorted({*others, *resources})}


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

    made: DltResource = dlt.resource(items, name=name, **hints)()
    return made


def completed(extractions: Extractions, *resources: DltResource) -> tuple[DltResource, ...]:
    """Give each resource the check of its rows, and its table's description, which dlt shows."""
    texts = table_comments.descriptions(extractions.target)
    for resource in resources:
        if resource.selected:
            table = str(resource.table_name)
            resource.add_step(TypeCheck(partial(extractions.check_types, table)))
            resource.apply_hints(additional_table_hints={"description": texts[table]})
    return resources


def task_who_relation(
    extractions: Extractions,
    modified: dlt.sources.incremental[datetime] = dlt.sources.incremental(
        # Equal stamps are read again, not remembered: thousands of rows can share one second.
        "SystemModstamp",
        lag=15 * 60,
        primary_key=(),
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
