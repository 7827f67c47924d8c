"""Mistakes that many make: each ends in one paragraph that says what to do, with its exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.support.script import (
    DUCKDB_FILE,
    ROOT,
    SCRIPT,
    WRONG_USER,
    Ended,
    Script,
    ids,
    in_process,
    process,
    python,
    session_of,
)


def one_paragraph(ended: Ended) -> str:
    """Return what a run that failed says of it: the report's error, or the one line on stderr."""
    lines = [line for line in ended.out.splitlines() if line.startswith("error ")]
    lines += [line for line in ended.err.splitlines() if line.startswith("targeted_contacts.py: ")]
    assert 1 == len(lines), ended.out + ended.err
    return lines[0]


@pytest.mark.parametrize("argv", [[], ["--count"]], ids=["sync", "count"])
def test_my_domain_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    """An app's id and secret without the org's address: exit 2, what to set, nothing was sent."""
    monkeypatch.setenv("SALESFORCE_CLIENT_ID", "an-app")
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", "its-secret")
    ended = in_process(capsys)(*argv)
    message = one_paragraph(ended)

    assert 2 == ended.code
    assert "refused at login and test.salesforce.com" in message
    assert "Set SALESFORCE_DOMAIN to the org's My Domain" in message
    assert "by OAuth client credentials (client_id, client_secret) at https://login" in message


@pytest.mark.parametrize("app", [False, True], ids=["SOAP", "OAuth"])
def test_a_sandbox_user_at_login(
    org: DemoOrg,
    server: DemoServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    app: bool,
) -> None:
    """Salesforce does not know the user there: the domain is among the culprits, with its setting."""
    settings = {**WRONG_USER, "SALESFORCE_LOGIN_URL": server.url}
    if app:
        settings["SALESFORCE_CLIENT_ID"] = org.client_id
        settings["SALESFORCE_CLIENT_SECRET"] = org.client_secret
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    message = one_paragraph(in_process(capsys)("--count"))

    assert "users of a sandbox sign in at test (SALESFORCE_DOMAIN)" in message
    assert f" at {server.url}." in message
    assert "username, password" in message


