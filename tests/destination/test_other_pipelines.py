"""A pipeline of another name loads a dataset that is there: it goes on with what is held."""

from __future__ import annotations

from pathlib import Path

import dlt
import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.demo_org import DemoOrg, serve
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
    again = other.ok()
    row = other.rows("sf_contacts")[contact]

    assert (0, 0) == (facts["contacts"]["new"], again["contacts"]["new"])
    assert row["rank__c"] is None  # and not a rounded 7
    assert ("Rank__c", "7.25") == next(
        (one["field"], one["payload"])
        for one in other.rows("sf_rejected_records", "record_id").values()
        if one["record_id"] == contact
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


@pytest.mark.deep
def test_another_key_is_refused(other: Synced) -> None:
    """Two columns would be the key, each null in the other's rows."""
    outcome = other.run(id_column="salesforce_id")

    assert "id_column was 'id' when this dataset was made" in str(outcome.facts["error"])
