"""``--plan``: what the next run would do and cost, and the ways that it would not take.

:mod:`salesforce_targeted.sync.forecast` has the facts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from salesforce_targeted.sync.forecast import PlanFacts


def plan_shown(facts: PlanFacts) -> RenderableType:
    """Draw the plan: the steps, then each way to fetch each object."""
    from rich.text import Text

    from salesforce_targeted.report.rich_text import calls_left, notes, paragraphs, plural, table

    since = facts["cursor"]
    begin = f"{since:%Y-%m-%d %H:%M:%S}" if since else "the beginning"
    known = [
        ("relations since", begin),
        ("relations expected", facts["relations_expected"]),
        ("contacts discovered", facts["contacts_discovered"]),
    ]
    steps = [*facts["steps"].items(), ("in all", facts["predicted_calls"])]
    calls = facts["calls"]
    ways: list[tuple[Text, ...]] = []
    for name, of in facts["tables"].items():
        how = "all of them" if of["whole"] else "new and modified"
        ways.append((Text(f"{name}: {of['ids']:,} ids, {of['fields']} fields, {how}", "bold"),))
        for api, price in of["price"].items():
            taken = api == of["api"]
            style = "green" if taken else "dim"
            cells = (
                f"{'-> ' if taken else '   '}{api}", f"{price['calls']:,}", f"{price['rows']:,}",
                f"{price['bytes'] / 1e6:,.1f}", f"{price['seconds']:,.1f}",
            )  # fmt: skip
            ways.append(tuple(Text(cell, style) for cell in cells))
    return paragraphs(
        table(("", ""), known),
        table(("step", "calls"), steps),
        Text(f"{plural(calls['total'], 'API call')} made to find out{calls_left(calls)}"),
        table(("-> taken, of the ways there are", "calls", "rows", "MB", "seconds"), ways),
        notes(facts["warnings"]),
    )
