"""One HTTP exchange: send, read the whole answer, unpack it. Retries nothing and decides nothing.

Rules:
1. Whatever goes wrong below HTTP is a ``TransportError``; nothing of requests or zlib gets out.
2. A body is whole or it is an error. requests unpacks a gzip stream that was cut inside intact
   framing without a word (measured: 1,918 of 2,891 rows as a normal 200), so it is unpacked here.
3. No redirect is followed: the next host would get the token.
4. What urllib3 logs of our requests holds no query string.
"""

import ipaddress
import logging
import time
import zlib
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.adapters
import urllib3.exceptions

from salesforce_targeted.api.models import Response

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


class TransportError(Exception):
    """No whole answer came.

    Attributes:
        sent: False where the org can't have seen the request.
        lasting: True where trying again can't help.
    """

    def __init__(self, message: str, *, sent: bool, lasting: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.lasting = lasting


def is_loopback(host: str) -> bool:
    """Whether the host is this machine itself, by name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class Transport:
    """A pool of connections; safe to use from several threads."""

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
            answer = pool.request(
                method,
                url,
                data=body,
                headers=sent,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
        except requests.ConnectTimeout:
            raise TransportError("no connection in time", sent=False) from None
        except requests.Timeout:
            raise TransportError("no answer in time", sent=True) from None
        except requests.exceptions.SSLError:
            raise TransportError(
                "TLS failed: the host has no certificate that is trusted", sent=False, lasting=True
            ) from None
        except requests.ConnectionError as error:
            raise _lost(error) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
            raise TransportError("the request couldn't be sent", sent=True) from None
        try:
            whole = _body(answer.raw, answer.headers.get("Content-Encoding", ""), deadline)
        finally:
            # After a whole body this hands the connection back; after a cut one it closes it.
            answer.close()
        return Response(answer.status_code, answer.headers, whole)

    def close(self) -> None:
        """Close all connections."""
        self._direct.close()
        self._environment.close()


def _lost(error: requests.ConnectionError) -> TransportError:
    refused = isinstance(
        getattr(error.args[0] if error.args else None, "reason", None),
        urllib3.exceptions.NewConnectionError,
    )
    what = "the host refuses connections" if refused else "the connection was lost"
    return TransportError(what, sent=not refused)


def _body(raw: Any, encoding: str, deadline: float) -> bytes:
    coding = encoding.strip().lower()
    unpack = zlib.decompressobj(wbits=47) if coding in ("gzip", "x-gzip", "deflate") else None
    if unpack is None and coding not in ("", "identity"):
        raise TransportError("an answer packed in a way that wasn't asked for", sent=True)
    pieces: list[bytes] = []
    received = False
    try:
        while piece := raw.read1(_READ_BYTES, decode_content=False):
            received = True
            pieces.append(unpack.decompress(piece) if unpack else piece)
            # A server that drips a byte now and then never trips the timeout of a single read.
            if time.monotonic() > deadline:
                raise TransportError("the answer took too long", sent=True)
        if unpack:
            pieces.append(unpack.flush())
    except urllib3.exceptions.ReadTimeoutError:
        raise TransportError("the answer stopped half-way", sent=True) from None
    except (urllib3.exceptions.HTTPError, OSError, zlib.error, ValueError):
        raise TransportError("the answer was cut short", sent=True) from None
    if unpack and received and not unpack.eof:
        raise TransportError("the packed answer was cut short", sent=True)
    return b"".join(pieces)
