"""Requests and answers as data: what is sent, what comes back, what it means. No I/O.

Rules:
1. Every request is built here, and none of the builders writes.
2. Every reader raises our errors only, whatever the bytes are: HTML, nothing, half a body.
3. ``attributes`` and everything else that only one API sends is taken off here.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote, quote_plus

import orjson

from . import errors, read_only
from .errors import SalesforceError, TruncatedAnswerError

Record = dict[str, Any]
R = TypeVar("R")

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_USAGE = re.compile(r"(?:^|[;,\s])api-usage=(\d{1,18})/(\d{1,18})(?!\d)")
_HTML_TITLE = re.compile(rb"<(title|h1)[^>]*>(.{1,200}?)</\1>", re.IGNORECASE | re.DOTALL)
_JSON = {"Content-Type": "application/json"}
# How Salesforce writes a list of records. A quote inside a text is escaped, so neither mark can
# stand in one.
_FIRST_RECORD = re.compile(rb'\[((?:null,)*)(?=\{"attributes":)')
_NEXT_RECORD = re.compile(rb'\},((?:null,)*)(?=\{"attributes":)')
_LAST_RECORD = re.compile(rb"\}((?:,null)*)\]\Z")
_RECORDS = b'"records":['


class Headers(Mapping[str, str]):
    """HTTP headers; names match whatever their case."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {key.lower(): value for key, value in values.items()}

    def __getitem__(self, key: str) -> str:
        return self._values[key.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True)
class Request:
    """One request below an org's origin.

    Attributes:
        path: Absolute path with its query string, encoded.
        kind: What it is counted as; see the builders.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = "other"

    @property
    def call(self) -> str:
        """Method and path without the query string: safe in a log."""
        return f"{self.method} {self.path.partition('?')[0]}"


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, its body already unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __post_init__(self) -> None:
        if not isinstance(self.headers, Headers):
            object.__setattr__(self, "headers", Headers(self.headers))


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """One page of a query: its rows, the request for the next page, the rows promised in all."""

    records: R
    next: Request | None
    total: int


@dataclass(frozen=True, slots=True)
class JsonRows:
    """The records of an answer, not yet read.

    Attributes:
        lines: One record a line, "attributes" included, for a reader of JSON lines; None where the
            answer is not written the usual way. Nobody has checked that it is JSON.
        nulls: How many of the entries were null, which have no line; told with the lines only.
        entries: How many entries there must be; None where nobody said.
        parsed: The entries as Python values, ``attributes`` taken off; raises TruncatedAnswerError.
    """

    lines: bytes | None
    nulls: int
    parsed: Callable[[], list[Record | None]]
    entries: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What Salesforce says of a Bulk job; None where it says nothing."""

    id: str
    state: str
    rows: int | None
    error: str
    object: str
    api_version: str | None


@dataclass(frozen=True, slots=True)
class ResultPages:
    """Requests for result pages of a Bulk job, and the one that names the pages after them."""

    pages: list[Request]
    next: Request | None


# --- requests
# ----------------------------------------------------------------------------------------


def versions() -> Request:
    """List the org's API versions; needs no session. Source: REST API, "Versions"."""
    return Request("GET", "/services/data", kind="versions")


def query(version: str, soql: str, all_rows: bool = False, page_rows: int | None = None) -> Request:
    """Run a query; ``all_rows`` adds deleted, merged and archived rows.

    Source: REST API, "Query", "QueryAll".
    """
    resource = "queryAll" if all_rows else "query"
    # The page size is a wish; Salesforce allows 200 to 2,000. "Query Options Header".
    headers = {"Sforce-Query-Options": f"batchSize={page_rows}"} if page_rows else {}
    path = f"/services/data/v{version}/{resource}?q={quote_plus(soql)}"
    return Request("GET", path, None, headers, "query_all" if all_rows else "query")


def query_more(path: str) -> Request:
    """The next page, by the ``nextRecordsUrl`` of the page before."""
    return Request("GET", path, kind="query_more")


def collections(
    version: str, object_name: str, ids: Sequence[str], fields: Sequence[str]
) -> Request:
    """Retrieve records by id. Source: "Get Multiple Records with sObject Collections" (POST)."""
    body = orjson.dumps({"ids": list(ids), "fields": list(fields)})
    path = f"/services/data/v{version}/composite/sobjects/{object_name}"
    return Request("POST", path, body, _JSON, "collections")


