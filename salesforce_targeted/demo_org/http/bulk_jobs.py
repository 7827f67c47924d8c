"""Bulk API 2.0 query jobs: create, poll, read results page by page, abort, delete.

Rules:
- A job sees the org as it was when the job was created, however late its results are read.
- Results are written as they are sent: a page of 600,000 rows is never in memory.

Source: Bulk API 2.0 Developer Guide, "Query Jobs".
"""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from salesforce_targeted.demo_org.http.exchange import Reply, Request, reply
from salesforce_targeted.demo_org.http.records import CsvWriter
from salesforce_targeted.demo_org.http.templates import csv_lines
from salesforce_targeted.demo_org.ids import Numbering
from salesforce_targeted.demo_org.refusals import (
    Refused,
    bulk_jobs_spent,
    malformed,
    no_bulk,
    not_found,
)
from salesforce_targeted.demo_org.schema.fields import COMPOUND_TYPES
from salesforce_targeted.demo_org.soql import parser
from salesforce_targeted.demo_org.soql.conditions import resolve
from salesforce_targeted.demo_org.soql.evaluation import QueryResult, Selection, run
from salesforce_targeted.demo_org.storage.state import OBJECTS_WITHOUT_BULK, OrgState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DELIMITERS = {"COMMA": ",", "BACKQUOTE": "`", "CARET": "^", "PIPE": "|", "SEMICOLON": ";",
              "TAB": "\t"}  # fmt: skip
LINE_ENDS = {"LF": "\n", "CRLF": "\r\n"}
MOST_JOBS = 10_000  # a day
FIRST_VERSION = 47
FIRST_WITH_PAGES = 58
PAGES_PER_CALL = 5
LINES_PER_PIECE = 500
_JOBS = Numbering("750")


@dataclass
class Job:
    """One query job."""

    id: str
    operation: str
    version: str
    created: str
    selection: Selection
    header: list[str]
    delimiter: str
    line_end: str
    seconds: float
    started: float = field(default_factory=time.monotonic)
    forced: str | None = None  # the state that a fault or an abort left it in
    message: str | None = None

    @property
    def state(self) -> str:
        """Return the job's state."""
        if self.forced is not None:
            return self.forced
        elapsed = time.monotonic() - self.started
        if elapsed >= self.seconds:
            return "JobComplete"
        return "UploadComplete" if elapsed < self.seconds / 5 else "InProgress"

    def described(self, org: OrgState) -> dict[str, Any]:
        """Return what the create call responds."""
        return {
            "id": self.id, "operation": self.operation, "object": self.selection.table.name,
            "createdById": org.tables["User"].numbering.id_of(0), "createdDate": self.created,
            "systemModstamp": self.created, "state": "UploadComplete",
            "concurrencyMode": "Parallel", "contentType": "CSV", "apiVersion": float(self.version),
            "lineEnding": "LF" if self.line_end == "\n" else "CRLF",
            "columnDelimiter": next(k for k, v in DELIMITERS.items() if v == self.delimiter),
        }  # fmt: skip

    def status(self, org: OrgState) -> dict[str, Any]:
        """Return what a poll responds."""
        state = self.state
        done = len(self.selection.ordinals) if state == "JobComplete" else 0
        more = {"state": state, "jobType": "V2Query", "numberRecordsProcessed": done, "retries": 0,
                "totalProcessingTime": int(self.seconds * 1000),
                "isPkChunkingSupported": True}  # fmt: skip
        if self.message is not None:
            more["errorMessage"] = self.message
        return self.described(org) | more


