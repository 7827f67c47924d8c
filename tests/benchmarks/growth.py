"""(a) What a sync costs as active and as inactive contacts grow: points, slopes, a plot.

What counts is that the second slope is nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks.command_line import Synced, sync
from tests.benchmarks.timed import interleaved, median
from tests.benchmarks.workbench import Workbench

PLOT_FILE = "growth.png"
ACTIVE = (817, 5_000, 10_000, 20_000)  # of as many contacts as the largest org has
CONTACTS = (5_000, 100_000, 300_000, 600_000)  # of which as many are active as in the smallest
QUICK_ACTIVE = (200, 1_500)
QUICK_CONTACTS = (2_000, 60_000)

Point = tuple[int, float, int]


def run(bench: Workbench) -> None:
    """Measure both series, print their slopes, and draw them if matplotlib is there."""
    actives = QUICK_ACTIVE if bench.quick else ACTIVE
    contacts = QUICK_CONTACTS if bench.quick else CONTACTS
    largest, smallest = max(contacts), min(actives)
    # Not interleaved with one another: an org of each size would have to be kept in memory.
    by_active = [_point(bench, largest, active, active) for active in actives]
    by_contacts = [_point(bench, many, smallest, many) for many in contacts if many != largest]
    by_contacts.append((largest, *by_active[actives.index(smallest)][1:]))
    bench.show(
        "cost of a first sync into PostgreSQL, zero latency",
        ("active of contacts", "s", "calls"),
        [(f"{active:,} of {largest:,}", s, calls) for active, s, calls in by_active]
        + [(f"{smallest:,} of {many:,}", s, calls) for many, s, calls in by_contacts],
    )
    for name, points in (("active", by_active), ("inactive", by_contacts)):
        per_contact, start = statistics.linear_regression(
            [point[0] for point in points], [point[1] for point in points]
        )
        calls = statistics.linear_regression(
            [point[0] for point in points], [float(point[2]) for point in points]
        ).slope
        bench.say(
            f"slope per 1,000 {name} contacts: {per_contact * 1000:.4f} s, {calls * 1000:.3f} calls"
            f" (a line through {start:.2f} s)"
        )
    _draw(bench, by_active, by_contacts)


def _point(bench: Workbench, contacts: int, active: int, at: int) -> Point:
    with bench.org(contacts, active) as org:
        found = interleaved(bench.rounds(3), {"first": _first(bench, org)})["first"]
    return at, median([one.ran.seconds for one in found]), found[0].counted.calls


def _first(bench: Workbench, org: object) -> Callable[[], Synced]:
    def first() -> Synced:
        with bench.database() as database, bench.room() as folder:
            return sync(org, database, folder)  # type: ignore[arg-type]

    return first


def _draw(bench: Workbench, by_active: Sequence[Point], by_contacts: Sequence[Point]) -> None:
    try:
        import matplotlib as mpl
    except ImportError:
        bench.say("no plot: matplotlib is not installed (pip install --group bench)")
        return
    mpl.use("agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True)
    for axes, points, what in ((left, by_active, "active"), (right, by_contacts, "all")):
        axes.plot([p[0] for p in points], [p[1] for p in points], "o-", color="tab:blue")
        axes.set_xlabel(f"{what} contacts")
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
    left.set_ylabel("seconds, process start to exit")
    left.set_title(f"more active contacts, of {by_contacts[-1][0]:,}", fontsize=10)
    right.set_title(f"more contacts, {by_active[0][0]:,} of them active", fontsize=10)
    left.set_ylim(bottom=0)
    figure.tight_layout()
    path = (bench.report or Path.cwd()) / PLOT_FILE
    figure.savefig(path, dpi=120)
    bench.say(f"plot: {path.name} in {'the report folder' if bench.report else 'this folder'}")
