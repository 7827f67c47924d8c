"""A run's facts as text for a terminal and as Markdown for a file; JSON is the facts themselves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salesforce_targeted.sync_runs import as_json

_MARKS = {"done": "done", "partial": "partial", "failed": "FAILED", "drift": "DRIFT"}
_IDS_SHOWN = 200


def text(facts: Mapping[str, Any]) -> str:
    """The report as a terminal shows it: a dozen lines."""
    relations, contacts = facts["relations"], facts["contacts"]
    calls, closure = facts["calls"], facts["closure"]
    lines = [
        (
            f"{_MARKS.get(facts['status'], facts['status'])} in {facts['seconds']:.1f} s"
            f" ({facts['mode']}), {calls['total']} API calls{_left(calls)}"
        ),
        (
            f"relations  {relations['read']:>9,} read      {relations['new']:>8,} new"
            f" {relations['updated']:>8,} updated {relations['removed']:>8,} removed"
            f"   {_number(relations['held']):>8} held"
        ),
        (
            f"contacts   {contacts['asked']:>9,} asked     {contacts['new']:>8,} new"
            f" {contacts['updated']:>8,} updated {contacts['unchanged']:>8,} unchanged"
            f" {_number(contacts['held']):>8} held"
        ),
        f"           {conservation(contacts)}",
        (
            f"closure    {_share(closure)} of the relations explained;"
            f" tasks not plainly shown: {_counts(closure['tasks_missing'])}"
        ),
    ]
    if facts.get("statistics"):
        lines.append(f"statistics {_counts(facts['statistics'])}")
    lines.extend(f"warning    {warning}" for warning in facts["warnings"])
    if facts["rejected"]:
        lines.append(f"rejected   {len(facts['rejected'])} values or records: sf_rejected_records")
    if facts.get("error"):
        lines.append(f"error      {facts['error']}")
    return "\n".join(lines)


def markdown(facts: Mapping[str, Any]) -> str:
    """The report as a file: summary, progress, failures with their ids, error analysis."""
    started = f"{facts['started_at']:%Y-%m-%d %H:%M:%S} UTC"
    parts = [
        f"# Targeted contact sync - {started}",
        _summary(facts),
        _table("Calls", ("kind", "calls"), facts["calls"]["by_kind"].items()),
        _section("Progress by batch", facts.get("steps", ())),
        _section("Warnings", facts["warnings"]),
        _failed(facts),
        _missing(facts["closure"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write(facts: Mapping[str, Any], folder: Path) -> Path:
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


def conservation(contacts: Mapping[str, int]) -> str:
    """The sum that must close, spelled out."""
    asked, came = contacts["asked"], contacts["retrieved"]
    gone, rejected, left = contacts["gone"], contacts["rejected"], contacts.get("left", 0)
    parts = f"{came:,} retrieved + {gone:,} gone + {rejected:,} rejected"
    parts += f" + {left:,} left for the next run" if left else ""
    closes = "" if asked == came + gone + rejected + left else "   DOES NOT ADD UP"
    return f"{asked:,} asked = {parts}{closes}"


def _summary(facts: Mapping[str, Any]) -> str:
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
        ("API calls", f"{calls['total']} (foreseen {calls['predicted']}){_left(calls)}"),
        *((f"Contacts: {name}", f"{n:,}") for name, n in facts["statistics"].items()),
    ]  # fmt: skip
    if facts.get("error"):
        rows.append(("Error", facts["error"]))
    return "## Summary\n" + "\n".join(f"- **{name}**: {value}" for name, value in rows)


def _failed(facts: Mapping[str, Any]) -> str:
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


def _counts(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in values.items())


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


def _share(closure: Mapping[str, Any]) -> str:
    share = closure["relations_explained_pct"]
    return "?" if share is None else f"{share:.2f} %"


def _left(calls: Mapping[str, Any]) -> str:
    left = calls["org_remaining"]
    return "" if left is None else f", {left:,} left in the org's day"
