"""Say what dlt finds wrong with its own settings as our errors do.

dlt finds out when it needs one, in whatever step that is: what it raises is a mistake of the user's
all the same, who can correct it before anything else is tried.

Source: dlt, "Exceptions" of ``common.configuration``, ``normalizers.naming`` and ``schema``.
"""

from __future__ import annotations

import re

from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.exceptions import TerminalValueError
from dlt.common.normalizers.naming.exceptions import NormalizersException
from dlt.common.schema.exceptions import TableIdentifiersFrozen

from salesforce_targeted.api.errors import ConfigurationError

_CORRECT = "Correct that setting or hint (.dlt/config.toml, .dlt/secrets.toml, the environment)."
_CLASS = re.compile(r"<class '(\w+)'>")


def as_our_error(error: BaseException) -> Exception:
    """Return what to raise for an error: ours where a setting or a hint of dlt's is wrong."""
    if isinstance(error, TableIdentifiersFrozen):
        stored, now = error.from_naming.name(), error.to_naming.name()
        return ConfigurationError(
            f"the naming convention is {now} now, and the tables were made with {stored}",
            remedy=f'Set naming = "{stored}" under [schema], or load into another --dataset with'
            " another --pipelines-dir.",
        )
    if isinstance(error, ConfigurationException | NormalizersException | TerminalValueError):
        first_line = str(error).strip().partition("\n")[0]
        return ConfigurationError(_CLASS.sub(r"\1", first_line), remedy=_CORRECT)
    return error if isinstance(error, Exception) else RuntimeError(str(error))
