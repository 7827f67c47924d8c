"""``--help`` teaches, at once and within 80 columns; a slip is answered with what was meant."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from salesforce_targeted.api.credentials.base import ENVIRONMENT
from salesforce_targeted.cli import options
from tests.support.script import ROOT, SCRIPT, process

OPTIONS = {
    name
    for action in options.parser("prog")._actions
    for name in action.option_strings
    if name.startswith("--")
}


@pytest.fixture
def shown(tmp_path: Path) -> str:
    """Provide what ``--help`` prints on a terminal of 80 columns."""
    ended = process("--help", cwd=tmp_path, environ={"COLUMNS": "80"})
    assert (0, "") == (ended.code, ended.err)
    return ended.out


def test_help_explains_every_option(shown: str) -> None:
    """Each option stands at the beginning of a line of its own."""
    listed = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", shown, re.MULTILINE))

    assert OPTIONS == listed | {"--help"}


def test_help_teaches(shown: str) -> None:
    """First steps, groups, signing in, where the data goes, examples, exit codes; no line too long."""
    for heading in (
        "first steps:", "inspect only, nothing is loaded:", "what to sync", "how, from where, where to:",
        "output:", "signing in:", "where the data goes:", "more examples:", "exit codes:",
    ):  # fmt: skip
        assert f"\n{heading}" in shown
    assert ["0", "1", "2", "3", "4"] == re.findall(r"^  (\d)  \w", shown, re.MULTILINE)
    assert [] == [line for line in shown.splitlines() if len(line) > 80]


def test_what_help_names_exists(shown: str) -> None:
    """Settings of the sign-in and options in its examples are real ones."""
    signing_in = shown.split("signing in:")[1].split("where the data goes:", maxsplit=1)[0]
    settings = re.findall(r"\b[a-z]+_[a-z_]+\b", signing_in)

    assert {"login_url", "client_id", "sf_org"} <= set(settings) <= set(ENVIRONMENT)
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]+", shown)) <= OPTIONS


def test_help_waits_for_nothing() -> None:
    """Neither dlt nor rich nor the network is loaded for it."""
    code = (
        f"import sys; sys.argv = ['x', '--help']; sys.path.insert(0, {str(ROOT)!r})\n"
        "import runpy\n"
        f"try: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print([n for n in ('dlt', 'rich', 'pyarrow', 'requests', 'pendulum') if n in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == ran.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("--verfy", "--verfy (is --verify meant?)"),
        ("--max-call=3", "--max-call=3 (is --max-calls meant?)"),
        ("--xyz", "--xyz; --help explains the options"),
    ],
)
def test_an_option_that_there_is_not(typed: str, message: str, tmp_path: Path) -> None:
    """Exit 2, and what was perhaps meant."""
    ended = process(typed, cwd=tmp_path)

    assert (2, "") == (ended.code, ended.out)
    assert f"unrecognized arguments: {message}" in ended.err
    assert 2 == len(ended.err.splitlines())
