"""(a) What a sync costs as active and as inactive contacts grow: points, slopes, a plot.

What counts is that the second slope is nothing.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks.command_line import Synced, sync
from tests.benchmarks.environments import python_of
from tests.benchmarks.served_org import ServedOrg
from tests.benchmarks.timed import ROOT, interleaved, median
from tests.benchmarks.timed import run as run_process
from tests.benchmarks.workbench import Workbench

PLOT_FILE = "growth.png"
ACTIVE = (817, 5_000, 10_000, 20_000)  # of as many contacts as the largest org has
CONTACTS = (5_000, 100_000, 300_000, 600_000)  # of which as many are active as in the smallest
QUICK_ACTIVE = (200, 1_500)
QUICK_CONTACTS = (2_000, 60_000)

Point = tuple[int, float, int, float]  # contacts, seconds, calls, processor seconds


def run(bench: Workbench) -> None:
    """Measure both series, print their slopes, and draw them."""
    actives = QUICK_ACTIVE if bench.quick else ACTIVE
    contacts = QUICK_CONTACTS if bench.quick else CONTACTS
    largest, smallest = max(contacts), min(actives)
    # Not interleaved with one another: an org of each size would have to be kept in memory.
    by_active = [_point(bench, largest, active, active) for active in actives]
    by_contacts = [_point(bench, many, smallest, many) for many in contacts if many != largest]
    by_contacts.append((largest, *by_active[actives.index(smallest)][1:]))
    bench.show(
        "cost of a first sync into PostgreSQL, zero latency",
        ("active of contacts", "s", "calls", "CPU s"),
        [(f"{active:,} of {largest:,}", *rest) for active, *rest in by_active]
        + [(f"{smallest:,} of {many:,}", *rest) for many, *rest in by_contacts],
    )
    for name, points in (("active", by_active), ("inactive", by_contacts)):
        seconds, calls, cpu = (_slope(points, at) * 1000 for at in (1, 2, 3))
        bench.say(
            f"slope per 1,000 {name} contacts: {seconds:.4f} s, {calls:.3f} calls, {cpu:.4f} CPU s"
        )
    _draw(bench, by_active, by_contacts)


def _slope(points: Sequence[Point], at: int) -> float:
    return statistics.linear_regression(
        [float(point[0]) for point in points], [float(point[at]) for point in points]
    ).slope


def _point(bench: Workbench, contacts: int, active: int, at: int) -> Point:
    with bench.org(contacts, active) as org:
        runs = interleaved(bench.rounds(3), {"first": _first(bench, org)})["first"]
    seconds, cpu = (
        median([getattr(run.ran, name) for run in runs]) for name in ("seconds", "cpu_seconds")
    )
    return at, seconds, runs[0].counted.calls, cpu


def _first(bench: Workbench, org: ServedOrg) -> Callable[[], Synced]:
    def first() -> Synced:
        with bench.database() as database, bench.room() as folder:
            return sync(org, database, folder)

    return first


def _draw(bench: Workbench, by_active: Sequence[Point], by_contacts: Sequence[Point]) -> None:
    with (ROOT / "pyproject.toml").open("rb") as project:
        requirements = tomllib.load(project)["dependency-groups"]["bench"]
    python = python_of(bench.say, "plot", requirements)
    if python is None:
        return
    path = (bench.report or Path(tempfile.gettempdir())) / PLOT_FILE
    points = {
        "active": {
            "points": by_active, "label": "active contacts",
            "title": f"more active contacts, of {by_contacts[-1][0]:,}",
        },
        "inactive": {
            "points": by_contacts, "label": "all contacts",
            "title": f"more contacts, {by_active[0][0]:,} of them active",
        },
    }  # fmt: skip
    with bench.room() as room:
        file = room / "points.json"
        file.write_text(json.dumps(points))
        script = str(ROOT / "tests/benchmarks/draw_growth.py")
        run_process([str(python), script, str(file), str(path.resolve())], cwd=room, library=False)
    bench.say(f"plot: {PLOT_FILE if bench.report else path}")
