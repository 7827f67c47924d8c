"""One HTTP request and its response as values; what a route takes and returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from salesforce_targeted.demo_org.http.records import dumps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from salesforce_targeted.demo_org.refusals import Refused

JSON = "application/json;charset=UTF-8"


@dataclass
class Request:
    """A request as it came; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __post_init__(self) -> None:
        parts = urlsplit(self.target if self.target.startswith("/") else "/" + self.target)
        self.path = unquote(parts.path)
        # parse_qs turns a raw + into a space, as Salesforce does.
        self.params = {k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}

    @property
    def token(self) -> str:
        """Return the access token of its ``Authorization`` header; empty if there is none."""
        return self.headers.get("authorization", "").partition(" ")[2].strip()


@dataclass
class Reply:
    """A response; a body that is an iterator is sent as it is made."""

    status: int = 200
    body: bytes | Iterator[bytes] = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "other"
    rows: int = 0
    columns: int = 0
    seconds: float = 0.0  # that the org works on it, ``latency`` apart
    fault: Any = None  # strikes while the response is sent, see ``faults``


def reply(value: Any, status: int = 200, **details: Any) -> Reply:
    """Return a response that carries *value* as JSON."""
    return Reply(status, dumps(value), **details)


def refusal(error: Refused) -> Reply:
    """Return Salesforce's error list as a response."""
    return reply([{"message": error.message, "errorCode": error.code}], error.status)


def html(status: int, body: str) -> Reply:
    """Return what the edge sends before Salesforce proper has seen the request."""
    return Reply(status, body.encode(), "text/html;charset=utf-8")
