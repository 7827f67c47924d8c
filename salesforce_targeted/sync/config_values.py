"""Look up single keys of dlt's configuration, for all pipelines and for the one at work."""

from __future__ import annotations

import codecs
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.toml import TomlProviderReadException
from dlt.common.configuration.specs.config_section_context import ConfigSectionContext
from dlt.common.exceptions import DltException

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.destination.errors import first_line


def pipeline_name() -> str | None:
    """Return the pipeline whose section counts first, if there is one."""
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
        for provider in dlt.config.config_providers:
            value, place = provider.get_value(name, str, scope, *sections)
            if value is not None:
                yield place, value


def check_files() -> None:
    """Let dlt read its files; name the one that it can't read, and why.

    Raises:
        ConfigurationError: a file of dlt's configuration can't be read, or dlt can't begin with
            what they say.

    Source: TOML 1.0, "Spec" (a document is UTF-8; nothing allows a byte order mark).
    """
    try:
        dlt.secrets.get("runtime")
    except TomlProviderReadException as error:
        for path in filter(Path.is_file, map(Path, error.full_paths)):
            if fault := _fault_of(path.read_bytes()):
                why, remedy = fault
                raise ConfigurationError(f"{path} can't be read: {why}", remedy=remedy) from error
        raise ConfigurationError(
            f"{error.file_name} can't be read", remedy=f"Look at {' and '.join(error.full_paths)}."
        ) from error
    except (ValueError, DltException) as error:  # dlt begins its logging and telemetry with it
        raise ConfigurationError(
            f"dlt can't begin as configured: {first_line(error)}",
            remedy="Correct [runtime] in .dlt/config.toml, or RUNTIME__… in the environment.",
        ) from error


def _fault_of(file: bytes) -> tuple[str, str] | None:
    """Say what keeps a file from being TOML, and the remedy; None where it is TOML."""
    if file.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return (
            "it begins with a byte order mark, which some editors write",
            "Save it as UTF-8 without a byte order mark.",
        )
    try:
        tomllib.loads(file.decode())
    except tomllib.TOMLDecodeError as error:
        if b"\0" not in file:  # UTF-16 without a mark passes for UTF-8
            remedy = "Correct that line; a path with backslashes stands in single quotes."
            return f"it is not TOML: {error}", remedy
    except UnicodeDecodeError:
        pass
    else:
        return None
    return "it is not UTF-8", "Save it as UTF-8."
