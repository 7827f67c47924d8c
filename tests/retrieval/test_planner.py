"""Planning is arithmetic on sizes, so its test is a table; test_prices.py has the prices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from salesforce_targeted.api import soql
from salesforce_targeted.api.limits import DOCUMENTED, TINY, Limits
from salesforce_targeted.demo_org.ids import Numbering
from salesforce_targeted.retrieval.planner import Latency, Plan, cheapest, ids_per_bulk_job
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

MANY = 100_000  # collections: 50 calls; composite: 10; Bulk by ids: 66


# --- Bulk by ids, or over the whole object


@pytest.mark.parametrize(
    ("ids", "in_org", "by_ids"),
    [
        (BULK_IDS, 1_000, True),  # one job either way: the one that moves fewer rows
        (BULK_IDS + 1, 1_000, False),  # two jobs against one
        (BULK_IDS + 1, 0, True),  # not known how long a scan takes: it is no option
        (10 * BULK_IDS, 0, True),
    ],
)
def test_bulk_reads_by_ids_or_all(ids: int, in_org: int, by_ids: bool) -> None:
    """Lists of ids, or the whole object where that is known to be quicker; the other one is told."""
    plan = tiny(ids, in_org)

    assert by_ids == plan.bulk_by_ids
    assert (ids if by_ids else in_org) == plan.price[Api.BULK].rows
    if in_org:
        assert plan.other_bulk is not None
        assert (in_org if by_ids else ids) == plan.other_bulk.rows
    else:
        assert plan.other_bulk is None


def test_a_scan_is_priced_by_the_rows_of_the_org() -> None:
    """A large org makes a scan dear, a small one cheap: seconds follow the rows that move."""
    latency = replace(PLAIN, per_call=1, bulk_job=2, per_bulk_row=1)
    small, large = tiny(91, 92, latency), tiny(91, 94, latency)

    assert (False, 2 + 23 + 12, 92, 92 * CSV_BYTES) == bulk_of(small)
    assert pytest.approx(2 + 2 + 92 * 2, abs=HERE) == small.price[Api.BULK].seconds
    assert (True, 2 + 23 + 12 + 3, 91, 91 * CSV_BYTES) == bulk_of(large)
    assert pytest.approx(2 * (2 + 2) + 91 * 2, abs=HERE) == large.price[Api.BULK].seconds


def bulk_of(plan: Plan) -> tuple[bool, int, int, int]:
    """Return whether Bulk would ask by ids; its calls, rows and bytes."""
    price = plan.price[Api.BULK]
    return plan.bulk_by_ids, price.calls, price.rows, price.bytes


def test_an_org_smaller_than_the_ids_held_is_priced_by_the_ids() -> None:
    """Contacts were deleted since: a scan never moves fewer rows than are wanted of it."""
    assert 91 == tiny(91, 3).price[Api.BULK].rows


# --- the choice


@pytest.mark.parametrize(
    ("ids", "in_org", "expected"),
    [
        (0, 0, Api.COLLECTIONS),  # nothing to ask: nothing is dearer than nothing
        (1, 0, Api.COLLECTIONS),  # one call by three ways: the tie goes to the first
        (3, 0, Api.COLLECTIONS),
        (4, 0, Api.COMPOSITE),  # one call against two
        (24, 0, Api.COMPOSITE),  # as long as a job, with fewer calls
        (25, 0, Api.BULK),  # five composites take longer than a job
        (24, 40, Api.COMPOSITE),
        (25, 40, Api.BULK),
    ],
)
def test_the_quickest_api_wins(ids: int, in_org: int, expected: Api) -> None:
    """One row per boundary of TINY."""
    assert expected is tiny(ids, in_org).api


def test_a_query_wins_where_it_takes_more_ids() -> None:
    """Were Collections as small as one id, a query would be the quicker."""
    limits = replace(TINY, ids_per_collection=1, composite_queries=1)

    assert Api.QUERY is cheapest("Contact", FIELDS, 2, limits=limits, latency=PLAIN).api


@pytest.mark.parametrize(
    ("per_call", "per_row", "expected"),
    [
        (0, 0.25, Api.COMPOSITE),  # 0.75 s against 1.5 s: not worth the wait
        (0, 0.33, Api.COMPOSITE),  # 0.99 s against 1.98 s
        (0, 0.34, Api.COLLECTIONS),  # 1.02 s against 2.04 s
        (90, 0.33, Api.COMPOSITE),
        (90, 0.34, Api.COLLECTIONS),  # however long it takes in all
    ],
)
def test_of_ways_that_are_equally_quick_the_one_with_fewest_calls(
    per_call: float, per_row: float, expected: Api
) -> None:
    """Two collections side by side, or one composite: a second is worth no call."""
    latency = Latency(per_call, per_row, bulk_job=1_000, calls_in_flight=2)
    plan = tiny(6, latency=latency)

    assert (2, 1) == (plan.price[Api.COLLECTIONS].calls, plan.price[Api.COMPOSITE].calls)
    assert expected is plan.api


@pytest.mark.parametrize(
    ("ids", "in_org", "budget", "expected"),
    [
        (MANY, 0, None, Api.COLLECTIONS),  # the quickest
        (MANY, 0, 50, Api.COLLECTIONS),  # … whose calls may still be spent
        (MANY, 0, 49, Api.COMPOSITE),
        (MANY, 0, 10, Api.COMPOSITE),
        (MANY, 0, 9, Api.COMPOSITE),  # no way fits: the fewest calls
        (MANY, 0, 0, Api.COMPOSITE),
        (600_000, 600_000, 60, Api.BULK),
        (600_000, 600_000, 59, Api.BULK),  # collections take 300, composite 60
        (600_000, 600_000, 38, Api.BULK),
        (600_000, 600_000, 37, Api.BULK),  # no way fits: the fewest calls
        (10_000, 10_000, 1, Api.COMPOSITE),
        (10_000, 10_000, 5, Api.COLLECTIONS),
        (0, 0, 0, Api.COLLECTIONS),  # nothing to ask fits every budget
    ],
)
def test_a_budget_is_kept_to(ids: int, in_org: int, budget: int | None, expected: Api) -> None:
    """Scarce calls are spent on the ways that take few of them, however long those last."""
    plan = cheapest("Contact", WIDE, ids, in_org, budget=budget)

    assert expected is plan.api
    assert not plan.forced
    if any(budget is None or cost.calls <= budget for cost in plan.price.values()):
        assert budget is None or plan.calls <= budget
    else:
        assert min(cost.calls for cost in plan.price.values()) == plan.calls


@pytest.mark.parametrize("budget", [None, 0, 3])
@pytest.mark.parametrize("force", Api)
def test_a_forced_api_is_taken(force: Api, budget: int | None) -> None:
    """Whatever it costs; the prices of the others are told all the same."""
    plan = tiny(7, force=force, budget=budget)

    assert (force, True) == (plan.api, plan.forced)
    assert plan.price[force].calls == plan.calls
    assert set(Api) == set(plan.price)


@pytest.mark.parametrize(
    ("ids", "in_org", "expected"),
    [
        (817, 0, Api.COLLECTIONS),
        (817, 600_000, Api.COLLECTIONS),
        (2_001, 600_000, Api.COLLECTIONS),
        (10_000, 0, Api.COLLECTIONS),  # an unknown org is never scanned for 10,000 of its contacts
        (10_000, 600_000, Api.COLLECTIONS),
        (10_000, 12_000, Api.COLLECTIONS),
        (100_000, 120_000, Api.COLLECTIONS),
        (600_000, 600_000, Api.BULK),
    ],
)
def test_real_sizes(ids: int, in_org: int, expected: Api) -> None:
    """What a modest org's default run does."""
    assert expected is cheapest("Contact", WIDE, ids, in_org).api


