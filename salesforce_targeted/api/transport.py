"""Make one HTTP exchange: send, read the whole response, unpack it. Decide and retry nothing.

Rules:
1. Whatever goes wrong below HTTP is a ``TransportError``; nothing of requests or zlib gets out.
2. A body is whole or it is an error. requests unpacks a gzip stream that was cut inside intact
   framing without a word (measured: 1,918 of 2,891 rows as a normal 200), so it is unpacked here.
3. No redirect is followed: the next host would get the token.
4. What urllib3 logs of our requests holds no query string.
"""

import logging
import re
import socket
import ssl
import time
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.adapters
import urllib3.exceptions

from salesforce_targeted.api.error_responses import TransportError
from salesforce_targeted.api.models import Response
from salesforce_targeted.api.read_only import is_loopback

_READ_BYTES = 1 << 18


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


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class Transport:
    """Keep a pool of connections; safe to use from several threads."""

    def __init__(
        self, *, connections: int, connect_seconds: float, read_seconds: float, total_seconds: float
    ) -> None:
        self._timeout = (connect_seconds, read_seconds)
        self._total_seconds = total_seconds
        self._direct = self._pool(connections, trust_env=False)
        # Proxies and CA bundles of the environment count, except on the way to this machine itself.
        self._environment = self._pool(connections, trust_env=True)

    @staticmethod
    def _pool(connections: int, *, trust_env: bool) -> requests.Session:
        session = requests.Session()
        session.trust_env = trust_env
        # Without an auth of its own requests looks into ~/.netrc and would replace our header.
        session.auth = _unchanged
        # Salesforce sets cookies, a session's among them: who we are is in the header alone.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = requests.adapters.HTTPAdapter(
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
    """Find out what went wrong below HTTP, and whether the org can have seen the request."""
    chain = list(_chain(error))
    texts = " ".join(str(e) for e in chain if isinstance(e, OSError))
    conditions = (
        _proxy_condition(chain, texts),
        _host_condition(chain, texts),
        _tls_condition(chain),
    )
    if condition := next(filter(None, conditions), ""):
        return TransportError(condition, sent=False)
    if refused := [e for e in chain if isinstance(e, ssl.SSLCertVerificationError)]:
        detail = refused[0].verify_message
        return TransportError("the host's certificate isn't trusted", sent=False, detail=detail)
    in_handshake = _in_handshake(chain)
    if _has(chain, requests.ConnectTimeout) or (in_handshake and _has(chain, TimeoutError)):
        return TransportError("no connection in time", sent=False)
    if in_handshake:
        return TransportError("the TLS handshake was cut short", sent=False)
    if _has(chain, requests.Timeout):
        return TransportError("no response in time", sent=True)
    lost = _has(chain, requests.ConnectionError)
    condition = "the connection was lost" if lost else "the request couldn't be sent"
    return TransportError(condition, sent=True)


def _has(chain: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(e, kinds) for e in chain)


def _proxy_condition(chain: list[BaseException], texts: str) -> str:
    # http.client raises an OSError with nothing but this text.
    if tunnel := re.search(r"Tunnel connection failed: (\d{3})", texts):
        by_hundreds = _TUNNEL.get(tunnel[1][0], "the proxy doesn't reach the host")
        return _TUNNEL.get(tunnel[1], by_hundreds)
    if _has(chain, requests.exceptions.InvalidSchema):
        return "the proxy is a SOCKS proxy, and PySocks isn't installed"
    if _has(chain, requests.exceptions.InvalidProxyURL, urllib3.exceptions.ProxySchemeUnknown):
        return "the proxy's address is invalid"
    # PySocks has errors of its own, and is not there in most installations.
    socks = any(type(e).__module__ == "socks" for e in chain)
    proxy = socks or _has(chain, requests.exceptions.ProxyError)
    return "the proxy can't be reached" if proxy else ""


def _tls_condition(chain: list[BaseException]) -> str:
    """Name what a second try would find as it is; source: OpenSSL, ``openssl errstr``."""
    for error in chain:
        if isinstance(error, ssl.SSLError):
            if error.library in ("X509", "PEM", "ASN1"):
                return "the file with trusted certificates can't be read"
            if condition := _TLS_REASONS.get(error.reason or ""):
                return condition
    return ""


