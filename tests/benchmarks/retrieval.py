"""(b) Contacts out of the org by each Api, loaded nowhere: rows per second, calls, the plan's guess.

The library's own client, planner and conversion in this process, the org in another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.arrow.columns import Columns, columns
from salesforce_targeted.arrow.id_set import id_array
from salesforce_targeted.extract.resource_feed import CALLS_IN_FLIGHT
from salesforce_targeted.retrieval.planner import Plan, cheapest
from salesforce_targeted.retrieval.retrieve import retrieve
from salesforce_targeted.settings import Api
from tests.benchmarks.served_org import Counted, ServedOrg
from tests.benchmarks.timed import interleaved, median
from tests.benchmarks.workbench import Workbench

SIZES = {(600_000, 817): 3, (100_000, 20_000): 3, (600_000, 300_000): 1}
QUICK = {(6_000, 3_000): 1}


@dataclass(frozen=True)
class Fetched:
    """One retrieval."""

    seconds: float
    cpu_seconds: float
    rows: int
    counted: Counted
    plan: Plan
    choice: Api


def run(bench: Workbench) -> None:
    """Every size, every latency, every Api."""
    rows = []
    for (contacts, active), rounds in (QUICK if bench.quick else SIZES).items():
        if active > bench.largest:
            continue
        with bench.org(contacts, active) as org:
            ids = org.ids()
            # The largest one takes minutes for one Api.
            for latency in ("none", "realistic")[active // 300_000 :]:
                rows += _by_api(org, ids, latency, bench.rounds(rounds))
    bench.show(
        "contacts with all fields out of the org, into Arrow",
        ("active of contacts, latency, Api", "s", "plan's s", "rows/s", "× fastest", "calls",
         "plan's calls", "CPU s", "org CPU s"),
        rows,
    )  # fmt: skip
    bench.say("* the planner's choice. bulk: as planned, by lists of ids or all rows.")


def _by_api(org: ServedOrg, ids: list[str], latency: str, rounds: int) -> list[list[object]]:
    by_api = interleaved(rounds, {api.value: _fetch(org, ids, latency, api) for api in Api})
    seconds = {name: median([r.seconds for r in runs]) for name, runs in by_api.items()}
    rows: list[list[object]] = []
    for name, runs in by_api.items():
        run = runs[0]
        mark = " *" if run.choice.value == name else ""
        price = run.plan.price[Api(name)]
        rows.append([
            f"{len(ids):,} of {org.contacts:,}, {latency}, {name}{mark}", seconds[name],
            price.seconds, run.rows / seconds[name], seconds[name] / min(seconds.values()),
            run.counted.calls, price.calls, median([r.cpu_seconds for r in runs]),
            run.counted.cpu_seconds,
        ])  # fmt: skip
    return rows


def _fetch(org: ServedOrg, ids: list[str], latency: str, api: Api) -> Callable[[], Fetched]:
    def fetch() -> Fetched:
        credentials = SessionCredentials(instance_url=org.url, access_token=org.token)
        client = SalesforceClient(credentials, max_in_flight=CALLS_IN_FLIGHT)
        chosen = all_columns(client)
        planned = cheapest("Contact", chosen.fields, len(ids), org.contacts, limits=client.limits)
        plan = replace(planned, api=api, forced=True)
        asked = id_array(ids)
        org.reset(latency)
        begun, cpu_begun = time.perf_counter(), time.process_time()
        rows = sum(answer.batch.table.num_rows for answer in retrieve(client, plan, asked, chosen))
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu_begun
        counted = org.counted()
        client.close()
        return Fetched(seconds, cpu, rows, counted, plan, planned.api)

    return fetch


def all_columns(client: SalesforceClient, object_name: str = "Contact") -> Columns:
    """Return the columns of all fields, as a first run makes them."""
    import dlt

    naming = dlt.Schema("benchmark").naming
    return columns(client.describe(object_name), normalize=naming.normalize_path)
