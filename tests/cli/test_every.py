"""``--every``: passes follow each other, tell how they ended, and end when they have to."""

from __future__ import annotations

import json
import signal
import time
from collections import deque
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from salesforce_targeted.api import errors
from salesforce_targeted.cli import every
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.extract.org_changes import OtherOrgError
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.sync.runner import Outcome
from tests.cli.test_interrupts import started, wait_until
from tests.conftest import Synced
from tests.support.script import Script, rows


class Passes:
    """Make passes on a pipeline, each after a change of the test's, and end after the last."""

    def __init__(self, synced: Synced, *before: Any) -> None:
        self.reports: list[dict[str, Any]] = []
        self._synced, self._before, self._ending = synced, deque(before), Event()

    def __call__(self, **more: Any) -> int:
        return every.repeat(self._one, self.reports.append, 0.01, self._ending, **more)

    def _one(self) -> Outcome:
        self._before.popleft()()
        if not self._before:
            self._ending.set()
        return self._synced.run()

    @property
    def ends(self) -> list[str]:
        """List how each pass ended."""
        return [facts["status"] for facts in self.reports]


def nothing() -> None:
    """Change nothing."""


def test_each_pass_is_a_whole_run(org: DemoOrg, synced: Synced) -> None:
    """What changed before a pass is held after it; each has its row; nothing is left unlocked."""
    id_ = org.active_ids()[0]

    def edit() -> None:
        org.edit("Contact", id_, LastName="Newname")

    passes = Passes(synced, nothing, edit, nothing)

    assert 0 == passes()
    assert ["done"] * 3 == passes.ends
    assert [12, 0, 0] == [facts["contacts"]["new"] for facts in passes.reports]
    assert [0, 1, 0] == [facts["contacts"]["updated"] for facts in passes.reports]
    assert "Newname" == synced.rows("sf_contacts")[id_]["last_name"]
    assert 3 == len(synced.rows("sf_sync_runs", "run_id"))


def test_a_pass_that_fails_is_told_and_the_next_one_tried(org: DemoOrg, synced: Synced) -> None:
    """An org that is away for a while is met again."""
    away = Fault("*", "unknown_500", times=999)

    def leave() -> None:
        org.faults.add(away)

    passes = Passes(synced, nothing, leave, org.faults.clear)

    assert 0 == passes()
    assert ["done", "failed", "done"] == passes.ends
    assert "UNKNOWN_EXCEPTION" in passes.reports[1]["error"]


@pytest.mark.brief(1)
@pytest.mark.parametrize(
    ("permissions", "code"), [(("API Enabled",), 1), ((), 1)], ids=["contacts hidden", "no API"]
)
def test_what_people_must_mend_ends_it(
    org: DemoOrg, synced: Synced, permissions: tuple[str, ...], code: int
) -> None:
    """A permission that was taken: no later pass can do better."""
    passes = Passes(synced, nothing, lambda: org.permit_only(permissions), nothing, nothing)

    assert code == passes()
    assert ["done", "failed"] == passes.ends


@pytest.mark.parametrize(
    ("error", "ends", "code"),
    [
        (errors.ConfigurationError("x"), True, 2),
        (OtherOrgError("x"), True, 2),
        (errors.AuthenticationError("x"), True, 1),
        (errors.PermissionDeniedError("x"), True, 1),
        (errors.UnavailableError("x"), False, 0),
        (errors.QueryTimeoutError("x"), False, 0),
        (errors.BulkJobError("x"), False, 0),
        (ConnectionError("the database is away"), False, 0),
    ],
)
def test_which_errors_end_it(error: Exception, ends: bool, code: int) -> None:
    """What passes is tried again; the exit code is that of the error, or of an end that was asked for."""
    ending, passes = Event(), list[int]()

    def run() -> Outcome:
        passes.append(1)
        if len(passes) == 3:
            ending.set()
        return Outcome(Ledger().facts("failed"), error)

    assert code == every.repeat(run, lambda _facts: None, 0.0, ending)
    assert (1 if ends else 3) == len(passes)


@pytest.mark.parametrize(
    ("left", "spent", "reserve", "seconds"),
    [
        (15_000, [3, 3, 3], 0.1, 60.0),  # 4,320 calls a day
        (3_000, [3, 3, 3], 0.1, 96.0),  # 900 passes of 3 calls
        (3_000, [3, 90, 3], 0.1, 96.0),  # a whole refresh is not every pass
        (100, [3], 0.0, 2592.0),
        (2, [3], 0.5, 3600.0),
        (None, [3], 0.1, 60.0),
        (3_000, [], 0.1, 60.0),  # the first pass loaded everything
    ],
)
def test_passes_come_as_often_as_the_calls_of_a_day_allow(
    left: int | None, spent: list[int], reserve: float, seconds: float
) -> None:
    """What is left, less the reserve, by what a pass costs; within the hour in any case."""
    outcome = Outcome(Ledger(org_remaining=left).facts("done"))

    assert seconds == every.lasting_seconds(60.0, deque(spent), outcome, reserve)


