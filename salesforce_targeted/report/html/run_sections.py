"""Parts of the page that the run's own facts fill: headline, what needs attention, what it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from salesforce_targeted.ledger import RecordFacts, RunFacts
from salesforce_targeted.report.html import plots
from salesforce_targeted.report.html.dataset_facts import DatasetFacts
from salesforce_targeted.report.html.markup import (
    MOST_OF_A_SENTENCE,
    Content,
    Html,
    details,
    foreign,
    html,
    joined,
    lasting,
    numbers,
    prose,
    section,
    table,
    tag,
)
from salesforce_targeted.report.text import conservation

_STATUS = {
    "done": "everything that the run looked at is loaded and accounted for",
    "partial": "stopped before the work was complete; the next run goes on from there",
    "failed": "the run failed; what was held before is still there",
    "drift": "what is held differs from the org",
}
_OUTCOMES = ("Read", "New", "Updated", "Unchanged", "Gone", "Rejected whole")
# Where the extra is missing, the same numbers stand in tables.
_PLOTS = "pip install 'dlt-source-salesforce-targeted[html]'"
_GROUPS_SHOWN = 50
_IDS_SHOWN = 50


def header(facts: RunFacts, dataset: DatasetFacts) -> Html:
    """Show what was run, when, from where to where, and how it ended."""
    status = str(facts["status"])
    kind = status if status in _STATUS else "unknown"
    pill = tag("span", status, class_=f"pill {kind}")
    parts: list[Content] = [
        html(facts["started_at"]), f" UTC, {facts['mode']}, {facts['seconds']:,.1f} s",
    ]  # fmt: skip
    if dataset.org:
        parts += [" · from ", foreign(dataset.org)]
    if dataset.place:
        parts += [" · into ", foreign(dataset.place)]
    return tag(
        "header",
        tag("h1", title(facts), " ", pill),
        tag("p", *parts, class_="muted"),
        tag("p", f"{status.capitalize()}: {_STATUS.get(status, 'see below')}."),
    )


def headline(facts: RunFacts, dataset: DatasetFacts) -> Html:
    """Show the numbers to look at first."""
    share = facts["closure"]["relations_explained_pct"]
    calls, rejected = facts["calls"], len(facts["rejected"])
    left = calls["org_remaining"]
    stages = dataset.stages
    relations = _tile(
        "Relations held",
        facts["relations"]["held"],
        "not checked" if share is None else f"{share:.2f} % explained",
    )
    tiles = [
        _tile(f"{records(facts)} held", facts["contacts"]["held"],
              "active: not known" if stages is None else f"{stages.get('active', 0):,} active"),
        *([relations] if of_contacts(facts) else []),
        _tile("API calls", calls["total"],
              "left (24 h): not known" if left is None else f"{left:,} left (24 h)"),
        _newest(facts, dataset),
        _tile("Rejected", rejected, "values or records in this run",
              "warn" if rejected else ""),
        _tile("Warnings", len(facts["warnings"]), "listed below" if facts["warnings"] else "none",
              "warn" if facts["warnings"] else ""),
    ]  # fmt: skip
    return tag("section", tag("dl", *tiles, class_="tiles"), class_="head", aria_label="Headline")


def attention(facts: RunFacts, dataset: DatasetFacts) -> Html:
    """Show the error, the warnings, and what this page lacks; nothing where all is well."""
    error = facts["error"]
    parts: list[Content] = []
    if error:
        parts += [tag("h3", "Error"), tag("p", foreign(error, MOST_OF_A_SENTENCE), class_="failed")]
    if facts["warnings"]:
        listed = [tag("li", tag("bdi", prose(warning))) for warning in facts["warnings"]]
        parts += [tag("h3", "Warnings"), tag("ul", *listed)]
    if dataset.failures:
        listed = [tag("li", foreign(sentence, MOST_OF_A_SENTENCE)) for sentence in dataset.failures]
        parts += [tag("h3", "Left out of this page"), tag("ul", *listed)]
    if not parts:
        return Html("")
    kind = "alarm" if error else "notice"
    return section("attention", "What needs attention", *parts, kind=kind)


def work(facts: RunFacts) -> Html:
    """Show what was read, and what of it was new."""
    counted = {records(facts): _outcomes(facts["contacts"])}
    if of_contacts(facts):
        of = facts["relations"]
        counts = [of["read"], of["new"], of["updated"], of["unchanged"], of["removed"], None]
        counted = {"Relations": counts, **counted}
        counted |= {"Tasks": _outcomes(facts["tasks"]), "Users": _outcomes(facts["users"])}
    rows = zip(_OUTCOMES, *counted.values(), strict=True)
    closure = facts["closure"]
    missing = {
        **{f"tasks {reason}": n for reason, n in closure["tasks_missing"].items()},
        **{
            f"{records(facts).lower()} {reason}": n
            for reason, n in closure["contacts_missing"].items()
        },
    }
    return section(
        "run",
        "This run",
        table("Records of the run", ["Records", *counted], rows),
        tag("p", f"{records(facts)}: {conservation(facts['contacts'])}."),
        tag("p", "Not returned by a normal query: ", _counted(missing), ".", class_="muted"),
    )


def calls(facts: RunFacts, *, drawn: bool) -> Html:
    """Show the calls by kind, and why the records were fetched as they were."""
    counted = facts["calls"]
    kinds = counted["by_kind"]
    rows: list[Sequence[Content]] = [*kinds.items(), ("All", counted["total"])]
    series = [("all", counted["total"]), *kinds.items()]
    plot = tag("figure", plots.bars(series, "API calls")) if drawn and kinds else ""
    return section(
        "calls",
        "API calls",
        tag("p", "Sign-in is not billed and not counted.", class_="muted"),
        plot,
        numbers("API calls, by kind", ["Kind", "Calls"], rows, drawn=drawn),
        _prices(facts["plan"]),
    )


def rejected(facts: RunFacts, dataset: DatasetFacts) -> Html:
    """Show what could not be read or loaded, by reason: ids and errors, never a value."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for one in facts["rejected"]:
        reason = (str(one["object"]), str(one["field"] or ""), str(one["error"]))
        groups.setdefault(reason, []).append(str(one["record_id"]))
    if groups:
        shown = [_rejection(*reason, ids) for reason, ids in list(groups.items())[:_GROUPS_SHOWN]]
        parts: list[Content] = [tag("ul", *shown, class_="cards")]
        if len(groups) > _GROUPS_SHOWN:
            parts.append(tag("p", f"And {len(groups) - _GROUPS_SHOWN:,} more reasons."))
        parts.append(
            tag("p", prose("The raw values are in `sf_rejected_records`; every run tries again."))
        )
    else:
        parts = [tag("p", "None in this run.")]
    if dataset.rejected is not None:
        parts.append(
            tag(
                "p", prose(f"{dataset.rejected:,} listed in `sf_rejected_records`."), class_="muted"
            )
        )
    return section("rejected", "Rejected rows", *parts)


