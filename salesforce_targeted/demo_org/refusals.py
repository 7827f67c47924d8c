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


def not_found() -> Refused:
    """Refuse a path, version or describe that is not there."""
    return Refused(404, "NOT_FOUND", "The requested resource does not exist")
