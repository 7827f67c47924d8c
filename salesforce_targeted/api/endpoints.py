"""Build requests: one function for each that is ever sent to an org.

Rules:
1. Every request is built here or named by a response (the next page), and no builder writes.
2. Each names the page of Salesforce's documentation that it follows.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, quote_plus

import orjson

from salesforce_targeted.api.models import Request

_JSON = {"Content-Type": "application/json"}


def versions() -> Request:
    """List the org's API versions; needs no session. Source: REST API, "Versions"."""
    return Request("GET", "/services/data", kind="versions")


def user_info() -> Request:
    """Ask for the session's user. Source: Salesforce Help, "UserInfo endpoint"."""
    return Request("GET", "/services/oauth2/userinfo", kind="userinfo")


def query(version: str, soql: str, all_rows: bool = False) -> Request:
    """Run a query; ``all_rows`` adds deleted, merged and archived rows.

    Source: REST API, "Query", "QueryAll".
    """
    resource = "queryAll" if all_rows else "query"
    path = f"/services/data/v{version}/{resource}?q={quote_plus(soql)}"
    return Request("GET", path, kind="query_all" if all_rows else "query")


def query_more(path: str) -> Request:
    """Read the next page, by the ``nextRecordsUrl`` of the page before."""
    return Request("GET", path, kind="query_more")


def collections(
    version: str, object_name: str, ids: Sequence[str], fields: Sequence[str]
) -> Request:
    """Retrieve records by id. Source: "Get Multiple Records with sObject Collections" (POST)."""
    body = orjson.dumps({"ids": list(ids), "fields": list(fields)})
    path = f"/services/data/v{version}/composite/sobjects/{object_name}"
    return Request("POST", path, body, _JSON, "collections")


def describe(version: str, object_name: str) -> Request:
    """Describe an object's fields. Source: "sObject Describe"."""
    return Request(
        "GET", f"/services/data/v{version}/sobjects/{object_name}/describe", kind="describe"
    )


def composite(version: str, parts: Sequence[Request]) -> Request:
    """Send several requests as one call. Source: "Composite".

    At most 25 (5 of them queries or collections); each has a response of its own, in order.
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
    """Read the org's allocations and what is left of them. Source: "Limits"."""
    return Request("GET", f"/services/data/v{version}/limits", kind="limits")


def record_count(version: str, objects: Sequence[str]) -> Request:
    """Read approximate row counts, from Salesforce's own statistics. Source: "Record Count"."""
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
    """Read how a job is doing. Source: Bulk API 2.0, "Get Information About a Query Job"."""
    return Request("GET", f"/services/data/v{version}/jobs/query/{job_id}", kind="bulk_poll")


def bulk_results(version: str, job_id: str, locator: str | None, max_records: int) -> Request:
    """Read one page of results. Source: Bulk API 2.0, "Get Results for a Query Job"."""
    place = f"&locator={quote(locator, safe='')}" if locator else ""
    path = f"/services/data/v{version}/jobs/query/{job_id}/results?maxRecords={max_records}{place}"
    return Request("GET", path, None, {"Accept": "text/csv"}, "bulk_results")


def bulk_result_pages(version: str, job_id: str, max_records: int = 50_000) -> Request:
    """Read the addresses of up to five pages, from v58.0. Source: "Get Parallel Results …"."""
    path = f"/services/data/v{version}/jobs/query/{job_id}/resultPages?maxRecords={max_records}"
    return Request("GET", path, kind="bulk_pages")
