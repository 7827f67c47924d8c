"""What dlt's configuration says: credentials, settings, statistics, and where the data goes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Optional

import dlt
from dlt.common.configuration import with_config
from dlt.common.configuration.exceptions import ConfigurationException
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
from salesforce_targeted.destination.held_tables import SCHEMA_NAME
from salesforce_targeted.settings import Settings, settings_of

DUCKDB_FILE = "targeted_contacts.duckdb"
# About 60 MB of contacts, and four are loaded at once.
ROWS_PER_FILE = 20_000
_SECTION = f"sources.{SCHEMA_NAME}"


def credentials() -> SalesforceCredentials:
    """The credentials that dlt's configuration or ``SALESFORCE_*`` give.

    Raises:
        ConfigurationError: none are complete; says what to set and where.
    """
    try:
        return _credentials()
    except (ConfigurationException, IncompleteCredentialsError) as error:
        missing = _missing_settings()
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
        if os.environ.get(variable, "").strip() or _has(f"{_SECTION}.credentials.{setting}")
    ]
    if not held:
        return ""
    return f"{missing_settings(held)} (set: {', '.join(ENVIRONMENT[n] for n in held)})"


@with_config(sections=("sources", SCHEMA_NAME))
def _credentials(credentials: SalesforceCredentials = dlt.secrets.value) -> SalesforceCredentials:
    return credentials


@with_config(sections=("sources", SCHEMA_NAME))
def settings(
    since: Optional[str] = None,
    fields: Optional[list[str]] = None,
    refresh_call_budget: int = 100,
    full_refresh_days: int = 7,
    daily_call_reserve: float = 0.1,
    calls_per_run: Optional[int] = None,
    api: Optional[str] = None,
    id_column: str = "id",
) -> Settings:
    """The source's settings, as it would find them itself."""
    return settings_of(
        since,
        fields,
        refresh_call_budget,
        full_refresh_days,
        daily_call_reserve,
        calls_per_run,
        api,
        id_column,
    )


def statistics() -> dict[str, str]:
    """Statistic name to SQL condition over ``sf_contacts``."""
    found: Any = dlt.config.get(f"{_SECTION}.statistics")
    return {str(name): str(condition) for name, condition in dict(found or {}).items()}


def destination(chosen: str | None, *, demo: bool) -> Any:
    """Where the data goes; decided before anything is read from the org.

    Returns:
        A destination or its name, or None where dlt's own configuration names one.
    """
    if chosen and chosen != "duckdb":
        return chosen
    if not chosen and not demo:
        named = ("destination_name", "destination_type")
        if any(os.environ.get(name.upper()) or dlt.config.get(name) for name in named):
            return None
        if _has("destination.postgres.credentials"):
            return "postgres"
    if _has("destination.duckdb.credentials"):
        return "duckdb"
    # An explicit path: dlt's own default remembers the folder of the first run.
    return dlt.destinations.duckdb(str(Path.cwd() / DUCKDB_FILE))


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
            f"the destination can't be used as configured: {str(error).strip().splitlines()[0]}",
            remedy=(
                "Set [destination.<name>.credentials] in .dlt/secrets.toml, or for PostgreSQL"
                " DESTINATION__POSTGRES__CREDENTIALS=postgresql://user:password@host:5432/database;"
                " without a destination the data goes to a DuckDB file."
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


def check_names(pipeline: dlt.Pipeline) -> None:
    """Resolve the destination's credentials and refuse names that DuckDB would confuse.

    Nothing is connected to. A DuckDB file is a catalog of its stem's name: with a dataset of the
    same name every table is ambiguous, and dlt would find out after all has been retrieved.

    Raises:
        ConfigurationError: dataset and DuckDB file have the same name.
    """
    config: Any = pipeline.destination_client().config
    if config.destination_type.endswith("duckdb"):
        catalog = Path(str(config.credentials.database)).stem
        if catalog == pipeline.dataset_name:
            raise ConfigurationError(
                f"the dataset and the DuckDB file are both called {catalog}",
                remedy="Choose another --dataset.",
            )


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
        # Ours is the progress and the report; nothing is sent to anybody.
        "runtime.dlthub_telemetry": False,
    }
    for key, value in defaults.items():
        if dlt.config.get(key) is None:
            dlt.config[key] = value


def _has(key: str) -> bool:
    prefix = key.upper().replace(".", "__")
    if any(name == prefix or name.startswith(f"{prefix}__") for name in os.environ):
        return True
    try:
        return dlt.secrets.get(key) is not None
    except ConfigurationException:
        return False
