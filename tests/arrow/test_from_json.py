"""The quick way to read JSON answers says the same as the slow one, whatever the answer is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from salesforce_targeted.api import json_lines, readers
from salesforce_targeted.api.errors import TruncatedResponseError
from salesforce_targeted.api.models import JsonRows, Response
from salesforce_targeted.arrow.batch import Batch
from salesforce_targeted.arrow.from_json import from_json, from_records, from_response
from tests.support.fields import ONE_OF_EACH, assert_same, columns_of, records

# --- answers, as Salesforce writes them and as it does not

SEPARATORS = [(",", ":"), (", ", ": "), (",", ": "), (" ,", ":"), (",\n", ":")]
# Texts that look like the seams between records.
SEAMS = [
    '},{"attributes":', "},null,", '[{"attributes":{', "null,", '"records":[', "]}", "}]", "\\",
    '\\"},{\\"attributes\\":', '"', "\n", '}\n{"attributes":', "",
]  # fmt: skip
hostile = (
    st.sampled_from(SEAMS)
    | st.text(max_size=6)
    | st.text(alphabet="\ud800\udbff\udc00\udfffa\0", max_size=4)
    | st.text(alphabet='},{"atribues:nl\\', max_size=12)
)
anything = (
    st.none() | st.booleans() | hostile
    | st.integers(-(2**70), 2**70) | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([2**53, 2**63, 2**64, -(2**63) - 1, 1e300, 12.0, 12.5, "2024-02-29", "2024-02-30",
                       "2024-02-29T10:11:12.000+0000", "10:11:12.000Z", "12", "true", " "])
    | st.recursive(
        hostile,
        lambda inner: st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["attributes", "records", "a"]), inner, max_size=2),
        max_leaves=4,
    )
)  # fmt: skip
of_wrong_types = st.dictionaries(
    st.sampled_from([*ONE_OF_EACH.fields[1:], "Other__c", "attributes2"]), anything, max_size=6
)
seamy = records | st.fixed_dictionaries(
    {"Text": hostile, "Long": hostile, "Flag": st.booleans(), "Odd": hostile}
)
entries = st.lists(st.none() | seamy | seamy | of_wrong_types, max_size=6)


def written(
    rows: list[dict[str, Any] | None],
    separators: tuple[str, str],
    *,
    plain: bool,
    indent: int | None,
) -> bytes:
    """Entries as a JSON array, each record with its attributes first; ``plain`` leaves UTF-8 in it."""
    whole = [
        None
        if row is None
        else {"attributes": {"type": "Contact", "url": f"/x/{n}"}, "Id": f"{n:018}", **row}
        for n, row in enumerate(rows)
    ]
    text = json.dumps(whole, separators=separators, ensure_ascii=not plain, indent=indent)
    return text.encode("utf-8", "surrogatepass")  # half a character as bytes is no UTF-8 either


def read_both(rows: JsonRows, of: Any = ONE_OF_EACH) -> tuple[Batch | str, Batch | str]:
    """Return what the quick way makes of a response, and what the slow one does."""

    def outcome(read: Any) -> Batch | str:
        try:
            return read()
        except TruncatedResponseError:
            return "no answer"

    return (
        outcome(lambda: from_json(rows, of)),
        outcome(lambda: from_records([row for row in rows.parsed() if row is not None], of)),
    )


def assert_agree(rows: JsonRows, of: Any = ONE_OF_EACH) -> None:
    quick, slow = read_both(rows, of)
    if isinstance(quick, str) or isinstance(slow, str):
        assert slow == quick
        return
    assert_same(quick, slow)
    assert slow.rejected == quick.rejected


TIGHT: dict[str, Any] = {"separators": (",", ":"), "plain": True, "indent": None}
LIKE = settings(max_examples=120, deadline=None, derandomize=True)


@LIKE
@given(
    rows=entries, separators=st.sampled_from(SEPARATORS), plain=st.booleans(),
    indent=st.sampled_from([None, None, None, 1]),
)  # fmt: skip
@example(rows=[{"Text": "},null,"}, None, {"Text": '},{"attributes":'}], **TIGHT)
@example(rows=[{"Long": "\ud83d"}, {"Long": "\udc00x"}], **TIGHT)
@example(rows=[None, {"Long": "\ud83d"}, None], **{**TIGHT, "plain": False})
@example(rows=[{"Odd": [{"attributes": {}}, {"attributes": {}}]}, {}], **TIGHT)
@example(rows=[{"Odd": {"records": [{"attributes": {}}, None, {"attributes": {}}]}}], **TIGHT)
@example(rows=[{"Int": 2**63, "Double": 2**70, "Text": 5}, {"Int": 12.0}], **TIGHT)
def test_entries_of_collections_read_alike(
    rows: list[dict[str, Any] | None], separators: tuple[str, str], plain: bool, indent: int | None
) -> None:
    """The same rows, hashes and rejections."""
    body = written(rows, separators, plain=plain, indent=indent)

    assert_agree(json_lines.raw_collection(Response(200, {}, body), len(rows)))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    rows=st.lists(st.none() | seamy, max_size=8), separators=st.sampled_from(SEPARATORS),
    plain=st.booleans(),
)  # fmt: skip
@example(
    rows=[None, {"Text": "},null,"}, None, None, {"Text": "[null,"}, None],
    separators=(",", ":"), plain=True,
)  # fmt: skip
def test_nulls_are_counted_where_they_are_entries(
    rows: list[dict[str, Any] | None], separators: tuple[str, str], plain: bool
) -> None:
    """Entries and nulls together are what was asked for; texts that look like nulls are none."""
    body = written(rows, separators, plain=plain, indent=None)
    lines = json_lines.raw_collection(Response(200, {}, body), len(rows))

    assert len(rows) - rows.count(None) == len(from_json(lines, ONE_OF_EACH))


@LIKE
@given(
    st.lists(seamy | of_wrong_types, max_size=5), st.sampled_from(SEPARATORS), st.booleans(),
    st.sampled_from([None, None, 1]), st.sampled_from(["first", "last", "between"]),
)  # fmt: skip
def test_pages_of_queries_read_alike(
    rows: list[dict[str, Any]],
    separators: tuple[str, str],
    plain: bool,
    indent: int | None,
    place: str,
) -> None:
    """Whether the records stand at the end of the page, where Salesforce puts them, or not."""
    entries = [
        {"attributes": {"type": "Contact"}, "Id": f"{n:018}", **row} for n, row in enumerate(rows)
    ]
    frame: dict[str, Any] = {"totalSize": len(rows), "done": True, "note": '"records":['}
    page = {
        "first": {"records": entries, **frame},
        "last": {**frame, "records": entries},
        "between": {"totalSize": len(rows), "records": entries, "done": True},
    }[place]
    text = json.dumps(page, separators=separators, ensure_ascii=not plain, indent=indent)
    response = Response(200, {}, text.encode("utf-8", "surrogatepass"))
    page, whole = json_lines.raw_page(response), readers.page(response)

    assert (whole.next, whole.total) == (page.next, page.total)
    assert_agree(page.records)
    slow = from_records(whole.records, ONE_OF_EACH)
    assert_same(from_json(page.records, ONE_OF_EACH), slow)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.none() | seamy, min_size=1, max_size=3), st.data())
def test_what_was_cut_or_changed_reads_alike(
    rows: list[dict[str, Any] | None], data: st.DataObject
) -> None:
    """Bytes that are missing or other bytes: an error by both, or the same by both."""
    body = written(rows, (",", ":"), plain=True, indent=None)
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 3)))
    put = data.draw(st.sampled_from([b"", b"\xff", b"\0", b'"', b"}", b"]", b",", b"null", b"\\"]))
    lines = json_lines.raw_collection(Response(200, {}, body[:start] + put + body[end:]), len(rows))
    quick, slow = read_both(lines)

    if not isinstance(slow, str):
        assert_agree(lines)
    else:
        assert isinstance(quick, str)


NUMBERS = columns_of(N="double", I="int")


@pytest.mark.parametrize(
    "value",
    [
        "1e400", "-1e400", "1e-400", "12345678901234567", "1.2345678901234568E17", "-0.0", "4.9E-324",
        "2.4703282292062327E-324", "9007199254740993", "123456789012345678901234567890", "1" * 300,
        "18446744073709551616", "-9223372036854775809", "0.1e1", "12.0", "1E+5", "01", "1.", ".5", "+1",
        "0x10", "tru", "", '"NaN"', '"1"', "true", "[1]", "{}", "1 ", "/**/1", "\ufeff1",
        "1" * 400, "NaN", "Infinity", "-Infinity", "-NaN", "nan", "Inf",
    ],
    ids=lambda value: value[:24],
)  # fmt: skip
@pytest.mark.parametrize("field", ["N", "I"])
def test_numbers_read_alike(field: str, value: str) -> None:
    """However they are spelled; what is no number of JSON is no answer."""
    for text in (
        f'"{field}":{value}',
        f'"{field}":0}},{{"attributes":{{}},"Id":"2","{field}":{value}',
    ):
        body = '[{"attributes":{},"Id":"1",' + text + "}]"
        lines = json_lines.raw_collection(Response(200, {}, body.encode()), body.count('"Id"'))

        assert_agree(lines, NUMBERS)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_costs_itself_alone(value: str) -> None:
    """A double without a value, as Java writes it and JSON has no word for: the records load."""
    body = f'[{{"attributes":{{}},"Id":"1","N":{value},"I":4}},{{"attributes":{{}},"Id":"2","N":1.5,"I":5}}]'
    (bare, whole) = (Response(200, {}, text.encode()) for text in (body, "\ufeff" + body))

    for response in (bare, whole):
        batch = from_json(json_lines.raw_collection(response, 2), NUMBERS)
        assert [None, 1.5] == batch.table.column("N").to_pylist()
        assert [4, 5] == batch.table.column("I").to_pylist()
        assert [("1", "N", f'"{value}"')] == [
            (r.record_id, r.field, r.payload) for r in batch.rejected
        ]


@pytest.mark.parametrize(
    "body",
    [
        '[{"attributes":{},"Id":"1"}\n{"attributes":{},"Id":"2"}]',
        '[{"attributes":{},"Id":"1"} {"attributes":{},"Id":"2"}]',
        '[{"attributes":{},"Id":"1"},{"attributes":{},"Id":"2"},]',
        '[{"attributes":{},"Id":"1"},5,{"attributes":{},"Id":"2"}]',
        '[{"attributes":{},"Id":"1"},{"attributes":{},"Id":"2"}}]',
        '[{"attributes":{},"Id":"1"},{"attributes":{},"Id":"2"]}]',
        '[{"attributes":{},"Id":"1"},{"attributes":{},"Id":"2","Text":"a\nb"}]',
        '[{"attributes":{},"Id":"1"}],[{"attributes":{},"Id":"2"}]',
        "[null,null,]", "[,]", "[", "]", "", "{}", "null", '"[]"', "[[]]",
        '<html>[{"attributes":{},"Id":"1"},{"attributes":{},"Id":"2"}]',
    ],
)  # fmt: skip
def test_what_is_no_list_of_records_is_no_answer(body: str) -> None:
    """Nothing is read of an answer that is not JSON, or not a list of records."""
    lines = json_lines.raw_collection(Response(200, {}, body.encode()), 2)

    assert ("no answer", "no answer") == read_both(lines)


@pytest.mark.parametrize(
    ("body", "id_"),
    [
        ('[{"attributes":{},"Id":"1","Id":"2"}]', "2"),  # the last one counts, as everywhere
        ('[{"attributes":{},"\\u0049d":"1"}]', "1"),
        ('[{"attributes":{},"Id":"1","id":"2","ID":"3"}]', "1"),
        ('[{"attributes":{"Id":"2"},"Id":"1"}]', "1"),
        ('[{"attributes":{},"Id":"1","Owner":{"attributes":{},"Id":"2"}}]', "1"),
    ],
)
def test_names_in_a_record(body: str, id_: str) -> None:
    """A field is the one of that name in the record itself."""
    lines = json_lines.raw_collection(Response(200, {}, body.encode()), 1)

    assert_agree(lines)
    assert [id_] == from_json(lines, ONE_OF_EACH).table.column("id").to_pylist()


def test_the_quick_way_is_taken() -> None:
    """For what Salesforce writes: otherwise all these tests compare the slow way with itself."""
    rows: list[dict[str, Any] | None] = [
        {
            "Text": "ü😈",
            "Int": 1,
            "Double": 1.5,
            "Day": "2024-02-29",
            "Time": "10:11:12.999Z",
            "Moment": "2024-02-29T10:11:12.000+0000",
            "Other__c": {"a": [1]},
            "Flag": None,
        },
        None,
        {"Flag": True},
    ]
    raw = json_lines.raw_collection(
        Response(200, {}, written(rows, (",", ":"), plain=True, indent=None)), 3
    )

    def never() -> Any:
        raise AssertionError("the slow way was taken")

    assert raw.lines is not None
    assert 2 == len(from_json(JsonRows(raw.lines, never), ONE_OF_EACH))


# --- lines


LINE = b'{"attributes":{},"Id":"1"}'


@pytest.mark.parametrize(
    ("array", "lines", "nulls"),
    [
        (b"[]", b"", 0),
        (b"[%s]" % LINE, LINE, 0),
        (b"[%s,%s]" % (LINE, LINE), LINE + b"\n" + LINE, 0),
        (b"[null,%s]" % LINE, LINE, 1),
        (b"[%s,null,null]" % LINE, LINE, 2),
        (b"[null,null,%s,null,%s,null,null,null,%s,null]" % (LINE, LINE, LINE),
         LINE + b"\n" + LINE + b"\n" + LINE, 7),
    ],
)  # fmt: skip
def test_an_array_as_lines(array: bytes, lines: bytes, nulls: int) -> None:
    """One record a line; nulls are counted, wherever they stand."""
    assert (lines, nulls) == json_lines.json_lines(array)


@pytest.mark.parametrize(
    "array",
    [b"", b"[ ]", b"[null]", b"[null,null]", b"{}", b"null", b"[1]", b'[{"Id":"1"}]',
     b'[{ "attributes":{}}]', b'[ {"attributes":{}}]', b'[{"attributes":{}} ]', b'[{"attributes":{}}',
     b'[{"attributes":{}}]\n', b'[\n{"attributes":{}}]'],
)  # fmt: skip
def test_an_array_that_is_not_written_that_way(array: bytes) -> None:
    """Left to the reader of JSON of any kind."""
    assert json_lines.json_lines(array) is None


@pytest.mark.parametrize("nulls", [0, 1, 2_000, 20_000])
def test_many_nulls_at_the_end(nulls: int) -> None:
    """Two thousand ids of no record are a response like any other; more are read the slow way."""
    rows: list[dict[str, Any] | None] = [{"Text": "a"}, *[None] * nulls]
    body = written(rows, (",", ":"), plain=True, indent=None)
    lines = json_lines.raw_collection(Response(200, {}, body), len(rows))

    assert_agree(lines)
    assert 1 == len(from_json(lines, ONE_OF_EACH))


def test_nothing_but_nulls() -> None:
    """A response to ids of no record is no rows and no error."""
    lines = json_lines.raw_collection(Response(200, {}, b"[null,null]"), 2)

    assert (0, ONE_OF_EACH.schema) == (
        len(from_json(lines, ONE_OF_EACH)),
        from_json(lines, ONE_OF_EACH).table.schema,
    )


# --- pages


MORE = '"nextRecordsUrl":"/services/data/v64.0/query/01g-2000"'


@pytest.mark.parametrize(
    "body",
    [
        '{"totalSize":5,"done":false,"records":[]}',
        '{"totalSize":5,"done":false,"nextRecordsUrl":"https://evil.example/x","records":[]}',
        '{"totalSize":5,"done":false,"nextRecordsUrl":5,"records":[{"attributes":{},"Id":"1"}]}',
        '{"totalSize":"5","done":true,"records":[{"attributes":{},"Id":"1"}]}',
        '{"done":true,"records":[{"attributes":{},"Id":"1"}]}',
        '{"totalSize":1,"records":[{"attributes":{},"Id":"1"}]}',
        '{"totalSize":2,"done":true,"records":[null]}',
        '{"totalSize":2,"done":true,"records":[{"attributes":{},"Id":"1"},null,{"attributes":{},"Id":"2"}]}',
        '{"totalSize":1,"done":true,"records":[1]}',
        '{"totalSize":1,"done":true}',
        '{"totalSize":1,"done":true,"a":{"records":[]}}',
        "[]", "null", "", '"records":[]}', '{"records":[]}',
    ],
)  # fmt: skip
def test_a_page_that_contradicts_itself_is_none(body: str) -> None:
    """Not done without a next page, another host, no rows: as by the slow reader."""
    response = Response(200, {}, body.encode())
    for read in (readers.page, json_lines.raw_page):
        with pytest.raises(TruncatedResponseError):
            read(response)


@pytest.mark.parametrize(
    "body",
    [
        '{"totalSize":1,"done":true,"a":{"records":[]},"records":[{"attributes":{},"Id":"1"}]}',
        '{"a":"\\"records\\":[","totalSize":1,"done":true,"records":[{"attributes":{},"Id":"1"}]}',
        '{"totalSize":1,"done":true,"records":[{"attributes":{},"Id":"1","Kids":{"records":[]}}]}',
        '{"totalSize":1,"done":true,"records":[],"records":[{"attributes":{},"Id":"1"}]}',
        '{"totalSize":1,"done":true,"records":[{"attributes":{},"Id":"2"}],"records":[{"attributes":{},"Id":"1"}]}',
        '{"totalSize":1,"done":true,"records":[{"attributes":{},"Id":"1"}],"a":[]}',
        '{"totalSize":9,"done":false,' + MORE + ',"records":[{"attributes":{},"Id":"1"}]}',
        '{"totalSize":9,"done":false,"records":[{"attributes":{},"Id":"1"}],' + MORE + "}",
    ],
)  # fmt: skip
def test_a_page_written_another_way(body: str) -> None:
    """What looks like the page's records and is not does not mislead."""
    response = Response(200, {}, body.encode())
    whole, page = readers.page(response), json_lines.raw_page(response)

    assert (whole.next, whole.total) == (page.next, page.total)
    assert whole.records == [{**row} for row in page.records.parsed() if row]
    assert ["1"] == from_json(page.records, ONE_OF_EACH).table.column("id").to_pylist()


