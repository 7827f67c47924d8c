"""The table of messages: each row over real HTTP, as the reader gets it."""

import dataclasses
import html
import inspect

import pytest

from salesforce_targeted.api import endpoints, errors
from salesforce_targeted.api.credentials import oauth, soap
from salesforce_targeted.api.models import Response
from salesforce_targeted.api.refusals import messages
from salesforce_targeted.api.refusals.error_responses import token_refusal
from salesforce_targeted.api.refusals.messages import _JWT, PAGE, TABLE, Where, message

REST = {"query_more": endpoints.query_more("/services/data/v64.0/query/01gRO0000016PIAYA2-500"),
        "": endpoints.limits("64.0")}  # fmt: skip
JOB = {"bulk_create": endpoints.bulk_create("64.0", "SELECT Id FROM Contact"),
       "": endpoints.bulk_status("64.0", "750R0000000zlh9IAA")}  # fmt: skip


def each(row):
    """List a row once for each of its codes and statuses."""
    return [
        dataclasses.replace(row, code=code, status=status)
        for code in row.code.split("|")
        for status in row.status.split("|")
    ]


def rows(*places):
    """Parametrise with the rows of these places, each of their codes and statuses alone."""
    of = [case for row in TABLE if row.where in places for case in each(row)]
    names = [f"{row.status} {row.code} {row.kind} {row.words}".strip() or "any" for row in of]
    return pytest.mark.parametrize("row", of, ids=names)


def code_of(row):
    """Return the row's code, or any."""
    return "NEW_CODE" if row.code == "*" else row.code


def status_of(row, default):
    """Return a status that the row fits: its own, or one of its hundred."""
    return int(row.status.replace("xx", "33")) if row.status else default


@rows(Where.REST, Where.BULK)
def test_a_refusal_of_the_api(row, client, server, answer):
    """The class and the remedy of its row; sent again if that may help, and only then."""
    status = status_of(row, 503 if row.retried or not row.code else 400)
    body = (
        b"<html><title>Blocked</title></html>" if row.code == PAGE
        else [{"errorCode": code_of(row), "message": f"About {row.words or 'it'} xyz."}] if row.code
        else b""
    )  # fmt: skip
    server.fallback = lambda _: answer(status, body)
    room = client.meter.concurrency
    request = (JOB if row.where is Where.BULK else REST)[row.kind]

    with pytest.raises(errors.SalesforceError) as caught:
        client.send(request)
    # What renews is sent again with a new session; after a 410 the versions served are looked at.
    more = row.renews or status == 410
    entry = message(row.where, status, code_of(row), f"about {row.words or 'it'} xyz.", row.kind)
    assert row in each(entry)
    assert row.error is type(caught.value)
    assert (row.remedy or row.error.default_remedy) in str(caught.value)
    assert (5 if row.retried else 1 + more) == len(server.heard)
    assert row.throttles == (client.meter.concurrency < room)
    if row.code == PAGE:
        assert f"HTTP {status} but a page titled 'Blocked'" in str(caught.value)
    elif row.code:
        assert f"{code_of(row)}: About {row.words or 'it'} xyz. (HTTP {status})" in str(
            caught.value
        )


@rows(Where.TOKEN)
def test_a_refusal_of_the_token_endpoint(row, endpoint, server, answer):
    """With Salesforce's code and words; a page where none belongs is sent again."""
    status = status_of(row, 503 if row.retried else 400)
    refusal = {"error": code_of(row), "error_description": f"About {row.words or 'it'} xyz."}
    server.fallback = lambda _: answer(status, refusal if row.code else b"")

    with pytest.raises(errors.SalesforceError) as caught:
        endpoint.token(server.url, {"grant_type": row.kind}, [])
    if row.code or not row.retried:
        assert row.error is type(caught.value)
        assert (row.remedy or row.error.default_remedy) in str(caught.value)
    else:
        assert errors.UnavailableError is type(caught.value)
        assert "got no usable response" in str(caught.value)
    assert (3 if row.retried else 1) == len(server.heard)
    assert not row.code or f"{code_of(row)}: About {row.words or 'it'} xyz." in str(caught.value)


