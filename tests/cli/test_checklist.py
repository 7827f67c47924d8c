"""``--test``, line by line: what it finds in orgs and destinations in which something is amiss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.support.script import DUCKDB_FILE, OTHER_ORG, Script

LINES = [
    "credentials", "sign-in", "API version", "API enabled", "Contact", "Task", "User",
    "TaskWhoRelation", "Shared Activities", "View All Data", "relations", "API calls left",
    "destination", "writable", "dataset", "disk",
]  # fmt: skip


def granted(facts: dict[str, Any]) -> dict[str, bool | None]:
    """Return what ``--test`` says of each permission."""
    return {permission["name"]: permission["granted"] for permission in facts["permissions"]}


def checked(script: Script, *argv: str) -> dict[str, dict[str, Any]]:
    """Return the checks by name."""
    return {check["name"]: check for check in script("--test", "--json", *argv).facts["checks"]}


def test_every_line_is_there_in_order(script: Script) -> None:
    """A healthy org and destination: sixteen lines, each passed, each with its time."""
    checks = checked(script)

    assert LINES == list(checks)
    assert {(True, False)} == {(check["ok"], check["note"]) for check in checks.values()}
    assert all(0 <= check["seconds"] < 60 for check in checks.values())
    assert "108 fields visible" == checks["Contact"]["detail"]
    assert "as user0@demo.example" in checks["sign-in"]["detail"]
    assert "an existing session, with instance_url, access_token" == checks["credentials"]["detail"]
    assert "of 15,000 in 24 hours" in checks["API calls left"]["detail"]


def test_the_same_as_text(script: Script) -> None:
    """In a pipe each check is a line that begins with ok, note or FAIL, and nothing is coloured."""
    ended = script("--test")
    lines = ended.out.splitlines()

    assert [f"ok   {name}" for name in LINES] == [line[:23].rstrip() for line in lines[:16]]
    assert "permission                            needed  granted" == lines[17][:54].rstrip()
    assert ["", "all in place (5 API calls)"] == lines[-2:]
    assert "\x1b" not in ended.out
    assert all(line == line.rstrip() for line in lines)


def test_what_a_failed_line_needs_to_be_mended_stands_beneath_it(
    org: DemoOrg, script: Script
) -> None:
    """Hidden contacts: the line fails, the remedy follows, the verdict names it; exit 1."""
    org.hidden_objects = {"Contact"}
    ended = script("--test")
    lines = ended.out.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("FAIL Contact "))

    assert 1 == ended.code
    assert "NOT_FOUND" in lines[at]
    assert lines[at + 1].lstrip().startswith("-> Ask a Salesforce admin to let this user read Cont")
    assert "to fix: Contact (4 API calls)" == lines[-1]


def test_a_name_that_fields_has_and_the_org_has_not(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slip is found before a sync refuses it, with the nearest name; one that is right passes."""
    monkeypatch.setenv("SOURCES__SALESFORCE_TARGETED__FIELDS", '["FirstName", "Emial"]')
    slip = checked(script)["fields"]
    monkeypatch.setenv("SOURCES__SALESFORCE_TARGETED__FIELDS", '["FirstName", "Email"]')
    right = checked(script)["fields"]

    assert (False, True) == (slip["ok"], right["ok"])
    assert "fields names Emial: Contact shows our user no such field" in slip["detail"]
    assert "Perhaps Email for Emial?" in slip["remedy"]
    assert "all 2 can be read" == right["detail"]


