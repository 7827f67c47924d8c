"""The session of the Salesforce CLI's org: what sf is asked, and what is said where it fails."""

import json
import logging
import sys
import time

import pytest

from salesforce_targeted.api import errors
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials.salesforce_cli import SfOrgCredentials
from tests.support.sf import REDACTED, Sf

TOKEN = "00D5g0000008XYZ!AQ7.secret.of.the.CLI"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake sf is a script for POSIX")


@pytest.fixture
def sf(tmp_path, monkeypatch):
    """Provide a Salesforce CLI on the PATH."""
    return Sf(tmp_path / "bin", monkeypatch)


@pytest.mark.parametrize("redacts", [True, False], ids=["since 2.136.8", "before"])
def test_its_session_is_taken(sf, endpoint, server, redacts):
    """Instance URL and token come from sf; the token by its own command where display hides it."""
    sf.has(server.url, TOKEN, redacts=redacts)
    session = SfOrgCredentials(sf_org="uat").sign_in(endpoint)
    display = ["org", "display", "--json", "--target-org", "uat"]
    token = ["org", "auth", "show-access-token", "--json", "--target-org", "uat"]

    assert (server.url, TOKEN) == (session.instance_url, session.access_token)
    assert ([display, token] if redacts else [display]) == sf.calls


@pytest.mark.parametrize("token", ["eyJhbGciOi.eyJpc3M.c2ln", TOKEN])
def test_the_orgs_id_is_the_clis(sf, endpoint, server, token):
    """A token in JWT format has it nowhere; sf shows it next to the token."""
    sf.has(server.url, token, redacts=False, id="00D5g0000008XYZEA2")

    assert "00D5g0000008XYZ" == SfOrgCredentials(sf_org="uat").sign_in(endpoint).org_id


def test_the_default_org_is_the_clis_own(sf, endpoint, server):
    """The name ``default`` names no org: sf takes the one it is set to."""
    sf.has(server.url, TOKEN, redacts=False)
    SfOrgCredentials(sf_org="default").sign_in(endpoint)

    assert [["org", "display", "--json"]] == sf.calls


def test_a_session_that_ended_is_renewed_once(sf, server, answer):
    """401: sf is asked again, and what it gives then is used."""
    sf.has(server.url, TOKEN, redacts=False)
    expired = [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}]

    def at_the_org(heard):
        if heard.headers["authorization"].endswith("fresh"):
            return answer(body={})
        sf.has(server.url, TOKEN + "fresh", redacts=False)
        return answer(401, expired)

    server.fallback = at_the_org

    assert {} == SalesforceClient(SfOrgCredentials(sf_org="uat")).org_limits()
    assert 2 == len(sf.calls)
    assert 2 == len(server.heard)


def test_a_session_that_can_not_be_renewed(sf, server, answer):
    """Sf gives the same token again: how to log in again, and no third attempt."""
    sf.has(server.url, TOKEN, redacts=False)
    server.fallback = lambda _: answer(401, [{"errorCode": "INVALID_SESSION_ID", "message": "x"}])

    with pytest.raises(errors.AuthenticationError, match="sf org login web --alias uat") as caught:
        SalesforceClient(SfOrgCredentials(sf_org="uat")).org_limits()
    assert TOKEN not in str(caught.value)
    assert 2 == len(sf.calls)


UNKNOWN = {"name": "NamedOrgNotFoundError", "message": "No authorization information found for uat.",
           "exitCode": 1, "status": 1, "stack": "…", "warnings": []}  # fmt: skip
