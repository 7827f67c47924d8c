"""Read Bulk API 2.0: how a job is doing, where its results are, a page of them.

Rule: as in readers.py, every reader raises our errors only, whatever the bytes are.
"""

from collections.abc import Callable
from typing import TypeVar

from salesforce_targeted.api.models import CsvPage, Job, Request, Response, ResultPages
from salesforce_targeted.api.read_only import refusal

from .errors import TruncatedResponseError
from .readers import json_object

T = TypeVar("T")


def job(response: Response) -> Job:
    """Read what Salesforce says of a Bulk job.

    Source: Bulk API 2.0, "Get Information About a Query Job". ``errorMessage`` isn't documented for
    query jobs; some orgs send it.
    """
    payload = json_object(response)
    match payload:
        case {"id": str(id_), "state": str(state)} if id_.isascii() and id_.isalnum():
            rows = payload.get("numberRecordsProcessed")
            return Job(
                id=id_,
                state=state,
                rows=rows if isinstance(rows, int) else None,
                error=str(payload.get("errorMessage") or ""),
                object=str(payload.get("object") or ""),
            )
    raise TruncatedResponseError("a Bulk job without id or state")


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
    # What is no text is no address either, as the allow-list finds.
    pages = [
        Request("GET", str(a), None, {"Accept": "text/csv"}, "bulk_results") for a in addresses
    ]
    following = None
    if payload.get("done") is not True:
        following = Request("GET", str(rest), kind="bulk_pages")
    named = [*pages, following] if following else pages
    return None if any(refusal(request) for request in named) else ResultPages(pages, following)


def csv_page(response: Response, read: Callable[[bytes], tuple[int, T]]) -> CsvPage[T]:
    """Read one page of results.

    Args:
        read: Returns how many records a page of CSV holds, and what is made of them. The page is
            UTF-8, a header line first, LF line ends, every value quoted; an empty value is null.

    Raises:
        TruncatedResponseError: a web page, one that ends inside a value, or not as many records as
            announced.

    Source: Bulk API 2.0, "Get Results for a Query Job".
    """
    body = response.body
    if "html" in response.header("Content-Type").lower():
        raise TruncatedResponseError("a Bulk result that is a web page", status=response.status)
    if body.count(b'"') % 2:  # a quote inside a value is doubled
        raise TruncatedResponseError("a Bulk result ends inside a record", status=response.status)
    # Without records the header line is all there is, in some orgs not even that.
    rows, records = read(body) if body.find(b"\n", 0, -1) > 0 else (0, None)
    announced = response.header("Sforce-NumberOfRecords").strip()
    if announced.isdecimal() and int(announced[:18]) != rows:
        raise TruncatedResponseError(
            f"a Bulk result announced {announced} records and holds {rows}", status=response.status
        )
    locator = response.header("Sforce-Locator").strip()
    # The end is the literal text "null"; a missing or empty header is no "more" either.
    following = None if locator in ("", "null") else locator
    return CsvPage(rows, records if rows else None, following)
