"""Ctrl-C while the org does not respond: the process ends within seconds, the second time at once."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from salesforce_targeted.cli.interrupts import SECONDS_OF_A_PASS, SECONDS_TO_END
from salesforce_targeted.cli.screen import INTERRUPTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.support.script import ROOT, SCRIPT, process, session_of

# For a machine that is busy.
ROOM_SECONDS = 4.0
# Tests that run in the background of a shell ignore Ctrl-C, and their children would. Not by
# preexec_fn: this process has threads, and a fork that runs Python between them may hang.
HEEDS_CTRL_C = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def started(server: DemoServer, folder: Path, *argv: str, **more: str) -> subprocess.Popen[str]:
    """Start the script in a process of its own, with more environment variables if wanted."""
    environ = {
        **os.environ, **session_of(server), **more, "PYTHONPATH": str(ROOT),
        "DLT_DATA_DIR": str(folder / "dlt"), "RUNTIME__DLTHUB_TELEMETRY": "false",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", HEEDS_CTRL_C, str(SCRIPT), *argv], cwd=folder, env=environ,
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_until(holds: Callable[[], object], seconds: float = 180) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.brief(1)
@pytest.mark.parametrize("nth", [1, 2], ids=["the first call", "the records"])
def test_ctrl_c_ends_a_run_whose_org_does_not_respond(
    org: DemoOrg, server: DemoServer, tmp_path: Path, nth: int
) -> None:
    """Calls that are on the way in other threads are not waited for; the next run is complete."""
    hanging = org.faults.add(Fault("composite", "hang", nth=nth, times=99, argument=60))
    run = started(server, tmp_path)
    wait_until(lambda: hanging.seen >= nth)
    run.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, err = run.communicate(timeout=60)
    seconds = time.monotonic() - began
    org.faults.clear()
    repeat = process(cwd=tmp_path, environ=session_of(server))

    assert seconds < SECONDS_TO_END + ROOM_SECONDS
    assert (1, 0) == (run.returncode, repeat.code), err + repeat.err
    assert "interrupted; the next run goes on from here" in err
    assert "" == out
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_done_so_far_is_reported_as_json(
    org: DemoOrg, server: DemoServer, tmp_path: Path, number: signal.Signals
) -> None:
    """On stdout there is one object, as at any other end."""
    hanging = org.faults.add(Fault("composite", "hang", nth=2, times=99, argument=60))
    run = started(server, tmp_path, "--json")
    wait_until(lambda: hanging.seen > 1)
    run.send_signal(number)
    facts = json.loads(run.communicate(timeout=60)[0])

    assert 1 == run.returncode
    assert ("failed", INTERRUPTED) == (facts["status"], facts["error"])
    assert 0 < facts["calls"]["total"]


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_ends_a_run_whose_database_does_not_respond(
    server: DemoServer, tmp_path: Path, presses: int
) -> None:
    """Its driver waits in C, where Python hears of no signal: up to 15 seconds for a connection."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        address = f"postgresql://loader:s3same@127.0.0.1:{silent.getsockname()[1]}/db"
        run = started(server, tmp_path, DESTINATION__POSTGRES__CREDENTIALS=address)
        with silent.accept()[0]:
            began = time.monotonic()
            for _ in range(presses):
                run.send_signal(signal.SIGINT)
                time.sleep(0.3)
            _, err = run.communicate(timeout=60)

    assert time.monotonic() - began < (SECONDS_TO_END + ROOM_SECONDS if presses == 1 else 2)
    assert 1 == run.returncode
    assert "interrupted; the next run goes on from here" in err


@pytest.mark.deep
def test_a_pass_whose_database_does_not_respond_is_cut_off(
    server: DemoServer, tmp_path: Path
) -> None:
    """It is given its ten seconds; the run that follows completes it, so that all is well."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        address = f"postgresql://loader:s3same@127.0.0.1:{silent.getsockname()[1]}/db"
        more = {"DESTINATION__POSTGRES__CREDENTIALS": f"{address}?connect_timeout=60"}
        run = started(server, tmp_path, "--every", "1h", **more)
        with silent.accept()[0]:
            time.sleep(0.5)
            run.send_signal(signal.SIGTERM)
            began = time.monotonic()
            _, err = run.communicate(timeout=60)

    assert time.monotonic() - began < SECONDS_OF_A_PASS + ROOM_SECONDS
    assert 0 == run.returncode, err
    assert "ending after this pass, or in ten seconds" in err


def test_a_second_ctrl_c_ends_at_once(org: DemoOrg, server: DemoServer, tmp_path: Path) -> None:
    """Pressed twice, it ends the process without a word."""
    hanging = org.faults.add(Fault("composite", "hang", nth=2, times=99, argument=60))
    run = started(server, tmp_path)
    wait_until(lambda: hanging.seen > 1)
    run.send_signal(signal.SIGINT)
    time.sleep(0.3)
    run.send_signal(signal.SIGINT)
    began = time.monotonic()
    run.communicate(timeout=60)

    assert time.monotonic() - began < SECONDS_TO_END / 2
    # Python itself may be ending by then, and leaves the signal to the system.
    assert run.returncode in (1, -signal.SIGINT)
