"""dlt resolves the credentials: its configuration wins, the environment fills the gaps."""

import dlt
import pytest

from salesforce_targeted.api import credentials as ways
from salesforce_targeted.api.credentials import resolution
from salesforce_targeted.api.credentials.resolution import (
    IncompleteCredentialsError,
    SalesforceCredentials,
)

DLT = "SOURCES__SALESFORCE_TARGETED__CREDENTIALS__"


@dlt.source(name="salesforce_targeted")
def source(sink: list, credentials: SalesforceCredentials = dlt.secrets.value):
    """Tell what dlt resolved."""
    sink.append(credentials)
    return dlt.resource([1], name="x")


def resolved(**credentials):
    """Let dlt resolve the credentials of a source."""
    sink: list = []
    source(sink, **credentials)
    return sink[0]


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """Set environment variables for dlt and for us; no other configuration is near."""
    monkeypatch.chdir(tmp_path)

    def put(**values):
        for key, value in values.items():
            monkeypatch.setenv(key, value)

    return put


def test_one_way_in_dlt(settings):
    """A way that is complete in dlt's configuration is taken."""
    settings(**{DLT + "CLIENT_ID": "i", DLT + "CLIENT_SECRET": "s", DLT + "DOMAIN": "acme"})
    way = resolved()

    assert ways.ClientCredentials is type(way)
    assert "acme" == way.domain


def test_dlt_wins_over_the_environment(settings):
    """What is complete in dlt isn't overridden by another way in the environment."""
    settings(**{DLT + "CLIENT_ID": "i", DLT + "CLIENT_SECRET": "s", DLT + "DOMAIN": "acme"},
             SALESFORCE_INSTANCE_URL="https://a", SALESFORCE_ACCESS_TOKEN="t",
             SALESFORCE_LOGIN_URL="https://elsewhere.example", SALESFORCE_CLIENT_SECRET="other")  # fmt: skip
    way = resolved()

    assert ways.ClientCredentials is type(way)
    assert ("s", "acme", None) == (way.client_secret, way.domain, way.login_url)


def test_the_environment_fills_a_gap(settings):
    """An optional setting that dlt lacks comes from the environment."""
    settings(
        **{DLT + "USERNAME": "u", DLT + "PASSWORD": "p"},
        SALESFORCE_SECURITY_TOKEN="t",
        SALESFORCE_DOMAIN="test",
    )
    way = resolved()

    assert ways.SoapCredentials is type(way)
    assert ("t", "test") == (way.security_token, way.domain)


def test_the_environment_alone(settings):
    """SALESFORCE_* are enough; the way is chosen as the design says."""
    settings(
        SALESFORCE_USERNAME="u",
        SALESFORCE_PASSWORD="p",
        SALESFORCE_CLIENT_ID="i",
        SALESFORCE_CLIENT_SECRET="s",
    )
    way = resolved()

    assert (resolution.AnyCredentials, "PasswordCredentials") == (
        type(way),
        way.chosen,
    )


def test_half_and_half(settings):
    """One half in dlt, the other in the environment."""
    settings(**{DLT + "CLIENT_ID": "i"}, SALESFORCE_CLIENT_SECRET="s", SALESFORCE_DOMAIN="acme")
    way = resolved()

    assert ("ClientCredentials", "i", "s") == (way.chosen, way.client_id, way.client_secret)


def test_a_key_in_a_file(settings, tmp_path):
    """private_key_file stands for private_key, in dlt as well."""
    (tmp_path / "key.pem").write_text("PEM")
    settings(
        **{
            DLT + "CLIENT_ID": "i",
            DLT + "USERNAME": "u",
            DLT + "PRIVATE_KEY_FILE": str(tmp_path / "key.pem"),
        }
    )
    way = resolved()

    assert (ways.JwtCredentials, "PEM") == (type(way), way.private_key)


@pytest.mark.parametrize("lone", [{}, {"SALESFORCE_CLIENT_SECRET": "s"}, {DLT + "USERNAME": "u"}])
def test_nothing_complete(settings, lone):
    """One sentence says what the nearest way lacks, and where to set it; not dlt's 240 lines."""
    settings(**lone)

    with pytest.raises(IncompleteCredentialsError, match="lacks SALESFORCE_") as raised:
        resolved()
    assert ".dlt/secrets.toml" in raised.value.remedy
    assert len(str(raised.value)) < 1_000


def test_a_spec_given_by_hand(settings):
    """An instance passed to the source is used as it is."""
    spec = ways.SessionCredentials(instance_url="https://a", access_token="t")
    settings(SALESFORCE_USERNAME="u", SALESFORCE_PASSWORD="p")

    assert ("https://a", "t") == (
        resolved(credentials=spec).instance_url,
        resolved(credentials=spec).access_token,
    )


def test_the_environments_way_signs_in(settings, server, answer):
    """What dlt resolved signs in by the chosen way, and stays one spec through a renewal."""
    from salesforce_targeted.api.client import SalesforceClient

    server.say(answer(body={"access_token": "00D!a", "instance_url": server.url}), answer(body={}))
    settings(
        SALESFORCE_CLIENT_ID="i", SALESFORCE_CLIENT_SECRET="s", SALESFORCE_LOGIN_URL=server.url
    )

    assert {} == SalesforceClient(resolved()).org_limits()
    assert b"grant_type=client_credentials" in server.heard[0].body
