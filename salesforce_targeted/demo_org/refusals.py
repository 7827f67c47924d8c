"""Refusals: what Salesforce responds when it does not do as requested, as an exception.

Source: REST API Developer Guide, "Status Codes and Error Responses".
"""

from __future__ import annotations


class Refused(Exception):  # noqa: N818 - what the org does, not an error of ours
    """One REST error: HTTP status, errorCode and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message


def malformed(message: str) -> Refused:
    """Refuse a statement that is no SOQL, or SOQL that the org does not run."""
    return Refused(400, "MALFORMED_QUERY", message)


def no_such_field(name: str, entity: str) -> Refused:
    """Refuse a field that does not exist or that field-level security hides, in one way."""
    return Refused(
        400,
        "INVALID_FIELD",
        f"\nSELECT {name} FROM {entity}\n       ^\nERROR at Row:1:Column:8\n"
        f"No such column '{name}' on entity '{entity}'. If you are attempting to use a custom "
        "field, be sure to append the '__c' after the custom field name. Please reference your "
        "WSDL or the describe call for the appropriate names.",
    )


def no_such_object(name: str) -> Refused:
    """Refuse an object that does not exist or that our user may not see."""
    return Refused(
        400,
        "INVALID_TYPE",
        f"\nSELECT Id FROM {name}\n               ^\nERROR at Row:1:Column:16\n"
        f"sObject type '{name}' is not supported. If you are attempting to use a custom object, be "
        "sure to append the '__c' after the entity name. Please reference your WSDL or the "
        "describe call for the appropriate names.",
    )


def too_complicated() -> Refused:
    """Refuse a statement, or a list of fields, that is too much for one request."""
    return Refused(
        400,
        "QUERY_TOO_COMPLICATED",
        "Query is either selecting too many fields or the filter conditions are too complicated.",
    )


def timed_out(status: int = 400) -> Refused:
    """Refuse a query after the two minutes that it may take, or as a gateway does."""
    if status != 400:
        return Refused(status, f"HTTP_{status}", "The service is unavailable")
    return Refused(400, "QUERY_TIMEOUT", "Your query request was running for too long.")


def too_large() -> Refused:
    """Refuse a query on activities whose sharing would take too long to work out."""
    return Refused(400, "OPERATION_TOO_LARGE", "exceeded 100000 distinct who/what's")


def bulk_jobs_spent(used: int) -> Refused:
    """Refuse one more Bulk query job on a day on which *used* were made."""
    return Refused(
        400,
        "LIMIT_EXCEEDED",
        f"Max bulk v2 query jobs (10000) per 24 hrs has been reached ({used})",
    )


def no_bulk(entity: str) -> Refused:
    """Refuse a Bulk job on an object that Bulk does not have."""
    return Refused(400, "INVALIDENTITY", f"Entity '{entity}' is not supported by the Bulk API.")


def not_found() -> Refused:
    """Refuse a path, version or describe that is not there."""
    return Refused(404, "NOT_FOUND", "The requested resource does not exist")
