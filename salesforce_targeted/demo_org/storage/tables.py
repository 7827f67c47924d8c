"""Keep the rows of an object: all of them, or for contacts only what was changed.

Rules:
- Rows are never altered in place, only replaced: a frozen view (a Bulk job's results) stays true.
- A row holds JSON's own values; a name that is absent is null.
- Compound fields are never stored: they are put together from their parts when read.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Self

from salesforce_targeted.demo_org.ids import Numbering
from salesforce_targeted.demo_org.storage import people

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from salesforce_targeted.demo_org.schema.fields import Entry
    from salesforce_targeted.demo_org.storage.people import Crowd, Row

PARTS = ("city", "country", "geocodeAccuracy", "latitude", "longitude", "postalCode", "state",
         "street")  # fmt: skip


def compound(row: Row, name: str) -> Row | None:
    """Return the address or location *name*, or None where all of its parts are null."""
    if name.endswith("__c"):
        stem = name.removesuffix("__c")
        parts = {part: row.get(f"{stem}__{part.title()}__s") for part in ("latitude", "longitude")}
    else:
        stem = name.removesuffix("Address")
        parts = {part: row.get(stem + part[0].upper() + part[1:]) for part in PARTS}
    return parts if any(value is not None for value in parts.values()) else None


class Table:
    """Rows of one object by ordinal, in the order of their ids."""

    def __init__(self, name: str, prefix: str, entries: Iterable[Entry]) -> None:
        self.name = name
        self.numbering = Numbering(prefix)
        self.entries: dict[str, Entry] = {entry["name"]: entry for entry in entries}
        self.unseen: set[str] = set()  # fields that our user may not read
        self.hidden: set[int] = set()  # rows that our user may not see
        self.changed: dict[int, Row] = {}
        self._next = 0  # ids are never used twice, also not those of removed rows
        self.revision = 0  # of rows: an index is good until they change
        self._indexes: dict[str, tuple[int, list[tuple[str, int]]]] = {}
        self.version = 0  # of entries and patches: encoders drop what they prepared
        self.described_at = ""
        self.prepared: dict[Any, Any] = {}  # see ``templates``; shared with frozen views

    def frozen(self) -> Self:
        """Return a copy of the table that later changes leave as it is."""
        view = copy.copy(self)
        view.changed, view.hidden = dict(self.changed), set(self.hidden)
        view.entries, view.unseen = dict(self.entries), set(self.unseen)
        return view

    def visible_entries(self) -> dict[str, Entry]:
        """Return the describe entries that our user sees, by name."""
        return {name: e for name, e in self.entries.items() if name not in self.unseen}

    def __contains__(self, ordinal: int) -> bool:
        return ordinal in self.changed

    def __len__(self) -> int:
        return len(self.changed)

    def ordinals(self, start: int = 0) -> Iterator[int]:
        """Yield every row's ordinal from *start*, ascending; deleted rows too."""
        return (o for o in list(self.changed) if o >= start)

    def row(self, ordinal: int) -> Row | None:
        """Return the row, or None if there is none."""
        return self.changed.get(ordinal)

    def next_ordinal(self) -> int:
        """Return the number of the next new row."""
        return self._next

    def add(self, ordinal: int, row: Row) -> None:
        """Keep a new, complete row."""
        self._next = max(self._next, ordinal + 1)
        self.revision += 1
        self.changed[ordinal] = {**row, "Id": self.numbering.id_of(ordinal)}

    def update(self, ordinal: int, changes: Row) -> None:
        """Replace some values of a row."""
        self.changed[ordinal] = {**self.changed[ordinal], **changes}
        self.revision += 1

    def remove(self, ordinal: int) -> None:
        """Forget a row for good."""
        del self.changed[ordinal]
        self.revision += 1

    def index(self, name: str) -> list[tuple[str, int]]:
        """Return (value, ordinal) of every stored row, ascending; nulls are empty texts."""
        held = self._indexes.get(name)
        if held is None or held[0] != self.revision:
            pairs = [(row.get(name) or "", ordinal) for ordinal, row in self.changed.items()]
            held = self._indexes[name] = (self.revision, sorted(pairs))
        return held[1]

    def patch(self, name: str, value: Callable[[Row], Any]) -> None:
        """Give the field *name* a new value in every row."""
        for ordinal in list(self.changed):
            self.update(ordinal, {name: value(self.changed[ordinal])})
        self.version += 1


class ContactTable(Table):
    """Contacts: those of the crowd are made when asked for; ``changed`` holds differences."""

    def __init__(self, entries: Iterable[Entry], crowd: Crowd) -> None:
        super().__init__("Contact", "003", entries)
        self.crowd = crowd
        self.purged: set[int] = set()
        self._next = crowd.count
        self.patches: dict[str, list[Callable[[Row], Any]]] = {}

    def frozen(self) -> Self:
        """Copy as :meth:`Table.frozen`, with the account tiers that a formula shows."""
        view = super().frozen()
        view.purged = set(self.purged)
        view.patches = {name: list(steps) for name, steps in self.patches.items()}
        view.crowd = copy.copy(self.crowd)
        view.crowd.tiers = dict(self.crowd.tiers)
        return view

    def __contains__(self, ordinal: int) -> bool:
        if ordinal in self.purged or ordinal < 0:
            return False
        return ordinal < self.crowd.count or ordinal in self.changed

    def __len__(self) -> int:
        newer = sum(1 for ordinal in self.changed if ordinal >= self.crowd.count)
        return self.crowd.count + newer - sum(1 for o in self.purged if o < self.crowd.count)

    def ordinals(self, start: int = 0) -> Iterator[int]:
        """Yield as :meth:`Table.ordinals` does."""
        for ordinal in range(start, self.crowd.count):
            if ordinal not in self.purged:
                yield ordinal
        first_new = max(start, self.crowd.count)
        yield from sorted(o for o in list(self.changed) if o >= first_new)

    def row(self, ordinal: int) -> Row | None:
        """Return the row as it stands: crowd, patches, changes, then what the org computes."""
        if ordinal not in self:
            return None
        row = self.crowd.row(ordinal) if ordinal < self.crowd.count else {}
        for name, steps in self.patches.items():
            for step in steps:
                row[name] = step(row)
        changes = self.changed.get(ordinal)
        if changes is None:
            return row
        row.update(changes)
        for name, value in people.derive(row, self.crowd.tiers).items():
            computed = name == "Name" or self.entries.get(name, {}).get("calculated")
            if computed and name not in changes:
                row[name] = value
        return row

    def update(self, ordinal: int, changes: Row) -> None:
        """Update as :meth:`Table.update`; only the difference is kept."""
        self.changed[ordinal] = {**self.changed.get(ordinal, {}), **changes}

    def remove(self, ordinal: int) -> None:
        """Remove as :meth:`Table.remove` does."""
        self.changed.pop(ordinal, None)
        self.purged.add(ordinal)

    def patch(self, name: str, value: Callable[[Row], Any]) -> None:
        """Patch as :meth:`Table.patch`, without making 600,000 rows."""
        for ordinal, changes in list(self.changed.items()):
            if name in changes:
                self.changed[ordinal] = {**changes, name: value(changes)}
        self.patches.setdefault(name, []).append(value)
        self.version += 1
