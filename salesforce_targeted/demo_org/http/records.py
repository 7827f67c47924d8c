"""Rows as bytes: JSON records as REST sends them and CSV lines as Bulk does.

Rules:
- Key order is the order of the selection, ``attributes`` first.
- Untouched contacts are written from templates; any other row value by value. The bytes are alike.

Source: REST API Developer Guide, "Query"; Bulk API 2.0 Developer Guide, "Get Results".
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from salesforce_targeted.demo_org.soql.conditions import Path
    from salesforce_targeted.demo_org.storage.people import Row
    from salesforce_targeted.demo_org.storage.state import OrgState
    from salesforce_targeted.demo_org.storage.tables import Table


def java_double(value: float) -> str:
    """Write a double as Java does: ``300.0``, ``1.0E7``, ``1.2345678901234568E17``."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        text = format(Decimal(repr(value)), "f")
        return text if "." in text else text + ".0"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    power = len(digits) + int(exponent) - 1
    return f"{'-' if sign else ''}{text[0]}.{text[1:] or '0'}E{power}"


def _json_ready(value: Any) -> Any:
    if isinstance(value, float) and not 1e-3 <= abs(value) < 1e7:
        return orjson.Fragment(java_double(value))
    if isinstance(value, dict):
        return {key: _json_ready(part) for key, part in value.items()}
    return value


def dumps(value: Any) -> bytes:
    """Write JSON; lone surrogates, which UTF-8 cannot carry, become escapes."""
    try:
        return orjson.dumps(value, default=_plain)
    except (TypeError, ValueError):
        return json.dumps(value, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, orjson.Fragment):
        return float(value.contents)
    raise TypeError(type(value).__name__)


def attributes(table: Table, row: Row, version: str) -> Row:
    """Return the ``attributes`` of a record as JSON."""
    url = f"/services/data/v{version}/sobjects/{table.name}/{row['Id']}"
    return {"type": table.name, "url": url}


class JsonWriter:
    """Writes rows of one table with one selection as JSON objects."""

    def __init__(self, org: OrgState, table: Table, paths: Sequence[Path], version: str) -> None:
        self.org, self.table, self.version = org, table, version
        self.paths = paths
        self.flat = all(len(path.names) == 1 for path in paths)

    def record(self, row: Row) -> bytes:
        """One record."""
        record: Row = {"attributes": attributes(self.table, row, self.version)}
        if self.flat:
            for path in self.paths:
                value = path.read(row)
                if isinstance(value, (float, dict)):
                    value = _json_ready(value)
                record[path.names[0]] = value
            return dumps(record)
        for path in self.paths:
            if len(path.names) == 1:
                record[path.names[0]] = _json_ready(path.read(row))
            else:
                self._nest(record, row, path)
        return dumps(record)

    def _nest(self, record: Row, row: Row, path: Path) -> None:
        relationship, name = path.names
        if relationship not in record:
            reference = next(
                n for n, e in self.table.entries.items() if e["relationshipName"] == relationship
            )
            target = self.org.parent(row.get(reference))
            parent = {"attributes": attributes(*target, self.version)} if target else None
            if parent and len(self.table.entries[reference]["referenceTo"]) > 1:
                parent["attributes"]["type"] = "Name"  # polymorphic, as recorded
            record[relationship] = parent
        if record[relationship] is not None:
            record[relationship][name] = _json_ready(path.read(row))


def csv_value(value: Any, kind: str) -> str:
    """One value in quotes; null and the empty text are the same ``""``."""
    if value is None:
        return '""'
    if value is True:
        return '"true"'
    if value is False:
        return '"false"'
    if isinstance(value, float):
        return f'"{java_double(value)}"'
    text = str(value)
    if kind == "datetime" and text.endswith("+0000"):
        text = text[:-5] + "Z"
    return '"' + text.replace('"', '""') + '"'


class CsvWriter:
    """Writes rows of one table with one selection as CSV lines."""

    def __init__(
        self, table: Table, paths: Sequence[Path], delimiter: str, line_end: str
    ) -> None:  # fmt: skip
        self.table, self.paths = table, paths
        self.delimiter, self.line_end = delimiter, line_end
        self.flat = all(len(path.names) == 1 for path in paths)
        self._cells = [(path.read, path.entry["type"]) for path in paths]

    def line(self, row: Row) -> str:
        """One line, its end included."""
        cells = [csv_value(read(row), kind) for read, kind in self._cells]
        return self.delimiter.join(cells) + self.line_end
