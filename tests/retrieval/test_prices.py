"""What each way to fetch costs: calls, rows, bytes and seconds.

Prices are arithmetic on sizes, so their test is a table.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from salesforce_targeted.api import soql
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.retrieval.planner import Latency, cheapest
from salesforce_targeted.settings import Api
from tests.support.planner_inputs import (
    BULK_IDS,
    CSV_BYTES,
    FIELDS,
    HERE,
    JSON_BYTES,
    PLAIN,
    WIDE,
    tiny,
)

PAGE = DOCUMENTED.bulk_rows_per_page


# --- calls, rows and bytes


@pytest.mark.parametrize(
    ("ids", "collections", "composite", "query", "bulk"),
    [
        (0, 0, 0, 0, 0),
        (1, 1, 1, 1, 3),  # a job, a question about it, a page
        (2, 1, 1, 1, 3),
        (3, 1, 1, 2, 3),  # a collection takes three ids
        (4, 2, 1, 2, 3),  # … a composite two collections; four rows fill a page of Bulk
        (5, 2, 1, 3, 2 + 2 + 1),  # pages are named from two on, two of them a call
        (6, 2, 1, 3, 2 + 2 + 1),
        (7, 3, 2, 4, 2 + 2 + 1),
        (8, 3, 2, 4, 2 + 2 + 1),
        (9, 3, 2, 5, 2 + 3 + 2),
        (BULK_IDS, 30, 15, 45, 2 + 23 + 12),
        (BULK_IDS + 1, 30, 15, 45, 2 + 23 + 12 + 3),  # another job, and its own page
        (2 * BULK_IDS, 60, 30, 89, 2 * (2 + 23 + 12)),
    ],
)
def test_the_price_in_calls(
    ids: int, collections: int, composite: int, query: int, bulk: int
) -> None:
    """Calls of each way, at each boundary of TINY."""
    price = tiny(ids).price

    assert {
        Api.COLLECTIONS: collections, Api.COMPOSITE: composite, Api.QUERY: query, Api.BULK: bulk
    } == {api: cost.calls for api, cost in price.items()}  # fmt: skip
    assert {ids} == {cost.rows for cost in price.values()}


@pytest.mark.parametrize(
    ("ids", "collections", "composite", "bulk"),
    [
        (0, 0, 0, 0),
        (1, 1, 1, 3),
        (2_000, 1, 1, 3),
        (2_001, 2, 1, 3),
        (10_000, 5, 1, 3 * 3),  # three lists of up to 4,756 ids
        (10_001, 6, 2, 3 * 3),
        (600_000, 300, 60, 127 * 3),
    ],
)
def test_the_price_in_calls_as_documented(
    ids: int, collections: int, composite: int, bulk: int
) -> None:
    """2,000 ids a collection, five collections a composite, 100,000 characters a statement."""
    price = cheapest("Contact", FIELDS, ids).price
    per_query = soql.ids_that_fit(FIELDS, "Contact")

    assert (collections, composite, -(-ids // per_query), bulk) == (
        price[Api.COLLECTIONS].calls,
        price[Api.COMPOSITE].calls,
        price[Api.QUERY].calls,
        price[Api.BULK].calls,
    )
    assert 500 < per_query < 655


@pytest.mark.parametrize(
    ("rows", "calls"),
    [
        (1, 2 + 1),
        (PAGE, 2 + 1),
        (PAGE + 1, 2 + 2 + 1),
        (5 * PAGE, 2 + 5 + 1),
        (5 * PAGE + 1, 2 + 6 + 2),
        (10 * PAGE + 1, 2 + 11 + 3),
        (600_000, 2 + 30 + 6),
    ],
)
def test_the_calls_of_a_scan(rows: int, calls: int) -> None:
    """A job, one question, the pages; more than one are named by calls of their own, five a call."""
    plan = cheapest("Contact", FIELDS, 1, rows)
    scan = plan.other_bulk if plan.bulk_by_ids else plan.price[Api.BULK]

    assert scan is not None
    assert (calls, rows) == (scan.calls, scan.rows)


def test_the_price_in_bytes() -> None:
    """JSON says a field's name with every value, CSV once for all."""
    price = tiny(7).price

    assert [7 * JSON_BYTES] * 3 + [7 * CSV_BYTES] == [price[api].bytes for api in Api]


