"""What a misfortune answers in the org's place, or does to the org's answer.

Source: REST API Developer Guide, "Status Codes and Error Responses".
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import orjson

from .exchange import Reply, html, refusal
from .records import dumps
from .refusals import Refused, no_such_field

if TYPE_CHECKING:
    from .faults import Fault

_HTML_503 = (
    "<html><head><title>Service Unavailable</title></head><body><h1>Service Unavailable</h1>"
)
_MAINTENANCE = "<!DOCTYPE html><html><body><h1>We are down for maintenance.</h1></body></html>"
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
    "query_timeout_400": Refused(400, "QUERY_TIMEOUT",
                                 "Your query request was running for too long."),
    "operation_too_large_400": Refused(400, "OPERATION_TOO_LARGE",
                                       "exceeded 100000 distinct who/what's"),
    "too_complicated_400": Refused(400, "QUERY_TOO_COMPLICATED",
                                   "Query is either selecting too many fields or the filter "
                                   "conditions are too complicated."),
    "bad_locator_400": Refused(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
    "results_gone_404": Refused(404, "NOT_FOUND", "The requested resource does not exist"),
    "version_409": Refused(409, "VERSION_MISMATCH",
                           "The API version must be the one the job was created with"),
}  # fmt: skip


def instead(fault: Fault) -> Reply | None:
    """The answer that takes the place of the org's, if this misfortune has one."""
    if fault.action == "html_503":
        return html(503, _HTML_503)
    if fault.action == "maintenance_200_html":
        return html(200, _MAINTENANCE)
    if fault.action == "empty_200":
        return Reply(200, b"")
    if fault.action == "garbage_200":
        return Reply(200, b'{"totalSize":3,"done":true,"records":[{"attributes":{"ty')
    if fault.action == "invalid_field_400":
        return refusal(no_such_field(str(fault.argument or "NPI__c"), "Contact"))
    error = _REFUSALS.get(fault.action)
    if error is None:
        return None
    made = refusal(error)
    if error.status == 429:
        made.headers["Retry-After"] = "1"
    return made


def one_row_short(made: Reply) -> Reply:
    """The reply without its last row; all that counts rows still counts it."""
    body = made.body if isinstance(made.body, bytes) else b"".join(made.body)
    if made.content_type == "text/csv":
        made.body = _csv_short(body)
        return made
    value: Any = orjson.loads(body)
    records = value.get("records") if isinstance(value, dict) else value
    if isinstance(records, list) and records:
        records.pop()
    made.body = dumps(value)
    return made


def _csv_short(body: bytes) -> bytes:
    lines = list(csv.reader(io.StringIO(body.decode(), newline="")))
    text = io.StringIO(newline="")
    kept = lines[:-1] if len(lines) > 1 else lines
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(kept)
    return text.getvalue().encode()
