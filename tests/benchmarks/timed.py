"""Processes timed from start to exit, and contenders that take turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parent.parent.parent
_LAUNCH = Path(__file__).parent / "launch.py"
_OURS = ("SALESFORCE_", "SOURCES__", "DESTINATION__", "DESTINATION_", "DLT_", "PIPELINE")
T = TypeVar("T")


@dataclass(frozen=True)
class Ran:
    """A process that has ended well.

    Attributes:
        seconds: Wall time from before its start to after its exit.
        cpu_seconds: Its processor time, system calls included.
        rss_mb: Its peak resident memory.
        out: What it printed.
    """

    seconds: float
    cpu_seconds: float
    rss_mb: float
    out: bytes


def environment(more: Mapping[str, str] | None = None, *, library: bool = True) -> dict[str, str]:
    """Return this process's environment without any credentials.

    Args:
        library: Whether this tree comes first on the path; a peer lives in an environment of its
            own.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    environ.pop("PYTHONPATH", None)
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a package is not compiled at each start
    if library:
        environ["PYTHONPATH"] = str(ROOT)
    return {**environ, "RUNTIME__DLTHUB_TELEMETRY": "false", **(more or {})}


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str] | None = None,
    library: bool = True,
) -> Ran:
    """Run a process to its end.

    Raises:
        RuntimeError: it ended with another code than 0; with the end of what it said.
    """
    with tempfile.TemporaryDirectory(prefix="ran-") as folder:
        facts, out, err = (Path(folder) / name for name in ("facts", "out", "err"))
        subprocess.run(
            [sys.executable, "-S", "-E", str(_LAUNCH), str(facts), str(out), str(err), *argv],
            cwd=cwd,
            env=environment(environ, library=library),
            check=True,
        )
        used = json.loads(facts.read_text())
        if used.pop("code"):
            output = (err.read_bytes() + out.read_bytes()).decode(errors="replace").strip()
            raise RuntimeError(f"{' '.join(map(str, argv[1:4]))} failed: {output[-1500:]}")
        return Ran(**used, out=out.read_bytes())


def interleaved(rounds: int, contenders: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Let the contenders take turns; every other round in the opposite order."""
    runs: dict[str, list[T]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders)
        for name in names if number % 2 == 0 else reversed(names):
            # Minutes of silence look like a hang; tables go to stdout alone.
            print(f"  {number + 1}/{rounds} {name.strip()}", file=sys.stderr)
            runs[name].append(contenders[name]())
    return runs


def seconds_of(what: Callable[[], object]) -> tuple[float, float]:
    """Measure a call in this process: wall time, processor time of all its threads."""
    begun, cpu_begun = time.perf_counter(), time.process_time()
    what()
    return time.perf_counter() - begun, time.process_time() - cpu_begun


def median(values: Sequence[float]) -> float:
    """Return the middle one: a noisy neighbour spoils a mean."""
    return statistics.median(values)
