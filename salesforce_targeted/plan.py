"""Price each API for a set of ids and choose one: arithmetic on sizes, no I/O.

Sources: REST API Developer Guide, "Get Multiple Records with sObject Collections" (2,000 ids a
call); "Query" (URI length); Bulk API 2.0 Developer Guide, "Limits" and "Get Results".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil
from typing import Any

from salesforce_targeted.api import soql
from salesforce_targeted.api.limits import DOCUMENTED, Limits

# Ids quoted and separated in a statement: '003…',
_SOQL_CHARS_PER_ID = 21


class Api(Enum):
    """A way to retrieve records whose ids are known."""

    COLLECTIONS = "collections"
    QUERY = "query"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Price:
    """What one way would cost: billed calls, rows that Salesforce moves, seconds."""

    calls: int
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Latency:
    """How long things take at the org, in seconds; the defaults are a modest org's.

    Source: salesforcer's published microbenchmarks of REST and Bulk 2.0 (a query 0.55 s, a Bulk
    job of a few hundred rows 6.7 s with its polls).
    """

    per_call: float = 0.15
    per_wide_row: float = 0.0008
    bulk_job: float = 4.0
    per_bulk_row: float = 0.0001
    calls_in_flight: int = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """The chosen Api, and what each would have cost."""

    api: Api
    price: dict[Api, Price]
    bulk_by_ids: bool = False
    forced: bool = False

    @property
    def calls(self) -> int:
        """Billed calls that the chosen way needs."""
        return self.price[self.api].calls

    def facts(self) -> dict[str, Any]:
        """The plan as plain values, for a report."""
        return {
            "api": self.api.value,
            "forced": self.forced,
            "price": {
                api.value: {"calls": price.calls, "rows": price.rows, "seconds": price.seconds}
                for api, price in self.price.items()
            },
        }


def ids_per_bulk_job(fields: Sequence[str], limits: Limits = DOCUMENTED) -> int:
    """How many ids one Bulk job's statement takes; at least one."""
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
    force: Api | None = None,
) -> Plan:
    """Price each API for so many ids; take the quickest, the earliest in :class:`Api` on a tie.

    Args:
        ids: How many records are wanted.
        in_org: How many records the object has; 0 where that is not known, and then a scan of the
            whole object can't be priced and is no option.
        force: Take this one, whatever it costs.
    """
    latency = latency or Latency()
    collections_calls = ceil(ids / limits.ids_per_collection)
    query_calls = ceil(ids / soql.ids_that_fit(fields, object_name, limits))
    by_ids = _bulk(ids, ids_per_bulk_job(fields, limits), limits, latency)
    rows = max(in_org, ids)
    scan = _bulk(rows, max(rows, 1), limits, latency)
    bulk_by_ids = not in_org or by_ids.seconds <= scan.seconds
    price = {
        Api.COLLECTIONS: _rest(ids, collections_calls, latency),
        Api.QUERY: _rest(ids, query_calls, latency),
        Api.BULK: by_ids if bulk_by_ids else scan,
    }
    best = min(price, key=lambda api: (price[api].seconds, list(Api).index(api)))
    return Plan(force or best, price, bulk_by_ids, forced=force is not None)


def _rest(rows: int, calls: int, latency: Latency) -> Price:
    waiting = ceil(calls / latency.calls_in_flight) * latency.per_call
    return Price(calls, rows, round(waiting + rows * latency.per_wide_row, 3))


def _bulk(rows: int, rows_per_job: int, limits: Limits, latency: Latency) -> Price:
    jobs, rest = divmod(rows, rows_per_job)
    pages = jobs * ceil(rows_per_job / limits.bulk_rows_per_page)
    if rest:
        jobs, pages = jobs + 1, pages + ceil(rest / limits.bulk_rows_per_page)
    # A job is made, asked after about twice, and read by pages.
    seconds = jobs * latency.bulk_job + rows * latency.per_bulk_row
    return Price(jobs * 3 + pages, rows, round(seconds, 3))
