"""The README is true: its blocks run, its commands are CI's, its names exist."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from inspect import signature
from pathlib import Path

import pytest

from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.settings import settings_of
from tests.conftest import Synced

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The README's fenced blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_python_blocks_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipelines of one's own run as they stand, signed in by the environment, one after another."""
    org = DemoOrg.varied()
    with serve(org) as server:
        monkeypatch.setenv("SALESFORCE_INSTANCE_URL", server.url)
        monkeypatch.setenv("SALESFORCE_ACCESS_TOKEN", server.token)
        ran = [
            subprocess.run(
                [sys.executable, "-c", block],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            for block in blocks("python")
        ]
    mine, recipes = (done.stdout for done in ran)

    assert [""] * 2 == ["" if done.returncode == 0 else done.stderr for done in ran]
    assert "'sf_contacts': 12" in mine
    named = {
        "sf_leads": org.named_ids("TaskWhoRelation", "RelationId", "Lead"),
        "sf_event_contacts": org.named_ids("EventWhoRelation", "RelationId"),
        "sf_accounts": org.named_ids(
            "Opportunity", "AccountId", "Account", lambda row: not row["IsClosed"]
        ),
    }
    for table, ids in named.items():
        assert f"'{table}': {len(ids)}" in recipes


def test_sql_blocks_run(synced: Synced) -> None:
    """The documented join returns the contacts that sales works with."""
    synced.ok()
    (block,) = blocks("sql")

    assert 12 == len(synced.sql(block))


def test_the_commands_are_those_of_ci() -> None:
    """Both README commands install what they need; CI runs the second one's very words."""
    first, second = (block.strip() for block in blocks("sh"))
    ci = (ROOT / ".ci/run").read_text()
    install, _, test = second.rpartition(" && ")

    assert first.endswith(".venv/bin/python pipelines/targeted_contacts.py --demo")
    assert install in ci
    assert test in ci


def test_knobs_are_the_same_everywhere() -> None:
    """What the README names, what config.toml lists and what the source takes are one set."""
    text = (ROOT / ".dlt/config.toml").read_text()
    listed = re.findall(
        r"^#? ?(\w+) = ", text.split("[sources.salesforce_targeted.statistics]")[0], re.MULTILINE
    )
    parsed = tomllib.loads(text)

    assert set(signature(settings_of).parameters) == set(listed)
    assert {
        name for name in listed if f"`{name}`" not in README and f"`{name} =" not in README
    } == set()
    assert {"physicians", "with_npi"} == set(parsed["sources"]["salesforce_targeted"]["statistics"])
