"""``--plan``: what the next run would do and cost, and the ways that it would not take."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING, Any

import dlt

from salesforce_targeted.api import soql
from salesforce_targeted.cli import exit_codes
from salesforce_targeted.cli.screen import Screen
from salesforce_targeted.destination.held_tables import CONTACTS, RELATIONS, TASKS, USERS
from salesforce_targeted.extract.discovery import discover
from salesforce_targeted.extract.id_selection import select_ids
from salesforce_targeted.extract.record_refresh import plan_of
from salesforce_targeted.extract.run import LAG, OBJECTS, Run
from salesforce_targeted.ledger import call_facts
from salesforce_targeted.relations import pages as relation_pages
from salesforce_targeted.relations import queries

if TYPE_CHECKING:
    from rich.console import RenderableType


def plan(run: Run) -> dict[str, Any]:
    """Say what the next default run would do and cost, with the options rejected.

    Before a first run the tasks are counted, and the users are taken for one call's worth. What is
    archived or deleted costs a second request, which can't be known before the first.
    """
    shown = discover(run)
    since = _cursor(run)
    expected = _new_relations(run, since)
    steps = {"opening": 1, **_reading(run, since, expected, len(shown))}
    tables: dict[str, Any] = {}
    for table, named in (
        (CONTACTS, shown.ids),
        (TASKS, run.held_values(RELATIONS, "TaskId")),
        (USERS, run.users_of_held()),
    ):
        if table != CONTACTS and not run.org.shows(OBJECTS[table]):
            continue  # a run goes on without its rows
        chosen = select_ids(run, table, named)
        columns = run.columns(table)
        ids = len(chosen)
        if not run.held.column_hints(RELATIONS):
            ids = {TASKS: _named_tasks(run), USERS: 1}.get(table, ids)
        found = plan_of(run, OBJECTS[table], columns, ids)
        tables[OBJECTS[table]] = {
            "ids": ids,
            "whole": chosen.whole,
            "fields": len(columns.items),
            **found.facts(),
        }
        steps[OBJECTS[table].lower()] = found.calls
    return {
        "status": "done",
        "mode": "plan",
        "cursor": since,
        "relations_expected": expected,
        "contacts_discovered": len(shown),
        "steps": steps,
        "predicted_calls": sum(steps.values()),
        "tables": tables,
        "calls": call_facts(run.client.meter),
        "warnings": list(run.ledger.warnings),
    }


def run(run: Run, pipeline: dlt.Pipeline, screen: Screen) -> int:
    """Make the plan and show it; return the exit code."""
    with screen.busy("asking the org"):
        if pipeline.default_schema_name is None:
            pipeline.sync_destination()
        facts = plan(run)
    screen.report(facts, plan_shown)
    return exit_codes.DONE


def plan_shown(facts: Mapping[str, Any]) -> RenderableType:
    """Draw the plan: the steps, then each way to fetch each object."""
    from rich.text import Text

    from salesforce_targeted.report.rich_text import api_calls, calls_left, notes, paragraphs, table

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
        Text(f"{api_calls(calls['total'])} made to find out{calls_left(calls)}"),
        table(("-> taken, of the ways there are", "calls", "rows", "MB", "seconds"), ways),
        notes(facts["warnings"]),
    )


def _cursor(run: Run) -> Any:
    """Return where the next run starts to read relations: the stored cursor less the lag."""
    last = run.relation_cursor
    return last - LAG if last is not None else run.settings.since


def _new_relations(run: Run, since: Any) -> int:
    return queries.count(run.client, run.org.junction, since if run.org.filters_by_stamp else None)


def _reading(run: Run, since: Any, expected: int, contacts: int) -> dict[str, int]:
    """Count the calls for the relations, and for discovery where not all of them are read."""
    limits = run.client.limits
    whole = since == run.settings.since or not run.org.filters_by_stamp
    pieces = relation_pages.pieces_of(expected, limits) if whole and since is None else 1
    pages = pieces * ceil(expected / pieces / limits.rows_per_query_page)
    read = max(1, pages) + int(pieces > 1)
    # The first batch of discovery comes with the opening.
    found = 0 if whole or run.fits_one_page else contacts // limits.groups_per_query
    return {"relations": read, "discovery": found}


def _named_tasks(run: Run) -> int:
    junction = run.org.junction
    distinct = soql.aggregate("COUNT_DISTINCT", junction.task, "tasks")
    rows = run.client.records(soql.select([distinct], junction.object_name))
    return int(rows[0]["tasks"]) if rows else 0