def test_the_price_of_the_seed() -> None:
    """817 contacts are one call."""
    price = cheapest("Contact", WIDE, 817).price
    chars = sum(map(len, WIDE)) + 105 * 12

    cost = price[Api.COLLECTIONS]

    assert (1, 817, 817 * chars) == (cost.calls, cost.rows, cost.bytes)
    assert 0.15 + 817 * 0.0006 < cost.seconds < 0.7
    assert 1 == price[Api.COLLECTIONS].calls == price[Api.COMPOSITE].calls < price[Api.QUERY].calls


# --- seconds


@pytest.mark.parametrize(
    ("ids", "collections", "composite", "query", "bulk"),
    [
        (0, 0, 0, 0, 0),
        (1, 10, 10, 10, 40),
        (3, 10, 10, 20, 40),
        (7, 30, 20, 40, 40),
        (BULK_IDS + 1, 300, 150, 450, 80),
    ],
)
def test_the_price_in_seconds(
    ids: int, collections: int, composite: int, query: int, bulk: int
) -> None:
    """One call after the other, and one job after the other."""
    price = tiny(ids).price

    assert pytest.approx([collections, composite, query, bulk], abs=HERE) == [
        price[api].seconds for api in Api
    ]


@pytest.mark.parametrize(("ids", "rounds"), [(3, 1), (12, 1), (13, 2), (24, 2), (25, 3)])
def test_calls_in_flight_share_their_waiting(ids: int, rounds: int) -> None:
    """Four calls at once take as long as one."""
    price = tiny(ids, latency=replace(PLAIN, calls_in_flight=4)).price

    assert pytest.approx(rounds * 10, abs=HERE) == price[Api.COLLECTIONS].seconds


@pytest.mark.parametrize(("ids", "seconds"), [(3, 3), (6, 3), (12, 3), (24, 6)])
def test_calls_in_flight_share_their_rows(ids: int, seconds: float) -> None:
    """Rows arrive side by side, those of a single call one after the other."""
    latency = replace(PLAIN, per_call=0, per_wide_row=1, calls_in_flight=4)

    assert pytest.approx(seconds, abs=HERE) == (
        tiny(ids, latency=latency).price[Api.COLLECTIONS].seconds
    )


def test_the_parts_of_a_composite_are_answered_one_after_the_other() -> None:
    """Fewer calls, and no quicker: six rows in one call are six rows."""
    latency = replace(PLAIN, per_call=0, per_wide_row=1, calls_in_flight=4)

    assert pytest.approx(6, abs=HERE) == tiny(6, latency=latency).price[Api.COMPOSITE].seconds


def test_rows_cost_time_here_too() -> None:
    """To be taken out of a composite most, to be read from CSV least; whatever the org does."""
    nothing = Latency(0, 0, 0, 0)
    price = tiny(1_000, latency=nothing).price
    composite, collections, query, bulk = (
        price[api].seconds for api in (Api.COMPOSITE, Api.COLLECTIONS, Api.QUERY, Api.BULK)
    )

    assert 0 < bulk < collections == query < composite
    assert pytest.approx(2 * composite) == tiny(2_000, latency=nothing).price[Api.COMPOSITE].seconds


@pytest.mark.parametrize(
    ("ids", "arrival"), [(4, 4), (5, 2.5), (8, 4), (9, 3), (12, 4), (16, 5 + 1 / 3)]
)
def test_result_pages_arrive_side_by_side(ids: int, arrival: float) -> None:
    """As many as there are pages, or calls in flight; the job itself is one."""
    latency = Latency(per_call=0, per_wide_row=0, bulk_job=0, per_bulk_row=1, calls_in_flight=3)

    assert (
        pytest.approx(ids + arrival, abs=HERE) == tiny(ids, latency=latency).price[Api.BULK].seconds
    )


@pytest.mark.parametrize(
    ("ids", "in_org", "rows"),
    [(1, 0, 1), (BULK_IDS, 0, BULK_IDS), (BULK_IDS + 1, 0, BULK_IDS), (BULK_IDS + 1, 99, 99)],
)
def test_how_long_a_job_takes(ids: int, in_org: int, rows: int) -> None:
    """One job of the plan, not all of them: it is not asked about before."""
    latency = replace(PLAIN, per_bulk_row=0.125)

    assert 20 + rows / 8 == tiny(ids, in_org, latency).job_seconds
