"""An answer that repeats what it was sent, or holds personal data, takes none of it into errors and logs."""

import contextlib
import json
import logging

import pytest

from salesforce_targeted.api import errors, soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import SalesforceError
from tests.support.responses import ID, rows
from tests.support.sign_in import credentials

SECRET = "k9Vx2mQ7bTz4"
# Where an answer can hold a text: every member that some API of Salesforce has, and a page's title.
BODIES = {
    "errorCode": [{"errorCode": SECRET, "message": "no"}],
    "a code of several lines": [{"errorCode": f"A\r\nB {SECRET}", "message": "no"}],
    "message": [{"errorCode": "X", "message": f"Bearer {SECRET}"}],
    "exceptionCode": {"exceptionCode": SECRET, "exceptionMessage": SECRET},
    "error": {"error": SECRET, "error_description": "no"},
    "error_description": {"error": "invalid_grant", "error_description": f"user {SECRET}"},
    "fields": [{"errorCode": "INVALID_FIELD", "message": "no", "fields": [SECRET]}],
    "title": f"<html><title>{SECRET}</title></html>",
    "heading": f"<html><h1>You sent Bearer {SECRET}</h1></html>",
}
STATUSES = [200, 400, 401, 403, 404, 500]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", BODIES)
def test_no_answer_brings_the_token_into_an_error(body, status, server, tokens, answer, caplog):
    """Whatever member echoes it, whatever the status: not in the error, its attributes or the log."""
    caplog.set_level(logging.DEBUG)
    tokens.tokens = [SECRET]
    html = isinstance(BODIES[body], str)
    server.fallback = lambda _: answer(
        status, BODIES[body], {"Content-Type": "text/html"} if html else None
    )
    client = SalesforceClient(tokens, sleep=lambda _: None, attempts=2)
    with pytest.raises(SalesforceError) as caught:
        client.describe("Contact")
    error = caught.value

    assert (
        SECRET not in f"{error}{error!r}{error.message}{error.error_code}{error.call}{caplog.text}"
    )
    assert 1 == len(str(error).splitlines())


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("way", ["oauth", "soap"])
def test_no_answer_brings_the_password_into_an_error(way, body, status, server, answer, caplog):
    """The same at sign-in, by OAuth and by SOAP."""
    caplog.set_level(logging.DEBUG)
    text = BODIES[body] if isinstance(BODIES[body], str) else json.dumps(BODIES[body])
    if way == "soap":
        code, words = (SECRET, "no") if "ode" in body else ("INVALID_LOGIN", SECRET)
        text = f"<x><exceptionCode>{code}</exceptionCode><exceptionMessage>{words}</exceptionMessage>{text}</x>"
    server.fallback = lambda _: answer(status, text, {"Content-Type": "text/html"})
    app = (
        {"SALESFORCE_CLIENT_ID": "app", "SALESFORCE_CLIENT_SECRET": SECRET}
        if way == "oauth"
        else {}
    )
    spec = credentials(
        {
            **app,
            "SALESFORCE_USERNAME": "user",
            "SALESFORCE_PASSWORD": SECRET,
            "SALESFORCE_LOGIN_URL": server.url,
        }
    )
    with pytest.raises(SalesforceError) as caught:
        SalesforceClient(spec, sleep=lambda _: None).describe("Contact")
    error = caught.value

    assert (
        SECRET not in f"{error}{error!r}{error.message}{error.error_code}{error.call}{caplog.text}"
    )
    assert 1 == len(str(error).splitlines())


def test_a_broken_header_brings_no_values_into_the_log(server, client, raw, caplog):
    """urllib3 warns of headers that it can't read, with what follows them, and with the query."""
    caplog.set_level(logging.DEBUG)
    row = b'{"totalSize":1,"done":true,"records":[{"Email":"mary@example.org"}]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nno colon here\r\n\r\n"
    server.fallback = lambda _: raw(head + row, then="close")
    with contextlib.suppress(SalesforceError):
        client.records("SELECT Email FROM Contact WHERE LastName = 'Schmidt'")

    assert [] == [word for word in ("mary@example.org", "Schmidt") if word in caplog.text]


def test_an_echoed_token_is_blanked(client, server, answer):
    """A proxy that repeats our header in its error page doesn't bring the token into a log."""
    server.say(answer(403, [{"errorCode": "X", "message": "you sent Bearer token-0"}]))

    with pytest.raises(errors.PermissionDeniedError) as caught:
        client.org_limits()

    assert "token-0" not in f"{caught.value}{caught.value!r}{caught.value.args}"


def test_no_log_line_tells_a_secret_or_a_value(client, server, reply, answer, caplog, tokens):
    """At the most talkative level: no token, no literal, no value."""
    caplog.set_level(logging.DEBUG)
    tokens.tokens = ["sesame-1", "sesame-2"]
    server.say(
        reply("expired_session"),
        answer(503),
        answer(body=rows(ID, totalSize=1)),
        reply("invalid_field"),
    )
    statement = soql.select(["Id"], "Contact", soql.eq("LastName", "Schmidt"))
    client.records(statement)
    with pytest.raises(errors.QueryError):
        client.records(statement)

    assert "HTTP 401" in caplog.text
    assert all(word not in caplog.text + repr(client) for word in ("sesame", "Schmidt", ID))
