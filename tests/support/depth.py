"""Two depths: which of a test's cases the default run keeps.

``@pytest.mark.deep`` leaves a test to ``-m deep``. ``@pytest.mark.brief(n)`` leaves all but n of its
cases to it: those in which most values of its parameters occur.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

Case = tuple[tuple[str, int], ...]


def spread(cases: Sequence[Case], count: int) -> list[int]:
    """Return the positions of so many cases, each time that which has most values not seen yet.

    Args:
        cases: For each case the parameters' names and which of its values each has.
    """
    seen: set[tuple[str, int]] = set()
    kept: list[int] = []
    while len(kept) < min(count, len(cases)):
        left = [position for position in range(len(cases)) if position not in kept]
        # Of equals the first: the values that stand first are the ordinary ones.
        chosen = max(left, key=lambda position: (len({*cases[position]} - seen), -position))
        kept.append(chosen)
        seen.update(cases[chosen])
    return kept


def mark_repetitions(items: Sequence[pytest.Item]) -> None:
    """Mark as deep what ``brief`` leaves out of the default run."""
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("brief"):
            tests.setdefault(item.nodeid.split("[")[0], []).append(item)
    for cases in tests.values():
        marker = cases[0].get_closest_marker("brief")
        (count,) = marker.args if marker else (len(cases),)
        # Whatever the order in which they run, the same ones are kept.
        ordered = sorted(
            (case for case in cases if not case.get_closest_marker("deep")), key=_indices
        )
        kept = spread([_indices(case) for case in ordered], count)
        for position, case in enumerate(ordered):
            if position not in kept:
                case.add_marker(pytest.mark.deep)


def _indices(item: pytest.Item) -> Case:
    # A test without parameters is a case by itself.
    indices: dict[str, int] = getattr(getattr(item, "callspec", None), "indices", {})
    return tuple(sorted(indices.items()))
