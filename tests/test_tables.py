"""JSON and CSV of one record make one row, whatever is in it; what does not fit is rejected."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from salesforce_targeted.api import wire
from salesforce_targeted.api.wire import Response
from salesforce_targeted.columns import Columns
from salesforce_targeted.tables import Batch, Rejected, concat, from_csv, from_records
from tests.fields import columns_of

ONE_OF_EACH = columns_of(
    Text="string", Long="textarea", Flag="boolean", Int="int", Double="double",
    Day="date", Moment="datetime", Time="time", Odd="hologram",
)  # fmt: skip


class Number(float):
    """A number as Salesforce, which is Java, writes it in JSON and in CSV: ``1.0E7``."""

    def __repr__(self) -> str:
        return repr(float(self)).replace("e+", "E").replace("e", "E")

    __str__ = __repr__


def as_json(rows: list[dict[str, Any]], columns: Columns) -> Batch:
    """The rows as Collections answers them, read as the client reads them."""
    body = json.dumps([{"attributes": {"type": "Contact"}, **row} for row in rows])
    for number in {v for row in rows for v in row.values() if isinstance(v, Number)}:
        body = body.replace(float.__repr__(number), str(number))
    found = wire.collection(Response(200, {}, body.encode()), len(rows))
    return from_records([record for record in found if record is not None], columns)


def as_csv(rows: list[dict[str, Any]], columns: Columns) -> Batch:
    """The rows as Bulk answers them: every value quoted, null as nothing."""
    lines = [columns.fields, *([_text(row.get(name)) for name in columns.fields] for row in rows)]
    quoted = [",".join('"' + value.replace('"', '""') + '"' for value in line) for line in lines]
    return from_csv(("\n".join(quoted) + "\n").encode(), columns)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, bool) else str(value)


def values(kind: str, given_values: list[Any], stored: str = "") -> tuple[list[Any], list[Rejected]]:
    """What a column of that type holds of the values, the same by either way; and the rejected."""
    columns = columns_of({"f": {"data_type": stored}} if stored else None, F=kind)
    rows = [{"Id": f"{n:018}", "F": value} for n, value in enumerate(given_values)]
    one, other = as_json(rows, columns), as_csv(rows, columns)
    assert_same(one, other)
    return one.table.column("F").to_pylist(), one.rejected


def assert_same(one: Batch, other: Batch) -> None:
    """The same rows, the same hashes, the same rejections; only raw payloads may be spelled apart."""
    assert one.table.schema == other.table.schema
    assert one.table.equals(other.table), (one.table.to_pylist(), other.table.to_pylist())
    assert one.nuls_removed == other.nuls_removed
    assert [(r.record_id, r.field, r.error.split(":")[1]) for r in one.rejected] == [
        (r.record_id, r.field, r.error.split(":")[1]) for r in other.rejected
    ]


def at(value: str) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


# --- the same row by either way

doubles = st.floats(allow_nan=False, allow_infinity=False).map(Number)
years = {"min_value": datetime(1, 1, 1), "max_value": datetime(9999, 12, 31)}
moments = st.datetimes(**years).map(
    lambda m: m.isoformat()[:19].zfill(19) + f".{m.microsecond // 1000:03}+0000"
)
records = st.fixed_dictionaries(
    {
        "Text": st.none() | st.text(max_size=9),
        "Long": st.none() | st.text(alphabet='a",\r\n\0\x0b\x85\u2028\\ 😈', max_size=9),
        "Flag": st.booleans(),
        "Int": st.none() | st.integers(-(2**31), 2**31 - 1),
        "Double": st.none() | doubles,
        "Day": st.none() | st.dates().map(date.isoformat),
        "Moment": st.none() | moments,
        "Time": st.none() | st.times().map(lambda t: t.replace(microsecond=0).isoformat() + ".999Z"),
        "Odd": st.none() | st.text(max_size=5),
    }
)


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
        assert (row["Flag"], row["Int"], row["Double"]) == (held["Flag"], held["Int"], held["Double"])
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
    """Nothing that somebody can type is null, a number, or the end of a record."""
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
    rows = [{"Id": "1", "F": "a\0b\0", "G": "\0"}, {"Id": "2", "F": "ab", "G": None}]
    batch = as_json(rows, columns)

    assert_same(batch, as_csv(rows, columns))
    assert 2 == batch.nuls_removed
    assert ["ab", "ab"] == batch.table.column("F").to_pylist()


def test_nuls_beside_a_value_that_is_rejected_are_counted_once() -> None:
    """A column that is read value by value counts as one that is read whole."""
    columns = columns_of({"f": {"data_type": "bigint"}}, F="string")
    rows = [{"Id": str(n), "F": value} for n, value in enumerate(["1\0", "x", "2"])]
    batch = as_json(rows, columns)

    assert_same(batch, as_csv(rows, columns))
    assert ([1, None, 2], 1) == (batch.table.column("F").to_pylist(), batch.nuls_removed)


def test_whole_numbers() -> None:
    """12.0 is twelve, 12.5 is not an int: null and rejected, and its neighbours are untouched."""
    found, rejected = values("int", [12, 12.0, 12.5, None, -0.0, 2**53 + 1, -(2**63), 2**63 - 1])

    assert [12, 12, None, None, 0, 2**53 + 1, -(2**63), 2**63 - 1] == found
    assert [("0" * 17 + "2", "F", "12.5")] == [(r.record_id, r.field, r.payload) for r in rejected]


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, Number(1e300)])
def test_a_whole_number_beyond_64_bits_is_rejected(value: Any) -> None:
    """It is never wrapped round or cut."""
    found, rejected = values("long", [1, value])

    assert [1, None] == found
    assert 1 == len(rejected)


def test_doubles() -> None:
    """Every bit of a double arrives: exponents, the sign of zero, the smallest and the largest."""
    numbers = [1.2345678901234568e17, 0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, 1e7, 12.0]
    found, rejected = values("double", [Number(number) for number in numbers])

    assert ([n.hex() for n in numbers], []) == ([n.hex() for n in found], rejected)
    assert "-0x0.0p+0" == found[2].hex()


def test_a_double_spelled_as_a_whole_number_is_rounded_as_a_double() -> None:
    """Salesforce's number is a double: 12345678901234567 is the double next to it, by either way."""
    assert ([12345678901234568.0, 12.0, 0.5], []) == values("double", [12345678901234567, 12, 0.5])


