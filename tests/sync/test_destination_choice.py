"""Where the data goes is what was meant: a database that is named in vain stops the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from salesforce_targeted.demo_org import DemoOrg
from tests.support.script import DUCKDB_FILE, Script

URL = "postgresql://loader:sesame-99@127.0.0.1:9/analytics"
POSTGRES = "[destination.postgres.credentials]"
NAMED_IN_VAIN = {
    "[destination.postgres]\nhost = '127.0.0.1'\npassword = 'sesame-99'": POSTGRES,
    f"[destination]\ncredentials = '{URL}'": POSTGRES,
    f"[destination.postgresql]\ncredentials = '{URL}'": POSTGRES,
    f"[destinations.postgres]\ncredentials = '{URL}'": POSTGRES,
    "[postgres.credentials]\nhost = '127.0.0.1'\npassword = 'sesame-99'": POSTGRES,
    "[destination.snowflake.credentials]\npassword = 'sesame-99'": "--destination snowflake",
    f"[destination.warehouse]\ndestination_type = 'postgres'\ncredentials = '{URL}'": (
        "--destination warehouse"
    ),
    "[targeted_contacts.destination.snowflake]\ncredentials = 'sesame-99'": "--destination snowf",
    "DESTINATION__CREDENTIALS": POSTGRES,
    "DESTINATION_POSTGRES_CREDENTIALS": POSTGRES,
    "destination__postgres__credentials": POSTGRES,
    "TARGETED_CONTACTS__DESTINATION__MSSQL__CREDENTIALS": "--destination mssql",
}


def configured(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    """Set a variable, or write a table into secrets.toml; return what names it in an error."""
    if not text.startswith("["):
        monkeypatch.setenv(text, URL)
        return text
    (folder / ".dlt").mkdir()
    (folder / ".dlt" / "secrets.toml").write_text(text)
    return f"{text.splitlines()[0]} in secrets.toml"


@pytest.mark.brief(4)
@pytest.mark.parametrize("text", NAMED_IN_VAIN)
def test_a_database_that_nothing_chooses_stops_the_run(
    org: DemoOrg, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Exit 2 says where it stands and where it belongs; nothing lands in a file."""
    where = configured(tmp_path, monkeypatch, text)
    ended = script()

    assert 2 == ended.code, ended.out
    assert f"{where} names a database, and no destination is chosen" in ended.err
    assert NAMED_IN_VAIN[text] in ended.err
    assert "sesame" not in ended.err
    assert 0 == org.billed
    assert not (tmp_path / DUCKDB_FILE).exists()


def test_credentials_of_everything_are_nobodys(
    org: DemoOrg, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be taken for those of Salesforce, and of any destination; exit 2."""
    monkeypatch.setenv("CREDENTIALS", URL)
    ended = [script(), script("--sf-org", "uat")]

    assert [2, 2] == [run.code for run in ended]
    assert all("CREDENTIALS" in run.err and "sesame" not in run.err for run in ended)
    assert "PostgreSQL belongs into DESTINATION__POSTGRES__CREDENTIALS" in ended[0].err
    assert not (tmp_path / DUCKDB_FILE).exists()


@pytest.mark.brief(2)
@pytest.mark.parametrize(
    "text",
    [
        "[destination]\nreplace_strategy = 'truncate-and-insert'",
        "[destination.filesystem]\nlayout = '{table_name}/{load_id}.{ext}'",
        "[pipelines.targeted_contacts]\ndestination_type = 'duckdb'\n[postgres]\nhost = 'x'",
        "[destination.duckdb.credentials]\ndatabase = 'held.duckdb'\n[postgres]\nhost = 'x'",
        "POSTGRES_SERVICE_HOST",
    ],
)
def test_what_names_no_database_stops_nothing(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """How dlt loads, the variables of a cluster, and what a choice overrules."""
    configured(tmp_path, monkeypatch, text)

    assert 0 == script("--count").code


def test_the_file_can_be_chosen(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--destination duckdb loads into the file whatever else is configured, and says so."""
    monkeypatch.setenv("DESTINATION__SNOWFLAKE__CREDENTIALS", URL)
    ended = script("--destination", "duckdb")

    assert 0 == ended.code
    line = f"destination  duckdb: {tmp_path / DUCKDB_FILE}, dataset salesforce"
    assert line in ended.out


@pytest.mark.brief(1)
@pytest.mark.parametrize("chosen", [[], ["--destination", "duckdb"]], ids=["", "chosen"])
@pytest.mark.parametrize("address", [URL, "mysql://a:sesame-99@h/db", "md:mydb", "s3://b/x.duckdb"])
def test_the_address_of_another_database_is_no_duckdb_file(
    org: DemoOrg, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str,
    chosen: list[str],
) -> None:  # fmt: skip
    """Exit 2 names the scheme alone; no file is called after a part of the address."""
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", address)
    ended = script(*chosen)

    assert 2 == ended.code, ended.out
    assert f"an address of another kind ({address.partition(':')[0]}:)" in ended.err
    assert "sesame" not in ended.err
    assert 0 == org.billed
    assert not [path for path in tmp_path.iterdir() if path.is_file() and path.suffix != ".log"]


@pytest.mark.deep
@pytest.mark.postgres
def test_a_database_is_named_without_its_password(
    script: Script, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a sync prints says where the rows are."""
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres)
    ended = script()

    assert "destination  postgres: test_" in ended.out
    assert "at localhost, dataset salesforce" in ended.out
    assert "trust" not in ended.out