# --- what a client has found


def test_nothing_measured_changes_nothing() -> None:
    """Before the first call the model is what there is; what sign-in took says nothing of queries."""
    latency = Latency()

    assert latency == latency.measured({})
    assert latency == latency.measured({"describe": (3, 90.0, 0), "bulk_poll": (9, 100.0, 0)})


@pytest.mark.parametrize(
    ("timings", "per_call", "per_row"),
    [
        ({"query": (9, 0.9, 0)}, 1.0, 1.0),  # as the model says
        ({"query": (9, 9.9, 0)}, 10.0, 1.0),  # slow calls without rows say nothing of rows
        ({"query": (9, 0.0, 0)}, 0.1, 0.1),
        ({"query": (4, 1.0, 0), "collections": (5, 0.9, 0)}, 2.0, 1.0),
        ({"query": (4, 0.4, 500)}, 0.5, 0.5),  # rows take their share: 0.5 s of 0.9 s expected
        ({"query": (4, 1.9, 500)}, 2.5, 1.5),  # twice as long: of half the seconds rows are half
        ({"query_more": (4, 0.9, 0), "query_all": (5, 1.0, 0)}, 2.0, 1.0),
        ({"query": (1, 0.3, 0)}, 2.0, 1.0),  # one slow call of its own would be three times as long
    ],
)
def test_rest_is_as_quick_as_it_was_found(
    timings: dict[str, tuple[int, float, int]], per_call: float, per_row: float
) -> None:
    """By the time of all calls so far and one of the model's; Bulk stays as it is."""
    latency = Latency(per_call=0.1, per_wide_row=0.001, bulk_job=7, per_bulk_row=0.5)
    model = latency.measured(timings)

    assert pytest.approx((0.1 * per_call, 0.001 * per_row)) == (model.per_call, model.per_wide_row)
    assert (7, 0.5, 8) == (model.bulk_job, model.per_bulk_row, model.calls_in_flight)


