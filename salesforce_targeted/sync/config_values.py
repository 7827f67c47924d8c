"""Refuse keys of dlt's configuration that it would misread.

dlt makes a text of whatever stands where a text is expected (``true`` becomes the password "True")
and ignores a name that it does not know. Keys count for all pipelines and for the one at work.
"""

from __future__ import annotations

import codecs
import os
import tomllib
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import dlt
from dlt.common.configuration import resolve_configuration
from dlt.common.configuration.exceptions import ConfigValueCannotBeCoercedException
from dlt.common.configuration.providers.toml import TomlProviderReadException
from dlt.common.data_writers.buffered import BufferedDataWriter
from dlt.common.exceptions import DltException
from dlt.extract.pipe_iterator import PipeIterator
from dlt.load.configuration import LoaderConfiguration
from dlt.normalize.configuration import NormalizeConfiguration

from salesforce_targeted.api.credentials.base import ENVIRONMENT
from salesforce_targeted.api.credentials.config_keys import CREDENTIALS, SECTION, raw
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.destination.errors import first_line

_KINDS = {bool: "true or false", list: "a list", dict: "a table", str: "a text"}


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


def check_credentials() -> None:
    """Refuse credentials that are no table of texts; none of their values is repeated.

    Raises:
        ConfigurationError: says where which kind of value stands, and how to write it.
    """
    for place, value in (*raw(CREDENTIALS), *raw("credentials")):
        if not isinstance(value, dict) and str(value).strip():
            raise ConfigurationError(
                f"{place} is {_kind(value)}, and credentials are several settings",
                remedy=f"Write them one by one under [{CREDENTIALS}] in .dlt/secrets.toml, or into"
                " variables: SALESFORCE_LOGIN_URL, SALESFORCE_CLIENT_ID and so on. An address of"
                " PostgreSQL belongs into DESTINATION__POSTGRES__CREDENTIALS.",
            )
    for setting in ENVIRONMENT:
        for place, value in raw(f"{CREDENTIALS}.{setting}"):
            # A password of digits may have lost its quotes; nothing else is a text without them.
            if not isinstance(value, str | int) or isinstance(value, bool):
                raise ConfigurationError(
                    f"{place} is {_kind(value)}, and must be a text",
                    remedy=f'Write it in quotes: {setting} = "…".',
                )


def check_names(known: Collection[str]) -> None:
    """Refuse a setting whose name is nearly one of ours: dlt would ignore it.

    Raises:
        ConfigurationError: names the setting that may be meant.
    """
    tables = [table for _, table in raw(SECTION) if isinstance(table, dict)]
    # Tables in it are those of dlt and of single resources; other names may be a user's own.
    set_here = {name for of in tables for name, value in of.items() if not isinstance(value, dict)}
    prefix = f"{SECTION}.".upper().replace(".", "__")
    set_here |= {name.rpartition(prefix)[2].lower() for name in os.environ if prefix in name}
    for name in sorted(set_here - set(known)):
        if meant := get_close_matches(name, known, 1, 0.8):
            raise ConfigurationError(
                f"there is no setting {name}", remedy=f"Perhaps {meant[0]} is meant."
            )


# What dlt resolves when a step begins, and the section of the step.
_STEPS: tuple[tuple[Any, str], ...] = (
    (PipeIterator.PipeIteratorConfiguration, "extract"),
    (BufferedDataWriter.BufferedDataWriterConfiguration, "sources"),
    (BufferedDataWriter.BufferedDataWriterConfiguration, "normalize"),
    (NormalizeConfiguration, "normalize"),
    (LoaderConfiguration, "load"),
)
# Without these nothing is ever loaded; other numbers may be 0. Source: dlt, "Performance".
_AT_LEAST_ONE = ("workers", "max_parallel_items")


def check_dlt_settings() -> None:
    """Refuse settings of dlt's steps that can't be meant: it finds out after all calls, or never.

    Raises:
        ConfigurationError: names the setting, and where it stands.
    """
    for spec, section in _STEPS:
        place = ".".join(dict.fromkeys(filter(None, (section, spec.__section__))))
        try:
            step = resolve_configuration(spec(), sections=(section,), accept_partial=True)
            wrong = [
                (name, value)
                for name, value in step.items()
                if isinstance(value, int) and value < (name in _AT_LEAST_ONE)
            ]
        except ConfigValueCannotBeCoercedException as error:
            wrong = [(error.field_name, error.field_value)]
        for name, value in wrong:
            where = next((at for at, _ in raw(f"{place}.{name}")), name)
            raise ConfigurationError(
                f"{where} = {value!r} is no value that dlt takes",
                remedy=f"Correct [{place}] in .dlt/config.toml, or {section.upper()}__… in the"
                " environment.",
            )


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), f"of the type {type(value).__name__}")
