"""Which way to sign in is taken, and what is said of the settings."""

import pytest

from salesforce_targeted import salesforce_targeted
from salesforce_targeted.api import credentials as ways
from salesforce_targeted.api import errors
from salesforce_targeted.api.credentials import resolution
from salesforce_targeted.api.login import Session
from tests.support.sign_in import EVERYTHING, SECRETS, credentials


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        ((), ways.SessionCredentials),
        (("ACCESS_TOKEN",), ways.JwtCredentials),
        (("ACCESS_TOKEN", "PRIVATE_KEY"), ways.RefreshTokenCredentials),
        (("ACCESS_TOKEN", "PRIVATE_KEY", "REFRESH_TOKEN"), ways.PasswordCredentials),
        (("ACCESS_TOKEN", "PRIVATE_KEY", "CLIENT_SECRET", "CLIENT_ID"), ways.SoapCredentials),
        (("ACCESS_TOKEN", "PRIVATE_KEY", "REFRESH_TOKEN", "PASSWORD"), ways.ClientCredentials),
    ],
)
def test_which_way_is_taken(without, expected):
    """The first that is complete, in the design's order, with all that it has a use for."""
    environ = {k: v for k, v in EVERYTHING.items() if k.removeprefix("SALESFORCE_") not in without}
    spec = credentials(environ)

    assert expected is type(spec)
    assert [n for n in expected.accepted() if f"SALESFORCE_{n.upper()}" in environ] == spec.given


@pytest.mark.parametrize("given", ["a secret", 5, ["a secret"]], ids=["text", "number", "list"])
def test_a_parameter_that_is_no_way_to_sign_in_is_refused(monkeypatch, given):
    """The environment's own org is never loaded in place of what was given."""
    for name, value in EVERYTHING.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(errors.ConfigurationError, match="no way to sign in") as caught:
        salesforce_targeted(given)

    assert "a secret" not in str(caught.value)


def test_the_clis_org_comes_before_all_others():
    """An org of the Salesforce CLI that is named is meant, whatever else is set."""
    spec = credentials({**EVERYTHING, "SALESFORCE_SF_ORG": "uat"})

    assert ("SfOrgCredentials", "uat") == (type(spec).__name__, spec.sf_org)


@pytest.mark.parametrize(
    ("environ", "lacks"),
    [
        ({}, "SALESFORCE_CLIENT_ID and SALESFORCE_CLIENT_SECRET"),
        ({"SALESFORCE_USERNAME": "u"}, "SALESFORCE_PASSWORD"),
        ({"SALESFORCE_USERNAME": "u", "SALESFORCE_PASSWORD": "\n"}, "SALESFORCE_PASSWORD"),
        ({"SALESFORCE_CLIENT_ID": "i"}, "SALESFORCE_REFRESH_TOKEN"),
        ({"SALESFORCE_CLIENT_SECRET": "i"}, "SALESFORCE_CLIENT_ID"),
        ({"SALESFORCE_ACCESS_TOKEN": "i", "SALESFORCE_PASSWORD": " "}, "SALESFORCE_INSTANCE_URL"),
    ],
)
def test_what_is_missing(environ, lacks):
    """Incomplete settings: what the nearest way lacks, and where to set it."""
    with pytest.raises(errors.ConfigurationError, match=lacks) as caught:
        credentials(environ)
    assert ".dlt/secrets.toml" in str(caught.value)
    held = [name.removeprefix("SALESFORCE_").lower() for name in environ if environ[name].strip()]
    assert lacks in resolution.missing_settings(held)


def test_a_spec_made_by_hand_says_what_it_lacks(endpoint):
    """A spec with a hole isn't sent."""
    with pytest.raises(errors.ConfigurationError, match="SALESFORCE_CLIENT_SECRET"):
        ways.ClientCredentials(client_id="a").sign_in(endpoint)


@pytest.mark.parametrize("way", [*resolution.METHODS, resolution.AnyCredentials])
def test_no_spec_shows_a_secret(way):
    """Neither repr nor str, nor in a list, nor in a format."""
    spec = way()
    for setting in way.accepted():
        setattr(spec, setting, EVERYTHING.get(f"SALESFORCE_{setting.upper()}", "other"))
    shown = f"{spec!r} {spec} {[spec]} {Session('https://a', 'acc-ess-5')!r}"

    assert not any(secret in shown for secret in SECRETS.values())
