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
    if all_rows:
        return _get(version, f"queryAll?q={quote_plus(soql)}", "query_all")
    return _get(version, f"query?q={quote_plus(soql)}", "query")


def query_more(path: str) -> Request:
    """Read the next page, by the ``nextRecordsUrl`` of the page before."""
    return Request("GET", path, kind="query_more")


def collections(
    version: str, object_name: str, ids: Sequence[str], fields: Sequence[str]
) -> Request:
    """Retrieve records by id. Source: "Get Multiple Records with sObject Collections" (POST)."""
    body = {"ids": list(ids), "fields": list(fields)}
    return _post(version, f"composite/sobjects/{object_name}", body, "collections")


def describe(version: str, object_name: str) -> Request:
    """Describe an object's fields. Source: "sObject Describe"."""
    return _get(version, f"sobjects/{object_name}/describe", "describe")


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
    body = {"allOrNone": False, "compositeRequest": subrequests}
    return _post(version, "composite", body, "composite")


def limits(version: str) -> Request:
    """Read the org's allocations and what is left of them. Source: "Limits"."""
    return _get(version, "limits", "limits")


def record_count(version: str, objects: Sequence[str]) -> Request:
    """Read approximate row counts, from Salesforce's own statistics. Source: "Record Count"."""
    names = ",".join(quote(name, safe="") for name in objects)
    return _get(version, f"limits/recordCount?sObjects={names}", "record_count")


def bulk_create(version: str, soql: str) -> Request:
    """Create a query job. Source: Bulk API 2.0, "Create a Query Job"."""
    body = {
        "operation": "query",
        "query": soql,
        "contentType": "CSV",
        "columnDelimiter": "COMMA",
        "lineEnding": "LF",
    }
    return _post(version, "jobs/query", body, "bulk_create")


def bulk_status(version: str, job_id: str) -> Request:
    """Read how a job is doing. Source: Bulk API 2.0, "Get Information About a Query Job"."""
    return _get(version, f"jobs/query/{job_id}", "bulk_poll")


def bulk_results(version: str, job_id: str, locator: str | None, max_records: int) -> Request:
    """Read one page of results. Source: Bulk API 2.0, "Get Results for a Query Job"."""
    place = f"&locator={quote(locator, safe='')}" if locator else ""
    path = f"/services/data/v{version}/jobs/query/{job_id}/results?maxRecords={max_records}{place}"
    return Request("GET", path, None, {"Accept": "text/csv"}, "bulk_results")


def bulk_result_pages(version: str, job_id: str, max_records: int) -> Request:
    """Read the addresses of up to five pages, from v58.0. Source: "Get Parallel Results …"."""
    return _get(version, f"jobs/query/{job_id}/resultPages?maxRecords={max_records}", "bulk_pages")


def _get(version: str, resource: str, kind: str) -> Request:
    return Request("GET", f"/services/data/v{version}/{resource}", kind=kind)


def _post(version: str, resource: str, body: dict[str, Any], kind: str) -> Request:
    path, headers = f"/services/data/v{version}/{resource}", {"Content-Type": "application/json"}
    return Request("POST", path, orjson.dumps(body), headers, kind)
