"""A run's facts on a terminal, as text for a log, as Markdown for a file; JSON is the facts.

rich is imported where something is drawn: a run with ``--json`` need not wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from salesforce_targeted.destination.sync_runs import as_json
from salesforce_targeted.ledger import RecordFacts, RunFacts
from salesforce_targeted.report.rich_text import api_calls, as_text, paragraphs, table

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

_IDS_SHOWN = 200
_ENDINGS = {
    "done": ("done", "bold green"),
    "partial": ("partial", "bold yellow"),
    "failed": ("FAILED", "bold red"),
    "drift": ("DRIFT", "bold red"),
}


def summary(facts: RunFacts, files: Sequence[Path] = ()) -> Group:
    """The report as a terminal shows it.

    Args:
        files: Where the whole report was written.
    """
    return paragraphs(
        _ending(facts),
        _moved(facts) if _asked_anything(facts) else None,
        _named_lines(facts, files),
    )


def text(facts: RunFacts) -> str:
    """The report as a log shows it: the same without colour, nothing wrapped."""
    return as_text(summary(facts))


def _ending(facts: RunFacts) -> Text:
    from rich.text import Text

    word, style = _ENDINGS.get(facts["status"], (facts["status"], "bold"))
    calls = facts["calls"]
    spent = f"{api_calls(calls['total'])}{_left(calls)}"
    return Text.assemble((word, style), f" in {facts['seconds']:.1f} s ({facts['mode']}), {spent}")


def _asked_anything(facts: RunFacts) -> bool:
    """A run that failed before it read anything has no numbers to show."""
    return bool(
        facts["status"] != "failed" or facts["relations"]["read"] or facts["contacts"]["asked"]
    )


def _moved(facts: RunFacts) -> Table:
    relations = facts["relations"]
    rows: list[tuple[Any, ...]] = [
        (
            "relations", relations["read"], relations["new"], relations["updated"],
            relations["unchanged"], relations["removed"], relations["held"],
        )
    ]  # fmt: skip
    for name in ("contacts", "tasks", "users"):
        of = facts[name]
        counts = [of[key] for key in ("retrieved", "new", "updated", "unchanged", "gone")]
        rows.append((name, *counts, of.get("held", "")))
    return table(("", "read", "new", "updated", "unchanged", "gone", "held"), rows)


def _named_lines(facts: RunFacts, files: Sequence[Path]) -> Table:
    """Named lines: a name on the left, what there is to say about it on the right."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    closure = facts["closure"]
    if _asked_anything(facts):
        made.add_row("contacts", conservation(facts["contacts"]))
        share = closure["relations_explained_pct"]
        explained = "not checked" if share is None else f"{share:.2f} % of the relations explained"
        made.add_row("closure", explained)
        if any(closure["tasks_missing"].values()):
            made.add_row("", f"tasks not plainly shown: {_counts(closure['tasks_missing'])}")
    if facts["statistics"]:
        made.add_row("statistics", _counts(facts["statistics"]))
    for warning in facts["warnings"]:
        made.add_row(Text("warning", "yellow"), Text(warning))
    if facts["rejected"]:
        many = f"{len(facts['rejected'])} values or records: sf_rejected_records"
        made.add_row(Text("rejected", "yellow"), many)
    if facts["error"]:
        made.add_row(Text("error", "red"), Text(facts["error"]))
    for file in files:
        made.add_row("page" if file.suffix == ".html" else "report", str(file))
    return made


def _counts(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in values.items())


