"""What a value of the org's JSON is in the destination, worked out apart from the library."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any


def as_held(kind: str, value: Any) -> Any:
    """Return a value of a described type (``entry["type"]``) as its column holds it."""
    if value is None or value == "":
        return None
    if kind == "datetime":
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(UTC)
    if kind == "date":
        return date.fromisoformat(value)
    if kind == "time":
        return time.fromisoformat(value.removesuffix("Z"))
    if kind in {"double", "currency", "percent"}:
        return float(value)
    if isinstance(value, str):
        clean = value.replace("\0", "")
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in clean) or None
    return value