def test_an_org_that_is_slow_to_respond_is_sent_few_calls() -> None:
    """At three seconds a call, whatever its rows, fifteen queries took longer than five calls."""
    slow = Latency().measured({"query": (3, 9.0, 3)})

    assert Api.COLLECTIONS is cheapest("Contact", WIDE[:20], 7_400, latency=slow).api


# --- Bulk's statements, and the plan told


@pytest.mark.parametrize("limits", [DOCUMENTED, TINY], ids=["documented", "tiny"])
@pytest.mark.parametrize("fields", [FIELDS, WIDE[:20]], ids=["narrow", "wide"])
def test_a_bulk_statement_with_that_many_ids_fits(limits: Limits, fields: list[str]) -> None:
    """The statement of a full job is never longer than Salesforce takes, and nearly as long."""
    number = ids_per_bulk_job(fields, limits)
    ids = [Numbering("003").id_of(n) for n in range(number)]
    statement = soql.select(fields, "TaskWhoRelation", soql.id_in(ids))

    assert limits.soql_chars - 200 < len(statement) <= limits.soql_chars


def test_a_job_takes_one_id_at_least() -> None:
    """Fields that fill the statement by themselves don't make a plan of no jobs."""
    assert 1 == ids_per_bulk_job(WIDE, TINY)


def test_a_plan_as_plain_values() -> None:
    """What ``--plan`` and the report print: the size of the object is unknown."""
    rest = {"rows": 3, "bytes": 3 * JSON_BYTES}

    assert {
        "api": "collections",
        "forced": False,
        "price": {
            "collections": {"calls": 1, "seconds": 10, **rest},
            "composite": {"calls": 1, "seconds": 10, **rest},
            "query": {"calls": 2, "seconds": 20, **rest},
            "bulk": {"calls": 3, "rows": 3, "bytes": 3 * CSV_BYTES, "seconds": 40},
        },
    } == tiny(3).facts()


@pytest.mark.parametrize(
    ("ids", "by_ids", "other"),
    [(3, True, "bulk (whole object)"), (BULK_IDS + 1, False, "bulk (by ids)")],
)
def test_both_ways_of_bulk_are_told(ids: int, by_ids: bool, other: str) -> None:
    """The one that would be taken, and the other under a name that says which it is."""
    plan = tiny(ids, 1_000)
    price = plan.facts()["price"]

    assert by_ids is plan.bulk_by_ids
    assert {"collections", "composite", "query", "bulk", other} == set(price)
    assert {ids, 1_000} == {price["bulk"]["rows"], price[other]["rows"]}
    assert (ids if by_ids else 1_000) == price["bulk"]["rows"]
