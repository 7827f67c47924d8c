"""Send what a fault sends instead of the org, or does to the org's response.

Source: REST API Developer Guide, "Status Codes and Error Responses".
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import orjson

from salesforce_targeted.demo_org.http.exchange import Reply, html, refusal, reply
from salesforce_targeted.demo_org.http.records import dumps
from salesforce_targeted.demo_org.refusals import (
    Refused,
    bulk_jobs_spent,
    malformed,
    no_bulk,
    no_such_field,
    no_such_object,
    not_found,
    timed_out,
    too_complicated,
    too_large,
)

if TYPE_CHECKING:
    from salesforce_targeted.demo_org.faults.faults import Fault

_HTML_503 = (
    "<html><head><title>Service Unavailable</title></head><body><h1>Service Unavailable</h1>"
)
_MAINTENANCE = "<!DOCTYPE html><html><body><h1>We are down for maintenance.</h1></body></html>"
_PAGES: dict[str, tuple[int, str]] = {
    "html_503": (503, _HTML_503),
    "maintenance_200_html": (200, _MAINTENANCE),
    "bad_gateway_502": (502, "<html><body><h1>502 Bad Gateway</h1></body></html>"),
    "gateway_timeout_504": (504, "<html><body><h1>504 Gateway Timeout</h1></body></html>"),
    "no_route_420": (420, "<html><body><h1>No routing information</h1></body></html>"),
    "uri_414": (414, "<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>"),
    "headers_431": (
        431, "<h1>Bad Message 431</h1><pre>reason: Request Header Fields Too Large</pre>"),
}  # fmt: skip
_REFUSALS: dict[str, Refused] = {
    "unavailable_503": Refused(503, "SERVER_UNAVAILABLE", "The server is temporarily unavailable"),
    "unknown_500": Refused(
        500, "UNKNOWN_EXCEPTION", "An unexpected error occurred. Please include this ErrorId if "
        "you contact support: 1234567890-12345 (-1234567890)"),
    "http_429": Refused(429, "TOO_MANY_REQUESTS", "Too many requests"),
    "expire_session": Refused(401, "INVALID_SESSION_ID", "Session expired or invalid"),
    "invalid_auth_header": Refused(401, "INVALID_AUTH_HEADER", "INVALID_JWT_FORMAT"),
    "concurrent_403": Refused(403, "REQUEST_LIMIT_EXCEEDED",
                              "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
    "daily_403": Refused(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
    "api_disabled_403": Refused(403, "API_DISABLED_FOR_ORG", "The REST API is not enabled for this "
                                "Organization."),
    "no_access_403": Refused(403, "INSUFFICIENT_ACCESS", "insufficient access rights"),
    "metering_403": Refused(403, "TXN_SECURITY_METERING_ERROR", "The operation was stopped by a "
                            "transaction security policy"),
    "not_enabled_403": Refused(403, "FUNCTIONALITY_NOT_ENABLED", "This feature is not enabled"),
    "not_found_404": not_found(),
    "no_method_405": Refused(405, "METHOD_NOT_ALLOWED", "HTTP Method 'POST' not allowed"),
    "version_gone_410": Refused(410, "GONE", "The requested API version has been retired"),
    "too_many_ids_400": Refused(400, "EXCEEDED_ID_LIMIT", "query does not support queryMore(), use "
                                "LIMIT to restrict the results to a single batch"),
    "malformed_query_400": malformed("unexpected token: 'FRM'"),
    "invalid_type_400": no_such_object("Contact"),
    "bulk_unsupported_400": no_bulk("Contact"),
    "bulk_restricted_400": Refused(400, "API_ERROR", "Implementation restriction: this object can "
                                   "be read by users with View All Data only"),
    "bulk_jobs_spent_400": bulk_jobs_spent(10_021),
    "not_ready_400": Refused(400, "INVALIDJOBSTATE", "The job is in state InProgress"),
    "query_timeout_400": timed_out(),
    "operation_too_large_400": too_large(),
    "too_complicated_400": too_complicated(),
    # Source: jsforce issue 1274; the app lacks the scope "api", a new session does not help.
    "no_rest_session_401": Refused(401, "INVALID_SESSION_ID",
                                   "This session is not valid for use with the REST API"),
    # Source: amazon-connect-salesforce-lambda issue 12: a login host was sent a data request.
    "url_not_reset_400": Refused(400, "URL_NOT_RESET", "Destination URL not reset. The URL "
                                 "returned from login must be set"),
    "bad_locator_400": Refused(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
    "results_gone_404": Refused(404, "NOT_FOUND", "The requested resource does not exist"),
    "version_409": Refused(409, "VERSION_MISMATCH",
                           "The API version must be the one the job was created with"),
}  # fmt: skip

_PARTS = {
    "part_500": "unknown_500", "part_timeout_400": "query_timeout_400",
    "part_401": "expire_session",
}  # fmt: skip


def instead(fault: Fault) -> Reply | None:
    """Return the response that replaces the org's, or None if this fault has none."""
    if fault.action in _PAGES:
        return html(*_PAGES[fault.action])
    if fault.action == "text_503":
        return Reply(503, b"Service Unavailable", "text/plain")
    if fault.action == "empty_200":
        return Reply(200, b"")
    if fault.action == "no_entries_200":
        return reply([])
    if fault.action == "garbage_200":
        return Reply(200, b'{"totalSize":3,"done":true,"records":[{"attributes":{"ty')
    if fault.action == "app_blocked_400":
        # Source: n8n issue 21589; that the token endpoint says it in these words is [K].
        described = {"error": "OAUTH_APP_BLOCKED",
                     "error_description": "this app is blocked by admin"}  # fmt: skip
        return reply(described, 400)
    if fault.action == "invalid_field_400":
        return refusal(no_such_field(str(fault.argument or "NPI__c"), "Contact"))
    error = _REFUSALS.get(fault.action)
    if error is None:
        return None
    response = refusal(error)
    if error.status == 429:
        response.headers["Retry-After"] = "1"
    return response


