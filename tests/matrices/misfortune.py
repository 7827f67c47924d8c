"""Let one misfortune befall one sync, judge how it ends, and let the next sync mend it.

The promise, see README: a run ends complete and true, or it stops with its exit code and one
paragraph that names the remedy, with nothing held lost or marked as gone that is not; then the next
run completes. Never success with rows missing.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlt

from salesforce_targeted.api.credentials import ClientCredentials
from salesforce_targeted.api.errors import ConfigurationError, SalesforceError
from salesforce_targeted.arrow.batch import EVERY_RECORD
from salesforce_targeted.cli.exit_codes import DONE, FAILED, PARTIAL, WRONG_USE
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.destination.table_names import REJECTED_RECORDS
from salesforce_targeted.extract.resource_feed import CALLS_IN_FLIGHT
from salesforce_targeted.sync.configuration import load_settings
from salesforce_targeted.sync.runner import Outcome
from tests.conftest import Synced
from tests.matrices.calls import Kind
from tests.support.kills import happen
from tests.support.oracles.oracle import Comparison, HeldTables
from tests.support.oracles.promises import part, whole

FOR_EVER = 10_000
# A call that fails is tried five times; a fallback then asks for each part on its own.
MOST_EXTRA_CALLS = 25
_NAME = "misfortune"
_STUCK_SECONDS = 0.3


@dataclass(frozen=True)
class Trial:
    """A misfortune, the kind of call that it befalls, in which run, and whether it passes."""

    action: str
    kind: Kind
    later: bool
    stays: bool

    def __str__(self) -> str:
        run = "a later run" if self.later else "a first run"
        return f"{self.action} {'stays' if self.stays else 'passes'}: {self.kind.title}, {run}"


@dataclass(frozen=True)
class Verdict:
    """Name how a trial ended.

    Attributes:
        struck: How many calls the misfortune befell; 0 means that no such call was made.
        code: The exit code of the script.
        extra: Billed calls beyond those of an undisturbed run; less than 0 where the run stopped.
        rejected: Records that could not be read, each named by the report and the destination.
        error: What the run said, where it stopped.
        broken: The promises that were broken, as sentences.
    """

    trial: Trial
    struck: int
    code: int
    extra: int
    rejected: int
    error: str
    broken: tuple[str, ...]

    @property
    def word(self) -> str:
        """A cell of the matrix."""
        if not self.struck:
            return "not met"
        if self.broken:
            return "BROKEN"
        if self.rejected:
            return f"rejected {self.rejected}"
        if self.code == DONE:
            return f"complete +{self.extra}" if self.extra else "complete"
        return f"{'partial' if self.code == PARTIAL else 'stopped'} {self.code}"


class Ground:
    """An org with a destination, as they are before a trial, and again before the next one.

    Args:
        folder: Where dlt works and DuckDB's file is.
        later: Whether an earlier run has loaded, and things have happened since.
    """

    def __init__(self, folder: Path, kind: Kind, *, later: bool) -> None:
        self.kind, self.later = kind, later
        self._folder, self._saved = folder, folder.with_name(f"{folder.name}-saved")
        self.org = DemoOrg.tiny()
        self._server = serve(self.org)
        load_settings(_NAME)
        folder.mkdir(parents=True)
        self._begin()
        if later:
            self._synced().ok(kind.scope, **kind.settings)
            happen(self.org)
        shutil.copytree(folder, self._saved)
        self._begin()
        self._synced().ok(kind.scope, **kind.settings)
        self.undisturbed = self.org.billed

    def close(self) -> None:
        """Serve no longer, and leave no file."""
        self._server.close()
        shutil.rmtree(self._folder)
        shutil.rmtree(self._saved)

    def try_out(self, action: str, *, stays: bool) -> Verdict:
        """Let a misfortune befall a run, once or for ever; where it stops, let the next one run."""
        shutil.rmtree(self._folder)
        shutil.copytree(self._saved, self._folder)
        self._begin()
        fault = Fault(
            self.kind.call, action, self.kind.nth, FOR_EVER if stays else 1, _argument(action)
        )
        self.org.faults.waiting.insert(0, fault)
        # The demo org bills a call that a fault strikes, and none that then meets the ended session;
        # the client counts both.
        unbilled = CALLS_IN_FLIGHT if action == "expire_session" else 0
        outcome, broken = self._run(passes=not stays, unbilled=unbilled)
        extra = self.org.billed - self.undisturbed
        if not stays and extra > MOST_EXTRA_CALLS:
            broken.append(f"{extra} calls more than undisturbed")
        rejected = outcome.facts["rejected"]
        if outcome.error is not None or rejected:
            broken += self._next()
        trial = Trial(action, self.kind, self.later, stays)
        message = str(outcome.facts["error"] or "")
        ended = (exit_code(outcome), extra, len(rejected), message)
        return Verdict(trial, fault.done, *ended, tuple(broken))

    def _begin(self) -> None:
        self.org.faults.clear()
        self.org.jobs.clear()
        self.org.daily_used = 0
        self.org.reset_calls()
        self.kind.prepare(self.org)

    def _synced(self) -> Synced:
        app = ClientCredentials()
        app.client_id, app.client_secret = self.org.client_id, self.org.client_secret
        app.login_url = self._server.url
        destination = dlt.destinations.duckdb(str(self._folder / "held.duckdb"))
        pipeline = dlt.pipeline(
            _NAME,
            destination=destination,
            dataset_name="salesforce",
            pipelines_dir=str(self._folder / "pipelines"),
        )
        return Synced(pipeline, app)

    def _run(self, *, passes: bool, unbilled: int = 0) -> tuple[Outcome, list[str]]:
        """Run once; how it ended, and the promises that it broke."""
        synced = self._synced()
        before = HeldTables.read(synced.pipeline)
        with _jobs_going_on(self.org) if passes else _as_it_is():
            outcome = synced.run(self.kind.scope, **self.kind.settings)
        counted = outcome.facts["calls"]["total"]
        broken = [] if 0 <= counted - self.org.billed <= unbilled else [
            f"the report counts {counted} calls, the org {self.org.billed}"
        ]  # fmt: skip
        if outcome.error is not None:
            broken += without_remedy(outcome)
        if synced.pipeline.default_schema_name is None:  # nothing was ever loaded
            return outcome, broken
        comparison = Comparison(synced.pipeline, self.org, before)
        if outcome.error is not None:
            return outcome, broken + part(comparison)
        sentences = whole(comparison, outcome.facts)
        if named := {r["record_id"] for r in outcome.facts["rejected"]}:
            lacking = [s for s in sentences if " lacks " in s and s.split()[-1] not in named]
            unnamed = named - synced.rows(REJECTED_RECORDS, "record_id").keys()
            silent = [f"{REJECTED_RECORDS} lacks {id_}" for id_ in unnamed]
            sentences = [*part(comparison), *lacking, *silent]
            # A field that can't be read of any record is null in those that are new.
            fields = [f".{r['field'].lower()}: " for r in outcome.facts["rejected"]
                      if r["record_id"] == EVERY_RECORD]  # fmt: skip
            sentences = [s for s in sentences if not any(field in s for field in fields)]
        return outcome, broken + sentences

    def _next(self) -> list[str]:
        """Return what the next run leaves undone once the misfortune is over."""
        self.org.faults.clear()
        self.kind.prepare(self.org)
        for job in self.org.jobs.values():
            job.forced = None
        self.org.reset_calls()
        outcome, broken = self._run(passes=True)
        extra = self.org.billed - self.undisturbed
        if outcome.error is not None:
            broken.append(f"does not complete: {outcome.facts['error']}")
        elif extra > MOST_EXTRA_CALLS:
            broken.append(f"{extra} calls more than undisturbed")
        return [f"the next run: {sentence}" for sentence in broken]


def exit_code(outcome: Outcome) -> int:
    """Return the script's exit code after such a run."""
    if outcome.error is None:
        return DONE
    if isinstance(outcome.error, ConfigurationError):
        return WRONG_USE
    return PARTIAL if outcome.facts["status"] == "partial" else FAILED


def without_remedy(outcome: Outcome) -> list[str]:
    """Return what is wrong with the message of a run that stopped; nothing, as a rule."""
    message, error = outcome.facts["error"] or "", outcome.error
    if not isinstance(error, SalesforceError):
        return [f"stopped by {type(error).__name__}, which names no remedy: {message}"]
    broken = [] if error.remedy and error.remedy in message else [f"names no remedy: {message}"]
    if len(message.splitlines()) != 1:
        broken.append(f"is no one paragraph: {message}")
    return broken


def _argument(action: str) -> str | float | None:
    arguments: dict[str, str | float] = {
        "slow_drip": 0.2, "hang": 0.2, "invalid_field_400": "Email",
    }  # fmt: skip
    return arguments.get(action)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


@contextmanager
def _jobs_going_on(org: DemoOrg) -> Iterator[None]:
    """Let a stuck job go on after a moment, as far as the trouble is one that passes."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_STUCK_SECONDS):
            stuck: list[Any] = [
                job for job in org.jobs.copy().values() if job.forced == "InProgress"
            ]
            for job in stuck:
                job.forced = None

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