def markdown(facts: RunFacts) -> str:
    """The report as a file: summary, progress, failures with their ids, error analysis."""
    started = f"{facts['started_at']:%Y-%m-%d %H:%M:%S} UTC"
    parts = [
        f"# Targeted contact sync - {started}",
        _summary(facts),
        _table("Calls", ("kind", "calls"), facts["calls"]["by_kind"].items()),
        _section("Progress by batch", facts["steps"]),
        _section("Warnings", facts["warnings"]),
        _failed(facts),
        _missing(facts["closure"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write(facts: RunFacts, folder: Path) -> Path:
    """Write the report as Markdown and as JSON; returns the Markdown file.

    Both are for the user alone (mode 0600): ids of people are in them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"targeted_contacts_{facts['started_at']:%Y%m%d_%H%M%S}.md"
    for file, content in ((path, markdown(facts)), (path.with_suffix(".json"), as_json(facts))):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        file.chmod(0o600)  # of a file that was there before, too
        with os.fdopen(opened, "w", encoding="utf-8") as stream:
            stream.write(content)
    return path


def conservation(contacts: RecordFacts) -> str:
    """The sum that must close, spelled out."""
    asked, came = contacts["asked"], contacts["retrieved"]
    gone, rejected, left = contacts["gone"], contacts["rejected"], contacts["left"]
    parts = f"{came:,} retrieved + {gone:,} gone + {rejected:,} rejected"
    parts += f" + {left:,} left for the next run" if left else ""
    closes = "" if asked == came + gone + rejected + left else "   DOES NOT ADD UP"
    return f"{asked:,} asked = {parts}{closes}"


def _summary(facts: RunFacts) -> str:
    relations, contacts, calls = facts["relations"], facts["contacts"], facts["calls"]
    retrieved = contacts["retrieved"]
    rate = retrieved / facts["seconds"] if facts["seconds"] else 0.0
    rows = [
        ("Status", facts["status"]),
        ("Mode", facts["mode"]),
        ("Duration", f"{facts['seconds']:.1f} s"),
        ("Relations read", f"{relations['read']:,}"),
        ("Relations held", _number(relations["held"])),
        ("Relations explained", _share(facts["closure"])),
        ("Contacts discovered", f"{contacts['discovered']:,}"),
        ("Contacts", conservation(contacts)),
        ("New / updated / unchanged",
         f"{contacts['new']:,} / {contacts['updated']:,} / {contacts['unchanged']:,}"),
        ("Contacts per second", f"{rate:,.0f}"),
        ("Contacts held", _number(contacts["held"])),
        ("API calls", f"{calls['total']}{_left(calls)}"),
        *((f"Contacts: {name}", f"{n:,}") for name, n in facts["statistics"].items()),
    ]  # fmt: skip
    if facts["error"]:
        rows.append(("Error", facts["error"]))
    return "## Summary\n" + "\n".join(f"- **{name}**: {value}" for name, value in rows)


def _failed(facts: RunFacts) -> str:
    rejected = facts["rejected"]
    if not rejected:
        return ""
    by_error: dict[str, list[str]] = {}
    for one in rejected:
        by_error.setdefault(f"{one['object']}.{one['field'] or '*'}: {one['error']}", []).append(
            one["record_id"]
        )
    records = "\n".join(as_json(one) for one in rejected[:_IDS_SHOWN])
    errors = [f"{error}: {len(ids)} ({_ids(ids)})" for error, ids in sorted(by_error.items())]
    return (
        f"## Failed records\n```json\n{records}\n```\n\n"
        + _section("Error analysis", errors)
        + "\n\nThe raw values are in `sf_rejected_records`."
    )


def _missing(closure: Mapping[str, Any]) -> str:
    lines = [
        f"{reason}: {len(ids)} ({_ids(ids)})" for reason, ids in closure["task_ids"].items() if ids
    ]
    lines += [f"contacts {reason}: {n}" for reason, n in closure["contacts_missing"].items()]
    return _section("Tasks and contacts that the org does not plainly show", lines)


def _ids(ids: list[str]) -> str:
    more = f" and {len(ids) - _IDS_SHOWN:,} more" if len(ids) > _IDS_SHOWN else ""
    return ", ".join(ids[:_IDS_SHOWN]) + more


def _section(title: str, lines: Any) -> str:
    listed = list(lines)
    return f"## {title}\n" + "\n".join(f"- {line}" for line in listed) if listed else ""


def _table(title: str, head: tuple[str, str], rows: Any) -> str:
    body = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"## {title}\n| {head[0]} | {head[1]} |\n|---|---|\n{body}" if body else ""


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


def _share(closure: Mapping[str, Any]) -> str:
    share = closure["relations_explained_pct"]
    return "?" if share is None else f"{share:.2f} %"


def _left(calls: Mapping[str, Any]) -> str:
    left = calls["org_remaining"]
    return "" if left is None else f", {left:,} left in the org's day"
