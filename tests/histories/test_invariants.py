"""Random org histories, with runs in random modes between them, against an oracle, cell by cell.

A failing history is printed as its steps and, under them, as a list of sentences. As it stands a
bounded number of histories is run, the same ones each time; a longer run, of new ones each time, is

    INVARIANTS_EXAMPLES=500 INVARIANTS_STEPS=25 pytest tests/histories/test_invariants.py -m deep
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dlt
import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.settings import Scope
from salesforce_targeted.sync.configuration import load_settings
from tests.conftest import Synced
from tests.support.oracles.oracle import KEYS, HeldTables
from tests.support.org_changes import Happenings
from tests.support.story import Story

EXAMPLES = int(os.environ.get("INVARIANTS_EXAMPLES", "0"))
STEPS = int(os.environ.get("INVARIANTS_STEPS", "8"))
# What one call takes, so small that the tiny org is a large one: it is read by stamps and counted.
SMALL = replace(DOCUMENTED, rows_per_query_page=4, groups_per_query=4, ids_per_collection=5)
# What the script adds to --only, so that lives, rejections and runs are noted.
LOGS = ("contact_life", "rejected_record", "sync_run")
PARTS = st.lists(
    st.sampled_from(["task_who_relation", "contact", "task", "user"]), min_size=1, max_size=3
).map(lambda names: tuple(sorted(set(names))))


class Histories(Happenings):
    """An org and a destination, and the runs between them."""

    def __init__(self, folder: Path, postgres: str | None) -> None:
        super().__init__()
        self.folder, self.postgres = folder, postgres
        self.number = sum(1 for _ in folder.iterdir())
        self.home = folder / f"example{self.number}"
        self.home.mkdir()
        self.org = DemoOrg.tiny()
        self.broken = False

    @initialize(
        shared=st.sampled_from([True, True, True, False]), first=st.booleans(), small=st.booleans()
    )
    def begin(self, shared: bool, first: bool, small: bool) -> None:
        self.org.shared_activities = shared
        self.org.page_rows = 7 if small else 2_000
        self.limits = SMALL if small else DOCUMENTED
        note(f"a call takes {self.limits.rows_per_query_page:,} rows")
        note("Shared Activities is on" if shared else "Shared Activities is off")
        self.server = serve(self.org)
        self.synced = Synced(
            self._pipeline(),
            SessionCredentials(instance_url=self.server.url, access_token=self.server.token),
        )
        self.story = Story(self.org, self.synced)
        if first:
            self.default_run()

    def _pipeline(self) -> dlt.Pipeline:
        load_settings("histories")
        destination: Any = (
            dlt.destinations.postgres(self.postgres)
            if self.postgres
            else dlt.destinations.duckdb(str(self.home / "held.duckdb"))
        )
        return dlt.pipeline(
            "histories",
            destination=destination,
            dataset_name=f"salesforce_{self.number}",
            pipelines_dir=str(self.home / "pipelines"),
        )

    # ------------------------------------------------------------ runs

    def scope(self, **given: Any) -> Scope:
        """Return what a run looks at, in calls of this history's size."""
        return Scope(limits=self.limits, **given)

    def _run(self, sentence: str, scope: Scope, run: Callable[..., Any], **options: Any) -> None:
        """Run, and compare; where the org shows hardly any active contact it must stop."""
        note(f"-> {sentence}")
        self.broken = True  # until it is known not to be
        only = options.get("only", ())
        if self.story.must_stop(scope) and not (only and {*only} <= {"task", "user"}):
            note("   (it must stop: the org shows hardly any active contact)")
            self.story.stops(scope, only)
        else:
            run(scope, **options)
        self.broken = False

    @rule()
    def default_run(self) -> None:
        hidden = self.limits is SMALL and self.story.counts_hide()
        sentence = "a full run, for counts would not tell" if hidden else "a default run"
        self._run(sentence, self.scope(full=hidden), self.story.run)

    @rule(shrink=st.booleans())
    def full_run(self, shrink: bool) -> None:
        self._run("a full run", self.scope(full=True, allow_shrink=shrink), self.story.run)

    @rule(seconds=st.sampled_from([1, 60, 86_400 * 30, 86_400 * 9_000]))
    def since_run(self, seconds: int) -> None:
        since = self.org.now - timedelta(seconds=seconds)
        self._run(f"a run with --since {since}", self.scope(since=since), self.story.run_part)

    @rule(limit=st.sampled_from([1, 3, 20, 1000]))
    def limit_run(self, limit: int) -> None:
        self._run(f"a run with --limit {limit}", self.scope(limit=limit), self.story.run_part)

    @rule(names=PARTS, logs=st.booleans())
    def part_run(self, names: tuple[str, ...], logs: bool) -> None:
        resources = (*names, *LOGS) if logs else names
        sentence = f"a run of {', '.join(resources)} only"
        self._run(sentence, self.scope(), self.story.run_part, only=resources)

    @rule(budget=st.integers(0, 1))
    def run_beyond_budget(self, budget: int) -> None:
        sentence = f"a run with refresh_call_budget = {budget}"
        self._run(sentence, self.scope(), self.story.run_part, refresh_call_budget=budget)

    @rule()
    def working_folder_lost(self) -> None:
        note("the pipeline's working folder is lost")
        self.synced.pipeline.deactivate()
        shutil.rmtree(self.home / "pipelines")
        self.synced.pipeline = self._pipeline()

    @rule(table=st.sampled_from(sorted(KEYS)), thirds=st.booleans())
    def held_rows_lost(self, table: str, thirds: bool) -> None:
        if not (held := sorted(HeldTables.read(self.synced.pipeline).tables[table])):
            return
        ids = held[::3] if thirds else held
        note(f"{len(ids)} of {len(held)} rows of {table} are deleted from the destination")
        listed = ", ".join(f"'{id_}'" for id_ in ids)
        self.synced.sql(f"DELETE FROM {table} WHERE {KEYS[table]} IN ({listed})")

    @rule()
    def activities_hidden(self) -> None:
        table = self.org.tables["TaskWhoRelation" if self.org.shared_activities else "Task"]
        hidden, table.hidden = table.hidden, set(table.changed)
        note("our user loses the permission to see activities")
        self.default_run()
        note("our user gets it back")
        table.hidden = hidden

    def teardown(self) -> None:
        """Whatever happened, the next default run makes all true, and one more changes nothing."""
        try:
            if self.broken:
                return
            hidden = self.limits is SMALL and self.story.counts_hide()
            sentence = "a last run, full if counts would not tell"
            self._run(sentence, self.scope(full=hidden, allow_shrink=True), self.story.run)
            last = HeldTables.read(self.synced.pipeline)
            self._run("and another one", self.scope(allow_shrink=True), self.story.run)

            assert last == HeldTables.read(self.synced.pipeline)
            assert ([], []) == (self.org.unexpected, self.org.writes_attempted)
        finally:
            self.synced.pipeline.deactivate()
            self.server.close()


def check(folder: Path, postgres: str | None, examples: int) -> None:
    folder.mkdir()
    run_state_machine_as_test(
        partial(Histories, folder, postgres),
        settings=settings(
            max_examples=EXAMPLES or examples,
            stateful_step_count=STEPS,
            derandomize=not EXAMPLES,
            deadline=None,
            print_blob=True,
            # In CI the first history that breaks is told as it is: making it short takes an hour.
            phases=tuple(Phase) if EXAMPLES else (Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.deep
def test_every_history_ends_in_what_the_oracle_says(tmp_path: Path) -> None:
    """Whatever happens in an org and in whatever mode runs, DuckDB holds what the org shows."""
    check(tmp_path / "histories", None, 4)


@pytest.mark.deep
@pytest.mark.postgres
def test_every_history_ends_so_in_postgres_too(tmp_path: Path, postgres: str) -> None:
    """The same histories into PostgreSQL."""
    check(tmp_path / "histories", postgres, 2)