def describe(version: str, object_name: str) -> Request:
    """An object's fields. Source: "sObject Describe"."""
    return Request(
        "GET", f"/services/data/v{version}/sobjects/{object_name}/describe", kind="describe"
    )


def composite(version: str, parts: Sequence[Request]) -> Request:
    """Several requests as one call. Source: "Composite".

    At most 25 (5 of them queries or collections); each is answered for itself, in order.
    """
    subrequests: list[dict[str, Any]] = []
    for n, part in enumerate(parts):
        entry: dict[str, Any] = {"method": part.method, "url": part.path, "referenceId": f"r{n}"}
        if part.body is not None:
            entry["body"] = orjson.loads(part.body)
        subrequests.append(entry)
    body = orjson.dumps({"allOrNone": False, "compositeRequest": subrequests})
    return Request("POST", f"/services/data/v{version}/composite", body, _JSON, "composite")


def limits(version: str) -> Request:
    """The org's allocations and what is left of them. Source: "Limits"."""
    return Request("GET", f"/services/data/v{version}/limits", kind="limits")


def record_count(version: str, objects: Sequence[str]) -> Request:
    """Approximate row counts, from Salesforce's own statistics. Source: "Record Count"."""
    names = ",".join(quote(name, safe="") for name in objects)
    path = f"/services/data/v{version}/limits/recordCount?sObjects={names}"
    return Request("GET", path, kind="record_count")


def bulk_create(version: str, soql: str, all_rows: bool = False) -> Request:
    """Create a query job. Source: Bulk API 2.0, "Create a Query Job"."""
    body = {
        "operation": "queryAll" if all_rows else "query",
        "query": soql,
        "contentType": "CSV",
        "columnDelimiter": "COMMA",
        "lineEnding": "LF",
    }
    path = f"/services/data/v{version}/jobs/query"
    return Request("POST", path, orjson.dumps(body), _JSON, "bulk_create")


def bulk_status(version: str, job_id: str) -> Request:
    """How a job is doing. Source: Bulk API 2.0, "Get Information About a Query Job"."""
    return Request("GET", f"/services/data/v{version}/jobs/query/{job_id}", kind="bulk_poll")


def bulk_results(version: str, job_id: str, locator: str | None, max_records: int) -> Request:
    """One page of results. Source: Bulk API 2.0, "Get Results for a Query Job"."""
    place = f"&locator={quote(locator, safe='')}" if locator else ""
    path = f"/services/data/v{version}/jobs/query/{job_id}/results?maxRecords={max_records}{place}"
    return Request("GET", path, None, {"Accept": "text/csv"}, "bulk_results")


def bulk_result_pages(version: str, job_id: str, max_records: int = 50_000) -> Request:
    """The addresses of up to five result pages, from v58.0. Source: "Get Parallel Results …"."""
    path = f"/services/data/v{version}/jobs/query/{job_id}/resultPages?maxRecords={max_records}"
    return Request("GET", path, kind="bulk_pages")


def refusal(request: Request) -> str | None:
    """Why this request may not leave the process, or None if it only reads."""
    return read_only.refusal(request.method, request.path, request.headers, request.body)


# --- answers
# -----------------------------------------------------------------------------------------


def parsed(response: Response) -> Any:
    """The JSON of a body; a lone surrogate in a text becomes U+FFFD.

    Raises:
        TruncatedAnswerError: empty, HTML, or no JSON. It holds nothing of the body but an HTML
            title.
    """
    try:
        return orjson.loads(response.body)
    except ValueError:
        pass
    if not response.body.strip():
        raise TruncatedAnswerError("the answer is empty", status=response.status)
    try:
        # Slower, but takes lone surrogates (which orjson and UTF-8 don't) so that one bad text in
        # one record doesn't cost the 1,999 others. NaN and Infinity are no JSON: refuse.
        text = response.body.decode("utf-8", "replace")
        return _without_surrogates(json.loads(text, parse_constant=_refuse_constant))
    except (ValueError, RecursionError):
        raise TruncatedAnswerError(
            f"the answer is no JSON{_title(response.body)}", status=response.status
        ) from None


