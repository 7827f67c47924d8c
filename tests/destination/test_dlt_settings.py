"""What dlt says of its settings is a mistake that its user can correct; all else stays what it is."""

from __future__ import annotations

import pytest
from dlt.common.configuration.exceptions import ConfigValueCannotBeCoercedException
from dlt.common.exceptions import TerminalValueError

from salesforce_targeted.api.errors import ConfigurationError, SalesforceError
from salesforce_targeted.destination.errors import original_error


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (
            ConfigValueCannotBeCoercedException("workers", "many", int),
            "Configured value for field `workers` cannot be coerced into type `int`.",
        ),
        (
            TerminalValueError("Postgres doesn't support precision=9 for `created_date`"),
            "Postgres doesn't support precision=9 for `created_date`.",
        ),
    ],
)
def test_a_wrong_setting_or_hint(error: Exception, what: str) -> None:
    """Its first line, without the name of a class, and where to correct it."""
    converted = original_error(error)

    assert isinstance(converted, ConfigurationError)
    assert what == converted.what
    assert "Correct that setting or hint" in converted.remedy


def test_another_error_stays_what_it_is() -> None:
    """What is not about a setting is told as before; ours are found first."""
    other, ours = OSError("no"), SalesforceError("yes")

    assert other is original_error(other)
    assert ours is original_error(ours)
