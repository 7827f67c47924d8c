"""Two machines with a working folder each sync one dataset in turns: neither undoes the other."""

from __future__ import annotations

import stat
from pathlib import Path

import dlt
import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.source import salesforce_targeted
from tests.conftest import BOTH, Synced


def other_machine(synced: Synced, tmp_path: Path, credentials: SessionCredentials) -> Synced:
    """Return a pipeline on the same dataset, with a working folder of its own."""
    pipeline = dlt.pipeline(
        "synced",
        destination=synced.pipeline.destination,
        dataset_name="salesforce",
        pipelines_dir=str(tmp_path / "elsewhere"),
    )
    return Synced(pipeline, credentials)


@pytest.mark.deep
@BOTH
def test_rows_left_unloaded_do_not_undo_another_machines(
    org: DemoOrg, synced: Synced, tmp_path: Path, credentials: SessionCredentials
) -> None:
    """What one machine extracted and did not load is older than what the other has loaded since."""
    who = org.active_ids()[0]
    synced.begin()
    org.edit("Contact", who, LastName="Older")
    synced.pipeline.extract(salesforce_targeted(credentials, ledger=Ledger()))
    org.edit("Contact", who, LastName="Newer")
    other_machine(synced, tmp_path, credentials).ok()
    # Beyond the budget nothing is read that was not modified since the other machine's cursor.
    facts = synced.ok(refresh_call_budget=0)

    assert "Newer" == synced.rows("sf_contacts")[who]["last_name"]
    assert [step for step in facts["steps"] if "another machine has synced" in step]
    assert not synced.pipeline.has_pending_data


@pytest.mark.deep
def test_a_folder_that_was_begun_anew_is_for_its_owner_alone(
    synced: Synced, tmp_path: Path, credentials: SessionCredentials
) -> None:
    """Rows wait there until they are loaded."""
    synced.begin()
    folder = Path(synced.pipeline.working_dir)
    elsewhere = dlt.pipeline(
        "synced",
        destination=dlt.destinations.duckdb(str(tmp_path / "other.duckdb")),
        dataset_name="salesforce",
        pipelines_dir=str(tmp_path / "pipelines"),
    )
    facts = Synced(elsewhere, credentials).ok()

    assert [step for step in facts["steps"] if "going on from what it holds" in step]
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
