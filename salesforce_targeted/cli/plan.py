"""Look without loading: ``--count`` and ``--plan``."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from salesforce_targeted.api import soql
from salesforce_targeted.destination.held_tables import CONTACTS, RELATIONS, TASKS, USERS
from salesforce_targeted.extract.discovery import discovered
from salesforce_targeted.extract.record_refresh import LAG, choose, plan_of
from salesforce_targeted.extract.run import OBJECTS, Run
from salesforce_targeted.relations import pages as relation_pages
from salesforce_targeted.relations import queries


def count(run: Run) -> dict[str, Any]:
    """Activity statistics of the org: a few calls, nothing loaded."""
    client, junction = run.client, run.junction
    total = run.relation_count()
    active = discovered(run)
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
        "calls": _calls(run),
        "warnings": list(run.ledger.warnings),
    }


def plan(run: Run) -> dict[str, Any]:
    """What the next default run would do and cost, with the options rejected.

    Before a first run the tasks are counted and the users taken for one call's worth; who is
    archived or deleted, and costs a second question, nobody knows before asking.
    """
    shown = discovered(run)
    since = _cursor(run)
    expected = _new_relations(run, since)
    steps = {"opening": 1, **_reading(run, since, expected, len(shown))}
    tables: dict[str, Any] = {}
    for table, named in (
        (CONTACTS, shown.ids),
        (TASKS, run.held_values(RELATIONS, "TaskId")),
        (USERS, run.users_of_held()),
    ):
        chosen = choose(run, table, named)
        columns = run.columns(table)
        ids = len(chosen.ids)
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
        "calls": _calls(run),
        "warnings": list(run.ledger.warnings),
    }


def count_shown(facts: Mapping[str, Any]) -> Any:
    """``--count`` for a terminal."""
    from salesforce_targeted.report.rich_text import notes, paragraphs, table

    share = facts["active_share_pct"]
    of_org = "" if share is None else f"{share:g} % of {facts['contacts_in_org']:,} in the org"
    rows = [
        ("relations", facts["relations"], ""),
        ("  to contacts", facts["relations_to_contacts"], ""),
        ("  to leads", facts["relations_to_leads"], ""),
        ("  to nobody", facts["relations_to_nobody"], ""),
        ("active contacts", facts["active_contacts"], of_org),
        ("API calls", facts["calls"]["total"], _left(facts)),
    ]
    return paragraphs(table(("", "", ""), rows, notes=True), notes(facts))


def plan_shown(facts: Mapping[str, Any]) -> Any:
    """``--plan`` for a terminal: the steps, then each way to fetch each object."""
    from rich.text import Text

    from salesforce_targeted.report.rich_text import api_calls, notes, paragraphs, table

    since = facts["cursor"]
    begin = f"{since:%Y-%m-%d %H:%M:%S}" if since else "the beginning"
    known = [
        ("relations since", begin),
        ("relations expected", facts["relations_expected"]),
        ("contacts discovered", facts["contacts_discovered"]),
    ]
    steps = [*facts["steps"].items(), ("foreseen", facts["predicted_calls"])]
    left = _left(facts)
    ways: list[tuple[Text, ...]] = []
    for name, of in facts["tables"].items():
        how = "all anew" if of["whole"] else "new and modified"
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
        Text(f"{api_calls(facts['calls']['total'])} made to find out; {left}") if left else None,
        table(("-> taken, of the ways there are", "calls", "rows", "MB", "seconds"), ways),
        notes(facts),
    )


def _cursor(run: Run) -> Any:
    """Where the next run starts to read relations: the stored cursor less the lag."""
    resource = run.state.get("resources", {}).get("task_who_relation", {})
    last = resource.get("incremental", {}).get("SystemModstamp", {}).get("last_value")
    return last - LAG if last is not None else run.settings.since


def _new_relations(run: Run, since: Any) -> int:
    return queries.count(run.client, run.junction, since if run.filters_by_stamp else None)


def _reading(run: Run, since: Any, expected: int, contacts: int) -> dict[str, int]:
    """Calls for the relations, and for discovery where not all of them are read."""
    limits = run.client.limits
    whole = since == run.settings.since or not run.filters_by_stamp
    pieces = relation_pages.pieces_of(expected, limits) if whole and since is None else 1
    pages = pieces * ceil(expected / pieces / limits.rows_per_query_page)
    read = max(1, pages) + int(pieces > 1)
    # The first batch of discovery comes with the opening.
    found = 0 if whole or run.fits_one_page else contacts // limits.groups_per_query
    return {"relations": read, "discovery": found}


def _named_tasks(run: Run) -> int:
    junction = run.junction
    distinct = soql.aggregate("COUNT_DISTINCT", junction.task, "tasks")
    rows = run.client.records(soql.select([distinct], junction.object_name))
    return int(rows[0]["tasks"]) if rows else 0


def _calls(run: Run) -> dict[str, Any]:
    return {
        "total": run.client.meter.calls.total,
        "by_kind": dict(sorted(run.client.meter.calls.by_kind.items())),
        "org_remaining": run.client.meter.remaining,
    }


def _left(facts: Mapping[str, Any]) -> str:
    left = facts["calls"]["org_remaining"]
    return "" if left is None else f"{left:,} left in the org's day"
