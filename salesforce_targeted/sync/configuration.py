"""Read dlt's configuration: credentials, settings, statistics, and where the data goes."""

from __future__ import annotations

import codecs
import os
import tomllib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Optional, get_type_hints

import dlt
from dlt.common.configuration import (
    configspec,
    inject_section,
    resolve_configuration,
    with_config,
)
from dlt.common.configuration.container import Container
from dlt.common.configuration.exceptions import (
    ConfigurationException,
    ConfigValueCannotBeCoercedException,
)
from dlt.common.configuration.providers.toml import TomlProviderReadException
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.configuration.specs.config_section_context import ConfigSectionContext
from dlt.common.destination.exceptions import DestinationException, UnknownDestinationModule

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.credentials.base import ENVIRONMENT
from salesforce_targeted.api.credentials.resolution import (
    IncompleteCredentialsError,
    SalesforceCredentials,
    missing_settings,
)
from salesforce_targeted.api.credentials.salesforce_cli import SfOrgCredentials
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.destination.database import PERCENT_ENCODING
from salesforce_targeted.destination.errors import first_line
from salesforce_targeted.destination.held_tables import SCHEMA_NAME
from salesforce_targeted.settings import Settings

# About 60 MB of contacts, and four are loaded at once.
ROWS_PER_FILE = 20_000
_given: dict[str, Any] = {}
# Where dlt looks for the source's own parameters: its module and its name; it also looks in
# [sources.salesforce_targeted], in [sources] and, first, under the pipeline's name.
_SECTIONS = ("sources", "source", SCHEMA_NAME)


def credentials() -> SalesforceCredentials:
    """Resolve the credentials that dlt's configuration or ``SALESFORCE_*`` give.

    Raises:
        ConfigurationError: none are complete; says what to set and where, and where some stand that
            dlt does not look at.
    """
    try:
        return _credentials()
    except (ConfigurationException, IncompleteCredentialsError) as error:
        missing = _missing_settings() or _misplaced_settings()
        raise ConfigurationError(
            f"the Salesforce credentials are not complete: {missing}"
            if missing
            else "no Salesforce credentials are configured",
            remedy=(
                "Set SALESFORCE_LOGIN_URL (https://<my domain>.my.salesforce.com),"
                " SALESFORCE_CLIENT_ID and SALESFORCE_CLIENT_SECRET, or another way to sign in that"
                " .dlt/secrets.toml.example lists, in the environment or in .dlt/secrets.toml."
                " To look around without an org: --demo."
            ),
        ) from error


def sf_org(name: str) -> SfOrgCredentials:
    """Make credentials of the Salesforce CLI's org that the command line names."""
    return SfOrgCredentials(sf_org=name)


def session(instance_url: str, access_token: str) -> SessionCredentials:
    """Make credentials of a session that already exists."""
    return SessionCredentials(instance_url=instance_url, access_token=access_token)


def _missing_settings() -> str:
    """Say what the nearest method of signing in lacks, and what is set; "" where nothing is."""
    held = [
        setting
        for setting, variable in ENVIRONMENT.items()
        if os.environ.get(variable, "").strip() or _value(f"{_CREDENTIALS}.{setting}")
    ]
    if not held:
        return ""
    lacking = missing_settings(held)
    if not lacking:  # dlt reads a secret from no file but that one
        return "they stand in config.toml, and belong into .dlt/secrets.toml"
    told = "".join(f"; {one}" for one in _renamed())
    return f"{lacking} (set: {', '.join(ENVIRONMENT[n] for n in held)}{told})"


# What other tools call our settings. Sources: dlt's verified source, simple-salesforce, Salesforce.
_ELSEWHERE = {
    "user_name": "username",
    "consumer_key": "client_id",
    "consumer_secret": "client_secret",
    "privatekey_file": "private_key_file",
    "privatekey": "private_key",
    "token": "security_token",
}
# Where people put credentials, and dlt does not look for ours.
_NEAR_SECTIONS = (
    "sources.salesforce.credentials", "salesforce_targeted.credentials", "salesforce.credentials",
    f"sources.{SCHEMA_NAME}", "salesforce_targeted", "salesforce",
)  # fmt: skip


