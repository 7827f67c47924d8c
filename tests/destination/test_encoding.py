"""A name with letters of any script is held as it is, or the database is refused before a call."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.demo_org import DemoOrg
from tests.support.oracles.recovery import at, tell
from tests.support.plain_pipeline import refused
from tests.support.script import Script

pytestmark = pytest.mark.postgres
CREDENTIALS = "DESTINATION__POSTGRES__CREDENTIALS"
NAME = "Žluťoučký 日本 Müller"
Encoded = Callable[[str], str]


@pytest.fixture
def encoded(postgres_server: str) -> Iterator[Encoded]:
    """Provide a maker of databases in an encoding; the URL of each."""
    names = []

    def make(encoding: str) -> str:
        names.append(f"test_{uuid.uuid4().hex[:12]}")
        options = f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        tell(postgres_server, f"CREATE DATABASE {names[-1]} {options}")
        return urlsplit(postgres_server)._replace(path=f"/{names[-1]}").geturl()

    yield make
    for name in names:
        tell(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.brief(1)
@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "EUC_JP"])
def test_a_database_that_does_not_hold_every_character(
    org: DemoOrg,
    script: Script,
    encoded: Encoded,
    monkeypatch: pytest.MonkeyPatch,
    encoding: str,
) -> None:
    """Exit 2 names its encoding and the database to make, before the first call; --test fails."""
    monkeypatch.setenv(CREDENTIALS, encoded(encoding))
    ended = script()
    billed = org.billed
    test = script("--test")

    assert (2, 0) == (ended.code, billed), ended.out
    for output in (ended.out, test.out):
        assert f"the database's encoding is {encoding}" in output
        assert "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0" in output
    assert 1 == test.code
    assert "FAIL destination" in test.out


@pytest.mark.brief(1)
@pytest.mark.parametrize("way", ["URL", "database", "environment"])
def test_a_session_that_says_its_text_is_not_utf8(
    org: DemoOrg, script: Script, postgres: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Wherever client_encoding is set: exit 2, before the first call; the remedy wins over it."""
    url = postgres
    if way == "URL":
        url += "&client_encoding=latin1"
    elif way == "database":
        tell(postgres, f"ALTER DATABASE {urlsplit(url).path[1:]} SET client_encoding = 'LATIN1'")
    else:
        monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    org.edit("Contact", org.active_ids()[0], LastName=NAME)
    monkeypatch.setenv(CREDENTIALS, url)
    ended = script()
    billed = org.billed
    test = script("--test")
    monkeypatch.setenv(CREDENTIALS, f"{postgres}&client_encoding=utf8")
    mended = script()

    assert (2, 0) == (ended.code, billed), ended.out
    for output in (ended.out, test.out):
        assert "client_encoding is LATIN1" in output
        assert "client_encoding=utf8" in output
    assert "FAIL destination" in test.out
    assert 0 == mended.code, mended.out
    assert NAME in names(postgres)


def test_dlts_own_run_is_refused_as_ours(
    postgres: str, credentials: SessionCredentials, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Without the lock of ours around it nothing garbled is loaded, either."""
    url = f"{postgres}&client_encoding=latin1"
    error = refused(at(url, tmp_path_factory.mktemp("plain"), credentials))

    assert "client_encoding is LATIN1" in error
    assert [] == tell(postgres, "SELECT 1 FROM pg_tables WHERE tablename = 'sf_contacts'")


@pytest.mark.deep
def test_a_database_without_an_encoding_passes_bytes_through(
    org: DemoOrg, script: Script, encoded: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQL_ASCII converts nothing: UTF-8 in, the same out, and nothing drifted."""
    url = encoded("SQL_ASCII")
    org.edit("Contact", org.active_ids()[0], LastName=NAME)
    monkeypatch.setenv(CREDENTIALS, url)
    unsaid = script()
    monkeypatch.setenv(CREDENTIALS, f"{url}&client_encoding=utf8")
    ended = [script(), script(), script("--verify")]

    assert 2 == unsaid.code
    assert "client_encoding is SQL_ASCII" in unsaid.out
    assert [0, 0, 0] == [run.code for run in ended], ended[-1].out
    assert NAME in names(url)


def names(url: str) -> list[str]:
    """Return the held last names, read as UTF-8."""
    rows = tell(f"{url}&client_encoding=utf8", "SELECT last_name FROM salesforce.sf_contacts")
    return [row[0] for row in rows]
