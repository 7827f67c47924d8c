"""``--sign-in`` and ``--sf-org``: which way, from where, why, does it work; and never a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.support.script import Script, ids, in_process
from tests.support.sf import Sf

TOKEN = "00D5g0000008XYZ!AQ7.of.the.CLI"


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str]) -> Script:
    """Provide the script where nothing is configured yet."""
    return in_process(capsys)


def toml(folder: Path, file: str = "secrets.toml", **settings: str) -> None:
    """Write settings into a file of ``.dlt`` in a folder; the script reads it there."""
    (folder / ".dlt").mkdir(exist_ok=True)
    lines = [f'{name} = "{value}"' for name, value in settings.items()]
    text = "\n".join(["[sources.salesforce_targeted.credentials]", *lines])
    (folder / ".dlt" / file).write_text(text)


def environment(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """Set some ``SALESFORCE_*`` variables."""
    for name, value in settings.items():
        monkeypatch.setenv(f"SALESFORCE_{name}", value)


def test_it_names_the_method_and_the_settings(
    org: DemoOrg,
    server: DemoServer,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The environment alone: the method that uses most of it, the user; nothing is loaded."""
    environment(monkeypatch, LOGIN_URL=server.url, CLIENT_ID=org.client_id,
                CLIENT_SECRET=org.client_secret, USERNAME="somebody", DOMAIN="acme")  # fmt: skip
    ended = script("--sign-in")
    facts = script("--sign-in", "--json").facts

    assert 0 == ended.code
    used = "signing in by OAuth client credentials, with client_id, client_secret, login_url"
    assert used in ended.out
    assert "set, but not used: SALESFORCE_DOMAIN, SALESFORCE_USERNAME" in ended.out
    assert f"signed in to {server.url} (org {org.org_id})\nas user0@demo.example" in ended.out
    assert ("done", "sign-in", "user0@demo.example") == (
        facts["status"], facts["mode"], facts["user"]
    )  # fmt: skip
    assert ["client_id", "client_secret", "login_url"] == facts["settings"]
    assert org.client_secret not in ended.out + ended.err + str(facts)
    assert [] == [path.name for path in tmp_path.iterdir() if path.suffix != ".log"]
    assert 2 == org.billed  # one cheap call each time


