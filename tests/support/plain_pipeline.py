"""The source run as a dlt user runs it: ``pipeline.run``, nothing of ours around it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.common.pipeline import LoadInfo
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.sources import DltSource

from salesforce_targeted import salesforce_targeted
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.destination.errors import original_error
from tests.conftest import Synced

DELETE_INSERT = {"disposition": "merge", "strategy": "delete-insert"}
Change = Callable[[DltSource], Any]


def as_it_is(_source: DltSource) -> None:
    """Change nothing."""


def everywhere(**hints: Any) -> Change:
    """Apply hints to every resource that loads a table."""

    def change(source: DltSource) -> None:
        for resource in source.resources.selected.values():
            resource.apply_hints(**hints)

    return change


def of_contacts(**hints: Any) -> Change:
    """Apply hints to the contacts."""
    return lambda source: source.resources["contact"].apply_hints(**hints)


def run(held: Synced, change: Change = as_it_is, **run_options: Any) -> LoadInfo:
    """Run the source once, with a change of the user's own."""
    source = salesforce_targeted(held.credentials)
    change(source)
    return held.pipeline.run(source, **run_options)


def refused(held: Synced, change: Change = as_it_is, **run_options: Any) -> str:
    """Run what must be refused, and return the error's text."""
    with pytest.raises(PipelineStepFailed) as caught:
        run(held, change, **run_options)
    return str(original_error(caught.value))


def into(destination: Any, folder: Path, credentials: Any, name: str = "plain") -> Synced:
    """Return a pipeline into any destination."""
    pipeline = dlt.pipeline(
        name,
        destination=destination,
        dataset_name="salesforce",
        pipelines_dir=str(folder / "pipelines"),
    )
    return Synced(pipeline, credentials)


def changed(org: DemoOrg) -> tuple[str, str]:
    """Return an edited contact and a fresh one, which a second run has to load."""
    edited, fresh = org.active_ids()[0], org.add_contact(LastName="Fresh")
    org.edit("Contact", edited, LastName="Edited")
    org.log_task([fresh])
    return edited, fresh
