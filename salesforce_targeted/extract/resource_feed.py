"""Hand the resources of one extraction their tables as the stages come to them.

The stages are one generator; whichever resource dlt polls takes it a step further, and a table that
is another resource's waits for that one. A resource that yields None says "not yet" and is polled
again.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from threading import Lock
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.libs import is_arrow_object, is_pandas_frame, is_polars_frame
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.sources import incremental

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SalesforceCredentials
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.arrow.id_set import is_unique
from salesforce_targeted.destination import rejected_records, sync_runs
from salesforce_targeted.destination.table_names import REJECTED_RECORDS, RELATIONS, SYNC_RUNS
from salesforce_targeted.extract import lifecycle
from salesforce_targeted.extract.findings import RecordFindings, RelationFindings
from salesforce_targeted.extract.org_changes import check_source
from salesforce_targeted.extract.run import RELATION_COLUMNS, Run
from salesforce_targeted.extract.stages import REJECTED, SYNC_RUN, ids_resource, stages
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.settings import Scope, Settings, scope_of
from salesforce_targeted.target import CONTACT, Target

# Short calls are not limited in number; of those that take 20 seconds, 25 may run (5 in a
# Developer Edition). The client sends fewer as soon as responses are slow.
CALLS_IN_FLIGHT = 8
# In the source's state: which of its resources the load under way has.
_LOADING = "loading"


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
            if self._current is None or resource in self._current.begun:
                self._current = self._begun_by(resource)
            self._current.begun.add(resource)
            return self._current

    def _begun_by(self, resource: str) -> Extraction:
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
        return Extraction(run, wanted)

    def items(self, resource: str) -> Iterator[Any]:
        """Yield the tables of a resource."""
        yield from self.of(resource).items(resource)

    def check_rows(self, table: str, rows: Any) -> Any:
        """Check rows as they are loaded, whatever a user's ``add_map`` made of them.

        Returns:
            The rows; None where there is none, which parquet can't load into PostgreSQL.

        Raises:
            ConfigurationError: values are of another type than their column's, or an id is there
                twice: both rows would be held, where no index forbids it.
        """
        if is_pandas_frame(rows):
            rows = pa.Table.from_pandas(rows, preserve_index=False)
        elif is_polars_frame(rows):
            rows = rows.lazy().collect().to_arrow()
        if self._current is None or not is_arrow_object(rows):
            return rows
        run = self._current.run
        run.column_types.check(table, rows.schema)
        key, *others = _read_back(run, table)
        names = {run.held.name(name) for name in rows.schema.names}
        if lost := [name for name in (key, *others) if run.held.name(name) not in names]:
            raise ConfigurationError(
                f"{table}: what add_map returned lacks {', '.join(lost)}, by which later runs"
                " compare what is held with the org",
                remedy="Return these columns; one that is not to be kept may be null, but no id.",
            )
        if table == REJECTED_RECORDS:  # has another key, and is loaded as csv where it is empty
            return rows
        if key in rows.schema.names and not is_unique(rows.column(key)):
            raise ConfigurationError(
                f"{table}: what add_map returned has an id twice, and {key} is the key",
                remedy="Return one row for each that came; for several take a transformer of your"
                ' own: source.resources["mine"] = source.contact | mine.',
            )
        return rows if rows.num_rows else None


def _read_back(run: Run, table: str) -> Sequence[str]:
    """Return the columns of a table that later runs need, its key first."""
    if table == RELATIONS:
        needed = run.columns(RELATIONS).only(("RelationId", "TaskId", "SystemModstamp")).items
        return *(column.name for column in needed), *RELATION_COLUMNS
    made = {REJECTED_RECORDS: rejected_records.SCHEMA, SYNC_RUNS: sync_runs.SCHEMA}
    if table == run.target.life_table:
        made[table] = lifecycle.schema(run.target.life_key)
    return made[table].names if table in made else (run.settings.id_column,)


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
            remedy="Leave with_name() out, and add a transformer of your own for it:"
            f' source.resources["mine"] = source.{name} | mine.',
        )


def _check_load(state: dict[str, Any], resources: Collection[str]) -> None:
    """Refuse a second source that loads the same tables in one load, which holds no row twice.

    Raises:
        ConfigurationError: a source of this load has been extracted that fills one of them.
    """
    load_id = dlt.current.load_package_state()["load_id"]
    before = state.get(_LOADING, {})
    earlier = before.get("resources", []) if before.get("load_id") == load_id else []
    if twice := sorted({*resources} & {*earlier}):
        raise ConfigurationError(
            f"two sources of one run load {', '.join(twice)}: each row would be held twice",
            remedy="Run them one after the other, or give one a table of its own.",
        )
    state[_LOADING] = {"load_id": load_id, "resources": sorted({*earlier, *resources})}


class Extraction:
    """Hand the resources that one extraction loads what the stages yield for them."""

    def __init__(self, run: Run, wanted: Collection[str]) -> None:
        self.run = run
        self.begun: set[str] = set()
        self.modified: incremental[datetime] | None = None
        self._stages = stages(run, wanted, lambda: self.modified)
        self._ended: set[str] = set()
        self._waiting: dict[str, deque[Any]] = defaultdict(deque)
        self._polled = ""
        self._finished = False
        # With ``parallelize()`` dlt polls from threads.
        self._lock = Lock()

    def items(self, resource: str) -> Iterator[Any]:
        """Yield what the stages yield for a resource, None where that is not known yet."""
        try:
            while True:
                with self._lock:
                    if not self._waiting[resource] and not self._finished:
                        self._step(resource)
                    queue = self._waiting[resource]
                    if not queue and self._finished:
                        return
                    item = queue.popleft() if queue else None
                yield item
        finally:
            self._ended.add(resource)
            self._waiting.pop(resource, None)
            if self._ended >= self.begun:
                self.run.close()

    def _step(self, resource: str) -> None:
        """Take the stages one step further, unless another resource has yet to take its table.

        One that is never polled while this one is (dlt's ``fifo``) is not waited for.
        """
        pending = any(items for name, items in self._waiting.items() if name not in self._ended)
        is_repeat, self._polled = self._polled == resource, resource
        if pending and not is_repeat:
            return
        try:
            owner, item = next(self._stages)
        except StopIteration:
            self._finished = True
            # The load needs the room of a million ids. Whether its cursor moves is still asked for.
            self.run.relations = RelationFindings(complete=self.run.relations.complete)
            self.run.records = self.run.tasks = self.run.users = RecordFindings()
            self.run.active = None
            return
        except BaseException:
            # The error keeps this run alive for as long as it is looked at. What was sent ahead
            # ends with it: no call after this one.
            self._finished = True
            self.run.client.meter.calls_allowed = 0
            self.run.close()
            raise
        if item is not None and owner not in self._ended:
            self._waiting[owner].append(item)
