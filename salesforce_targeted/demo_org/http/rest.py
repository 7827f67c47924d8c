"""Lead a request through the org: edge, version, session, quota, resource.

Rules:
- Whatever arrives at a billed path is billed once, also when it is then refused [K].
- A request that would write is refused and kept in ``org.writes_attempted``; one for a path that
  the org does not know is refused with 404 and kept in ``org.unexpected``.

Source: REST API Developer Guide, "REST Resources", "Status Codes and Error Responses".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import format_datetime

from salesforce_targeted.demo_org.faults.faults import JOB_ENDS, Fault
from salesforce_targeted.demo_org.http import bulk_jobs, composite, describes, queries, sign_in
from salesforce_targeted.demo_org.http.exchange import Reply, Request, html, refusal, reply
from salesforce_targeted.demo_org.http.fault_responses import altered, instead
from salesforce_targeted.demo_org.refusals import Refused, not_found
from salesforce_targeted.demo_org.storage.state import NOT_BILLED, OrgState

MAX_URI = 16_384
_DATA = re.compile(r"/services/data/v(\d+)\.0(?:/(.*))?\Z", re.DOTALL)
_KINDS = (
    (r"query/.+", "query_more"), (r"queryAll/.+", "query_more"), (r"query/?", "query"),
    (r"queryAll/?", "query_all"), (r"composite/sobjects/[^/]+", "collections"),
    (r"sobjects/[^/]+/describe/?", "describe"), (r"composite/batch/?", "composite_batch"),
    (r"composite/?", "composite"), (r"limits(/.*)?", "limits"),
    (r"jobs/query/[^/]+/result[Pp]ages", "bulk_pages"),
    (r"jobs/query/[^/]+/results", "bulk_results"), (r"jobs/query/[^/]+", "bulk_poll"),
    (r"jobs/query/?", "bulk_create"), (r"sobjects(/.*)?", "sobjects"),
)  # fmt: skip

# What is not GET and yet writes no data: reads with a body, and the life of a query job.
_ALLOWED = {
    "collections": ("POST",), "composite": ("POST",), "composite_batch": ("POST",),
    "bulk_create": ("POST",), "bulk_poll": ("PATCH", "DELETE"),
}  # fmt: skip


def kind_of(request: Request) -> str:
    """Return the kind of a call, by its path."""
    path = request.path
    if path.rstrip("/") == "/services/data":
        return "versions"
    if path.startswith("/services/oauth2/"):
        return "userinfo" if path.endswith("/userinfo") else "token"
    if path.startswith("/services/Soap/"):
        return "soap"
    data = _DATA.match(path)
    return kind_of_path(data[2] or "") if data else "other"


def kind_of_path(path: str) -> str:
    """Return the kind of a call, by what follows ``/services/data/vXX.X/`` in its path."""
    for pattern, kind in _KINDS:
        if re.fullmatch(pattern, path):
            return kind
    return "other"


def respond(org: OrgState, request: Request) -> Reply:
    """Return the org's response; a refusal is one too."""
    with org.lock:
        org.arrived.append((request.method, request.target))
        kind = kind_of(request)
        org.begin_call(kind)
        response = _edge(request) or _org_response(org, request, kind)
        # Source: RFC 9110, "Date".
        response.headers["Date"] = format_datetime(org.now, usegmt=True)
        return response


def _edge(request: Request) -> Reply | None:
    """Return what the edge refuses by itself, unbilled."""
    if len(request.target) > MAX_URI:
        return html(414, "<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>")
    if sum(len(k) + len(v) for k, v in request.headers.items()) + len(request.target) > MAX_URI:
        return html(431, "<h1>Bad Message 431</h1><pre>reason: Request Header Fields Too "
                         "Large</pre>")  # fmt: skip
    return None


def _org_response(org: OrgState, request: Request, kind: str) -> Reply:
    fault = org.faults.next_for(kind, request.path, billed=kind not in NOT_BILLED)
    response = _struck(org, request, kind, fault) if fault else None
    response = response or _response(org, request, kind)
    if response.rows * response.columns > (org.traits.most_cells or math.inf):
        response = instead(Fault(kind, "gateway_timeout_504")) or response
    if fault is not None:
        response = altered(response, fault)
        response.fault = fault
    response.kind = kind
    if kind not in NOT_BILLED and not response.content_type.startswith("text/html"):
        response.headers["Sforce-Limit-Info"] = f"api-usage={org.daily_used}/{org.daily_limit}"
    return response


def _response(org: OrgState, request: Request, kind: str) -> Reply:
    try:
        return _outside(org, request, kind) or _inside(org, request, kind)
    except Refused as error:
        response = refusal(error)
        if error.status == 401:
            response.headers["WWW-Authenticate"] = "Token"
        return response


def _struck(org: OrgState, request: Request, kind: str, fault: Fault) -> Reply | None:
    """Return the response that the fault sends instead of the org's, if it sends one."""
    if fault.action in JOB_ENDS:
        job = org.jobs.get(request.path.rstrip("/").rsplit("/", 1)[-1])
        if job is not None:
            job.forced = JOB_ENDS[fault.action]
            if fault.action == "bulk_failed":
                job.message = "InternalServerError : Retried more than 15 times"
        return None
    if fault.action == "expire_session":
        org.expire_sessions()
    response = instead(fault)
    if response is not None:
        org.bill(kind)
    return response


