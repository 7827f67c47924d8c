"""The problem statement: contacts that a logged activity points at, with their tasks and users.

Reads top to bottom as a sync goes: the relations, the contacts that they name, the tasks that they
name, the users that all of those name, and what is known about each contact's life.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Optional

import dlt
import pendulum
import pyarrow as pa
from dlt.sources import DltResource

from salesforce_targeted import life
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SalesforceCredentials
from salesforce_targeted.api.errors import ConfigurationError, SalesforceError
from salesforce_targeted.columns import FIELD_HINT, Columns
from salesforce_targeted.held import (
    ACTIVE_CONTACTS,
    CONTACTS,
    REJECTED_RECORDS,
    RELATIONS,
    TASKS,
    USERS,
)
from salesforce_targeted.ledger import HIDDEN, Ledger
from salesforce_targeted.plan import Api
from salesforce_targeted.refresh import LAG, choose, refresh
from salesforce_targeted.relation_refresh import RelationRefresh
from salesforce_targeted.retrieval import Refreshed
from salesforce_targeted.run import Run, Scope, Settings

UPSERT = {"disposition": "merge", "strategy": "upsert"}
CALLS_IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class ActiveContacts:
    """One complete set: what the org shows now and what is held; the cheapest way depends on all."""

    ids: Sequence[str]
    whole: bool


@dlt.source(name="salesforce_targeted", max_table_nesting=0)
def salesforce_targeted(
    credentials: SalesforceCredentials = dlt.secrets.value,
    since: Optional[str] = None,
    fields: Optional[list[str]] = None,
    refresh_call_budget: int = 100,
    full_refresh_days: int = 7,
    daily_call_reserve: float = 0.1,
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
        api (Optional[str]): Force "collections", "query" or "bulk"; the rows are the same.
        id_column (str): What Salesforce's ``Id`` is called in every table.
        scope (Optional[Scope]): What this run looks at, where that is not the default.
        ledger (Optional[Ledger]): Where the run writes what happened.

    Returns:
        Resources ``task_who_relation`` (table ``sf_taskwhorelations``), ``contact``
        (``sf_contacts``), ``task`` (``sf_activities``), ``user`` (``sf_users``), ``contact_life``
        (``sf_active_contacts``) and ``rejected_record`` (``sf_rejected_records``). All are merged
        by key (upsert); columns that others added to the tables are left alone.
    """
    settings = Settings(
        since=_moment(since),
        fields=tuple(fields) if fields else None,
        refresh_call_budget=refresh_call_budget,
        full_refresh_days=full_refresh_days,
        api=_api(api),
        id_column=id_column,
    )
    runs = _Runs(credentials, settings, scope or Scope(), ledger)
    key: Any = {id_column: {"unique": True, "nullable": False}}

    @dlt.resource(
        name="task_who_relation",
        table_name=RELATIONS,
        primary_key=id_column,
        write_disposition=UPSERT,
        columns=key,
        file_format="parquet",
        references=[
            _reference("TaskId", TASKS, id_column),
            _reference("RelationId", CONTACTS, id_column),
        ],
    )
    def task_who_relation(
        modified: dlt.sources.incremental[datetime] = dlt.sources.incremental(
            # Equal stamps are re-read, not remembered: thousands of rows can share one second.
            "SystemModstamp", lag=LAG.total_seconds(), primary_key=()
        ),
    ) -> Iterator[pa.Table]:
        """Relations of tasks to contacts and leads, those modified since the last run."""
        run = runs.of("relations")
        with run.stage("relations"):
            # The range is applied in SOQL; rows that came late or back may lie before it.
            modified.advance(None)  # type: ignore[arg-type]
            yield from _described(run.columns(RELATIONS), _relations(run, modified))

    @dlt.resource(name="active_contacts", selected=False)
    def active_contacts() -> Iterator[Optional[ActiveContacts]]:
        """The ids of the contacts to hold true: one complete set, not loaded itself."""
        run = runs.of("discovery")
        run.promise("contact")
        with run.stage("discovery"):
            yield from run.after("relations")
            discovered = {} if run.scope.limit is not None else run.discovered
            named = {*discovered, *run.named_contacts}
            run.ledger.tally("Contact").discovered = len(named)
            chosen = choose(run, CONTACTS, named)
            yield ActiveContacts(chosen.ids, chosen.whole)

    @dlt.transformer(
        data_from=active_contacts,
        name="contact",
        table_name=CONTACTS,
        primary_key=id_column,
        write_disposition=UPSERT,
        columns=key,
        file_format="parquet",
    )
    def contact(found: ActiveContacts) -> Iterator[pa.Table]:
        """Active contacts with all their fields."""
        run = runs.of("contact")
        with run.stage("contact"):
            books = Refreshed()
            yield from _described(run.columns(CONTACTS), refresh(run, CONTACTS, found, books))
            run.contacts = books
            run.asked_contacts = frozenset(found.ids)
            run.ledger.contacts_gone = {id_: one.reason for id_, one in books.gone.items()}

    @dlt.resource(
        name="task",
        table_name=TASKS,
        primary_key=id_column,
        write_disposition=UPSERT,
        columns=key,
        file_format="parquet",
    )
    def task() -> Iterator[Optional[pa.Table]]:
        """The tasks that held relations name, archived ones too."""
        run = runs.of("task")
        with run.stage("task"):
            yield from run.after("relations")
            named = set(run.named_tasks)
            if run.scope.complete:
                named.update(run.held.ids(RELATIONS, run.held.name("TaskId")))
            books = Refreshed()
            if not _shown(run, "Task"):
                return
            rows = refresh(run, TASKS, choose(run, TASKS, named), books)
            yield from _described(run.columns(TASKS), rows)
            _explain_tasks(run, books)

    @dlt.resource(
        name="user",
        table_name=USERS,
        primary_key=id_column,
        write_disposition=UPSERT,
        columns=key,
        file_format="parquet",
    )
    def user() -> Iterator[Optional[pa.Table]]:
        """The users who own, made or last modified held rows."""
        run = runs.of("user")
        with run.stage("user"):
            yield from run.after("relations", "contact", "task")
            named = set(run.named_users)
            if run.scope.complete:
                named.update(_users_of_held(run))
            if not _shown(run, "User"):
                return
            rows = refresh(run, USERS, choose(run, USERS, named), Refreshed())
            yield from _described(run.columns(USERS), rows)

    @dlt.resource(
        name="contact_life",
        table_name=ACTIVE_CONTACTS,
        primary_key="contact_id",
        write_disposition=UPSERT,
        columns={  # type: ignore[arg-type]
            name: {"description": text} for name, text in life.DESCRIPTIONS.items()
        }
        | {"contact_id": {"unique": True, "nullable": False}},
        file_format="parquet",
    )
    def contact_life() -> Iterator[Optional[pa.Table]]:
        """What is known about each contact ever held: active, left, gone, merged, since when."""
        run = runs.of("contact_life")
        with run.stage("contact_life"):
            yield from run.after("relations", "contact")
            lives = _lives(run)
            if lives:
                yield life.to_table(lives)

    return (task_who_relation, active_contacts, contact, task, user, contact_life)


