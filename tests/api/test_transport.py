"""What goes over the wire with a request: the token, and nothing of this machine's."""

import pytest
import requests

from salesforce_targeted.api import credentials, errors
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.transport import Transport
from tests.support.responses import OK
from tests.support.scripted_server import Bytes


def test_what_a_request_carries(client, server, answer):
    """The token, gzip asked for, and nothing of ~/.netrc."""
    server.say(answer(body=OK, packed=True))

    assert OK == client.org_limits()
    (heard,) = server.heard
    assert ("GET", "/services/data/v64.0/limits") == (heard.method, heard.path)
    assert ("Bearer token-0", "gzip") == (
        heard.headers["authorization"],
        heard.headers["accept-encoding"],
    )


def test_netrc_never_replaces_the_token(tmp_path, monkeypatch):
    """A password of ~/.netrc isn't sent in our token's place, not even beyond loopback."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login u password p\n")
    monkeypatch.setenv("NETRC", str(netrc))
    transport = Transport(connections=1, connect_seconds=1, read_seconds=1, total_seconds=1)
    ours = requests.Request("GET", "https://acme.example", {"Authorization": "Bearer token-0"})

    for pool in (transport._environment, transport._direct):
        assert "Bearer token-0" == pool.prepare_request(ours).headers["Authorization"]


def test_cookies_are_not_kept(client, server, answer):
    """What a server sets isn't sent back: the header alone says who we are."""
    server.fallback = lambda _: answer(body=OK, headers={"Set-Cookie": "sid=abc; Path=/"})
    client.org_limits()
    client.org_limits()

    assert "cookie" not in server.heard[1].headers


def test_proxies_are_passed_by_on_loopback(client, server, answer, monkeypatch):
    """A proxy of the environment isn't asked for this machine itself."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.say(answer(body=OK))

    assert OK == client.org_limits()


def test_tls_is_verified(tokens, pauses, tls_url):
    """A certificate that is not trusted: nothing is sent, nothing tried again, by client and door."""
    tokens.url = tls_url
    app = credentials.ClientCredentials(client_id="i", client_secret="s", login_url=tls_url)

    for spec in (tokens, app):
        with pytest.raises(errors.ConfigurationError, match="REQUESTS_CA_BUNDLE"):
            SalesforceClient(spec, sleep=pauses.append).org_limits()
    assert [] == pauses


@pytest.mark.parametrize("status", [100, 102, 103])
def test_an_informational_response_is_passed_over(status, client, server, answer):
    """It isn't the response, which the next request on the connection would get otherwise."""
    early = Bytes(f"HTTP/1.1 {status} X\r\nLink: </a>; rel=preload\r\n\r\n".encode() * 2)
    for n in range(3):
        server.say(Bytes(early.data + answer(body={"n": n}).data))

    assert [{"n": 0}, {"n": 1}, {"n": 2}] == [client.org_limits() for _ in range(3)]
    assert 3 == len(server.heard)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(status, client, server, answer):
    """The next host would get the token."""
    server.say(answer(status, headers={"Location": server.url + "/services/data/v64.0/query?q=x"}))

    with pytest.raises(errors.ConfigurationError, match="redirect"):
        client.org_limits()

    assert 1 == len(server.heard)
