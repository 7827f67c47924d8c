"""Whatever bytes come over the wire: a value, or an error of ours; never anything else.

Bounded and the same in every run; ``FUZZ_EXAMPLES=20000`` tries as many new ones per test instead.
"""

import contextlib
import gzip
import json
import os
import pickle

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from salesforce_targeted import tables
from salesforce_targeted.api import bulk, errors, sign_in, soap_login, wire
from salesforce_targeted.api.client import SalesforceClient, described
from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.api.sign_in import Door
from salesforce_targeted.api.transport import Transport
from salesforce_targeted.api.wire import Page, Request, Response
from tests.api.conftest import SAMPLES, Bytes, Tokens, load_sample
from tests.fields import ONE_OF_EACH, records

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))


def fuzzed(usual):
    """So many examples, the same ones each time; or as many new ones as FUZZ_EXAMPLES says."""
    return settings(
        max_examples=EXAMPLES or usual,
        derandomize=not EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


# --- bytes -----------------------------------------------------------------------------------------

CASES = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())
BODIES = [load_sample(case).body for case in CASES]
DEEP = b'[{"a":' * 3_000
TOKENS = st.sampled_from(
    [b"null", b"true", b"{}", b"[]", b"[[", b"]", b"}", b'"', b'""', b",", b":", b"\\", b"\\u0000", b"\\ud800",
     b"\\ud83d\\ude00", b"1e999", b"-1e999", b"NaN", b"-Infinity", b"-0", b"1.5", b"9" * 30, b"9" * 5_000, b"\x00",
     b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\x0b", b"\r", b"\n", b"\r\n", b"<html>",
     b"<title>\xff</title>", b'"records":', b'"done":false', b'"totalSize":-1', b'"nextRecordsUrl":"/"', b'"fields":{}',
     b'"attributes":[]', b'"errorCode":', b'"httpStatusCode":"200"', b'"referenceId":"r0"', b'"compositeResponse":', DEEP,
     "٧".encode(), "²".encode(), b"=", b'="', b"''"]
)  # fmt: skip


@st.composite
def altered(draw, bodies):
    """One of the bodies, with pieces cut out, put in, doubled and exchanged."""
    body = draw(st.sampled_from(bodies))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.sampled_from([0, 0, 1, 2, 7, 60, 10_000])))
        put = draw(TOKENS | st.binary(max_size=4) | st.just(body[start:end] * 2))
        body = body[:start] + put + body[end:]
    return body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["records", "done", "totalSize", "nextRecordsUrl", "id", "Id", "state", "compositeResponse",
                         "referenceId", "httpStatusCode", "attributes", "resultPages", "resultUrl", "fields", "body",
                         "errorCode", "message", "apiVersion", "numberRecordsProcessed", "error", "error_description",
                         "access_token", "instance_url", "sObjects", "name", "count", "version"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
ANSWERS = (
    st.binary(max_size=60) | altered(BODIES) | JSON.map(lambda value: json.dumps(value).encode())
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        name: st.text(max_size=12) | st.sampled_from(["null", "api-usage=1/2", "api-usage=9999999999/-1", "²", "1e3", "text/csv", "TEXT/HTML", "٣"])
        for name in ("Sforce-NumberOfRecords", "Sforce-Locator", "Sforce-Limit-Info", "Content-Type", "Retry-After")
    },
)  # fmt: skip
RESPONSES = st.builds(Response, st.integers(100, 999), HEADERS, ANSWERS)


# --- the readers -----------------------------------------------------------------------------------

