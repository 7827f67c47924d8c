"""A field's type against the type that its column has: every pair, fits or rejected."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from tests.support.fields import Number, values


def at(value: str) -> datetime:
    """Return an instant in UTC."""
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


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
    fitted, rejected = values(kind, [*SAMPLES[kind], None], stored)
    if SAME[kind] == stored:
        assert ([*values(kind, SAMPLES[kind])[0], None], []) == (fitted, rejected)
        return
    fits = FITS.get((kind, stored), {})

    assert [*(fits.get(value) for value in SAMPLES[kind]), None] == fitted
    misfits = [n for n, value in enumerate(SAMPLES[kind]) if value not in fits]
    assert [f"{n:018}" for n in misfits] == [rejection.record_id for rejection in rejected]


@pytest.mark.parametrize("stored", SAME.values())
@pytest.mark.parametrize("kind", SAMPLES)
def test_nulls_fit_every_column(kind: str, stored: str) -> None:
    """A field that changed its type and is empty everywhere rejects nothing."""
    assert ([None, None], []) == values(kind, [None, None], stored)
