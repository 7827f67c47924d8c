"""List the exit codes, as ``--help`` does."""

from __future__ import annotations

from salesforce_targeted.api.errors import ConfigurationError

DONE, FAILED, WRONG_USE, PARTIAL, DRIFT = 0, 1, 2, 3, 4
# A report's status to the code of the command.
OF_STATUS = {"done": DONE, "failed": FAILED, "partial": PARTIAL, "drift": DRIFT}


def of_error(error: BaseException) -> int:
    """Return the code of a command that an error ended: a configuration can be corrected."""
    if getattr(error, "stops_early", False):
        return PARTIAL
    return WRONG_USE if isinstance(error, ConfigurationError) else FAILED
