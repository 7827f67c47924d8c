"""HTTP/1.1 on 127.0.0.1: reads requests, lets the org respond, plays faults.

Rules:
- Loopback only; keep-alive; a thread per connection; gzip (level 1) when the client takes it.
- JSON responses are chunked, as Salesforce sends them.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
import time
import zlib
from typing import TYPE_CHECKING, Any, Self

from salesforce_targeted.demo_org.faults.faults import TRANSPORT, Fault
from salesforce_targeted.demo_org.http.exchange import Reply, Request, refusal
from salesforce_targeted.demo_org.http.rest import respond
from salesforce_targeted.demo_org.refusals import Refused
from salesforce_targeted.demo_org.storage.state import NOT_BILLED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from salesforce_targeted.demo_org.org import DemoOrg

_REASONS = {200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified", 400: "Bad Request",
            401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
            409: "Conflict", 410: "Gone", 414: "URI Too Long",
            431: "Request Header Fields Too Large", 429: "Too Many Requests",
            500: "Internal Server Error", 503: "Service Unavailable"}  # fmt: skip
GZIP_FROM_BYTES = 500
MAX_LINE = 70_000


class _Connection(socketserver.StreamRequestHandler):
    """One client connection: requests one after the other until either side has had enough."""

    disable_nagle_algorithm = True
    wbufsize = 0
    server: _Listener

    def handle(self) -> None:
        try:
            while (request := self._read()) is not None:
                if (
                    not self._serve(request)
                    or request.headers.get("connection", "").lower() == "close"
                ):
                    return
        except (ConnectionError, TimeoutError, ValueError):
            return

    def _read(self) -> Request | None:
        line = self.rfile.readline(MAX_LINE).decode("latin-1").strip()
        if not line:
            return None
        method, target, _ = line.split(" ", 2)
        headers = {}
        while line := self.rfile.readline(MAX_LINE).decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b"".join(self._chunks())
        else:
            body = self.rfile.read(int(headers.get("content-length", 0)))
        if headers.get("content-encoding") == "gzip":
            body = zlib.decompress(body, 31)
        return Request(method, target, headers, body)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(MAX_LINE).split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline(MAX_LINE)
        while self.rfile.readline(MAX_LINE).strip():
            pass

    def _serve(self, request: Request) -> bool:
        """Respond to one request; return False if the connection must not be used again."""
        org, arrived = self.server.org, time.monotonic()
        try:
            reply = respond(org, request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a response
            # A bug of the demo org itself: the test that met it must fail.
            org.unexpected.append(f"{request.method} {request.path}: {error!r}")
            reply = refusal(Refused(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred"))
        if org.latency is not None:
            self.server.closing.wait(
                org.latency.seconds(reply.kind, reply.rows, columns=reply.columns)
            )
        if reply.seconds:
            self.server.closing.wait(reply.seconds)
        if reply.kind not in NOT_BILLED:
            org.spans.append((arrived, time.monotonic()))
        if reply.fault is not None and reply.fault.action in TRANSPORT:
            return self._transport_fault(request, reply, reply.fault)
        self._send(request, reply)
        return True

    def _packed(
        self, request: Request, reply: Reply
    ) -> tuple[dict[str, str], bytes | Iterator[bytes]]:  # fmt: skip
        body, headers = reply.body, dict(reply.headers)
        headers["Content-Type"] = reply.content_type
        big = not isinstance(body, bytes) or len(body) >= GZIP_FROM_BYTES
        if big and "gzip" in request.headers.get("accept-encoding", ""):
            body = _zipped(body)
            headers["Content-Encoding"] = "gzip"
        return headers, body

    def _send(self, request: Request, reply: Reply) -> None:
        headers, body = self._packed(request, reply)
        if reply.status in (204, 304):
            del headers["Content-Type"]
            self.wfile.write(_head(reply.status, headers))
            return
        headers["Transfer-Encoding"] = "chunked"
        head = _head(reply.status, headers)
        if request.method == "HEAD":
            self.wfile.write(head)
        elif isinstance(body, bytes):
            self.wfile.write(head + _chunk(body) + b"0\r\n\r\n")
        else:
            self.wfile.write(head)
            for piece in body:
                self.wfile.write(_chunk(piece))
            self.wfile.write(b"0\r\n\r\n")

    def _transport_fault(self, request: Request, reply: Reply, fault: Fault) -> bool:
        """Send the response as the fault has it."""
        if fault.action == "hang":
            self.server.closing.wait(fault.seconds(5.0))
            return False
        if fault.action == "reset_before":
            return self._reset()
        headers, packed = self._packed(request, reply)
        body = packed if isinstance(packed, bytes) else b"".join(packed)
        cut = body[: len(body) * 2 // 3]
        if fault.action == "cut_gzip":
            headers["Transfer-Encoding"] = "chunked"
            self.wfile.write(_head(reply.status, headers) + _chunk(cut) + b"0\r\n\r\n")
            return True
        headers["Content-Length"] = str(len(body))
        self.wfile.write(_head(reply.status, headers))
        if fault.action == "slow_drip":
            self._drip(body, fault.seconds(2.0))
            return True
        self.wfile.write(cut)
        return self._reset() if fault.action == "reset_midbody" else False

    def _drip(self, body: bytes, seconds: float, drops: int = 20) -> None:
        size = len(body) // drops + 1
        for at in range(0, len(body), size):
            self.wfile.write(body[at : at + size])
            self.server.closing.wait(seconds / drops)

    def _reset(self) -> bool:
        # With a linger time of zero, closing sends RST instead of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()
        return False


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}", "Server: sfdcedge",
             *(f"{name}: {value}" for name, value in headers.items())]  # fmt: skip
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""


def _zipped(body: bytes | Iterator[bytes]) -> bytes | Iterator[bytes]:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    if isinstance(body, bytes):
        return packer.compress(body) + packer.flush()

    def pieces() -> Iterator[bytes]:
        for piece in body:
            yield packer.compress(piece)
        yield packer.flush()

    return pieces()


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, org: DemoOrg, port: int) -> None:
        self.org = org
        self.open: set[socket.socket] = set()
        self.closing = threading.Event()  # ends every deliberate wait
        super().__init__(("127.0.0.1", port), _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)


class DemoServer:
    """A demo org that listens; ``with serve(org) as server`` or ``server.close()``."""

    def __init__(self, org: DemoOrg, port: int = 0) -> None:
        self.org = org
        self._listener = _Listener(org, port)
        self.port: int = self._listener.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = org.issue_token()
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(0.02,), name="demo-org", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and drop every connection."""
        self._listener.closing.set()
        self._listener.shutdown()
        self._listener.server_close()
        for connection in list(self._listener.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the client was faster
        self._thread.join()


def serve(org: DemoOrg, port: int = 0) -> DemoServer:
    """Let *org* listen on 127.0.0.1, on a free port by default."""
    return DemoServer(org, port)