def test_dates() -> None:
    """The whole calendar of Salesforce, and days that are none."""
    good = ["0001-01-01", "1700-01-01", "1970-01-01", "2024-02-29", "4000-12-31", "9999-12-31"]
    bad = ["2023-02-29", "2024-13-01", "0000-00-00", "10000-01-01", "01/02/2024", "2024-1-1", "x"]
    found, rejected = values("date", good + bad)

    assert [date.fromisoformat(day) for day in good] + [None] * len(bad) == found
    assert bad == [json.loads(one.payload) for one in rejected]


def test_moments() -> None:
    """An instant in UTC, in every spelling of its zone; one without zone is nobody's."""
    good = {
        "0001-01-01T00:00:00.000+0000": at("0001-01-01T00:00:00"),
        "1700-01-01T23:59:59.999Z": at("1700-01-01T23:59:59.999"),
        "2024-09-24T06:32:04.000+0000": at("2024-09-24T06:32:04"),
        "2024-09-24T06:32:04.000+02:00": at("2024-09-24T04:32:04"),
        "9999-12-31T23:59:59.999Z": at("9999-12-31T23:59:59.999"),
    }
    bad = ["2024-09-24", "2024-09-24T06:32:04", "2024-02-30T00:00:00.000Z", "1727159524000", " "]
    found, rejected = values("datetime", [*good, *bad])

    assert [*good.values(), *[None] * len(bad)] == found
    assert bad == [json.loads(one.payload) for one in rejected]


def test_times() -> None:
    """A time of day to the millisecond; 24:00 and 25:00 are none."""
    bad = ["24:00:00.000Z", "25:00:00.000Z", "23:60:00.000Z", "noon"]
    found, rejected = values("time", ["23:59:59.999Z", "00:00:00.000Z", *bad])

    assert [time(23, 59, 59, 999000), time(0), None, None, None, None] == found
    assert bad == [json.loads(one.payload) for one in rejected]


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
    found = from_records([{"Id": "1", "F": value}, {"Id": "2", "F": "x"}], columns_of(F="hologram"))

    assert ([expected, "x"], []) == (found.table.column("F").to_pylist(), found.rejected)


