"""Whatever bytes come over the wire: a value, or an error of ours; never anything else."""

import contextlib
import gzip
import pickle
from types import NoneType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from salesforce_targeted.api import (
    bulk_readers,
    endpoints,
    errors,
    login,
    models,
    read_only,
    readers,
)
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import soap
from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.api.login import LoginEndpoint
from salesforce_targeted.api.models import Page, Request, Response
from salesforce_targeted.api.refusals import error_responses
from salesforce_targeted.api.transport import Transport
from tests.support.bulk_pages import bulk_pages, rows_of
from tests.support.fuzz import ANSWERS, DEEP, HEADERS, JSON, RESPONSES, fuzzed
from tests.support.responses import collections, describes
from tests.support.scripted_server import Bytes, Tokens


def error_of(refusal: error_responses.Refusal | None) -> SalesforceError | None:
    """Make the error of a refusal, where it is one."""
    return None if refusal is None else refusal.error("")


READERS = {
    "parsed": (readers.parsed, object),
    "json_object": (readers.json_object, dict),
    "page": (readers.page, Page),
    "job": (bulk_readers.job, models.Job),
    "result_pages": (lambda response: bulk_readers.result_pages(response) or models.ResultPages([], None), models.ResultPages),
    "collection": (lambda response: readers.collection(response, 1), list),
    "composite_results": (lambda response: readers.composite_results(response, 1), list),
    "usage": (lambda response: readers.usage(response) or (), tuple),
    "refusal": (error_responses.refusal, error_responses.Refusal),
    "described": (readers.described, (dict, SalesforceError)),
    "bulk page": (lambda response: bulk_readers.csv_page(response, rows_of), models.CsvPage),
    "refused token": (lambda response: error_of(error_responses.token_refusal(response, "password")), (SalesforceError, NoneType)),
    "refused SOAP login": (lambda response: error_of(error_responses.soap_refusal(response)), (SalesforceError, NoneType)),
    "instance of a SOAP login": (soap._instance, str),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@fuzzed(40)
@given(RESPONSES)
@example(Response(200, {}, b""))
@example(Response(200, {}, DEEP))
@example(Response(200, {}, b"9" * 6_000))
@example(Response(200, {"Sforce-NumberOfRecords": "9" * 5_000}, b'"Id"\n'))
@example(Response(200, {"Sforce-Limit-Info": "api-usage=1/" + "9" * 5_000}, b""))
@example(Response(200, {}, b'{"id":"7","state":"x","apiVersion":' + b"9" * 6_000 + b"}"))
def test_a_reader_returns_or_raises_our_errors(name, response):
    """A value of its kind, or a SalesforceError that is one paragraph."""
    read, kind = READERS[name]
    try:
        outcome = read(response)
    except SalesforceError as error:
        outcome, kind = error, SalesforceError

    assert isinstance(outcome, kind)
    assert kind is not SalesforceError or 1 == len(str(outcome).splitlines())


@fuzzed(100)
@example(Response(400, {}, b'[{"errorCode":"A\\r\\nB","message":"no"}]'), "", "other")
@given(
    RESPONSES,
    st.sampled_from(["", "GET /services/data/v64.0/query"]),
    st.sampled_from(["other", "bulk_create", "query"]),
)
def test_an_answer_becomes_an_error_of_ours(response, call, kind):
    """Any answer can be told as an error: one paragraph, cut, picklable, with a remedy."""
    error = error_responses.refusal(response, kind).error(call)

    assert isinstance(error, SalesforceError)
    assert 1 == len(str(error).splitlines())
    assert len(error.message) < 500
    assert str(error) == str(pickle.loads(pickle.dumps(error)))


@fuzzed(75)
@given(st.integers().filter(lambda status: status != 401), JSON | st.integers(min_value=2**63))
def test_a_part_of_composite_reads_as_if_alone(status, body):
    """Whatever JSON stands in a part is an answer to the readers."""
    response = readers.part(status, body)
    for read, _ in READERS.values():
        with contextlib.suppress(SalesforceError):
            read(response)

    assert isinstance(error_responses.refusal(response).error(""), SalesforceError)


@fuzzed(75)
@given(st.text(max_size=900), st.lists(st.text(max_size=9), max_size=3))
def test_any_text_can_be_scrubbed(text, secrets):
    """No secret of four characters or more is left, and the text is cut to a line."""
    line = errors.scrub(text, secrets)

    assert len(line) <= 401
    assert line == " ".join(line.split())


# --- the whole client, over a real connection -----------------------------------------------------

HEADS = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 204 No Content\r\n", b"HTTP/1.1 500 X\r\n", b"HTTP/1.1 401 X\r\n", b"HTTP/1.1 302 X\r\n",
     b"HTTP/1.1 99999 X\r\n", b"HTTP/1.1 -1 X\r\n", b"HTTP/9.9 200 OK\r\n", b"HTTP/1.1 200\r\n", b"ICY 200 OK\r\n", b"\r\n", b"",
     b"HTTP/1.1 304 X\r\n", b"HTTP/1.1 206 X\r\n"]
)  # fmt: skip
LINES = st.lists(
    st.sampled_from(
        [b"X-A: b\r\n", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: x\r\n", b"Content-Length: 99999999999999999999\r\n",
         b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
         b"Content-Encoding: gzip\r\n", b"Content-Encoding: deflate\r\n", b"Content-Encoding: br\r\n", b"Content-Type: text/html\r\n",
         b"Content-Type: text/csv\r\n", b"Content-Type: application/json\r\n", b"Retry-After: \xff\r\n", b"Retry-After: 9999999999\r\n",
         b"Retry-After: Sun, 99 Nov 2026 00:00:00 GMT\r\n", b"Set-Cookie: a=\xff\r\n", b"Location: http://[::\r\n", b": x\r\n",
         b"X\r\n", b"\xff\xfe: \x00\r\n", b"Sforce-Limit-Info: api-usage=1/" + b"9" * 5_000 + b"\r\n",
         b"X: " + b"y" * 70_000 + b"\r\n", b"Sforce-Locator: \xe9\r\n", b"Connection: upgrade\r\n"]
    ), max_size=4,
).map(b"".join)  # fmt: skip
CHUNKS = st.sampled_from(
    [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"-1\r\n",
        b"zz\r\n",
        b"5\r\nhe",
        b"fffffffff\r\n",
        gzip.compress(b"{}"),
        gzip.compress(b'{"a":1}')[:-4],
    ]
)
RAW = st.builds(lambda *parts: b"".join(parts), HEADS, LINES, st.sampled_from([b"\r\n", b""]), ANSWERS | CHUNKS) | st.binary(max_size=80)  # fmt: skip
ASKED = {
    "send": lambda client: client.send(endpoints.limits("64.0")),
    "records": lambda client: client.records("SELECT Id FROM Contact"),
    "count": lambda client: client.count("SELECT COUNT() FROM Contact"),
    "describe": lambda client: client.describe("Contact"),
    "describes": lambda client: describes(client, ["Contact", "Task"]),
    "collections": lambda client: collections(client, "Contact", ["003D000000QOMyqIAH"], ["Id"]),
    "org_limits": lambda client: client.org_limits(),
    "record_counts": lambda client: client.record_counts(["Contact"]),
    "versions": lambda client: client.versions(),
    "bulk": lambda client: list(bulk_pages(client, "SELECT Id FROM Contact")),
    "result pages": lambda client: client.send(endpoints.bulk_result_pages("64.0", "750R", 50_000), bulk_readers.result_pages),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
@fuzzed(40)
@given(st.lists(RAW, min_size=1, max_size=4))
@example([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"])
# Python refuses to read a number of more than 4,300 digits, with a ValueError.
@example(
    [
        b"HTTP/1.1 200 OK\r\nSforce-Limit-Info: api-usage=1/"
        + b"9" * 5_000
        + b"\r\nContent-Length: 2\r\n\r\n{}"
    ]
)
@example([b"HTTP/1.1 503 X\r\nRetry-After: " + b"9" * 5_000 + b"\r\nContent-Length: 2\r\n\r\n{}"])
@example([b"HTTP/1.1 503 X\r\nRetry-After: \xb2\r\nContent-Length: 0\r\n\r\n"])
@example(
    [b"HTTP/1.1 500 X\r\nRetry-After: Sun, 99 Nov 2026 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n"]
)
@example(
    [
        b"HTTP/1.1 500 X\r\nRetry-After: Sun, 06 Nov 9999999 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n"
    ]
)
def test_a_client_answers_or_raises_our_errors(name, server, answers):
    """Raw bytes in place of HTTP answers, several in a row, to everything that a client can ask."""
    server.heard.clear()
    server.fallback = lambda _: Bytes(
        answers[min(len(server.heard), len(answers)) - 1], then="close"
    )
    client = SalesforceClient(
        Tokens(server.url), sleep=lambda _: None, timeout_seconds=2, attempts=2
    )
    with contextlib.suppress(SalesforceError):
        ASKED[name](client)
    client.close()

    assert len(server.heard) < 60


@pytest.mark.parametrize("way", ["token", "soap"])
@fuzzed(40)
@given(RAW)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n[{}]")
def test_a_sign_in_ends_or_raises_our_errors(way, server, raw):
    """The same at the other endpoint."""
    server.fallback = lambda _: Bytes(raw, then="close")
    transport = Transport(connections=1, connect_seconds=2, read_seconds=2, total_seconds=4)
    endpoint = LoginEndpoint(transport, sleep=lambda _: None, attempts=2)
    with contextlib.suppress(SalesforceError):
        if way == "token":
            login.session_of(endpoint.token(server.url, {"grant_type": "password"}, ["secret"]))
        else:
            soap.SoapCredentials("user", "secret", "token", login_url=server.url).sign_in(endpoint)
    transport.close()


@fuzzed(75)
@given(st.text(max_size=40), st.text(max_size=40), HEADERS, st.binary(max_size=80) | st.none())
def test_the_judge_never_fails(method, path, headers, body):
    """Any request is let through or refused with a reason; the judge never raises."""
    reason = read_only.refusal(Request(method, path, body, headers))

    assert reason is None or 0 < len(reason) < 200
