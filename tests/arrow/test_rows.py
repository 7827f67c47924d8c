"""JSON and CSV of one record make one row, whatever is in it; what does not fit is rejected."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from salesforce_targeted.api import json_lines
from salesforce_targeted.api.models import Response
from salesforce_targeted.arrow.batch import concat, together
from salesforce_targeted.arrow.from_csv import csv_texts, from_csv
from salesforce_targeted.arrow.from_json import from_json, from_records
from salesforce_targeted.arrow.id_set import id_array
from tests.support.fields import (
    ONE_OF_EACH,
    Number,
    as_csv,
    as_json,
    assert_same,
    columns_of,
    records,
    values,
)


def at(value: str) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


# --- the same row by either way


@settings(max_examples=150, deadline=None)
@given(st.lists(records, max_size=4))
@example([])
@example([dict.fromkeys(ONE_OF_EACH.fields[1:]) | {"Flag": False}])
def test_json_and_csv_of_the_same_records_are_the_same_rows(rows: list[dict[str, Any]]) -> None:
    """Which API fetched a row can't be seen in it, nor in its hash."""
    rows = [{"Id": f"{n:018}", **row} for n, row in enumerate(rows)]
    batch = as_json(rows, ONE_OF_EACH)

    assert_same(batch, as_csv(rows, ONE_OF_EACH))
    assert [] == batch.rejected
    assert ONE_OF_EACH.schema == batch.table.schema
    for row, held in zip(rows, batch.table.to_pylist(), strict=True):
        for name in ("Text", "Long", "Odd"):
            assert ((row[name] or "").replace("\0", "") or None) == held[name]
        assert (row["Flag"], row["Int"], row["Double"]) == (
            held["Flag"],
            held["Int"],
            held["Double"],
        )
        assert row["Day"] == (held["Day"] and held["Day"].isoformat())
        assert row["Moment"] == (held["Moment"] and _as_salesforce(held["Moment"]))


def _as_salesforce(moment: datetime) -> str:
    return f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}+0000"


@pytest.mark.parametrize(
    "value",
    [
        'a "quoted" word', '"', '""', "comma,", "line\nfeed", "carriage\r\nreturn", "lone\rcr",
        "\r\n", "\n", "tab\t", "u2028\u2028u2029\u2029", "nel\x85vt\x0bff\x0c", "fs\x1cgs\x1drs\x1e",
        "null", "NULL", "NA", "N/A", "None", "nan", "NaN", "#N/A", "\\N", "\\.", " ", "  leading",
        "trailing  ", "true", "0123", "1e5", "\ufeffbom", "emoji 😈", "e\u0301", "\ud7ff\ue000", "-",
        "'; DROP TABLE x; --", "#comment", "x" * 131_072, 'Ü😈,"\r\n' * 21_845,
    ],
    ids=lambda value: ascii(value[:18]),
)  # fmt: skip
def test_text_arrives_as_it_is(value: str) -> None:
    """Nothing that can be typed is null, a number, or the end of a record."""
    assert ([value, None, value], []) == values("textarea", [value, None, value])


def test_an_empty_text_is_null() -> None:
    """Salesforce has no empty strings, whatever an API says; nor has a text of NULs alone."""
    assert ([None, None, None], []) == values("string", ["", None, "\0\0"])


@pytest.mark.parametrize("kind", ["boolean", "int", "double", "date", "datetime", "time"])
def test_an_empty_string_is_null_in_any_column(kind: str) -> None:
    """An empty value is no bad number and no bad date."""
    assert ([None, None], []) == values(kind, ["", None])


def test_nuls_are_removed_and_counted() -> None:
    """PostgreSQL can't store NUL: the rest of the text stays, values are counted, not characters."""
    columns = columns_of(F="string", G="textarea")
    rows: list[dict[str, Any]] = [
        {"Id": "1", "F": "a\0b\0", "G": "\0"},
        {"Id": "2", "F": "ab", "G": None},
    ]
    batch = as_json(rows, columns)

    assert_same(batch, as_csv(rows, columns))
    assert 2 == batch.nuls_removed
    assert ["ab", "ab"] == batch.table.column("F").to_pylist()


@pytest.mark.parametrize("half", [b"\\ud83d", b"\xff"])
def test_halves_of_characters_are_counted_like_nuls(half: bytes) -> None:
    """The row loads with U+FFFD, and the report says that it isn't quite the org's."""
    columns, attributes = columns_of(F="string"), b'{"attributes":{},"Id":"1","F":"'
    response = Response(200, {}, b"[" + attributes + b"a" + half + b'"},' + attributes + b'b"}]')
    batch = from_json(json_lines.raw_collection(response, 2), columns)
    csv = csv_texts(b'"Id","F"\n"1","a\xff"\n"1","b"\n', columns)

    assert_same(batch, from_csv(csv, columns))
    assert (["a\ufffd", "b"], 1) == (batch.table.column("F").to_pylist(), batch.nuls_removed)