def test_what_dlt_overrules_is_named(
    org: DemoOrg,
    server: DemoServer,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """secrets.toml, config.toml and the environment: what is set in vain, as it is called there."""
    toml(tmp_path, client_id=org.client_id, client_secret=org.client_secret, username="somebody")
    toml(tmp_path, "config.toml", login_url=server.url)
    rivals = {"CLIENT_ID": "another", "ACCESS_TOKEN": "00Dx!a", "CLIENT_SECRET": org.client_secret}
    environment(monkeypatch, **rivals)
    ended = script("--sign-in", "--json")
    facts = ended.facts

    assert 0 == ended.code
    assert ["client_id", "client_secret", "login_url"] == facts["settings"]
    # A secret that is the same in both places is not set in vain.
    assert ["SALESFORCE_CLIENT_ID", "username", "SALESFORCE_ACCESS_TOKEN"] == facts["unused"]


def test_one_half_here_and_one_there(
    org: DemoOrg,
    server: DemoServer,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Settings of three places are one method together."""
    toml(tmp_path, client_id=org.client_id)
    environment(monkeypatch, CLIENT_SECRET=f"{org.client_secret}\n")
    monkeypatch.setenv("SOURCES__SALESFORCE_TARGETED__CREDENTIALS__LOGIN_URL", server.url)
    facts = script("--sign-in", "--json").facts

    assert ["client_id", "client_secret", "login_url"] == facts["settings"]
    assert ("done", []) == (facts["status"], facts["unused"])


def test_a_sign_in_that_fails_says_where_to_look(
    org: DemoOrg, server: DemoServer, script: Script, tmp_path: Path
) -> None:
    """A wrong secret: exit 1, the likely culprit, the settings and the address."""
    toml(tmp_path, client_id=org.client_id, client_secret="an-old-secret", login_url=server.url)
    ended = script("--sign-in")
    run = script("--count")

    for output, code in ((ended.out, ended.code), (run.err, run.code)):
        assert 1 == code
        assert "invalid client credentials" in output
        assert "the secret has expired" in output
        assert f"credentials (client_id, client_secret, login_url) at {server.url}." in output
        assert "an-old-secret" not in output
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


def test_a_user_who_may_not_see_the_orgs_allocations(
    org: DemoOrg, server: DemoServer, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With least privilege /limits is refused: signed in, and the calls left are known as well."""
    environment(monkeypatch, INSTANCE_URL=server.url, ACCESS_TOKEN=server.token)
    org.faults.add(Fault("limits", "no_access_403", times=9))
    ended = script("--sign-in")

    assert 0 == ended.code
    assert "API calls left (24 h)" in ended.out


@pytest.mark.brief(1)
@pytest.mark.parametrize(
    "action", ["no_access_403", "unknown_500", "not_found_404", "maintenance_200_html"]
)
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


@pytest.mark.brief(1)
@pytest.mark.parametrize("by", ["option", "variable", "secrets.toml"])
def test_a_sync_with_the_clis_session(
    by: str, org: DemoOrg, server: DemoServer, script: Script, sf: Sf, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Asked for in any of three places: all contacts arrive, and the token is nowhere."""
    sf.has(server.url, TOKEN)
    argv = ["--sf-org", "uat"] if by == "option" else []
    if by == "variable":
        environment(monkeypatch, SF_ORG="uat")
    if by == "secrets.toml":
        toml(tmp_path, sf_org="uat")
    facts = script("--sign-in", "--json", *argv).facts
    ended = script("--debug", *argv)
    left = [path for path in tmp_path.rglob("*") if path.is_file() and "bin" not in path.parts]

    assert 0 == ended.code
    assert ("the Salesforce CLI's org", "done") == (facts["method"], facts["status"])
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts")
    assert ["--target-org", "uat"] == sf.calls[0][-2:]
    assert "of.the.CLI" not in ended.out + ended.err
    assert [] == [path for path in left if b"of.the.CLI" in path.read_bytes()]


def test_the_option_wins_over_everything(
    server: DemoServer, script: Script, sf: Sf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--sf-org is the method, whatever is set; what is set is listed as not used."""
    sf.has(server.url, TOKEN)
    environment(monkeypatch, INSTANCE_URL=server.url, ACCESS_TOKEN="00Dx!a")
    facts = script("--sign-in", "--json", "--sf-org", "default").facts

    assert ("the Salesforce CLI's org", ["sf_org"]) == (facts["method"], facts["settings"])
    assert ["SALESFORCE_INSTANCE_URL", "SALESFORCE_ACCESS_TOKEN"] == facts["unused"]


def test_a_session_that_ends_in_mid_run_is_renewed_by_the_cli(
    org: DemoOrg, server: DemoServer, script: Script, sf: Sf, tmp_path: Path
) -> None:
    """The org ends all sessions; the next one that sf gives is used and the run completes."""
    sf.has(server.url, TOKEN)
    org.faults.add(Fault("composite", "expire_session", nth=2))
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
    assert "Sign-in was by the Salesforce CLI's org (sf_org)." in ended.err


def test_it_prints_where_a_rotated_token_is_kept(
    org: DemoOrg,
    server: DemoServer,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """In dlt's data folder, unless a file is set; the one who sets up a container has to know."""
    environment(monkeypatch, LOGIN_URL=server.url, CLIENT_ID=org.client_id,
                CLIENT_SECRET=org.client_secret, REFRESH_TOKEN="demo-refresh-token")  # fmt: skip
    default = script("--sign-in").out.replace("\n", " ")
    environment(monkeypatch, REFRESH_TOKEN_FILE=str(tmp_path / "volume" / "token.json"))
    chosen = script("--sign-in").out.replace("\n", " ")

    kept = "a rotated refresh token is kept in"
    assert f"{kept} {tmp_path}/dlt/salesforce_targeted/refresh_token_" in default
    assert f"{kept} {tmp_path}/volume/token.json" in chosen
