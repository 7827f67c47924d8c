"""What an answer that isn't 2xx means: which error, and what the reader can do about it."""

import re

from salesforce_targeted.api import errors
from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.api.models import Response
from salesforce_targeted.api.readers import html_title, parsed


def error_codes(response: Response) -> list[str]:
    """List the ``errorCode`` of each error in a body; none if it isn't a list of errors."""
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
    """Make the error that a response stands for, by Salesforce's code, else by the HTTP status.

    Source: REST API Developer Guide, "Status Codes and Error Responses".
    """
    found = _errors_in(response)
    if not found:
        what = f"HTTP {response.status}{html_title(response.body)}"
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
    elif code in {"API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED"}:
        remedy = errors.API_ENABLED_REMEDY
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
