"""What a refusal means: one class per thing that the reader can do, whatever the bytes are."""

import pytest

from salesforce_targeted.api import error_responses, errors
from salesforce_targeted.api.models import Response
from tests.support.responses import answered


@pytest.mark.parametrize(
    ("case", "kind", "says"),
    [
        ("expired_session", errors.AuthenticationError, "INVALID_SESSION_ID"),
        ("invalid_auth_header", errors.AuthenticationError, "INVALID_AUTH_HEADER"),
        ("invalid_field", errors.QueryError, "No such column 'NPI__c'"),
        ("malformed_query", errors.QueryError, "unexpected token: 'FRM'"),
        ("invalid_type", errors.NotFoundError, "Shared Activities"),
        ("not_found", errors.NotFoundError, "Ask a Salesforce admin"),
        ("locator_expired", errors.LocatorExpiredError, "from its start"),
        ("query_timeout", errors.QueryTimeoutError, "Ask for less"),
        ("aggregate_too_many", errors.TooLargeError, "LIMIT"),
        ("daily_limit", errors.QuotaExceededError, "24 hours"),
        ("concurrent_limit", errors.UnavailableError, "in some minutes"),
        ("api_disabled", errors.PermissionDeniedError, "admin"),
        ("unknown_exception", errors.UnavailableError, "UNKNOWN_EXCEPTION"),
        ("uri_too_long", errors.TooLargeError, "Bad Message 414"),
        ("maintenance", errors.UnavailableError, "Service Unavailable"),
        ("bulk_unsupported", errors.UnsupportedObjectError, "another API"),
    ],
)
def test_errors_by_sample(sample, case, kind, says):
    """One row per answer that Salesforce gives: the class, and what the reader is told."""
    kind_of_request = "bulk_create" if case.startswith("bulk") else "other"
    error = error_responses.error_from(sample(case), "GET /x", kind_of_request)

    assert kind is type(error)
    assert says in str(error)
    assert str(error).startswith("GET /x: ")


def test_an_error_holds_no_literal_of_the_query(sample):
    """Salesforce echoes a piece of the query; the values in it are left out."""
    assert "Schmidt" not in str(error_responses.error_from(sample("invalid_field"), "GET /x"))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(302, errors.ConfigurationError), (401, errors.AuthenticationError), (403, errors.PermissionDeniedError),
     (404, errors.NotFoundError), (409, errors.QueryError), (410, errors.ConfigurationError),
     (420, errors.UnavailableError), (429, errors.UnavailableError), (431, errors.TooLargeError),
     (418, errors.QueryError), (502, errors.UnavailableError)],
)  # fmt: skip
def test_errors_by_status(status, kind):
    """Where Salesforce gives no code its HTTP status decides."""
    assert kind is type(error_responses.error_from(Response(status, {}, b""), "GET /x"))


def test_compound_in_bulk_is_unsupported():
    """API_ERROR means many things; on the creation of a job it means: not in Bulk."""
    refused = answered(
        [
            {
                "errorCode": "API_ERROR",
                "message": "Selecting compound data not supported in Bulk Query",
            }
        ],
        400,
    )

    assert errors.UnsupportedObjectError is type(
        error_responses.error_from(refused, "POST /x", "bulk_create")
    )
