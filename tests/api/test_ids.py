"""Ids: two forms, one record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_targeted.api.ids import is_id, key_prefix, to_18

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

    assert is_id(to_18(fifteen))
    assert fifteen == other or to_18(fifteen).lower() != to_18(other).lower()


@given(FIFTEEN)
def test_a_lowered_id_is_refused(fifteen):
    """Lower-casing an id leaves a checksum that doesn't fit: it is noticed."""
    full = to_18(fifteen)

    assert full == full.lower() or not is_id(full.lower())


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
        None,
        3,
    ],
)
def test_what_is_no_id(text):
    """Other lengths, characters, types and checksums are no ids."""
    assert not is_id(text)


def test_no_id_raises():
    """A text that is no id has no 18 characters and no prefix."""
    with pytest.raises(ValueError, match="not a Salesforce id"):
        key_prefix("x")


def test_the_prefix_names_the_object():
    """003 is a Contact."""
    assert "003" == key_prefix("003D000000QOMyq")
