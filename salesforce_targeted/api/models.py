"""Hold what travels between us and an org as values: requests, responses, their parts. No I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Generic, TypeVar

Record = dict[str, Any]
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Request:
    """Hold one request below an org's origin.

    Attributes:
        path: Absolute path with its query string, encoded.
        kind: What it is counted as; see the builders.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    kind: str = "other"

    @property
    def call(self) -> str:
        """Return method and path without the query string: safe in a log."""
        return f"{self.method} {self.path.partition('?')[0]}"


@dataclass(frozen=True, slots=True)
class Response:
    """Hold one response, its body already unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Tell whether the status is 2xx: a gateway in between may turn a 200 into a 201."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def header(self, name: str) -> str:
        """Return a header, whatever the case of its name; "" where there is none."""
        return next((of for key, of in self.headers.items() if key.lower() == name.lower()), "")


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Hold one page of a query: its rows, the request for the next one, the rows promised."""

    records: R
    next: Request | None
    total: int


@dataclass(frozen=True, slots=True)
class JsonRows:
    """Hold the records of a response, not yet read.

    Attributes:
        lines: One record a line, "attributes" included, for a reader of JSON lines, none for null;
            None where the response is not written the usual way. It is not checked to be JSON.
        parsed: The entries as Python values, ``attributes`` taken off; raises
            TruncatedResponseError.
    """

    lines: bytes | None
    parsed: Callable[[], Sequence[Record | None]]

    def records(self) -> list[Record]:
        """Read the records as Python values, without the entries that are null."""
        return [record for record in self.parsed() if record is not None]


@dataclass(frozen=True, slots=True)
class Job:
    """Hold what Salesforce says of a Bulk job; None where it says nothing."""

    id: str
    state: str
    rows: int | None
    error: str
    object: str


@dataclass(frozen=True, slots=True)
class ResultPages:
    """Hold the requests for result pages of a Bulk job, and the one that names those after them."""

    pages: list[Request]
    next: Request | None


@dataclass(frozen=True, slots=True)
class CsvPage(Generic[R]):
    """Hold one page of a Bulk job's results.

    Attributes:
        rows: How many records it holds.
        records: What a reader made of them; None where there are none.
        next: The locator of the next page; None after the last.
    """

    rows: int
    records: R | None
    next: str | None
