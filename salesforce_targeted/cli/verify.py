"""``--verify`` on a terminal: what was compared, how much drifted and why, examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.text import Text

from salesforce_targeted.report.rich_text import api_calls, notes, paragraphs, table
from salesforce_targeted.sync.verify import ALTERED, CAUSES, EXTRA, MISSING, STALE, TYPE

_MEANS = {
    MISSING: "the org shows it, it is not held",
    EXTRA: "held as live, the org does not show it",
    STALE: "the org moved on",
    ALTERED: "somebody changed a held cell",
    TYPE: "a column of another type than loaded",
}


def summary(facts: Mapping[str, Any]) -> Group:
    """The report of mode ``verify``, with what was repaired where something was."""
    drift, clean = facts["drift"], facts["status"] == "done"
    repaired = facts.get("repaired")
    heads = ("drift", "", "rows", "repaired") if repaired else ("drift", "", "rows")
    causes = [
        (cause, _MEANS[cause], drift[cause], *([repaired[cause]] if repaired else []))
        for cause in CAUSES
    ]
    examples = [
        (one["cause"], one["table"], one["id"], ", ".join(one["columns"]))
        for one in drift["examples"]
    ]
    verdict = "no drift" if clean else "drift found"
    advice = "" if clean else "; --verify --repair loads again exactly what drifted"
    return paragraphs(
        table(("compared", "rows"), list(facts["compared"].items())),
        table(heads, causes, texts=2),
        table(("example", "table", "id", "columns"), examples, texts=4) if examples else None,
        notes(facts),
        Text.assemble(
            (verdict, "green" if clean else "red"),
            f"{advice} ({api_calls(facts['calls']['total'])})",
        ),
    )
