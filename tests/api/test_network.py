"""What goes wrong below HTTP: named as it is, sent again only where that may help, never billed unsent."""

import errno
import gzip
import socket
import struct
import zlib

import pytest
import requests
import urllib3.exceptions

from salesforce_targeted.api import errors, transport
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.refusals import messages
from tests.support.responses import OK
from tests.support.scripted_server import Tokens, listening

# Without a time stamp: the bytes are in the tests' names, which all workers must agree on.
PACKED = gzip.compress(b'{"DailyApiRequests":', mtime=0) + gzip.compress(b'{"Max":1}}', mtime=0)
PLAIN = b'{"DailyApiRequests":{"Max":1}}'
RAW = zlib.compressobj(wbits=-15)
DEFLATED = RAW.compress(PLAIN) + RAW.flush()


def failing(url, pauses):
    """Ask an org at this address in vain; the error, and how many calls were billed."""
    client = SalesforceClient(Tokens(url), sleep=pauses.append, timeout_seconds=2)
    with pytest.raises(errors.SalesforceError) as caught:
        client.org_limits()
    client.close()
    return caught.value, client.meter.calls.total()


def closed(connection):
    """Read what TLS begins with, and close."""
    with connection:
        connection.recv(9000)


def reset(connection):
    """Read what TLS begins with, and reset the connection."""
    connection.recv(9000)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def plain(connection):
    """Send what is no TLS."""
    with connection:
        connection.recv(9000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("talk", [closed, reset, plain])
def test_a_handshake_that_is_cut_short_is_tried_again(talk, pauses):
    """An edge drops the connection before TLS stands: nothing was sent, and it may pass."""
    with listening(talk) as host:
        error, billed = failing(f"https://{host}", pauses)

    assert errors.UnavailableError is type(error)
    assert "the TLS handshake was cut short" in str(error)
    assert (0, 4) == (billed, len(pauses))


# TLS 1.0 to 1.3: type, version, length; then level and number. Source: RFC 8446, 6.
ALERTS = {
    "protocol_version": (b"\x15\x03\x01\x00\x02\x02\x46", "supports no secure version of TLS"),
    "certificate_required": (b"\x15\x03\x03\x00\x02\x02\x74", "wants a client certificate"),
}


@pytest.mark.parametrize("alert", ALERTS)
def test_what_a_second_handshake_would_meet_again_is_final(alert, pauses):
    """An alert that names the reason; what has none may pass."""
    data, words = ALERTS[alert]

    def refuse(connection):
        with connection:
            connection.recv(9000)
            connection.sendall(data)

    with listening(refuse) as host:
        error, billed = failing(f"https://{host}", pauses)

    assert errors.ConfigurationError is type(error)
    assert words in str(error)
    assert (0, []) == (billed, pauses)


@pytest.mark.parametrize("content", [b"no PEM\n", bytes(range(256))], ids=["text", "binary"])
def test_a_file_of_certificates_that_is_none(content, pauses, monkeypatch, tmp_path):
    """The variable is named; it is not a connection that was lost."""

    def proxy(connection):
        with connection:
            connection.recv(9000)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            connection.recv(9000)

    (tmp_path / "ca.pem").write_bytes(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with listening(proxy) as host:
        monkeypatch.setenv("https_proxy", f"http://{host}")
        error, billed = failing("https://acme.example", pauses)

    assert errors.ConfigurationError is type(error)
    assert "trusted certificates can't be read. Correct REQUESTS_CA_BUNDLE" in str(error)
    assert (0, []) == (billed, pauses)


def test_a_host_with_a_name_too_long_is_none(pauses):
    """63 characters between two dots: final, as any name that is none."""
    error, billed = failing(f"https://{'a' * 64}.my.salesforce.com", pauses)

    assert "there is no such host" in str(error)
    assert (0, []) == (billed, pauses)


def test_a_certificate_that_fails_is_final(tls_url, pauses):
    """With the reason; a second try would find the same certificate."""
    error, billed = failing(tls_url, pauses)

    assert errors.ConfigurationError is type(error)
    assert "certificate isn't trusted (self-signed certificate)" in str(error)
    assert (0, []) == (billed, pauses)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_counts_on_this_machine_as_well(variable, tls_url, pauses, monkeypatch, tmp_path):
    """The certificate of a tunnel that ends here is trusted where it is said to be."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "pem"))
    error, _ = failing(tls_url, pauses)

    assert "the connection was lost" in str(error)  # which is all that this server does


PROXIES = {
    "407 Proxy Authentication Required": ("wants a user and a password", errors.ConfigurationError),
    "403 Forbidden": ("the proxy refuses the way", errors.ConfigurationError),
    "502 Bad Gateway": ("the proxy doesn't reach the host", errors.UnavailableError),
    "429 Too Many Requests": ("the proxy doesn't reach the host", errors.UnavailableError),
}  # fmt: skip


@pytest.mark.parametrize("says", PROXIES)
def test_a_proxy_that_refuses(says, pauses, monkeypatch):
    """What it says to CONNECT: final, but for what may pass."""
    words, kind = PROXIES[says]

    def refuse(connection):
        with connection:
            connection.recv(9000)
            connection.sendall(f"HTTP/1.1 {says}\r\nContent-Length: 0\r\n\r\n".encode())

    with listening(refuse) as host:
        monkeypatch.setenv("https_proxy", f"http://{host}")
        error, billed = failing("https://acme.example", pauses)

    assert kind is type(error)
    assert words in str(error)
    assert (0, 4 if kind is errors.UnavailableError else 0) == (billed, len(pauses))


ENVIRONMENTS = {
    "down": ("https_proxy", "http://127.0.0.1:9", "the proxy can't be reached", 4),
    "SOCKS": ("https_proxy", "socks5://127.0.0.1:9", "the proxy can't be reached", 4),
    "no proxy": ("https_proxy", "ftp://127.0.0.1:9", "the proxy's address is invalid", 0),
    "no address": ("https_proxy", "http:///x", "the proxy's address is invalid", 0),
    "no port": ("https_proxy", "http://proxy:port", "the proxy's address is invalid", 0),
    "password": ("https_proxy", "http://me:a#b@proxy:80", "the proxy's address is invalid", 0),
    "certificates": ("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem", "Correct the path in REQUESTS_CA_BUNDLE", 0),
}  # fmt: skip


@pytest.mark.parametrize("case", ENVIRONMENTS)
def test_an_environment_that_is_wrong(case, pauses, monkeypatch):
    """A variable that can't be meant that way: named, with what to do about it."""
    variable, value, words, tries = ENVIRONMENTS[case]
    monkeypatch.setenv(variable, value)
    error, billed = failing("https://acme.example", pauses)

    assert words in str(error)
    assert (0, tries) == (billed, len(pauses))


def raised(cause):
    """Raise it the way urllib3 and requests hand it on; what is left in the end."""
    try:
        try:
            raise cause
        except OSError as error:
            raise urllib3.exceptions.NewConnectionError(None, "x") from error
    except urllib3.exceptions.NewConnectionError as error:
        return requests.ConnectionError(error).with_traceback(None), error


@pytest.mark.parametrize(
    ("cause", "condition"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "there is no such host"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "the host's name can't be resolved now"),
        (OSError(errno.ENETUNREACH, "x"), "the host can't be reached"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "the host refuses connections"),
    ],
)
def test_names_and_networks(cause, condition):
    """What no test can bring about everywhere, as the libraries raise it."""
    error, inner = raised(cause)
    error.__cause__ = inner
    failure = transport._failure(error)

    assert (condition, False) == (str(failure), failure.sent)
    assert messages.network(condition) is failure.message


def test_a_socks_proxy_without_pysocks():
    """The error that requests raises where it is not installed."""
    failure = transport._failure(
        requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support.")
    )

    assert "pip install PySocks" in str(failure.error())
    assert not failure.sent


def test_every_condition_has_a_row():
    """What the transport can raise is in the table, and nothing else is."""
    import inspect

    source = inspect.getsource(transport)

    assert [] == [
        row.code
        for row in messages.TABLE
        if row.where is messages.Where.NETWORK and f'"{row.code}"' not in source
    ]


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", PACKED), ("GZIP", PACKED), ("x-gzip", PACKED), ("gzip, identity", PACKED),
        ("identity, gzip", PACKED), ("gzip", PACKED + b"\0" * 7), ("deflate", zlib.compress(PLAIN)),
        ("Deflate", DEFLATED), ("deflate, gzip", gzip.compress(DEFLATED, mtime=0)), ("identity", PLAIN), ("", PLAIN),
    ],
)  # fmt: skip
@pytest.mark.parametrize("drip", [False, True])
def test_every_legal_packing_is_unpacked(coding, body, drip, client, server, answer, raw):
    """One coding or several, one member or several, in any case; in one piece or byte by byte."""
    packed = answer(body=body, headers={"Content-Encoding": coding})
    server.say(raw(packed.data, drip_seconds=0.0002 if drip else 0.0))

    assert {"DailyApiRequests": {"Max": 1}} == client.org_limits()
    assert 1 == len(server.heard)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", PACKED[:-3]), ("gzip", PACKED[: len(PACKED) // 2 + 3]), ("deflate", DEFLATED[:-2]),
        ("deflate", b"x"), ("deflate", zlib.compress(PLAIN)[:-2]), ("deflate, gzip", gzip.compress(zlib.compress(PLAIN)[:-2], mtime=0)), ("br", b"x"), ("gzip", PACKED + b"x"),
        ("gzip", PACKED[:15] + b"\xff\xff\xff" + PACKED[18:]), ("gzip", PACKED[:-8] + bytes(4) + PACKED[-4:]),
    ],
)  # fmt: skip
def test_what_is_cut_or_unknown_is_tried_again(coding, body, client, server, answer):
    """A stream without its end is no response, however it is framed."""
    server.say(answer(body=body, headers={"Content-Encoding": coding}), answer(body=OK))

    assert OK == client.org_limits()
    assert 2 == len(server.heard) == client.meter.calls.total()


@pytest.mark.parametrize("status", [408, 420, 423, 425, 429])
def test_a_4xx_that_passes(status, client, server, answer):
    """Some refusals are of the moment: sent again."""
    server.say(answer(status, b""), answer(body=OK))

    assert OK == client.org_limits()