def _refuse_constant(constant: str) -> float:
    raise ValueError(constant)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value


def _title(body: bytes) -> str:
    found = _HTML_TITLE.search(body[:4096])
    return f" but a page titled {found[2].decode('utf-8', 'replace')!r}" if found else ""


def json_object(response: Response) -> dict[str, Any]:
    """The body as one JSON object (describe, limits, a job).

    Raises:
        TruncatedAnswerError: it is something else.
    """
    value = parsed(response)
    if not isinstance(value, dict):
        raise TruncatedAnswerError("the answer is no JSON object", status=response.status)
    return value


def page(response: Response) -> Page[list[Record]]:
    """Read one page of a query. The caller compares the sum of all pages with ``total``.

    Raises:
        TruncatedAnswerError: cut short, or not done without naming a next page.

    Source: REST API Developer Guide, "Query", "Query More Results".
    """
    payload = json_object(response)
    records, done = payload.get("records"), payload.get("done")
    total, address = payload.get("totalSize"), payload.get("nextRecordsUrl")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise TruncatedAnswerError("a query page without a list of records")
    if not isinstance(done, bool) or not isinstance(total, int):
        raise TruncatedAnswerError("a query page that doesn't say how many rows there are")
    if done:
        return Page(_plain_rows(records), None, total)
    if not isinstance(address, str):
        raise TruncatedAnswerError("a query page isn't the last one and names no next page")
    following = query_more(address)
    if refusal(following):
        raise TruncatedAnswerError("a query page names a next page that is no page of a query")
    return Page(_plain_rows(records), following, total)


def raw_page(response: Response) -> Page[JsonRows]:
    """Read what one page of a query says about itself, and leave its records to a faster reader.

    Raises:
        TruncatedAnswerError: as ``page``, of which this is the same but for the records.
    """
    body = response.body
    at = body.find(_RECORDS)
    if at > 0 and body.endswith(b"]}"):
        envelope = body[:at] + _RECORDS + b"]}"
        try:
            # It only parses if the list found is the page's own, and nothing comes after it.
            head = page(Response(response.status, response.headers, envelope))
        except TruncatedAnswerError:
            pass
        else:
            array = body[at + len(_RECORDS) - 1 : -1]
            lines, nulls = json_lines(array) or (None, 0)
            if lines is not None and not nulls:
                whole: Callable[[], Any] = lambda: page(response).records  # noqa: E731
                return Page(JsonRows(lines, 0, whole), head.next, head.total)
    found = page(response)
    return Page(JsonRows(None, 0, lambda: list(found.records)), found.next, found.total)


def raw_collection(response: Response, asked: int) -> JsonRows:
    """The entries of a Collections answer, left to a faster reader; see ``collection``."""
    lines, nulls = json_lines(response.body) or (None, 0)
    return JsonRows(lines, nulls, lambda: collection(response, asked), asked)


def json_lines(array: bytes) -> tuple[bytes, int] | None:
    """A JSON array of records as one record a line, and how many of its entries were null.

    None where it is not written the way Salesforce writes it: without spaces between the records,
    each of which begins with its ``attributes``.
    """
    if array == b"[]":
        return b"", 0
    first, last = _FIRST_RECORD.match(array), _LAST_RECORD.search(array, max(0, len(array) - 2**16))
    if first is None or last is None or b"\n" in array:  # in a text a line break is escaped
        return None
    inner = array[first.end() : last.start() + 1]
    nulls = (first[1] + last[1]).count(b"null")
    if b"},null," not in inner:
        return inner.replace(b'},{"attributes":', b'}\n{"attributes":'), nulls
    nulls += sum(gap.count(b"null") for gap in _NEXT_RECORD.findall(inner))
    return _NEXT_RECORD.sub(b"}\n", inner), nulls


def _plain_rows(records: list[Record]) -> list[Record]:
    try:
        return [_plain(record) for record in records]
    except RecursionError:
        raise TruncatedAnswerError("a record nested deeper than any query can ask for") from None


def _plain(record: Record) -> Record:
    """The record without ``attributes``, nested records and child rows included."""
    record.pop("attributes", None)
    for key, value in record.items():
        if type(value) is dict:
            if isinstance(value.get("records"), list):
                record[key] = [_plain(r) if type(r) is dict else r for r in value["records"]]
            else:
                _plain(value)
    return record


