"""Parts of the page that the tables fill: life stages, weeks, freshness, coverage, drift, runs."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from datetime import datetime

from salesforce_targeted.report.html import plots
from salesforce_targeted.report.html.dataset_facts import DatasetFacts, PastRun
from salesforce_targeted.report.html.markup import (
    Content,
    Html,
    details,
    foreign,
    lasting,
    numbers,
    plural,
    prose,
    section,
    table,
    tag,
)

_NOT_READ = "The database could not be read; see “What needs attention”."
_NO_TABLE = "No table is held yet."
_STAGES = {
    "active": "a relation of the org points at it",
    "left": "none does any more; it is still held, and true",
    "deleted": "in the org's recycle bin",
    "merged": "into another record",
    "hidden": "the org no longer shows it: purged, or out of our user's sight",
    "rejected": "it came, and could not be loaded",
}
# The parts of a table's fields, and the page's colour of each.
_PARTS = (
    ("filled in every row", "accent"),
    ("filled in some", "accent-2"),
    ("never filled", "empty"),
    ("hidden", "warn"),
)


def stages(dataset: DatasetFacts, records: str, *, drawn: bool) -> Html:
    """Show contacts, or what else the run is about, by life stage."""
    title = f"{records} by life stage"
    if not dataset.stages:
        return _empty("stages", title, dataset.stages, "None has been held yet.")
    rows: list[Sequence[Content]] = [
        [foreign(name, 40), count, _STAGES.get(name, "")] for name, count in dataset.stages.items()
    ]
    plot = tag("figure", plots.bars(list(dataset.stages.items()), title)) if drawn else ""
    head = ["Stage", records, "Meaning"]
    return section("stages", title, plot, numbers(title, head, rows, drawn=drawn))


def weeks(dataset: DatasetFacts, *, drawn: bool) -> Html:
    """Show relations by the week in which they were made."""
    title = "Relations per week"
    if not dataset.weeks:
        return _empty("weeks", title, dataset.weeks, "None is held.")
    rows: list[Sequence[Content]] = [[f"{day}", count] for day, count in reversed(dataset.weeks)]
    before = f", and {dataset.before:,} before them" if dataset.before else ""
    sentence = (
        f"{plural(sum(count for _, count in dataset.weeks), 'relation')} that the org shows, by"
        f" week created ({plural(len(dataset.weeks), 'week')}{before})."
    )
    plot = tag("figure", plots.weekly(dataset.weeks, title)) if drawn else ""
    return section(
        "weeks",
        title,
        tag("p", sentence, class_="muted"),
        plot,
        numbers(title, ["Week from Monday", "Relations"], rows, drawn=drawn),
    )


def freshness(dataset: DatasetFacts, ended: datetime) -> Html:
    """Show the newest change that each table holds, and how old it was when the run ended."""
    title = "Freshness"
    if not dataset.tables:
        return _empty("freshness", title, None if dataset.failures else [], _NO_TABLE)
    rows: list[Sequence[Content]] = [
        [of.table, of.rows, lasting(ended - of.newest) if of.newest else None, of.newest]
        for of in dataset.tables
    ]
    return section(
        "freshness",
        title,
        tag(
            "p",
            prose("The newest `SystemModstamp` that is held. It is old where nothing changed."),
            class_="muted",
        ),
        table(
            "Newest change held, and its age when the run ended",
            ["Table", "Rows", "Age", "Newest (UTC)"],
            rows,
        ),
    )


def coverage(dataset: DatasetFacts, *, drawn: bool) -> Html:
    """Show how many of the described fields have values, and which are hidden from our user."""
    title = "Field coverage"
    if not dataset.tables:
        return _empty("coverage", title, None if dataset.failures else [], _NO_TABLE)
    rows: list[Sequence[Content]] = [
        [of.table, of.described, of.always + of.sometimes, len(of.empty), len(of.hidden)]
        for of in dataset.tables
    ]
    plot = ""
    if drawn:
        parts = [
            (of.table, (of.always, of.sometimes, len(of.empty), len(of.hidden)))
            for of in dataset.tables
        ]
        plot = tag("figure", plots.shares(parts, _PARTS, title), plots.key(dict(_PARTS)))
    head = ["Table", "Described", "Filled", "Never filled", "Hidden"]
    return section(
        "coverage",
        title,
        tag("p", "Fields that the org describes to our user; hidden are those that it no longer "
            "does, which keep the values that they had.", class_="muted"),
        plot,
        numbers(title, head, rows, drawn=drawn),
        *(_named(of.table, "never filled", of.empty) for of in dataset.tables),
        *(_named(of.table, "hidden", of.hidden) for of in dataset.tables),
    )  # fmt: skip


def drift(dataset: DatasetFacts) -> Html:
    """Show the drift of the last verification, or how to get one."""
    title = "Drift"
    if dataset.runs is None:
        return _empty("drift", title, None)
    if dataset.verified is None:
        how = (
            "Not known: no verification is recorded in `sf_sync_runs`."
            " `targeted_contacts.py --verify` compares what is held with the org, cell by cell;"
            " `--verify --repair` loads again exactly what drifted."
        )
        return section("drift", title, tag("p", prose(how)))
    of = dataset.verified
    compared = sum(of.compared.values())
    total = sum(of.drift.values())
    verdict = tag(
        "span", f"{total:,} differ" if total else "no drift", class_="drift" if total else "done"
    )
    rows: list[Sequence[Content]] = [[cause, count] for cause, count in of.drift.items()]
    return section(
        "drift",
        title,
        tag("p", f"{compared:,} rows compared with the org at ", of.at, " UTC: ", verdict, "."),
        table("Drift, by cause", ["Cause", "Rows"], rows),
    )


def runs(dataset: DatasetFacts, records: str, *, drawn: bool) -> Html:
    """Show the last runs: how long, how many calls, how they ended."""
    title = "Last runs"
    if not dataset.runs:
        return _empty("runs", title, dataset.runs, "No run is recorded yet.")
    plot = ""
    if drawn:
        series = [
            (
                f"{run.started_at:%Y-%m-%d %H:%M}",
                run.status,
                run.seconds or 0.0,
                run.calls_total or 0,
            )
            for run in reversed(dataset.runs)
        ]
        looks = {run.status: plots.OUTCOMES.get(run.status, plots.OTHER_OUTCOME)
                 for run in reversed(dataset.runs)}  # fmt: skip
        named = {f"{sign} {status}".strip(): colour for status, (colour, sign) in looks.items()}
        plot = tag("figure", plots.runs(series, title), plots.key(named))
    head = [
        "Began (UTC)", "Outcome", "Seconds", "Calls", f"{records} held", "New", "Updated",
        "New relations", "Warnings", "Mode",
    ]  # fmt: skip
    errors = [
        tag("li", tag("p", run.started_at), tag("p", foreign(run.error), class_="muted"))
        for run in dataset.runs
        if run.error
    ]
    return section(
        "runs",
        title,
        plot,
        table(title, head, [_run(run) for run in dataset.runs]),
        details(f"Errors of {plural(len(errors), 'run')}", tag("ul", *errors, class_="cards"))
        if errors
        else "",
    )


def _empty(name: str, title: str, read: Sized | None, none: str = "") -> Html:
    """Write a part that has nothing to show, and why: nothing is held, or nothing was read."""
    return section(name, title, tag("p", _NOT_READ if read is None else none))


def _run(run: PastRun) -> list[Content]:
    kind = run.status if run.status in plots.OUTCOMES else "unknown"
    return [
        run.started_at,
        tag("span", foreign(run.status, 40), class_=kind),
        run.seconds,
        run.calls_total,
        run.contacts_held,
        run.contacts_new,
        run.contacts_updated,
        run.relations_new,
        run.warning_count,
        foreign(run.mode, 40),
    ]


def _named(table_name: str, what: str, fields: Sequence[str]) -> Html:
    if not fields:
        return Html("")
    listed = tag("p", ", ".join(fields), class_="id")
    return details(f"{table_name}: {len(fields):,} {what}", listed)
