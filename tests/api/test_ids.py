"""Ids: two forms, one record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_targeted.api.ids import to_18

FIFTEEN = st.text(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", min_size=15, max_size=15
)


@pytest.mark.parametrize(
    "known",
    [
        "0RTUJ00000k2vxq4AA",
        "003D000000QOMyqIAH",
        "01gRO0000016PIAYA2",
        "001D000000IRFmaIAH",
        "005R0000000UyrWIAS",
    ],
)
def test_checksums_of_recorded_ids(known):
    """The checksum is the one that Salesforce computes."""
    assert known == to_18(known[:15])
    assert known == to_18(known)


@given(FIFTEEN)
def test_ids_that_differ_by_case_differ_without_case(fifteen):
    """18 characters tell two records apart even where case is ignored."""
    other = fifteen.swapcase()

    assert to_18(fifteen) == to_18(to_18(fifteen))
    assert fifteen == other or to_18(fifteen).lower() != to_18(other).lower()


@given(FIFTEEN)
def test_a_lowered_id_is_refused(fifteen):
    """Lower-casing an id leaves a checksum that doesn't fit: it is noticed."""
    lowered = to_18(fifteen).lower()

    with pytest.raises(ValueError, match="not a Salesforce id"):
        to_18(lowered)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "003",
        "003D000000QOMyq ",
        "003D000000QOMyqIAA",
        "003D000000QOMyqI'H",
        "003D000000QOMyqIAH\n",
        "００３D000000QOMyq",
    ],
)
def test_what_is_no_id(text):
    """Other lengths, characters and checksums: no 18 characters."""
    with pytest.raises(ValueError, match="not a Salesforce id"):
        to_18(text)
