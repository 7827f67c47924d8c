"""Errors say what to do and carry nothing they must not."""

import inspect
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_targeted.api import errors
from salesforce_targeted.api.errors import QueryError, SalesforceError, scrub
from salesforce_targeted.api.models import Response
from salesforce_targeted.api.refusals import error_responses
from tests.support.responses import answered


def drawn() -> dict[str, str]:
    """Class -> parent, as the docstring draws it."""
    parents, path = {}, []
    for line in errors.__doc__.splitlines():
        name = re.search(r"\b(\w+Error)\b", line)
        if name is None or not ("── " in line or line == "SalesforceError"):
            continue
        depth = line.index(name[1]) // 4
        path[depth:] = [name[1]]
        parents[name[1]] = path[depth - 1] if depth else "Exception"
    return parents


def test_the_drawing_is_the_tree():
    """The tree in the docstring and the classes are the same."""
    classes = {
        name: kind.__base__.__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, SalesforceError)
    }

    assert classes == drawn()


def test_every_class_has_a_remedy_of_its_own():
    """One class per remedy: no two say the same, and none says nothing."""
    kinds = [
        k for _, k in inspect.getmembers(errors, inspect.isclass) if issubclass(k, SalesforceError)
    ]
    remedies = [k.default_remedy for k in kinds if k is not SalesforceError]

    assert all(remedies)
    assert len(set(remedies)) == len(remedies)


def test_the_text_is_one_paragraph():
    """Where, Salesforce's code, what happened, what to do; on one line."""
    error = QueryError(
        "no such\n  column", call="GET /x", error_code="INVALID_FIELD", remedy="Look."
    )

    assert "GET /x: INVALID_FIELD: no such column. Look." == str(error)


def test_an_error_survives_pickling():
    """Nothing is lost on the way out of a worker process."""
    error = QueryError(
        "what", remedy="do", call="GET /x", error_code="E", status=400, fields=("A",)
    )
    copy = pickle.loads(pickle.dumps(error))

    assert str(error) == str(copy)
    assert (400, ("A",)) == (copy.status, copy.fields)


@pytest.mark.parametrize(
    "token",
    [
        "00Dx0000000BV7z!AR8AQAxo9UfVkh8AlV0Gomt9Czx9",
        "00Dx0000000BV7zEAM!AR8AQ.xo9_UfVkh8AlV0Gomt9Czx9",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIzTVZHOSJ9.c2lnbmF0dXJl",
    ],
)
def test_a_token_never_shows(token):
    """Session ids and JWTs are blanked wherever they turn up."""
    text = str(SalesforceError(f"proxy says: Authorization: Bearer {token} is odd"))

    assert token not in text
    assert token[-12:] not in text


@given(
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=40),
    st.text(max_size=80),
)
def test_a_named_secret_never_shows(secret, around):
    """What the caller names as secret is blanked, whatever is around it."""
    assert secret not in scrub(f"{around} {secret} {around}", [secret]).replace("***", "")


def test_no_half_of_a_secret_is_left():
    """A password with its security token is blanked as a whole, whatever the order."""
    halves = ["pass-word", "pass-wordtok-en"]

    assert "***" == scrub("pass-wordtok-en", halves) == scrub("pass-wordtok-en", halves[::-1])


# --- what a refusal means: one class per thing that the reader can do, whatever the bytes are


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
    error = error_responses.refusal(sample(case), kind_of_request).error("GET /x")

    assert kind is type(error)
    assert says in str(error)
    assert str(error).startswith("GET /x: ")


def test_an_error_holds_no_literal_of_the_query(sample):
    """Salesforce echoes a piece of the query; the values in it are left out."""
    assert "Schmidt" not in str(error_responses.refusal(sample("invalid_field")).error("GET /x"))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(302, errors.ConfigurationError), (401, errors.AuthenticationError), (403, errors.PermissionDeniedError),
     (404, errors.NotFoundError), (409, errors.QueryError), (410, errors.ConfigurationError),
     (420, errors.UnavailableError), (429, errors.UnavailableError), (431, errors.TooLargeError),
     (418, errors.QueryError), (502, errors.UnavailableError)],
)  # fmt: skip
def test_errors_by_status(status, kind):
    """Where Salesforce gives no code its HTTP status decides."""
    assert kind is type(error_responses.refusal(Response(status, {}, b"")).error("GET /x"))


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
        error_responses.refusal(refused, "bulk_create").error("POST /x")
    )


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b"", errors.AuthenticationError),
        (401, b"<Errors><Error><errorCode>INVALID_SESSION_ID</errorCode></Error></Errors>",
         errors.AuthenticationError),
        (403, b'<?xml version="1.0"?><e><errorCode>REQUEST_LIMIT_EXCEEDED</errorCode></e>',
         errors.QuotaExceededError),
        (400, b"<error><exceptionCode>QUERY_TIMEOUT</exceptionCode><exceptionMessage>m"
         b"</exceptionMessage></error>", errors.QueryTimeoutError),
    ],
)  # fmt: skip
def test_a_refusal_in_xml_or_without_a_body(status, body, kind):
    """What does not take JSON may get XML; a 401 of any body may be a session that ended."""
    refused = error_responses.refusal(Response(status, {}, body), "bulk_results")

    assert kind is type(refused.error(""))
    assert (status == 401) is refused.message.renews
