"""Write a run's facts as Markdown: summary, calls, progress, warnings, failures with their ids."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from salesforce_targeted.destination.sync_runs import as_json
from salesforce_targeted.report import text
from salesforce_targeted.report.private_file import write_private
from salesforce_targeted.report.rich_text import calls_left
from salesforce_targeted.run_facts import ClosureFacts, RunFacts

_IDS_SHOWN = 200


def document(facts: RunFacts) -> str:
    """Return the report as one Markdown document."""
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
    """Write the report as Markdown and as JSON; return the Markdown file.

    Both are for the user alone (mode 0600): ids of people are in them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"targeted_contacts_{facts['started_at']:%Y%m%d_%H%M%S}.md"
    write_private(path, document(facts))
    write_private(path.with_suffix(".json"), as_json(facts))
    return path


def _summary(facts: RunFacts) -> str:
    relations, contacts, calls = facts["relations"], facts["contacts"], facts["calls"]
    retrieved, share = contacts["retrieved"], facts["closure"]["relations_explained_pct"]
    rate = retrieved / facts["seconds"] if facts["seconds"] else 0.0
    rows = [
        ("Status", facts["status"]),
        ("Mode", facts["mode"]),
        ("Duration", f"{facts['seconds']:.1f} s"),
        ("Relations read", f"{relations['read']:,}"),
        ("Relations held", _number(relations["held"])),
        ("Relations explained", text.NOT_CHECKED if share is None else f"{share:.2f} %"),
        ("Contacts discovered", f"{contacts['discovered']:,}"),
        ("Contacts", text.conservation(contacts)),
        ("New / updated / unchanged",
         f"{contacts['new']:,} / {contacts['updated']:,} / {contacts['unchanged']:,}"),
        ("Contacts per second", f"{rate:,.0f}"),
        ("Contacts held", _number(contacts["held"])),
        ("API calls", f"{calls['total']}{calls_left(calls)}"),
        *((f"Contacts: {name}", f"{n:,}") for name, n in facts["statistics"].items()),
    ]  # fmt: skip
    if facts["nuls_removed"]:
        rows.append(("Removed", text.nuls_removed(facts)))
    if facts["error"]:
        rows.append(("Error", facts["error"]))
    return "## Summary\n" + "\n".join(f"- **{name}**: {value}" for name, value in rows)


def _failed(facts: RunFacts) -> str:
    rejected = facts["rejected"]
    if not rejected:
        return ""
    records = "\n".join(as_json(record) for record in rejected[:_IDS_SHOWN])
    errors = [
        f"{name}.{field or '*'}: {error}: {len(ids)} ({_ids(ids)})"
        for (name, field, error), ids in text.rejected_by_reason(rejected).items()
    ]
    return (
        f"## Failed records\n```json\n{records}\n```\n\n"
        + _section("Error analysis", sorted(errors))
        + "\n\nThe raw values are in `sf_rejected_records`."
    )


def _missing(closure: ClosureFacts) -> str:
    lines = [
        f"{reason}: {len(ids)} ({_ids(ids)})" for reason, ids in closure["task_ids"].items() if ids
    ]
    lines += [f"contacts {reason}: {n}" for reason, n in closure["contacts_missing"].items()]
    return _section("Tasks and contacts not returned by a normal query", lines)


def _ids(ids: list[str]) -> str:
    more = f" and {len(ids) - _IDS_SHOWN:,} more" if len(ids) > _IDS_SHOWN else ""
    return ", ".join(ids[:_IDS_SHOWN]) + more


def _section(title: str, lines: Iterable[str]) -> str:
    listed = list(lines)
    return f"## {title}\n" + "\n".join(f"- {line}" for line in listed) if listed else ""


def _table(title: str, head: tuple[str, str], rows: Iterable[tuple[str, int]]) -> str:
    body = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"## {title}\n| {head[0]} | {head[1]} |\n|---|---|\n{body}" if body else ""


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"
