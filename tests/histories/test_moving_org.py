"""An org that moves while it is read: random histories against an oracle that knows all versions.

Changes happen before any call of a run. Each row held must be a version that the org had while the
run lasted, nothing is marked removed or gone that was there, and one more quiet run makes the
dataset equal the org. A few histories run by default; more, new ones each time, with

    MOVING_EXAMPLES=100 pytest tests/histories/test_moving_org.py -m "deep or not deep"

Two threads of a run may arrive in either order, so that a seed gives alike histories, not equal
ones: what happened is printed with what broke.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from salesforce_targeted.demo_org.changes.random_changes import ADMINISTRATION, EVERYDAY
from tests.support.moving import UNSTAMPED, MovingStory
from tests.support.oracles.moving_oracle import MovingOracle, Reach
from tests.support.oracles.oracle import HeldTables, Row

EXAMPLES = int(os.environ.get("MOVING_EXAMPLES", "0"))
SHARES = (0.2, 0.5, 1.0)
STAMPED = tuple(name for name in EVERYDAY if name not in UNSTAMPED)
# Mode to settings of the source, of the moving run, how far it reads, and what happens meanwhile.
MODES: dict[str, dict[str, Any]] = {
    "default": {},
    "full": {"how": {"full": True}},
    "api = query": {"options": {"api": "query"}},
    "api = collections": {"options": {"api": "collections"}},
    "api = composite": {"options": {"api": "composite"}},
    "beyond the budget": {
        "options": {"refresh_call_budget": 1},
        "how": {"reach": Reach.STAMPED}, "changes": STAMPED,
    },
    "calls are few": {"how": {"calls_per_run": 12, "reach": Reach.PART}},
    # Twenty minutes go by with each call, which is more than the lag.
    "few calls beyond the budget": {
        "options": {"refresh_call_budget": 0}, "changes": STAMPED, "runs": 5,
        "how": {"calls_per_run": 12, "reach": Reach.PART, "seconds_per_call": 1_200},
    },
    "calls are large": {"small": False},
    "administration": {"changes": ADMINISTRATION, "how": {"may_fail": True}},
}  # fmt: skip


def history(
    folder: Path, mode: str, seed: int, postgres: str | None = None, runs: int = 1
) -> list[str]:
    """First a quiet run, then moving ones, then a quiet one; what broke, with what happened."""
    about = MODES[mode]
    share = random.Random(seed).choice(SHARES)
    changes, how = about.get("changes", EVERYDAY), about.get("how", {})
    with MovingStory(
        folder, postgres, small=about.get("small", True), **about.get("options", {})
    ) as story:
        if broken := story.run():
            return [story.text(broken, "the first run, while nothing happens")]
        for number in range(about.get("runs", runs)):
            story.happen(seed * 10 + number, changes)
            if broken := story.run_moving(seed * 10 + number, share, changes, **how):
                return [story.text(broken, f"moving run {number + 1}, {mode}, seed {seed}")]
        story.org.hidden_objects.clear()
        if broken := story.run_quietly():
            return [story.text(broken, f"the quiet run, {mode}, seed {seed}")]
    return []


def seeds(usual: int) -> range | list[int]:
    """So many seeds, the same each time; or as many new ones as MOVING_EXAMPLES says."""
    return random.sample(range(10**6), EXAMPLES) if EXAMPLES else range(usual)


# What is done to a copy of the dataset, by row of a table, and the sentence that must come of it.
FORGERIES: list[tuple[str, str, Row | None, str]] = [
    ("sf_contacts", "contact", {"title": "forged"}, "is none of its"),
    ("sf_taskwhorelations", "relation", None, "which was there all the time"),
    ("sf_taskwhorelations", "relation", {"removed_at": 1, "removed_reason": "relation_removed"},
     "is marked removed and was there all the time"),
    ("sf_taskwhorelations", "relation", {"removed_at": 1, "removed_reason": "task_archived"},
     "is marked task_archived; its task was"),
    ("sf_activities", "task", None, "is held without its task"),
    ("sf_contacts", "contact", None, "is held without its contact"),
    ("sf_active_contacts", "contact", None, "does not know its contact"),
    ("sf_active_contacts", "contact", {"is_active": False}, "a relation named it all the time"),
    ("sf_active_contacts", "contact", {"relation_count": 99}, "relation_count is 99"),
    ("sf_active_contacts", "contact", {"gone_reason": "deleted"}, "gone_reason is deleted"),
    ("sf_users", "user", None, "who is not held"),
]  # fmt: skip


@pytest.mark.deep
def test_the_oracle_sees_what_is_forged(tmp_path: Path) -> None:
    """The control: nothing is wrong after a run, and each forgery brings its sentence."""
    with MovingStory(tmp_path) as story:
        assert [] == story.run_moving(3, 0.5)
        now, pipeline = story.org.instant(), story.synced.pipeline
        held = HeldTables.read(pipeline)
        shown = {name: story.org.rows(name) for name in ("TaskWhoRelation", "Contact", "Task")}
        row = next(
            row for id_, row in held.tables["sf_taskwhorelations"].items()
            if id_ in shown["TaskWhoRelation"] and row["removed_at"] is None
            and row["relation_id"] in shown["Contact"] and row["task_id"] in shown["Task"]
        )  # fmt: skip
        ids = {"relation": row["id"], "task": row["task_id"], "contact": row["relation_id"],
               "user": row["created_by_id"]}  # fmt: skip
        for table, which, values, sentence in FORGERIES:
            rows = dict(held.tables[table])
            genuine = rows.pop(ids[which])
            if values is not None:
                rows[ids[which]] = genuine | values
            forged = replace(held, tables=held.tables | {table: rows})
            broken = MovingOracle(story.org, pipeline, now, now, held, after=forged).broken()

            assert any(sentence in line for line in broken), (table, values, broken)

        story.synced.sql("INSERT INTO sf_users SELECT * FROM sf_users LIMIT 1")
        broken = MovingOracle(story.org, pipeline, now, now, held).broken()

        assert any("stands 2 times" in line for line in broken)


@pytest.mark.brief(1)
@pytest.mark.parametrize("mode", ["default", "beyond the budget"])
def test_what_is_held_was_there_while_the_run_lasted(tmp_path: Path, mode: str) -> None:
    """In the default mode and beyond its budget; the other modes are tried with -m deep."""
    for seed in seeds(1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        broken = history(folder, mode, seed)

        assert [] == broken, broken[0]


@pytest.mark.deep
@pytest.mark.parametrize("mode", sorted(MODES))
def test_what_is_held_was_there_in_every_mode(tmp_path: Path, mode: str) -> None:
    """Several moving runs one after the other, in each mode."""
    for seed in seeds(1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        broken = history(folder, mode, seed + 100, runs=2)

        assert [] == broken, broken[0]


@pytest.mark.deep
@pytest.mark.postgres
def test_what_is_held_was_there_in_postgres_too(tmp_path: Path, postgres: str) -> None:
    """The same into PostgreSQL."""
    broken = history(tmp_path, "default", 1, postgres, runs=2)

    assert [] == broken, broken[0]