@rows(Where.SOAP)
def test_a_refusal_of_the_soap_login(row, endpoint, server, answer):
    """A fault is a 500 with a reason in it: what its code stands for."""
    status = status_of(row, 500 if row.code else 404)
    fault = f"<sf:exceptionCode>{code_of(row)}</sf:exceptionCode><sf:exceptionMessage>{code_of(row)}: Xyz.</sf:exceptionMessage>"
    expired = row.code == "PASSWORDEXPIRED"
    if expired:
        status, fault = (
            200,
            "<passwordExpired>true</passwordExpired><sessionId>00Dx!a</sessionId><serverUrl>https://a.example/s</serverUrl>",
        )
    xml = f"<soapenv:Envelope xmlns:soapenv='s' xmlns:sf='f'>{fault}</soapenv:Envelope>"
    server.fallback = lambda _: answer(
        status, xml if row.code else b"", {"Content-Type": "text/xml"}
    )

    with pytest.raises(errors.SalesforceError) as caught:
        soap.SoapCredentials("user", "secret", "token", login_url=server.url).sign_in(endpoint)
    if row.code or not row.retried:
        assert row.error is type(caught.value)
        assert (row.remedy or row.error.default_remedy) in str(caught.value)
    else:
        assert errors.UnavailableError is type(caught.value)
    assert (3 if row.retried else 1) == len(server.heard)
    assert not row.code or expired or f"{code_of(row)}: Xyz." in str(caught.value)


def test_the_table_is_complete():
    """Each row has a source and can be reached; each place ends with a row for all the rest."""
    assert 60 < len(TABLE)
    assert all(row.source for row in TABLE)
    known = [(case.where, case.code, case.words, case.status, case.kind)
             for row in TABLE for case in each(row)]  # fmt: skip
    assert len(set(known)) == len(known)
    for place in (Where.REST, Where.BULK, Where.TOKEN, Where.SOAP):
        assert message(place, 599, "NEW_CODE", "new words", "new kind").error


def test_only_our_own_soql_is_reported():
    """A reader is sent to us only where the request is ours."""
    reported = {
        case.code or case.status for row in TABLE if "report it" in row.remedy for case in each(row)
    }

    assert {"MALFORMED_QUERY", "MALFORMED_ID", "INVALID_QUERY_FILTER_OPERATOR", "NUMBER_OUTSIDE_VALID_RANGE",
            "JSON_PARSER_ERROR"} == reported  # fmt: skip
    assert {"ReadOnlyError"} == {
        name for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.SalesforceError) and "report" in kind.default_remedy
    }  # fmt: skip


