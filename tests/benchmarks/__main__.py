"""``python -m tests.benchmarks``: run the benchmarks that are named, or all."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.environments import enter_library_environment
from tests.benchmarks.workbench import Workbench

# Imported when run: one that lacks a package (matplotlib, a peer) leaves the others alone.
BENCHMARKS = {
    "end_to_end": "(a) the command line by size, against a bare dlt script",
    "growth": "(a) cost against active and inactive contacts, with a plot",
    "retrieval": "(b) out of the org alone, by Api",
    "conversion": "(c) JSON and CSV into Arrow, against the best parsers",
    "load_path": "(d) against a hand-written floor; parquet against CSV",
    "peers": "(e) against airbyte-source-salesforce, tap-salesforce, simple-salesforce",
    "busy": "(f) calls of a large org in which people work, to scale",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    names = "\n".join(f"  {name:12} {what}" for name, what in BENCHMARKS.items())
    options = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=f"{__doc__}\n\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("names", nargs="*", metavar="NAME", help="default: all of them")
    options.add_argument("--quick", action="store_true", help="small sizes, one round, 2 minutes")
    options.add_argument("--report", type=Path, metavar="DIR", help="tables and plot as files")
    options.add_argument(
        "--largest", type=int, default=300_000, metavar="N", help="leave out more active contacts"
    )
    options.add_argument("--rounds", type=int, metavar="N", help="take turns so often, not thrice")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks that are named, one after the other; 1 if one of them broke."""
    chosen = parser().parse_args(argv)
    if unknown := set(chosen.names) - set(BENCHMARKS):
        parser().error(f"there is no benchmark {', '.join(sorted(unknown))}")
    enter_library_environment(argv or sys.argv[1:], print)
    # Stopped by whatever signal, no server stays behind; a shell's & leaves SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    broken = []
    command = " ".join(["python -m tests.benchmarks", *(argv or sys.argv[1:])])
    with Workbench(
        chosen.quick, chosen.report, command, largest=chosen.largest, turns=chosen.rounds
    ) as bench:
        for name in chosen.names or BENCHMARKS:
            begun = time.perf_counter()
            bench.say(f"\n## {name}: {BENCHMARKS[name]}\n")
            try:
                importlib.import_module(f"tests.benchmarks.{name}").run(bench)
            except Exception as error:  # the others are still worth having
                broken.append(name)
                bench.say(f"broke: {type(error).__name__}: {error}")
            bench.say(f"\n{name} took {time.perf_counter() - begun:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
