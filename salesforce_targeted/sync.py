"""One sync on a dlt pipeline, from what an earlier run left behind to the finished report."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dlt
from dlt.common.pipeline import LoadInfo
from dlt.destinations.exceptions import DatabaseException
from dlt.load.exceptions import (
    LoadClientJobFailed,
    LoadClientJobRetry,
    LoadClientJobTerminalRetry,
)
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.sources import DltSource

from salesforce_targeted import reconciliation, sync_runs
from salesforce_targeted.api.errors import QuotaExceededError, SalesforceError
from salesforce_targeted.held import SCHEMA_NAME, SYNC_RUNS, Held
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.run import OtherOrgError

logger = logging.getLogger("salesforce_targeted")


@dataclass(slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        facts: The report; see :meth:`salesforce_targeted.ledger.Ledger.facts`.
        error: What stopped it, if anything did.
    """

    facts: dict[str, Any]
    error: Exception | None = None
    load_info: LoadInfo | None = field(default=None, repr=False)


def sync(
    pipeline: dlt.Pipeline,
    source: DltSource,
    ledger: Ledger,
    *,
    id_column: str = "id",
    statistics: Mapping[str, str] | None = None,
) -> Outcome:
    """Run the source once, check what is held afterwards, and keep the run's row.

    Never raises for what can go wrong with an org or a destination: the outcome says it.
    """
    begun = time.monotonic()
    load_info: LoadInfo | None = None
    error: Exception | None = None
    status = "failed"
    facts: dict[str, Any] = {}
    try:
        forget_other_datasets(pipeline, ledger)
        finish_leftovers(pipeline, ledger)
        load_info = _run(pipeline, source, ledger)
        with Held.of(pipeline) as held:
            found = reconciliation.reconcile(held, ledger, id_column, statistics)
        facts = reconciliation.finished(ledger.facts("done"), found)
        status = "failed" if found.failures else "done"
        if found.failures:
            error = SalesforceError("; ".join(found.failures), remedy="Please report this run.")
    except Exception as raised:  # every failure ends in a report
        error = cause(raised)
        status = "partial" if isinstance(error, QuotaExceededError) else "failed"
        logger.debug("the run failed", exc_info=True)
    if not facts:
        facts = ledger.facts(status)
    facts["status"] = status
    facts["seconds"] = round(time.monotonic() - begun, 3)
    facts["error"] = explained(error, pipeline) if error else None
    facts["versions"] = sync_runs.versions(ledger.api_version)
    facts["steps"] = ledger.steps
    _keep(pipeline, facts)
    return Outcome(facts, error, load_info)


def forget_other_datasets(pipeline: dlt.Pipeline, ledger: Ledger) -> None:
    """Drop a working folder that belongs to another dataset; dlt restores ours from where it is.

    A cursor of another dataset would skip rows here, and a package left for it would land here.
    """
    sources: Any = pipeline.state.get("sources", {})
    known = sources.get(SCHEMA_NAME, {}).get("held_in")
    if known and known != Held.of(pipeline).location:
        ledger.step(f"the working folder is that of {known}: starting from what this dataset holds")
        pipeline.drop()


def finish_leftovers(pipeline: dlt.Pipeline, ledger: Ledger) -> None:
    """Load what an earlier run extracted but could not load; give up what can't be loaded.

    Until then dlt's ``run`` ignores new data. Giving a package up also takes the cursor back to
    where it was, so what the package held is read again from the org.
    """
    if not pipeline.has_pending_data:
        return
    ledger.step("an earlier run left a package unloaded: finishing it first")
    try:
        pipeline.normalize()
        pipeline.load()
        ledger.step("the leftover package is loaded")
    except PipelineStepFailed as error:
        pipeline.abort_packages()
        if pipeline.has_pending_data:
            pipeline.load()
        ledger.warn(
            "a package that an earlier run left behind could not be loaded and was given up; this"
            f" run reads its rows again from the org ({_first_line(cause(error))})"
        )


def _run(pipeline: dlt.Pipeline, source: DltSource, ledger: Ledger) -> LoadInfo:
    """Run the source; a working folder that remembers another org is dropped first.

    A demo or a sandbox may have left it. What the destination remembers still counts: if the
    dataset itself is another org's, the second try fails as the first one did.
    """
    try:
        return pipeline.run(source)
    except PipelineStepFailed as error:
        if not isinstance(cause(error), OtherOrgError):
            raise
    ledger.step("the working folder is another org's: starting from what the destination holds")
    pipeline.drop()
    return pipeline.run(source)


def cause(error: BaseException) -> Exception:
    """The error that dlt wrapped: the first of ours in the chain, else the innermost."""
    chain: list[BaseException] = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) and inner not in chain:
        chain.append(inner)
    ours: Sequence[BaseException] = [one for one in chain if isinstance(one, SalesforceError)]
    found = (ours or [one for one in chain if not isinstance(one, PipelineStepFailed)] or chain)[0]
    if isinstance(found, LoadClientJobFailed | LoadClientJobTerminalRetry | LoadClientJobRetry):
        # dlt's own text is a traceback, and the row in it is somebody's.
        found = found.client_exception
    return found if isinstance(found, Exception) else RuntimeError(str(found))


def explained(error: Exception, pipeline: dlt.Pipeline) -> str:
    """One paragraph: what happened and what to do about it."""
    if isinstance(error, SalesforceError):
        return str(error)
    if isinstance(error, DatabaseException):
        return (
            f"The destination ({pipeline.destination.destination_name}) refused:"
            f" {_first_line(error)}. Nothing half-done is kept: mend the destination and run again;"
            " the next run finishes what is left."
        )
    return f"{type(error).__name__}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _keep(pipeline: dlt.Pipeline, facts: dict[str, Any]) -> None:
    """Write the run's final facts over its row, or beside the others if it has none yet."""
    if pipeline.default_schema_name is None:
        return
    try:
        with Held.of(pipeline) as held:
            if held.column_hints(SYNC_RUNS):
                held.replace(SYNC_RUNS, "run_id", sync_runs.row(facts))
    except Exception:  # the report says it all; the row is a copy
        logger.warning("the run's row in %s could not be written", SYNC_RUNS)
        logger.debug("writing %s failed", SYNC_RUNS, exc_info=True)