def route(org: OrgState, request: Request, version: str, parts: list[str]) -> Reply:
    """Respond to a request below ``jobs/query``.

    Raises:
        Refused: 404 for a job that is not there, 405 for a method that has no meaning here.
    """
    if float(version) < FIRST_VERSION:
        raise not_found()
    method = request.params.get("_HttpMethod", request.method).upper()
    if not parts:
        if method == "POST":
            return _create(org, request, version)
        if method == "GET":
            records = [job.status(org) for job in org.jobs.values()]
            return reply({"done": True, "records": records, "nextRecordsUrl": None})
        raise _method(method, "GET,POST")
    job: Job | None = org.jobs.get(parts[0])
    if job is None:
        raise not_found()
    if len(parts) == 1:
        return _job(org, request, job, method)
    if method != "GET":
        raise _method(method, "GET")
    if parts[1:] == ["results"]:
        return _results(org, request, version, job)
    spellings = ["resultPages"] + ["resultpages"] * org.traits.lower_case_pages
    if len(parts) == 2 and parts[1] in spellings and float(version) >= FIRST_WITH_PAGES:
        return _pages(org, request, version, job)
    raise not_found()


def _method(method: str, allowed: str) -> Refused:
    message = f"HTTP Method '{method}' not allowed. Allowed are {allowed}"
    return Refused(405, "METHOD_NOT_ALLOWED", message)


