"""``--demo`` in an empty folder, twice, as a newcomer runs it; dlt's own command line afterwards."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from salesforce_targeted.demo_org import DemoOrg, serve
from tests.support.script import DUCKDB_FILE, Ended, command, ids, process, rows, session_of

DATASET = "salesforce_demo"
TABLES = ("sf_contacts", "sf_taskwhorelations", "sf_activities", "sf_users", "sf_active_contacts")
# What dlt's command line is asked -> what it must show.
INSPECTIONS = {
    "-v targeted_contacts info": ["contact with 1 table", "SystemModstamp", "last_value"],
    "targeted_contacts trace": ["sf_contacts: 817 row(s)", "sf_taskwhorelations: 2392 row(s)"],
    "targeted_contacts schema": ["sf_taskwhorelations", "task_who_relation", "npi__c"],
    "targeted_contacts failed-jobs": ["No failed jobs"],
}
DLT = Path(sys.executable).with_name("dlt")


@dataclass(frozen=True)
class Demo:
    """Two demo runs in one folder, the tables after each, and a copy made after the first."""

    folder: Path
    first: Path
    runs: tuple[Ended, Ended]
    tables: tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """``--demo --json`` run twice; a user's own credentials are set all the while."""
    folder = tmp_path_factory.mktemp("demo")
    org = DemoOrg.tiny()
    with serve(org) as server:
        environ = session_of(server)
        first = process("--demo", "--json", cwd=folder, environ=environ)
        held = {table: rows(folder, table, DATASET) for table in TABLES}
        copy = shutil.copytree(folder, tmp_path_factory.mktemp("first") / "demo")
        second = process("--demo", "--json", cwd=folder, environ=environ)
        held_then = {table: rows(folder, table, DATASET) for table in TABLES}
    assert 0 == len(org.requests)  # the demo never asks the org that credentials point at

    return Demo(folder, copy, (first, second), (held, held_then))


def test_the_demo_loads_the_whole_set(demo: Demo) -> None:
    """817 contacts of 105 fields and 2,392 relations, in at most 12 calls, all of it explained."""
    ended, held = demo.runs[0], demo.tables[0]
    facts = ended.facts

    assert (0, "done") == (ended.code, facts["status"])
    assert (817, 2392) == (len(held["sf_contacts"]), len(held["sf_taskwhorelations"]))
    assert 105 + len(["row_hash"]) == len(held["sf_contacts"][0])
    assert (817, 2392) == (facts["contacts"]["held"], facts["relations"]["held"])
    assert 100.0 == facts["closure"]["relations_explained_pct"]
    assert {"archived": 61, "deleted": 30, "hidden": 20} == facts["closure"]["tasks_missing"]
    assert facts["calls"]["total"] <= 12
    assert 15_000 - facts["calls"]["total"] == facts["calls"]["org_remaining"]


def test_the_demo_run_again_changes_no_row(demo: Demo) -> None:
    """The second run loads no duplicate, changes no row and costs fewer calls."""
    first, second = (ended.facts for ended in demo.runs)

    assert demo.tables[0] == demo.tables[1]
    assert 817 == len(ids(demo.folder, "sf_contacts", DATASET))
    assert (0, 0, 817) == tuple(second["contacts"][key] for key in ("new", "updated", "unchanged"))
    assert (0, 0, 0) == tuple(second["relations"][key] for key in ("new", "updated", "removed"))
    assert second["calls"]["total"] < first["calls"]["total"]
    assert 2 == len(rows(demo.folder, "sf_sync_runs", DATASET))


def test_the_demo_needs_and_leaves_one_folder(demo: Demo) -> None:
    """The data goes to targeted_contacts.duckdb in the current folder, reports next to it."""
    left = {path.name for path in demo.folder.iterdir()}

    assert {
        DUCKDB_FILE,
        f"{DUCKDB_FILE}.lock",
        "sync_results",
        "targeted_contact_sync.log",
        "dlt",
    } == left


@pytest.mark.brief(1)
@pytest.mark.parametrize("words", list(INSPECTIONS))
def test_dlts_command_line_works_on_the_pipeline(demo: Demo, words: str) -> None:
    """info, trace, schema and failed-jobs show resources, cursor and row counts after a run."""
    ended = command(str(DLT), "pipeline", *words.split(), cwd=demo.first)

    assert 0 == ended.code
    assert [] == [word for word in INSPECTIONS[words] if word not in ended.out], ended.out


@pytest.mark.deep
def test_a_demo_disturbs_no_real_org_afterwards(tmp_path: Path, demo: Demo) -> None:
    """The working folder of a demo is not taken for the org that credentials then point at."""
    org = DemoOrg.tiny()
    with serve(org) as server:
        real = session_of(server, "localhost")
        looks = [
            process(look, "--json", cwd=demo.folder, environ=real).facts
            for look in ("--test", "--plan")
        ]
        synced = process("--json", cwd=demo.folder, environ=real)
    facts = synced.facts

    assert ["done", "done"] == [look["status"] for look in looks]
    assert (None, 30) == (looks[1]["cursor"], looks[1]["relations_expected"])
    assert (0, 12, 30) == (synced.code, facts["contacts"]["held"], facts["relations"]["new"])
    assert set(org.active_ids()) == ids(demo.folder, "sf_contacts")
    assert 817 == len(ids(demo.folder, "sf_contacts", DATASET))


@pytest.mark.deep
def test_a_demo_in_another_folder_starts_anew(tmp_path: Path, demo: Demo) -> None:
    """The working folder of dlt is shared by folders; the file is the current one's."""
    (tmp_path / "dlt").symlink_to(demo.folder / "dlt")
    ended = process("--demo", "--json", cwd=tmp_path)

    assert (0, 817) == (ended.code, ended.facts["contacts"]["new"])
    assert 817 == len(ids(tmp_path, "sf_contacts", DATASET))
