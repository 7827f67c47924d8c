"""Sync many orgs on Dagster: ``dagster dev -f pipelines/dagster_definitions.py``.

Run it in the project's folder. Which orgs there are is read when this file is loaded, how to sign
in to one when its partition runs; ``orgs.py`` says where both stand.

Rules:
- One org, one partition, one pipeline, one dataset. Orgs run side by side, on as many machines as
  the executor has.
- Two runs never work on one org at once: the second one waits and tries again.
- An attempt starts from what the dataset holds: a step that was killed is tried again wherever the
  executor likes, and ends as if nothing had happened.
- What waiting can't fix (settings, sign-in, permissions, an org that shrank) is not retried: a
  password that is wrong some times over locks a user out.
- A window is "all relations stamped before its end": it goes on from the stored cursor, oldest
  first, slice by slice. So windows may run in any order and again; the first takes what is older.
  What only a look at the whole org tells (who left) comes with the first plain sync after them.
"""

# No "from __future__ import annotations": Dagster reads the annotations as they are.
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

import dagster as dg
import dlt
from dagster_dlt import DagsterDltResource, DagsterDltTranslator
from dagster_dlt.translator import DltResourceTranslatorData

from pipelines import orgs
from salesforce_targeted import salesforce_targeted
from salesforce_targeted.api import errors
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.cli.memory import limit_memory
from salesforce_targeted.destination.errors import explained, original_error
from salesforce_targeted.destination.table_names import CONTACTS
from salesforce_targeted.extract.discovery import ShrinkError
from salesforce_targeted.extract.run import Run
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.report import text
from salesforce_targeted.run_facts import RunFacts
from salesforce_targeted.settings import Scope
from salesforce_targeted.sync import configuration, run_lock
from salesforce_targeted.sync.runner import Outcome, sync
from salesforce_targeted.sync.verify import verify

# Without it the verdict on one org would stand for all of them.
warnings.filterwarnings("ignore", "Specifying a partitions_def on an AssetCheckSpec is.*preview")

GROUP = "salesforce"
# What these resources find is about the others' rows, so they run with any of them.
_ALWAYS = ("contact_life", "rejected_record", "sync_run")
_FIXED_BY_PEOPLE = (
    errors.AuthenticationError,
    errors.ConfigurationError,
    errors.NotFoundError,
    errors.PermissionDeniedError,
    errors.ReadOnlyError,
    ShrinkError,
)
# Salesforce counts the calls of the last 24 hours: after a day of waiting something else is wrong.
_QUOTA_RETRIES = 24
_BUSY_RETRIES = 240

ORGS = orgs.configured()
BY_ORG = dg.StaticPartitionsDefinition(ORGS.names)
BY_WINDOW = dg.MultiPartitionsDefinition(
    {"org": BY_ORG, "month": dg.MonthlyPartitionsDefinition(ORGS.first_month)}
)
# A killed process counts as a failure too.
RETRY = dg.RetryPolicy(
    max_retries=3,
    delay=ORGS.retry_seconds,
    backoff=dg.Backoff.EXPONENTIAL,
    jitter=dg.Jitter.PLUS_MINUS,
)
# Bounds how many orgs are at work at once, however they were started.
POOL = "salesforce"


@dataclass
class Tables(DagsterDltTranslator):
    """Assets are called as the tables are."""

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        """Return the asset of a resource."""
        spec = super().get_asset_spec(data)
        key = dg.AssetKey([GROUP, str(data.resource.table_name)])
        return spec.replace_attributes(key=key, deps=[])


# Never signed in with: what the tables are is known without an org.
_RESOURCES = salesforce_targeted(
    SessionCredentials(instance_url="https://nobody.invalid", access_token="-")  # noqa: S106
).selected_resources
_SPECS = {
    name: Tables().get_asset_spec(DltResourceTranslatorData(resource=resource, pipeline=None))
    for name, resource in _RESOURCES.items()
}
_CONTACTS = dg.AssetKey([GROUP, CONTACTS])


