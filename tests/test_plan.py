"""Planning is arithmetic on sizes, so its test is a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from salesforce_targeted.api import soql
from salesforce_targeted.api.limits import DOCUMENTED, TINY, Limits
from salesforce_targeted.demo_org.ids import Numbering
from salesforce_targeted.plan import Api, Latency, Plan, cheapest, ids_per_bulk_job

FIELDS = ["Id", "LastName"]
WIDE = [f"A_Field_With_A_Long_Name_{n}__c" for n in range(105)]
# A call takes ten seconds, a Bulk job twenty and two calls' time, and rows next to nothing: seconds
# count calls, and no two ways are equally quick unless they take as many.
PLAIN = Latency(per_call=10, per_wide_row=0, bulk_job=20, per_bulk_row=0, calls_in_flight=1)
BULK_IDS = 89  # of FIELDS, in a statement of TINY's 2,000 characters
HERE = 0.02  # seconds that the rows of these tests cost on this side of the wire, at most
JSON_BYTES, CSV_BYTES = 2 + 8 + 2 * 12, 2 * 9  # of a record with FIELDS


def tiny(ids: int, in_org: int = 0, latency: Latency = PLAIN, **how: int | Api | None) -> Plan:
    """A plan for so many ids with the limits of tests."""
    return cheapest("Contact", FIELDS, ids, in_org, limits=TINY, latency=latency, **how)  # type: ignore[arg-type]


# --- calls and rows


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
    } == {api: one.calls for api, one in price.items()}  # fmt: skip
    assert {ids} == {one.rows for one in price.values()}


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


PAGE = DOCUMENTED.bulk_rows_per_page


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
    found = cheapest("Contact", FIELDS, 1, rows)
    scan = found.other_bulk if found.bulk_by_ids else found.price[Api.BULK]

    assert scan is not None
    assert (calls, rows) == (scan.calls, scan.rows)


def test_the_price_in_bytes() -> None:
    """JSON says a field's name with every value, CSV once for all."""
    price = tiny(7).price

    assert [7 * JSON_BYTES] * 3 + [7 * CSV_BYTES] == [price[api].bytes for api in Api]


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


# --- Bulk by ids, or over the whole object


@pytest.mark.parametrize(
    ("ids", "in_org", "by_ids"),
    [
        (BULK_IDS, 1_000, True),  # one job either way: the one that moves fewer rows
        (BULK_IDS + 1, 1_000, False),  # two jobs against one
        (BULK_IDS + 1, 0, True),  # nobody knows how long a scan takes: it is no option
        (10 * BULK_IDS, 0, True),
    ],
)
def test_bulk_reads_by_ids_or_all(ids: int, in_org: int, by_ids: bool) -> None:
    """Lists of ids, or the whole object where that is known to be quicker; the other one is told."""
    found = tiny(ids, in_org)

    assert by_ids == found.bulk_by_ids
    assert (ids if by_ids else in_org) == found.price[Api.BULK].rows
    if in_org:
        assert found.other_bulk is not None
        assert (in_org if by_ids else ids) == found.other_bulk.rows
    else:
        assert found.other_bulk is None


def test_a_scan_is_priced_by_the_rows_of_the_org() -> None:
    """A large org makes a scan dear, a small one cheap: seconds follow the rows that move."""
    latency = replace(PLAIN, per_call=1, bulk_job=2, per_bulk_row=1)
    small, large = tiny(91, 92, latency), tiny(91, 94, latency)

    assert (False, 2 + 23 + 12, 92, 92 * CSV_BYTES) == bulk_of(small)
    assert pytest.approx(2 + 2 + 92 * 2, abs=HERE) == small.price[Api.BULK].seconds
    assert (True, 2 + 23 + 12 + 3, 91, 91 * CSV_BYTES) == bulk_of(large)
    assert pytest.approx(2 * (2 + 2) + 91 * 2, abs=HERE) == large.price[Api.BULK].seconds


def bulk_of(plan: Plan) -> tuple[bool, int, int, int]:
    """Whether Bulk would ask by ids; its calls, rows and bytes."""
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
        (0, 0.25, Api.COMPOSITE),  # 0.75 s against 1.5 s: nobody waits for that
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
    found = tiny(6, latency=latency)

    assert (2, 1) == (found.price[Api.COLLECTIONS].calls, found.price[Api.COMPOSITE].calls)
    assert expected is found.api


