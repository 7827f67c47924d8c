"""Put the page together, in reading order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.ledger import RunFacts
from salesforce_targeted.report.html import run_sections, table_sections
from salesforce_targeted.report.html.dataset_facts import DatasetFacts, read_dataset
from salesforce_targeted.report.html.markup import Html, joined, tag
from salesforce_targeted.report.html.style import POLICY, STYLE
from salesforce_targeted.report.html.svg import available
from salesforce_targeted.report.private_file import write_private

_HEADING = re.compile(r'<h2 id="(\w+)">(.*?)</h2>')


def write(facts: RunFacts, held: HeldTables, path: Path) -> Path:
    """Write the page, for the user alone (mode 0600); return its path.

    A database that can't be read costs the parts that it would fill, and the page says so.
    """
    write_private(path, page(facts, read_dataset(held, facts), drawn=available()))
    return path


def page(facts: RunFacts, dataset: DatasetFacts, *, drawn: bool) -> str:
    """Return the page's HTML: one file that needs nothing else.

    Args:
        drawn: Whether there are plots, or the numbers alone.
    """
    ended, records = run_sections.ended(facts), run_sections.records(facts)
    parts = [
        run_sections.attention(facts, dataset),
        *([table_sections.weeks(dataset, drawn=drawn)] if run_sections.of_contacts(facts) else []),
        _columns(
            [
                table_sections.stages(dataset, records, drawn=drawn),
                run_sections.work(facts),
                table_sections.freshness(dataset, ended),
                table_sections.drift(dataset),
            ],
            [
                run_sections.calls(facts, drawn=drawn),
                table_sections.coverage(dataset, drawn=drawn),
                run_sections.rejected(facts, dataset),
            ],
        ),
        table_sections.runs(dataset, records, drawn=drawn),
    ]
    headings = _HEADING.findall(joined(parts))
    links = [tag("li", tag("a", Html(title), href=f"#{name}")) for name, title in headings]
    title = (
        f"{run_sections.title(facts)}, {facts['started_at']:%Y-%m-%d %H:%M} UTC, {facts['status']}"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", **{"http-equiv": "Content-Security-Policy"}, content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    body = tag(
        "body",
        run_sections.header(facts, dataset),
        tag(
            "main",
            run_sections.headline(facts, dataset),
            tag("nav", tag("ul", *links), aria_label="On this page"),
            *parts,
        ),
        run_sections.footer(facts, drawn=drawn),
    )
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


def _columns(*columns: Sequence[Html]) -> Html:
    """Put sections side by side where there is room, else one below the other."""
    return tag("div", *(tag("div", joined(parts)) for parts in columns), class_="columns")