def altered(response: Reply, fault: Fault) -> Reply:
    """Return the org's response as this fault leaves it."""
    if fault.action == "drop_rows":
        return _one_row_short(response)
    if fault.action in _PARTS:
        place = -1 if fault.argument is None else int(fault.argument)
        return _one_part_refused(response, _REFUSALS[_PARTS[fault.action]], place)
    return response


def _one_part_refused(response: Reply, error: Refused, place: int) -> Reply:
    value: Any = orjson.loads(response.body) if isinstance(response.body, bytes) else None
    parts = value.get("compositeResponse", value.get("results")) if isinstance(value, dict) else []
    words = [{"message": error.message, "errorCode": error.code}]
    if parts:
        part = parts[place]
        status, body = ("statusCode", "result") if "result" in part else ("httpStatusCode", "body")
        part[status], part[body] = error.status, words
    response.body = dumps(value)
    return response


def _one_row_short(response: Reply) -> Reply:
    """Remove the last row of a response; its headers and totals still count the row."""
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    if response.content_type == "text/csv":
        response.body = _csv_short(body)
        return response
    value: Any = orjson.loads(body)
    parts = value.get("compositeResponse") if isinstance(value, dict) else None
    bodies = [value] if parts is None else [part["body"] for part in reversed(parts)]
    lists = (body.get("records") if isinstance(body, dict) else body for body in bodies)
    records = next((rows for rows in lists if isinstance(rows, list) and rows), [])
    del records[-1:]
    response.body = dumps(value)
    return response


def _csv_short(body: bytes) -> bytes:
    lines = list(csv.reader(io.StringIO(body.decode(), newline="")))
    text = io.StringIO(newline="")
    kept = lines[:-1] if len(lines) > 1 else lines
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(kept)
    return text.getvalue().encode()