def test_nuls_beside_a_value_that_is_rejected_are_counted_once() -> None:
    """A column that is read value by value counts as one that is read whole."""
    columns = columns_of({"f": {"data_type": "bigint"}}, F="string")
    rows = [{"Id": str(n), "F": value} for n, value in enumerate(["1\0", "x", "2"])]
    batch = as_json(rows, columns)

    assert_same(batch, as_csv(rows, columns))
    assert ([1, None, 2], 1) == (batch.table.column("F").to_pylist(), batch.nuls_removed)


def test_whole_numbers() -> None:
    """12.0 is twelve, 12.5 is not an int: null and rejected, and its neighbours are untouched."""
    numbers, rejected = values("int", [12, 12.0, 12.5, None, -0.0, 2**53 + 1, -(2**63), 2**63 - 1])

    assert [12, 12, None, None, 0, 2**53 + 1, -(2**63), 2**63 - 1] == numbers
    assert [("0" * 17 + "2", "F", "12.5")] == [(r.record_id, r.field, r.payload) for r in rejected]


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, Number(1e300)])
def test_a_whole_number_beyond_64_bits_is_rejected(value: Any) -> None:
    """It is never wrapped round or cut."""
    numbers, rejected = values("long", [1, value])

    assert [1, None] == numbers
    assert 1 == len(rejected)


def test_doubles() -> None:
    """Every bit of a double arrives: exponents, the sign of zero, the smallest and the largest."""
    numbers = [1.2345678901234568e17, 0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, 1e7, 12.0]
    doubles, rejected = values("double", [Number(number) for number in numbers])

    assert ([n.hex() for n in numbers], []) == ([n.hex() for n in doubles], rejected)
    assert "-0x0.0p+0" == doubles[2].hex()


def test_a_double_spelled_as_a_whole_number_is_rounded_as_a_double() -> None:
    """Salesforce's number is a double: 12345678901234567 is the double next to it, by either way."""
    assert ([12345678901234568.0, 12.0, 0.5], []) == values("double", [12345678901234567, 12, 0.5])


def test_dates() -> None:
    """The whole calendar of Salesforce, and days that are none."""
    good = ["0001-01-01", "1700-01-01", "1970-01-01", "2024-02-29", "4000-12-31", "9999-12-31"]
    bad = ["2023-02-29", "2024-13-01", "0000-00-00", "10000-01-01", "01/02/2024", "2024-1-1", "x"]
    days, rejected = values("date", good + bad)

    assert [date.fromisoformat(day) for day in good] + [None] * len(bad) == days
    assert bad == [json.loads(rejection.payload) for rejection in rejected]


def test_moments() -> None:
    """An instant in UTC, in every spelling of its zone; one without zone is none."""
    good = {
        "0001-01-01T00:00:00.000+0000": at("0001-01-01T00:00:00"),
        "1700-01-01T23:59:59.999Z": at("1700-01-01T23:59:59.999"),
        "2024-09-24T06:32:04.000+0000": at("2024-09-24T06:32:04"),
        "2024-09-24T06:32:04.000+02:00": at("2024-09-24T04:32:04"),
        "9999-12-31T23:59:59.999Z": at("9999-12-31T23:59:59.999"),
    }
    bad = ["2024-09-24", "2024-09-24T06:32:04", "2024-02-30T00:00:00.000Z", "1727159524000", " "]
    moments, rejected = values("datetime", [*good, *bad])

    assert [*good.values(), *[None] * len(bad)] == moments
    assert bad == [json.loads(rejection.payload) for rejection in rejected]


def test_times() -> None:
    """A time of day to the millisecond; 24:00 and 25:00 are none."""
    bad = ["24:00:00.000Z", "25:00:00.000Z", "23:60:00.000Z", "noon"]
    times, rejected = values("time", ["23:59:59.999Z", "00:00:00.000Z", *bad])

    assert [time(23, 59, 59, 999000), time(0), None, None, None, None] == times
    assert bad == [json.loads(rejection.payload) for rejection in rejected]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": [1, None], "a": "ü"}, '{"a":"ü","b":[1,null]}'),
        ([1, "x"], '[1,"x"]'), (12, "12"), (12.5, "12.5"), (True, "true"), (False, "false"),
        ("plain", "plain"), (None, None),
    ],
)  # fmt: skip
def test_a_value_of_an_unknown_type_lands_as_text(value: Any, expected: str | None) -> None:
    """Objects and lists as JSON with sorted keys, all else as it reads; its neighbours too."""
    batch = from_records([{"Id": "1", "F": value}, {"Id": "2", "F": "x"}], columns_of(F="hologram"))

    assert ([expected, "x"], []) == (batch.table.column("F").to_pylist(), batch.rejected)


