"""The negative control names lines that stand where it says: each once."""

from __future__ import annotations

from pathlib import Path

import pytest

import salesforce_targeted
from tests.matrices.broken_lines import LINES, BrokenLine

LIBRARY = Path(salesforce_targeted.__file__).parent


@pytest.mark.parametrize("case", LINES, ids=lambda case: case.invariant)
def test_a_line_to_break_stands_once(case: BrokenLine) -> None:
    """``python -m tests.matrices broken_lines`` breaks it, and its test must then fail."""
    assert 1 == (LIBRARY / case.path).read_text("utf-8").count(case.line)
    assert case.line != case.instead
