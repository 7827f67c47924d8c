"""The scripted server, samples of real answers, a client and an endpoint for both."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.login import LoginEndpoint
from salesforce_targeted.api.models import Response
from salesforce_targeted.api.transport import Transport
from tests.support.scripted_server import (
    Bytes,
    Scripted,
    Tokens,
    answer,
    listening,
    scripted_server,
)

SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.fixture
def server() -> Iterator[Scripted]:
    """Provide a server on loopback that sends what a test queues."""
    with scripted_server() as scripted:
        yield scripted


@pytest.fixture(scope="session")
def key() -> tuple[rsa.RSAPrivateKey, str]:
    """Provide an RSA key, as an object and as PEM."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, pem.decode()


@pytest.fixture
def tls_url(tmp_path, key) -> Iterator[str]:
    """Where a server with a certificate of its own making listens."""
    private, pem = key
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
        .serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(private, hashes.SHA256())
    )  # fmt: skip
    (tmp_path / "pem").write_bytes(
        pem.encode() + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")

    def shake_hands(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            context.wrap_socket(connection, server_side=True).close()

    with listening(shake_hands) as host:
        yield f"https://{host}"


@pytest.fixture
def tokens(server) -> Tokens:
    """Credentials for the scripted server."""
    return Tokens(server.url)


@pytest.fixture
def pauses() -> list[float]:
    """Provide the pauses that the client asked for; none of them is really made."""
    return []


@pytest.fixture
def client(tokens, pauses) -> Iterator[SalesforceClient]:
    """Provide a client of the scripted server."""
    client = SalesforceClient(tokens, sleep=pauses.append, timeout_seconds=5)
    yield client
    client.close()


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
def reply(sample) -> Callable[[str], Bytes]:
    """Provide samples as responses of the scripted server."""

    def say(case: str) -> Bytes:
        response = sample(case)
        return answer(response.status, response.body, dict(response.headers))

    return say


@pytest.fixture(name="answer")
def answer_fixture():
    """Make an answer of the scripted server."""
    return answer


@pytest.fixture(name="raw")
def raw_fixture():
    """Make an answer of bytes, well-formed or not."""
    return Bytes


@pytest.fixture
def endpoint(pauses) -> Iterator[LoginEndpoint]:
    """Provide the endpoint for sign-in, without real pauses."""
    transport = Transport(connections=1, connect_seconds=2, read_seconds=2, total_seconds=10)
    yield LoginEndpoint(transport, sleep=pauses.append)
    transport.close()


@pytest.fixture
def granted(server) -> Callable[..., Bytes]:
    """Provide a token response of the scripted server, with more members if wanted."""
    return lambda **more: answer(
        body={"access_token": "00Dx!granted", "instance_url": server.url, **more}
    )


@pytest.fixture
def in_flight_threads() -> Callable[[], set[threading.Thread]]:
    """Provide the threads that read or ask now; those that an earlier test may have left are not counted."""

    def reading() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name.startswith("in-flight")}

    left = reading()
    return lambda: reading() - left
