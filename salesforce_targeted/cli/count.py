"""``--count``: how much activity the org has, from a few calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from salesforce_targeted.api import soql
from salesforce_targeted.extract.discovery import discover
from salesforce_targeted.extract.run import Run
from salesforce_targeted.run_facts import CallFacts, call_facts

if TYPE_CHECKING:
    from rich.console import RenderableType


class CountFacts(TypedDict):
    """Report the mode ``count``; None is what the org does not tell our user."""

    status: Literal["done"]
    mode: Literal["count"]
    relations: int
    relations_to_contacts: int
    relations_to_leads: int
    relations_to_nobody: int
    active_contacts: int
    contacts_in_org: int | None
    active_share_pct: float | None
    calls: CallFacts
    warnings: list[str]


def count(run: Run) -> CountFacts:
    """Count the org's activity: a few calls, nothing is loaded."""
    client, junction = run.client, run.org.junction
    total = run.relation_count()
    active = discover(run)
    without = client.count(
        soql.select([soql.aggregate("COUNT")], junction.object_name, soql.eq(junction.who, None))
    )
    of_contacts = active.total
    in_org = client.record_counts(["Contact"]).get("Contact")
    return {
        "status": "done",
        "mode": "count",
        "relations": total,
        "relations_to_contacts": of_contacts,
        "relations_to_leads": total - of_contacts - without,
        "relations_to_nobody": without,
        "active_contacts": len(active),
        "contacts_in_org": in_org,
        "active_share_pct": round(100 * len(active) / in_org, 3) if in_org else None,
        "calls": call_facts(run.client.meter),
        "warnings": list(run.ledger.warnings),
    }


def count_shown(facts: CountFacts) -> RenderableType:
    """Draw the counts as a table."""
    from salesforce_targeted.report.rich_text import calls_left, notes, paragraphs, table

    share = facts["active_share_pct"]
    of_org = "" if share is None else f"{share:g} % of {facts['contacts_in_org']:,} in the org"
    if facts["contacts_in_org"] is None:
        of_org = "of how many in the org is not known"
    rows = [
        ("relations", facts["relations"], ""),
        ("  to contacts", facts["relations_to_contacts"], ""),
        ("  to leads", facts["relations_to_leads"], ""),
        ("  without a person", facts["relations_to_nobody"], ""),
        ("active contacts", facts["active_contacts"], of_org),
        ("API calls", facts["calls"]["total"], calls_left(facts["calls"]).removeprefix(", ")),
    ]
    return paragraphs(table(("", "", ""), rows, notes=True), notes(facts["warnings"]))
