"""The orgs of a scale-out: which there are, and each one's pipeline, dataset and credentials.

All of it is dlt's configuration (``.dlt/`` or the environment); what stands in the section of an
org's pipeline is for that org, what stands above is for all::

    [orgs]
    names = ["emea", "apac"]

    [sources.salesforce_targeted]
    daily_call_reserve = 0.2

    [targeted_contacts_emea.sources.salesforce_targeted]
    calls_per_run = 5000

    [targeted_contacts_emea.sources.salesforce_targeted.credentials]
    login_url = "https://emea.my.salesforce.com"        # in secrets.toml

Rule: an org's pipeline (``targeted_contacts_emea``) and dataset (``salesforce_emea``) are its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from datetime import datetime
from re import compile as pattern
from typing import Any

import dlt
from dlt.common.configuration import configspec, resolve_configuration
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.pipeline import get_dlt_pipelines_dir
from dlt.sources import DltSource

from salesforce_targeted import salesforce_targeted
from salesforce_targeted.api.credentials.resolution import AnyCredentials
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.cli.logs import quotes_no_row
from salesforce_targeted.destination import database
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.table_names import SYNC_RUNS
from salesforce_targeted.sync import configuration, destination_choice, run_lock
from salesforce_targeted.sync.pending_packages import reset_working_folder

# Not two underscores, which part the words of a variable's name; no capitals, which dlt folds.
_NAME = pattern(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")


@configspec
class Orgs(BaseConfiguration):
    """``[orgs]``.

    Attributes:
        names: The orgs, in lower case: they become names of pipelines, datasets and settings.
        first_month: The first month of the windows; relations older than it come with that one.
        relations_per_slice: So many relations are read, and then loaded, at a time in a window.
            All calls of a slice must fit into what a run may spend; it takes about three for 2,000.
        retry_seconds: Wait before the first retry, doubled with each further one.
        busy_seconds: Wait where another run is at work on the org.
        quota_seconds: Wait where the org's calls are spent.
        fresh_hours: How old the newest sync of an org may be.
    """

    names: list[str] = field(default_factory=list)
    first_month: str = "2020-01-01"
    relations_per_slice: int = 1_000_000
    retry_seconds: float = 30.0
    busy_seconds: float = 60.0
    quota_seconds: float = 3600.0
    fresh_hours: float = 26.0


def configured() -> Orgs:
    """Return the orgs that ``[orgs]`` names.

    Raises:
        ConfigurationError: an org has a name that would be folded into another's, or is unusable.
    """
    found = resolve_configuration(Orgs(), sections=("orgs",))
    for name in found.names:
        if not _NAME.match(name):
            raise ConfigurationError(
                f"[orgs] names: {name!r} can't be an org's name",
                remedy="Use lower-case letters, digits and single underscores: emea_prod.",
            )
    return found


@contextmanager
def pipeline_of(org: str, folder: str | None = None) -> Iterator[dlt.Pipeline]:
    """Provide an org's pipeline; within the block the org's own settings count.

    Args:
        folder: Where the working folder is; dlt's own place by default.

    Raises:
        ConfigurationError: the destination can't be used as configured.
    """
    name = f"targeted_contacts_{org}"
    configuration.load_settings(name)
    # After dlt has made its logger. Its errors quote whole rows of people.
    logging.getLogger("dlt").setLevel(logging.CRITICAL)
    logging.getLogger("dlt").addFilter(quotes_no_row)
    with configuration.section_of(name):
        with configuration.usable_destination(), run_lock.attaching(name, folder):
            made = dlt.pipeline(
                name,
                destination=destination_choice.destination(None, demo=False),
                dataset_name=f"salesforce_{org}",
                pipelines_dir=folder or get_dlt_pipelines_dir(),
            )
            database.check(made)
        yield made


def forget_folder(pipeline: dlt.Pipeline) -> None:
    """Go on from what the dataset holds, not from what an earlier attempt left in this folder.

    Since then an attempt on another machine may have gone further: rows and a cursor that were left
    here would undo it.

    Raises:
        AnotherRunError: another run is at work on the org.
    """
    with run_lock.alone(pipeline):
        reset_working_folder(pipeline)


def source_of(pipeline: dlt.Pipeline, **given: Any) -> DltSource:
    """Return the source as the org's own section has it, signed in with the org's own credentials.

    Those of all orgs, or of the environment, would fill its dataset with another org's rows.

    Args:
        given: Parameters of the source that are not configured.

    Raises:
        ConfigurationError: nothing in the org's section says how to sign in.
    """
    with configuration.section_of(pipeline.pipeline_name):
        return salesforce_targeted(credentials_of(pipeline), **given)


def credentials_of(pipeline: dlt.Pipeline) -> Any:
    """Return the org's own credentials, resolved in its own section; see :func:`source_of`."""
    section = f"{pipeline.pipeline_name}.sources.salesforce_targeted.credentials"
    if not any(dlt.secrets.get(f"{section}.{name}") for name in AnyCredentials.accepted()):
        raise ConfigurationError(
            f"the org has no credentials of its own: there is nothing in [{section}]",
            remedy="Set them there, in .dlt/secrets.toml, or in the environment as"
            f" {section.upper().replace('.', '__')}__LOGIN_URL and so on.",
        )
    return configuration.credentials()


def newest(pipeline: dlt.Pipeline, column: str, where: str) -> datetime | None:
    """Return the latest moment in a column of ``sf_sync_runs``; None where there is none yet."""
    if pipeline.default_schema_name is None:
        return None
    with HeldTables.of(pipeline) as held:
        found = held.rows(SYNC_RUNS, [f"MAX({held.name(column)})"], where)
    moment: datetime | None = found[0][0] if found else None
    return moment
