"""Culprits among many are found in few calls, and everybody else is asked about exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log2

from hypothesis import given
from hypothesis import strategies as st

from salesforce_targeted.retrieval.bisection import find_failing


class Asked:
    """Answers parts without a bad item, and counts."""

    def __init__(self, bad: set[str]) -> None:
        self.bad, self.calls, self.answered = bad, 0, list[str]()

    def __call__(self, parts: Sequence[Sequence[str]]) -> list[str | None]:
        self.calls += 1
        failures = [", ".join(sorted(self.bad.intersection(part))) or None for part in parts]
        for part, failure in zip(parts, failures, strict=True):
            if failure is None:
                self.answered += part
        return failures


def named(numbers: Sequence[int]) -> list[str]:
    return [f"{number:04}" for number in numbers]


@given(
    size=st.integers(2, 2_000),
    places=st.sets(st.integers(0, 1_999), min_size=1, max_size=8),
    width=st.sampled_from([1, 2, 5]),
)
def test_each_culprit_is_found_and_all_others_answer_once(
    size: int, places: set[int], width: int
) -> None:
    """Whatever the places, with as many calls as a search by halves at most for each culprit.

    Where a call has a single part, asking about the deduced one alone is a call more.
    """
    bad = set(named([place % size for place in places]))
    items, asked = named(range(size)), Asked(bad)
    found = find_failing(items, asked, width)

    assert [(one, one) for one in sorted(bad)] == sorted(found)
    assert sorted(set(items) - bad) == sorted(asked.answered)
    assert asked.calls <= len(bad) * (ceil(log2(size)) + 1 + (width == 1))


def test_one_of_two_thousand_takes_six_calls_of_five_parts() -> None:
    """Wherever it is."""
    for place in range(0, 2_000, 37):
        asked = Asked(set(named([place])))
        find_failing(named(range(2_000)), asked, 5)

        assert 6 >= asked.calls


def test_an_error_that_has_passed_blames_nobody() -> None:
    """A call failed once, and every part of it answers."""
    asked = Asked(set())

    assert [] == find_failing(named(range(50)), asked, 5)
    assert named(range(50)) == sorted(asked.answered)
