"""Invariant 7, resumable: killed at any instant, the next run ends as if nothing had happened.

CI kills at some instants of each kind; ``python -m tests.matrices kills`` at all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.source import salesforce_targeted
from tests.conftest import Synced
from tests.matrices.kills import STATEMENTS
from tests.support.kills import Call, Field, Instant, Step

# The rows are in the staging table, and dlt has not noted it yet.
STAGED = Step("^rename .* to .*/.pending_transitions/sf_contacts.*parquet")
IN_CI: list[Instant] = [
    Call(5),
    Step("^open normalize/.*/sf_activities"),  # in the middle of what is extracted
    Step("^open schemas/"),  # half a file among those that dlt reads
    Step("^rename normalize/.* to normalize/extracted/"),  # extracted, but not yet said so
    Step("^rename .* to load/loaded/"),  # loaded, but not yet said so
]


@pytest.fixture
def duckdb_field(org: DemoOrg, server: DemoServer, tmp_path: Path) -> Field:
    """Kills of a second run, into DuckDB."""
    return Field(tmp_path / "killed", org, server)


@pytest.mark.deep
def test_a_run_killed_at_a_call_or_a_step_is_made_good_by_the_next(duckdb_field: Field) -> None:
    """Calls, extract, normalize, load: the same tables as without a kill, and no call wasted."""
    outcomes = [duckdb_field.outcome(instant) for instant in IN_CI]

    assert [] == [outcome.line() for outcome in outcomes if not outcome.survived]
    assert [] == [str(outcome.instant) for outcome in outcomes if not outcome.killed]


@pytest.mark.deep
def test_rows_that_were_staged_and_not_noted_are_not_inserted_twice(
    org: DemoOrg, server: DemoServer, tmp_path: Path
) -> None:
    """On a first run into DuckDB no index and no older row would keep a merge from doing it."""
    outcome = Field(tmp_path / "killed", org, server, first=True).outcome(STAGED)

    assert outcome.killed
    assert outcome.survived, outcome.line()


def test_a_first_run_killed_while_dlt_makes_its_folders(org: DemoOrg, synced: Synced) -> None:
    """Extracted, and of the folders of the load only the outermost is there: it is finished."""
    synced.pipeline.extract(salesforce_targeted(synced.credentials))
    Path(synced.pipeline.working_dir, "load").mkdir()
    facts = synced.ok()

    assert "the leftover package is loaded" in facts["steps"]
    assert set(org.active_ids()) == set(synced.rows("sf_contacts"))


@pytest.mark.deep
@pytest.mark.postgres
def test_a_run_killed_in_mid_statement_is_made_good_by_the_next(
    org: DemoOrg, server: DemoServer, tmp_path: Path, postgres: str
) -> None:
    """In mid-COPY, and between two tables of the merge."""
    field = Field(tmp_path / "killed", org, server, url=postgres)
    outcomes = [field.outcome(STATEMENTS[at]) for at in (2, 4)]
    field.close()

    assert [] == [outcome.line() for outcome in outcomes if not outcome.survived]
    assert [] == [str(outcome.instant) for outcome in outcomes if not outcome.killed]


@pytest.mark.deep
def test_a_run_killed_while_its_bulk_job_is_on_the_way_is_made_good_by_the_next(
    org: DemoOrg, server: DemoServer, tmp_path: Path
) -> None:
    """Killed once the job was created: the next run makes one of its own."""
    field = Field(tmp_path / "killed", org, server, argv=("--api", "bulk"))
    outcome = field.outcome(Call(5))

    assert outcome.killed
    assert outcome.survived, outcome.line()


@pytest.mark.deep
def test_why_a_contact_left_is_known_though_only_the_relations_were_merged(
    duckdb_field: Field,
) -> None:
    """Killed between the removals in the relations and the lives that they end."""
    merged = Step("^remove .*/.pending_transitions/sf_taskwhorelations.*sql")
    outcome = duckdb_field.outcome(merged)

    assert outcome.killed
    assert outcome.survived, outcome.line()
