"""A session is signed in to when it is needed, renewed once when it has expired, and never sent elsewhere."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from salesforce_targeted.api import errors
from salesforce_targeted.api.client import SalesforceClient
from tests.support.responses import OK


def test_nothing_is_asked_before_it_is_needed(client, tokens):
    """A client that is made but not used signs in nowhere."""
    assert 0 == tokens.asked
    assert client.meter.usage is None


@pytest.mark.parametrize("case", ["expired_session", "invalid_auth_header"])
def test_an_expired_session_is_renewed_once(case, client, server, reply, answer, tokens):
    """401 in mid-run: sign in again, send again, without a pause."""
    server.say(answer(body=OK), reply(case), answer(body=OK))
    client.org_limits()

    assert OK == client.org_limits()
    assert 2 == tokens.asked
    assert ["Bearer token-0", "Bearer token-0", "Bearer token-1"] == [
        h.headers["authorization"] for h in server.heard
    ]


def test_a_session_that_stays_invalid(client, server, reply, tokens):
    """A second 401 with a fresh token is final."""
    server.fallback = lambda _: reply("expired_session")

    with pytest.raises(errors.AuthenticationError):
        client.org_limits()

    assert (2, 2) == (len(server.heard), tokens.asked)


def test_a_given_session_that_expired(client, server, reply, tokens):
    """A token that can't be renewed isn't sent a second time; the remedy says where it comes from."""
    tokens.tokens = ["same"]
    server.fallback = lambda _: reply("expired_session")

    with pytest.raises(errors.AuthenticationError, match="SALESFORCE_ACCESS_TOKEN"):
        client.org_limits()

    assert 1 == len(server.heard)


def test_another_401_is_no_expiry(client, server, answer, tokens):
    """An HTML 401 of a proxy says nothing of the session: no sign-in, no second attempt."""
    server.say(answer(401, "<html></html>", {"Content-Type": "text/html"}))

    with pytest.raises(errors.AuthenticationError):
        client.org_limits()

    assert (1, 1) == (len(server.heard), tokens.asked)


def test_many_threads_sign_in_once(client, server, answer, reply, tokens):
    """Eight requests meet the expired session at once; one of them signs in for all."""
    four, arrived = threading.Event(), []

    def first_expired(heard):
        if heard.headers["authorization"] == "Bearer token-0":
            arrived.append(heard)
            if len(arrived) == 4:
                four.set()
            four.wait(5)
            return reply("expired_session")
        return answer(body=OK)

    server.fallback = first_expired
    with ThreadPoolExecutor(8) as pool:
        limits = list(pool.map(lambda _: client.org_limits(), range(8)))

    assert [OK] * 8 == limits
    assert 2 == tokens.asked


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.my.salesforce.com",
        "ftp://127.0.0.1",
        "https://a/b",
        "https://u:p@a",
        "https://",
    ],
)
def test_a_session_elsewhere_is_refused(url, tokens):
    """However the session was made: no token travels without TLS but on this machine."""
    tokens.url = url

    with pytest.raises(errors.ConfigurationError):
        SalesforceClient(tokens).org_limits()
