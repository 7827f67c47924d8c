"""Hold which ids and fields are read together, what came of them, and what was learnt of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from salesforce_targeted.api.errors import QuotaExceededError, SalesforceError
from salesforce_targeted.api.models import Record
from salesforce_targeted.arrow.batch import EVERY_RECORD, Batch, Rejected
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.from_json import from_records
from salesforce_targeted.settings import Api

# Source: REST API Developer Guide, "Composite": five of its parts may be queries or Collections.
_PARTS = 5


class Part(NamedTuple):
    """Hold some ids, and the fields to read of them; the key comes with each."""

    ids: Sequence[str]
    fields: Sequence[str] = ()

    def split(self) -> list[Part]:
        """Split by the ids, of a single one by the fields; nothing where neither can be."""
        if len(self.ids) > 1:
            return [Part(ids, self.fields) for ids in pieces_of(self.ids)]
        pieces = pieces_of(self.fields) if self.fields[1:] else []
        return [Part(self.ids, piece) for piece in pieces]

    def with_key(self) -> list[Part]:
        """Split the fields of a single one, its key alone first: it tells whether it is there."""
        pieces = pieces_of(self.fields, _PARTS - 1) if self.fields else []
        return [Part(self.ids), *(Part(self.ids, piece) for piece in pieces)]


# Reads parts: of each its records by id, or what it failed with.
Read = Callable[[Sequence[Part]], Sequence[dict[str, Record] | SalesforceError]]


@dataclass(slots=True)
class Lessons:
    """Hold what a run has learnt of reading an object, for the calls that follow.

    Attributes:
        unreadable: Fields that can't be read of any record, with why. Replaced, never changed.
        portion: How many fields the org takes at a time; None for all.
        ids_at_once: How many ids the org takes, or responds to in time; None for all that a call
            may ask for.
        refused: The APIs that did not serve the object.
        stopped: What the calls ended with before a search did; None where they sufficed.
        learning: Held by the one that isolates; what it learns the next need not search for.
        from_earlier_run: Whether it has yet to be seen that what is unreadable still is.
        warn: Told once, in a sentence, which way is taken and why.
    """

    unreadable: Mapping[str, SalesforceError] = field(default_factory=dict)
    portion: int | None = None
    ids_at_once: int | None = None
    refused: set[Api] = field(default_factory=set)
    stopped: QuotaExceededError | None = None
    from_earlier_run: bool = False
    learning: threading.RLock = field(default_factory=threading.RLock, repr=False)
    warn: Callable[[str], None] = field(default=lambda _sentence: None, repr=False)

    def check(self) -> None:
        """Raise what the calls ended with, if they did."""
        if self.stopped is not None:
            raise self.stopped

    def readable(self, fields: Sequence[str]) -> list[str]:
        """Return those of some fields that may be asked for."""
        return [name for name in fields if name not in self.unreadable]

    def apart(self, fields: Sequence[str]) -> bool:
        """Tell whether fields are more than the org takes at a time."""
        return self.portion is not None and len(fields) > self.portion


@dataclass(slots=True)
class Readable:
    """Hold what can be read of some ids; one that is in no attribute is not shown.

    Attributes:
        records: By id, without the fields that can't be read.
        rejected: By id and field, why not; the field is empty where nothing of the record can be
            read.
        unread: Those that the calls did not suffice for.
        stopped: What the calls ended with; None where they sufficed.
    """

    records: dict[str, Record] = field(default_factory=dict)
    rejected: dict[tuple[str, str], SalesforceError] = field(default_factory=dict)
    unread: Collection[str] = ()
    stopped: QuotaExceededError | None = None

    def batch(
        self, ids: Iterable[str], columns: Columns, unreadable: Mapping[str, SalesforceError]
    ) -> Batch:
        """Return the rows of these ids, in their order, and all that is rejected."""
        batch = from_records([self.records[i] for i in ids if i in self.records], columns)
        batch.rejected += [
            Rejected(columns.object_name, id_, name, str(why), "")
            for (id_, name), why in self.rejected.items()
        ]
        return note_unreadable(batch, unreadable, columns)


def note_unreadable(
    batch: Batch, unreadable: Mapping[str, SalesforceError], columns: Columns
) -> Batch:
    """Note in a batch which fields its rows were read without."""
    batch.rejected[:0] = [  # the reason that counts is the first one
        Rejected(columns.object_name, EVERY_RECORD, name, str(why), "")
        for name, why in unreadable.items()
    ]
    return batch


def sample_ids(ids: Sequence[str]) -> list[str]:
    """Return up to three of some ids: what none of them can be read with is not of one's making."""
    return list(dict.fromkeys([ids[0], ids[len(ids) // 2], ids[-1]]))


def pieces_of(items: Sequence[str], most: int = _PARTS) -> list[Sequence[str]]:
    """Split into pieces of nearly one size, at most so many."""
    parts = min(most, len(items))
    ends = [len(items) * number // parts for number in range(parts + 1)]
    return [items[start:end] for start, end in pairwise(ends)]
