"""What the script says and exits with when it is used, configured or answered wrongly."""

from __future__ import annotations

from pathlib import Path

import duckdb
import psycopg2
import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.support.script import (
    DUCKDB_FILE,
    WRONG_USER,
    Script,
    ids,
    in_process,
    rows,
)

STALE = "00D5g0000008XYZ!AQ7.999999.stale"


@pytest.mark.brief(1)
@pytest.mark.parametrize("option", [(), ("--test",), ("--plan", "--json")])
def test_without_credentials_it_says_what_to_set_and_that_there_is_a_demo(
    capsys: pytest.CaptureFixture[str], option: tuple[str, ...]
) -> None:
    """Neither credentials nor --demo: exit 2, with the names, the file and the way out."""
    ended = in_process(capsys)(*option)

    assert (2, "") == (ended.code, ended.out)
    for word in ("SALESFORCE_CLIENT_ID", ".dlt/secrets.toml", "--demo"):
        assert word in ended.err
    assert 1 == len(ended.err.strip().splitlines())


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--nope"], "unrecognized arguments: --nope"),
        (["--since", "nonsense"], "since = 'nonsense' is not a date. Write it as 2024-01-31"),
        *(
            (["--since", text], f"since = {text!r} is not a date")
            for text in ("", "P7D", "12:00", "now", "2026-01-31/2026-02-28", "2026", "31.01.2026")
        ),
        (["--incremental", "0"], "must be a whole number, 1 or more"),
        (["--incremental", "-3"], "--incremental"),
        (["--incremental", "soon"], "must be a whole number, 1 or more"),
        (["--incremental", "99999999"], "must be 36,525 or less"),
        (["--limit", "0"], "must be a whole number, 1 or more"),
        (["--only", "foo"], "no resource foo. Choose some of task_who_relation, contact, task"),
        (["--only", "contact,foo"], "no resource foo"),
        (["--api", "soap"], "invalid choice: 'soap'"),
        (["--mode", "never"], "invalid choice: 'never'"),
        (["--mode", "custom"], "--mode custom needs --start-date"),
        (["--mode", "custom", "--start-date", "31.12."], "is not a date"),
        (["--full", "--since", "2026-01-01"], "not allowed with argument --full"),
        (["--demo", "--sf-org", "uat"], "not allowed with argument --demo"),
        (["--repair"], "--repair goes with --verify. Give both."),
        (["--test", "--count"], "not allowed with argument --test"),
        (["--days", "3"], "--days goes with --mode recent"),
        (["--mode", "full", "--start-date", "2026-01-01"], "--start-date goes with --mode custom"),
        (["--full", "--count"], "--count loads nothing, so --full has no effect"),
        (["--plan", "--only", "contact"], "--plan loads nothing, so --only has no effect"),
        (["--only", ""], "--only names nothing. Choose some of task_who_relation"),
        *(
            ([f"--{option}", ""], f"argument --{option}: must not be empty")
            for option in ("sf-org", "destination", "dataset", "pipelines-dir", "report-dir")
        ),
        (
            ["--since", "2999-01-01"],
            "nothing was modified since 2999-01-01: that day is in the future",
        ),
        (["--destination", "nosuch"], "dlt knows no destination nosuch. Choose one of"),
        (["--destination", "postgress"], "no destination postgress (is postgres meant?)"),
        (["--destination", "postgres"], "DESTINATION__POSTGRES__CREDENTIALS=postgresql://"),
        (["--plan", "--destination", "postgres"], "DESTINATION__POSTGRES__CREDENTIALS="),
        (["--destination", "filesystem"], "`bucket_url`. Set DESTINATION__FILESYSTEM__BUCKET_URL"),
        (["--dataset", "targeted_contacts"], "Choose another --dataset"),
        (["--dataset", "information_schema"], "such schemas are the database's own. Choose ano"),
        (["--dataset", "temp"], "such schemas are the database's own. Choose another"),
        (["--dataset", "pg_catalog"], "such schemas are the database's own. Choose another"),
        (["--report-dir", "taken"], "--report-dir: taken can't be made"),
        (["--log-records", "--report-dir", "taken"], "--report-dir: taken can't be made"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_exit_2_before_the_first_call(
    org: DemoOrg, script: Script, argv: list[str], words: str
) -> None:
    """A value that can't be meant that way: a sentence on stderr, exit 2, and nothing was asked."""
    Path("taken").write_text("a file")
    ended = script(*argv)

    assert 2 == ended.code
    assert words in ended.err
    assert "" == ended.out
    assert 0 == org.billed
    assert not Path("targeted_contacts.duckdb").exists()


def test_a_wrong_database_url_is_wrong_configuration(
    org: DemoOrg, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL that is none: exit 2, what one looks like, and nothing of the URL repeated."""
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", "sesame-99-open")
    ended = script()

    assert (2, "") == (ended.code, ended.out)
    assert "postgresql://user:password@host:5432/database" in ended.err
    assert "sesame" not in ended.err
    assert 0 == org.billed


@pytest.mark.parametrize(
    ("destination", "value", "words"),
    [
        ("DUCKDB", "/", "/ is a folder, and a DuckDB database is a file. Name the file"),
        ("DUCKDB", "taken", "taken is a folder, and a DuckDB database is a file"),
        ("DUCKDB", '"crm.duckdb"', 'would be called "crm.duckdb". Give its path without quotes'),
        ("DUCKDB", '{"database": "crm.duckdb"}', "path without quotes and parameters"),
        ("DUCKDB", "crm.duckdb?access_mode=automatic", "path without quotes and parameters"),
        ("POSTGRES", "", "as configured: the credentials are empty or no connection string. Set"),
    ],
)
def test_credentials_that_name_no_database(
    org: DemoOrg,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    destination: str,
    value: str,
    words: str,
) -> None:
    """A folder, or nothing: exit 2, what it is, and that a file or an address is wanted."""
    Path("taken").mkdir()
    monkeypatch.setenv(f"DESTINATION__{destination}__CREDENTIALS", value)
    ended = script()

    assert (2, "", 0) == (ended.code, ended.out, org.billed)
    assert words in ended.err


def test_a_duckdb_file_in_a_folder_that_is_not_there(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--test says that it can be made, and the sync makes it."""
    file = tmp_path / "nowhere" / "yet" / "held.duckdb"
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(file))
    ended = [script("--test"), script()]

    assert [0, 0] == [run.code for run in ended]
    assert file.exists()


def test_there_is_nothing_to_verify_before_the_first_run(org: DemoOrg, script: Script) -> None:
    """--verify of nothing is wrong use, and not thousands of rows of drift; exit 2."""
    ended = script("--verify")

    assert (2, "") == (ended.code, ended.out)
    assert (
        "nothing is held in salesforce yet, so there is nothing to verify. Sync first" in ended.err
    )
    assert 0 == org.billed


@pytest.mark.brief(1)
@pytest.mark.parametrize("argv", [[], ["--test"], ["--plan"]], ids=["sync", "test", "plan"])
def test_a_database_that_does_not_answer_is_a_failure_said_plainly(
    org: DemoOrg, script: Script, monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    """No server listens at the database's address: exit 1, the address, never the password."""
    url = "postgresql://loader:sesame-99@127.0.0.1:9/analytics"
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
    ended = script(*argv)

    assert 1 == ended.code
    assert 'connection to server at "127.0.0.1", port 9 failed' in ended.out + ended.err
    assert ("FAIL destination" in ended.out) == (argv == ["--test"])
    assert "sesame" not in ended.out + ended.err
    assert "collections" not in org.calls


@pytest.mark.deep
@pytest.mark.postgres
def test_a_row_that_the_database_refuses_is_not_shown(
    org: DemoOrg, script: Script, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A constraint refuses a row: exit 1 names the constraint; no personal data is in the output."""
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres)
    script()
    with psycopg2.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE salesforce.sf_contacts ADD CONSTRAINT short CHECK (last_name <> 'Wallaby')"
        )
    connection.close()
    org.edit("Contact", org.active_ids()[0], LastName="Wallaby")
    ended = [script() for _ in range(2)]
    output = "".join(run.out + run.err for run in ended)

    assert [1, 1] == [run.code for run in ended]
    assert 'violates check constraint "short"' in ended[0].out
    assert "an earlier run left a package unloaded: finishing it first" in ended[1].err
    assert "was given up" in ended[1].err
    assert "Wallaby" not in output
    assert "Failing row" not in output


def test_what_could_not_be_loaded_never_lands_in_another_dataset(
    org: DemoOrg, script: Script, tmp_path: Path
) -> None:
    """A package left by a failed load into one dataset is not loaded into the next one named."""
    with duckdb.connect(DUCKDB_FILE) as held:
        # No column can be added to a view: the load fails before its first table.
        held.execute("CREATE SCHEMA one; CREATE VIEW one.sf_users AS SELECT '' AS id WHERE false")
    failed = script("--dataset", "one")
    ended = script("--dataset", "two")
    runs = [row["status"] for row in rows(tmp_path, "sf_sync_runs", dataset="two")]

    assert (1, 0) == (failed.code, ended.code)
    assert ["done"] == runs
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts", dataset="two")


@pytest.mark.brief(1)
@pytest.mark.parametrize("argv", [[], ["--test"], ["--count"]], ids=["sync", "test", "count"])
def test_a_wrong_password_names_the_likely_culprits(
    server: DemoServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    argv: list[str],
) -> None:
    """Salesforce refuses the password: exit 1, its own code, what to look at, no secret."""
    for name, value in {**WRONG_USER, "SALESFORCE_LOGIN_URL": server.url}.items():
        monkeypatch.setenv(name, value)
    ended = in_process(capsys)(*argv)

    assert 1 == ended.code
    assert "INVALID_LOGIN" in ended.out + ended.err
    assert "the password or the security token" in ended.out + ended.err
    assert "not-the-password" not in ended.out + ended.err
    assert [] == rows(tmp_path, "sf_contacts")


def test_an_expired_token_is_said_to_be_expired(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that can't be renewed: exit 1, what to set, and the token is not repeated."""
    monkeypatch.setenv("SALESFORCE_ACCESS_TOKEN", STALE)
    ended = script("--json")

    assert (1, "failed") == (ended.code, ended.facts["status"])
    assert "Set a new SALESFORCE_ACCESS_TOKEN" in ended.facts["error"]
    assert "999999" not in ended.out + ended.err


@pytest.mark.parametrize("look", ["count", "plan", "verify"])
def test_a_look_that_fails_is_one_object_for_a_script_that_reads_it(
    monkeypatch: pytest.MonkeyPatch, script: Script, look: str
) -> None:
    """With --json stdout says what failed, as a sync's does: an empty one is no JSON."""
    script()
    monkeypatch.setenv("SALESFORCE_ACCESS_TOKEN", STALE)
    ended = script(f"--{look}", "--json")

    assert (1, "failed", look) == (ended.code, ended.facts["status"], ended.facts["mode"])
    assert "the session has expired" in ended.facts["error"]
    assert "the session has expired" in ended.err


def test_a_token_never_travels_in_the_clear(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """http:// to another machine is refused before anything is sent: exit 2."""
    monkeypatch.setenv("SALESFORCE_INSTANCE_URL", "http://acme.my.salesforce.example")
    ended = script()

    assert 2 == ended.code
    assert "must begin with https://" in ended.out


@pytest.mark.usefixtures("short_pauses")
def test_an_org_that_does_not_answer_is_a_failure_said_plainly(
    server: DemoServer, script: Script
) -> None:
    """No server listens at the org's address: after its attempts the run ends with exit 1."""
    server.close()
    ended = script("--count")

    assert 1 == ended.code
    assert "the host refuses connections. Check the address" in ended.err
