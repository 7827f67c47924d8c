"""A dataset that an older version made is continued: nothing twice, nothing lost, nothing written again."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import Synced, make_synced
from tests.support.oracles.oracle import KEYS, HeldTables
from tests.support.oracles.recovery import tell
from tests.support.story import Story

DATASET = Path(__file__).parents[1] / "datasets" / "1e84a16"
# What a run writes of itself, whatever it finds.
OF_A_RUN = {"last_seen_at"}


def happened(org: DemoOrg) -> str:
    """Do what happened between the two runs of commit 1e84a16; the contact that was not readable."""
    deleted, merged, winner, hidden, rejected, left, *_ = org.active_ids()
    org.delete("Contact", deleted)
    org.merge(winner, [merged])
    org.hide("Contact", hidden)
    org.set_silently("Contact", rejected, Birthdate="no date")
    relations = org.rows("TaskWhoRelation")
    for id_, row in relations.items():
        if row["RelationId"] == left:
            org.remove_relation(id_)
    relations = org.rows("TaskWhoRelation")
    org.archive_task(next(r["TaskId"] for r in relations.values() if r["RelationId"] == winner))
    return rejected


def restored_duckdb(_request: pytest.FixtureRequest, folder: Path) -> str:
    """Unpack the DuckDB file where the pipeline of the tests looks for it."""
    (folder / "held.duckdb").write_bytes(gzip.decompress((DATASET / "held.duckdb.gz").read_bytes()))
    return "duckdb"


def restored_postgres(request: pytest.FixtureRequest, _folder: Path) -> str:
    """Restore the dump into the database of the test."""
    dump = gzip.decompress((DATASET / "postgres.sql.gz").read_bytes()).decode()
    statements = re.sub(r"^\\(un)?restrict .*$", "", dump, flags=re.MULTILINE)  # psql's own
    tell(request.getfixturevalue("postgres"), statements)
    return "postgres"


def lasting(synced: Synced) -> dict[str, dict[str, dict[str, Any]]]:
    """Every row of every table, without what a run writes of itself."""
    held = HeldTables.read(synced.pipeline)
    assert () == held.doubled
    return {
        table: {
            key: {name: value for name, value in row.items() if name not in OF_A_RUN}
            for key, row in rows.items()
        }
        for table, rows in held.tables.items()
    }


@pytest.mark.brief(1)
@pytest.mark.parametrize(
    "restored",
    [restored_duckdb, pytest.param(restored_postgres, marks=pytest.mark.postgres)],
    ids=["duckdb", "postgres"],
)
def test_a_dataset_of_an_older_version_is_continued(
    request: pytest.FixtureRequest,
    org: DemoOrg,
    credentials: SessionCredentials,
    tmp_path: Path,
    restored: Callable[[pytest.FixtureRequest, Path], str],
) -> None:
    """The first run finds all as it was; what happens then comes, and is all that is written."""
    rejected = happened(org)
    synced = make_synced(request, tmp_path, credentials, restored(request, tmp_path))
    before = lasting(synced)
    quiet = synced.ok()
    after = lasting(synced)
    listed = synced.sql("SELECT record_id FROM sf_rejected_records")
    org.set_silently("Contact", rejected, Birthdate="1970-01-02")
    edited, fresh = org.active_ids()[-1], org.add_contact(LastName="Fresh")
    org.edit("Contact", edited, LastName="Edited")
    org.log_task([fresh])
    facts = Story(org, synced).run()

    assert dict.fromkeys(("sf_contacts", "sf_active_contacts"), 12) == {
        table: len(before[table]) for table in ("sf_contacts", "sf_active_contacts")
    }
    assert {table: before[table] for table in KEYS} == {table: after[table] for table in KEYS}
    assert {"deleted", "merged", "hidden", None} == {
        row["gone_reason"] for row in after["sf_active_contacts"].values()
    }
    counts = quiet["contacts"]
    assert (0, 0, 9, 3) == tuple(counts[n] for n in ("new", "updated", "unchanged", "gone"))
    assert (0, 0, 0) == tuple(quiet["relations"][n] for n in ("new", "updated", "removed"))
    assert (1, 2) == (facts["contacts"]["new"], facts["contacts"]["updated"])
    assert [(rejected,)] == [tuple(row) for row in listed]
    assert [(0,)] == synced.sql("SELECT count(*) FROM sf_rejected_records")
    assert [(4,)] == synced.sql("SELECT count(*) FROM sf_sync_runs")
