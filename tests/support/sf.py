"""A Salesforce CLI for tests: a real program called ``sf`` that answers what a test wrote down."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

REDACTED = "[REDACTED] Use 'sf org auth show-access-token' to view"
_PROGRAM = """#!{python}
import json, os, sys, time
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "calls"), "a") as calls:
    calls.write(json.dumps({{"argv": sys.argv[1:], "environ": sorted(os.environ)}}) + "\\n")
with open(os.path.join(here, "answers.json")) as file:
    answers = json.load(file)
words = " ".join(word for word in sys.argv[1:] if not word.startswith("-"))
known = sorted((name for name in answers if words.startswith(name)), key=len)
answer = answers[known[-1]] if known else {{"code": 2, "out": "Error: no such command"}}
print(" Warning: @salesforce/cli update available", file=sys.stderr)
sys.stdout.write(answer["out"])
sys.stdout.flush()
time.sleep(answer.get("seconds", 0))
sys.exit(answer["code"])
"""


class Sf:
    """Stand for the program, alone on the PATH but for what it needs itself."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        self._answers: dict[str, dict[str, Any]] = {}
        program = folder / "sf"
        program.write_text(_PROGRAM.format(python=sys.executable))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder))

    def say(self, command: str, out: Any, code: int = 0, seconds: float = 0) -> None:
        """Let a command (its words, without options) answer a text, or a value as JSON."""
        text = out if isinstance(out, str) else json.dumps(out, indent=2)
        self._answers[command] = {"out": text, "code": code, "seconds": seconds}
        (self.folder / "answers.json").write_text(json.dumps(self._answers))

    def has(self, url: str, token: str, *, redacts: bool = True, **more: Any) -> None:
        """Be logged in to an org, as a CLI from before or after 2.136.8."""
        shown = {
            "instanceUrl": url,
            "username": "user@demo.example",
            "connectedStatus": "Connected",
        }
        shown |= {"accessToken": REDACTED if redacts else token, **more}
        self.say("org display", {"status": 0, "result": shown, "warnings": []})
        if redacts:
            self.say("org auth show-access-token", {"status": 0, "result": {"accessToken": token}})

    @property
    def calls(self) -> list[list[str]]:
        """List what it was called with, in order."""
        return [call["argv"] for call in self._calls()]

    @property
    def environ(self) -> set[str]:
        """List the names of the variables that it was given."""
        return {name for call in self._calls() for name in call["environ"]}

    def _calls(self) -> list[dict[str, Any]]:
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