READERS = {
    "parsed": (wire.parsed, object),
    "json_object": (wire.json_object, dict),
    "page": (wire.page, Page),
    "job": (wire.job, wire.Job),
    "result_pages": (wire.result_pages, list),
    "collection": (lambda response: wire.collection(response, 1), list),
    "composite_results": (lambda response: wire.composite_results(response, 1), list),
    "composite_results of any number": (wire.composite_results, list),
    "usage": (lambda response: wire.usage(response) or (), tuple),
    "error_codes": (wire.error_codes, list),
    "is_concurrency": (wire.is_concurrency, bool),
    "described": (described, (dict, SalesforceError)),
    "bulk page": (bulk._page, tuple),
    "count_rows": (lambda response: bulk.count_rows(response.body), int),
    "refused token": (lambda response: sign_in.refused_token(response, "password", ["secret"]), SalesforceError),
    "refused SOAP login": (lambda response: soap_login._refused(response, ("secret",)), SalesforceError),
    "instance of a SOAP login": (soap_login._instance, str),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@fuzzed(150)
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
        found = read(response)
    except SalesforceError as error:
        found, kind = error, SalesforceError

    assert isinstance(found, kind)
    assert kind is not SalesforceError or 1 == len(str(found).splitlines())


@fuzzed(400)
@example(Response(400, {}, b'[{"errorCode":"A\\r\\nB","message":"no"}]'), "", "other")
@given(
    RESPONSES,
    st.sampled_from(["", "GET /services/data/v64.0/query"]),
    st.sampled_from(["other", "bulk_create", "query"]),
)
def test_an_answer_becomes_an_error_of_ours(response, call, kind):
    """Any answer can be told as an error: one paragraph, cut, picklable, with a remedy."""
    error = wire.error_from(response, call, kind)

    assert isinstance(error, SalesforceError)
    assert 1 == len(str(error).splitlines())
    assert len(error.message) < 500
    assert str(error) == str(pickle.loads(pickle.dumps(error)))


@fuzzed(300)
@given(st.integers(), JSON | st.integers(min_value=2**63))
def test_a_part_of_composite_reads_as_if_alone(status, body):
    """Whatever JSON stands in a part is an answer to the readers."""
    response = wire.part(status, body)
    for read, _ in READERS.values():
        with contextlib.suppress(SalesforceError):
            read(response)

    assert isinstance(wire.error_from(response, ""), SalesforceError)


@fuzzed(300)
@given(st.text(max_size=900), st.lists(st.text(max_size=9), max_size=3))
def test_any_text_can_be_scrubbed(text, secrets):
    """No secret of four characters or more is left, and the text is cut to a line."""
    found = errors.scrub(text, secrets)

    assert len(found) <= 401
    assert found == " ".join(found.split())


@fuzzed(400)
@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=5), st.data())
def test_rows_are_counted_or_the_page_is_refused(rows, data):
    """A whole page counts its rows; cut anywhere it counts no more than there are."""
    lines = [("A", "B"), *rows]
    body = "".join(
        ",".join('"' + value.replace('"', '""') + '"' for value in line) + "\n" for line in lines
    ).encode("utf-8", "surrogatepass")
    cut = body[: data.draw(st.integers(0, len(body)))]

    assert len(rows) == bulk.count_rows(body)
    with contextlib.suppress(SalesforceError):
        assert bulk.count_rows(cut) <= len(rows)


# --- records and pages become tables ---------------------------------------------------------------

CSV = [
    b'"Id","Text","Long","Flag","Int","Double","Day","Moment","Time","Odd"\n'
    b'"003","a ""b"" \r\n c","\xc3\xbc,","true","-7","1.5E7","1700-01-01","2024-02-29T23:59:59.999Z","23:59:59.999Z","x"\n'
    b'"004","","","","","","","","",""\n',
    b'"Id","Text","Long","Flag","Int","Double","Day","Moment","Time","Odd"\n',
    b'"Id"\n"003"\n',
    b"",
]
CELLS = st.sampled_from(
    ["", "0", "1.5", "-0", "1E400", "NaN", "nan", "inf", "true", "TRUE", "0000-00-00", "0001-01-01", "4000-12-31", "99999-01-01",
     "-0044-03-15", "2024-02-30", "2024-02-29T25:00:00Z", "2024-02-29T23:59:60.000Z", "2024-02-29", "24:00:00.000Z", "9" * 400,
     "\0", "\x0b", "\u2028", "null", "-", "+1", "0x10", "1_000", " 1", "12:00"]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)  # fmt: skip


@fuzzed(400)
@given(st.binary(max_size=200) | altered(CSV))
@example(b'"Id","Text"\n"\xff","x"\n')
@example(CSV[0] * 2)
@example(CSV[0][:-1])
def test_a_page_of_csv_is_a_table_or_an_arrow_error(page):
    """Its documented error, whatever the page is."""
    try:
        batch = tables.from_csv(page, ONE_OF_EACH)
    except pa.ArrowException:
        return
    assert ONE_OF_EACH.schema == batch.table.schema
    batch.table.validate(full=True)