def test_a_value_that_no_column_can_hold_costs_itself_alone() -> None:
    """A number beyond 64 bits or half a character: rejected with its payload, the rows load."""
    rows = [{"Id": "1", "N": 10**400, "S": "\ud800"}, {"Id": "2", "N": 0.5, "S": "x"}]
    batch = from_records(rows, columns_of(N="double", S="string"))

    assert [None, 0.5] == batch.table.column("N").to_pylist()
    assert [None, "x"] == batch.table.column("S").to_pylist()
    assert [("1", "N", str(10**400)), ("1", "S", '"\\ud800"')] == [
        (rejection.record_id, rejection.field, rejection.payload) for rejection in batch.rejected
    ]


def test_a_rejected_value_is_told_without_its_content() -> None:
    """The error names the types; the value itself stands in the payload only."""
    _, (rejected,) = values("date", ["secret"])

    assert ("Contact", "0" * 18, "F") == (rejected.object, rejected.record_id, rejected.field)
    assert "secret" not in rejected.error
    assert "date32" in rejected.error


def test_a_field_that_is_not_answered_is_null() -> None:
    """A record without a field has nothing in it."""
    batch = from_records([{"Id": "1"}], columns_of(F="int"))

    assert [{"id": "1", "F": None}] == batch.table.drop_columns("row_hash").to_pylist()


@pytest.mark.parametrize("page", [b"", b'"Id"\n"1"\n', b'"Id","F"\n"1"\n', b"<html></html>"])
def test_a_page_that_is_not_ours_raises(page: bytes) -> None:
    """Cut short, without our columns, or no CSV at all: never rows of nulls."""
    with pytest.raises(pa.ArrowException):
        csv_texts(page, columns_of(F="string"))


@settings(max_examples=60, deadline=None)
@given(st.lists(records, max_size=5), st.sets(st.integers(0, 5)))
def test_rows_chosen_of_a_page_are_those_rows(rows: list[dict[str, Any]], chosen: set[int]) -> None:
    """As if the others had not been in the page: no row, no rejection, no NUL of theirs."""
    rows = [{"Id": f"{n:018}", **row} for n, row in enumerate(rows)]
    among = id_array(f"{n:018}" for n in chosen)

    assert_same(
        as_csv([row for n, row in enumerate(rows) if n in chosen], ONE_OF_EACH),
        as_csv(rows, ONE_OF_EACH, among),
    )


def test_what_is_wrong_with_rows_that_were_not_chosen_is_not_told() -> None:
    """A reader that did not ask for them is not troubled with them."""
    columns = columns_of(F="date", G="string")
    rows = [{"Id": n, "F": "no day", "G": "a\0"} for n in "123"]
    batch = as_csv(rows, columns, id_array(["2"]))

    assert (["2"], ["2"], 1) == (
        batch.table.column("id").to_pylist(),
        [rejection.record_id for rejection in batch.rejected],
        batch.nuls_removed,
    )
    assert (0, [], 0) == (len(none := as_csv(rows, columns, id_array([]))), none.rejected, 0)


def test_columns_of_a_page_in_any_order() -> None:
    """A page's own header says what is where; what was not asked for is left."""
    of = columns_of(F="string")
    batch = from_csv(csv_texts(b'"F","More","Id"\n"x","y","1"\n', of), of)

    assert [{"id": "1", "F": "x"}] == batch.table.drop_columns("row_hash").to_pylist()


def test_no_rows() -> None:
    """Nothing to read is a table of the same schema."""
    from_rows, from_text = from_records([], ONE_OF_EACH), as_csv([], ONE_OF_EACH)

    assert_same(from_rows, from_text)
    assert (0, ONE_OF_EACH.schema) == (from_rows.table.num_rows, from_rows.table.schema)


def test_tables_are_put_together_as_one() -> None:
    """One chunk a column, rows in order."""
    first, second = (as_json([{"Id": id_, "Text": id_}], ONE_OF_EACH).table for id_ in "12")
    table = concat([first, second])

    assert ["1", "2"] == table.column("id").to_pylist()
    assert {1} == {table.column(name).num_chunks for name in table.column_names}


def test_batches_are_put_together_as_one() -> None:
    """Rows in order, everything that was rejected, all NULs that were removed."""
    columns = columns_of(F="date", G="string")
    parts = [as_json([{"Id": n, "F": f"no {n}", "G": "a\0"}], columns) for n in "12"]
    batch = together([*parts, as_json([], columns)])

    assert ["1", "2"] == batch.table.column("id").to_pylist()
    assert ['"no 1"', '"no 2"'] == [rejection.payload for rejection in batch.rejected]
    assert 2 == batch.nuls_removed == len(batch)
