"""Finish what an earlier run left in dlt's working folder, or give it up and sweep it away.

Rules:
- Until a pending package is gone, dlt's ``run`` loads it and ignores new data.
- A package whose load was killed is never resumed: whether the job under way was committed is not
  known. Done twice, its rows are staged twice, and where no index forbids it (DuckDB) the merge
  inserts each twice. What it held is read again from the org.
- A package is loaded only over the state that it was made from: what another machine has loaded
  since is newer, and a backup that was restored lacks what lies between.
- A folder that is ahead of the dataset's own state, as after a backup was restored, is forgotten:
  its cursors lie beyond what is held.
- Giving a package up takes the cursor back to where it was before that package.
- Files of people's data that nothing will load any more are removed.
"""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from typing import Any

import dlt
from dlt.common.destination.client import WithStateSync
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.pipeline.exceptions import PipelineStepFailed

from salesforce_targeted.destination.clients import client_of
from salesforce_targeted.destination.errors import first_line, original_error
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.table_names import SCHEMA_NAME
from salesforce_targeted.ledger import Ledger

logger = logging.getLogger("salesforce_targeted")

# dlt writes into a file or folder of such a name and moves it when it is whole.
_UNFINISHED = re.compile(r"[0-9a-f]{16}\Z")
# Folders of a package that hold rows, or errors that quote rows.
_WITH_ROWS = (
    "new_jobs", "started_jobs", "failed_jobs", "completed_jobs", ".exceptions",
    ".pending_transitions",
)  # fmt: skip


def forget_other_datasets(pipeline: dlt.Pipeline, ledger: Ledger) -> None:
    """Drop a working folder that belongs to another dataset; dlt restores ours from where it is.

    A cursor of another dataset would skip rows here, and a package left for it would land here.
    """
    if known := other_dataset(pipeline):
        ledger.step(
            "this dataset's first run from here: going on from what it holds (dlt's working folder"
            f" was that of {known})"
        )
        reset_working_folder(pipeline)


def other_dataset(pipeline: dlt.Pipeline) -> str | None:
    """Return the dataset that the working folder belongs to, if that is not the pipeline's."""
    sources: Any = pipeline.state.get("sources", {})
    known: str | None = sources.get(SCHEMA_NAME, {}).get("held_in")
    return known if known and known != HeldTables.of(pipeline).location else None


def reset_working_folder(pipeline: dlt.Pipeline) -> None:
    """Forget the working folder: dlt goes on from what the destination holds."""
    pipeline.drop()
    # dlt makes it for all to read; rows of people are kept there until they are loaded.
    Path(pipeline.working_dir).chmod(0o700)


def finish_leftovers(pipeline: dlt.Pipeline, ledger: Ledger) -> None:
    """Load what an earlier run extracted but did not load; give up what can't be loaded."""
    folder = Path(pipeline.working_dir)
    _sweep(folder)
    if not pipeline.has_pending_data:
        return
    if _was_killed_while_loading(pipeline):
        ledger.step("an earlier run was killed while it loaded: its rows are read again")
        _give_up(pipeline, ledger)
    elif _stored_version(pipeline) not in {None, pipeline.state["_state_version"] - 1}:
        ledger.step(
            "another machine has synced since an earlier run, or a backup was restored: its rows"
            " are read again"
        )
        _give_up(pipeline, ledger)
    else:
        ledger.step("an earlier run left a package unloaded: finishing it first")
        try:
            pipeline.normalize()
            pipeline.load()
            ledger.step("the leftover package is loaded")
        except PipelineStepFailed as error:
            _give_up(pipeline, ledger)
            ledger.warn(
                "a package that an earlier run left behind could not be loaded and was given up;"
                f" this run reads its rows again from the org ({first_line(original_error(error))})"
            )
    _sweep(folder)


def _was_killed_while_loading(pipeline: dlt.Pipeline) -> bool:
    """Tell whether a job was begun and neither finished nor put back, as a run that fails does."""
    if not Path(pipeline.working_dir, "load", "normalized").is_dir():
        return False  # killed before the first load; dlt lists no packages in a folder half made
    return any(
        pipeline.get_load_package_info(load_id).jobs["started_jobs"]
        for load_id in pipeline.list_normalized_load_packages()
    )


def forget_later_states(pipeline: dlt.Pipeline, ledger: Ledger) -> None:
    """Drop a working folder that is ahead of its dataset, of which a backup was restored.

    Its cursors would skip what was modified between the backup and the last run. dlt itself follows
    the destination's state only where that is as new as the folder's. Where it is told not to keep
    its state there, that tells nothing.
    """
    if not pipeline.config.restore_from_destination:
        return
    stored = _stored_version(pipeline)
    if stored is not None and stored < pipeline.state["_state_version"]:
        ledger.step(
            "the dataset is older than the last run from here, as after a backup was restored:"
            " going on from what it holds"
        )
        reset_working_folder(pipeline)


def _stored_version(pipeline: dlt.Pipeline) -> int | None:
    """Return the version of the state that the destination holds; None where it holds none."""
    client = client_of(pipeline)
    if not isinstance(client, WithStateSync):
        return None
    with client:
        if not client.is_storage_initialized():
            return None
        try:
            stored = client.get_stored_state(pipeline.pipeline_name)
        except DestinationUndefinedEntity:  # a dataset that others made, or whose state was dropped
            return None
    return None if stored is None else stored.version


def _give_up(pipeline: dlt.Pipeline, ledger: Ledger) -> None:
    """Abort what is pending; a folder in which even that fails is dropped.

    A kill between a package's completion and its move leaves one that dlt can neither load nor
    abort. What dlt then restores from the destination is the state of the last package that was
    loaded whole, so no cursor is ahead of its rows.
    """
    try:
        pipeline.abort_packages()
        if pipeline.has_pending_data:
            pipeline.load()
    except PipelineStepFailed:
        logger.debug("the leftover package could not be aborted", exc_info=True)
        ledger.step("the working folder is inconsistent: starting from what the dataset holds")
        reset_working_folder(pipeline)


def _sweep(folder: Path) -> None:
    """Remove what a killed run was writing, and the rows of packages that are over.

    Half of a schema's file keeps dlt from reading any of them; half of an extraction, and a package
    that was given up, hold rows of people.
    """
    for path in [path for path in folder.rglob("*") if _UNFINISHED.match(path.name)]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    for package in (folder / "load" / "loaded").glob("*"):
        for name in _WITH_ROWS:
            shutil.rmtree(package / name, ignore_errors=True)