MANY = 100_000  # collections: 50 calls; composite: 10; Bulk by ids: 66


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
    found = cheapest("Contact", WIDE, ids, in_org, budget=budget)

    assert expected is found.api
    assert not found.forced
    if any(budget is None or one.calls <= budget for one in found.price.values()):
        assert budget is None or found.calls <= budget
    else:
        assert min(one.calls for one in found.price.values()) == found.calls


@pytest.mark.parametrize("budget", [None, 0, 3])
@pytest.mark.parametrize("force", Api)
def test_a_forced_api_is_taken(force: Api, budget: int | None) -> None:
    """Whatever it costs; the prices of the others are told all the same."""
    found = tiny(7, force=force, budget=budget)

    assert (force, True) == (found.api, found.forced)
    assert found.price[force].calls == found.calls
    assert set(Api) == set(found.price)


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


def test_the_price_of_the_seed() -> None:
    """817 contacts are one call."""
    price = cheapest("Contact", WIDE, 817).price
    chars = sum(map(len, WIDE)) + 105 * 12

    found = price[Api.COLLECTIONS]

    assert (1, 817, 817 * chars) == (found.calls, found.rows, found.bytes)
    assert 0.15 + 817 * 0.0006 < found.seconds < 0.7
    assert 1 == price[Api.COLLECTIONS].calls == price[Api.COMPOSITE].calls < price[Api.QUERY].calls


# --- what a client has found


def test_nothing_measured_changes_nothing() -> None:
    """Before the first call the model is what there is; what sign-in took says nothing of queries."""
    latency = Latency()

    assert latency == latency.measured({})
    assert latency == latency.measured({"describe": (3, 90.0, 0), "bulk_poll": (9, 100.0, 0)})


@pytest.mark.parametrize(
    ("timings", "pace"),
    [
        ({"query": (9, 0.9, 0)}, 1.0),  # as the model says
        ({"query": (9, 9.9, 0)}, 10.0),
        ({"query": (9, 0.0, 0)}, 0.1),
        ({"query": (4, 1.0, 0), "collections": (5, 0.9, 0)}, 2.0),
        ({"query": (4, 0.4, 500)}, 0.5),  # rows take their share: 0.5 s of 0.9 s expected
        ({"query_more": (4, 0.9, 0), "query_all": (5, 1.0, 0)}, 2.0),
        ({"query": (1, 0.3, 0)}, 2.0),  # one slow call of its own would be three times as long
    ],
)
def test_rest_is_as_quick_as_it_was_found(
    timings: dict[str, tuple[int, float, int]], pace: float
) -> None:
    """By the time of all calls so far and one of the model's; Bulk stays as it is."""
    latency = Latency(per_call=0.1, per_wide_row=0.001, bulk_job=7, per_bulk_row=0.5)
    found = latency.measured(timings)

    assert pytest.approx((0.1 * pace, 0.001 * pace)) == (found.per_call, found.per_wide_row)
    assert (7, 0.5, 8) == (found.bulk_job, found.per_bulk_row, found.calls_in_flight)


# --- Bulk's statements, and the plan told


@pytest.mark.parametrize("limits", [DOCUMENTED, TINY], ids=["documented", "tiny"])
@pytest.mark.parametrize("fields", [FIELDS, WIDE[:20]], ids=["narrow", "wide"])
def test_a_bulk_statement_with_that_many_ids_fits(limits: Limits, fields: list[str]) -> None:
    """The statement of a full job is never longer than Salesforce takes, and nearly as long."""
    number = ids_per_bulk_job(fields, limits)
    ids = [Numbering("003").id_of(n) for n in range(number)]
    statement = soql.select(fields, "TaskWhoRelation", soql.id_in(ids), limits=limits)

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
    found = tiny(ids, 1_000)
    price = found.facts()["price"]

    assert by_ids is found.bulk_by_ids
    assert {"collections", "composite", "query", "bulk", other} == set(price)
    assert {ids, 1_000} == {price["bulk"]["rows"], price[other]["rows"]}
    assert (ids if by_ids else 1_000) == price["bulk"]["rows"]
