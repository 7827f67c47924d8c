"""Read Bulk API 2.0: how a job is doing, where its results are, a page of them.

Rule: as in readers.py, every reader raises our errors only, whatever the bytes are.
"""

import re

from salesforce_targeted.api.models import CsvPage, Job, Request, Response, ResultPages, refusal

from .errors import TruncatedResponseError
from .readers import json_object


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
        raise TruncatedResponseError("a Bulk job without id or state")
    rows = payload.get("numberRecordsProcessed")
    return Job(
        id=id_,
        state=state,
        rows=rows if isinstance(rows, int) else None,
        error=str(payload.get("errorMessage") or ""),
        object=str(payload.get("object") or ""),
    )


def result_pages(response: Response) -> ResultPages | None:
    """Read the requests for result pages that a response to ``bulk_result_pages`` names.

    None where it names none that can be understood: no list, an address that is no result page of
    this org, or not the last and without the address of the rest.

    Source: "Get Parallel Results for a Query Job"; the page calls the member both ``resultUrl`` and
    ``resultLink``, and writes the resource as ``resultPages`` and ``resultpages``.
    """
    payload = json_object(response)
    entries, rest = payload.get("resultPages"), payload.get("nextRecordsUrl")
    if not isinstance(entries, list):
        return None
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
    named = [*pages, following] if following else pages
    return None if any(refusal(request) for request in named) else ResultPages(pages, following)


def csv_page(response: Response) -> tuple[CsvPage, str | None]:
    """Read one page of results and the locator of the next; None for the locator after the last.

    Raises:
        TruncatedResponseError: a web page, or not as many records as announced.

    Source: Bulk API 2.0, "Get Results for a Query Job".
    """
    if "html" in response.headers.get("Content-Type", "").lower():
        raise TruncatedResponseError("a Bulk result that is a web page", status=response.status)
    rows = count_rows(response.body)
    announced = response.headers.get("Sforce-NumberOfRecords", "").strip()
    if announced.isdecimal() and int(announced[:18]) != rows:
        raise TruncatedResponseError(
            f"a Bulk result announced {announced} records and holds {rows}"
        )
    locator = response.headers.get("Sforce-Locator", "").strip()
    # The end is the literal text "null"; a missing or empty header is no "more" either.
    return CsvPage(response.body, rows), None if locator in ("", "null") else locator


def count_rows(body: bytes) -> int:
    """Count the records that a CSV page holds, its header line not counted.

    A line ends a record where the quotes so far are even in number: values hold line breaks, and a
    quote inside a value is doubled.

    Raises:
        TruncatedResponseError: it ends inside a record.
    """
    lines = body.split(b"\n")
    # After the last line break there is nothing, unless the last line has none.
    if lines[-1] == b"":
        lines.pop()
    records, inside, begun, last = 0, False, 0, 0
    for number, line in enumerate(lines):
        if line.count(b'"') & 1:
            inside = not inside
        if not inside:
            records += 1
            last, begun = begun, number + 1
    # The last record may end between two values and still count: it must be as wide as the header.
    if inside or (records and _commas(lines[last:]) != _commas(lines[:1])):
        raise TruncatedResponseError("a Bulk result ends inside a record")
    return max(0, records - 1)


def _commas(record: list[bytes]) -> int:
    """Count the commas that separate the values of one record."""
    return re.sub(rb'"[^"]*"', b"", b"\n".join(record)).count(b",")
