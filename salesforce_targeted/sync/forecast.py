"""Foresee the calls of the next run, by the decisions of the stages that will make them.

What is known when it is made is foreseen exactly. Not known before a run is what becomes of records
that a plain read leaves out for the first time, and which record fails its call.
"""

from __future__ import annotations

from datetime import datetime
from math import ceil
from typing import Any, Literal, TypedDict

from salesforce_targeted.api import soql
from salesforce_targeted.api.errors import SalesforceError, is_of_query
from salesforce_targeted.arrow.id_set import minus, union
from salesforce_targeted.destination.table_names import RELATIONS, TASKS, USERS
from salesforce_targeted.extract.discovery import discover
from salesforce_targeted.extract.findings import Selection
from salesforce_targeted.extract.id_selection import (
    calls_of,
    select_ids,
    tasks_of_held,
    users_of_held,
)
from salesforce_targeted.extract.lessons import retry_calls
from salesforce_targeted.extract.record_refresh import plan_of
from salesforce_targeted.extract.record_table import RecordTable
from salesforce_targeted.extract.relation_selection import comparison_calls, relations_since
from salesforce_targeted.extract.requests_ahead import Ahead, held_ahead, is_shared
from salesforce_targeted.extract.run import LAG, Run
from salesforce_targeted.relations import pages, queries
from salesforce_targeted.retrieval.shared_calls import Wanted, shared
from salesforce_targeted.run_facts import CallFacts, call_facts


class PlanFacts(TypedDict):
    """Report the mode ``plan``.

    Relations are read from ``cursor`` on (None: all). ``steps`` maps a stage to its calls,
    ``tables`` an object to what is asked for and to each way, those not taken, too. ``calls`` are
    those made to find out.
    """

    status: Literal["done"]
    mode: Literal["plan"]
    cursor: datetime | None
    relations_expected: int
    contacts_discovered: int
    steps: dict[str, int]
    predicted_calls: int
    tables: dict[str, dict[str, Any]]
    calls: CallFacts
    warnings: list[str]


def forecast(run: Run) -> PlanFacts:
    """Foresee the next default run, with a few calls of its own.

    Before a first run the tasks are counted, and the users are taken for one call's worth.
    """
    record = run.target.table
    ahead = held_ahead(run, [record, TASKS, USERS, RELATIONS])
    first_run = not run.held.column_hints(RELATIONS)
    active = discover(run)
    cursor = run.held_relations.cursor
    since = relations_since(run, cursor - LAG if cursor else None)
    relations = queries.count(run.client, run.org.junction, since)
    named = {record: active.ids, TASKS: tasks_of_held(run), USERS: users_of_held(run)}
    each = {name: RecordTable(run, name) for name in named}
    selections = {
        name: select_ids(table, named[name])
        for name, table in each.items()
        if table.is_target or run.org.shows(table.object_name)  # a run goes on without
    }
    new = {table: len(chosen.new) for table, chosen in selections.items()}
    if first_run:
        new |= {TASKS: _named_tasks(run), USERS: 1}
    steps = {
        "opening": 1,
        "held": len(ahead.calls),
        "relations": _relation_calls(run, since, relations, ahead) + comparison_calls(run),
        # The first batch comes with the opening; where all relations are read, they are counted.
        "discovery": 0
        if since == run.settings.since or run.fits_one_page
        else len(active) // run.client.limits.groups_per_query,
    }
    step_of = {name: each[name].object_name.lower() for name in selections}
    tables, wanted = {}, {}
    for name, chosen in selections.items():
        table, asked = each[name], sum(map(len, ahead.held.get(name, ())))
        plain = new[name] if asked and ahead.is_all else new[name] + len(chosen.known) - asked
        step = step_of[name]
        steps[step] = plan_of(table, plain).calls if plain else 0
        if name not in ahead.held or not ahead.is_all:
            steps[step] += calls_of(run, 0, len(chosen.left_out))
        ids = new[name] + len(chosen.known) + len(chosen.left_out)
        fields = len(table.columns.items)
        wanted[name] = Wanted(new[name], fields)
        of_ids = {"ids": ids, "whole": chosen.whole, "fields": fields}
        tables[table.object_name] = of_ids | plan_of(table, ids).facts()
    if (first_run or wanted.keys() <= ahead.held.keys()) and is_shared(run, wanted):
        steps |= dict.fromkeys(step_of.values(), 0)
        steps[step_of[record]] = len(shared(run.client.limits, wanted))
    for name, step in step_of.items():
        steps[step] += retry_calls(each[name])
    steps[step_of[record]] += _merge_calls(run, selections[record])
    calls, allowed = sum(steps.values()), run.settings.calls_per_run
    if allowed is not None and calls > allowed:
        run.ledger.warn(
            f"calls_per_run = {allowed:,}: the run stops there with exit code 3, and the next one"
            " goes on"
        )
    return {
        "status": "done",
        "mode": "plan",
        "cursor": since,
        "relations_expected": relations,
        "contacts_discovered": len(active),
        "steps": steps,
        "predicted_calls": calls,
        "tables": tables,
        "calls": call_facts(run.client.meter),
        "warnings": list(run.ledger.warnings),
    }


def _relation_calls(run: Run, since: datetime | None, expected: int, ahead: Ahead) -> int:
    limits = run.client.limits
    whole = since == run.settings.since or not run.org.filters_by_stamp
    pieces = pages.pieces_of(expected, limits) if whole and since is None else 1
    calls = pieces * ceil(max(1, expected) / pieces / run.held_relations.per_page)
    if pieces > 1:
        return calls + 1  # the first and the last id
    foreseen = run.org.junction.object_name in " ".join(request.path for request in ahead.along)
    return calls - int(foreseen)


def _merge_calls(run: Run, chosen: Selection) -> int:
    """Count the calls for winners of merges that no read of ours shows."""
    winners = run.held.id_array(run.target.life_table, run.held.name("merged_into"))
    unknown = minus(winners, union(chosen.new, chosen.known, chosen.left_out))
    fields = ["Id", "MasterRecordId"]
    per_call = soql.ids_that_fit(fields, run.target.object_name, run.client.limits)
    return ceil(len(unknown) / per_call)


def _named_tasks(run: Run) -> int:
    junction = run.org.junction
    distinct = soql.aggregate("COUNT_DISTINCT", junction.task, "tasks")
    where = queries.where(junction, run.floor)
    try:
        rows = run.client.records(soql.select([distinct], junction.object_name, where))
    except SalesforceError as error:
        if not is_of_query(error):
            raise
        return run.relation_count()  # each has a task, and several may have one
    return int(rows[0]["tasks"]) if rows else 0