def _misplaced_settings() -> str:
    """Say under which section credentials stand instead of ours; "" where none were found."""
    names = (*ENVIRONMENT, *_ELSEWHERE)
    for section in _NEAR_SECTIONS:
        if any(has(f"{section}.{name}") for name in names):
            return f"they stand under [{section}], and belong under [{_CREDENTIALS}]"
    return "; ".join(_renamed())


def _renamed() -> list[str]:
    """List the settings that stand where ours do, by the names that other tools have for them."""
    return [
        f"{name} is {ours} here"
        for name, ours in _ELSEWHERE.items()
        if has(f"{_CREDENTIALS}.{name}")
    ]


_CREDENTIALS = f"sources.{SCHEMA_NAME}.credentials"


@with_config(sections=_SECTIONS)
def _credentials(credentials: SalesforceCredentials = dlt.secrets.value) -> SalesforceCredentials:
    return credentials


# The settings as dlt reads them: what ends as another type stands in files as text or a list.
_SettingsSpec: Any = configspec(
    type(
        "TargetedSettings",
        (BaseConfiguration,),
        {setting.name: setting.default for setting in fields(Settings)}
        | {
            "__annotations__": get_type_hints(Settings)
            | {"since": Optional[str], "fields": Optional[list[str]], "api": Optional[str]}
        },
    )
)


def settings(**given: Any) -> Settings:
    """Resolve the source's settings as dlt resolves them for the source.

    Args:
        given: Settings that count before the configured ones.
    """
    try:
        found = resolve_configuration(_SettingsSpec(), sections=_SECTIONS, explicit_value=given)
    except ConfigValueCannotBeCoercedException as error:
        written = _WRITTEN_AS.get(str(error.hint), "Correct it.")
        raise ConfigurationError(
            f"{error.field_name} = {error.field_value!r} is no value that it can have",
            remedy=f"{written} .dlt/config.toml says what it is for.",
        ) from None
    return Settings.parse(**found)


_WRITTEN_AS = {
    "<class 'list'>": 'Write it as ["FirstName", "Email"].',
    "<class 'int'>": "Write a whole number, or leave the setting out.",
    "<class 'float'>": "Write a number such as 0.1, or leave the setting out.",
}


@with_config(sections=_SECTIONS)
def statistics(statistics: Optional[dict[str, Any]] = None) -> dict[str, str]:
    """Read the configured statistics: name to SQL condition over ``sf_contacts``."""
    return {str(name): str(condition) for name, condition in (statistics or {}).items()}


def section_of(pipeline_name: str) -> AbstractContextManager[Any]:
    """Open a block in which a pipeline's own section of the configuration counts first.

    ``[targeted_contacts.destination.postgres]`` then wins over ``[destination.postgres]``.

    Raises:
        ConfigurationError: a file of dlt's configuration can't be read.
    """
    _check_files()
    return inject_section(ConfigSectionContext(pipeline_name=pipeline_name))


def _check_files() -> None:
    """Let dlt read its files; name the one that it can't read, and why.

    Source: TOML 1.0, "Spec" (a document is UTF-8; nothing allows a byte order mark).
    """
    try:
        dlt.secrets.get("runtime")
    except TomlProviderReadException as error:
        for path in error.full_paths:
            if Path(path).is_file() and (fault := _fault_of(Path(path).read_bytes())):
                raise ConfigurationError(
                    f"{path} can't be read: {fault[0]}", remedy=fault[1]
                ) from error
        raise ConfigurationError(
            f"{error.file_name} can't be read", remedy=f"Look at {' and '.join(error.full_paths)}."
        ) from error


