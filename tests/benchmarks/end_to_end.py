"""(a) The command line from the start of its process to its end, by size, twice in a row.

Against a bare dlt script that loads the same tables, ready-made, with the same settings: what is
beyond it is the price of asking, converting, comparing and checking.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.benchmarks import ready_made
from tests.benchmarks.command_line import SCRIPT, Synced, sync
from tests.benchmarks.served_org import ServedOrg
from tests.benchmarks.timed import ROOT, Ran, interleaved, median
from tests.benchmarks.timed import run as run_process
from tests.benchmarks.workbench import Workbench

# (contacts, active): rounds; the largest takes minutes for one.
SIZES = {(5_000, 817): 3, (600_000, 817): 3, (100_000, 20_000): 3, (600_000, 300_000): 1}
QUICK = {(5_000, 817): 1}
LATENCIES = ("none", "realistic")
HEADER = (
    "active of contacts, latency", "first s", "again s", "bare first s", "bare again s",
    "first ÷ bare", "again ÷ bare", "CPU s", "CPU again s", "CPU ÷ bare", "org CPU s", "rows",
    "rows/s", "calls", "waits", "calls again", "waits again", "RSS MB", "RSS MB again",
)  # fmt: skip

T = TypeVar("T")


def run(bench: Workbench) -> None:
    """Start-up, then every size with every latency."""
    start_up(bench)
    rows = []
    for (contacts, active), rounds in (QUICK if bench.quick else SIZES).items():
        if active > bench.largest:
            continue
        with bench.org(contacts, active) as org, bench.room() as room:
            rows += of_size(bench, org, room, bench.rounds(rounds))
    bench.show("command line into PostgreSQL, against the bare dlt script", HEADER, rows)
    bench.say(
        "rows: all that the first run brought (relations, contacts, tasks, users). bare: dlt alone"
        " loads the same tables from Parquet files, the first time into an empty database, the"
        " second time over what is there, which it can't know to be unchanged. waits: the longest"
        " chain of calls that do not overlap, counted in the org. CPU: processor time of"
        " the first run's own process, which a busy neighbour leaves alone."
    )


def start_up(bench: Workbench) -> None:
    """Measure how much of a run is over before anything is sent."""
    python = sys.executable
    contenders = {
        "python -c pass": [python, "-c", "pass"],
        "import pyarrow": [python, "-c", "import pyarrow"],
        "import dlt": [python, "-c", "import dlt"],
        "import salesforce_targeted.source": [python, "-c", "import salesforce_targeted.source"],
        "targeted_contacts.py --help": [python, str(SCRIPT), "--help"],
    }
    runs = interleaved(
        bench.rounds(5),
        {name: _started(argv) for name, argv in contenders.items()},
    )
    least = median([r.cpu_seconds for r in runs["import dlt"]])
    bench.show(
        "start-up",
        ("process", "s", "CPU s", "÷ import dlt", "RSS MB"),
        [
            (name, median([r.seconds for r in ran]), median([r.cpu_seconds for r in ran]),
             median([r.cpu_seconds for r in ran]) / least, median([r.rss_mb for r in ran]))
            for name, ran in runs.items()
        ],
    )  # fmt: skip


def of_size(bench: Workbench, org: ServedOrg, room: Path, rounds: int) -> list[list[object]]:
    """One row per latency; the bare script runs in every round of both."""
    files = room / "files"
    files.mkdir()
    with bench.database() as database:
        working = room / "dumped"
        working.mkdir()
        sync(org, database, working)
        ready_made.dump(database, files)
    ours = {latency: _ours(bench, org, latency) for latency in LATENCIES}
    contenders: dict[str, Callable[[], object]] = {**ours, "bare": _bare(bench, files)}
    runs = interleaved(rounds, contenders)
    bare: list[tuple[Ran, Ran]] = runs["bare"]  # type: ignore[assignment]
    return [_row(org, latency, runs[latency], bare) for latency in LATENCIES]  # type: ignore[arg-type]


def bare(files: Path, database: str, folder: Path, *options: str) -> Ran:
    """Load ready-made tables with the bare script, into a working folder of its own."""
    return run_process(
        [sys.executable, str(ROOT / "tests/benchmarks/bare_load.py"), database, str(files),
         str(folder), *options],
        cwd=folder,
        environ={"DLT_DATA_DIR": str(folder / "dlt")},
    )  # fmt: skip


def _started(argv: list[str]) -> Callable[[], Ran]:
    return lambda: run_process(argv, cwd=ROOT)


def _ours(bench: Workbench, org: ServedOrg, latency: str) -> Callable[[], tuple[Synced, Synced]]:
    def first_and_repeat() -> tuple[Synced, Synced]:
        return _twice(bench, lambda db, folder: sync(org, db, folder, latency=latency))

    return first_and_repeat


def _bare(bench: Workbench, files: Path) -> Callable[[], tuple[Ran, Ran]]:
    def first_and_repeat() -> tuple[Ran, Ran]:
        return _twice(bench, lambda db, folder: bare(files, db, folder))

    return first_and_repeat


def _twice(bench: Workbench, what: Callable[[str, Path], T]) -> tuple[T, T]:
    with bench.database() as database, bench.room() as folder:
        return what(database, folder), what(database, folder)


def _row(
    org: ServedOrg, latency: str, ours: list[tuple[Synced, Synced]], bare: list[tuple[Ran, Ran]]
) -> list[object]:
    first, repeat = (median([pair[at].ran.seconds for pair in ours]) for at in (0, 1))
    bare_first, bare_again = (median([pair[at].seconds for pair in bare]) for at in (0, 1))
    cpu = median([pair[0].ran.cpu_seconds for pair in ours])
    cpu_again = median([pair[1].ran.cpu_seconds for pair in ours])
    bare_cpu = median([pair[0].cpu_seconds for pair in bare])
    first_run, second_run = ours[0]
    return [
        f"{org.active:,} of {org.contacts:,}, {latency}", first, repeat, bare_first, bare_again,
        first / bare_first, repeat / bare_again, cpu, cpu_again, cpu / bare_cpu,
        first_run.counted.cpu_seconds, first_run.rows, first_run.rows / first,
        first_run.counted.calls, first_run.counted.waits, second_run.counted.calls, second_run.counted.waits,
        max(pair[0].ran.rss_mb for pair in ours), max(pair[1].ran.rss_mb for pair in ours),
    ]  # fmt: skip
