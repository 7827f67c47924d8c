"""What the resources of one run share: the client, the describes, what is held, who was named.

Nothing is asked of the org or the destination before a resource needs it, and each is asked once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import (
    ConfigurationError,
    NotFoundError,
    QuotaExceededError,
    SalesforceError,
)
from salesforce_targeted.arrow.columns import Columns, columns
from salesforce_targeted.arrow.id_counts import IdCounts
from salesforce_targeted.arrow.id_set import IdSet, id_array, union
from salesforce_targeted.destination.held_tables import (
    CONTACTS,
    RELATIONS,
    SCHEMA_NAME,
    TASKS,
    USERS,
    HeldTables,
)
from salesforce_targeted.destination.load_options import LoadOptions, load_options
from salesforce_targeted.destination.org_identity import held_org, note, org_of
from salesforce_targeted.extract import record_log
from salesforce_targeted.extract.org import Opening, opening
from salesforce_targeted.extract.stages import Stages
from salesforce_targeted.ledger import Ledger, RunFacts, Status
from salesforce_targeted.relations import queries
from salesforce_targeted.retrieval.bulk_jobs import BulkJobs
from salesforce_targeted.retrieval.planner import Latency
from salesforce_targeted.retrieval.results import Refreshed
from salesforce_targeted.settings import Scope, Settings
from salesforce_targeted.target import CONTACT, TASK_WHO_ID, Junction, Target

OBJECTS = {CONTACTS: "Contact", TASKS: "Task", USERS: "User", RELATIONS: "TaskWhoRelation"}
# Fields that name a user who must be held with the row.
USER_FIELDS = ("OwnerId", "CreatedById", "LastModifiedById")
# Up to so many calls of Collections, no other way is quicker whatever the org's size.
_CALLS_WORTH_A_COUNT = 25
RELATION_COLUMNS = ("removed_at", "removed_reason")


class OtherOrgError(ConfigurationError):
    """The dataset belongs to another org than the credentials."""

    default_remedy = "Choose another --dataset or --destination, or that org's credentials."


class Run:
    """One run of the source."""

    def __init__(
        self,
        client: SalesforceClient,
        settings: Settings,
        scope: Scope,
        ledger: Ledger,
        pipeline: dlt.Pipeline | None = None,
        *,
        target: Target = CONTACT,
        loads_what_came: bool = False,
    ) -> None:
        self.target = target
        ledger.target = target
        self.turns = Stages()
        self._loads_what_came = loads_what_came
        self._pipeline = pipeline
        self.client = client
        self.settings = settings
        self.scope = scope
        self.ledger = ledger
        ledger.calls = client.meter.calls
        ledger.mode = scope.mode
        ledger.scope_complete = scope.complete
        ledger.api_version = client.version
        self.relation_changes: Counter[str | None] = Counter()
        self.named_contacts = IdSet()
        self.named_tasks = IdSet()
        self.named_users: set[str] = set()
        self.left_reasons: dict[str, str] = {}
        self.answered: Refreshed | None = None
        self.asked = id_array(())
        self.read_contacts: IdCounts | None = None
        self.active: IdCounts | None = None
        self._columns: dict[str, Columns] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Take a turn; when the last one ends, the destination is left in peace for the load.

        A stage whose calls are spent ends where it is, if somebody reads the ledger and says so:
        what came is loaded, and no stage moves a cursor or a date that it did not get to the end
        of, so that the next run goes on from there.
        """
        try:
            with self.turns.stage(name):
                yield
        except QuotaExceededError as error:
            if not self._loads_what_came:
                self.close()
                raise
            # The org may have refused it: what comes after is refused here, without a call.
            self.client.meter.calls_allowed = self.client.meter.calls.total
            self.turns.break_promises()
            self.ledger.stop(error)
        except BaseException:
            # The error keeps this run alive for as long as somebody looks at it.
            self.close()
            raise
        if self.turns.all_ended:
            self.close()

    def close(self) -> None:
        """Close the connection to the destination."""
        if "held" in self.__dict__:
            self.held.close()

    @cached_property
    def held(self) -> HeldTables:
        """The destination's tables, of the pipeline that runs the source or that is looked at."""
        if self._pipeline is None:
            return HeldTables(
                dlt.current.pipeline(), dlt.current.source_schema(), anew=self.terms.emptied
            )
        return HeldTables.of(self._pipeline)

    @cached_property
    def terms(self) -> LoadOptions:
        """On what terms the load of this run writes; none where nothing is loaded.

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
        """The source's state, which is kept with the load; a copy where nothing is loaded."""
        if self._pipeline is None:
            return dlt.current.source_state()
        sources: Any = self._pipeline.state.get("sources", {})
        return dict(sources.get(SCHEMA_NAME, {}))

    @cached_property
    def opening(self) -> Opening:
        """The run's first call.

        Raises:
            OtherOrgError: the destination holds another org.
        """
        where = self.held.location  # refuses, before a call, a load that would lose rows
        plain = self.scope.complete and self.settings.since is None
        found = opening(self.client, self.target, discovery=plain)
        org, held = org_of(self.client), held_org(self.state)
        if held is not None and org.is_another_than(held):
            if self._pipeline is None:
                raise OtherOrgError(
                    f"the dataset holds the org {held}, and the credentials are those of {org}"
                )
            self.state.clear()
        note(org, self.state)
        self.state["held_in"] = where
        if self.client.meter.usage is not None:
            # Known from the first answer on: so many of the org's daily calls are for others.
            share = self.settings.daily_call_reserve
            self.client.meter.reserve_calls = int(self.client.meter.usage[1] * share)
        return found

    @cached_property
    def bulk_jobs(self) -> BulkJobs:
        """Bulk jobs that a killed run of this pipeline may have left."""
        folder = Path(self.held.pipeline.working_dir)
        return BulkJobs(folder, org_of(self.client).host)

    @property
    def describes(self) -> Mapping[str, dict[str, Any] | SalesforceError]:
        """Object name to its describe, or to why there is none."""
        return self.opening.describes

    @property
    def first_groups(self) -> list[dict[str, Any]] | None:
        """The first batch of discovery, where the first call brought it."""
        return self.opening.groups if self.junction is self.target.discovered_by else None

    @property
    def fits_one_page(self) -> bool:
        """Whether all relations come in one answer: reading them whole then costs no more."""
        known = self.opening.relations
        return (
            self.scope.complete
            and known is not None
            and self.junction is self.target.discovered_by
            and known <= self.client.limits.rows_per_query_page
        )

    def relation_count(self) -> int:
        """How many relations the org shows."""
        if self.junction is self.target.discovered_by and self.opening.relations is not None:
            return self.opening.relations
        floor = self.settings.since if self.filters_by_stamp else None
        return queries.count(self.client, self.junction, floor)

    @cached_property
    def junction(self) -> Junction:
        """The object that relates others to the records that count, in this org."""
        wanted = self.target.discovered_by
        answer = self.describes[wanted.object_name]
        if not isinstance(answer, SalesforceError):
            return wanted
        if not isinstance(answer, NotFoundError) or wanted.fallback is None:
            raise answer
        self.ledger.warn(
            f"Shared Activities is off, or {wanted.object_name} is hidden from our user: the own"
            f" WhoId of each {wanted.fallback.object_name} counts as its one relation"
        )
        return wanted.fallback

    def object_of(self, table: str) -> str:
        """The object whose records a table of ours holds."""
        return self.target.object_name if table == self.target.table else OBJECTS[table]

    @cached_property
    def key_prefix(self) -> str:
        """The three characters that the ids of the records that count start with."""
        known = self.target.key_prefix
        return known or str(self.describe(self.target.object_name)["keyPrefix"])

    @property
    def holds_relations(self) -> bool:
        """Whether the relations themselves are held, not only whom they point at."""
        return self.target is CONTACT

    def describe(self, object_name: str) -> dict[str, Any]:
        """The describe of an object.

        Raises:
            SalesforceError: the org does not show the object to our user.
        """
        if object_name == "TaskWhoRelation" and self.junction is TASK_WHO_ID:
            return queries.describe_of_task_relations(self.describe("Task"))
        answer = self.describes[object_name]
        if isinstance(answer, SalesforceError):
            raise answer
        return answer

    def columns(self, table: str) -> Columns:
        """The columns of one of our tables, reconciled with what the destination has."""
        if table not in self._columns:
            found = columns(
                self.describe(self.object_of(table)),
                normalize=self.held.name,
                id_column=self.settings.id_column,
                stored=self.held.column_hints(table),
                only=self.settings.fields if table == self.target.table else None,
                own=RELATION_COLUMNS if table == RELATIONS else (),
                asked=self.terms.types.get(self.held.stored_table(table)),
                closed=self.held.stored_table(table) in self.terms.closed,
            )
            for warning in found.warnings:
                self.ledger.warn(warning)
            if found.hidden:
                self.ledger.hidden_fields[found.object_name] = list(found.hidden)
            self._columns[table] = found
        return self._columns[table]

    @cached_property
    def filters_by_stamp(self) -> bool:
        """Whether relations can be read by ``SystemModstamp``; if not, all are read each run."""
        name = self.junction.object_name
        entries = {entry["name"]: entry for entry in self.describe(name)["fields"]}
        filterable = bool(entries.get("SystemModstamp", {}).get("filterable"))
        if not filterable:
            self.ledger.warn(
                f"{name}.SystemModstamp can't be filtered on in this org: every run reads"
                " all relations"
            )
        return filterable

    def in_org(self, object_name: str, ids: int) -> int:
        """About how many records the org has; 0 where so few are wanted that it doesn't matter."""
        if ids <= _CALLS_WORTH_A_COUNT * self.client.limits.ids_per_collection:
            return 0
        return self.client.record_counts([object_name]).get(object_name, 0)

    def shows(self, object_name: str) -> bool:
        """Whether the org shows an object to our user; without it the rest of the run goes on."""
        answer = self.describes[object_name]
        if isinstance(answer, SalesforceError):
            self.ledger.warn(f"{object_name} was left out: {answer}")
            return False
        return True

    @cached_property
    def held_relations(self) -> IdCounts:
        """How many relations of each contact or lead are held as the org showed them, as loaded."""
        who = self.held.name("RelationId")
        columns = {"id": who, "count": "COUNT(*)"}
        return IdCounts(self.held.table(RELATIONS, columns, self.counting_relations, group_by=who))

    @property
    def counting_relations(self) -> str:
        """SQL: a held relation is not marked as removed, and not older than what counts."""
        where, floor = "removed_at IS NULL", self.settings.since
        if floor is None or not self.filters_by_stamp:
            return where
        stamp = self.held.sql(self.held.name("SystemModstamp"))
        return f"{where} AND {stamp} >= TIMESTAMP WITH TIME ZONE '{floor.isoformat()}'"

    @property
    def latency(self) -> Latency:
        """How quick the org is, as far as this run has met it."""
        return Latency(calls_in_flight=self.client.meter.concurrency).measured(
            self.client.meter.timings()
        )

    @property
    def calls_left(self) -> int | None:
        """How many calls the run may still spend; None for as many as it likes."""
        spent = self.client.meter.calls.total
        allowed = self.client.meter.calls_allowed
        bounds = [] if allowed is None else [allowed - spent]
        if self.client.meter.remaining is not None:
            bounds.append(self.client.meter.remaining - self.client.meter.reserve_calls)
        return max(0, min(bounds)) if bounds else None

    def held_values(self, table: str, field: str, like: str = "") -> pa.Array:
        """The distinct values of a field in a held table; none in a run that looks at less."""
        column = self.held.name(field)
        if not self.scope.complete or column not in self.held.column_hints(table):
            return id_array(())
        return self.held.id_array(
            table, column, f"{self.held.sql(column)} LIKE '{like}'" if like else ""
        )

    def users_of_held(self) -> pa.Array:
        """Users whom held rows name."""
        return union(
            *(
                self.held_values(table, field, "005%")
                for table in (RELATIONS, CONTACTS, TASKS)
                for field in USER_FIELDS
            )
        )

    def log_records(self, table: str, rows: pa.Table) -> None:
        """Append loaded records to the record log, if one was asked for."""
        if self.scope.record_log is not None:
            record_log.append(self.scope.record_log, table, rows)

    def facts(self, status: Status) -> RunFacts:
        """The run's facts so far."""
        self.ledger.org_remaining = self.client.meter.remaining
        return self.ledger.facts(status)