def test_a_page_is_left_to_the_quick_reader() -> None:
    """What Salesforce writes is not read twice."""
    body = '{"totalSize":9,"done":false,' + MORE + ',"records":[' + LINE.decode() + "]}"
    page = json_lines.raw_page(Response(200, {}, body.encode()))

    assert (LINE, 9) == (page.records.lines, page.total)
    assert page.next is not None


@pytest.mark.parametrize("space", ["", " "], ids=["as Salesforce writes it", "with spaces"])
def test_a_field_that_no_record_has_was_left_out(space: str) -> None:
    """What held it keeps its value: not to be told is another matter than null."""
    of = columns_of(A="string", B="string", C="string")
    shown = b'[{"attributes":{},"Id":"1","A":null},{"attributes":{},"Id":"2","A":null,"B":null}]'
    without_nulls = b'[{"attributes":{},"Id":"1","A":"a"},{"attributes":{},"Id":"2"}]'

    def left_out(body: bytes) -> list[tuple[str, str]]:
        body = body.replace(b"},{", b"}," + space.encode() + b"{")
        rows = json_lines.raw_collection(Response(200, {}, body), 2)
        return [(r.record_id, r.field) for r in from_response(rows, of).rejected]

    assert [("*", "C")] == left_out(shown)
    assert [] == left_out(without_nulls)
