"""What every source of this library is made of: the records, their lives, the run's own tables.

Reads top to bottom as a run goes: the ids to hold, the records, what is known about each, what
could not be read, the run itself. A source gives them names and tables; see ``source`` (contacts)
and ``targeted`` (any object).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any, Optional

import dlt
import pyarrow as pa
from dlt.sources import DltResource

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials.resolution import SalesforceCredentials
from salesforce_targeted.arrow.columns import FIELD_HINT, Columns
from salesforce_targeted.arrow.id_set import union
from salesforce_targeted.destination import rejected_records, sync_runs
from salesforce_targeted.destination.held_tables import REJECTED_RECORDS, SYNC_RUNS
from salesforce_targeted.extract import lifecycle
from salesforce_targeted.extract.discovery import discovered
from salesforce_targeted.extract.lifecycle_rows import changed_lives
from salesforce_targeted.extract.record_refresh import Pass, choose, refresh
from salesforce_targeted.extract.run import Run
from salesforce_targeted.extract.stages import one_at_a_time
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.retrieval.results import Refreshed
from salesforce_targeted.settings import Scope, Settings
from salesforce_targeted.target import CONTACT, Target

# Short calls are not limited in number; of those that take 20 seconds, 25 may run (5 in a
# Developer Edition). The client sends fewer as soon as answers are slow.
CALLS_IN_FLIGHT = 8
# The stages that the records of the target may depend on, or that may depend on them.
RELATIONS_STAGE, RECORDS_STAGE, LIVES_STAGE = "relations", "records", "lives"


class Runs:
    """Gives the resources of one extraction the same run, and those of the next one a new run."""

    def __init__(
        self,
        credentials: SalesforceCredentials,
        settings: Settings,
        scope: Scope,
        ledger: Ledger | None,
        target: Target = CONTACT,
    ) -> None:
        self.target = target
        self._credentials = credentials
        self._settings = settings
        self._scope = scope
        self._ledger = ledger
        self._run: Run | None = None
        self.lock = Lock()

    def of(self, stage: str) -> Run:
        """The run that a stage belongs to; a stage that begins again belongs to a new run."""
        if self._run is None or self._run.turns.has_begun(stage):
            client = SalesforceClient(
                self._credentials, limits=self._scope.limits, max_in_flight=CALLS_IN_FLIGHT
            )
            client.meter.calls_allowed = self._settings.calls_per_run
            ledger = self._ledger if self._ledger is not None else Ledger()
            self._run = Run(
                client,
                self._settings,
                self._scope,
                ledger,
                target=self.target,
                loads_what_came=self._ledger is not None,
            )
        return self._run


def of_target(runs: Runs, id_column: str) -> tuple[DltResource, DltResource]:
    """The resources of the records and of their lives: ``contact``, ``contact_life``."""
    target = runs.target
    many = target.life_table.removeprefix("sf_")
    ids = dlt.resource(active_ids, name=many, selected=False)(runs)
    found = dlt.transformer(records, name=target.resource, **table(target.table, id_column))
    hints = {name: {"description": text} for name, text in lifecycle.descriptions(target).items()}
    about = table(target.life_table, target.life_key, hints)
    lives = dlt.resource(record_lives, name=f"{target.resource}_life", **about)
    return ids | found(runs), lives(runs)


def of_run(runs: Runs) -> tuple[DltResource, DltResource]:
    """The resources ``rejected_record`` and ``sync_run``."""
    rejected = table(REJECTED_RECORDS, *rejected_records.KEY_AND_HINTS)
    return (
        dlt.resource(rejected_record, **rejected)(runs),
        dlt.resource(sync_run, **table(SYNC_RUNS, "run_id"))(runs),
    )


@one_at_a_time
def active_ids(runs: Runs) -> Iterator[Optional[Pass]]:
    """The ids of the records to hold true: one complete set, not loaded itself.

    It is planned as a whole, and a set that is not complete would make records leave.
    """
    run = runs.of("discovery")
    run.turns.promise(RECORDS_STAGE)
    with run.stage("discovery"):
        yield from run.turns.after(RELATIONS_STAGE)
        named = run.named_contacts.ids
        if run.scope.discovers:
            named = union(named, discovered(run).ids)
        run.ledger.tally(run.target.object_name).discovered = len(named)
        yield choose(run, run.target.table, named)


@one_at_a_time
def records(found: Pass, runs: Runs) -> Iterator[Any]:
    """Active records with all their fields."""
    run = runs.of(RECORDS_STAGE)
    with run.stage(RECORDS_STAGE):
        books = Refreshed()
        at = run.target.table
        yield from described(run, at, refresh(run, at, found, books))
        run.answered = books
        run.asked = found.ids
        run.ledger.contacts_gone = {id_: gone.reason for id_, gone in books.gone.items()}


@one_at_a_time
def record_lives(runs: Runs) -> Iterator[Any]:
    """What is known about each record ever held: active, left, gone, merged, since when."""
    run = runs.of(LIVES_STAGE)
    with run.stage(LIVES_STAGE):
        yield from run.turns.after(RELATIONS_STAGE, RECORDS_STAGE)
        yield from changed_lives(run)


@one_at_a_time
def rejected_record(runs: Runs) -> Iterator[Any]:
    """Records and values that could not be fetched or loaded, until they can be."""
    run = runs.of("rejected_record")
    with run.stage("rejected_record"):
        yield from run.turns.after(RELATIONS_STAGE, RECORDS_STAGE, "task", "user")
        if run.ledger.rejected:
            run.ledger.warn(
                f"{len(run.ledger.rejected):,} values or records could not be read or loaded:"
                f" {REJECTED_RECORDS} lists them, and every run tries them again"
            )
        table = rejected_records.to_table(run.held, run.ledger)
        # The first run makes the table, so that asking it is never an error.
        if table.num_rows or not run.held.column_hints(REJECTED_RECORDS):
            yield table


@one_at_a_time
def sync_run(runs: Runs) -> Iterator[Any]:
    """The run's own facts."""
    run = runs.of("sync_run")
    with run.stage("sync_run"):
        yield from run.turns.after(RELATIONS_STAGE, RECORDS_STAGE, "task", "user", LIVES_STAGE)
        yield sync_runs.to_table(run.facts("loaded"))


def described(run: Run, table: str, rows: Iterator[pa.Table]) -> Iterator[Any]:
    """The tables, the first one with Salesforce's labels and field names as column hints."""
    for position, batch in enumerate(rows):
        run.log_records(table, batch)
        if position:
            yield batch
        else:
            yield dlt.mark.with_hints(
                batch, dlt.mark.make_hints(columns=_hints(run.columns(table)))
            )


def _hints(columns: Columns) -> Any:
    return {
        column.name: {"description": column.description, FIELD_HINT: column.field}
        for column in columns.items
    }


def table(name: str, key: str | Sequence[str], hints: Any = None) -> dict[str, Any]:
    """What all our tables have in common: merged by key, loaded as parquet.

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