def _fault_of(file: bytes) -> tuple[str, str] | None:
    """Say what keeps a file from being TOML, and the remedy; None where it is TOML."""
    if b"\0" in file and not file.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "it is not UTF-8", "Save it as UTF-8."
    if file.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return (
            "it begins with a byte order mark, which some editors write",
            "Save it as UTF-8 without a byte order mark.",
        )
    try:
        tomllib.loads(file.decode())
    except UnicodeDecodeError:
        return "it is not UTF-8", "Save it as UTF-8."
    except tomllib.TOMLDecodeError as error:
        return (
            f"it is not TOML: {error}",
            "Correct that line; a path with backslashes stands in single quotes.",
        )
    return None


@contextmanager
def usable_destination() -> Iterator[None]:
    """Turn what dlt says of a destination that can't be used as configured into a remedy.

    Raises:
        ConfigurationError: there is no such destination, or its credentials are incomplete.
    """
    try:
        yield
    except UnknownDestinationModule as error:
        meant = get_close_matches(error.ref, dlt.destinations.__all__, 1)
        raise ConfigurationError(
            f"dlt knows no destination {error.ref}{f' (is {meant[0]} meant?)' if meant else ''}",
            remedy=f"Choose one of {', '.join(sorted(dlt.destinations.__all__))}.",
        ) from error
    except (ConfigurationException, DestinationException) as error:
        raise ConfigurationError(
            f"the destination can't be used as configured: {first_line(error)}",
            remedy=(
                "Set [destination.<name>.credentials] in .dlt/secrets.toml, or for PostgreSQL"
                " DESTINATION__POSTGRES__CREDENTIALS=postgresql://user:password@host:5432/database;"
                f" without a destination the data goes to a DuckDB file. {PERCENT_ENCODING}"
            ),
        ) from error


@contextmanager
def usable_folder() -> Iterator[None]:
    """Turn what the system says of dlt's working folder into a remedy.

    Raises:
        ConfigurationError: it can't be made or written.
    """
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise ConfigurationError(
            f"dlt's working folder can't be written: {error.strerror or error}{where}",
            remedy="Make room or give the right, or work elsewhere: --pipelines-dir, DLT_DATA_DIR.",
        ) from error


def load_settings(pipeline_name: str) -> None:
    """Set how dlt writes and loads, where the user has not.

    Compressing what is read again at once costs more than the load itself; a file that is loaded
    through ADBC is in memory as a whole until it is; and two pipelines that share a staging dataset
    truncate each other's rows.
    """
    defaults: dict[str, Any] = {
        "normalize.data_writer.disable_compression": True,
        "sources.data_writer.disable_compression": True,
        "sources.data_writer.file_max_items": ROWS_PER_FILE,
        "load.workers": 4,
        "load.delete_completed_jobs": True,
        "destination.staging_dataset_name_layout": f"%s_staging_{pipeline_name}",
        # Progress and report are ours; nothing is sent to anyone.
        "runtime.dlthub_telemetry": False,
    }
    for key, value in defaults.items():
        # What another pipeline of this process got from here is not the user's.
        if dlt.config.get(key) in (None, _given.get(key)):
            dlt.config[key] = _given[key] = value


def pipeline_name() -> str | None:
    """Return the pipeline whose section counts first, if there is one."""
    return Container()[ConfigSectionContext].pipeline_name


def has(key: str) -> bool:
    """Tell whether a key or anything below it is set, for all pipelines or for this one."""
    keys = _scoped(key)
    prefixes = [name.upper().replace(".", "__") for name in keys]
    return any(
        variable == prefix or variable.startswith(f"{prefix}__")
        for variable in os.environ
        for prefix in prefixes
    ) or any(dlt.config.get(name) is not None for name in keys)


def _value(key: str) -> str:
    """Return what a key is set to, as text; "" where it is blank."""
    for name in _scoped(key):
        value: Any = dlt.config.get(name)
        if text := str(value or "").strip():
            return text
    return ""


def _scoped(key: str) -> list[str]:
    return [key, *([f"{name}.{key}"] if (name := pipeline_name()) else [])]
