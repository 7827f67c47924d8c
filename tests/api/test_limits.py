"""Limits are facts with addresses."""

import dataclasses
import inspect
import re

from salesforce_targeted.api.limits import DOCUMENTED, TINY, Limits


def test_every_number_of_documented_says_where_it_is_from():
    """Each field of Limits stands below a comment."""
    lines = inspect.getsource(Limits).strip().splitlines()
    bare = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(r"\s+\w+: \w+ = ", line) and not before.strip().startswith("#")
    ]

    assert [] == bare


def test_tiny_is_smaller_everywhere_it_counts():
    """A dozen ids cross each boundary of TINY."""
    small = {
        "ids_per_collection",
        "rows_per_query_page",
        "groups_per_query",
        "ids_per_query",
        "bulk_rows_per_page",
    }

    assert all(getattr(TINY, name) < 12 for name in small)
    assert all(
        getattr(TINY, f.name) <= getattr(DOCUMENTED, f.name)
        for f in dataclasses.fields(Limits)
        if f.type is int
    )
