"""Names and addresses that can't be meant are refused before anything is sent, and nothing secret is shown."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dlt
import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.demo_org import DemoOrg
from tests.support.plain_pipeline import into, refused
from tests.support.script import Script

CREDENTIALS = "DESTINATION__POSTGRES__CREDENTIALS"
# Parts of the password that a wrong reading takes for something else.
PARTS = ("s3same", "w0rd", "xyzzy")


@pytest.mark.parametrize(
    ("file", "dataset"),
    [
        ("salesforce.duckdb", "salesforce"),
        ("salesforce.prod.duckdb", "salesforce"),
        (".salesforce.duckdb", "salesforce"),
        ("Salesforce.duckdb", "salesforce"),
        ("SALESFORCE.db", "salesforce"),
        ("salesforce", "Salesforce"),
    ],
)
def test_a_duckdb_file_called_as_the_dataset(
    org: DemoOrg, tmp_path: Path, credentials: SessionCredentials, file: str, dataset: str
) -> None:
    """Refused by a run of ours and by dlt's own, before the first call, in every spelling."""
    held = into(dlt.destinations.duckdb(str(tmp_path / file)), tmp_path, credentials)
    held.pipeline.dataset_name = dataset
    ours = held.run().facts["error"]
    plain = refused(held)

    for error in (ours, plain):
        assert f"the dataset and the DuckDB file {file} are both called" in error
    assert 0 == len(org.requests)


def test_a_dataset_that_would_be_its_own_staging_dataset(
    org: DemoOrg, tmp_path: Path, postgres: str, credentials: SessionCredentials
) -> None:
    """PostgreSQL cuts a name that is too long, and says nothing; each load would empty the tables."""
    destination = dlt.destinations.postgres(postgres, enable_dataset_name_normalization=False)
    held = into(destination, tmp_path, credentials)
    held.pipeline.dataset_name = name = "a" * 63
    error = refused(held)

    assert f"the dataset {name} and its staging dataset {name}_staging" in error
    assert 0 == len(org.requests)


def test_duckdb_takes_a_long_name(
    org: DemoOrg, tmp_path: Path, credentials: SessionCredentials
) -> None:
    """It cuts none: what PostgreSQL would take for one are two datasets there."""
    destination = dlt.destinations.duckdb(str(tmp_path / "held.duckdb"))
    held = into(destination, tmp_path, credentials)
    held.pipeline.dataset_name = "a" * 80
    held.ok()

    assert org.active_ids() == sorted(held.rows("sf_contacts"))


@pytest.mark.parametrize(
    "password",
    [
        "s3same@w0rd",
        "s3same@w0rd#/xyzzy%",
        "s3same@w0rd/xyzzy",
        "s3same@w0rd:xyzzy",
        "s3same@w0rd?a=xyzzy",
        "s3same@w0rd/xyzzy?a=b",
        "s3same@@w0rd",
        "s3same@w0rd xyzzy",
    ],
)
def test_a_password_that_is_not_percent_encoded(
    org: DemoOrg, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    """Said so, exit 2, and no part of it is in what is printed, logged or reported."""
    monkeypatch.setenv(CREDENTIALS, f"postgresql://loader:{password}@127.0.0.1:9/db")
    ended = script("--debug")
    files = [
        file.read_text()
        for file in tmp_path.rglob("*.*")
        if file.suffix in {".md", ".json", ".log"}
    ]
    shown = "\n".join([ended.out, ended.err, *files])

    assert 2 == ended.code, shown
    assert "@ as %40" in shown
    assert [] == [part for part in PARTS if part in shown]
    assert 0 == org.billed


@pytest.mark.parametrize(
    "scheme",
    ["postgresql+psycopg2", "postgresql+asyncpg", "Postgresql", "psql", "mysql", "redshift"],
)
def test_a_connection_string_of_another_program(
    org: DemoOrg, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """SQLAlchemy's, say: exit 2 names how it begins, and nothing of it is printed or reported."""
    monkeypatch.setenv(CREDENTIALS, f"{scheme}://loader:s3same@127.0.0.1:9/db")
    ended, test = script(), script("--test")
    files = [file.read_text() for file in tmp_path.rglob("*.md")]

    assert (2, 2) == (ended.code, test.code), ended.out
    for output in (ended.err, test.err):
        assert f"begins with {scheme}://. Write postgresql://" in output
    assert "s3same" not in "\n".join([ended.out, ended.err, test.out, test.err, *files])
    assert 0 == org.billed


@pytest.mark.parametrize("password", ["s3same#w0rd", "s3same/w0rd", "s3same%40w0rd", "s3same%w0rd"])
def test_a_password_that_the_server_refuses_is_not_repeated(
    script: Script, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    """What can be read is tried; what is said of a server that is away holds no part of it."""
    monkeypatch.setenv(CREDENTIALS, f"postgresql://loader:{password}@127.0.0.1:9/db")
    ended = script()

    assert 1 == ended.code
    assert "Is the server up and reachable" in ended.out
    assert [] == [part for part in PARTS if part in ended.out + ended.err]


def test_a_wrong_parameter_of_the_connection_string(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``?sslmode=bogus`` is that, and no server that is away."""
    monkeypatch.setenv(CREDENTIALS, "postgresql://loader:s3same@127.0.0.1:9/db?sslmode=bogus")
    ended = script()

    assert 1 == ended.code
    assert 'invalid sslmode value: "bogus". Correct the parameter behind the ?' in ended.out


@pytest.mark.parametrize("address", [":99999/db", ":0/db", ":-1/db", "/db?port=99999,5432"])
def test_a_port_that_is_none(
    org: DemoOrg, script: Script, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """It is that, and no server that is away; exit 2, as for what else can't be an address."""
    monkeypatch.setenv(CREDENTIALS, f"postgresql://loader:s3same@127.0.0.1{address}")
    ended, test = script(), script("--test")

    assert (2, 2) == (ended.code, test.code), ended.out
    for output in (ended.err, test.err):
        assert "which is none. Correct it in destination.postgres.credentials" in output
    assert 0 == org.billed


def test_a_pooler_that_refuses_startup_options(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pooler is named, with the setting that helps."""
    with _refusing("unsupported startup parameter: options") as port:
        url = f"postgresql://loader:s3same@127.0.0.1:{port}/db?sslmode=disable"
        monkeypatch.setenv(CREDENTIALS, url)
        ended = script()

    assert 1 == ended.code
    assert "A connection pooler stands before the server" in ended.out


@contextmanager
def _refusing(message: str) -> Iterator[int]:
    """Serve a port that refuses each connection as PgBouncer does.

    Source: PostgreSQL Documentation, "Message Formats" (ErrorResponse).
    """
    body = b"SFATAL\0C08P01\0M" + message.encode() + b"\0\0"
    response = b"E" + (len(body) + 4).to_bytes(4, "big") + body

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(response)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
