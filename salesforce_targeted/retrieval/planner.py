"""Price each API for a set of ids and choose one; share calls: arithmetic on sizes, no I/O.

Rule. The quickest way whose calls the run may still spend is taken; of ways that are about as
quick, the one with the fewest calls, for calls are what the org shares with others. Records of
several tables travel in calls that they share.

Sources: REST API Developer Guide, "Get Multiple Records with sObject Collections" (2,000 ids a
call), "Composite" (25 subrequests in a billed call, 5 of them queries or Collections), "Query" (URI
length); Bulk API 2.0 Developer Guide, "Limits", "Get Results" and "Get Parallel Results".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, inf
from typing import Any

from salesforce_targeted.api import soql
from salesforce_targeted.api.limits import DOCUMENTED, Limits
from salesforce_targeted.settings import Api

# Ids quoted and separated in a statement: '003…',
_SOQL_CHARS_PER_ID = 21
# What a value takes besides its field's name, in JSON and in CSV: measured on demo records.
_JSON_CHARS_PER_VALUE, _CSV_CHARS_PER_VALUE = 12, 9
# Ways that differ by less than this are equally quick.
_SAME_SECONDS = 1.0
# What a row costs here, one after the other: reading JSON; taking it out of a composite first;
# passing over it in a CSV file. Seconds, measured on one slow core with 105 fields.
_READ_JSON, _UNPACK, _SCAN_CSV = 0.000_03, 0.000_06, 0.000_015
_REST = ("query", "query_more", "query_all", "collections")
# Records of a hundred fields in one composite call: as many as a Collections call brings. The parts
# of a composite are worked on one after the other: more of them would be waited for alone.
ROWS_TOGETHER = 2_000
_USUAL_FIELDS = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """Hold how many records are asked for of one table, and how many fields of each."""

    ids: int
    fields: int


@dataclass(frozen=True, slots=True)
class Price:
    """Hold what one Api would cost: billed calls, rows and bytes that Salesforce sends, seconds."""

    calls: int
    rows: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Hold how long things take at the org, in seconds; the defaults are a modest org's.

    Attributes:
        per_call: From sending a request to the first byte of its response.
        per_wide_row: A record with a hundred fields, by REST.
        bulk_job: What any Bulk job takes, however few its rows.
        per_bulk_row: A row until its job is complete, and again until it has arrived.
        calls_in_flight: How many calls are on the way at once.

    Source: salesforcer's published microbenchmarks of REST and Bulk 2.0 (a query 0.55 s, a Bulk
    job of a few hundred rows 6.7 s with its polls).
    """

    per_call: float = 0.15
    per_wide_row: float = 0.0006
    bulk_job: float = 4.0
    per_bulk_row: float = 0.000_05
    calls_in_flight: int = 8

    def measured(self, timings: Mapping[str, tuple[int, float, int]]) -> Latency:
        """Return the model with REST as quick as a client has found it.

        Args:
            timings: Kind of call to (calls, seconds, rows), as the client keeps them.

        One call of the model's own speed counts with those that were measured, so that a first
        lucky call does not decide. Calls of few rows say little of rows, however slow they were.
        """
        rest_timings = [timings[kind] for kind in _REST if kind in timings]
        calls = 1 + sum(calls for calls, _, _ in rest_timings)
        seconds = self.per_call + sum(seconds for _, seconds, _ in rest_timings)
        rows = sum(rows for _, _, rows in rest_timings)
        expected = calls * self.per_call + rows * self.per_wide_row
        pace = seconds / expected
        share = rows * self.per_wide_row / expected if pace > 1 else 1
        per_wide_row = self.per_wide_row * (1 + (pace - 1) * share)
        per_call = (seconds - rows * per_wide_row) / calls
        return replace(self, per_call=per_call, per_wide_row=per_wide_row)


@dataclass(frozen=True, slots=True)
class Plan:
    """Hold the chosen Api, and what each would have cost.

    Attributes:
        price: Api to its price; Bulk's is the better of its two ways.
        bulk_by_ids: Whether Bulk asks for lists of ids, instead of reading the whole object.
        job_seconds: How long one Bulk job will probably take until it is complete.
        other_bulk: What Bulk's other way would cost; None where the object's size is unknown.
    """

    api: Api
    price: dict[Api, Price]
    bulk_by_ids: bool = False
    forced: bool = False
    job_seconds: float = 0.0
    other_bulk: Price | None = None

    @property
    def calls(self) -> int:
        """Count the billed calls that the chosen way needs."""
        return self.price[self.api].calls

    def facts(self) -> dict[str, Any]:
        """Return the plan as plain values, for a report."""
        prices = {api.value: price for api, price in self.price.items()}
        other = "bulk (whole object)" if self.bulk_by_ids else "bulk (by ids)"
        if self.other_bulk is not None:
            prices[other] = self.other_bulk
        return {
            "api": self.api.value,
            "forced": self.forced,
            "price": {
                name: {**asdict(price), "seconds": round(price.seconds, 3)}
                for name, price in prices.items()
            },
        }


