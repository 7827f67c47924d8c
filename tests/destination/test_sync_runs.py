"""The table of runs: what an older version wrote stays, and the dataset is continued."""

from __future__ import annotations

import pyarrow as pa
import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from tests.conftest import Synced


@pytest.mark.deep
@pytest.mark.parametrize("synced", ["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)],
                         indirect=True)  # fmt: skip
def test_a_column_of_an_older_version_stays(synced: Synced) -> None:
    """Version 0.1 counted ``calls_predicted``: its values stay, runs from now on leave it null."""
    synced.begin()
    run = synced.rows("sf_sync_runs", key="run_id").popitem()[1]
    old = pa.table({"run_id": ["old"], "calls_predicted": pa.array([7], pa.int64())})
    synced.pipeline.run(old, table_name="sf_sync_runs", write_disposition="append")
    facts = synced.ok()
    held = synced.rows("sf_sync_runs", key="run_id")

    assert {"old": 7, run["run_id"]: None, facts["run_id"]: None} == {
        key: row["calls_predicted"] for key, row in held.items()
    }
    assert "done" == held[facts["run_id"]]["status"]


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("synced", ["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)],
                         indirect=True)  # fmt: skip
def test_columns_that_dlt_is_told_to_add(
    synced: Synced, monkeypatch: pytest.MonkeyPatch, org: DemoOrg
) -> None:
    """A run's row says how it ended, whatever dlt's settings add to each table."""
    for name in ("ID", "LOAD_ID"):
        monkeypatch.setenv(f"NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_{name}", "true")
    synced.ok()
    org.faults.add(Fault("*", "unknown_500", times=999))
    synced.run()

    assert {"done", "failed"} == {
        row["status"] for row in synced.rows("sf_sync_runs", key="run_id").values()
    }
