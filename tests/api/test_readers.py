"""Answers become values or our errors, whatever the bytes are."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from salesforce_targeted.api import bulk_readers, json_lines, models, readers
from salesforce_targeted.api.errors import SalesforceError, TruncatedResponseError
from salesforce_targeted.api.models import Response
from salesforce_targeted.api.refusals import error_responses
from tests.support.bulk_pages import rows_of
from tests.support.responses import answered

SAMPLES = Path(__file__).parent.parent / "samples"


def test_a_page_and_its_successor(sample):
    """Rows come without attributes, nested ones too; the next page is a request."""
    page = readers.page(sample("query_page_first"))

    assert [{"Id": "003D000000QOMyqIAH", "LastName": "Gonzalez"},
            {"Id": "003D000000QOMyrIAH", "LastName": "O'Brien", "Account": {"Name": "Acme"}}] == page.records  # fmt: skip
    assert 3 == page.total
    assert (
        models.Request("GET", "/services/data/v64.0/query/01gRO0000016PIAYA2-2", kind="query_more")
        == page.next
    )


def test_the_last_page(sample):
    """No next page; null and text beyond ASCII arrive as they are."""
    page = readers.page(sample("query_page_last"))

    assert [{"Id": "003D000000QOMysIAH", "LastName": "Dürr 😀", "Account": None}] == page.records
    assert page.next is None


def test_an_aggregate_row(sample):
    """AggregateResult has attributes without url."""
    assert [{"expr0": 300.0}] == readers.page(sample("query_aggregate")).records


def test_a_count(sample):
    """COUNT() answers in totalSize alone."""
    page = readers.page(sample("query_count"))

    assert (2392, []) == (page.total, page.records)


def test_child_rows_become_a_list():
    """A subquery's frame is taken off."""
    children = {"totalSize": 1, "done": True, "records": [{"attributes": {}, "Id": "a"}]}
    body = {
        "totalSize": 1,
        "done": True,
        "records": [{"attributes": {}, "TaskWhoRelations": children}],
    }

    assert [{"TaskWhoRelations": [{"Id": "a"}]}] == readers.page(answered(body)).records


@pytest.mark.parametrize(
    "body",
    [
        {"totalSize": 5, "done": False, "records": []},
        {"totalSize": 5, "done": False, "records": [], "nextRecordsUrl": "https://evil.example/x"},
        {
            "totalSize": 5,
            "done": False,
            "records": [],
            "nextRecordsUrl": "/services/data/v64.0/../x",
        },
        {"totalSize": 5, "done": True},
        {"totalSize": 5, "done": True, "records": [1]},
        {"totalSize": "5", "done": True, "records": []},
        {"records": []},
        [],
        None,
    ],
)
def test_a_page_that_contradicts_itself(body):
    """Not done without a next page, another host, no rows: never taken for the end."""
    with pytest.raises(TruncatedResponseError):
        readers.page(answered(body))


def test_a_collection_with_a_null(sample):
    """One entry per id, None for what isn't shown."""
    records = readers.collection(sample("collection_with_null"), 3)

    assert [{"Id": "003D000000QOMyqIAH", "LastName": "Gonzalez"}, None,
            {"Id": "003D000000QOMysIAH", "LastName": "Dürr"}] == records  # fmt: skip


@pytest.mark.parametrize("asked", [2, 4])
def test_a_collection_of_another_length(sample, asked):
    """An entry too few or too many can't be told which; nothing of it is used."""
    with pytest.raises(TruncatedResponseError, match="has 3"):
        readers.collection(sample("collection_with_null"), asked)


def test_composite_parts_in_order_of_asking(sample):
    """Parts are told by reference, not by place."""
    body = json.loads(sample("composite_mixed").body)
    body["compositeResponse"].reverse()

    assert [200, 404] == [status for status, _ in readers.composite_results(answered(body), 2)]


