"""Find which of many items make a call fail that asks for all of them, in the fewest calls.

Rules.
- A call asks about several parts at once, and each part answers or fails for itself. Where all but
  one part of a failing whole answered, the last one is known to fail without being asked.
- What lies next to a failing part is not asked about until the end, and then all at once.
- None is blamed by deduction: each one that fails is asked about alone, in that last call.

So with five parts to a call, one culprit among 2,000 is found in six calls, which answer for the
other 1,999 as well; k culprits take at most k times that. (Halving would take log2(2000) + 1 = 12.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

Failure = TypeVar("Failure")
Part = Sequence[str]


def joined(parts: Sequence[Part]) -> list[Part]:
    """Several lists as one."""
    return [[item for part in parts for item in part]] if parts else []


def find_failing(
    items: Part,
    ask: Callable[[Sequence[Part]], Sequence[Failure | None]],
    parts_per_call: int,
    join: Callable[[Sequence[Part]], list[Part]] = joined,
) -> list[tuple[str, Failure]]:
    """Find the items that fail, of some that failed together.

    Args:
        items: What was asked for when the call failed.
        ask: Told up to ``parts_per_call`` parts, asks about each and keeps what it answers; gives
            what each failed with, None where it answered. Every item that is no culprit is in a
            part that answered.
        join: Puts parts together, so that they are asked about in fewer calls; ``list`` where
            items have no list, as a range of ids.

    Returns:
        The items that failed when they were asked about alone, each with its failure.
    """
    found: list[tuple[str, Failure]] = []

    def failing(parts: Sequence[Part]) -> list[Part]:
        failed = []
        for asked in (
            parts[at : at + parts_per_call] for at in range(0, len(parts), parts_per_call)
        ):
            for part, failure in zip(asked, ask(asked), strict=True):
                if failure is not None:
                    failed.append(part)
                    found.extend([(part[0], failure)] if len(part) == 1 else [])
        return failed

    suspects: list[Part] = [items]
    deduced: list[Part] = []
    neighbours: list[Part] = []
    while suspects or deduced or neighbours:
        if not suspects:
            left = [*deduced, *join(neighbours)]
            deduced, neighbours = [], []
            suspects = [part for part in failing(left) if len(part) > 1]
            continue
        some = suspects.pop()
        if len(some) == 1:
            deduced.append(some)
            continue
        *asked, last = _split(some, parts_per_call + 1)
        failed = failing(asked)
        suspects += [part for part in failed if len(part) > 1] if failed else [last]
        if failed:
            neighbours.append(last)
    return found


def _split(items: Part, parts: int) -> list[Part]:
    """Parts of nearly one size, as many as there are items at most."""
    parts = min(parts, len(items))
    ends = [len(items) * number // parts for number in range(parts + 1)]
    return [items[start:end] for start, end in pairwise(ends)]