def test_texts_as_salesforce_writes_them():
    """The words of the rows are those of real texts."""
    for where, code, text, kind, *status in (
        (Where.BULK, "LIMIT_EXCEEDED", "Max bulk v2 query jobs (10000) per 24 hrs has been reached (10021)", errors.BulkRefusedError),
        (Where.BULK, "LIMIT_EXCEEDED", "Max bulk v2 query result size stored (1000 MB) per 24 hrs has been exceeded", errors.BulkRefusedError),
        (Where.BULK, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", errors.QuotaExceededError),
        (Where.REST, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded.", errors.UnavailableError),
        (Where.REST, "MALFORMED_QUERY", "SOQL statements can not be longer than 100000 characters", errors.TooLargeError),
        (Where.REST, "MALFORMED_QUERY", "Implementation restriction: TaskWhoRelation requires a filter", errors.TooLargeError),
        (Where.REST, "REQUEST_RUNNING_TOO_LONG", "Your request was running for too long, and has been stopped.", errors.QueryTimeoutError),
        (Where.REST, "INVALID_OPERATION_WITH_EXPIRED_PASSWORD", "The users password has expired, you must call SetPassword", errors.AuthenticationError),
        (Where.REST, "TXN_SECURITY_NO_ACCESS", "The operation you requested isn't allowed due to a security policy", errors.PermissionDeniedError),
        (Where.REST, "ORG_ADMIN_LOCKED", "admin operation already in progress", errors.UnavailableError),
        (Where.REST, "ORG_LOCKED", "The organization is locked", errors.AuthenticationError, 403),
        (Where.BULK, "TRIAL_EXPIRED", "The trial period for this organization has expired", errors.AuthenticationError, 403),
        (Where.REST, "", "", errors.UnavailableError, 406),
        (Where.SOAP, "", "", errors.UnavailableError, 420),
        (Where.TOKEN, "invalid_grant", "Audience validation failed", errors.AuthenticationError),
    ):  # fmt: skip
        assert kind is message(where, *(status or [400]), code, text).error
    stored = message(Where.BULK, 400, "LIMIT_EXCEEDED", "query result size stored")
    assert "results of the org's Bulk jobs" in stored.remedy
    expired = message(Where.TOKEN, 400, "invalid_grant", "expired authorization code", _JWT)
    assert "clock" in expired.remedy


def test_a_session_that_rest_does_not_take_is_not_renewed(client, server, answer, tokens):
    """Salesforce's own sentence, and what an admin does; a new session would be refused as well."""
    text = "This session is not valid for use with the REST API"
    server.say(answer(401, [{"errorCode": "INVALID_SESSION_ID", "message": text}]))

    with pytest.raises(errors.AuthenticationError, match="scope api") as caught:
        client.org_limits()
    assert text in str(caught.value)
    assert (1, 1) == (tokens.asked, len(server.heard))


def test_a_maintenance_page_at_the_token_endpoint_passes(endpoint, server, answer, granted):
    """A 200 that is a page or empty is sent again."""
    page = answer(200, "<!DOCTYPE html><title>Maintenance</title>", {"Content-Type": "text/plain"})
    server.say(page, answer(200, b""), granted())
    app = oauth.ClientCredentials(client_id="i", client_secret="s", login_url=server.url)

    assert "00Dx!granted" == app.sign_in(endpoint).access_token
    assert 3 == len(server.heard)


def test_what_is_not_of_the_table_is_not_repeated(endpoint, server, answer):
    """A code that is no word may be an echo of what was sent."""
    server.fallback = lambda _: answer(400, {"error": "<b>se cret</b>", "error_description": "x"})

    with pytest.raises(errors.AuthenticationError) as caught:
        endpoint.token(server.url, {"grant_type": "password"}, [])
    assert "cret" not in html.unescape(str(caught.value))
    assert messages.message(Where.TOKEN, 400, "", "").remedy in str(caught.value)


def test_a_session_is_renewed_whatever_the_status_says(client, server, answer, tokens):
    """Salesforce's code decides: a gateway may make a 403 of the 401."""
    ended = [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}]
    server.say(answer(403, ended), answer(body={"DailyApiRequests": {"Max": 9, "Remaining": 8}}))

    assert {"DailyApiRequests"} == set(client.org_limits())
    assert (2, 2) == (tokens.asked, len(server.heard))


@pytest.mark.parametrize(("status", "code"), [(503, "SERVER_UNAVAILABLE"), (423, "NEW_CODE")])
def test_a_part_that_is_not_available_says_why(status, code, client, server, answer):
    """The whole is sent again; at last Salesforce's own words, and nothing of a proxy."""
    refused = [{"errorCode": code, "message": "The org is being moved"}]
    part = {"referenceId": "r0", "httpStatusCode": status, "body": refused}
    server.fallback = lambda _: answer(body={"compositeResponse": [part]})

    with pytest.raises(errors.UnavailableError) as caught:
        client.composite([endpoints.describe("64.0", "Contact")])
    assert f"{code}: The org is being moved (HTTP {status})" in str(caught.value)
    assert "status.salesforce.com" in str(caught.value)
    assert "proxy" not in str(caught.value)
    assert 5 == len(server.heard)


@pytest.mark.parametrize(
    "body",
    [
        b'[{"errorCode": "OAUTH_APP_BLOCKED", "message": "blocked by admin"}]',
        b"<e><errorCode>OAUTH_APP_BLOCKED</errorCode><message>blocked by admin</message></e>",
    ],
    ids=["list", "XML"],
)
def test_a_token_endpoint_may_refuse_as_rest_does(body: bytes) -> None:
    """What Salesforce says is told then, too, and not that it gave no reason."""
    refused = token_refusal(Response(400, {}, body), "refresh_token")

    assert refused is not None
    assert "blocked by admin" in str(refused.error("POST"))
    assert "unblock it" in str(refused.error("POST"))
