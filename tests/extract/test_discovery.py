"""Discovery that takes more calls than a run has is made by several, each for a part of the ids."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from salesforce_targeted import targeted
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.settings import Scope
from salesforce_targeted.sync.runner import sync
from tests.conftest import Synced, duckdb_pipeline

# So few ids a call that the twelve contacts of the tiny org take more calls than a run has.
SMALL = Scope(limits=replace(DOCUMENTED, groups_per_query=2, rows_per_query_page=10))


def active(synced: Synced) -> list[str]:
    """List the contacts that are held as active."""
    return sorted(synced.rows("sf_active_contacts", "contact_id", "is_active"))


def runs_until_done(synced: Synced, most: int, **settings: Any) -> int:
    """Count the runs, each exit 3, up to the one that is done."""
    for number in range(1, most + 1):
        facts = synced.run(SMALL, **settings).facts
        if facts["status"] == "done":
            return number
        assert "partial" == facts["status"]
    pytest.fail(f"not done after {most} runs: {facts['error']}")


@pytest.mark.parametrize("groups", [None, 1, pytest.param(0, marks=pytest.mark.deep)])
def test_who_is_no_longer_active_is_asked_by_several_runs(
    org: DemoOrg, synced: Synced, groups: int | None
) -> None:
    """The first and the last contact left: each run says how far it asked, the last one is done."""
    synced.begin()
    first, *others, last = sorted(org.active_ids())
    if groups is not None:  # then the relations are read and counted, in order
        org.traits.aggregates_left, org.page_rows = groups, 4
    for id_, row in org.rows("TaskWhoRelation").items():
        if row["RelationId"] in (first, last):
            org.remove_relation(id_)
    few: dict[str, Any] = {"calls_per_run": 9 if groups is None else 12, "api": "collections"}
    began = synced.run(SMALL, **few).facts["error"]
    told = [id_ in active(synced) for id_ in (first, *others, last)]
    runs_until_done(synced, 6, **few)

    assert "no longer active was asked for some of them" in began
    assert [False, *[True] * len(told[1:])] == told
    assert others == active(synced)
    assert sorted(org.rows("TaskWhoRelation")) == sorted(
        synced.rows("sf_taskwhorelations", where="removed_at IS NULL")
    )


@pytest.mark.deep
def test_records_that_no_held_relation_names_are_discovered_by_several_runs(
    org: DemoOrg, server: DemoServer, tmp_path: Path
) -> None:
    """Nothing but discovery tells of them, and of how many there are none but the first call."""
    ledger, pipeline = Ledger(), duckdb_pipeline(tmp_path)
    credentials = SessionCredentials(instance_url=server.url, access_token=server.token)
    wanted = {"object": "Contact", "discovered_by": "TaskWhoRelation", "table": "sf_people"}
    for runs in range(1, 9):  # noqa: B007
        ledger = Ledger()
        source = targeted(credentials, **wanted, scope=SMALL, ledger=ledger, calls_per_run=6)
        if sync(pipeline, source, ledger).facts["status"] == "done":
            break

    assert 1 < runs < 8
    assert sorted(org.active_ids()) == sorted(Synced(pipeline, credentials).rows("sf_people"))


def test_a_later_since_that_leaves_few_active_is_named(synced: Synced) -> None:
    """No permission is missing then: the setting says that most relations don't count."""
    synced.begin()
    newest = max(row["system_modstamp"] for row in synced.rows("sf_taskwhorelations").values())
    error = synced.run(since=(newest + timedelta(seconds=1)).isoformat()).facts["error"]

    assert "the org shows 0 active contacts where 12 were active" in error
    assert "`since`" in error