def test_a_value_that_no_column_can_hold_costs_itself_alone() -> None:
    """A number beyond 64 bits or half a character: rejected with its payload, the rows load."""
    rows = [{"Id": "1", "N": 10**400, "S": "\ud800"}, {"Id": "2", "N": 0.5, "S": "x"}]
    batch = from_records(rows, columns_of(N="double", S="string"))

    assert [None, 0.5] == batch.table.column("N").to_pylist()
    assert [None, "x"] == batch.table.column("S").to_pylist()
    assert [("1", "N", str(10**400)), ("1", "S", '"\\ud800"')] == [
        (one.record_id, one.field, one.payload) for one in batch.rejected
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
        from_csv(page, columns_of(F="string"))


def test_columns_of_a_page_in_any_order() -> None:
    """A page's own header says what is where; what was not asked for is left."""
    batch = from_csv(b'"F","More","Id"\n"x","y","1"\n', columns_of(F="string"))

    assert [{"id": "1", "F": "x"}] == batch.table.drop_columns("row_hash").to_pylist()


def test_no_rows() -> None:
    """Nothing to read is a table of the same schema."""
    one, other = from_records([], ONE_OF_EACH), as_csv([], ONE_OF_EACH)

    assert_same(one, other)
    assert (0, ONE_OF_EACH.schema) == (one.table.num_rows, one.table.schema)


def test_tables_are_put_together_as_one() -> None:
    """One chunk a column, rows in order."""
    one, two = (as_json([{"Id": id_, "Text": id_}], ONE_OF_EACH).table for id_ in "12")
    found = concat([one, two])

    assert ["1", "2"] == found.column("id").to_pylist()
    assert {1} == {found.column(name).num_chunks for name in found.column_names}


# --- a field's type against the type that its column has

SAMPLES: dict[str, list[Any]] = {
    "string": [
        "true", "false", "TRUE", "1", "12", "-7", "0123", "+3", "0x1F", " 12", "12.0", "12.50",
        "1.5E3", "NaN", "Infinity", "12345678901234567890", "2024-02-29", "2024-1-1",
        "2024-02-29T01:02:03.004+0000", "01:02:03.004Z", "words",
    ],
    "boolean": [True, False],
    "int": [0, 1, -7, 20_000, 2**53 + 1],
    "double": [0.0, 1.0, -7.0, 5.5, 0.1, Number(1.5e300)],
    "date": ["1970-01-01", "2024-02-29", "0001-01-01", "9999-12-31"],
    "datetime": ["2024-02-29T00:00:00.000+0000", "2024-02-29T01:02:03.004+0000"],
    "time": ["00:00:00.000Z", "01:02:03.004Z"],
}  # fmt: skip
DAY, MOMENT = at("2024-02-29T00:00:00"), at("2024-02-29T01:02:03.004")
# (wire type, stored type) -> the values that fit, and as what. All others are rejected.
FITS: dict[tuple[str, str], dict[Any, Any]] = {
    ("string", "bool"): {"true": True, "false": False},
    ("string", "bigint"): {"1": 1, "12": 12, "-7": -7},
    ("string", "double"): {
        "1": 1.0, "12": 12.0, "-7": -7.0, "12.0": 12.0, "12.50": 12.5, "1.5E3": 1500.0,
    },
    ("string", "date"): {"2024-02-29": date(2024, 2, 29)},
    ("string", "timestamp"): {"2024-02-29T01:02:03.004+0000": MOMENT},
    ("string", "time"): {"01:02:03.004Z": time(1, 2, 3, 4000)},
    ("boolean", "text"): {True: "true", False: "false"},
    ("boolean", "bigint"): {True: 1, False: 0},
    ("boolean", "double"): {True: 1.0, False: 0.0},
    ("int", "text"): {n: str(n) for n in SAMPLES["int"]},
    ("int", "bool"): {0: False, 1: True},
    ("int", "double"): {0: 0.0, 1: 1.0, -7: -7.0, 20_000: 20_000.0},
    ("double", "text"): {0.0: "0", 1.0: "1", -7.0: "-7", 5.5: "5.5", 0.1: "0.1", 1.5e300: "1.5e+300"},
    ("double", "bool"): {0.0: False, 1.0: True},
    ("double", "bigint"): {0.0: 0, 1.0: 1, -7.0: -7},
    ("date", "text"): {day: day for day in SAMPLES["date"]},
    ("date", "timestamp"): {day: at(day) for day in SAMPLES["date"]},
    ("datetime", "text"): {
        SAMPLES["datetime"][0]: "2024-02-29 00:00:00.000000Z",
        SAMPLES["datetime"][1]: "2024-02-29 01:02:03.004000Z",
    },
    ("datetime", "date"): {SAMPLES["datetime"][0]: date(2024, 2, 29)},
    ("time", "text"): {"00:00:00.000Z": "00:00:00.000000", "01:02:03.004Z": "01:02:03.004000"},
}  # fmt: skip
SAME = {"string": "text", "boolean": "bool", "int": "bigint", "double": "double", "date": "date",
        "datetime": "timestamp", "time": "time"}  # fmt: skip


@pytest.mark.parametrize("stored", SAME.values())
@pytest.mark.parametrize("kind", SAMPLES)
def test_a_value_fits_its_column_or_is_rejected(kind: str, stored: str) -> None:
    """Every wire type against every stored type: as it was, or null and listed; never changed."""
    found, rejected = values(kind, [*SAMPLES[kind], None], stored)
    if SAME[kind] == stored:
        assert ([*values(kind, SAMPLES[kind])[0], None], []) == (found, rejected)
        return
    fits = FITS.get((kind, stored), {})

    assert [*(fits.get(value) for value in SAMPLES[kind]), None] == found
    misfits = [n for n, value in enumerate(SAMPLES[kind]) if value not in fits]
    assert [f"{n:018}" for n in misfits] == [one.record_id for one in rejected]


@pytest.mark.parametrize("stored", SAME.values())
@pytest.mark.parametrize("kind", SAMPLES)
def test_nulls_fit_every_column(kind: str, stored: str) -> None:
    """A field that changed its type and is empty everywhere rejects nothing."""
    assert ([None, None], []) == values(kind, [None, None], stored)


# --- the hash of a row


def hash_of(columns: Columns = ONE_OF_EACH, **row: Any) -> str:
    """The hash of one row."""
    (found,) = as_json([{"Id": "003", **row}], columns).table.column("row_hash").to_pylist()
    return str(found)


def test_a_hash_is_the_same_in_every_version() -> None:
    """Pinned: another spelling of it would make every held row look updated once."""
    row = {"Text": "ü", "Flag": True, "Int": 12, "Double": 0.1, "Day": "2024-02-29",
           "Moment": "2024-02-29T01:02:03.004+0000", "Time": "01:02:03.004Z"}  # fmt: skip

    assert "2485f51e23da485ca9ca3e6b61da0c2d" == hash_of(**row)


def test_the_order_of_columns_does_not_matter() -> None:
    """Describe may list its fields in any order."""
    one = columns_of(A="string", B="int", C="double")
    other = columns_of(C="double", B="int", A="string")

    assert hash_of(one, A="x", B=1, C=0.5) == hash_of(other, A="x", B=1, C=0.5)


def test_a_column_without_a_value_does_not_matter() -> None:
    """A field added to Salesforce changes no row that has nothing in it."""
    one, other = columns_of(A="string"), columns_of(A="string", B="int", C="datetime")

    assert hash_of(one, A="x") == hash_of(other, A="x")
    assert hash_of(one, A="x") != hash_of(other, A="x", B=0)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("Text", "a", "b"), ("Text", "a", "a "), ("Text", "a", "A"), ("Text", "a", None),
        ("Text", "null", None), ("Text", "é", "e\u0301"), ("Flag", True, False),
        ("Flag", False, None), ("Int", 0, None), ("Int", 1, -1), ("Double", Number(0.0), Number(-0.0)),
        ("Double", 0.1 + 0.2, 0.3), ("Double", 0.5, None), ("Double", 1e16, math.nextafter(1e16, 2e16)),
        ("Day", "0001-01-01", "0001-01-02"), ("Day", "1970-01-01", None),
        ("Moment", "2024-02-29T01:02:03.004+0000", "2024-02-29T01:02:03.005+0000"),
        ("Moment", "1970-01-01T00:00:00.000+0000", None),
        ("Time", "23:59:59.999Z", "23:59:59.998Z"), ("Time", "00:00:00.000Z", None),
    ],
)  # fmt: skip
def test_every_change_of_a_value_changes_the_hash(name: str, one: Any, other: Any) -> None:
    """The smallest change of each type, null and the type's zero included."""
    assert hash_of(**{name: one}) != hash_of(**{name: other})


@settings(max_examples=150, deadline=None)
@given(records, records)
@example({"Text": "ab", "Long": "c"}, {"Text": "a", "Long": "bc"})
@example({"Text": "x", "Long": None}, {"Text": None, "Long": "x"})
@example({"Text": "Text", "Long": "Long"}, {"Text": "Long", "Long": "Text"})
def test_rows_with_the_same_hash_are_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """No value can pretend to be another column's, or the border between two."""
    table = as_json([{"Id": "003", **row} for row in (one, other)], ONE_OF_EACH).table
    first, second = table.drop_columns("row_hash").to_pylist()
    same = [(value, str(value)) for value in first.values()] == [
        (value, str(value)) for value in second.values()
    ]

    assert same == (1 == len(set(table.column("row_hash").to_pylist())))


def test_the_place_of_a_row_does_not_matter() -> None:
    """A row hashes alone as it does among others, and in a slice of a table."""
    rows = [{"Id": str(n), "Text": "x" * n, "Int": n or None} for n in range(5)]
    together = as_csv(rows, ONE_OF_EACH).table.column("row_hash").to_pylist()
    alone = [as_csv([row], ONE_OF_EACH).table.column("row_hash")[0].as_py() for row in rows]

    assert alone == together