def collection(response: Response, asked: int) -> list[Record | None]:
    """Read a Collections answer: one entry per id asked for, None where Salesforce shows nothing.

    Raises:
        TruncatedAnswerError: fewer or more entries than ids.

    Source: REST API Developer Guide, "Get Multiple Records with sObject Collections".
    """
    entries = parsed(response)
    if not isinstance(entries, list) or not all(e is None or type(e) is dict for e in entries):
        raise TruncatedAnswerError("a Collections answer that is no list of records")
    if len(entries) != asked:
        raise TruncatedAnswerError(f"asked for {asked} records, the answer has {len(entries)}")
    _plain_rows([entry for entry in entries if entry is not None])
    return entries


def composite_results(response: Response, asked: int | None = None) -> list[tuple[int, Any]]:
    """Read a composite answer: (HTTP status, JSON body) per subrequest, in the order of asking.

    Raises:
        TruncatedAnswerError: another shape, or not as many as asked.
    """
    entries = json_object(response).get("compositeResponse")
    if not isinstance(entries, list):
        raise TruncatedAnswerError("a composite answer without its parts")
    found: dict[int, tuple[int, Any]] = {}
    for entry in entries:
        status = entry.get("httpStatusCode") if isinstance(entry, dict) else None
        reference = str(entry.get("referenceId")) if isinstance(entry, dict) else ""
        if not isinstance(status, int) or not re.fullmatch(r"r\d{1,4}", reference, re.ASCII):
            raise TruncatedAnswerError("a composite answer with a part that can't be read")
        found[int(reference[1:])] = (status, entry.get("body"))
    if sorted(found) != list(range(len(entries))) or asked not in (None, len(entries)):
        raise TruncatedAnswerError("a composite answer without some of its parts")
    return [found[n] for n in range(len(entries))]


def part(status: int, body: Any) -> Response:
    """A composite subrequest's answer as if it had come alone, for the readers above."""
    try:
        return Response(status, {}, orjson.dumps(body))
    except TypeError:
        # What the fallback parser let through (numbers beyond 64 bits) orjson can't write.
        return Response(status, {}, json.dumps(body).encode())


def job(response: Response) -> Job:
    """Read what Salesforce says of a Bulk job.

    Source: Bulk API 2.0, "Get Information About a Query Job". ``errorMessage`` isn't documented for
    query jobs; some orgs send it.
    """
    payload = json_object(response)
    id_, state = payload.get("id"), payload.get("state")
    if (
        not isinstance(id_, str)
        or not isinstance(state, str)
        or not (id_.isascii() and id_.isalnum())
    ):
        raise TruncatedAnswerError("a Bulk job without id or state")
    rows = payload.get("numberRecordsProcessed")
    return Job(
        id=id_,
        state=state,
        rows=rows if isinstance(rows, int) else None,
        error=str(payload.get("errorMessage") or ""),
        object=str(payload.get("object") or ""),
        api_version=_version(payload.get("apiVersion")),
    )


def _version(number: Any) -> str | None:
    """Salesforce's 64.0 as ours; what couldn't stand in a path is as good as nothing."""
    plausible = isinstance(number, (int, float)) and 10 <= number < 1_000  # noqa: PLR2004
    return f"{number:.1f}" if plausible else None


def result_pages(response: Response) -> ResultPages:
    """Read the requests for result pages that an answer to ``bulk_result_pages`` names.

    Raises:
        TruncatedAnswerError: another shape, or not the last and without the address of the rest.

    Source: "Get Parallel Results for a Query Job"; the page calls the member both ``resultUrl`` and
    ``resultLink``.
    """
    payload = json_object(response)
    entries, rest = payload.get("resultPages"), payload.get("nextRecordsUrl")
    if not isinstance(entries, list):
        raise TruncatedAnswerError("an answer without result pages")
    addresses = [
        e.get("resultUrl") or e.get("resultLink") if isinstance(e, dict) else None for e in entries
    ]
    pages = [
        Request(
            "GET", a if isinstance(a, str) else "", None, {"Accept": "text/csv"}, "bulk_results"
        )
        for a in addresses
    ]
    following = None
    if payload.get("done") is not True:
        following = Request("GET", rest if isinstance(rest, str) else "", kind="bulk_pages")
    if any(refusal(request) for request in [*pages, *([following] if following else [])]):
        raise TruncatedAnswerError("a result page whose address is none")
    return ResultPages(pages, following)


