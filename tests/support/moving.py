"""A served org, a dataset, and runs of the real source while the org moves; what each run broke."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import dlt

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.changes.random_changes import CHANGES, EVERYDAY
from salesforce_targeted.settings import Scope
from salesforce_targeted.sync.configuration import load_settings
from tests.conftest import Synced
from tests.support.oracles.moving_oracle import MovingOracle, Reach
from tests.support.oracles.oracle import Comparison, HeldTables, Shown
from tests.support.oracles.promises import counts_hide, whole

# What one call takes, so small that the tiny org is a large one: many calls, many pages.
SMALL = replace(DOCUMENTED, rows_per_query_page=6, groups_per_query=6, ids_per_collection=6)
# No stamp tells of these: beyond the budget a run can't see them.
UNSTAMPED = frozenset({"silent", "undelete_task", "undelete_contact"})


class MovingStory:
    """An org that moves while runs read it, and what they leave in a dataset.

    Args:
        folder: An empty folder for the database and dlt's working folder.
        postgres: A database's URL; DuckDB without.
        small: Whether a call takes so little that there are many.
        options: Settings of the source.
    """

    def __init__(
        self, folder: Path, postgres: str | None = None, *, small: bool = True, **options: Any
    ) -> None:  # fmt: skip
        self.org = DemoOrg.tiny()
        self.org.keep_history()
        self.limits, self.options = (SMALL if small else DOCUMENTED), options
        self.org.page_rows = 7 if small else 2_000
        self.server = serve(self.org)
        load_settings("moving")
        destination: Any = (
            dlt.destinations.postgres(postgres)
            if postgres
            else dlt.destinations.duckdb(str(folder / "held.duckdb"))
        )
        self.synced = Synced(
            dlt.pipeline(
                "moving",
                destination=destination,
                dataset_name="salesforce",
                pipelines_dir=str(folder / "pipelines"),
            ),
            SessionCredentials(instance_url=self.server.url, access_token=self.server.token),
        )
        self.calls = 0  # of the last run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.synced.pipeline.deactivate()
        self.server.close()

    def run(
        self, *, reach: Reach = Reach.ALL, full: bool = False, may_fail: bool = False,
        strict: bool = False, **options: Any,
    ) -> list[str]:  # fmt: skip
        """Run once, with whatever waits in ``org.moves``; what the run broke.

        Args:
            may_fail: Whether the run may fail, which is right where a permission was lost; what
                is held must be true all the same.
            strict: As in :meth:`run_quietly`.
        """
        before, start = HeldTables.read(self.synced.pipeline), self.org.instant()
        self.org.reset_calls()
        # So small an org loses most of its active contacts by what people do in one run.
        scope = Scope(limits=self.limits, full=full, allow_shrink=not may_fail)
        outcome = self.synced.run(scope, **{**self.options, **options})
        self.org.moves.stop()
        self.calls = self.org.billed
        end = self.org.instant()
        if outcome.error is not None and may_fail:
            reach = Reach.PART
        counted = self.limits is SMALL and not full and not strict
        oracle = MovingOracle(
            self.org, self.synced.pipeline, start, end, before, reach, counted=counted
        )
        broken = oracle.broken()
        if outcome.error is not None and not may_fail and outcome.facts["status"] != "partial":
            broken.insert(0, f"the run failed: {outcome.facts['error']}")
        return broken + self._unknown()

    def happen(self, seed: int, changes: Iterable[str], times: int = 5) -> None:
        """Let things happen between two runs: the next run must hold what they left."""
        rng, names = random.Random(seed), tuple(changes)
        for _ in range(times):
            sentence = CHANGES[rng.choice(names)](self.org, rng)
            self.org.moves.log += [f"between two runs: {sentence}"] if sentence else []

    def run_moving(
        self, seed: int, share: float, changes: Iterable[str] = EVERYDAY,
        seconds_per_call: float = 1.0, **how: Any,
    ) -> list[str]:  # fmt: skip
        """Run once while things happen at random; what the run broke."""
        self.org.moves.at_random(
            seed,
            share,
            tuple(changes),
            within_composites=bool(seed % 2),
            seconds_per_call=seconds_per_call,
        )
        return self.run(**how)

    def run_quietly(self, *, strict: bool = False) -> list[str]:
        """Run once while nothing happens; how the dataset then differs from the org.

        Args:
            strict: Run in the default mode also where as many relations of a contact went as came:
                counting, as the default mode does beyond one page, does not tell that from none.
        """
        self.org.moves.stop()
        before = HeldTables.read(self.synced.pipeline)
        full = not strict and counts_hide(before, Shown(self.org))
        outcome = self.synced.run(
            Scope(limits=self.limits, full=full, allow_shrink=True), **self.options
        )
        if outcome.error is not None:
            return [f"the quiet run failed: {outcome.facts['error']}"]
        compared = Comparison(self.synced.pipeline, self.org, before)
        broken = whole(compared, outcome.facts)
        if "refresh_call_budget" in self.options:
            # Beyond the budget a run counts what it read; every row is true all the same.
            broken = [line for line in broken if not line.startswith("the report says")]
        # A relation that a merge moved while a run read left nothing that its reason follows from.
        merged = "left for relation_removed, not for set()"
        return [line for line in broken if not line.endswith(merged)] + self._unknown()

    def text(self, broken: list[str], heading: str) -> str:
        """Return a failure's text: what broke, then what happened."""
        happened = "\n".join(self.org.moves.log[-60:])
        return f"{heading}:\n" + "\n".join(broken[:20]) + f"\n--- what happened\n{happened}"

    def _unknown(self) -> list[str]:
        return [f"the org did not expect {request}" for request in self.org.unexpected]
