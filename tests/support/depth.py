"""Two depths: which of a test's cases the default run keeps.

``@pytest.mark.deep`` leaves a test to ``-m deep``. ``@pytest.mark.brief(n)`` leaves all but n of its
cases to it: those in which most values of its parameters occur. ``@pytest.mark.each_value`` says
that crossing its parameters tells nothing: each value of each occurs, and no other case is run.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

Case = tuple[tuple[str, object], ...]


def spread(cases: Sequence[Case], count: int | None = None) -> list[int]:
    """Return the positions of so many cases, each time that which has most values not seen yet.

    Args:
        cases: For each case the parameters' names and which of its values each has.
        count: As many as it takes to see all values without.
    """
    wanted = len({value for case in cases for value in case})
    seen: set[tuple[str, object]] = set()
    kept: list[int] = []
    while len(seen) < wanted if count is None else len(kept) < min(count, len(cases)):
        left = [position for position in range(len(cases)) if position not in kept]
        # Of equals the first: the values that stand first are the ordinary ones.
        chosen = max(left, key=lambda position: (len({*cases[position]} - seen), -position))
        kept.append(chosen)
        seen.update(cases[chosen])
    return kept


def mark_repetitions(items: list[pytest.Item]) -> None:
    """Drop what ``each_value`` leaves out, and mark as deep what ``brief`` leaves out."""
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        tests.setdefault(item.nodeid.split("[")[0], []).append(item)
    dropped: set[pytest.Item] = set()
    for of_test in tests.values():
        # Whatever the order in which they run, the same ones are kept.
        cases = sorted(of_test, key=_place)
        if cases[0].get_closest_marker("each_value"):
            kept = {cases[position] for position in spread([_values(case) for case in cases])}
            dropped.update({*cases} - kept)
            cases = [case for case in cases if case in kept]
        if marker := cases[0].get_closest_marker("brief"):
            ordinary = [case for case in cases if not case.get_closest_marker("deep")]
            brief = spread([_values(case) for case in ordinary], marker.args[0])
            for position, case in enumerate(ordinary):
                if position not in brief:
                    case.add_marker(pytest.mark.deep)
    items[:] = [item for item in items if item not in dropped]


def _values(item: pytest.Item) -> Case:
    # A test without parameters is a case by itself.
    params: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    return tuple((name, repr(value)) for name, value in params.items())


def _place(item: pytest.Item) -> tuple[tuple[str, int], ...]:
    indices: dict[str, int] = getattr(getattr(item, "callspec", None), "indices", {})
    return tuple(sorted(indices.items()))