class _Runs:
    """Gives the resources of one extraction the same run, and those of the next one a new run."""

    def __init__(
        self,
        credentials: SalesforceCredentials,
        settings: Settings,
        scope: Scope,
        ledger: Ledger | None,
    ) -> None:
        self._made = lambda: Run(
            SalesforceClient(credentials, max_in_flight=CALLS_IN_FLIGHT),
            settings,
            scope,
            ledger if ledger is not None else Ledger(mode=scope.mode),
        )
        self._run: Run | None = None

    def of(self, stage: str) -> Run:
        if self._run is None or self._run.has_begun(stage):
            self._run = self._made()
        return self._run


def _relations(run: Run, modified: dlt.sources.incremental[datetime]) -> Iterator[pa.Table]:
    """Relation rows to load; the cursor moves when all of them have been read."""
    reading = RelationRefresh(run)
    last = modified.get_current_range(apply_lag=False)[0]
    since = run.scope.since or (None if run.scope.full else modified.start_value)
    if not run.filters_by_stamp:
        since = None
    elif run.settings.since is not None:
        since = max(since or run.settings.since, run.settings.since)
    yield from reading.read(since)
    if run.scope.complete:
        yield from reading.mend()
    if reading.newest is not None and run.scope.since is None:
        modified.advance(max(last or reading.newest, reading.newest))
        run.ledger.cursor = max(last or reading.newest, reading.newest)


