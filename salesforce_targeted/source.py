"""The problem statement: contacts that a logged activity points at, with their tasks and users.

Reads top to bottom as a sync goes: the relations, the contacts that they name (``resources``), the
tasks that they name, the users that all of those name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Optional

import dlt
import pyarrow as pa
from dlt.sources import DltResource

from salesforce_targeted.api.credentials.resolution import SalesforceCredentials
from salesforce_targeted.arrow.id_set import IdSet, id_array, union
from salesforce_targeted.destination.held_tables import CONTACTS, RELATIONS, TASKS, USERS
from salesforce_targeted.extract.record_refresh import LAG, choose, refresh
from salesforce_targeted.extract.relation_refresh import RelationRefresh
from salesforce_targeted.extract.resources import (
    RECORDS_STAGE,
    RELATIONS_STAGE,
    Runs,
    described,
    of_run,
    of_target,
    table,
)
from salesforce_targeted.extract.run import Run
from salesforce_targeted.extract.stages import one_at_a_time
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.retrieval.results import Refreshed
from salesforce_targeted.settings import Scope, Settings


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
        credentials (SalesforceCredentials): Any way in ``.dlt/secrets.toml.example``.
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
    settings = Settings.parse(
        since=since,
        fields=fields,
        refresh_call_budget=refresh_call_budget,
        full_refresh_days=full_refresh_days,
        daily_call_reserve=daily_call_reserve,
        calls_per_run=calls_per_run,
        api=api,
        id_column=id_column,
    )
    runs = Runs(credentials, settings, scope or Scope(), ledger)
    to_tasks = _reference("TaskId", TASKS, id_column)
    to_contacts = _reference("RelationId", CONTACTS, id_column)

    relation = dlt.resource(
        task_who_relation, references=[to_tasks, to_contacts], **table(RELATIONS, id_column)
    )
    contact, contact_life = of_target(runs, id_column)
    return (
        relation(runs),
        contact,
        dlt.resource(task, **table(TASKS, id_column))(runs),
        dlt.resource(user, **table(USERS, id_column))(runs),
        contact_life,
        *of_run(runs),
    )


@one_at_a_time
def task_who_relation(
    runs: Runs,
    modified: dlt.sources.incremental[datetime] = dlt.sources.incremental(
        # Equal stamps are read again, not remembered: thousands of rows can share one second.
        "SystemModstamp",
        lag=LAG.total_seconds(),
        primary_key=(),
    ),
) -> Iterator[Any]:
    """Relations of tasks to contacts and leads, those modified since the last run."""
    run = runs.of(RELATIONS_STAGE)
    with run.stage(RELATIONS_STAGE):
        # The range is applied in SOQL; rows that came late or back may lie before it.
        modified.advance(None)  # type: ignore[arg-type]
        yield from described(run, RELATIONS, _relation_rows(run, modified))


@one_at_a_time
def task(runs: Runs) -> Iterator[Any]:
    """The tasks that held relations name, archived ones too."""
    run = runs.of("task")
    with run.stage("task"):
        yield from run.turns.after(RELATIONS_STAGE)
        if run.shows("Task"):
            chosen = choose(
                run, TASKS, union(run.named_tasks.ids, run.held_values(RELATIONS, "TaskId"))
            )
            run.named_tasks = IdSet()  # a million of them take room, and nobody asks again
            books = Refreshed()
            yield from described(run, TASKS, refresh(run, TASKS, chosen, books))
            run.ledger.explain_tasks(books.archived, books.gone)


@one_at_a_time
def user(runs: Runs) -> Iterator[Any]:
    """The users who own, made or last modified held rows."""
    run = runs.of("user")
    with run.stage("user"):
        yield from run.turns.after(RELATIONS_STAGE, RECORDS_STAGE, "task")
        if run.shows("User"):
            named = union(id_array(run.named_users), run.users_of_held())
            books = Refreshed()
            yield from described(run, USERS, refresh(run, USERS, choose(run, USERS, named), books))


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


def _reference(field: str, table: str, id_column: str) -> Any:
    return {"columns": [field], "referenced_table": table, "referenced_columns": [id_column]}