@pytest.mark.parametrize(
    "entries",
    [[], [{"referenceId": "r1", "httpStatusCode": 200}], [1], "x", [{"referenceId": "r0"}]],
)
def test_a_composite_that_lacks_a_part(entries):
    """A part that is missing or unreadable spoils the answer."""
    with pytest.raises(TruncatedResponseError):
        readers.composite_results(answered({"compositeResponse": entries}), 1)


def test_a_lone_surrogate_costs_one_character():
    """Half an emoji in one record becomes U+FFFD, marked by a NUL, and costs no other record."""
    body = b'{"totalSize":2,"done":true,"records":[{"Name":"a\\ud83d"},{"Name":"\\u2028 \\u0000 \xff"}]}'

    assert [{"Name": "a\0\ufffd"}, {"Name": "\u2028 \0 \0\ufffd"}] == readers.page(
        Response(200, {}, body)
    ).records


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("api-usage=18/5000", (18, 5000)),
        ("per-app-api-usage=17/250(appName=x); api-usage=18/5000", (18, 5000)),
        ("api-usage=18/5000; per-app-api-usage=17/250(appName=x)", (18, 5000)),
        ("per-app-api-usage=17/250(appName=x)", None),
        ("", None),
    ],
)
def test_usage(header, expected):
    """The org's calls, not the app's."""
    assert expected == readers.usage(Response(200, {"sforce-LIMIT-info": header}, b""))


READERS = [
    readers.page,
    json_lines.raw_page,
    lambda r: json_lines.raw_page(r).records.parsed(),
    lambda r: json_lines.raw_collection(r, 1).parsed(),
    readers.json_object,
    bulk_readers.job,
    bulk_readers.result_pages,
    lambda r: readers.collection(r, 1),
    lambda r: readers.composite_results(r, 1),
    lambda r: bulk_readers.csv_page(r, rows_of),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["records", "done", "totalSize", "nextRecordsUrl", "id", "state", "compositeResponse",
                         "referenceId", "httpStatusCode", "attributes", "resultPages", "resultUrl", "fields",
                         "errorCode", "message", "apiVersion", "numberRecordsProcessed"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@given(st.binary(max_size=80) | JSON.map(lambda v: json.dumps(v).encode()), st.integers(100, 599))
@example(b"[" * 200_000, 200)
@example(
    b'{"totalSize":1,"done":true,"records":[' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"]}", 200
)
@example(b'{"id":"750","state":"x","apiVersion":' + b"9" * 5000 + b"}", 200)
@example(b'{"id":"750","state":"x","apiVersion":1e999}', 200)
@example(b'{"id":"750","state":"x","apiVersion":1' + b"0" * 400 + b"}", 200)
@example('{"id":"٧٥٠","state":"x"}'.encode(), 200)
@example(b'{"done":NaN}', 200)
def test_readers_raise_our_errors_only(body, status):
    """Whatever arrives is a value or a SalesforceError."""
    response = Response(status, {"Sforce-NumberOfRecords": "²", "Sforce-Locator": "\x00"}, body)
    for read in READERS:
        try:
            read(response)
        except SalesforceError:
            continue
    assert isinstance(error_responses.refusal(response).error("GET /x"), SalesforceError)


@pytest.mark.parametrize("case", sorted(p.parent.name for p in SAMPLES.glob("*/body")))
def test_cut_samples_raise_our_errors_only(sample, case):
    """Each sample, cut anywhere, is an error of ours or still the whole truth."""
    whole = sample(case)
    for size in range(0, len(whole.body), 7):
        for read in READERS:
            try:
                read(Response(200, whole.headers, whole.body[:size]))
            except SalesforceError:
                continue
            # A CSV cut at the end of a record is only told by the announced number of records.
            assert read is READERS[-1]
            assert "Sforce-NumberOfRecords" not in whole.headers or case == "bulk_results"


@pytest.mark.parametrize("case", sorted(p.parent.name for p in SAMPLES.glob("*/body")))
def test_every_sample_names_its_source(case):
    """A sample without a source is hearsay."""
    (meta,) = (SAMPLES / case).glob("*.json")

    assert json.loads(meta.read_text())["source"]