# Not @dlt_assets: it takes no retry policy, and wants a pipeline, with its folder, on loading.
@dg.multi_asset(
    name="targeted_contacts", specs=list(_SPECS.values()), partitions_def=BY_ORG, can_subset=True,
    group_name=GROUP, retry_policy=RETRY, pool=POOL,
)  # fmt: skip
def targeted_contacts(
    context: dg.AssetExecutionContext, loads: DagsterDltResource
) -> Iterator[dg.MaterializeResult[Any]]:
    """Sync one org: what changed since its last run, the first time everything."""
    keys = context.selected_asset_keys
    wanted = [name for name, spec in _SPECS.items() if spec.key in keys]
    with _attempt(context.partition_key) as pipeline:
        outcome = _synced(context, pipeline, Scope(), wanted if context.is_subset else ())
        for name in wanted:
            known: dict[str, Any] = {}
            if outcome.load_info is not None:
                resource, loaded = _RESOURCES[name], outcome.load_info
                known |= loads.extract_resource_metadata(context, resource, loaded, pipeline)
            known |= _told(outcome.facts)
            yield dg.MaterializeResult(asset_key=_SPECS[name].key, metadata=known)


@dg.asset(
    key=[GROUP, "first_load"], partitions_def=BY_WINDOW, group_name=GROUP, retry_policy=RETRY,
    pool=POOL,
)  # fmt: skip
def first_load(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """Load the relations of one org stamped before a month's end, with all that they name.

    For a first load that is too large for one run or one day's calls; sync the org afterwards.
    """
    key: Any = context.partition_key
    end = context.partition_time_window.end
    slices, relations, limit = 0, 0, ORGS.relations_per_slice
    with _attempt(key.keys_by_dimension["org"]) as pipeline:
        orgs.forget_folder(pipeline)
        pipeline.sync_destination()
        reached = orgs.newest(pipeline, "cursor", "status = 'done'")
        while reached is None or reached < end:
            facts = _synced(context, pipeline, Scope(limit=limit)).facts
            came = facts["relations"]["read"]
            slices, relations = slices + 1, relations + came
            if came < limit:
                break  # the org shows nothing later
            if facts["cursor"] == reached:
                limit *= 2  # more rows than a slice takes share the quarter of an hour read again
            reached = facts["cursor"] or reached
    metadata: dict[str, Any] = {
        "slices": slices,
        "relations_read": relations,
        "cursor": str(reached),
    }
    return dg.MaterializeResult(metadata=metadata)


# No pool: that nothing has been synced for long must be told when all places are taken, too.
@dg.asset_check(asset=_CONTACTS, partitions_def=BY_ORG, retry_policy=RETRY)
def fresh(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Check the age of the org's newest complete sync against ``fresh_hours``; costs no call."""
    with _looking(context.partition_key) as pipeline:
        whole = "status = 'done' AND mode IN ('incremental', 'full')"
        newest = orgs.newest(pipeline, "started_at", whole)
    hours = (datetime.now(UTC) - newest).total_seconds() / 3600 if newest else None
    return dg.AssetCheckResult(
        passed=hours is not None and hours <= ORGS.fresh_hours,
        metadata={"newest_sync": str(newest), "hours": hours, "allowed": ORGS.fresh_hours},
    )


@dg.asset_check(asset=_CONTACTS, partitions_def=BY_ORG, retry_policy=RETRY, pool=POOL)
def true(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Every table equals the org, cell by cell; costs about the calls of a full sync."""
    with _looking(context.partition_key) as pipeline, run_lock.alone(pipeline):
        settings = configuration.settings()
        client = SalesforceClient(orgs.credentials_of(pipeline), api_version=settings.api_version)
        scope = Scope(allow_shrink=True)
        run = Run(client, settings, scope, Ledger(), pipeline)
        try:
            facts = verify(run)
        finally:
            run.close()
            client.close()
    return dg.AssetCheckResult(
        passed=facts["status"] == "done",
        metadata=dict[str, Any](facts["drift"], compared=facts["compared"], calls=facts["calls"]),
    )


@contextmanager
def _attempt(org: str, folder: str | None = None) -> Iterator[dlt.Pipeline]:
    """Provide an org's pipeline; what goes wrong ends the attempt as :func:`_end` says.

    Errors of dlt and of databases quote rows of people, so none is passed on as it is.
    """
    limit_memory()
    pipeline: dlt.Pipeline | None = None
    try:
        with orgs.pipeline_of(org, folder) as pipeline:
            yield pipeline
    except (dg.Failure, dg.RetryRequested):
        raise
    except Exception as raised:  # noqa: BLE001
        error = original_error(raised)
    else:
        return
    name = str(pipeline.destination.destination_name) if pipeline is not None else ""
    _end(error, explained(error, name) if name else str(error))


@contextmanager
def _looking(org: str) -> Iterator[dlt.Pipeline]:
    """Provide an org's pipeline as its dataset knows it, apart from a run that is at work."""
    with tempfile.TemporaryDirectory() as folder, _attempt(org, folder) as pipeline:
        pipeline.sync_destination()
        yield pipeline


def _synced(
    context: dg.AssetExecutionContext,
    pipeline: dlt.Pipeline,
    scope: Scope,
    only: Sequence[str] = (),
) -> Outcome:
    """Run the source once, from what the dataset holds."""
    orgs.forget_folder(pipeline)
    ledger = Ledger(mode=scope.mode)
    source = orgs.source_of(pipeline, scope=scope, ledger=ledger)
    if only:
        source = source.with_resources(*{*only, *_ALWAYS})
    outcome = sync(
        pipeline,
        source,
        ledger,
        id_column=configuration.settings().id_column,
        statistics=configuration.statistics(),
    )
    context.log.info(text.text(outcome.facts))
    if outcome.error is not None:
        _end(outcome.error, str(outcome.facts["error"]))
    return outcome


def _end(error: BaseException, description: str) -> NoReturn:
    """End an attempt as its error asks: try again, later, or not before a person fixed it."""
    failure = dg.Failure(description, allow_retries=not isinstance(error, _FIXED_BY_PEOPLE))
    if isinstance(error, errors.QuotaExceededError):
        raise dg.RetryRequested(_QUOTA_RETRIES, ORGS.quota_seconds) from failure
    if isinstance(error, run_lock.AnotherRunError):
        raise dg.RetryRequested(_BUSY_RETRIES, ORGS.busy_seconds) from failure
    raise failure from None


def _told(facts: RunFacts) -> dict[str, Any]:
    """Return what an asset's page shows of the report: counts, never a value."""
    parts = ("seconds", "run_id", "contacts", "relations", "calls", "warnings")
    return {name: facts[name] for name in parts}  # type: ignore[literal-required]


def _for_each_org(job: Any, name: str, cron: str) -> dg.ScheduleDefinition:
    """Return a schedule, stopped until it is switched on, that runs a job once for every org."""

    @dg.schedule(job=job, name=name, cron_schedule=cron)
    def each() -> list[dg.RunRequest]:
        # Not partition_key: Dagster does not see that a job of checks alone has partitions.
        return [dg.RunRequest(tags={"dagster/partition": org}) for org in ORGS.names]

    return each


_TABLES = dg.AssetSelection.assets(*(spec.key for spec in _SPECS.values())).without_checks()
_FRESH, _TRUE = dg.AssetSelection.checks(fresh), dg.AssetSelection.checks(true)
# For a run whose own process is killed: it goes on where dagster.yaml enables run retries.
_TAGS = {"dagster/max_retries": 3}
SYNC = dg.define_asset_job("sync", _TABLES | _FRESH, tags=_TAGS)
VERIFY = dg.define_asset_job("verify", _TRUE, tags=_TAGS)
FRESHNESS = dg.define_asset_job("freshness", _FRESH, tags=_TAGS)

defs = dg.Definitions(
    assets=[targeted_contacts, first_load],
    asset_checks=[fresh, true],
    jobs=[SYNC, VERIFY, FRESHNESS],
    schedules=[
        _for_each_org(SYNC, "daily", "0 4 * * *"),
        _for_each_org(VERIFY, "weekly", "0 6 * * 6"),
        _for_each_org(FRESHNESS, "hourly", "0 * * * *"),
    ],
    resources={"loads": DagsterDltResource()},
)
