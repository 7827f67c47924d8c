"""Make the pipeline that a command works on: where the data goes and where dlt keeps its state."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import dlt
from dlt.common.pipeline import get_dlt_pipelines_dir

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.cli import logs
from salesforce_targeted.cli.progress import LiveProgress, LongWorkLog
from salesforce_targeted.cli.screen import Screen
from salesforce_targeted.destination import database
from salesforce_targeted.sync import configuration, destination_choice, run_lock

PIPELINE_NAME = "targeted_contacts"


def open_pipeline(args: argparse.Namespace, screen: Screen, folder: str | None) -> dlt.Pipeline:
    """Attach to the command line's pipeline.

    Args:
        folder: dlt's working folder; None for dlt's own.

    Raises:
        ConfigurationError: the destination or the folder can't be used as configured.
    """
    for what, name in (
        ("this folder", Path.cwd()),
        ("dlt's working folder (--pipelines-dir, DLT_DATA_DIR)", folder or get_dlt_pipelines_dir()),
        ("--dataset", args.dataset),
    ):
        if any("\ud800" <= sign <= "\udfff" for sign in str(name)):
            raise ConfigurationError(
                f"{what} has a name that isn't UTF-8, which dlt can't write down: {str(name)!a}",
                remedy="Take another one.",
            )
    configuration.load_settings(PIPELINE_NAME)
    logs.show_dlt(verbose=args.verbose, debug=args.debug)
    attaching = run_lock.attaching(PIPELINE_NAME, folder)
    with configuration.usable_destination(), attaching:
        pipeline = dlt.pipeline(
            PIPELINE_NAME,
            destination=destination_choice.destination(args.destination, demo=args.demo),
            dataset_name=args.dataset or ("salesforce_demo" if args.demo else "salesforce"),
            pipelines_dir=folder,  # type: ignore[arg-type]  # dlt takes None for its own folder
            progress=LiveProgress(screen.err) if screen.live else LongWorkLog(),
        )
        database.check(pipeline)
        # dlt would wait for what it loads before it obeys Ctrl-C; see cli.interrupts.
        pipeline.config.runtime.intercept_signals = False
        # What a failed load leaves there for the next run are rows of people.
        Path(pipeline.working_dir).chmod(0o700)
    return pipeline


def place(pipeline: dlt.Pipeline) -> str:
    """Say where the data goes: the destination, the database and the dataset; no secret."""
    at = str(database.duckdb_file(pipeline) or "")
    if database.is_postgres(pipeline):
        credentials: Any = pipeline.destination_client().config.credentials
        at = f"{credentials.database} at {credentials.host}"
    name = str(pipeline.destination.destination_name)
    return f"{name}{f': {at}' if at else ''}, dataset {pipeline.dataset_name}"