def test_spent_calls_are_waited_for() -> None:
    """A run that was stopped by the reserve is tried again in an hour."""
    stopped = Outcome(Ledger().facts("partial"), errors.QuotaExceededError("x"))

    assert 3600.0 == every.lasting_seconds(60.0, deque(), stopped)


@pytest.mark.deep
def test_it_says_that_passes_come_less_often(
    org: DemoOrg, synced: Synced, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, when it changes."""
    org.daily_used = 12_000
    passes = Passes(synced, nothing, nothing)
    passes()

    warnings = [text for text in caplog.messages if "would spend the org's calls" in text]
    assert 1 == len(warnings), caplog.messages
    assert "one every" in warnings[0]


def test_a_pass_is_followed_at_once_by_the_next_where_it_took_too_long() -> None:
    """From beginning to beginning: passes neither pile up nor drift."""
    waits: list[float] = []
    times = iter([0.0, 5.0, 5.0, 9.0, 10.0, 12.0])

    class Recording(Event):
        def wait(self, seconds: float | None = None) -> bool:
            waits.append(seconds)
            return len(waits) == 3

    def run() -> Outcome:
        return Outcome(Ledger().facts("done"))

    code = every.repeat(run, lambda _facts: None, 5.0, Recording(), clock=lambda: next(times))

    assert (0, [0.0, 1.0, 3.0]) == (code, waits)


@pytest.mark.brief(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_between_two_passes_ends_it(
    org: DemoOrg, server: DemoServer, tmp_path: Path, number: signal.Signals
) -> None:
    """At once, with exit code 0; what a pass told stands in a line of stdout."""
    run = started(server, tmp_path, "--every", "1h")
    assert run.stdout is not None
    line = run.stdout.readline()
    run.send_signal(number)
    began = time.monotonic()
    out, err = run.communicate(timeout=60)

    assert (0, "") == (run.returncode, out), err
    assert time.monotonic() - began < 8
    assert "contacts 12 held, 12 new, 0 updated, 0 gone" in line
    assert "Traceback" not in err
    assert 1 == len(rows(tmp_path, "sf_sync_runs"))
    assert not (tmp_path / "sync_results").exists() or not list(
        (tmp_path / "sync_results").iterdir()
    )


@pytest.mark.deep
def test_a_signal_within_a_pass_lets_it_end(
    org: DemoOrg, server: DemoServer, tmp_path: Path
) -> None:
    """It loads what it has begun, tells so in a line, and no other pass begins."""
    slow = org.faults.add(Fault("composite", "hang", times=1, argument=2))
    run = started(server, tmp_path, "--every", "10s", "--json")
    wait_until(lambda: slow.seen)
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=60)

    assert 0 == run.returncode, err
    assert ["done"] == [json.loads(line)["status"] for line in out.splitlines()]
    assert "ending after this pass" in err
    assert 12 == len(rows(tmp_path, "sf_contacts"))


@pytest.mark.deep
def test_a_pass_that_does_not_end_is_cut_off(
    org: DemoOrg, server: DemoServer, tmp_path: Path
) -> None:
    """A second signal ends the process at once; the next run is complete."""
    hanging = org.faults.add(Fault("composite", "hang", times=99, argument=60))
    run = started(server, tmp_path, "--every", "10s")
    wait_until(lambda: hanging.seen)
    run.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    run.send_signal(signal.SIGTERM)
    began = time.monotonic()
    run.communicate(timeout=60)

    assert (0, True) == (run.returncode, time.monotonic() - began < 5)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--every", "5s"], "must be 10s or more"),
        (["--every", "2d"], "must be a time such as 60s, 5m or 1h"),
        (["--every", "25h"], "24h at most"),
        (["--every", "-5"], "must be a time such as"),
        (
            ["--every", "60s", "--verify"],
            "--every repeats the default run, which takes no --verify",
        ),
        (["--every", "60s", "--limit", "5"], "takes no --limit"),
        (["--every", "60s", "--full"], "takes no --full"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_can_not_be_repeated_is_wrong_use(
    org: DemoOrg, script: Script, typed: list[str], words: str
) -> None:
    """Exit 2 before the first call."""
    ended = script(*typed)

    assert 2 == ended.code
    assert words in ended.err
    assert 0 == org.billed


@pytest.mark.parametrize(
    ("text", "seconds"), [("60", 60), ("60s", 60), ("60 S", 60), ("5m", 300), ("1h", 3600)]
)
def test_a_time_is_read_as_people_write_it(text: str, seconds: int) -> None:
    """Seconds without a unit."""
    from salesforce_targeted.cli import options

    assert seconds == options.parser("x").parse_args(["--every", text]).every
