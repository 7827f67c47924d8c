"""The negative control names lines that stand where it says: each once."""

from __future__ import annotations

from pathlib import Path

import pytest

import salesforce_targeted
from tests.matrices.broken_lines import LINES, BrokenLine

LIBRARY = Path(salesforce_targeted.__file__).parent


@pytest.mark.parametrize("one", LINES, ids=lambda one: one.invariant)
def test_a_line_to_break_stands_once(one: BrokenLine) -> None:
    """``python -m tests.matrices broken_lines`` breaks it, and its test must then fail."""
    assert 1 == (LIBRARY / one.path).read_text("utf-8").count(one.line)
    assert one.line != one.instead