def usage(response: Response) -> tuple[int, int] | None:
    """(calls used, calls allowed) in the org's last 24 hours. Source: "Limit Info Header"."""
    found = _USAGE.search(response.headers.get("Sforce-Limit-Info", ""))
    return (int(found[1]), int(found[2])) if found else None


def error_codes(response: Response) -> list[str]:
    """The ``errorCode`` of each error in the body; none if it isn't Salesforce's list of errors."""
    return [code for code, _, _ in _errors_in(response)]


def _errors_in(response: Response) -> list[tuple[str, str, tuple[str, ...]]]:
    try:
        payload = parsed(response)
    except SalesforceError:
        return []
    found = []
    for entry in payload if isinstance(payload, list) else [payload]:
        if not isinstance(entry, dict):
            continue
        # REST says errorCode/message; Bulk v1 exceptionCode/exceptionMessage; OAuth
        # error/error_description.
        code = entry.get("errorCode") or entry.get("exceptionCode") or entry.get("error")
        text = entry.get("message") or entry.get("exceptionMessage")
        blamed = entry.get("fields")
        if isinstance(code, str):
            names = tuple(str(n) for n in blamed) if isinstance(blamed, list) else ()
            found.append((code, str(text or entry.get("error_description") or ""), names))
    return found


def error_from(response: Response, call: str, kind: str = "other") -> SalesforceError:
    """The error that an answer stands for; chosen by Salesforce's code, else by the HTTP status.

    Source: REST API Developer Guide, "Status Codes and Error Responses".
    """
    found = _errors_in(response)
    if not found:
        what = f"HTTP {response.status}{_title(response.body)}"
        return _by_status(response.status)(what, call=call, status=response.status)
    code, text, fields = found[0]
    chosen = errors.BY_CODE.get(code.upper()) or _by_status(response.status)
    remedy = ""
    if is_concurrency(response):
        # Same code as the spent day, another remedy: seconds, not hours.
        chosen = errors.UnavailableError
        remedy = "Other programs keep the org busy with long calls; try again in some minutes."
    elif kind == "bulk_create" and code == "API_ERROR":
        chosen = errors.UnsupportedObjectError
    elif code == "INVALID_FIELD":
        remedy = "The field is gone or hidden from this user; read describe again."
    elif code == "INVALID_TYPE" and "TaskWhoRelation" in text:
        remedy = "Ask an admin whether Shared Activities are enabled and the user may see tasks."
    return chosen(
        f"{_reason(text)} (HTTP {response.status})",
        remedy=remedy,
        call=call,
        error_code=code,
        status=response.status,
        fields=fields,
    )


def is_concurrency(response: Response) -> bool:
    """Whether too many long calls were running, as opposed to the day's calls being spent.

    Only the text tells: both are 403 REQUEST_LIMIT_EXCEEDED. Source: "API Request Limits and
    Allocations".
    """
    return any(
        code == "REQUEST_LIMIT_EXCEEDED" and "concurrent" in text.lower()
        for code, text, _ in _errors_in(response)
    )


def _reason(text: str) -> str:
    """Salesforce's words without the piece of the query that it echoes, which holds literals."""
    echo = re.search(r"ERROR at Row:-?\d+:Column:-?\d+\s*", text)
    return (text[echo.end() :] if echo else text) or "no reason given"


def _by_status(status: int) -> type[SalesforceError]:
    by_status: dict[int, type[SalesforceError]] = {
        401: errors.AuthenticationError,
        403: errors.PermissionDeniedError,
        404: errors.NotFoundError,
        409: errors.BulkJobError,
        410: errors.ConfigurationError,
        413: errors.TooLargeError,
        414: errors.TooLargeError,
        431: errors.TooLargeError,
        # 420: the edge has no routing information; 429: not documented, some edges send it.
        408: errors.UnavailableError,
        420: errors.UnavailableError,
        429: errors.UnavailableError,
    }
    if status in by_status:
        return by_status[status]
    by_hundreds = {3: errors.ConfigurationError, 4: errors.QueryError}
    return by_hundreds.get(status // 100, errors.UnavailableError)
