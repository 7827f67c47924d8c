"""A server that says exactly the bytes it is told to, and credentials for it."""

import gzip
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

from salesforce_targeted.api.login import Session


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
    """Return a well-formed response; ``body`` may be bytes, text or anything JSON."""
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
    """Answers requests in the order of ``script``, then with ``fallback``."""

    script: deque = field(default_factory=deque)
    fallback: Callable[[Heard], Bytes] = lambda _: answer(500, b"unscripted")
    heard: list[Heard] = field(default_factory=list)
    url: str = ""

    def say(self, *answers):
        """Queue answers; a callable is asked with the request when its turn has come."""
        self.script.extend(answers)

    def talk(self, connection: socket.socket) -> None:
        """Answer the requests of one connection until it is closed."""
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
                reply = self.script.popleft() if self.script else self.fallback
                reply = reply(heard) if callable(reply) else reply
                try:
                    self._say(connection, reply)
                except OSError:
                    return
                if reply.then != "keep":
                    return

    def _say(self, connection: socket.socket, reply: Bytes) -> None:
        if reply.drip_seconds:
            for n in range(len(reply.data)):
                connection.sendall(reply.data[n : n + 1])
                threading.Event().wait(reply.drip_seconds)
        else:
            connection.sendall(reply.data)
        if reply.then == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def listening(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Give each connection to a free port of loopback to ``talk``, in threads; yields host:port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


@contextmanager
def scripted_server() -> Iterator[Scripted]:
    """Provide a server on loopback that sends what a test tells it to."""
    server = Scripted()
    with listening(server.talk) as host:
        server.url = f"http://{host}"
        yield server


def handed_on(url: str, heard: Heard) -> Bytes:
    """Send a request on to the org at an address and return what it says: what a proxy does."""
    headers = {"Authorization": heard.headers.get("authorization", "")}
    response = requests.request(
        heard.method, url + heard.path, headers=headers, data=heard.body, timeout=30
    )
    names = ("Content-Type", "Sforce-Limit-Info")
    kept = {name: response.headers[name] for name in names if name in response.headers}
    return answer(response.status_code, response.content, kept)


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