def _described(columns: Columns, tables: Iterator[pa.Table]) -> Iterator[Any]:
    """The tables, the first one with Salesforce's labels and field names as column hints."""
    hints: Any = {
        column.name: {"name": column.name, "description": column.description, FIELD_HINT: column.field}
        for column in columns.items
    }
    for position, table in enumerate(tables):
        if position:
            yield table
        else:
            yield dlt.mark.with_hints(table, dlt.mark.make_hints(columns=hints))


def _lives(run: Run) -> list[life.Life]:
    held = run.held
    known = {
        row[0]: life.Life(row[0], *row[1:])
        for row in held.rows(ACTIVE_CONTACTS, [held.name(n) for n in life.SCHEMA.names])
    }
    books = run.contacts or Refreshed()
    complete = run.scope.complete
    counts = run.discovered if complete else {
        who: run.held_relations[who] for who in run.named_contacts
    }  # fmt: skip
    state = dlt.current.source_state()
    before = state.get("discovered_at")
    seen = life.Sighting(
        counts=counts,
        complete=complete,
        gone=books.gone,
        rejected=frozenset(books.rejected),
        asked=run.asked_contacts,
        left_reasons=run.left_reasons,
        now=run.ledger.started_at,
        before=datetime.fromisoformat(before) if before else None,
    )
    if complete:
        state["discovered_at"] = run.ledger.started_at.isoformat()
    held_ids = held.ids(CONTACTS, run.columns(CONTACTS).key.stored)
    came = run.asked_contacts - books.gone.keys() - books.rejected
    return life.changed(known, {*held_ids, *came}, seen)


def _explain_tasks(run: Run, books: Refreshed) -> None:
    """Say of every task that a plain read did not show why."""
    missing = run.ledger.tasks_missing
    missing["archived"].extend(books.archived)
    for id_, gone in sorted(books.gone.items()):
        missing[HIDDEN if gone.reason == HIDDEN else "deleted"].append(id_)


def _users_of_held(run: Run) -> set[str]:
    named: set[str] = set()
    for table in (RELATIONS, CONTACTS, TASKS):
        hints = run.held.column_hints(table)
        for field in ("OwnerId", "CreatedById", "LastModifiedById"):
            column = run.held.name(field)
            if column in hints:
                named.update(run.held.ids(table, column, f"{column} LIKE '005%'"))
    return named


def _shown(run: Run, object_name: str) -> bool:
    """Whether the org shows an object to our user; without it the rest of the run goes on."""
    answer = run.describes[object_name]
    if isinstance(answer, SalesforceError):
        run.ledger.warn(f"{object_name} was left out: {answer}")
        return False
    return True


def _reference(field: str, table: str, id_column: str) -> Any:
    return {"columns": [field], "referenced_table": table, "referenced_columns": [id_column]}


def _moment(text: str | datetime | None) -> datetime | None:
    if text is None:
        return None
    if isinstance(text, datetime):
        return text if text.tzinfo else text.replace(tzinfo=UTC)
    try:
        return pendulum.parse(text, tz="UTC")  # type: ignore[return-value]
    except ValueError:
        raise ConfigurationError(
            f"since = {text!r} is not a date",
            remedy="Write it as 2024-01-31 or 2024-01-31T08:00:00Z.",
        ) from None


def _api(name: str | None) -> Api | None:
    if name is None:
        return None
    try:
        return Api(name)
    except ValueError:
        ways = ", ".join(api.value for api in Api)
        raise ConfigurationError(
            f"api = {name!r} is not a way to retrieve", remedy=f"Choose one of {ways}."
        ) from None