def footer(facts: RunFacts, *, drawn: bool) -> Html:
    """Name the run, and where the same facts are in other forms."""
    versions = facts["versions"]
    listed = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    no_plots = (
        "" if drawn
        else tag("p", prose(f"Plots need matplotlib, which is not there: `{_PLOTS}`."))
    )  # fmt: skip
    return tag(
        "footer",
        no_plots,
        tag("p", "Run ", tag("span", foreign(facts["run_id"]), class_="id"), f" · {listed}"),
        tag("p", prose("The same facts are in Markdown and JSON next to this file, and in"
                       " `sf_sync_runs`. This page fetches nothing and runs no script.")),
    )  # fmt: skip


def records(facts: RunFacts) -> str:
    """Name what the run is about, in the plural."""
    return "Contacts" if of_contacts(facts) else f"{facts['object']} records"


def of_contacts(facts: RunFacts) -> bool:
    """Tell whether the run holds relations, tasks and users too, as one about contacts does."""
    return bool(facts["object"] == "Contact")


def title(facts: RunFacts) -> str:
    """Return the title of the page."""
    about = "contact" if of_contacts(facts) else facts["object"]
    return f"Targeted {about} sync"


def ended(facts: RunFacts) -> datetime:
    """Return when the run ended."""
    started: datetime = facts["started_at"]
    return started + timedelta(seconds=facts["seconds"])


def _tile(name: str, value: Content, detail: Content, kind: str = "") -> Html:
    big = {"class_": f"big {'partial' if kind else ''}".strip()}
    return tag(
        "div", tag("dt", name), tag("dd", value, **big), tag("dd", detail, class_="muted")
    )  # fmt: skip


def _newest(facts: RunFacts, dataset: DatasetFacts) -> Html:
    stamps = [of.newest for of in dataset.tables if of.newest is not None]
    if not stamps:
        return _tile("Newest change", None, "not known")
    age = ended(facts) - max(stamps)
    return _tile("Newest change", lasting(age), "before the run ended")


def _outcomes(of: RecordFacts) -> list[int | None]:
    """Return the counts of one object, in the order of ``_OUTCOMES``."""
    counts = of["retrieved"], of["new"], of["updated"], of["unchanged"], of["gone"], of["rejected"]
    return list(counts)


def _counted(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in values.items() if count) or "nothing"


def _prices(plan: Mapping[str, Any]) -> Html:
    """Show the ways to fetch the records, with what each would have cost."""
    if not plan.get("price"):
        return Html("")
    rows: list[Sequence[Content]] = [
        [
            f"{api} (chosen)" if api == plan["api"] else api,
            of["calls"], of["rows"], of["bytes"] / 1e6, of["seconds"],
        ]
        for api, of in plan["price"].items()
    ]  # fmt: skip
    head = ["Way", "Calls", "Rows", "MB", "Seconds"]
    return details(
        f"Why they were fetched by {plan['api']}", table("What each way would cost", head, rows)
    )


def _rejection(object_name: str, field: str, error: str, ids: Sequence[str]) -> Html:
    what = f"{object_name}.{field}" if field else f"{object_name}, whole record"
    more = f" and {len(ids) - _IDS_SHOWN:,} more" if len(ids) > _IDS_SHOWN else ""
    listed = joined((tag("span", foreign(id_, 40), class_="id") for id_ in ids[:_IDS_SHOWN]), ", ")
    return tag(
        "li",
        tag("h3", foreign(what, 120), f" · {len(ids):,}"),
        tag("p", foreign(error)),
        tag("p", listed, more, class_="muted"),
    )