_TLS_REASONS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the host wants a client certificate",
    "UNSUPPORTED_PROTOCOL": "the host supports no secure version of TLS",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the host supports no secure version of TLS",
}


def _host_condition(chain: list[BaseException], texts: str) -> str:
    if "Could not find a suitable TLS CA certificate bundle" in texts:
        return "the file with trusted certificates is missing"
    if names := [e for e in chain if isinstance(e, socket.gaierror)]:
        again = names[0].errno == socket.EAI_AGAIN
        return "the host's name can't be resolved now" if again else "there is no such host"
    if _has(chain, requests.exceptions.InvalidURL, urllib3.exceptions.LocationParseError):
        return "there is no such host"
    if _has(chain, ConnectionRefusedError):
        return "the host refuses connections"
    if _has(chain, urllib3.exceptions.NewConnectionError):
        return "the host can't be reached"
    return ""


_TUNNEL = {
    "407": "the proxy wants a user and a password",
    "4": "the proxy refuses the way to the host",
}


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


def _body(raw: Any, encoding: str, deadline: float) -> bytes:
    decoders = [_decoder(coding) for coding in reversed(encoding.lower().split(","))]
    pieces: list[bytes] = []
    received = False
    try:
        while piece := raw.read1(_READ_BYTES, decode_content=False):
            received = True
            for decoder in decoders:
                piece = decoder.feed(piece)
            pieces.append(piece)
            # A server that drips a byte now and then never trips the timeout of a single read.
            if time.monotonic() > deadline:
                raise TransportError("the response took too long", sent=True)
    except urllib3.exceptions.ReadTimeoutError:
        raise TransportError("the response stopped half-way", sent=True) from None
    except (urllib3.exceptions.HTTPError, OSError, zlib.error, ValueError):
        raise TransportError("the response was cut short", sent=True) from None
    if received and not all(decoder.complete for decoder in decoders):
        raise TransportError("the packed response was cut short", sent=True)
    return b"".join(pieces)


# --- content codings; source: RFC 9110, 8.4.1 -----------------------------------------------------


class _Identity:
    """Pass on what is not packed."""

    complete = True

    def feed(self, piece: bytes) -> bytes:
        return piece


class _Gzip:
    """Unpack gzip, of one member or of several. Source: RFC 1952, 2.2."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)

    @property
    def complete(self) -> bool:
        return self._member.eof

    def feed(self, piece: bytes) -> bytes:
        unpacked = b""
        while piece:
            if self._member.eof:
                # Zeros may fill up the end; anything else begins another member.
                if not (piece := piece.lstrip(b"\0")):
                    break
                self._member = zlib.decompressobj(wbits=31)
            unpacked += self._member.decompress(piece)
            piece = self._member.unused_data
        return unpacked


class _Deflate:
    """Unpack deflate in its zlib format, or raw, as some servers send it against the RFC."""

    def __init__(self) -> None:
        self._head = b""
        self._stream: Any = None

    @property
    def complete(self) -> bool:
        return self._stream is not None and bool(self._stream.eof)

    def feed(self, piece: bytes) -> bytes:
        if self._stream is None:
            self._head += piece
            if len(self._head) < 2:  # noqa: PLR2004  # bytes of zlib's header; RFC 1950, 2.2
                return b""
            zlib_format = self._head[0] & 15 == 8 and int.from_bytes(self._head[:2]) % 31 == 0  # noqa: PLR2004
            self._stream = zlib.decompressobj(wbits=15 if zlib_format else -15)
            piece = self._head
        return bytes(self._stream.decompress(piece))


_DECODERS: dict[str, Callable[[], _Identity | _Gzip | _Deflate]] = {
    "": _Identity, "identity": _Identity, "gzip": _Gzip, "x-gzip": _Gzip, "deflate": _Deflate,
}  # fmt: skip


def _decoder(coding: str) -> _Identity | _Gzip | _Deflate:
    make = _DECODERS.get(coding.strip())
    if make is None:
        raise TransportError("the response is packed in an unknown way", sent=True)
    return make()
