"""Cut records of several tables into requests that share billed calls.

Source: REST API Developer Guide, "Composite" (25 subrequests, 5 of them queries or Collections).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from salesforce_targeted.api.limits import Limits

# Records of a hundred fields in one composite call: as many as a Collections call brings. The parts
# of a composite are worked on one after the other: more of them would be waited for alone.
ROWS_TOGETHER = 2_000
_USUAL_FIELDS = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """Hold how many records are asked for of one table, and how many fields of each."""

    ids: int
    fields: int


# A table, and which of the ids that are wanted of it.
Part = tuple[str, slice]


def shared(limits: Limits, wanted: Mapping[str, Wanted]) -> list[list[Part]]:
    """Cut what is wanted into as few calls as can bring it, about as long as one another."""
    weights = dict[str, float]()
    for table, want in wanted.items():
        # A batch of very wide records is a call, not several.
        most = ROWS_TOGETHER / max(1, min(want.ids, limits.ids_per_collection))
        weights[table] = min(max(1.0, want.fields / _USUAL_FIELDS), most)
    whole = sum(want.ids * weights[table] for table, want in wanted.items())
    share = room = whole / max(1, ceil(whole / ROWS_TOGETHER))
    calls: list[list[Part]] = []
    for table, want in wanted.items():
        start = 0
        while start < want.ids:
            if not calls or room < weights[table] / 2 or len(calls[-1]) == limits.composite_queries:
                calls.append([])
                room = share
            end = start + min(limits.ids_per_collection, ceil(room / weights[table]))
            end = min(end, want.ids)
            calls[-1].append((table, slice(start, end)))
            room -= (end - start) * weights[table]
            start = end
    return calls