@fuzzed(300)
@given(st.lists(st.lists(CELLS, min_size=9, max_size=9), max_size=4))
def test_any_cell_is_loaded_or_rejected(rows):
    """Well-formed CSV with any cells: every row comes, every value is there, null or rejected."""
    lines = [ONE_OF_EACH.fields, *([f"{n:018}", *row] for n, row in enumerate(rows))]
    page = "".join(
        ",".join('"' + value.replace('"', '""') + '"' for value in line) + "\n" for line in lines
    )
    batch = tables.from_csv(page.encode(), ONE_OF_EACH)
    batch.table.validate(full=True)
    refused = {(one.record_id, one.field) for one in batch.rejected}

    assert [f"{n:018}" for n in range(len(rows))] == batch.table.column("id").to_pylist()
    for number, row in enumerate(rows):
        for column, text in zip(ONE_OF_EACH.items[1:], row, strict=True):
            held = batch.table.column(column.name)[number].as_py()
            empty = not text.replace("\0", "") if pa.types.is_string(column.type) else not text
            assert (held is None) == (empty or (f"{number:018}", column.field) in refused)


VALUES = JSON | CELLS | st.integers(min_value=2**62) | st.text(max_size=3)


@fuzzed(400)
@given(st.lists(st.dictionaries(st.sampled_from(ONE_OF_EACH.fields[1:]), VALUES), max_size=4))
def test_any_record_is_loaded_or_rejected(values):
    """Records of any JSON: every record is a row; what can't be a value is rejected alone."""
    rows = [{"Id": f"{n:018}", **value} for n, value in enumerate(values)]
    batch = tables.from_records(rows, ONE_OF_EACH)
    batch.table.validate(full=True)
    refused = [(one.record_id, one.field) for one in batch.rejected]

    assert [row["Id"] for row in rows] == batch.table.column("id").to_pylist()
    assert len(refused) == len(set(refused))
    assert [] == [one for one in batch.rejected if not isinstance(one.payload, str)]


@fuzzed(100)
@given(st.lists(records, max_size=3), st.data())
def test_true_records_survive_a_stranger(rows, data):
    """A record of nonsense among true ones changes nothing of theirs."""
    true = [{"Id": f"{n:018}", **row} for n, row in enumerate(rows)]
    strange = {
        "Id": "stranger",
        **data.draw(st.dictionaries(st.sampled_from(ONE_OF_EACH.fields[1:]), VALUES)),
    }
    alone = tables.from_records(true, ONE_OF_EACH).table
    beside = tables.from_records([*true, strange], ONE_OF_EACH).table

    assert alone.equals(beside.slice(0, len(true)).combine_chunks())


# --- the whole client, over a real connection ------------------------------------------------------

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
    "send": lambda client: client.send(wire.limits("64.0")),
    "records": lambda client: client.records("SELECT Id FROM Contact"),
    "count": lambda client: client.count("SELECT COUNT() FROM Contact"),
    "describe": lambda client: client.describe("Contact"),
    "describes": lambda client: client.describes(["Contact", "Task"]),
    "collections": lambda client: client.collections("Contact", ["003D000000QOMyqIAH"], ["Id"]),
    "org_limits": lambda client: client.org_limits(),
    "record_counts": lambda client: client.record_counts(["Contact"]),
    "versions": lambda client: client.versions(),
    "bulk": lambda client: list(bulk.pages(client, "SELECT Id FROM Contact", deadline_seconds=0.1)),
    "resumed bulk": lambda client: list(bulk.pages(client, "SELECT Id FROM Contact", resume="750R", deadline_seconds=0.1)),
    "result pages": lambda client: client.ask(wire.bulk_result_pages("64.0", "750R"), wire.result_pages),
}  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
@fuzzed(50)
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
    server.otherwise = lambda _: Bytes(
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
@fuzzed(60)
@given(RAW)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n[{}]")
def test_a_sign_in_ends_or_raises_our_errors(way, server, raw):
    """The same at the other door."""
    server.otherwise = lambda _: Bytes(raw, then="close")
    transport = Transport(connections=1, connect_seconds=2, read_seconds=2, total_seconds=4)
    door = Door(transport, sleep=lambda _: None, attempts=2)
    with contextlib.suppress(SalesforceError):
        if way == "token":
            sign_in.session_of(door.token(server.url, {"grant_type": "password"}, ["secret"]))
        else:
            soap_login.login(door, server.url, "user", "secret", "token")
    transport.close()


@fuzzed(300)
@given(st.text(max_size=40), st.text(max_size=40), HEADERS, st.binary(max_size=80) | st.none())
def test_the_judge_never_fails(method, path, headers, body):
    """Any request is let through or refused with a reason; the judge never raises."""
    reason = wire.refusal(Request(method, path, body, headers))

    assert reason is None or 0 < len(reason) < 200
