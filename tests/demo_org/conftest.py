"""A tiny org that listens, and a plain HTTP client of it that knows nothing of our library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import requests

from salesforce_targeted.demo_org import DemoOrg, DemoServer, serve

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Rest:
    """Sends requests below ``/services/data/vXX.X/`` with the server's token."""

    server: DemoServer
    version: str = "64.0"
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {self.server.token}"

    def url(self, path: str) -> str:
        if path.startswith("/"):
            return self.server.url + path
        return f"{self.server.url}/services/data/v{self.version}/{path}"

    def get(self, path: str, **params: str) -> requests.Response:
        return self.session.get(self.url(path), params=params, timeout=10)

    def post(self, path: str, body: Any) -> requests.Response:
        return self.session.post(self.url(path), json=body, timeout=10)

    def send(self, method: str, path: str, body: Any = None) -> requests.Response:
        return self.session.request(method, self.url(path), json=body, timeout=10)

    def query(self, soql: str, path: str = "query") -> requests.Response:
        return self.get(path, q=soql)

    def ids(self, soql: str, path: str = "query") -> list[str]:
        return [record["Id"] for record in self.query(soql, path).json()["records"]]


@pytest.fixture
def org() -> DemoOrg:
    """Provide an org small enough to look at."""
    return DemoOrg.tiny()


@pytest.fixture
def server(org: DemoOrg) -> Iterator[DemoServer]:
    """Provide the same, listening."""
    with serve(org) as server:
        yield server


@pytest.fixture
def rest(server: DemoServer) -> Iterator[Rest]:
    """Provide a client of it."""
    rest = Rest(server)
    yield rest
    rest.session.close()
