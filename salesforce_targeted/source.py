"""The problem statement: contacts that a logged activity points at, with their tasks and users.

Reads top to bottom as a sync goes: the relations, the contacts that they name, the tasks that they
name, the users that all of those name, and what is known about each contact's life.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Optional

import dlt
import pyarrow as pa
from dlt.sources import DltResource

from salesforce_targeted import life, rejections, sync_runs
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.sign_in_choice import SalesforceCredentials
from salesforce_targeted.columns import FIELD_HINT, Columns
from salesforce_targeted.contact_lives import changed_lives
from salesforce_targeted.discovery import discovered
from salesforce_targeted.held import (
    ACTIVE_CONTACTS,
    CONTACTS,
    REJECTED_RECORDS,
    RELATIONS,
    SYNC_RUNS,
    TASKS,
    USERS,
)
from salesforce_targeted.id_set import id_array, union
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.refresh import LAG, Pass, choose, refresh
from salesforce_targeted.relation_refresh import RelationRefresh
from salesforce_targeted.retrieval import Refreshed
from salesforce_targeted.run import Run
from salesforce_targeted.settings import Scope, Settings, settings_of

# Short calls are not limited in number; of those that take 20 seconds, 25 may run (5 in a
# Developer Edition). The client sends fewer as soon as answers are slow.
CALLS_IN_FLIGHT = 8


@dlt.source(name="salesforce_targeted", max_table_nesting=0)
def salesforce_targeted(
    credentials: SalesforceCredentials = dlt.secrets.value,
    since: Optional[str] = None,
    fields: Optional[list[str]] = None,
    refresh_call_budget: int = 100,
    full_refresh_days: int = 7,
    daily_call_reserve: float = 0.1,
    calls_per_run: Optional[int] = None,
    api: Optional[str] = None,
    id_column: str = "id",
    scope: Optional[Scope] = None,
    ledger: Optional[Ledger] = None,
) -> Iterable[DltResource]:
    """Contacts with logged activities, the relations and tasks that make them active, and users.

    Args:
        credentials (SalesforceCredentials): One of the six ways to sign in.
        since (Optional[str]): Relations before this date don't count. None: all do.
        fields (Optional[list[str]]): API names of the Contact fields to take. None: all.
        refresh_call_budget (int): Up to so many calls everything held is read again each run.
        full_refresh_days (int): Beyond that budget, a whole pass follows every so many days.
        daily_call_reserve (float): Share of the org's daily calls that is left to others.
        calls_per_run (Optional[int]): A run spends no more calls than this. None: no bound.
        api (Optional[str]): Force "collections", "composite", "query" or "bulk"; the rows are the
            same.
        id_column (str): What Salesforce's ``Id`` is called in every table.
        scope (Optional[Scope]): What this run looks at, where that is not the default.
        ledger (Optional[Ledger]): Where the run writes what happened. A run whose calls are spent
            then loads what came and says so in ``ledger.stopped``; without a ledger it fails.

    Returns:
        Resources ``task_who_relation`` (table ``sf_taskwhorelations``), ``contact``
        (``sf_contacts``), ``task`` (``sf_activities``), ``user`` (``sf_users``), ``contact_life``
        (``sf_active_contacts``), ``rejected_record`` (``sf_rejected_records``) and ``sync_run``
        (``sf_sync_runs``). All are merged by key (upsert); columns of others are left alone.
    """
    settings = settings_of(
        since,
        fields,
        refresh_call_budget,
        full_refresh_days,
        daily_call_reserve,
        calls_per_run,
        api,
        id_column,
    )
    runs = _Runs(credentials, settings, scope or Scope(), ledger)
    to_tasks = _reference("TaskId", TASKS, id_column)
    to_contacts = _reference("RelationId", CONTACTS, id_column)
    life_hints = {name: {"description": text} for name, text in life.DESCRIPTIONS.items()}

    relation = dlt.resource(
        task_who_relation, references=[to_tasks, to_contacts], **_table(RELATIONS, id_column)
    )
    contacts = dlt.transformer(contact, **_table(CONTACTS, id_column))
    lives = dlt.resource(contact_life, **_table(ACTIVE_CONTACTS, "contact_id", life_hints))
    return (
        relation(runs),
        dlt.resource(active_contacts, selected=False)(runs) | contacts(runs),
        dlt.resource(task, **_table(TASKS, id_column))(runs),
        dlt.resource(user, **_table(USERS, id_column))(runs),
        lives(runs),
        dlt.resource(rejected_record, **_table(REJECTED_RECORDS, *rejections.KEY_AND_HINTS))(runs),
        dlt.resource(sync_run, **_table(SYNC_RUNS, "run_id"))(runs),
    )


def task_who_relation(
    runs: _Runs,
    modified: dlt.sources.incremental[datetime] = dlt.sources.incremental(
        # Equal stamps are read again, not remembered: thousands of rows can share one second.
        "SystemModstamp",
        lag=LAG.total_seconds(),
        primary_key=(),
    ),
) -> Iterator[Any]:
    """Relations of tasks to contacts and leads, those modified since the last run."""
    run = runs.of("relations")
    with run.stage("relations"):
        # The range is applied in SOQL; rows that came late or back may lie before it.
        modified.advance(None)  # type: ignore[arg-type]
        yield from _described(run, RELATIONS, _relation_rows(run, modified))


def active_contacts(runs: _Runs) -> Iterator[Optional[Pass]]:
    """The ids of the contacts to hold true: one complete set, not loaded itself.

    It is planned as a whole, and a set that is not complete would make contacts leave.
    """
    run = runs.of("discovery")
    run.turns.promise("contact")
    with run.stage("discovery"):
        yield from run.turns.after("relations")
        named = run.named_contacts.ids
        if run.scope.discovers:
            named = union(named, discovered(run).ids)
        run.ledger.tally("Contact").discovered = len(named)
        yield choose(run, CONTACTS, named)


def contact(found: Pass, runs: _Runs) -> Iterator[Any]:
    """Active contacts with all their fields."""
    run = runs.of("contact")
    with run.stage("contact"):
        books = Refreshed()
        yield from _described(run, CONTACTS, refresh(run, CONTACTS, found, books))
        run.contacts = books
        run.asked_contacts = found.ids
        run.ledger.contacts_gone = {id_: gone.reason for id_, gone in books.gone.items()}


def task(runs: _Runs) -> Iterator[Any]:
    """The tasks that held relations name, archived ones too."""
    run = runs.of("task")
    with run.stage("task"):
        yield from run.turns.after("relations")
        if run.shows("Task"):
            named = union(run.named_tasks.ids, run.held_values(RELATIONS, "TaskId"))
            books = Refreshed()
            yield from _described(run, TASKS, refresh(run, TASKS, choose(run, TASKS, named), books))
            run.ledger.explain_tasks(books.archived, books.gone)


def user(runs: _Runs) -> Iterator[Any]:
    """The users who own, made or last modified held rows."""
    run = runs.of("user")
    with run.stage("user"):
        yield from run.turns.after("relations", "contact", "task")
        if run.shows("User"):
            named = union(id_array(run.named_users), run.users_of_held())
            books = Refreshed()
            yield from _described(run, USERS, refresh(run, USERS, choose(run, USERS, named), books))


def contact_life(runs: _Runs) -> Iterator[Any]:
    """What is known about each contact ever held: active, left, gone, merged, since when."""
    run = runs.of("contact_life")
    with run.stage("contact_life"):
        yield from run.turns.after("relations", "contact")
        yield from changed_lives(run)


def rejected_record(runs: _Runs) -> Iterator[Any]:
    """Records and values that could not be fetched or loaded, until they can be."""
    run = runs.of("rejected_record")
    with run.stage("rejected_record"):
        yield from run.turns.after("relations", "contact", "task", "user")
        if run.ledger.rejected:
            run.ledger.warn(
                f"{len(run.ledger.rejected):,} values or records could not be read or loaded:"
                f" {REJECTED_RECORDS} lists them, and every run tries them again"
            )
        table = rejections.to_table(run.held, run.ledger)
        # The first run makes the table, so that asking it is never an error.
        if table.num_rows or not run.held.column_hints(REJECTED_RECORDS):
            yield table


def sync_run(runs: _Runs) -> Iterator[Any]:
    """The run's own facts."""
    run = runs.of("sync_run")
    with run.stage("sync_run"):
        yield from run.turns.after("relations", "contact", "task", "user", "contact_life")
        yield sync_runs.to_table(run.facts(sync_runs.LOADED))


