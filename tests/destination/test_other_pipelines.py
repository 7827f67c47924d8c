"""A pipeline of another name loads a dataset that is there: it goes on with what is held."""

from __future__ import annotations

from pathlib import Path

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from salesforce_targeted import salesforce_targeted
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.destination.errors import original_error
from tests.conftest import BOTH, Synced
from tests.support.script import OTHER_ORG


@pytest.fixture
def other(synced: Synced, tmp_path: Path, credentials: SessionCredentials) -> Synced:
    """Provide a pipeline of another name, after the first one's first run."""
    synced.begin()
    return Synced(
        dlt.pipeline(
            "other",
            destination=synced.pipeline.destination,
            dataset_name="salesforce",
            pipelines_dir=str(tmp_path / "pipelines"),
        ),
        credentials,
    )


@BOTH
def test_what_is_held_is_not_loaded_again(org: DemoOrg, other: Synced) -> None:
    """Its first run finds what changed, and the columns keep the types that they have."""
    contact = org.active_ids()[0]
    org.edit("Contact", contact, Rank__c=7)
    org.change_field_type("Contact", "Rank__c", "double", lambda rank: rank + 0.25)
    facts = other.ok()
    repeat = other.ok()
    row = other.rows("sf_contacts")[contact]

    assert (0, 0) == (facts["contacts"]["new"], repeat["contacts"]["new"])
    assert row["rank__c"] is None  # and not a rounded 7
    assert ("Rank__c", "7.25") == next(
        (r["field"], r["payload"])
        for r in other.rows("sf_rejected_records", "record_id").values()
        if r["record_id"] == contact
    )


def test_another_org_is_refused(other: Synced) -> None:
    """Its rows would stand among those of the first, whose relations would all look removed."""
    elsewhere = DemoOrg.tiny()
    elsewhere.org_id = OTHER_ORG
    with serve(elsewhere) as server:
        url = f"http://localhost:{server.port}"
        other.credentials = SessionCredentials(instance_url=url, access_token=server.token)
        outcome = other.run()

    assert "the dataset holds the org" in str(outcome.facts["error"])
    assert [(0,)] == other.sql(
        "SELECT count(*) FROM sf_taskwhorelations WHERE removed_at IS NOT NULL"
    )


def test_a_source_of_another_name_finds_what_is_held(org: DemoOrg, synced: Synced) -> None:
    """It goes on with it where it is the same org's, and refuses another org's."""
    synced.begin()
    renamed = salesforce_targeted.clone(name="apac")
    elsewhere = DemoOrg.tiny()
    elsewhere.org_id = OTHER_ORG
    with serve(elsewhere) as server:
        url = f"http://localhost:{server.port}"
        credentials = SessionCredentials(instance_url=url, access_token=server.token)
        with pytest.raises(PipelineStepFailed) as caught:
            synced.pipeline.run(renamed(credentials))
    contact = org.active_ids()[0]
    org.edit("Contact", contact, LastName="Edited")
    synced.pipeline.run(renamed(synced.credentials))
    loaded = synced.pipeline.last_trace.last_normalize_info.row_counts
    held = synced.rows("sf_contacts")

    assert "the dataset holds the org" in str(original_error(caught.value))
    assert 1 == loaded["sf_contacts"]
    assert (org.active_ids(), "Edited") == (sorted(held), held[contact]["last_name"])


@pytest.mark.deep
def test_another_key_is_refused(other: Synced) -> None:
    """Two columns would be the key, each null in the other's rows."""
    outcome = other.run(id_column="salesforce_id")

    assert "id_column was 'id' when this dataset was made" in str(outcome.facts["error"])
