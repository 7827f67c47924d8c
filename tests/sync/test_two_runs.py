"""Two runs at once on one dataset: one works, the other stops at once and says why."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
import psycopg2
import pytest

from salesforce_targeted.cli.pipeline import PIPELINE_NAME
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.latency import Latency
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.sync import run_lock
from tests.conftest import Synced, make_synced, pipeline_into
from tests.support.script import DUCKDB_FILE, ROOT, SCRIPT, Ended, ids, process, session_of
from tests.support.story import Story


class Gate(Latency):
    """Keep the response to the second composite call, of records, until the test opens it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.opened = threading.Event(), threading.Event()
        self.composites = 0

    def seconds(self, kind: str, rows: int = 0, *, columns: int = 5) -> float:
        self.composites += kind == "composite"
        if kind == "composite" and self.composites == 2:
            self.reached.set()
            self.opened.wait(60)
        return 0.0


def environment(server: DemoServer, machine: Path, url: str | None = None) -> dict[str, str]:
    """Return a machine's environment: dlt's folder on it, a session of the org, perhaps a database."""
    where = {} if url is None else {"DESTINATION__POSTGRES__CREDENTIALS": url}
    return {**session_of(server), "DLT_DATA_DIR": str(machine / "dlt"), **where}


def started(cwd: Path, environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start the script; it runs on while the test does."""
    cwd.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), "--json"],
        cwd=cwd,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            **environ,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(running: subprocess.Popen[str]) -> Ended:
    """Hold how such a run ended."""
    out, err = running.communicate(timeout=120)

    assert "Traceback" not in err, err
    return Ended(running.returncode, out, err)


@contextmanager
def at_work(org: DemoOrg, cwd: Path, environ: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Hold a run in the middle of its calls until the block ends."""
    gate = org.latency = Gate()
    running = started(cwd, environ)
    try:
        while not gate.reached.wait(0.05):
            assert running.poll() is None, running.communicate()
        yield running
    finally:
        org.latency = None
        gate.opened.set()


def refused(second: Ended, *words: str) -> None:
    """Assert that a run stopped before it did anything, with exit 3 and these words."""
    text = second.facts["error"]

    assert (3, "partial", 0) == (
        second.code, second.facts["status"], second.facts["calls"]["total"],
    )  # fmt: skip
    assert [] == [word for word in ("another run is at work on", *words) if word not in text], text
    assert 1 == len(text.splitlines())


def test_a_second_run_on_the_same_machine_stops(
    org: DemoOrg, server: DemoServer, tmp_path: Path
) -> None:
    """It exits 3, names the one at work and asks nothing; the first one completes."""
    environ = environment(server, tmp_path)
    with at_work(org, tmp_path, environ) as first:
        asked = org.billed
        second = process("--json", "--report-html", cwd=tmp_path, environ=environ)
        asked = org.billed - asked
    code = ended(first).code

    refused(second, f"the working folder {tmp_path}", f"process {first.pid} on", "Run again when")
    assert 0 == asked
    assert 0 == code
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts")


@pytest.mark.deep
def test_two_working_folders_do_not_load_into_one_duckdb_file_at_once(
    org: DemoOrg, server: DemoServer, tmp_path: Path
) -> None:
    """Another DLT_DATA_DIR, the same database file: exit 3; the first one completes."""
    with at_work(org, tmp_path, environment(server, tmp_path / "one")) as first:
        second = process("--json", cwd=tmp_path, environ=environment(server, tmp_path / "two"))
    code = ended(first).code

    refused(second, f"the database {tmp_path / DUCKDB_FILE}", f"process {first.pid} on")
    assert 0 == code
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts")


@pytest.mark.deep
@pytest.mark.postgres
def test_two_machines_do_not_load_into_one_dataset_at_once(
    request: pytest.FixtureRequest,
    org: DemoOrg,
    server: DemoServer,
    postgres: str,
    tmp_path: Path,
    synced: Synced,
) -> None:
    """The second exits 3; the first completes; a third, on the second machine, finds all true."""
    east, west = tmp_path / "east", tmp_path / "west"
    west.mkdir()
    with at_work(org, east, environment(server, east, postgres)) as first:
        second = process("--json", cwd=west, environ=environment(server, west, postgres))
    code = ended(first).code
    third = process("--json", cwd=west, environ=environment(server, west, postgres))
    observer = make_synced(request, tmp_path, synced.credentials, "postgres", PIPELINE_NAME)

    refused(second, "the dataset salesforce since", "pg_terminate_backend(")
    assert (0, 0) == (code, third.code)
    assert 0 == third.facts["contacts"]["new"]
    Story(org, observer).run()


@pytest.mark.deep
def test_a_run_waits_while_another_makes_the_working_folder(
    org: DemoOrg, server: DemoServer, tmp_path: Path
) -> None:
    """Dlt wipes a folder that has no state yet, so the second stands back until the first has."""
    folder = tmp_path / "dlt" / "pipelines" / PIPELINE_NAME
    with run_lock.attaching(PIPELINE_NAME, str(folder.parent)):
        second = started(tmp_path, environment(server, tmp_path))
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(4)
        exists = folder.exists()

    assert not exists
    assert 0 == ended(second).code
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts")


@pytest.mark.deep
@pytest.mark.postgres
def test_runs_that_start_together_corrupt_nothing(
    request: pytest.FixtureRequest,
    org: DemoOrg,
    server: DemoServer,
    postgres: str,
    tmp_path: Path,
    synced: Synced,
) -> None:
    """Three at once, two of them on one machine, all on a new dataset: each is done or refused."""
    machines = [tmp_path / "one", tmp_path / "east", tmp_path / "west"]
    runs = [started(machine, environment(server, machine, postgres)) for machine in machines]
    endings = [ended(run) for run in runs]
    observer = make_synced(request, tmp_path, synced.credentials, "postgres", PIPELINE_NAME)

    assert [] == [how for how in endings if how.code not in {0, 3}]
    assert 0 in [how.code for how in endings]
    Story(org, observer).run()


@pytest.mark.deep
@pytest.mark.postgres
def test_a_package_left_on_one_machine_does_no_harm_after_a_run_on_another(
    request: pytest.FixtureRequest,
    org: DemoOrg,
    server: DemoServer,
    postgres: str,
    tmp_path: Path,
    synced: Synced,
) -> None:
    """Killed in mid-merge on one; the other loads newer rows through the same staging dataset."""
    east, west = tmp_path / "east", tmp_path / "west"
    on_east, on_west = (environment(server, machine, postgres) for machine in (east, west))
    west.mkdir()
    assert 0 == ended(started(east, on_east)).code
    edited, fresh = org.active_ids()[0], org.add_contact(LastName="Fresh")
    org.log_task([fresh])
    org.edit("Contact", edited, LastName="Old")
    with closing(psycopg2.connect(postgres)) as console, console.cursor() as cursor:
        # Reading goes on; the merge of contacts, with its rows staged, waits.
        cursor.execute("LOCK TABLE salesforce.sf_contacts IN SHARE MODE")
        killed = started(east, on_east)
        waiting: list[Any] = []
        while not waiting:
            assert killed.poll() is None, killed.communicate()
            time.sleep(0.05)
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            waiting = cursor.fetchall()
        killed.kill()
        killed.communicate()
        console.rollback()
    org.edit("Contact", edited, LastName="New")
    org.edit("Contact", fresh, LastName="Fresher")
    codes = [
        process(cwd=west, environ=on_west).code,
        process(cwd=east, environ=on_east).code,
    ]
    observer = make_synced(request, tmp_path, synced.credentials, "postgres", PIPELINE_NAME)
    held = observer.rows("sf_contacts")

    assert [0, 0] == codes
    assert ("New", "Fresher") == (held[edited]["last_name"], held[fresh]["last_name"])
    Story(org, observer).run()


@pytest.mark.deep
def test_a_run_that_was_killed_holds_no_lock(
    org: DemoOrg, server: DemoServer, tmp_path: Path
) -> None:
    """SIGKILL in the middle; the lock file is still there, and the next run works."""
    environ = environment(server, tmp_path)
    with at_work(org, tmp_path, environ) as first:
        first.kill()
        first.communicate()
    after = process("--json", cwd=tmp_path, environ=environ)

    assert (tmp_path / "dlt" / "pipelines" / ".targeted_contacts.lock").exists()
    assert 0 == after.code
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts")


@pytest.mark.postgres
def test_datasets_do_not_lock_each_other(
    request: pytest.FixtureRequest, tmp_path: Path, synced: Synced, postgres: str
) -> None:
    """A lock is for one dataset of one database, and has gone when the run has."""
    crm, other, rival = (
        make_synced(request, tmp_path, synced.credentials, "postgres", name).pipeline
        for name in ("crm", "other", "again")
    )
    other.dataset_name = "other"
    with run_lock.alone(crm):
        with run_lock.alone(other):
            pass
        with pytest.raises(run_lock.AnotherRunError, match="the dataset salesforce since"):
            run_lock.alone(rival).__enter__()
    with run_lock.alone(rival):
        pass


@contextmanager
def told_late(url: str) -> Iterator[str]:
    """Serve a database whose server learns a second late that a client has hung up."""
    with closing(psycopg2.connect(url)) as known:
        at, host, port = urlsplit(url), known.info.host, known.info.port

    def to_server() -> socket.socket:
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def pass_on(source: socket.socket, to: socket.socket) -> None:
        while (sent := source.recv(65_536)) not in (b"", b"X\0\0\0\4"):  # Terminate
            to.sendall(sent)
        time.sleep(1)
        to.close()

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            server = to_server()
            for pair in ((client, server), (server, client)):
                threading.Thread(target=pass_on, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        address = f"{at.username}:{at.password}@127.0.0.1:{listener.getsockname()[1]}"
        yield at._replace(netloc=address, query="").geturl()


@pytest.mark.postgres
def test_the_next_run_may_begin_at_once(tmp_path: Path, postgres: str) -> None:
    """A lock has gone when its run has, however late the server learns that the client has."""
    with told_late(postgres) as url:
        for name in ("one", "two"):
            with run_lock.alone(pipeline_into(dlt.destinations.postgres(url), tmp_path, name)):
                pass


@pytest.mark.postgres
def test_an_idle_lock_is_not_taken_away(
    request: pytest.FixtureRequest, tmp_path: Path, synced: Synced, postgres: str
) -> None:
    """A database that ends idle transactions soon does not end the lock of a long run."""
    with closing(psycopg2.connect(postgres)) as admin:
        admin.autocommit = True
        name = admin.info.dbname
        for setting in ("idle_in_transaction_session_timeout", "transaction_timeout"):
            admin.cursor().execute(f"ALTER DATABASE {name} SET {setting} = 100")
    holder, rival = (
        make_synced(request, tmp_path, synced.credentials, "postgres", name).pipeline
        for name in ("one", "two")
    )
    with run_lock.alone(holder):
        time.sleep(0.5)
        with pytest.raises(run_lock.AnotherRunError):
            run_lock.alone(rival).__enter__()


@pytest.mark.deep
def test_a_pipeline_made_before_another_run_ended_goes_on_from_there(
    request: pytest.FixtureRequest, org: DemoOrg, tmp_path: Path, synced: Synced
) -> None:
    """Made on an empty folder, run after another has filled it: nothing is new, all is true."""
    early = make_synced(request, tmp_path, synced.credentials, "duckdb")
    Story(org, synced).run()
    org.log_task([org.add_contact(LastName="Fresh")])
    facts = Story(org, early).run()

    assert (1, 1) == (facts["relations"]["new"], facts["contacts"]["new"])
    assert 0 == Story(org, synced).run()["contacts"]["updated"]


def test_where_nothing_can_be_locked_the_run_goes_on_and_says_so(
    synced: Synced,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A lock file that can't be opened is a warning, not the end of every sync."""
    (tmp_path / "pipelines" / ".synced.lock").mkdir(parents=True)
    synced.ok()

    assert "could not be locked against a second run" in caplog.text
