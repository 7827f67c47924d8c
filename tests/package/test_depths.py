"""The default run keeps each promise: what ``brief`` leaves out is a repetition."""

from __future__ import annotations

import ast

import pytest

from tests.support.depth import Case, spread
from tests.support.script import ROOT

FOUR: list[Case] = [(("api", api), ("field", field)) for api in (0, 1) for field in (0, 1)]


@pytest.mark.parametrize(
    ("count", "kept"),
    [(0, []), (1, [0]), (2, [0, 3]), (3, [0, 3, 1]), (9, [0, 3, 1, 2]), (None, [0, 3])],
)
def test_cases_are_spread_over_the_values(count: int | None, kept: list[int]) -> None:
    """The first case, then each time the one with most values not seen yet; never more than all; without a number, all values."""
    assert kept == spread(FOUR, count)


def test_brief_keeps_a_case_of_each_test() -> None:
    """No test is left without a case in the default run, but by ``deep``."""
    counts = {
        f"{path.relative_to(ROOT)}:{call.lineno}": [
            argument.value for argument in call.args if isinstance(argument, ast.Constant)
        ]
        for path in (ROOT / "tests").rglob("test_*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.brief"
    }

    assert [] == [place for place, (count, *_) in counts.items() if count < 1]
    assert counts
