"""Limits are facts with addresses."""

import dataclasses
import inspect
import re

import pytest

from salesforce_targeted.api.limits import DOCUMENTED, TINY, Limits, not_served, version_of


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


@pytest.mark.parametrize(
    ("served", "remedy"),
    [
        (["31.0", "57.0", "58.0", "62.0"], "Set api_version to one that it serves: 58.0 to 62.0."),
        (["50.0", "57.0"], "It serves 50.0 to 57.0, and 58.0 is the oldest one that can be read"),
    ],
)
def test_no_version_is_advised_that_is_then_refused(served, remedy):
    """Of those that an org serves only what ``api_version`` takes is named as a way out."""
    error = not_served("64.0", served, status=404)

    assert "the org does not serve API version 64.0" == error.message
    assert error.remedy.startswith(remedy)
    assert "58.0" == version_of("58.0")
