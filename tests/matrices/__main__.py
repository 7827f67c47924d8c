"""Print what may befall a run and what became of it; exit code 1 if a promise was broken.

    python -m tests.matrices faults             every misfortune on every kind of call
    python -m tests.matrices kills --every 40   each fortieth instant of a run
    python -m tests.matrices writes             write attempts, and what became of each
    python -m tests.matrices broken_lines       a line of each invariant broken: what notices it
    python -m tests.matrices field_reports      other people's troubles; --library DIR: a checkout's
    python -m tests.matrices all --report DIR   all of them, and as Markdown in DIR

All instants of ``kills`` take hours; all ``faults`` take about an hour of CPU time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.matrices.table import Findings

ROOT = Path(__file__).parents[2]
PARTS = ("faults", "kills", "writes", "broken_lines", "field_reports")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.matrices",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="?", choices=(*PARTS, "all"), default="all")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th")
    parser.add_argument("--library", type=Path, metavar="DIR", default=ROOT, help="a checkout")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write Markdown there too")
    args = parser.parse_args(argv)
    if args.every < 1:
        parser.error("--every takes a whole number, 1 or more")
    broken = 0
    for name in PARTS if args.part == "all" else (args.part,):
        findings = _findings(name, args.every, args.library.resolve())
        print(findings.text(), flush=True)
        broken += len(findings.broken)
        if args.report is not None:
            args.report.mkdir(parents=True, exist_ok=True)
            (args.report / f"{findings.name}.md").write_text(findings.markdown() + "\n", "utf-8")
    return min(broken, 1)


def _findings(name: str, every: int, library: Path) -> Findings:
    # Each part imports what it needs itself: the processes of faults replace their clock first.
    if name == "faults":
        from tests.matrices import faults

        return faults.findings(every, _tell)
    if name == "kills":
        from tests.matrices import kills

        return kills.findings(every, _tell)
    if name == "broken_lines":
        from tests.matrices import broken_lines

        return broken_lines.findings(every, _tell)
    if name == "field_reports":
        from tests.matrices import field_reports

        return field_reports.findings(library, every, _tell)
    from tests.matrices import writes

    return writes.findings(_tell)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
