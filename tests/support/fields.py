"""Describes and records made for tests: as JSON and as CSV, with dlt's own naming of columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import pyarrow as pa
from dlt.common.normalizers.naming.snake_case import NamingConvention
from hypothesis import strategies as st

from salesforce_targeted.api import readers
from salesforce_targeted.api.models import Response
from salesforce_targeted.arrow.batch import Batch, Rejected
from salesforce_targeted.arrow.columns import Columns, columns
from salesforce_targeted.arrow.from_csv import csv_texts, from_csv
from salesforce_targeted.arrow.from_json import from_records

normalize = NamingConvention().normalize_path


def describe(
    *entries: dict[str, Any], object_name: str = "Contact", **types: str
) -> dict[str, Any]:
    """Salesforce's describe of an object with ``Id``, the entries, and fields by name and type."""
    fields = [entry("Id", "id"), *entries, *(entry(name, kind) for name, kind in types.items())]
    return {"name": object_name, "fields": fields}


def entry(name: str, kind: str = "string", **attributes: Any) -> dict[str, Any]:
    """One field of a describe, with what the library reads of it."""
    return {"name": name, "type": kind, "label": f"The {name}", "soapType": "", **attributes}


def columns_of(stored: Mapping[str, Mapping[str, Any]] | None = None, **types: str) -> Columns:
    """Return the columns of ``Id`` and of fields given by name and type."""
    return columns(describe(**types), normalize=normalize, stored=stored)


class Number(float):
    """A number as Salesforce, which is Java, writes it in JSON and in CSV: ``1.0E7``."""

    def __repr__(self) -> str:
        return repr(float(self)).replace("e+", "E").replace("e", "E")

    __str__ = __repr__


def as_json(rows: list[dict[str, Any]], columns: Columns) -> Batch:
    """Return the rows as Collections sends them, read as the client reads them."""
    body = json.dumps([{"attributes": {"type": "Contact"}, **row} for row in rows])
    for number in {v for row in rows for v in row.values() if isinstance(v, Number)}:
        body = body.replace(float.__repr__(number), str(number))
    records = readers.collection(Response(200, {}, body.encode()), len(rows))
    return from_records([record for record in records if record is not None], columns)


def as_csv(rows: list[dict[str, Any]], columns: Columns, among: pa.Array | None = None) -> Batch:
    """Return the rows as Bulk sends them: every value quoted, null as nothing; all, or those of some ids."""
    lines = [columns.fields, *([_text(row.get(name)) for name in columns.fields] for row in rows)]
    quoted = [",".join('"' + value.replace('"', '""') + '"' for value in line) for line in lines]
    page = ("\n".join(quoted) + "\n").encode()
    return from_csv(csv_texts(page, columns), columns, among)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, bool) else str(value)


def values(
    kind: str, given_values: list[Any], stored: str = ""
) -> tuple[list[Any], list[Rejected]]:
    """Return the values as a column of that type holds them, the same from JSON and CSV; and the rejected."""
    columns = columns_of({"f": {"data_type": stored}} if stored else None, F=kind)
    rows = [{"Id": f"{n:018}", "F": value} for n, value in enumerate(given_values)]
    first, second = as_json(rows, columns), as_csv(rows, columns)
    assert_same(first, second)
    return first.table.column("F").to_pylist(), first.rejected


def assert_same(first: Batch, second: Batch) -> None:
    """Assert the same rows, hashes and rejections; only raw payloads may be spelled apart."""
    assert first.table.schema == second.table.schema
    assert first.table.equals(second.table), (first.table.to_pylist(), second.table.to_pylist())
    assert first.nuls_removed == second.nuls_removed
    assert [(r.record_id, r.field, r.error.split(":")[1]) for r in first.rejected] == [
        (r.record_id, r.field, r.error.split(":")[1]) for r in second.rejected
    ]


ONE_OF_EACH = columns_of(
    Text="string", Long="textarea", Flag="boolean", Int="int", Double="double",
    Day="date", Moment="datetime", Time="time", Odd="hologram",
)  # fmt: skip
doubles = st.floats(allow_nan=False, allow_infinity=False).map(Number)
moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(
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
        "Time": st.none()
        | st.times().map(lambda t: t.replace(microsecond=0).isoformat() + ".999Z"),
        "Odd": st.none() | st.text(max_size=5),
    }
)
