"""Read dlt's configuration: credentials, settings, statistics, and where the data goes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Optional, get_type_hints

import dlt
from dlt.common.configuration import configspec, inject_section, resolve_configuration, with_config
from dlt.common.configuration.exceptions import (
    ConfigurationException,
    ConfigValueCannotBeCoercedException,
    InvalidNativeValue,
)
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.configuration.specs.config_section_context import ConfigSectionContext
from dlt.common.destination.exceptions import DestinationException, UnknownDestinationModule

from salesforce_targeted.api.credentials.base import ENVIRONMENT
from salesforce_targeted.api.credentials.config_keys import CREDENTIALS, SECTION, has, raw
from salesforce_targeted.api.credentials.resolution import (
    IncompleteCredentialsError,
    SalesforceCredentials,
    missing_settings,
)
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.destination.database import PERCENT_ENCODING
from salesforce_targeted.destination.errors import first_line, original_error
from salesforce_targeted.destination.table_names import SCHEMA_NAME
from salesforce_targeted.settings import Settings
from salesforce_targeted.sync import config_values

# About 60 MB of contacts, and four are loaded at once.
ROWS_PER_FILE = 20_000
# Setting to what it was ever set to here: dlt may have taken an older value back since.
_given: dict[str, set[Any]] = {}
# Where dlt looks for the source's own parameters: its module and its name; it also looks in
# [sources.salesforce_targeted], in [sources] and, first, under the pipeline's name.
_SECTIONS = ("sources", "source", SCHEMA_NAME)


def credentials() -> SalesforceCredentials:
    """Resolve the credentials that dlt's configuration or ``SALESFORCE_*`` give.

    Raises:
        ConfigurationError: none are complete, or one is of another type; says what to set and
            where, and where some stand that dlt does not look at.
    """
    config_values.check_credentials()
    try:
        return _credentials()
    except (ConfigurationException, IncompleteCredentialsError) as error:
        missing = "; ".join(_reasons())
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


def _reasons() -> Iterator[str]:
    """Say what the nearest method of signing in lacks, and what stands where dlt does not look."""
    held = [
        setting
        for setting, variable in ENVIRONMENT.items()
        if os.environ.get(variable, "").strip()
        or any(str(value or "").strip() for _, value in raw(f"{CREDENTIALS}.{setting}"))
    ]
    if held and (lacking := missing_settings(held)):
        yield f"{lacking} (set: {', '.join(ENVIRONMENT[n] for n in held)})"
    elif held:  # dlt reads a secret from no file but that one
        yield "they stand in config.toml, and belong into .dlt/secrets.toml"
    for section in _NEAR_SECTIONS:
        if any(has(f"{section}.{name}") for name in (*ENVIRONMENT, *_ELSEWHERE)):
            yield f"they stand under [{section}], and belong under [{CREDENTIALS}]"
            break
    for name, ours in _ELSEWHERE.items():
        if has(f"{CREDENTIALS}.{name}"):
            yield f"{name} is {ours} here"


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
    """Resolve the source's settings as dlt does for the source; those given here count first."""
    config_values.check_names([*get_type_hints(Settings), "credentials", "statistics"])
    with _explained_types():
        values = resolve_configuration(_SettingsSpec(), sections=_SECTIONS, explicit_value=given)
    return Settings.parse(**values)


@contextmanager
def _explained_types() -> Iterator[None]:
    """Turn a value that dlt can't make what it should be into how to write it."""
    try:
        yield
    except ConfigValueCannotBeCoercedException as error:
        hint = next((kind for kind in _WRITTEN_AS if kind in str(error.hint)), "")
        raise ConfigurationError(
            f"{error.field_name} = {error.field_value!r} is no value that it can have",
            remedy=f"{_WRITTEN_AS.get(hint, 'Correct it.')} .dlt/config.toml says what it is for.",
        ) from None


_WRITTEN_AS = {
    "list": 'Write it as ["FirstName", "Email"].',
    "int": "Write a whole number, or leave the setting out.",
    "float": "Write a number such as 0.1, or leave the setting out.",
    "dict": f'Write a table [{SECTION}.statistics] with lines such as name = "SQL condition".',
    "bool": "Write true or false.",
}


def statistics() -> dict[str, str]:
    """Read the configured statistics: name to SQL condition over ``sf_contacts``.

    Raises:
        ConfigurationError: it is no table of texts.
    """
    with _explained_types():
        table: Any = _statistics() or {}
    # A list passes for a table with dlt.
    if not isinstance(table, dict) or not all(isinstance(sql, str) for sql in table.values()):
        raise ConfigurationError(
            f"statistics = {table!r} are no SQL conditions", remedy=_WRITTEN_AS["dict"]
        )
    return table


@with_config(sections=_SECTIONS)
def _statistics(statistics: Optional[dict[str, Any]] = None) -> dict[str, Any] | None:
    return statistics


def section_of(pipeline_name: str) -> AbstractContextManager[Any]:
    """Open a block in which a pipeline's own section of the configuration counts first.

    ``[targeted_contacts.destination.postgres]`` then wins over ``[destination.postgres]``.

    Raises:
        ConfigurationError: a file of dlt's configuration can't be read.
    """
    config_values.check_files()
    return inject_section(ConfigSectionContext(pipeline_name=pipeline_name))


# How dlt says where it looked for a setting that is missing, and no part of credentials.
_VARIABLE = re.compile(r"\(Environment Variables, (DESTINATION__(?!\w*CREDENTIALS)\w+)\)")

_SET_DESTINATION = (
    "Set [destination.<name>.credentials] in .dlt/secrets.toml, or for PostgreSQL"
    " DESTINATION__POSTGRES__CREDENTIALS=postgresql://user:password@host:5432/database; without a"
    f" destination the data goes to a DuckDB file. {PERCENT_ENCODING}"
)


@contextmanager
def usable_destination() -> Iterator[None]:
    """Turn what dlt says of a destination or a folder that can't be used into a remedy.

    Raises:
        ConfigurationError: there is no such destination, its credentials are incomplete, or dlt's
            working folder can't be made or written.
    """
    try:
        yield
    except UnknownDestinationModule as error:
        meant = get_close_matches(error.ref, dlt.destinations.__all__, 1)
        raise ConfigurationError(
            f"dlt knows no destination {error.ref}{f' (is {meant[0]} meant?)' if meant else ''}",
            remedy=f"Choose one of {', '.join(sorted(dlt.destinations.__all__))}.",
        ) from error
    except ConfigValueCannotBeCoercedException as error:  # of whichever setting
        raise original_error(error) from error
    except (ConfigurationException, DestinationException) as error:
        why, remedy = first_line(error), _SET_DESTINATION
        if isinstance(error, InvalidNativeValue):  # dlt's text of it is five lines
            why = "the credentials are empty or no connection string"
        if missing := _VARIABLE.search(str(error)):
            remedy = f"Set {missing[1]}."
        raise ConfigurationError(
            f"the destination can't be used as configured: {why}", remedy=remedy
        ) from error
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

    Raises:
        ConfigurationError: a setting of dlt's own is none.
    """
    config_values.check_dlt_settings()
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
        given = _given.setdefault(key, set())
        if dlt.config.get(key) in {None, *given}:
            dlt.config[key] = value
            given.add(value)
