"""Put parts of a stream together to batches of the size that is compared and loaded fastest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized
from typing import TypeVar

import pyarrow as pa

from salesforce_targeted.api.errors import ENDS_EARLY
from salesforce_targeted.arrow.batch import EVERY_RECORD, Batch, concat, together
from salesforce_targeted.retrieval.results import Retrieved

ROWS_PER_LOAD_BATCH = 10_000
P = TypeVar("P", bound=Sized)


def pages(parts: Iterator[Batch]) -> Iterator[Batch]:
    """Put batches of one schema together that were read with the same fields."""
    return _gathered(parts, together, lambda first, other: _unread(first) == _unread(other))


def retrieved(parts: Iterator[Retrieved]) -> Iterator[Retrieved]:
    """Put together what was read with the same fields; what has more than rows is left as it is."""

    def joined(group: Sequence[Retrieved]) -> Retrieved:
        return group[0] if len(group) == 1 else Retrieved(together([part.batch for part in group]))

    def alike(first: Retrieved, other: Retrieved) -> bool:
        more = any(part.gone or part.archived or part.last_rows for part in (first, other))
        return not more and _unread(first.batch) == _unread(other.batch)

    return _gathered(parts, joined, alike)


def tables(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Put tables of one schema together; a file of a few rows costs as much as a full one."""
    return _gathered(parts, concat, lambda first, other: first.schema == other.schema)


def _gathered(
    parts: Iterator[P], joined: Callable[[list[P]], P], alike: Callable[[P, P], bool]
) -> Iterator[P]:
    waiting: list[P] = []
    try:
        for part in parts:
            if waiting and not alike(waiting[0], part):
                yield joined(waiting)
                waiting = []
            waiting.append(part)
            if sum(map(len, waiting)) >= ROWS_PER_LOAD_BATCH:
                yield joined(waiting)
                waiting = []
    except ENDS_EARLY:
        if waiting:  # what came before
            yield joined(waiting)
        raise
    if waiting:
        yield joined(waiting)


def _unread(batch: Batch) -> set[str]:
    return {rejected.field for rejected in batch.rejected if rejected.record_id == EVERY_RECORD}
