"""What went wrong in other people's orgs goes right here."""

from __future__ import annotations

import pytest

from tests.matrices.__main__ import ROOT
from tests.matrices.field_reports import findings


@pytest.mark.deep
def test_no_report_is_true_of_this_checkout() -> None:
    """``python -m tests.matrices field_reports --library DIR`` tells of any other checkout."""
    assert [] == findings(ROOT, 1, print).broken
