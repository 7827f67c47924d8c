"""``--sign-in`` and ``--sf-org``: which way, from where, why, does it work; and never a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.support.script import Script, ids, in_process, process
from tests.support.sf import Sf

TOKEN = "00D5g0000008XYZ!AQ7.of.the.CLI"


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str]) -> Script:
    """Provide the script where nothing is configured yet."""
    return in_process(capsys)


def toml(folder: Path, file: str = "secrets.toml", **settings: str) -> None:
    """Write settings into a file of ``.dlt`` in a folder; a process that starts there reads it."""
    (folder / ".dlt").mkdir(exist_ok=True)
    lines = [f'{name} = "{value}"' for name, value in settings.items()]
    text = "\n".join(["[sources.salesforce_targeted.credentials]", *lines])
    (folder / ".dlt" / file).write_text(text)


def environment(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """Set some ``SALESFORCE_*`` variables."""
    for name, value in settings.items():
        monkeypatch.setenv(f"SALESFORCE_{name}", value)


def test_it_says_which_way_and_where_each_setting_is(
    org: DemoOrg,
    server: DemoServer,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The environment alone: the way that uses most of it, whose session it is; nothing is loaded."""
    environment(monkeypatch, LOGIN_URL=server.url, CLIENT_ID=org.client_id,
                CLIENT_SECRET=org.client_secret, USERNAME="somebody")  # fmt: skip
    ended = script("--sign-in")
    facts = script("--sign-in", "--json").facts

    assert 0 == ended.code
    assert "signing in by OAuth client credentials: it uses most of what is set" in ended.out
    assert "SALESFORCE_CLIENT_SECRET  the environment" in ended.out
    assert "SALESFORCE_USERNAME  the environment  OAuth client credentials has no use" in ended.out
    assert f"signed in to {server.url} (org {org.org_id})\nas user0@demo.example" in ended.out
    assert ("done", "sign-in", "user0@demo.example") == (
        facts["status"], facts["mode"], facts["user"]
    )  # fmt: skip
    assert {"client_id", "client_secret", "login_url"} == {
        one["setting"] for one in facts["settings"]
    }
    assert org.client_secret not in ended.out + ended.err + str(facts)
    assert [] == [path.name for path in tmp_path.iterdir() if path.suffix != ".log"]
    assert 2 == org.billed  # one cheap call each time


def test_dlt_wins_and_what_it_overrules_is_said(
    org: DemoOrg, server: DemoServer, tmp_path: Path
) -> None:
    """secrets.toml, config.toml and the environment: each setting with its place and its rival."""
    toml(tmp_path, client_id=org.client_id, client_secret=org.client_secret, username="somebody")
    toml(tmp_path, "config.toml", login_url=server.url)
    rivals = {"CLIENT_ID": "another", "ACCESS_TOKEN": "00Dx!a", "DOMAIN": "acme"}
    environ = {f"SALESFORCE_{name}": value for name, value in rivals.items()}
    ended = process("--sign-in", "--json", cwd=tmp_path, environ=environ)
    facts = ended.facts
    places = {one["setting"]: one["place"] for one in facts["settings"]}
    unused = {(one["name"], one["place"]): one["why"] for one in facts["unused"]}

    assert 0 == ended.code
    assert "which wins over SALESFORCE_* variables" in facts["because"]
    assert {
        "client_id": "secrets.toml", "client_secret": "secrets.toml", "login_url": "config.toml"
    } == places  # fmt: skip
    assert "client_id of secrets.toml wins" == unused["SALESFORCE_CLIENT_ID", "the environment"]
    assert "login_url says it already" == unused["SALESFORCE_DOMAIN", "the environment"]
    assert "OAuth client credentials has no use for it" == unused["username", "secrets.toml"]
    assert ("SALESFORCE_ACCESS_TOKEN", "the environment") in unused


def test_one_half_here_and_one_there(org: DemoOrg, server: DemoServer, tmp_path: Path) -> None:
    """Settings of three places that are one way together are told apart."""
    toml(tmp_path, client_id=org.client_id)
    environ = {
        "SALESFORCE_CLIENT_SECRET": org.client_secret,
        "SOURCES__SALESFORCE_TARGETED__CREDENTIALS__LOGIN_URL": server.url,
    }
    facts = process("--sign-in", "--json", cwd=tmp_path, environ=environ).facts

    assert {
        "client_id": ("client_id", "secrets.toml"),
        "client_secret": ("SALESFORCE_CLIENT_SECRET", "the environment"),
        "login_url": (
            "SOURCES__SALESFORCE_TARGETED__CREDENTIALS__LOGIN_URL", "the environment"
        ),
    } == {one["setting"]: (one["name"], one["place"]) for one in facts["settings"]}  # fmt: skip
    assert ("done", []) == (facts["status"], facts["unused"])


def test_a_sign_in_that_fails_says_where_to_look(
    org: DemoOrg, server: DemoServer, tmp_path: Path
) -> None:
    """A wrong secret in secrets.toml: exit 1, the likely culprit, the file and the address."""
    toml(tmp_path, client_id=org.client_id, client_secret="an-old-secret", login_url=server.url)
    ended = process("--sign-in", cwd=tmp_path)
    run = process("--count", cwd=tmp_path)

    for said, code in ((ended.out, ended.code), (run.err, run.code)):
        assert 1 == code
        assert "invalid client credentials" in said
        assert "the secret has expired" in said
        assert "from secrets.toml (client_id, client_secret, login_url)" in said
        assert f"Asked was {server.url}." in said
        assert "an-old-secret" not in said
    assert 0 == org.billed


