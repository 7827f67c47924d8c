"""Whole pages of contacts that nobody has changed, written by filling in prepared text.

Rules:
- A template is a row of the crowd with holes where its own values go; one per variant.
- It writes byte for byte what the writers of ``records`` would: a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .records import JsonWriter


def json_records(writer: JsonWriter, ordinals: Iterable[int]) -> Iterator[bytes]:
    """JSON records of those rows."""
    table = writer.table
    for ordinal in ordinals:
        row = table.row(ordinal)
        if row is not None:
            yield writer.record(row)
