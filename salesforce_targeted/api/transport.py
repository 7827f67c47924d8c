"""Make one HTTP exchange: send, read the whole response, unpack it. Decide and retry nothing.

Rules:
1. Whatever goes wrong below HTTP is a ``TransportError``; nothing of requests or zlib gets out.
2. A body is whole or it is an error. requests unpacks a gzip stream that was cut inside intact
   framing without a word (measured: 1,918 of 2,891 rows as a normal 200), so it is unpacked here.
3. No redirect is followed: the next host would get the token.
4. What urllib3 logs of our requests holds no query string.
5. An informational response (1xx) comes before the response and isn't taken for it.
"""

import logging
import os
import re
import socket
import ssl
import time
import traceback
import zlib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.adapters
import urllib3.exceptions
from requests.exceptions import (
    ConnectTimeout,
    InvalidProxyURL,
    InvalidSchema,
    InvalidURL,
    ProxyError,
    Timeout,
)
from urllib3.exceptions import LocationParseError, NewConnectionError, ProxySchemeUnknown
from zlib_ng import gzip_ng, zlib_ng

from salesforce_targeted.api.addresses import is_loopback
from salesforce_targeted.api.models import Response
from salesforce_targeted.api.refusals.error_responses import TransportError

_READ_BYTES = 1 << 18
# What a proxy says to CONNECT, and not what passes. Source: RFC 9110, 15.5.9; RFC 6585, 4.
_FINAL_TO_CONNECT = re.compile(r"Tunnel connection failed: 4(?!08|25|29)")