REFUSALS = [
    (UNKNOWN, errors.ConfigurationError, "sf org list shows the names it knows"),
    ({"name": "NoDefaultEnvError", "message": "No default environment found."},
     errors.ConfigurationError, "sf config set target-org"),
    ({"name": "CommandNotFound", "message": "is not a sf command"},
     errors.ConfigurationError, "sf update"),
    ({"name": "RefreshTokenAuthError", "message": f"expired access/refresh token {TOKEN}"},
     errors.AuthenticationError, "Log in again: sf org login web --alias uat"),
    ({"code": 1}, errors.AuthenticationError, "exit code 1"),
    ("Error: something else\n", errors.UnavailableError, "wrote nothing that is JSON"),
    ("", errors.UnavailableError, "wrote nothing that is JSON"),
    ("{ half", errors.UnavailableError, "wrote nothing that is JSON"),
    ("[" * 100_000, errors.UnavailableError, "wrote nothing that is JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("out", "kind", "words"), REFUSALS)
def test_what_it_refuses_is_said_with_a_remedy(sf, endpoint, caplog, out, kind, words):
    """Its own words, what to do about it, and no token, not even one that it quotes."""
    caplog.set_level(logging.DEBUG)
    sf.say("org display", out, code=1)

    with pytest.raises(kind) as caught:
        SfOrgCredentials(sf_org="uat").sign_in(endpoint)
    assert words in str(caught.value)
    assert TOKEN not in f"{caught.value}{caught.value!r}{caplog.text}"


@pytest.mark.parametrize(
    "shown",
    [
        {"connectedStatus": "RefreshTokenAuthError"},
        {"accessToken": None},
        {"accessToken": "two words"},
        {"instanceUrl": None},
    ],
    ids=str,
)
def test_an_org_that_it_is_not_connected_to(sf, endpoint, server, shown):
    """No session, or one that is known to have ended: log in again."""
    sf.has(server.url, TOKEN, redacts=False, **shown)
    sf.say("org auth show-access-token", {"status": 0, "result": {"accessToken": REDACTED}})

    with pytest.raises(errors.AuthenticationError, match="sf org login web --alias uat"):
        SfOrgCredentials(sf_org="uat").sign_in(endpoint)


def test_an_instance_that_is_not_safe(sf, endpoint):
    """The token is carried to https only, whatever sf says."""
    sf.has("http://evil.example", TOKEN, redacts=False)

    with pytest.raises(errors.ConfigurationError, match="https"):
        SfOrgCredentials(sf_org="uat").sign_in(endpoint)


@pytest.mark.parametrize("name", ["--version", "a&calc", "a|b", "$(x)", "a;b", "a\nb", '"', "%A%"])
def test_a_name_that_a_shell_might_obey(sf, endpoint, name):
    """An alias is no option and no command: refused before sf is run."""
    with pytest.raises(errors.ConfigurationError, match="sf org list"):
        SfOrgCredentials(sf_org=name).sign_in(endpoint)
    assert [] == sf.calls


def test_without_the_cli(endpoint, tmp_path, monkeypatch):
    """No sf on the PATH: how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(errors.ConfigurationError, match="npm install --global @salesforce/cli"):
        SfOrgCredentials(sf_org="uat").sign_in(endpoint)


def test_a_cli_that_does_not_end(sf, endpoint):
    """It is ended with all that it started, and that is said."""
    sf.say("org display", "{", seconds=60)
    began = time.monotonic()

    with pytest.raises(errors.UnavailableError, match="did not end within"):
        SfOrgCredentials(sf_org="uat", timeout_seconds=0.5).sign_in(endpoint)
    assert time.monotonic() - began < 20


def test_it_is_told_no_secret_of_ours(sf, endpoint, server, monkeypatch):
    """Our own credentials are not in its environment, and nothing colours its JSON."""
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", "ours")
    monkeypatch.setenv("FORCE_COLOR", "1")
    sf.has(server.url, TOKEN, redacts=False)
    SfOrgCredentials(sf_org="uat").sign_in(endpoint)

    assert {"NO_COLOR", "PATH"} <= sf.environ
    assert set() == {"SALESFORCE_CLIENT_SECRET", "FORCE_COLOR"} & sf.environ


def test_warnings_before_the_json_do_no_harm(sf, endpoint, server):
    """Some plugins print a line on stdout first."""
    result = {"instanceUrl": server.url, "accessToken": TOKEN}
    sf.say("org display", "Warning: old plugin\n" + json.dumps({"status": 0, "result": result}))

    assert TOKEN == SfOrgCredentials(sf_org="uat").sign_in(endpoint).access_token
