"""What the distribution is: its names, its files, its weight at the start."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import salesforce_targeted

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "salesforce_targeted", "pipelines", "tests", "pyproject.toml", "README.md", "LICENSE",
    "CHANGELOG.md",
}  # fmt: skip


def test_public_names_exist() -> None:
    """Every name of ``__all__`` can be imported, and a wrong one is an AttributeError."""
    for name in salesforce_targeted.__all__:
        assert getattr(salesforce_targeted, name) is not None

    assert not hasattr(salesforce_targeted, "nonsense")


def test_the_top_level_is_tidy() -> None:
    """Beside the agreed entries only dot-entries stand at the top."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    top = {line.split("/")[0] for line in listed if line}

    assert {name for name in top if not name.startswith(".")} <= ALLOWED


def test_the_demo_org_starts_without_dlt() -> None:
    """Serving the demo org, or asking for help, does not wait for dlt to be imported."""
    heavy = (
        "import sys; from salesforce_targeted.demo_org import __main__; print('dlt' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)

    assert "False" == ran.stdout.strip()


def test_the_wheel_has_what_users_need(tmp_path: Path) -> None:
    """The wheel is typed and brings the demo org; tests and pipelines stay outside."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)],
        capture_output=True, check=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())

    assert {"salesforce_targeted/py.typed", "salesforce_targeted/demo_org/__main__.py"} <= names
    assert not [name for name in names if name.startswith(("tests/", "pipelines/"))]
