"""(f) Calls of a large org in which people work, to scale.

An org a hundredth as large, in calls that take a hundredth (rows of a page, ids, groups), takes the
calls of the whole. Seconds and memory are not those of the whole, and are not shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import dlt

from salesforce_targeted import Ledger, salesforce_targeted
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.settings import Scope
from salesforce_targeted.sync.runner import sync
from tests.benchmarks.workbench import Workbench

SCALE = 100
# Active contacts and relations of the whole org.
SIZES = [(300_000, 1_700_000), (600_000, 5_000_000)]
QUICK = [(60_000, 300_000)]
SCALED = replace(
    DOCUMENTED,
    ids_per_collection=DOCUMENTED.ids_per_collection // SCALE,
    ids_per_query=DOCUMENTED.ids_per_query // SCALE,
    rows_per_query_page=DOCUMENTED.rows_per_query_page // SCALE,
    groups_per_query=DOCUMENTED.groups_per_query // SCALE,
    bulk_rows_per_page=DOCUMENTED.bulk_rows_per_page // SCALE,
)
# What people do between two runs, in the whole org.
RELATIONS, EDITS, NEW_CONTACTS, DELETED = 5_000, 2_000, 1_000, 500


Stage = tuple[str, Callable[[], object], Scope]


def run(bench: Workbench) -> None:
    """First run, quiet repeat, repeats while people work, a whole pass; in calls of the org."""
    rows = []
    for active, relations in QUICK if bench.quick else SIZES:
        if active > bench.largest * 2:
            continue
        org = DemoOrg(active // SCALE, active // SCALE, relations // SCALE)
        org.page_rows, org.daily_limit = SCALED.rows_per_query_page, 10**6
        with serve(org) as server, bench.room() as folder:
            pipeline = dlt.pipeline(
                "busy",
                destination=dlt.destinations.duckdb(str(folder / "busy.duckdb")),
                dataset_name="salesforce",
                pipelines_dir=str(folder / "pipelines"),
            )
            session = SessionCredentials(instance_url=server.url, access_token=server.token)
            for name, happens, scope in _stages(org):
                happens()
                figures = _counted(org, pipeline, session, scope)
                rows.append((f"{active:,} of {relations:,}: {name}", *figures))
            pipeline.deactivate()
    bench.show(
        "calls by what happened since the last run (active contacts of relations)",
        ("run", "calls", "waits", "relations written", "contacts written"),
        rows,
    )
    bench.say(
        f"Between two busy runs {RELATIONS:,} new relations, {EDITS:,} edits, {NEW_CONTACTS:,} new"
        f" contacts, {DELETED:,} deleted ones; while a run reads, somebody logs before each call."
    )


def _stages(org: DemoOrg) -> list[Stage]:
    usual, full = Scope(limits=SCALED), Scope(limits=SCALED, full=True)

    def works() -> None:
        active = org.active_ids()
        for number in range(RELATIONS // SCALE):
            org.log_task([active[number * 7 % len(active)]])
        for contact in active[: EDITS // SCALE]:
            org.edit("Contact", contact, LastName="Edited")
        for number in range(NEW_CONTACTS // SCALE):
            org.log_task([org.add_contact(LastName=f"New {number}")])
        for contact in active[-DELETED // SCALE :]:
            org.delete_contact(contact)
        org.advance(3_600)

    def works_on() -> None:
        works()
        org.moves.at_random(1, share=1.0, changes=["log"], most=1)

    def an_hour() -> None:
        org.moves.stop()
        org.advance(3_600)

    return [
        ("first run", lambda: None, usual),
        ("quiet repeat", an_hour, usual),
        ("busy repeat", works, usual),
        ("busy repeat, busy meanwhile", works_on, usual),
        ("repeat after it", an_hour, usual),
        ("--full", an_hour, full),
    ]


def _counted(
    org: DemoOrg, pipeline: dlt.Pipeline, session: SessionCredentials, scope: Scope
) -> tuple[int, int, int, int]:
    ledger = Ledger()
    org.reset_calls()
    outcome = sync(pipeline, salesforce_targeted(session, scope=scope, ledger=ledger), ledger)
    if outcome.error is not None:
        raise outcome.error
    facts = outcome.facts
    relations, contacts = (
        facts[name]["new"] + facts[name]["updated"] for name in ("relations", "contacts")
    )
    return org.billed, org.waits, relations, contacts
