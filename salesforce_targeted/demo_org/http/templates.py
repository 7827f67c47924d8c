"""Whole pages of unchanged contacts, written by filling in prepared text.

Rules:
- A template is a row of the crowd as the writers of ``records`` write it, with holes where its own
  values go; there is one per variant and selection.
- The bytes are those of the writers themselves: a test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from salesforce_targeted.demo_org.storage.people import INSTANTS, OWN, VARIANTS, Row
from salesforce_targeted.demo_org.storage.tables import ContactTable, Table

if TYPE_CHECKING:
    from salesforce_targeted.demo_org.http.records import CsvWriter, JsonWriter

_HOLE = "\ue000{}\ue001"
_HOLES = re.compile("\ue000(\\d+)\ue001")
MAX_SELECTIONS = 32  # templates of 251 variants each; the oldest selections are dropped

Template = tuple[str, Callable[[Any], Any]]


def _holed() -> Row:
    row: Row = {name: _HOLE.format(at) for at, name in enumerate(OWN)}
    for name in INSTANTS:
        row[name] += "+0000"
    return row


def _template(text: str) -> Template:
    places = [int(at) for at in _HOLES.findall(text)]
    filled = _HOLES.sub("%s", text.replace("%", "%%"))
    if len(places) == 1:
        return filled, itemgetter(places[0])
    return filled, itemgetter(*places) if places else lambda _own: ()


def _usable(table: Table) -> bool:
    """Return whether rows may be filled in: nothing is patched, no own value needs escaping."""
    if not isinstance(table, ContactTable) or table.patches:
        return False
    return all(isinstance(tier, str) and tier.isalnum() for tier in table.crowd.tiers.values())


def _filled(
    table: Table, key: tuple[Any, ...], write: Callable[[Row], str], ordinals: Iterable[int]
) -> Iterator[str]:  # fmt: skip
    templates = _prepared(table, key) if _usable(table) else None
    for ordinal in ordinals:
        if (
            templates is None
            or not isinstance(table, ContactTable)
            or ordinal in table.changed
            or ordinal >= table.crowd.count
        ):
            row = table.row(ordinal)
            if row is not None:
                yield write(row)
            continue
        number = ordinal % VARIANTS
        template = templates[number]
        if template is None:
            text = write({**_holed(), **table.crowd.variant(number)})
            template = templates[number] = _template(text)
        yield template[0] % template[1](table.crowd.own(ordinal))


def _prepared(table: Table, key: tuple[Any, ...]) -> list[Template | None]:
    held = table.prepared
    templates = held.get((table.version, *key))
    if templates is None:
        while len(held) >= MAX_SELECTIONS:
            held.pop(next(iter(held)))
        templates = held[(table.version, *key)] = [None] * VARIANTS
    return templates


def json_records(writer: JsonWriter, ordinals: Iterable[int]) -> Iterator[bytes]:
    """Yield JSON records of those rows."""
    table = writer.table
    if not writer.flat or not _usable(table):
        for ordinal in ordinals:
            row = table.row(ordinal)
            if row is not None:
                yield writer.record(row)
        return
    key = ("json", writer.version, tuple(path.names for path in writer.paths))
    for text in _filled(table, key, lambda row: writer.record(row).decode(), ordinals):
        yield text.encode()


def csv_lines(writer: CsvWriter, ordinals: Iterable[int]) -> Iterator[str]:
    """Yield CSV lines of those rows."""
    if not writer.flat:
        for ordinal in ordinals:
            row = writer.table.row(ordinal)
            if row is not None:
                yield writer.line(row)
        return
    key = ("csv", writer.delimiter, writer.line_end, tuple(p.names for p in writer.paths))
    yield from _filled(writer.table, key, writer.line, ordinals)
