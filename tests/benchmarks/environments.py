"""Virtual environments for what must not share ours: peers, and the plot.

A package more in our own environment would change what is measured: where NumPy is, pyarrow and dlt
load it, which costs a tenth of a second and 30 MB.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.workbench import Workbench

INSTALL_SECONDS = 600


def python_of(bench: Workbench, name: str, requirements: Sequence[str]) -> Path | None:
    """Return the Python of an environment with some packages, made once and found again by later runs.

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
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        bench.say(f"{name} is left out, its environment can't be made: {said[-1] if said else ''}")
        return None
    done.write_text(wanted)
    # Else the database's first commit would wait until all of this has reached the disk.
    os.sync()
    return python
