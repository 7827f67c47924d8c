"""The hash of a row: the same for the same values, another for any other."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given, settings

from salesforce_targeted.arrow.columns import Columns
from tests.support.fields import ONE_OF_EACH, Number, as_csv, as_json, columns_of, records


def hash_of(columns: Columns = ONE_OF_EACH, **row: Any) -> str:
    """Return the hash of one row."""
    (value,) = as_json([{"Id": "003", **row}], columns).table.column("row_hash").to_pylist()
    return str(value)


def test_a_hash_is_the_same_in_every_version() -> None:
    """Pinned: another spelling of it would make every held row look updated once."""
    row: dict[str, Any] = {"Text": "ü", "Flag": True, "Int": 12, "Double": 0.1, "Day": "2024-02-29",
           "Moment": "2024-02-29T01:02:03.004+0000", "Time": "01:02:03.004Z"}  # fmt: skip

    assert "2485f51e23da485ca9ca3e6b61da0c2d" == hash_of(**row)


def test_the_order_of_columns_does_not_matter() -> None:
    """Describe may list its fields in any order."""
    first = columns_of(A="string", B="int", C="double")
    second = columns_of(C="double", B="int", A="string")

    assert hash_of(first, A="x", B=1, C=0.5) == hash_of(second, A="x", B=1, C=0.5)


def test_a_column_without_a_value_does_not_matter() -> None:
    """A field added to Salesforce changes no row that has nothing in it."""
    first, second = columns_of(A="string"), columns_of(A="string", B="int", C="datetime")

    assert hash_of(first, A="x") == hash_of(second, A="x")
    assert hash_of(first, A="x") != hash_of(second, A="x", B=0)


@pytest.mark.parametrize(
    ("name", "first", "second"),
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
def test_every_change_of_a_value_changes_the_hash(name: str, first: Any, second: Any) -> None:
    """The smallest change of each type, null and the type's zero included."""
    assert hash_of(**{name: first}) != hash_of(**{name: second})


def test_a_value_never_runs_into_the_next_name() -> None:
    """``A = "xB", B = "y"`` and ``A = "x", BB = "y"`` are the same letters in the same order."""
    of = columns_of(A="string", B="string", BB="string")

    assert hash_of(of, A="xB", B="y") != hash_of(of, A="x", BB="y")


@settings(max_examples=150, deadline=None)
@given(records, records)
@example({"Text": "ab", "Long": "c"}, {"Text": "a", "Long": "bc"})
@example({"Text": "x", "Long": None}, {"Text": None, "Long": "x"})
@example({"Text": "Text", "Long": "Long"}, {"Text": "Long", "Long": "Text"})
def test_rows_with_the_same_hash_are_the_same(row: dict[str, Any], second: dict[str, Any]) -> None:
    """No value can pretend to be another column's, or the border between two."""
    table = as_json([{"Id": "003", **r} for r in (row, second)], ONE_OF_EACH).table
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
