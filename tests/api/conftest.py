"""A server that says exactly the bytes it is told to, samples of real answers, and a client for both."""

import gzip
import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.sign_in import Session
from salesforce_targeted.api.wire import Response

SAMPLES = Path(__file__).parent.parent / "samples"


@dataclass
class Heard:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Bytes:
    """An answer: what is written, and what happens to the connection then."""

    data: bytes
    then: str = "keep"  # keep, close, reset
    drip_seconds: float = 0.0


def answer(status=200, body=b"", headers=None, *, packed=False) -> Bytes:
    """A well-formed answer; ``body`` may be bytes, text or anything JSON."""
    if not isinstance(body, bytes):
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
    sent = {"Content-Type": "application/json", **(headers or {})}
    if packed:
        body, sent["Content-Encoding"] = gzip.compress(body), "gzip"
    sent.setdefault("Content-Length", str(len(body)))
    head = "".join(f"{key}: {value}\r\n" for key, value in sent.items())
    return Bytes(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body)


@dataclass
class Scripted:
    """Answers requests in the order of ``script``, then with ``otherwise``."""

    script: deque = field(default_factory=deque)
    otherwise: Callable[[Heard], Bytes] = lambda _: answer(500, b"unscripted")
    heard: list[Heard] = field(default_factory=list)
    url: str = ""

    def say(self, *answers):
        """Queue answers; a callable is asked with the request when its turn has come."""
        self.script.extend(answers)

    def serve(self, listener: socket.socket) -> None:
        """Answer until the listener is closed."""
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while (line := stream.readline()).strip():
                method, path, _ = line.decode("latin-1").split(" ", 2)
                headers = {}
                while (line := stream.readline()).strip():
                    key, _, value = line.decode("latin-1").partition(":")
                    headers[key.strip().lower()] = value.strip()
                heard = Heard(
                    method, path, headers, stream.read(int(headers.get("content-length", 0)))
                )
                self.heard.append(heard)
                found = self.script.popleft() if self.script else self.otherwise
                found = found(heard) if callable(found) else found
                try:
                    self._say(connection, found)
                except OSError:
                    return
                if found.then != "keep":
                    return

    def _say(self, connection: socket.socket, found: Bytes) -> None:
        if found.drip_seconds:
            for n in range(len(found.data)):
                connection.sendall(found.data[n : n + 1])
                threading.Event().wait(found.drip_seconds)
        else:
            connection.sendall(found.data)
        if found.then == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.fixture
def server() -> Iterator[Scripted]:
    """A server on loopback that says what a test queues."""
    listener = socket.create_server(("127.0.0.1", 0))
    scripted = Scripted(url=f"http://127.0.0.1:{listener.getsockname()[1]}")
    threading.Thread(target=scripted.serve, args=(listener,), daemon=True).start()
    yield scripted
    listener.close()


@pytest.fixture
def tls_url(tmp_path) -> Iterator[str]:
    """Where a server with a certificate of its own making listens."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    form = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "pem").write_bytes(key.private_bytes(*form) + certificate.public_bytes(form[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def shake_hands() -> None:
        while True:
            try:
                connection, _ = listener.accept()
                with connection:
                    context.wrap_socket(connection, server_side=True).close()
            except ssl.SSLError:
                continue
            except OSError:
                return

    threading.Thread(target=shake_hands, daemon=True).start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


@dataclass
class Tokens:
    """Credentials that hand out one token after another and count how often they were asked."""

    url: str
    tokens: list[str] = field(default_factory=lambda: [f"token-{n}" for n in range(9)])
    asked: int = 0

    def sign_in(self, door) -> Session:
        """Hand out the next token."""
        self.asked += 1
        return Session(self.url, self.tokens[min(self.asked, len(self.tokens)) - 1])


@pytest.fixture
def tokens(server) -> Tokens:
    """Credentials for the scripted server."""
    return Tokens(server.url)


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that the client asked for; none of them is really made."""
    return []


@pytest.fixture
def client(tokens, pauses) -> Iterator[SalesforceClient]:
    """A client of the scripted server."""
    made = SalesforceClient(tokens, sleep=pauses.append, timeout_seconds=5)
    yield made
    made.close()


@pytest.fixture
def sample() -> Callable[[str], Response]:
    """Load a raw answer from tests/samples."""
    return load_sample


def load_sample(case: str) -> Response:
    """Read one folder of tests/samples."""
    (meta,) = (SAMPLES / case).glob("*.json")
    headers = json.loads(meta.read_text())["headers"]
    return Response(int(meta.stem), headers, (SAMPLES / case / "body").read_bytes())


@pytest.fixture
def said(sample) -> Callable[[str], Bytes]:
    """A sample as an answer of the scripted server."""

    def say(case: str) -> Bytes:
        found = sample(case)
        return answer(found.status, found.body, dict(found.headers))

    return say


@pytest.fixture(name="answer")
def answer_fixture():
    """Make an answer of the scripted server."""
    return answer


@pytest.fixture(name="raw")
def raw_fixture():
    """Make an answer of bytes, well-formed or not."""
    return Bytes
