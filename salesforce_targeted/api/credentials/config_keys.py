"""Look up single keys of dlt's configuration, as they stand in each of its places."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.config_section_context import ConfigSectionContext
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

SECTION = "sources.salesforce_targeted"
CREDENTIALS = f"{SECTION}.credentials"


def pipeline_name() -> str | None:
    """Return the pipeline whose section of dlt's configuration counts first, if there is one."""
    return Container()[ConfigSectionContext].pipeline_name


def has(key: str) -> bool:
    """Tell whether a key or anything below it is set, for all pipelines or for this one."""
    below = f"{key}.".upper().replace(".", "__")
    ours = f"{pipeline_name()}__".upper() + below
    return any(variable.startswith((below, ours)) for variable in os.environ) or any(raw(key))


def raw(key: str) -> Iterator[tuple[str, Any]]:
    """Yield what each place says of a key, and its name there; dlt makes no other type of it."""
    *sections, name = key.split(".")
    for scope in dict.fromkeys([pipeline_name() or "", ""]):
        for provider in Container()[PluggableRunContext].providers.providers:
            value, place = provider.get_value(name, str, scope, *sections)
            if value is not None:
                yield place, value
