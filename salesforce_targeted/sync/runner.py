"""Run one sync on a dlt pipeline, from what an earlier run left to the finished report."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.pipeline import LoadInfo
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.sources import DltSource

from salesforce_targeted.api.errors import ConfigurationError, SalesforceError
from salesforce_targeted.destination import catalog, sync_runs
from salesforce_targeted.destination.clients import resolved_once
from salesforce_targeted.destination.database import is_files
from salesforce_targeted.destination.errors import explained, original_error
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.table_names import SYNC_RUNS
from salesforce_targeted.extract.org_changes import OtherOrgError
from salesforce_targeted.extract.run import Run
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.run_facts import RunFacts
from salesforce_targeted.sync import reconciliation, run_lock, verify
from salesforce_targeted.sync.lock_monitor import PATIENCE_SECONDS, LockMonitor
from salesforce_targeted.sync.pending_packages import (
    finish_leftovers,
    forget_later_states,
    forget_other_datasets,
    reset_working_folder,
)
from salesforce_targeted.sync.run_lock import AnotherRunError
from salesforce_targeted.sync.verify import VerifyFacts

logger = logging.getLogger("salesforce_targeted")


@dataclass(slots=True)
class Outcome:
    """Hold how a run ended: its report, and what stopped it, if anything did."""

    facts: RunFacts
    error: Exception | None = None
    load_info: LoadInfo | None = field(default=None, repr=False)


def sync(
    pipeline: dlt.Pipeline,
    source: DltSource,
    ledger: Ledger,
    *,
    id_column: str = "id",
    statistics: Mapping[str, str] | None = None,
    lock_patience_seconds: float = PATIENCE_SECONDS,
) -> Outcome:
    """Run the source once, check what is held afterwards, and keep the run's row.

    Never raises for what can go wrong with an org or a destination: the outcome says it.

    Args:
        lock_patience_seconds: How long the load waits for a lock of another PostgreSQL session.
    """
    begun = time.monotonic()
    monitor = LockMonitor(lock_patience_seconds)
    try:
        with (
            resolved_once(pipeline),
            run_lock.alone(pipeline) as lock,
            monitor.watch(pipeline, lock),
        ):
            outcome = _sync_alone(pipeline, source, ledger, id_column, statistics, monitor)
            outcome.facts["seconds"] = round(time.monotonic() - begun, 3)
            _keep_row(pipeline, sync_runs.row(outcome.facts))
    except Exception as raised:  # another run is at work, or there is no destination to lock
        logger.debug("the run did not begin", exc_info=True)
        outcome = _failed(pipeline, ledger, original_error(raised))
        outcome.facts["seconds"] = round(time.monotonic() - begun, 3)
    return outcome


def verified(pipeline: dlt.Pipeline, run: Run) -> VerifyFacts:
    """Compare what is held with the org, and keep how that ended in ``sf_sync_runs``."""
    begun = datetime.now(UTC)
    facts = verify.verify(run)
    run.close()
    seconds = round((datetime.now(UTC) - begun).total_seconds(), 3)
    try:
        with run_lock.alone(pipeline):
            _keep_row(pipeline, sync_runs.verification_row(facts, begun, seconds))
    except AnotherRunError:
        logger.warning("another run is at work: this comparison is not noted in %s", SYNC_RUNS)
    return facts


def _sync_alone(
    pipeline: dlt.Pipeline,
    source: DltSource,
    ledger: Ledger,
    id_column: str,
    statistics: Mapping[str, str] | None,
    monitor: LockMonitor,
) -> Outcome:
    try:
        if pipeline.default_schema_name and not Path(pipeline.working_dir).exists():
            # Removed between two runs of one process; dlt restores it from the destination.
            reset_working_folder(pipeline)
        forget_other_datasets(pipeline, ledger)
        finish_leftovers(pipeline, ledger)
        forget_later_states(pipeline, ledger)
        load_info = _run(pipeline, source, ledger)
        _check_complete(load_info)
        schema = pipeline.schemas.get(source.name)
        undone = catalog.update(pipeline, schema, target=ledger.target, indexed=ledger.indexes)
        if undone:
            ledger.warn(undone)
        with HeldTables.of(pipeline, ledger.target) as held:
            packages = load_info.load_packages
            jobs = [job for package in packages for job in package.jobs["completed_jobs"]]
            loaded = {job.job_file_info.table_name for job in jobs}
            facts, failures = reconciliation.reconciled(held, ledger, id_column, statistics, loaded)
    except Exception as raised:  # every failure ends in a report
        logger.debug("the run failed", exc_info=True)
        return _failed(pipeline, ledger, monitor.gave_up or original_error(raised))
    error: SalesforceError | None = ledger.stopped
    if failures:
        error = SalesforceError("; ".join(failures), remedy="Please report this run.")
    if error is not None:
        _note_error(pipeline, ledger, facts, error)
    return Outcome(facts, error, load_info)


def _failed(pipeline: dlt.Pipeline, ledger: Ledger, error: Exception) -> Outcome:
    facts = ledger.facts("failed")
    _note_error(pipeline, ledger, facts, error)
    return Outcome(facts, error)


def _note_error(pipeline: dlt.Pipeline, ledger: Ledger, facts: RunFacts, error: Exception) -> None:
    facts["status"] = "partial" if getattr(error, "stops_early", False) else "failed"
    rest = f" {ledger.left_over}" if error is ledger.stopped else ""
    facts["error"] = explained(error, str(pipeline.destination.destination_name)) + rest


def _run(pipeline: dlt.Pipeline, source: DltSource, ledger: Ledger) -> LoadInfo:
    """Run the source; a working folder that remembers another org is dropped first.

    A demo or a sandbox may have left it. What the destination remembers still counts: if the
    dataset itself is another org's, the second try fails as the first one did.
    """
    try:
        return pipeline.run(source)
    except PipelineStepFailed as error:
        if isinstance(error.exception, KeyboardInterrupt):
            raise error.exception from None
        if not isinstance(original_error(error), OtherOrgError):
            raise
    ledger.step("the working folder is another org's: starting from what the destination holds")
    reset_working_folder(pipeline)
    return pipeline.run(source)


def _check_complete(load_info: LoadInfo) -> None:
    if load_info.has_failed_jobs:
        raise ConfigurationError(
            "the destination refused rows, and the load went on without them, as"
            " load.raise_on_failed_jobs = false asks for",
            remedy="Leave that setting out, and run again: the next run says what was refused.",
        )


def _keep_row(pipeline: dlt.Pipeline, row: Mapping[str, Any]) -> None:
    """Write a run's final row over the one it has, if it has one."""
    if pipeline.default_schema_name is None or is_files(pipeline):
        return
    try:
        with HeldTables.of(pipeline) as held:
            if held.column_hints(SYNC_RUNS):
                sync_runs.write(held, row)
    except DestinationUndefinedEntity:
        logger.debug("no load has made %s yet", SYNC_RUNS, exc_info=True)
    except Exception as error:  # the report says it all; the row is a copy
        why = explained(original_error(error), str(pipeline.destination.destination_name))
        logger.warning("the run's row in %s could not be written: %s", SYNC_RUNS, why)
        logger.debug("writing %s failed", SYNC_RUNS, exc_info=True)
