"""Share what the stages of one run need: client, settings, the org, the dataset as it was.

Each stage returns what it found, and the run keeps it for those that follow; only the stage itself
writes it. The order of the stages is in ``stages``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import dlt
import pyarrow as pa

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.models import Request
from salesforce_targeted.arrow.columns import Columns, columns
from salesforce_targeted.arrow.id_counts import IdCounts
from salesforce_targeted.destination import copied_rows, dropped_tables
from salesforce_targeted.destination.column_types import ColumnTypes, columns_of_others
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.load_options import LoadOptions, load_options
from salesforce_targeted.destination.org_identity import held_org
from salesforce_targeted.destination.other_pipelines import adopt
from salesforce_targeted.destination.table_names import OBJECTS, RELATIONS
from salesforce_targeted.extract import org_changes
from salesforce_targeted.extract.findings import RecordFindings, RelationFindings
from salesforce_targeted.extract.held_relations import SLOW_GROUPS, SLOW_STAMPS, HeldRelations
from salesforce_targeted.extract.org import VisibleOrg, open_org
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.relations import queries
from salesforce_targeted.retrieval.parts import Lessons
from salesforce_targeted.run_facts import RunFacts, Status
from salesforce_targeted.settings import Scope, Settings
from salesforce_targeted.target import CONTACT, Target

RELATION_COLUMNS = ("removed_at", "removed_reason")
# How long a row's stamp may lie in the past when the row becomes visible: transactions of ten
# minutes are allowed, rows five minutes late have been recorded.
LAG = timedelta(minutes=15)
# Up to so many calls of Collections, no other way is quicker whatever the org's size.
CALLS_WORTH_A_COUNT = 25
# In the source's state: how many calls a run might spend when it opened, the org's day included.
CALLS_LEFT = "calls_left"
# Between them lie all ids.
ALL_IDS = ("", "~")
# In the source's state: the fields that each table was asked for, so that a repeat can ask at once.
ASKED_FIELDS = "asked_fields"


class Run:
    """Run the stages of one extraction, or look at what they would see.

    Args:
        pipeline: The one whose dataset is looked at; None inside dlt's extract.

    Attributes:
        relations: What the relations' stage found.
        records, tasks, users: What the stages of the records, tasks and users found.
        active: The active records that the org shows, once discovered.
        within: After which id, and up to which one, ``active`` tells of all there are.
        asked: Table to the ids that were asked for ahead, held ones and new ones apart.
        lessons: Object to what was learnt of reading it.
        changes_dataset: Whether the state is of another dataset, with cursors beyond what is held.
    """

    def __init__(
        self,
        client: SalesforceClient,
        settings: Settings,
        scope: Scope,
        ledger: Ledger,
        pipeline: dlt.Pipeline | None = None,
        *,
        target: Target = CONTACT,
    ) -> None:
        self.client, self.settings, self.scope = client, settings, scope
        self.ledger, self.target = ledger, target
        self._pipeline = pipeline
        ledger.target = target
        ledger.indexes = settings.indexes
        ledger.calls = client.meter.calls
        client.warn = ledger.warn
        ledger.mode = scope.mode
        ledger.scope_complete = scope.complete
        ledger.api_version = client.version
        self.relations = RelationFindings()
        self.records = RecordFindings()
        self.tasks = RecordFindings()
        self.users = RecordFindings()
        self.active: IdCounts | None = None
        self.within = ALL_IDS
        self._org: VisibleOrg | None = None
        self.asked: dict[str, list[pa.Array]] = {}
        self._columns: dict[str, Columns] = {}
        self.lessons: dict[str, Lessons] = {}
        self.changes_dataset = False

    def close(self) -> None:
        """Close the connection to the destination."""
        if "held" in self.__dict__:
            self.held.close()

    @cached_property
    def held(self) -> HeldTables:
        """Return the tables of the pipeline that runs the source or that is looked at.

        Raises:
            ConfigurationError: they are another source's, or were made with another key.
        """
        if self._pipeline is not None:
            held = HeldTables.of(self._pipeline, self.target)
        else:
            pipeline, schema = dlt.current.pipeline(), dlt.current.source_schema()
            if held_org(self.state) is None and not self.options.emptied:
                org_changes.note_others(adopt(pipeline, schema, self.target.table), self.state)
            emptied = self.options.emptied  # refuses what would lose rows, before anything is made
            dropped_tables.restore(pipeline, schema.name, self.ledger)
            held = HeldTables(pipeline, schema, emptied=emptied)
            tables = dict.fromkeys([self.target.table, self.target.life_table, *OBJECTS])
            copied_rows.remove(held, tables, self.ledger.warn)
        org_changes.check_source(self.target, self.state)
        org_changes.check_key(self.target, held, self.settings.id_column)
        return held

    @cached_property
    def options(self) -> LoadOptions:
        """Return how the load of this run writes; the defaults where nothing is loaded.

        Raises:
            ConfigurationError: rows would be lost or doubled.
        """
        if self._pipeline is not None:
            return LoadOptions()
        return load_options(
            dlt.current.source(),
            dlt.current.pipeline(),
            dlt.current.load_package_state()["state"],
            self.target,
            self.settings.id_column,
        )

    @cached_property
    def state(self) -> dict[str, Any]:
        """Return the source's state, kept with the load; a copy where nothing is loaded."""
        if self._pipeline is None:
            return dlt.current.source_state()
        sources: Any = self._pipeline.state.get("sources", {})
        return dict(sources.get(self.target.source_name, {}))

    def open(self, along: Sequence[Request] = (), *, reads_relations: bool = False) -> VisibleOrg:
        """Make the run's first call, once, and check that the dataset is this org's.

        Args:
            along: Queries that travel with it, for the stages that will send them.
            reads_relations: Whether a stage does: where it reads all, they are grouped here.

        Raises:
            OtherOrgError: the dataset holds another org.
            ChangedOrgError: an object that was shown before is not, or has other ids.
        """
        if self._org is None:
            where = self.held.location  # refuses, before a call, a load that would lose rows
            if self._pipeline is None:
                self.changes_dataset = org_changes.check_dataset(self.held, self.state, self.target)
            cursor = self.held_relations.cursor
            counted = cursor is not None and not (
                self.scope.full or self.held_relations.fit_a_page or SLOW_STAMPS in self.state
            )
            org = open_org(
                self.client,
                self.target,
                self.ledger.warn,
                expected=org_changes.expected_junction(self.target, self.state),
                discovery=self.scope.complete,
                groups=SLOW_GROUPS not in self.state
                and not (reads_relations and self.held_relations.fit_a_page),
                since=self.settings.since,
                settled_before=cursor - LAG if counted and cursor is not None else None,
                along=along,
            )
            org_changes.check_identity(
                self.client, self.state, looks_only=self._pipeline is not None
            )
            if not self.scope.allow_shrink:
                org_changes.check_changes(org, self.state, self.held, self.settings.id_column)
            org_changes.note_org(org, self.state)
            self.state[org_changes.HELD_IN] = where
            if self.client.meter.usage is not None:
                # Known from the first response on: so many of the org's calls are for others.
                share = self.settings.daily_call_reserve
                self.client.meter.reserve_calls = int(self.client.meter.usage[1] * share)
            self.state[CALLS_LEFT] = self.client.meter.left
            self._org = org
        return self._org

    @property
    def org(self) -> VisibleOrg:
        """Return the org as the first call showed it."""
        return self.open()

    @property
    def opened_at(self) -> datetime:
        """Return the org's clock before anything was read, whichever call was the first."""
        opened = self.org.opened_at
        return min(opened, self.client.org_clock.first or opened)

    def is_due(self, last: str) -> bool:
        """Return whether what is done every ``full_refresh_days`` is due, by the org's clock.

        What was noted from a clock that was ahead is due, too: real time may need years to it.
        """
        moment, age = datetime.fromisoformat(last), timedelta(days=self.settings.full_refresh_days)
        return not moment - LAG <= self.opened_at < moment + age

    def is_ahead(self, cursor: datetime | None) -> bool:
        """Return whether a cursor lies beyond the org's clock, which was ahead when it was noted.

        What is modified from now on would be behind it.
        """
        return cursor is not None and cursor > self.opened_at + LAG

    @cached_property
    def held_relations(self) -> HeldRelations:
        """Return what was held of the relations before this run."""
        return HeldRelations(
            self.held, self.state, self.client.limits, self.settings.since, self.open
        )

    @property
    def fits_one_page(self) -> bool:
        """Return whether all relations come in one response."""
        known = self.org.relation_count
        return self.scope.complete and known is not None and known <= self.held_relations.per_page

    def relation_count(self) -> int:
        """Count the relations that the org shows."""
        if self.org.relation_count is not None:
            return self.org.relation_count
        return queries.count(self.client, self.org.junction, self.floor)

    @property
    def floor(self) -> datetime | None:
        """Return the moment before which relations don't count, where the org can filter by it."""
        return self.settings.since if self.org.filters_by_stamp else None

    @property
    def holds_relations(self) -> bool:
        """Return whether the relations themselves are held, not only the records they point at."""
        return self.target is CONTACT

    def columns(self, table: str) -> Columns:
        """Return the columns of one of our tables, reconciled with what the destination has."""
        if table not in self._columns:
            own = RELATION_COLUMNS if table == RELATIONS else ()
            columns = self._make_columns(table, own)
            if foreign := columns_of_others(self.held, table, columns.added):
                columns = self._make_columns(table, [*own, *foreign])
            for warning in columns.warnings:
                self.ledger.warn(warning)
            if columns.hidden:
                self.ledger.hidden_fields[columns.object_name] = list(columns.hidden)
            self._columns[table] = columns
            self.state.setdefault(ASKED_FIELDS, {})[table] = columns.fields
        return self._columns[table]

    def _make_columns(self, table: str, taken: Iterable[str]) -> Columns:
        is_target = table == self.target.table
        return columns(
            self.org.describe(self.target.object_name if is_target else OBJECTS[table]),
            normalize=self.held.name,
            id_column=self.settings.id_column,
            stored=self.held.column_hints(table),
            only=self.settings.fields if is_target else None,
            own=taken,
            asked=self.options.types.get(self.held.stored_table(table)),
            closed=self.held.stored_table(table) in self.options.closed,
        )

    @cached_property
    def column_types(self) -> ColumnTypes:
        """Return the types of the columns that rows are copied into."""
        return ColumnTypes(self.held, self.options, self.ledger.warn)

    @cached_property
    def records_in_org(self) -> dict[str, int]:
        """Count about how many records each object has that is read; none where not known."""
        related = ("Task", "User") if self.holds_relations else ()
        return self.client.record_counts([self.target.object_name, *related])

    def facts(self, status: Status) -> RunFacts:
        """Return the run's facts so far."""
        self.ledger.org_remaining = self.client.meter.remaining
        return self.ledger.facts(status)
