"""Write the page: what the run and its dataset tell, put into ``templates/page.html``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.report import text
from salesforce_targeted.report.html.dataset_facts import DatasetFacts, read_dataset
from salesforce_targeted.report.html.markup import templates
from salesforce_targeted.report.private_file import write_private
from salesforce_targeted.run_facts import RunFacts

_MONTHS_ON_A_PHONE = 5
_WEEKS_FOR_A_LABEL = 3


def write(facts: RunFacts, held: HeldTables, path: Path) -> Path:
    """Write the page, for the user alone (mode 0600); return its path.

    A database that can't be read costs the parts that it would fill, and the page says so.
    """
    write_private(path, page(facts, read_dataset(held, facts)))
    return path


def page(facts: RunFacts, dataset: DatasetFacts) -> str:
    """Return the page's HTML: one file that needs nothing else."""
    of_contacts = facts["object"] == "Contact"
    records = "Contacts" if of_contacts else f"{facts['object']} records"
    needs_attention = facts["error"] or facts["warnings"] or dataset.failures
    relations, closure = facts["relations"], facts["closure"]
    counted: dict[str, Any] = {records: facts["contacts"]}
    if of_contacts:
        read, removed = relations["read"], relations["removed"]
        counted = {
            "Relations": {**relations, "retrieved": read, "gone": removed, "rejected": None},
            **counted,
            "Tasks": facts["tasks"],
            "Users": facts["users"],
        }
    template = templates().get_template("page.html")
    return template.render(
        facts=facts,
        dataset=dataset,
        title=f"Targeted {'contact' if of_contacts else facts['object']} sync",
        records=records,
        of_contacts=of_contacts,
        ended=facts["started_at"] + timedelta(seconds=facts["seconds"]),
        titles={
            **({"attention": "What needs attention"} if needs_attention else {}),
            **({"weeks": "Relations per week"} if of_contacts else {}),
            "stages": f"{records} by life stage",
            "run": "This run",
            "freshness": "Freshness",
            "drift": "Drift",
            "calls": "API calls",
            "coverage": "Field coverage",
            "rejected": "Rejected rows",
            "runs": "Last runs",
        },
        conservation=text.conservation(facts["contacts"]),
        nuls_removed=text.nuls_removed(facts),
        not_checked=text.NOT_CHECKED,
        counted=counted,
        missing={
            **{f"tasks {why}": n for why, n in closure["tasks_missing"].items()},
            **{f"{records.lower()} {why}": n for why, n in closure["contacts_missing"].items()},
        },
        rejections=[*text.rejected_by_reason(facts["rejected"]).items()],
        months=months([day for day, _ in dataset.weeks or ()]),
        outcomes=Counter(run["status"] for run in reversed(dataset.runs or ())),
        versions=", ".join(f"{name} {n}" for name, n in facts["versions"].items() if n),
    )


def months(weeks: Sequence[date]) -> dict[date, bool]:
    """Choose the weeks that have their month below them: the first of each.

    Returns:
        Their Mondays, and whether a narrow screen leaves the name out.
    """
    firsts = [at for at, day in enumerate(weeks) if not at or day.month != weeks[at - 1].month]
    if len(firsts) > 1 and firsts[1] < _WEEKS_FOR_A_LABEL:
        firsts = firsts[1:]  # the end of a month would run into the next one
    apart = -(-len(firsts) // _MONTHS_ON_A_PHONE)
    return {weeks[at]: bool(n % apart) for n, at in enumerate(firsts)}