# -------------------------------------------------------------------- create
def _create(org: OrgState, request: Request, version: str) -> Reply:
    try:
        body = orjson.loads(request.body)
        operation, text = body["operation"], body["query"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise Refused(400, "INVALIDJOB", "operation and query are required") from None
    if operation not in ("query", "queryAll"):
        raise Refused(400, "INVALIDJOB", f"Unsupported operation: {operation}")
    if body.get("contentType", "CSV") != "CSV":
        raise Refused(400, "INVALIDJOB", "Only CSV is supported as contentType")
    delimiter = DELIMITERS.get(body.get("columnDelimiter", "COMMA"))
    line_end = LINE_ENDS.get(body.get("lineEnding", "LF"))
    if delimiter is None or line_end is None:
        raise Refused(400, "INVALIDJOB", "Unknown columnDelimiter or lineEnding")
    if org.traits.bulk_jobs_used + org.jobs_made >= MOST_JOBS:
        raise bulk_jobs_spent(org.traits.bulk_jobs_used + org.jobs_made)
    query = parser.parse(text)
    _allowed(org, query)
    result: QueryResult = run(org, query, all_rows=operation == "queryAll")
    assert result.selection is not None
    match = result.selection
    selection = Selection(match.table.frozen(), match.paths, match.ordinals)
    seconds = org.bulk_seconds
    if org.latency is not None:
        seconds += org.latency.job_seconds(len(match.ordinals))
    org.jobs_made += 1
    job = Job(_JOBS.id_of(org.jobs_made), operation, version, org.now_text, selection,
              [str(name) for name in query.select], delimiter, line_end, seconds)  # fmt: skip
    try:
        org.poisons.check(match.table.name, (path.names[0] for path in match.paths), match.ordinals)
    except Refused as refused:
        job.forced, job.message = "Failed", f"{refused.code}: {refused.message}"
    org.jobs[job.id] = job
    return reply(job.described(org))


def _allowed(org: OrgState, query: parser.Query) -> None:
    table = org.object(query.entity)
    if table is not None and table.name in OBJECTS_WITHOUT_BULK | org.traits.without_bulk:
        raise no_bulk(table.name)
    if query.group_by or query.aggregates:
        message = "Aggregate Relationships not supported in Bulk Query"
        raise Refused(400, "API_ERROR", message)
    if query.offset:
        raise Refused(400, "API_ERROR", "OFFSET is not supported in Bulk Query")
    compound = query.fields_group is not None
    for name in query.select if table is not None else ():
        path = resolve(org, table, str(name)) if table is not None else None
        compound = compound or (path is not None and path.entry["type"] in COMPOUND_TYPES)
    if compound:
        message = "Selecting compound data not supported in Bulk Query"
        raise Refused(400, "API_ERROR", message)


def _job(org: OrgState, request: Request, job: Job, method: str) -> Reply:
    if method == "GET":
        return reply(job.status(org))
    if method == "PATCH":
        try:
            state = orjson.loads(request.body).get("state")
        except (orjson.JSONDecodeError, AttributeError):
            state = None
        if state != "Aborted":
            raise Refused(400, "INVALIDJOBSTATE", "Only Aborted can be set")
        if job.state in ("JobComplete", "Failed"):
            raise Refused(400, "INVALIDJOBSTATE", f"Aborting a job in state {job.state}")
        job.forced = "Aborted"
        return reply(job.status(org))
    if method == "DELETE":
        if job.state not in ("JobComplete", "Failed", "Aborted"):
            raise Refused(400, "INVALIDJOBSTATE", f"Deleting a job in state {job.state}")
        del org.jobs[job.id]
        return Reply(204)
    raise _method(method, "GET,PATCH,DELETE")


# -------------------------------------------------------------------- results
def _locator(offset: int) -> str:
    return base64.urlsafe_b64encode(str(offset).encode()).decode().rstrip("=")


def _offset(locator: str | None) -> int:
    if not locator:
        return 0
    try:
        padded = locator + "=" * (-len(locator) % 4)
        return int(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError):
        raise Refused(400, "INVALIDLOCATOR", f"invalid locator: {locator}") from None


def _page_rows(org: OrgState, request: Request) -> int:
    text = request.params.get("maxRecords")
    if text is None:
        return org.bulk_page_rows
    if not text.isdigit() or int(text) < 1:
        raise malformed(f"invalid maxRecords: {text}")
    return min(int(text), org.bulk_page_rows)


def _readable(version: str, job: Job) -> None:
    if version != job.version:
        message = f"The API version must be the one the job was created with: {job.version}"
        raise Refused(409, "VERSION_MISMATCH", message)
    if job.state != "JobComplete":
        raise Refused(400, "INVALIDJOBSTATE", f"The job is in state {job.state}")


def _results(org: OrgState, request: Request, version: str, job: Job) -> Reply:
    _readable(version, job)
    offset, size = _offset(request.params.get("locator")), _page_rows(org, request)
    ordinals = job.selection.ordinals[offset : offset + size]
    end = offset + len(ordinals)
    following = _locator(end) if end < len(job.selection.ordinals) else "null"
    headers = {"Sforce-Locator": following, "Sforce-NumberOfRecords": str(len(ordinals))}
    return Reply(200, _csv(job, ordinals), "text/csv", headers, rows=len(ordinals),
                 columns=len(job.header))  # fmt: skip


def _csv(job: Job, ordinals: Sequence[int]) -> Iterator[bytes]:
    head = job.delimiter.join(f'"{name}"' for name in job.header) + job.line_end
    yield head.encode()
    writer = CsvWriter(job.selection.table, job.selection.paths, job.delimiter, job.line_end)
    for at in range(0, len(ordinals), LINES_PER_PIECE):
        lines = csv_lines(writer, ordinals[at : at + LINES_PER_PIECE])
        yield "".join(lines).encode("utf-8", "replace")


def _pages(org: OrgState, request: Request, version: str, job: Job) -> Reply:
    _readable(version, job)
    size, total = _page_rows(org, request), len(job.selection.ordinals)
    starts = range(_offset(request.params.get("locator")), max(total, 1), size)
    base = f"/services/data/v{version}/jobs/query/{job.id}"
    pages = [{"resultUrl": f"{base}/results?locator={_locator(at)}&maxRecords={size}"}
             for at in starts[:PAGES_PER_CALL]]  # fmt: skip
    body: dict[str, Any] = {"resultPages": pages, "done": len(starts) <= PAGES_PER_CALL}
    if not body["done"]:
        following = _locator(starts[PAGES_PER_CALL])
        word = "resultpages" if org.traits.lower_case_pages else "resultPages"
        body["nextRecordsUrl"] = f"{base}/{word}?locator={following}&maxRecords={size}"
    return reply(body)