def _without_query(record: logging.LogRecord) -> bool:
    """Cut query strings out of urllib3's debug lines: ours hold SOQL, and SOQL holds values."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            arg.partition("?")[0] if isinstance(arg, str) and arg.startswith("/services/") else arg
            for arg in record.args
        )
    return True


logging.getLogger("urllib3.connectionpool").addFilter(_without_query)
# It warns of headers that it can't parse, and quotes the address with its query and what follows
# the headers: rows.
logging.getLogger("urllib3.connection").addFilter(lambda _record: False)


class _FinalResponse(HTTPResponse):
    """Pass over every informational response: http.client does so with 100 only.

    Taken for the response it would leave the true one to the next request on the connection.
    Source: RFC 9110, 15.2.
    """

    def begin(self) -> None:
        """Read up to the body."""
        super().begin()
        while self.status < HTTPStatus.OK:
            self.headers = self.msg = None  # type: ignore[assignment]  # so that it reads again
            super().begin()


class _Adapter(requests.adapters.HTTPAdapter):
    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        if pool.ConnectionCls.response_class is not _FinalResponse:
            responds = {"response_class": _FinalResponse}
            pool.ConnectionCls = type("_Connection", (pool.ConnectionCls,), responds)
        return pool


class Transport:
    """Keep a pool of connections; safe to use from several threads."""

    def __init__(
        self, *, connections: int, connect_seconds: float, read_seconds: float, total_seconds: float
    ) -> None:
        self._timeout = (connect_seconds, read_seconds)
        self._total_seconds = total_seconds
        # Proxies of the environment count, except on the way to this machine itself; CA bundles do
        # there, too.
        self._direct = self._pool(connections, trust_env=False)
        bundles = map(os.environ.get, ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
        self._direct.verify = next(filter(None, bundles), True)
        self._environment = self._pool(connections, trust_env=True)

    @staticmethod
    def _pool(connections: int, *, trust_env: bool) -> requests.Session:
        session = requests.Session()
        session.trust_env = trust_env
        # Without an auth of its own requests looks into ~/.netrc and would replace our header.
        session.auth = lambda request: request
        # Salesforce sets cookies, a session's among them: who we are is in the header alone.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter(
            pool_connections=2, pool_maxsize=connections + 1, pool_block=False, max_retries=0
        )
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Response:
        """Send and read to the end.

        Raises:
            TransportError: refused, reset, timed out, or the body was cut.
        """
        pool = self._direct if is_loopback(urlsplit(url).hostname or "") else self._environment
        deadline = time.monotonic() + self._total_seconds
        sent = {"Accept-Encoding": "gzip", "User-Agent": "salesforce-targeted", **headers}
        try:
            response = pool.request(
                method,
                url,
                data=body,
                headers=sent,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as e:
            raise _failure(e) from None
        try:
            whole = _body(response.raw, response.headers.get("Content-Encoding", ""), deadline)
        finally:
            # After a whole body this hands the connection back; after a cut one it closes it.
            response.close()
        return Response(response.status_code, response.headers, whole)

    def close(self) -> None:
        """Close all connections."""
        self._direct.close()
        self._environment.close()


def _failure(error: BaseException) -> TransportError:
    """Find out what went wrong below HTTP, and whether the org can have seen the request.

    Source of the reasons of TLS: OpenSSL, ``openssl errstr``.
    """
    chain = list(_chain(error))
    # http.client and requests raise an OSError with nothing but a text.
    texts = " ".join(str(e) for e in chain if isinstance(e, OSError))
    tls = [e for e in chain if isinstance(e, ssl.SSLError)]
    reasons = {e.reason for e in tls}
    untrusted = [e.verify_message for e in tls if isinstance(e, ssl.SSLCertVerificationError)]
    in_handshake = _in_handshake(chain)
    # PySocks has errors of its own, and is not there in most installations.
    of_socks = any(type(e).__module__ == "socks" for e in chain)
    no_name_now = any(isinstance(e, socket.gaierror) and e.errno == socket.EAI_AGAIN for e in chain)

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(e, kinds) for e in chain)

    before_sending = {  # the first that holds
        "the proxy wants a user and a password": "Tunnel connection failed: 407" in texts,
        "the proxy refuses the way to the host": bool(_FINAL_TO_CONNECT.search(texts)),
        "the proxy doesn't reach the host": "Tunnel connection failed: " in texts,
        "the proxy is a SOCKS proxy, and PySocks isn't installed": has(InvalidSchema),
        # The host's own address is checked before it is used: what can't be parsed is the proxy's.
        "the proxy's address is invalid": has(InvalidProxyURL, ProxySchemeUnknown)
        or (has(InvalidURL) and has(LocationParseError)),
        "the proxy can't be reached": has(ProxyError) or of_socks,
        "the file with trusted certificates is missing": "TLS CA certificate bundle" in texts,
        "the host's name can't be resolved now": no_name_now,
        "there is no such host": has(socket.gaierror, InvalidURL, LocationParseError),
        "the host refuses connections": has(ConnectionRefusedError),
        "the host can't be reached": has(NewConnectionError),
        "the file with trusted certificates can't be read": any(
            e.library in ("X509", "PEM", "ASN1") for e in tls
        ),
        "the host wants a client certificate": "TLSV13_ALERT_CERTIFICATE_REQUIRED" in reasons,
        "the host supports no secure version of TLS": not reasons.isdisjoint(
            {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"}
        ),
        "the host's certificate isn't trusted": bool(untrusted),
        "no connection in time": has(ConnectTimeout) or (in_handshake and has(TimeoutError)),
        "the TLS handshake was cut short": in_handshake,
    }
    for condition, holds in before_sending.items():
        if holds:
            return TransportError(condition, sent=False, detail="".join(untrusted[:1]))
    if has(Timeout):
        return TransportError("no response in time", sent=True)
    lost = has(requests.ConnectionError)
    condition = "the connection was lost" if lost else "the request couldn't be sent"
    return TransportError(condition, sent=True)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that led to it."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop()
        if id(current) not in seen:
            seen.add(id(current))
            yield current
            waiting += [e for e in (current.__cause__, current.__context__) if e is not None]


def _in_handshake(chain: list[BaseException]) -> bool:
    """Tell whether TLS was still being set up: only the place shows it, not the error."""
    return any(
        frame.f_code.co_name == "do_handshake"
        for error in chain
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


# What a body raises that is not whole.
_CUT: tuple[type[Exception], ...] = (
    urllib3.exceptions.HTTPError, OSError, zlib.error, ValueError,
    zlib_ng.error,  # type: ignore[assignment]  # its stub has an instance
)  # fmt: skip


def _body(raw: Any, encoding: str, deadline: float) -> bytes:
    pieces: list[bytes] = []
    try:
        while piece := raw.read1(_READ_BYTES, decode_content=False):
            pieces.append(piece)
            # A server that drips a byte now and then never trips the timeout of a single read.
            if time.monotonic() > deadline:
                raise TransportError("the response took too long", sent=True)
        body = b"".join(pieces)
        for coding in reversed(encoding.lower().split(",")):
            body = _unpacked(body, coding.strip())
    except EOFError:
        raise TransportError("the packed response was cut short", sent=True) from None
    except urllib3.exceptions.ReadTimeoutError:
        raise TransportError("the response stopped half-way", sent=True) from None
    except _CUT:
        raise TransportError("the response was cut short", sent=True) from None
    return body


def _unpacked(body: bytes, coding: str) -> bytes:
    """Undo one content coding; a stream without its end is an error. Source: RFC 9110, 8.4.1."""
    if coding in ("", "identity") or not body:
        return body
    if coding in ("gzip", "x-gzip"):
        unpacked: bytes = gzip_ng.decompress(body)  # type: ignore[no-untyped-call]
        return unpacked
    if coding == "deflate":
        try:
            return zlib.decompress(body)
        except zlib.error:  # raw, as some servers send it against the RFC
            return zlib.decompress(body, wbits=-15)
    raise TransportError("the response is packed in an unknown way", sent=True)
