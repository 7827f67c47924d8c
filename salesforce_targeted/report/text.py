"""Show a run's facts on a terminal, or as plain text for a log.

rich is imported where something is drawn: a run with ``--json`` need not wait for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from salesforce_targeted.report.rich_text import as_text, calls_left, paragraphs, plural, table
from salesforce_targeted.run_facts import RecordFacts, RejectedFacts, RunFacts

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

# Of a run that failed: its counts are of what it read.
NOT_CHECKED = "not checked: what counts as new or updated may not be loaded"
_ENDINGS = {
    "done": ("done", "bold green"),
    "partial": ("partial", "bold yellow"),
    "failed": ("FAILED", "bold red"),
    "drift": ("DRIFT", "bold red"),
}


def summary(facts: RunFacts, files: Sequence[Path] = (), place: str = "") -> Group:
    """Show the report as a terminal does, the files that hold all of it, where the data goes."""
    return paragraphs(
        _ending(facts),
        _moved(facts) if _asked_anything(facts) else None,
        _named_lines(facts, files, place),
    )


def text(facts: RunFacts) -> str:
    """Show the report as a log does: without colour, nothing wrapped."""
    return as_text(summary(facts))


def _ending(facts: RunFacts) -> Text:
    from rich.text import Text

    word, style = _ENDINGS.get(facts["status"], (facts["status"], "bold"))
    calls = facts["calls"]
    spent = f"{plural(calls['total'], 'API call')}{calls_left(calls)}"
    return Text.assemble((word, style), f" in {facts['seconds']:.1f} s ({facts['mode']}), {spent}")


def _asked_anything(facts: RunFacts) -> bool:
    """Tell whether there are numbers to show: a run that failed early has none."""
    return bool(
        facts["status"] != "failed" or facts["relations"]["read"] or facts["contacts"]["asked"]
    )


def _moved(facts: RunFacts) -> Table:
    of_relations = facts["relations"]
    kinds = ("read", "new", "updated", "unchanged", "removed", "held")
    rows: list[tuple[Any, ...]] = [("relations", *map(of_relations.get, kinds))]
    for name in ("contacts", "tasks", "users"):
        tally = facts[name]
        counts = [tally[key] for key in ("retrieved", "new", "updated", "unchanged", "gone")]
        rows.append((name, *counts, tally.get("held", "")))
    return table(("", "read", "new", "updated", "unchanged", "gone", "held"), rows)


def _named_lines(facts: RunFacts, files: Sequence[Path], place: str) -> Table:
    """Draw named lines: the name on the left, its facts on the right."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, line in _sums(facts) if _asked_anything(facts) else ():
        grid.add_row(name, line)
    if facts["statistics"]:
        grid.add_row("statistics", _counts(facts["statistics"]))
    for warning in facts["warnings"]:
        grid.add_row(Text("warning", "yellow"), warning)
    if facts["rejected"]:
        many = f"{len(facts['rejected'])} values or records: sf_rejected_records"
        grid.add_row(Text("rejected", "yellow"), many)
    if facts["nuls_removed"]:
        grid.add_row("removed", nuls_removed(facts))
    if facts["error"]:
        grid.add_row(Text("error", "red"), facts["error"])
    if place:
        grid.add_row("destination", place)
    for file in files:
        grid.add_row("page" if file.suffix == ".html" else "report", str(file))
    return grid


def _sums(facts: RunFacts) -> list[tuple[str, str]]:
    """Say what must add up, and what explains the rest."""
    closure = facts["closure"]
    share = closure["relations_explained_pct"]
    explained = NOT_CHECKED if share is None else f"{share:.2f} % of the relations explained"
    if facts["relations"]["held"] == 0:
        explained = "no relations are held"
    lines = [("contacts", conservation(facts["contacts"])), ("closure", explained)]
    if any(closure["tasks_missing"].values()):
        missing = _counts(closure["tasks_missing"])
        lines.append(("", f"tasks not returned by a normal query: {missing}"))
    return lines


def _counts(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in values.items())


def conservation(contacts: RecordFacts) -> str:
    """Spell out the sum that must close."""
    asked, came = contacts["asked"], contacts["retrieved"]
    gone, rejected, left = contacts["gone"], contacts["rejected"], contacts["left"]
    parts = f"{came:,} retrieved + {gone:,} gone + {rejected:,} rejected"
    parts += f" + {left:,} left for the next run" if left else ""
    closes = "" if asked == came + gone + rejected + left else "   DOES NOT ADD UP"
    return f"{asked:,} asked = {parts}{closes}"


def nuls_removed(facts: RunFacts) -> str:
    """Say how many values are not quite the org's."""
    return (
        f"NUL and halves of characters (now U+FFFD), of {facts['nuls_removed']:,} values:"
        " PostgreSQL can't hold them"
    )


def rejected_by_reason(rejected: Iterable[RejectedFacts]) -> dict[tuple[str, str, str], list[str]]:
    """Group the ids of what could not be loaded by object, field ("" for whole records), error."""
    ids: dict[tuple[str, str, str], list[str]] = {}
    for row in rejected:
        ids.setdefault((row["object"], row["field"], row["error"]), []).append(row["record_id"])
    return ids