def _outside(org: OrgState, request: Request, kind: str) -> Reply | None:
    """Respond to what needs no session; None for all else."""
    if kind == "versions":
        return describes.versions(org)
    if kind == "token":
        return sign_in.token(org, request)
    if kind == "soap":
        return sign_in.soap(org, request)
    return None


def _inside(org: OrgState, request: Request, kind: str) -> Reply:
    data = _DATA.match(request.path)
    if kind != "userinfo":
        _note_write(org, request, data[2] if data else None)
    if kind != "userinfo" and data is None:
        org.unexpected.append(f"{request.method} {request.path}")
        raise not_found()
    sign_in.check_session(org, request)
    if kind == "userinfo":
        return sign_in.userinfo(org)
    if not org.traits.api_enabled:
        raise Refused(
            403, "API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization."
        )
    assert data is not None
    if not org.bill(kind, composite.calls_in(request) if kind == "composite_batch" else 1):
        raise Refused(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    number = int(data[1])
    if describes.FIRST_EVER <= number < describes.FIRST_VERSION:
        raise Refused(410, "GONE", "The requested API version has been retired")
    if not describes.FIRST_VERSION <= number <= org.traits.newest_version:
        raise not_found()
    with _fields_of_version(org, number):
        return resource(org, request, f"{number}.0", (data[2] or "").rstrip("/"))


@contextmanager
def _fields_of_version(org: OrgState, number: int) -> Iterator[None]:
    """Take out of sight what only newer versions show, for one request under the org's lock."""
    newer = [name for name, since in org.traits.fields_since.items() if number < since]
    taken = [(org.tables[name].unseen, field) for name, field in newer
             if field not in org.tables[name].unseen]  # fmt: skip
    for unseen, field in taken:
        unseen.add(field)
    try:
        yield
    finally:
        for unseen, field in taken:
            unseen.discard(field)


def resource(org: OrgState, request: Request, version: str, path: str) -> Reply:
    """Respond to a request below ``/services/data/vXX.X/``.

    Raises:
        Refused: for all that Salesforce refuses.
    """
    method = _method(request)
    parts = path.split("/") if path else []
    head = parts[0] if parts else ""
    if parts[:2] == ["jobs", "query"]:
        return bulk_jobs.route(org, request, version, parts[2:])
    if parts[:2] == ["composite", "sobjects"] and len(parts) == 3 and method in ("GET", "POST"):
        return queries.collections(org, request, version, parts[2])
    if parts == ["composite"] and method == "POST":
        return composite.composite(org, request, _inner)
    if parts == ["composite", "batch"] and method == "POST":
        return composite.batch(org, request, _inner)
    if method not in ("GET", "HEAD"):
        raise _write_refused(method, parts)
    if head in ("query", "queryAll"):
        if len(parts) == 2:
            return queries.query_more(org, request, parts[1])
        if len(parts) == 1:
            return queries.query(org, request, version, all_rows=head == "queryAll")
    if head == "sobjects" and len(parts) <= 3:
        return _sobjects(org, request, version, parts[1:])
    if parts == ["limits"]:
        return describes.limits(org)
    if parts == ["limits", "recordCount"]:
        return describes.record_count(org, request)
    if not parts:
        return describes.resources(version)
    if parts == ["composite"]:
        return reply({name: f"/services/data/v{version}/composite/{name}"
                      for name in ("batch", "sobjects")})  # fmt: skip
    org.unexpected.append(f"{request.method} {request.path}")
    raise not_found()


def _sobjects(org: OrgState, request: Request, version: str, parts: list[str]) -> Reply:
    if not parts:
        return describes.global_describe(org, version)
    if len(parts) == 1:
        return describes.basic(org, version, parts[0])
    if parts[1] == "describe":
        return describes.describe(org, request, version, parts[0])
    return queries.retrieve(org, request, version, parts[0], parts[1])


def _inner(org: OrgState, request: Request, version: str, path: str) -> Reply:
    """Respond to a subrequest of composite."""
    _note_write(org, request, path)
    return resource(org, request, version, path)


def _note_write(org: OrgState, request: Request, path: str | None) -> None:
    """Record a request that would write, before anything else can refuse it."""
    method = _method(request)
    harmless = method in ("GET", "HEAD") or (
        path is not None and method in _ALLOWED.get(kind_of_path(path), ())
    )
    if not harmless:
        org.writes_attempted.append(f"{method} {request.path}")


def _method(request: Request) -> str:
    return request.params.get("_HttpMethod", request.method).upper()


def _write_refused(method: str, parts: list[str]) -> Refused:
    if parts and parts[0] in ("query", "queryAll", "limits"):
        message = f"HTTP Method '{method}' not allowed. Allowed are GET,HEAD"
        return Refused(405, "METHOD_NOT_ALLOWED", message)
    message = "insufficient access rights on cross-reference id: this org is read-only"
    return Refused(403, "INSUFFICIENT_ACCESS_OR_READONLY", message)
