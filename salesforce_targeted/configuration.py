"""What dlt's configuration says: credentials, settings, statistics, and where the data goes."""

from __future__ import annotations

import logging
import os
from typing import Any, Optional

import dlt
from dlt.common.configuration import with_config
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.runtime.collector import LogCollector

from salesforce_targeted.api.credentials import SalesforceCredentials
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.run import SOURCE_NAME, Settings
from salesforce_targeted.source import settings_of

_SECTION = f"sources.{SOURCE_NAME}"


def credentials() -> SalesforceCredentials:
    """The credentials that dlt's configuration or ``SALESFORCE_*`` give.

    Raises:
        ConfigurationError: none are complete; says what to set and where.
    """
    try:
        return _credentials()
    except ConfigurationException as error:
        raise ConfigurationError(
            "no Salesforce credentials are configured",
            remedy=(
                "Set SALESFORCE_LOGIN_URL (https://<my domain>.my.salesforce.com),"
                " SALESFORCE_CLIENT_ID and SALESFORCE_CLIENT_SECRET, or another way to sign in that"
                " .dlt/secrets.toml.example lists, in the environment or in .dlt/secrets.toml."
                " To look around without an org: --demo."
            ),
        ) from error


@with_config(sections=("sources", SOURCE_NAME))
def _credentials(credentials: SalesforceCredentials = dlt.secrets.value) -> SalesforceCredentials:
    return credentials


@with_config(sections=("sources", SOURCE_NAME))
def settings(
    since: Optional[str] = None,
    fields: Optional[list[str]] = None,
    refresh_call_budget: int = 100,
    full_refresh_days: int = 7,
    daily_call_reserve: float = 0.1,
    api: Optional[str] = None,
    id_column: str = "id",
) -> Settings:
    """The source's settings, as it would find them itself."""
    return settings_of(
        since, fields, refresh_call_budget, full_refresh_days, daily_call_reserve, api, id_column
    )


def statistics() -> dict[str, str]:
    """Statistic name to SQL condition over ``sf_contacts``."""
    found: Any = dlt.config.get(f"{_SECTION}.statistics")
    return {str(name): str(condition) for name, condition in dict(found or {}).items()}


def destination(chosen: str | None, *, demo: bool) -> str | None:
    """Where the data goes; decided before anything is read from the org.

    Returns:
        A destination's name, or None where dlt's own configuration names one.
    """
    if chosen:
        return chosen
    if demo:
        return "duckdb"
    named = ("destination_name", "destination_type")
    if any(os.environ.get(name.upper()) or dlt.config.get(name) for name in named):
        return None
    if _has("destination.postgres.credentials"):
        return "postgres"
    return "duckdb"


def load_settings(pipeline_name: str) -> None:
    """Set how dlt writes and loads, where the user has not.

    Compressing what is read again at once costs more than the load itself; and two pipelines that
    share a staging dataset truncate each other's rows.
    """
    defaults: dict[str, Any] = {
        "normalize.data_writer.disable_compression": True,
        "sources.data_writer.disable_compression": True,
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


def progress() -> Any:
    """dlt's plain progress lines, through our log, where there is no terminal to draw a bar on."""
    return LogCollector(log_period=10.0, logger=logging.getLogger("salesforce_targeted"))