def test_a_field_that_is_hidden_from_the_user_is_named(
    org: DemoOrg, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks as if it were not there, so the remedy names the permission, too."""
    org.hide_field("Contact", "Email")
    monkeypatch.setenv("SOURCES__SALESFORCE_TARGETED__FIELDS", '["Email"]')
    facts = script("--test", "--json").facts
    (fields,) = [check for check in facts["checks"] if check["name"] == "fields"]

    assert not fields["ok"]
    assert "Read Access to the fields of Contact (Field-Level Security)" in fields["remedy"]
    assert False is granted(facts)["Read Access to the fields of Contact"]


def test_fields_of_a_newer_version_are_named_with_it(org: DemoOrg, script: Script) -> None:
    """A field that only 66.0 shows is not missing in the org: another version reads it."""
    org.add_field("Contact", "Pronouns__c")
    org.traits.fields_since = {("Contact", "Pronouns__c"): 66}

    assert (
        "108 fields visible; Pronouns__c with api_version = 68.0"
        == (checked(script)["Contact"]["detail"])
    )


def test_relations_that_do_not_show_whom_they_point_at_fail(org: DemoOrg, script: Script) -> None:
    """Without that field a sync refuses; --test says so, with who can show it; exit 1."""
    org.hide_field("TaskWhoRelation", "RelationId")
    ended = script("--test")
    line, remedy = ended.out[ended.out.index("FAIL TaskWhoRelation") :].splitlines()[:2]

    assert 1 == ended.code
    assert "TaskWhoRelation shows our user no field RelationId" in line
    assert "Ask a Salesforce admin to let this user read it" in remedy


def test_what_a_sync_goes_on_without_is_a_note(org: DemoOrg, script: Script) -> None:
    """Hidden tasks: a note with the remedy, exit 0, as the sync then ends, too."""
    org.hidden_objects = {"Task"}
    ended = script("--test")
    check = checked(script)["Task"]
    synced = script("--json")

    assert (0, 0, "done") == (ended.code, synced.code, synced.facts["status"])
    assert (True, True) == (check["ok"], check["note"])
    assert "A sync goes on without its rows" in check["detail"]
    assert any("Task was left out" in warning for warning in synced.facts["warnings"])


def test_without_the_api_the_rest_of_the_org_is_not_asked(org: DemoOrg, script: Script) -> None:
    """A user without API access is signed in, and one line says what to tick; exit 1."""
    org.faults.add(Fault("*", "api_disabled_403", times=99))
    checks = checked(script)

    assert (True, False) == (checks["sign-in"]["ok"], checks["API enabled"]["ok"])
    assert "API Enabled" in checks["API enabled"]["remedy"]
    assert {"Contact", "View All Data", "relations"}.isdisjoint(checks)
    assert checks["destination"]["ok"]


@pytest.mark.parametrize(
    "action",
    [
        "no_rest_session_401",
        "daily_403",
        "url_not_reset_400",
        "version_gone_410",
        "metering_403",
        "no_access_403",
    ],
)
def test_what_every_call_gets_is_told_once(org: DemoOrg, script: Script, action: str) -> None:
    """One line fails; the others were not checked, nor is a permission said to be granted."""
    org.faults.add(Fault("*", action, times=99))
    ended = script("--test", "--json")
    checks = {check["name"]: check for check in ended.facts["checks"]}

    assert 1 == ended.code
    assert 1 == len([check for check in checks.values() if not check["ok"]])
    assert "View All Data, relations, API calls left: see" in checks["not checked"]["detail"]
    assert {None} == set(granted(ended.facts).values())
    assert checks["destination"]["ok"]


def test_what_a_user_whose_password_has_expired_gets_is_told_once(
    org: DemoOrg, server: DemoServer, script: Script
) -> None:
    """The session does nothing until a new password is set."""
    org.sessions_with_expired_password.add(server.token)
    ended = script("--test")

    assert 1 == ended.code
    assert 1 == ended.out.count("INVALID_OPERATION_WITH_EXPIRED_PASSWORD")
    assert 1 == len([line for line in ended.out.splitlines() if line.startswith("FAIL")])
    assert "note not checked" in ended.out


@pytest.mark.parametrize(
    ("says", "ok", "note", "words"),
    [
        (True, True, False, "yes"),
        (False, True, True, "no: sharing decides"),
        (None, True, True, "not known: the org does not tell this user (INVALID_TYPE)"),
    ],
)
def test_view_all_data(
    org: DemoOrg, script: Script, says: bool | None, ok: bool, note: bool, words: str
) -> None:
    """Seen, not seen, or honestly not known; none of the three is a failure."""
    if says is None:
        org.hidden_objects = {"UserPermissionAccess"}
    org.tables["UserPermissionAccess"].update(0, {"PermissionsViewAllData": says})
    check = checked(script)["View All Data"]

    assert (ok, note) == (check["ok"], check["note"])
    assert check["detail"].startswith(words)
    assert note == bool(check["remedy"])


def test_an_org_without_shared_activities(org: DemoOrg, script: Script) -> None:
    """That it is off is a note: it may be meant so; exit 0."""
    org.shared_activities = False
    ended = script("--test")

    assert 0 == ended.code
    for line in ("note TaskWhoRelation", "note Shared Activities"):
        assert line in ended.out
    assert "all in place, 2 to note" in ended.out


def test_calls_that_are_kept_for_others_fail(org: DemoOrg, script: Script) -> None:
    """Fewer calls are left than daily_call_reserve keeps: a run would stop at once."""
    org.daily_used = 14_000
    check = checked(script)["API calls left"]

    assert not check["ok"]
    assert "daily_call_reserve" in check["detail"]
    assert "Run again later" in check["remedy"]


def test_a_new_duckdb_file_is_not_made(script: Script, tmp_path: Path) -> None:
    """That it could be is found out next to it."""
    checks = checked(script)

    assert not list(tmp_path.glob("*.duckdb*"))
    assert "which the first run makes" in checks["destination"]["detail"]
    assert "empty, the first run reads everything" in checks["dataset"]["detail"]


@pytest.mark.deep
def test_the_dataset_says_whose_it_is_and_when_it_was_filled(
    org: DemoOrg, script: Script, tmp_path: Path
) -> None:
    """After a run: the org's host, the rows, the last run; and in the file nothing is changed."""
    script()
    before = (tmp_path / DUCKDB_FILE).read_bytes()
    checks = checked(script)
    elsewhere = checked(script, "--pipelines-dir", "new")

    for report in (checks, elsewhere):
        detail = report["dataset"]["detail"]
        assert detail.startswith(
            "salesforce: of 127.0.0.1 (00D5g0000008XYZ), 12 contacts, 30 relations; last run 20"
        )
        assert detail.endswith("incremental: done")
    assert "yes: tried in salesforce and salesforce_staging_" in checks["writable"]["detail"]
    assert before == (tmp_path / DUCKDB_FILE).read_bytes()


@pytest.mark.deep
def test_the_dataset_of_another_org_fails(
    org: DemoOrg, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials of one org, rows of another: both are named, with the way out; exit 1."""
    script()
    org.org_id = OTHER_ORG
    monkeypatch.setenv("SALESFORCE_ACCESS_TOKEN", org.issue_token())
    ended = script("--test")
    check = checked(script)["dataset"]

    assert 1 == ended.code
    assert not check["ok"]
    assert f"and the credentials are those of 127.0.0.1 ({OTHER_ORG[:15]})" in check["detail"]
    assert "Choose another --dataset or --destination" in check["remedy"]


@pytest.mark.postgres
def test_nothing_is_left_behind_in_postgresql(
    script: Script, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Schema and table of the trial are gone with its transaction, in both datasets."""
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres)
    checks = checked(script)
    with psycopg2.connect(postgres) as held, held.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'salesforce%'")
        schemas = cursor.fetchall()
    held.close()

    assert "yes: tried in salesforce and salesforce_staging_" in checks["writable"]["detail"]
    assert [] == schemas


@pytest.mark.postgres
@pytest.mark.parametrize("right", ["schema", "table"])
def test_a_user_who_may_not_write_is_told_what_to_grant(
    script: Script, postgres: str, monkeypatch: pytest.MonkeyPatch, right: str
) -> None:
    """No right to make a schema, or a table in one that is there: FAIL with the GRANT to ask for."""
    role = f"reader_{Path(postgres.split('?', maxsplit=1)[0]).name}"
    with psycopg2.connect(postgres) as admin, admin.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'sesame'")
        if right == "table":
            cursor.execute(f"CREATE SCHEMA salesforce; GRANT USAGE ON SCHEMA salesforce TO {role}")
    admin.close()
    url = postgres.replace("postgres:trust@", f"{role}:sesame@")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)
    try:
        checks = checked(script)
    finally:
        with psycopg2.connect(postgres) as admin, admin.cursor() as cursor:
            cursor.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        admin.close()

    assert checks["destination"]["ok"]
    assert not checks["writable"]["ok"]
    assert "permission denied" in checks["writable"]["detail"]
    assert "GRANT the loading user CREATE" in checks["writable"]["remedy"]
    assert "sesame" not in json.dumps(checks)


def test_a_token_file_that_can_not_be_written_is_a_note(
    org: DemoOrg, server: DemoServer, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a rotated refresh token is lost, the checklist says that it would be."""
    Path("taken").write_text("a file where a folder should be")
    org.refresh_tokens = {"the-refresh-token"}
    monkeypatch.delenv("SALESFORCE_ACCESS_TOKEN")
    for name, value in {
        "LOGIN_URL": server.url, "CLIENT_ID": org.client_id, "CLIENT_SECRET": org.client_secret,
        "REFRESH_TOKEN": "the-refresh-token", "REFRESH_TOKEN_FILE": "taken/token.json",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"SALESFORCE_{name}", value)
    checks = checked(script)

    assert (True, True) == (checks["credentials"]["ok"], checks["credentials"]["note"])
    assert "taken/token.json can't be written" in checks["credentials"]["detail"]
    assert "refresh_token_file" in checks["credentials"]["remedy"]
    assert checks["sign-in"]["ok"]
