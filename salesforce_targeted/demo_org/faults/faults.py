"""Faults on any call: what breaks, on which call, how often.

``org.faults.add(Fault("collections", "html_503"))`` strikes the next sObject Collections call.
:data:`ACTIONS` names every fault and the kinds of call that it makes sense for; what each sends is
in ``http/fault_responses.py``, and what breaks the connection in ``http/server.py``.

Source: REST API Developer Guide, "Status Codes and Error Responses"; Bulk API 2.0 Developer Guide,
"Get Information About a Query Job"; for the transport, what public clients have reported.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

KINDS = (
    "query", "query_all", "query_more", "collections", "describe", "composite", "composite_batch",
    "limits", "sobjects", "bulk_create", "bulk_poll", "bulk_results", "bulk_pages", "other",
    "token", "soap", "versions", "userinfo",
)  # fmt: skip
QUERIES = ("query", "query_all")
ROWS = (*QUERIES, "query_more", "collections", "bulk_results")
PARTS = ("composite", "composite_batch")
RESULTS = ("bulk_results", "bulk_pages")
ANY = ("*",)


@dataclass(frozen=True)
class Action:
    """Name what a fault does and the kinds of call that it can strike; ``*`` is any."""

    description: str
    kinds: tuple[str, ...] = ANY


ACTIONS: dict[str, Action] = {
    "html_503": Action("the edge sends 503 with an HTML page"),
    "text_503": Action("the edge sends 503 with a line of text"),
    "bad_gateway_502": Action("the edge sends 502 with an HTML page"),
    "gateway_timeout_504": Action("the edge sends 504 with an HTML page"),
    "no_route_420": Action("the edge sends 420: it does not know where the org is"),
    "maintenance_200_html": Action("a maintenance page in HTML, with status 200"),
    "unavailable_503": Action("503 SERVER_UNAVAILABLE as JSON"),
    "unknown_500": Action("500 UNKNOWN_EXCEPTION"),
    "http_429": Action("429 with Retry-After: 1"),
    "empty_200": Action("200 without a body"),
    "garbage_200": Action("200 with half a JSON text"),
    "no_entries_200": Action("200 with an empty list, whatever was asked for", ("collections",)),
    "expire_session": Action("every session ends: 401 INVALID_SESSION_ID"),
    "invalid_auth_header": Action("401 INVALID_AUTH_HEADER, INVALID_JWT_FORMAT"),
    "concurrent_403": Action("403 REQUEST_LIMIT_EXCEEDED, too many long calls at once"),
    "daily_403": Action("403 REQUEST_LIMIT_EXCEEDED, the day's calls are spent"),
    "api_disabled_403": Action("403 API_DISABLED_FOR_ORG"),
    "no_rest_session_401": Action("401 INVALID_SESSION_ID: the session is not one for REST"),
    "url_not_reset_400": Action("400 URL_NOT_RESET: a data request at a login host"),
    "app_blocked_400": Action("400 OAUTH_APP_BLOCKED: an admin blocked the app", ("token",)),
    "no_access_403": Action("403 INSUFFICIENT_ACCESS"),
    "metering_403": Action("403 TXN_SECURITY_METERING_ERROR"),
    "not_enabled_403": Action(
        "403 FUNCTIONALITY_NOT_ENABLED", (*PARTS, "collections", "bulk_create")
    ),
    "not_found_404": Action("404 NOT_FOUND: the path, the object or the job is gone"),
    "no_method_405": Action("405 METHOD_NOT_ALLOWED"),
    "version_gone_410": Action("410: the API version is no longer served"),
    "uri_414": Action("414 as HTML: the URI is too long", QUERIES),
    "headers_431": Action("431 as HTML: URI and headers are too long", QUERIES),
    "reset_before": Action("the connection is reset before any response"),
    "reset_midbody": Action("the connection is reset in the middle of the body"),
    "short_body": Action("the body ends before its Content-Length"),
    "cut_gzip": Action("the compressed body is cut, the framing around it is whole"),
    "slow_drip": Action("the body comes in drops over `argument` seconds (2)"),
    "hang": Action("nothing comes for `argument` seconds (5), then the connection closes"),
    "query_timeout_400": Action("400 QUERY_TIMEOUT", (*QUERIES, "query_more")),
    "operation_too_large_400": Action("400 OPERATION_TOO_LARGE", QUERIES),
    "too_complicated_400": Action("400 QUERY_TOO_COMPLICATED", QUERIES),
    "too_many_ids_400": Action("400 EXCEEDED_ID_LIMIT", QUERIES),
    "malformed_query_400": Action("400 MALFORMED_QUERY", (*QUERIES, "bulk_create")),
    "invalid_type_400": Action("400 INVALID_TYPE: the object is gone", (*QUERIES, "bulk_create")),
    "bad_locator_400": Action("400 INVALID_QUERY_LOCATOR", ("query_more",)),
    "invalid_field_400": Action("400 INVALID_FIELD for the field `argument`", ROWS),
    "drop_rows": Action("one row is missing, nothing else tells", (*ROWS, "composite")),
    "part_401": Action("one part of a composite: 401, for the session ended before it", PARTS),
    "part_500": Action("one part of a composite (the last, or by number): 500", PARTS),
    "part_timeout_400": Action("one part of a composite: 400 QUERY_TIMEOUT", PARTS),
    "bulk_unsupported_400": Action("400 INVALIDENTITY: Bulk lacks the object", ("bulk_create",)),
    "bulk_restricted_400": Action("400 API_ERROR: an implementation restriction", ("bulk_create",)),
    "bulk_jobs_spent_400": Action("400 LIMIT_EXCEEDED: the day's jobs", ("bulk_create",)),
    "bulk_failed": Action("the job ends Failed, with an errorMessage", ("bulk_poll",)),
    "bulk_silent": Action("the job ends Failed and says nothing", ("bulk_poll",)),
    "bulk_aborted": Action("the job ends Aborted", ("bulk_poll",)),
    "bulk_stuck": Action("the job stays InProgress for ever", ("bulk_poll",)),
    "not_ready_400": Action("400 INVALIDJOBSTATE: no results yet", RESULTS),
    "results_gone_404": Action("the results were deleted: 404", RESULTS),
    "version_409": Action("409, created with another API version", RESULTS),
}
TRANSPORT = frozenset(
    ["reset_before", "reset_midbody", "short_body", "cut_gzip", "slow_drip", "hang"]
)  # fmt: skip
JOB_ENDS = {"bulk_failed": "Failed", "bulk_silent": "Failed", "bulk_aborted": "Aborted",
            "bulk_stuck": "InProgress"}  # fmt: skip


@dataclass
class Fault:
    """One fault.

    Attributes:
        match: A kind of call ("collections", "query" …), ``*`` for any that is billed, else a
            pattern searched in the path.
        action: A name of :data:`ACTIONS`.
        nth: The first matching call that it strikes, from 1.
        times: How many calls in a row it strikes.
        argument: What the action needs: seconds, a field's name.
    """

    match: str
    action: str
    nth: int = 1
    times: int = 1
    argument: str | float | None = None
    seen: int = field(default=0, init=False)
    done: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"no fault is called {self.action!r}; see ACTIONS")

    def strikes(self, kind: str, path: str, *, billed: bool) -> bool:
        """Count a call; return True if the fault strikes it."""
        if self.match == "*":
            matches = billed
        elif self.match in KINDS:
            matches = self.match == kind
        else:
            matches = re.search(self.match, path) is not None
        if not matches:
            return False
        self.seen += 1
        struck = self.nth <= self.seen < self.nth + self.times
        self.done += struck
        return struck

    def seconds(self, default: float) -> float:
        """Return the argument as seconds."""
        return default if self.argument is None else float(self.argument)


class Faults:
    """Hold the faults that wait in an org."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.waiting: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Add *fault*; its ``done`` counts how often it struck."""
        with self._lock:
            self.waiting.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self.waiting.clear()

    def next_for(self, kind: str, path: str, *, billed: bool) -> Fault | None:
        """Return the fault that strikes this call, if any; count the call for all of them."""
        if not self.waiting:
            return None
        with self._lock:
            struck = [f for f in self.waiting if f.strikes(kind, path, billed=billed)]
        return struck[0] if struck else None