def ids_per_bulk_job(fields: Sequence[str], limits: Limits = DOCUMENTED) -> int:
    """Count the ids that one Bulk job's statement takes; at least one."""
    frame = 100 + sum(len(name) + 2 for name in fields)
    return max(1, (limits.soql_chars - frame) // _SOQL_CHARS_PER_ID)


def cheapest(
    object_name: str,
    fields: Sequence[str],
    ids: int,
    in_org: int = 0,
    *,
    limits: Limits = DOCUMENTED,
    latency: Latency | None = None,
    budget: int | None = None,
    force: Api | None = None,
    exclude: Collection[Api] = (),
) -> Plan:
    """Price each API for so many ids; take the quickest that the budget allows.

    Args:
        ids: How many records are wanted.
        in_org: How many records the object has; 0 where that is not known, and then a scan of the
            whole object can't be priced and is no option.
        budget: Calls that may be spent. Where no way fits, the one with the fewest calls is taken.
        force: Take this one, whatever it costs.
        exclude: Not these, which have failed lately.
    """
    latency = latency or Latency()
    size, per_query = limits.ids_per_collection, soql.ids_that_fit(fields, object_name, limits)
    per_job = ids_per_bulk_job(fields, limits)
    by_ids = _bulk(ids, per_job, fields, limits, latency)
    scanned = max(in_org, ids)
    scan = _bulk(scanned, max(scanned, 1), fields, limits, latency) if in_org else None
    bulk_by_ids = scan is None or by_ids.seconds <= scan.seconds
    price = {
        Api.COLLECTIONS: _rest(ids, size, 1, fields, latency),
        Api.COMPOSITE: _rest(ids, size, limits.composite_queries, fields, latency),
        Api.QUERY: _rest(ids, per_query, 1, fields, latency),
        Api.BULK: by_ids if scan is None or bulk_by_ids else scan,
    }
    left = {api: cost for api, cost in price.items() if api not in exclude}
    return Plan(
        force or _quickest(left or price, budget),
        price,
        bulk_by_ids,
        forced=force is not None,
        job_seconds=_job_seconds(min(ids, per_job) if bulk_by_ids else scanned, latency),
        other_bulk=scan if bulk_by_ids else by_ids,
    )


def shared(limits: Limits, wanted: Mapping[str, Wanted]) -> list[list[tuple[str, slice]]]:
    """Cut what is wanted into as few calls as can bring it, about as long as one another.

    Returns:
        Of each call its parts: a table, and which of the ids that are wanted of it.
    """
    weights = dict[str, float]()
    for table, want in wanted.items():
        # A batch of very wide records is a call, not several.
        most = ROWS_TOGETHER / max(1, min(want.ids, limits.ids_per_collection))
        weights[table] = min(max(1.0, want.fields / _USUAL_FIELDS), most)
    whole = sum(want.ids * weights[table] for table, want in wanted.items())
    share = room = whole / max(1, ceil(whole / ROWS_TOGETHER))
    calls: list[list[tuple[str, slice]]] = []
    for table, want in wanted.items():
        start = 0
        while start < want.ids:
            if not calls or room < weights[table] / 2 or len(calls[-1]) == limits.composite_queries:
                calls.append([])
                room = share
            end = start + min(limits.ids_per_collection, ceil(room / weights[table]))
            end = min(end, want.ids)
            calls[-1].append((table, slice(start, end)))
            room -= (end - start) * weights[table]
            start = end
    return calls


def _quickest(price: Mapping[Api, Price], budget: int | None) -> Api:
    fewest = min(cost.calls for cost in price.values())
    most = inf if budget is None else max(budget, fewest)
    within = {api: cost for api, cost in price.items() if cost.calls <= most}
    enough = min(cost.seconds for cost in within.values()) + _SAME_SECONDS
    return min(
        (api for api, cost in within.items() if cost.seconds <= enough),
        key=lambda api: (within[api].calls, within[api].seconds, list(Api).index(api)),
    )


def _rest(
    ids: int, per_part: int, parts_per_call: int, fields: Sequence[str], latency: Latency
) -> Price:
    """Price REST: parts of a call are served one after the other, several calls at once."""
    calls = ceil(ids / (per_part * parts_per_call))
    at_once = max(1, min(calls, latency.calls_in_flight))
    rounds = ceil(calls / at_once)
    seconds = rounds * latency.per_call + ids * latency.per_wide_row / at_once
    seconds += ids * (_READ_JSON + (_UNPACK if parts_per_call > 1 else 0))
    chars = sum(_JSON_CHARS_PER_VALUE + len(name) for name in fields)
    return Price(calls, ids, ids * chars, seconds)


def _bulk(
    rows: int, rows_per_job: int, fields: Sequence[str], limits: Limits, latency: Latency
) -> Price:
    """Price jobs that are made, asked about once they should be complete, and read by pages."""
    calls, seconds = 0, 0.0
    full, rest = divmod(rows, rows_per_job)
    for jobs, of_job in ((full, rows_per_job), (1 if rest else 0, rest)):
        pages = max(1, ceil(of_job / limits.bulk_rows_per_page))
        # More than one are read side by side, and five at a time are named by a call of its own.
        named = ceil(pages / limits.bulk_result_pages) if pages > 1 else 0
        calls += jobs * (2 + named + pages)
        arrival = of_job * latency.per_bulk_row / max(1, min(pages, latency.calls_in_flight))
        here = of_job * _SCAN_CSV
        seconds += jobs * (_job_seconds(of_job, latency) + 2 * latency.per_call + arrival + here)
    return Price(calls, rows, rows * len(fields) * _CSV_CHARS_PER_VALUE, seconds)


def _job_seconds(rows: int, latency: Latency) -> float:
    return latency.bulk_job + rows * latency.per_bulk_row
