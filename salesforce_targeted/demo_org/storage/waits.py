"""Count the calls that waited for one another: the longest chain of those that do not overlap."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[float, float]


def longest_chain(spans: Iterable[Span]) -> int:
    """Count the calls of the longest chain in which each began after the one before had ended.

    Args:
        spans: When each call arrived and when its response was ready, in seconds.
    """
    length, free_at = 0, float("-inf")
    for begun, ended in sorted(spans, key=lambda span: span[1]):
        if begun >= free_at:
            length, free_at = length + 1, ended
    return length
