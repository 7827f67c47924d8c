"""Read the fenced blocks of the project's Markdown files, wherever they stand."""

from __future__ import annotations

import re
import subprocess

from tests.support.script import ROOT

README = "README.md"
PIPELINES = "pipelines/README.md"
BENCHMARKS = "tests/benchmarks/README.md"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def text(document: str) -> str:
    """Return a file's text; its path is relative to the project's folder."""
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str, language: str) -> list[str]:
    """Return a file's fenced blocks in a language, in their order."""
    return [block for name, block in _BLOCK.findall(text(document)) if name == language]


def languages(document: str) -> set[str]:
    """Return the languages of a file's fenced blocks; an unnamed one is ``""``."""
    return {name for name, _ in _BLOCK.findall(text(document))}


def documents() -> list[str]:
    """Return the Markdown files of the project, tracked or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return sorted(listed.stdout.split())
