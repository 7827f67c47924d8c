"""What the distribution is: its names, its files, its weight at the start."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import salesforce_targeted
from salesforce_targeted import __version__
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.support.script import python, session_of

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "salesforce_targeted", "pipelines", "tests", "pyproject.toml", "README.md", "LICENSE",
    "CHANGELOG.md",
}  # fmt: skip
DISTRIBUTION = "dlt_source_salesforce_targeted"
BY_ONE_WORD = """\
import dlt, pathlib, sys
source = dlt.sources.SourceReference.from_reference("salesforce_targeted")
pipeline = dlt.pipeline("crm", destination="duckdb", dataset_name="people")
pipeline.run(source)
loaded = pipeline.last_trace.last_normalize_info.row_counts["sf_contacts"]
print(loaded, pathlib.Path(sys.modules["salesforce_targeted"].__file__).parent.parent)
"""


def test_public_names_exist() -> None:
    """Every name of ``__all__`` can be imported, and a wrong one is an AttributeError."""
    for name in salesforce_targeted.__all__:
        assert getattr(salesforce_targeted, name) is not None

    assert not hasattr(salesforce_targeted, "nonsense")


def test_help_shows_every_public_name() -> None:
    """``python -m pydoc salesforce_targeted`` has the first words of each, imported before or not."""
    seen = "import pydoc, salesforce_targeted as s; print(pydoc.render_doc(s, renderer=pydoc.plaintext))"
    shown = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    public = [getattr(salesforce_targeted, name) for name in salesforce_targeted.__all__]

    assert [] == [
        text
        for text in (inspect.getdoc(thing) or "" for thing in public if not isinstance(thing, str))
        if not text or text.splitlines()[0] not in shown.stdout
    ]


def test_the_top_level_is_tidy() -> None:
    """But for the agreed entries only dot-entries stand at the top."""
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


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a folder with the sdist, and with the wheel that was made from it."""
    folder = tmp_path_factory.mktemp("built")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)],
        capture_output=True, check=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a folder with the wheel's content, as an environment has it; nothing of this tree."""
    folder = tmp_path_factory.mktemp("installed")
    (wheel,) = built.glob("*.whl")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet",
         "--target", str(folder), str(wheel)],
        capture_output=True, check=True,
    )  # fmt: skip
    return folder


@pytest.mark.deep
def test_the_wheel_has_what_users_need_and_nothing_else(built: Path) -> None:
    """Typed modules and the demo org, against which users test their own pipelines too."""
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    top = {name.split("/")[0] for name in names}
    kinds = {Path(name).suffix for name in names if name.startswith("salesforce_targeted/")}

    assert {"salesforce_targeted/py.typed", "salesforce_targeted/demo_org/__main__.py"} <= names
    assert {"salesforce_targeted", f"{DISTRIBUTION}-{__version__}.dist-info"} == top
    assert {".py", ".typed", ".css", ".html"} == kinds
    templates = Path("salesforce_targeted/report/html/templates")
    assert {f"{path}" for path in (ROOT / templates).rglob("*.*")} == {
        f"{ROOT / name}" for name in names if Path(name).parent == templates
    }


@pytest.mark.deep
def test_the_sdist_can_be_tested(built: Path) -> None:
    """It has the tests and what they read, and no secret."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}

    assert {"tests/conftest.py", ".ci/run", ".importlinter", ".dlt/secrets.toml.example"} <= names
    assert {"pipelines/targeted_contacts.py", "pipelines/useful_queries.sql"} <= names
    assert ".dlt/secrets.toml" not in names


@pytest.mark.deep
def test_an_index_would_take_and_render_it(built: Path) -> None:
    """``twine check`` finds nothing in the metadata, nor in the README that is shown there."""
    ran = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *map(str, built.iterdir())],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert 0 == ran.returncode, ran.stdout + ran.stderr


@pytest.mark.deep
def test_an_installed_wheel_is_named_by_one_word(
    installed: Path, server: DemoServer, tmp_path: Path
) -> None:
    """The entry point makes dlt find the source; a project needs neither a path nor an import."""
    (tmp_path / "crm.py").write_text(BY_ONE_WORD)
    environ = session_of(server) | {"PYTHONPATH": str(installed)}
    ended = python("crm.py", cwd=tmp_path, environ=environ)

    assert (0, f"12 {installed}") == (ended.code, ended.out.strip())


@pytest.mark.deep
def test_dlts_commands_start_without_our_weight(installed: Path, tmp_path: Path) -> None:
    """What dlt imports of a plugin, at the start of every command, imports nothing itself."""
    seen = "import sys, salesforce_targeted.sources; print('dlt' in sys.modules)"
    ended = python("-c", seen, cwd=tmp_path, environ={"PYTHONPATH": str(installed)})

    assert "False" == ended.out.strip()


def test_the_version_is_semantic_and_in_the_changelog() -> None:
    """Three numbers; the changelog has its entry, or collects what comes under Unreleased."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?", __version__)
    assert f"## [{__version__}]" in changelog or "## [Unreleased]" in changelog


def test_every_dependency_has_a_reason() -> None:
    """A comment above or after each says what it is there for."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    listed = [
        (number, line.strip())
        for number, line in enumerate(lines)
        if re.match(r'\s+"[A-Za-z][\w.-]*(\[[\w,]+\])?([<>=~!].*)?",', line)
    ]
    dependencies = lines.index("dependencies = [")
    without = [
        line
        for number, line in listed
        if dependencies < number < lines.index("[dependency-groups]")
        and "#" not in line
        and not any(near.strip().startswith("#") for near in lines[number - 2 : number])
    ]

    assert [] == without
    assert len(listed) > 10


def test_what_is_imported_is_declared() -> None:
    """Or is what a declared distribution always brings: nothing is there by luck."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(line) for line in project["dependencies"]]
    brought = {canonicalize_name(one.name) for one in wanted}
    for one in wanted:
        for line in importlib.metadata.requires(one.name) or []:
            more, extras = Requirement(line), one.extras or {""}
            if more.marker is None or any(more.marker.evaluate({"extra": e}) for e in extras):
                brought.add(canonicalize_name(more.name))
    imported = {
        name.partition(".")[0]
        for file in Path(salesforce_targeted.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }  # fmt: skip
    named = importlib.metadata.packages_distributions()
    theirs = imported - sys.stdlib_module_names - {"salesforce_targeted"}

    assert [] == [
        module
        for module in sorted(theirs)
        if brought.isdisjoint(map(canonicalize_name, named[module]))
    ]


def test_extras_add_what_their_names_say() -> None:
    """Each extra is told of in a comment; what the library needs itself is no extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert {"html", "dashboard"} <= set(project["optional-dependencies"])
    assert [] == [name for name in project["dependencies"] if name.startswith("matplotlib")]