def test_a_secret_that_has_expired(
    org: DemoOrg,
    server: DemoServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The app is known and its secret is not right any more: exit 1, where it is set."""
    monkeypatch.setenv("SALESFORCE_LOGIN_URL", server.url)
    monkeypatch.setenv("SALESFORCE_CLIENT_ID", org.client_id)
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", "last-year's")
    ended = in_process(capsys)()
    message = one_paragraph(ended)

    assert 1 == ended.code
    assert "invalid_client: invalid client credentials (HTTP 400)." in message
    assert "the secret has expired: copy it again" in message
    assert "(client_id, client_secret, login_url)" in message
    assert "last-year" not in ended.out + ended.err


@pytest.mark.parametrize("argv", [[], ["--plan"]], ids=["sync", "plan"])
def test_a_user_without_api_access(org: DemoOrg, script: Script, argv: list[str]) -> None:
    """Every call is refused: exit 1, what an admin must tick."""
    org.faults.add(Fault("*", "api_disabled_403", times=99))
    ended = script(*argv)

    assert 1 == ended.code
    assert "API_DISABLED_FOR_ORG" in one_paragraph(ended)
    assert "Ask a Salesforce admin to tick API Enabled for this user" in one_paragraph(ended)


def test_contacts_that_the_user_may_not_see(org: DemoOrg, script: Script) -> None:
    """Without Contact there is nothing to sync: exit 1, whom to ask; without Task a warning."""
    org.hidden_objects = {"Contact"}
    ended = script()
    org.hidden_objects = {"Task"}
    without_tasks = script("--json")

    assert 1 == ended.code
    assert "sobjects/Contact/describe: NOT_FOUND" in one_paragraph(ended)
    assert "Ask a Salesforce admin whether it exists and whether this user may see it" in (
        one_paragraph(ended)
    )
    assert 0 == without_tasks.code
    assert "Task was left out" in without_tasks.facts["warnings"][0]


@pytest.mark.deep
@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no limit of a file's size")
@pytest.mark.parametrize("size", [0, 100_000])
def test_a_disk_that_is_full(org: DemoOrg, server: DemoServer, tmp_path: Path, size: int) -> None:
    """No byte more can be written, from the start or in mid-run: a paragraph, and the next run is fine."""
    limited = (
        "import resource, runpy, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    ended = python("-c", limited, cwd=tmp_path, environ=session_of(server))
    message = one_paragraph(ended)
    after = process("--json", cwd=tmp_path, environ=session_of(server))

    assert ended.code in {1, 2}
    assert "File too large" in message
    assert "Make room" in message
    assert 0 == after.code
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts")


def test_a_database_file_that_was_never_finished(script: Script) -> None:
    """What a full disk leaves of a DuckDB file: said what it is and what to do, exit 1."""
    Path(DUCKDB_FILE).write_bytes(b"\0" * 2_000)
    ended = script()

    assert 1 == ended.code
    assert f"{DUCKDB_FILE}" in one_paragraph(ended)
    assert "move it away and run again" in one_paragraph(ended)


def test_a_folder_that_may_not_be_written(server: DemoServer, script: Script) -> None:
    """The log can't be kept: that is said once, and the run goes on."""
    Path("targeted_contact_sync.log").mkdir()
    ended = script()

    assert 0 == ended.code
    assert 1 == ended.err.count("targeted_contact_sync.log can't be written: Is a directory")


@pytest.mark.brief(2)
@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SCHEMA__NAMING", "camel_case", "`camel_case `is not one of the standard dlt naming"),
        ("SCHEMA__NAMING", "direct", 'naming = "snake_case" under [schema]'),
        ("RESTORE_FROM_DESTINATION", "perhaps", "coerced into type `bool`. Correct that"),
    ],
)
def test_a_setting_of_dlts_is_wrong(
    monkeypatch: pytest.MonkeyPatch, script: Script, variable: str, value: str, words: str
) -> None:
    """Whenever dlt finds out, it is a mistake in the settings: exit 2, no class's name."""
    assert 0 == script().code
    monkeypatch.setenv(variable, value)
    ended = script("--full")
    message = one_paragraph(ended)

    assert 2 == ended.code
    assert words in message
    assert "Exception" not in message
    assert "UnknownNamingModule" not in message


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("LOAD__WORKERS", "-3", "LOAD__WORKERS = -3 is no value that dlt takes"),
        ("LOAD__WORKERS", "many", "LOAD__WORKERS = 'many' is no value"),
        ("TARGETED_CONTACTS__LOAD__WORKERS", "0", "TARGETED_CONTACTS__LOAD__WORKERS = 0 is"),
        ("NORMALIZE__WORKERS", "0", "Correct [normalize] in .dlt/config.toml, or NORMALIZE__…"),
        ("EXTRACT__WORKERS", "x", "EXTRACT__WORKERS = 'x' is no value"),
        ("EXTRACT__MAX_PARALLEL_ITEMS", "", "EXTRACT__MAX_PARALLEL_ITEMS = '' is no value"),
        ("DATA_WRITER__BUFFER_MAX_ITEMS", "abc", "buffer_max_items = 'abc' is no value"),
        ("DATA_WRITER__FILE_MAX_BYTES", "-1", "file_max_bytes = -1 is no value"),
        ("SOURCES__DATA_WRITER__FILE_MAX_ITEMS", "1.5", "FILE_MAX_ITEMS = '1.5' is no value"),
    ],
)
def test_a_size_of_dlts_that_is_none(
    org: DemoOrg,
    monkeypatch: pytest.MonkeyPatch,
    script: Script,
    variable: str,
    value: str,
    words: str,
) -> None:
    """Found out by dlt only after everything has been read: exit 2, its name, and no call."""
    monkeypatch.setenv(variable, value)
    ended = script()

    assert (2, 0) == (ended.code, org.billed)
    assert words in one_paragraph(ended)


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        (
            "LOAD__PARALLELISM_STRATEGY",
            "LOAD__PARALLELISM_STRATEGY = 'perhaps' is no value that dlt takes",
        ),
        ("LOAD__RAISE_ON_FAILED_JOBS", "Correct [load] in .dlt/config.toml, or LOAD__…"),
        ("NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION", "Correct [normalize.data_writer]"),
        ("SOURCES__DATA_WRITER__DISABLE_COMPRESSION", "Correct [sources.data_writer]"),
        ("NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_ID", "add_dlt_id = 'perhaps' is no value"),
    ],
)
def test_a_step_of_dlts_is_set_to_what_it_does_not_take(
    org: DemoOrg, monkeypatch: pytest.MonkeyPatch, script: Script, variable: str, words: str
) -> None:
    """Found out when the step begins, in a failed job or after all calls: exit 2, and no call."""
    monkeypatch.setenv(variable, "perhaps")
    ended = script()

    assert (2, 0) == (ended.code, org.billed)
    assert words in one_paragraph(ended)


def test_dlt_cannot_begin_as_configured(tmp_path: Path) -> None:
    """What stops dlt in a new process, before anything else: exit 2, and where it is set."""
    ended = process("--demo", cwd=tmp_path, environ={"RUNTIME__LOG_LEVEL": "LOUD"})

    assert 2 == ended.code
    assert "Unknown level: 'LOUD'. Correct [runtime]" in one_paragraph(ended)


@pytest.mark.parametrize("argv", [("--pipelines-dir", "pipe\udcff"), ("--dataset", "crm\udcff")])
def test_a_name_that_is_no_utf8(org: DemoOrg, script: Script, argv: tuple[str, str]) -> None:
    """A folder's name may hold any bytes; dlt writes it down as JSON, after all calls."""
    ended = script(*argv)

    assert (2, 0) == (ended.code, org.billed)
    assert f"{argv[0]}" in one_paragraph(ended)
    assert "isn't UTF-8" in one_paragraph(ended)


def test_this_folder_is_no_utf8(
    org: DemoOrg, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same of the folder that the command is called in."""
    folder = tmp_path / "here\udcff"
    folder.mkdir()
    monkeypatch.chdir(folder)

    assert "this folder has a name that isn't UTF-8" in one_paragraph(script())
    assert 0 == org.billed


def test_spent_calls_end_a_look_as_they_end_a_run(org: DemoOrg, script: Script) -> None:
    """--verify, --repair too, --count and --plan stop early with exit 3, as --help has it."""
    script()
    org.faults.add(Fault("*", "daily_403", nth=2, times=99))
    looks = (["--count"], ["--plan"], ["--verify", "--repair"])
    ended = [script(*look, "--json") for look in looks]

    assert [3, 3, 3] == [look.code for look in ended]
    assert ["partial"] * 3 == [look.facts["status"] for look in ended]
    assert all("Run again later" in look.facts["error"] for look in ended)