class _Runs:
    """Gives the resources of one extraction the same run, and those of the next one a new run."""

    def __init__(
        self,
        credentials: SalesforceCredentials,
        settings: Settings,
        scope: Scope,
        ledger: Ledger | None,
    ) -> None:
        self._credentials = credentials
        self._settings = settings
        self._scope = scope
        self._ledger = ledger
        self._run: Run | None = None

    def of(self, stage: str) -> Run:
        """The run that a stage belongs to; a stage that begins again belongs to a new run."""
        if self._run is None or self._run.turns.has_begun(stage):
            client = SalesforceClient(
                self._credentials, limits=self._scope.limits, max_in_flight=CALLS_IN_FLIGHT
            )
            client.calls_allowed = self._settings.calls_per_run
            ledger = self._ledger if self._ledger is not None else Ledger()
            self._run = Run(
                client,
                self._settings,
                self._scope,
                ledger,
                loads_what_came=self._ledger is not None,
            )
        return self._run


def _relation_rows(run: Run, modified: dlt.sources.incremental[datetime]) -> Iterator[pa.Table]:
    """Relation rows to load; the cursor moves when all of them have been read."""
    reading = RelationRefresh(run)
    last = modified.get_current_range(apply_lag=False)[0]
    if run.scope.retry_rejected:
        yield from reading.read_again(id_array(run.held.rejected_ids("TaskWhoRelation")))
        return
    yield from reading.read(_since(run, modified))
    if run.scope.complete:
        yield from reading.mend()
    if reading.newest is not None and run.scope.since is None:
        run.ledger.cursor = max(last or reading.newest, reading.newest)
        modified.advance(run.ledger.cursor)


def _since(run: Run, modified: dlt.sources.incremental[datetime]) -> datetime | None:
    """The moment from which relations are read; None for all of them."""
    floor = run.settings.since if run.filters_by_stamp else None
    if not run.filters_by_stamp or run.scope.full or run.fits_one_page:
        return floor
    since = run.scope.since or modified.start_value
    return since if floor is None or (since and since > floor) else floor


def _described(run: Run, table: str, rows: Iterator[pa.Table]) -> Iterator[Any]:
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


def _table(name: str, key: str | Sequence[str], hints: Any = None) -> dict[str, Any]:
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


def _reference(field: str, table: str, id_column: str) -> Any:
    return {"columns": [field], "referenced_table": table, "referenced_columns": [id_column]}