def test_an_api_that_does_not_answer_this_user(
    org: DemoOrg, server: DemoServer, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed in, and the one cheap call is refused: that is a failure, with what to tick."""
    environment(monkeypatch, INSTANCE_URL=server.url, ACCESS_TOKEN=server.token)
    org.faults.add(Fault("limits", "api_disabled_403"))
    ended = script("--sign-in")

    assert 1 == ended.code
    assert "API_DISABLED_FOR_ORG" in ended.out
    assert "-> Ask a Salesforce admin to tick API Enabled" in ended.out


@pytest.mark.parametrize("action", ["no_access_403", "not_found_404", "maintenance_200_html"])
def test_a_session_of_which_salesforce_does_not_say_whose_it_is(
    org: DemoOrg, server: DemoServer, script: Script, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """The session works, and its name is refused: said so, exit 0."""
    environment(monkeypatch, INSTANCE_URL=server.url, ACCESS_TOKEN=server.token)
    org.faults.add(Fault("userinfo", action, times=9))
    ended = script("--sign-in")

    assert 0 == ended.code
    assert "as a user whom Salesforce does not name" in ended.out


def test_incomplete_settings_are_named(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set, and what each of the nearest ways lacks."""
    environment(monkeypatch, CLIENT_ID="i", DOMAIN="acme")
    ended = script("--sign-in")

    assert (2, "") == (ended.code, ended.out)
    assert "OAuth client credentials lacks SALESFORCE_CLIENT_SECRET" in ended.err
    assert "(set: SALESFORCE_DOMAIN, SALESFORCE_CLIENT_ID)" in ended.err


# ---------------------------------------------------------------- the Salesforce CLI's org


@pytest.fixture
def sf(org: DemoOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sf:
    """Provide a Salesforce CLI on the PATH, whose session the org knows."""
    org.sessions.add(TOKEN)
    return Sf(tmp_path / "bin", monkeypatch)


@pytest.mark.parametrize("by", ["option", "variable", "secrets.toml"])
def test_a_sync_with_the_clis_session(
    by: str, org: DemoOrg, server: DemoServer, sf: Sf, tmp_path: Path
) -> None:
    """Asked for in any of three places: all contacts arrive, and the token is nowhere."""
    sf.has(server.url, TOKEN)
    argv = ["--sf-org", "uat"] if by == "option" else []
    environ = {"SALESFORCE_SF_ORG": "uat"} if by == "variable" else {}
    if by == "secrets.toml":
        toml(tmp_path, sf_org="uat")
    facts = process("--sign-in", "--json", *argv, cwd=tmp_path, environ=environ).facts
    ended = process("--debug", *argv, cwd=tmp_path, environ=environ)
    left = [path for path in tmp_path.rglob("*") if path.is_file() and "bin" not in path.parts]

    assert 0 == ended.code
    assert ("the Salesforce CLI's org", "done") == (facts["way"], facts["status"])
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts")
    assert ["--target-org", "uat"] == sf.calls[0][-2:]
    assert "of.the.CLI" not in ended.out + ended.err
    assert [] == [path for path in left if b"of.the.CLI" in path.read_bytes()]


def test_the_option_wins_over_everything(
    server: DemoServer, script: Script, sf: Sf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--sf-org is the way, whatever is set; what is set is listed as not used."""
    sf.has(server.url, TOKEN)
    environment(monkeypatch, INSTANCE_URL=server.url, ACCESS_TOKEN="00Dx!a")
    facts = script("--sign-in", "--json", "--sf-org", "default").facts

    assert "the command line asks for it" == facts["because"]
    assert {"SALESFORCE_INSTANCE_URL", "SALESFORCE_ACCESS_TOKEN"} == {
        one["name"] for one in facts["unused"]
    }


def test_a_session_that_ends_in_mid_run_is_renewed_by_the_cli(
    org: DemoOrg, server: DemoServer, script: Script, sf: Sf, tmp_path: Path
) -> None:
    """The org ends all sessions; the next one that sf gives is used and the run completes."""
    sf.has(server.url, TOKEN)
    org.faults.add(Fault("collections", "expire_session"))
    renewed = TOKEN + ".renewed"
    expire = org.expire_sessions

    def expire_and_renew() -> None:
        expire()
        org.sessions.add(renewed)
        sf.has(server.url, renewed)

    org.expire_sessions = expire_and_renew  # type: ignore[method-assign]  # the org's, not ours
    ended = script("--sf-org", "uat", "--api", "collections")

    assert 0 == ended.code
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts")
    assert 4 == len(sf.calls)


def test_an_unknown_alias_is_wrong_configuration(script: Script, sf: Sf) -> None:
    """Sf knows no such org: exit 2 with its words and where the names are."""
    sf.say("org display", {"name": "NamedOrgNotFoundError", "message": "No such alias: nope."}, 1)
    ended = script("--sf-org", "nope", "--count")

    assert 2 == ended.code
    assert "No such alias: nope. sf org list shows the names it knows" in ended.err
    assert "The settings are from the command line (--sf-org)." in ended.err
