"""Planning is arithmetic on sizes, so its test is a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from salesforce_targeted.api import soql
from salesforce_targeted.api.limits import DOCUMENTED, TINY, Limits
from salesforce_targeted.demo_org.ids import Numbering
from salesforce_targeted.plan import Api, Latency, Price, cheapest, ids_per_bulk_job

FIELDS = ["Id", "LastName"]
WIDE = [f"A_Field_With_A_Long_Name_{n}__c" for n in range(105)]
# A call takes a second, a Bulk job two, and rows come for nothing: seconds count calls.
PLAIN = Latency(per_call=1, per_wide_row=0, bulk_job=2, per_bulk_row=0, calls_in_flight=1)
BULK_IDS = 89  # of FIELDS, in a statement of TINY's 2,000 characters


@pytest.mark.parametrize(
    ("ids", "in_org", "expected"),
    [
        (0, 0, Api.COLLECTIONS),  # nothing to ask: nothing is dearer than nothing
        (1, 0, Api.COLLECTIONS),  # one call either way: the tie goes to the first
        (3, 0, Api.COLLECTIONS),  # one collection beats two queries
        (6, 0, Api.COLLECTIONS),  # two collections take as long as a job: a tie again
        (7, 0, Api.BULK),  # three take longer than a job
        (6, 40, Api.COLLECTIONS),
        (7, 40, Api.BULK),
    ],
)
def test_the_quickest_api_wins(ids: int, in_org: int, expected: Api) -> None:
    """One row per boundary of TINY."""
    assert expected is cheapest("Contact", FIELDS, ids, in_org, limits=TINY, latency=PLAIN).api


def test_a_query_wins_where_it_takes_more_ids() -> None:
    """Were Collections as small as one id, a query would be the quicker."""
    limits = replace(TINY, ids_per_collection=1)

    assert Api.QUERY is cheapest("Contact", FIELDS, 2, limits=limits, latency=PLAIN).api


@pytest.mark.parametrize(
    ("ids", "collections", "query", "bulk"),
    [
        (0, 0, 0, 0),
        (1, 1, 1, 4),  # a job, two questions, a page
        (2, 1, 1, 4),
        (3, 1, 2, 4),
        (4, 2, 2, 4),  # four rows fill a page
        (5, 2, 3, 5),
        (BULK_IDS, 30, 45, 3 + 23),
        (BULK_IDS + 1, 30, 45, 3 + 23 + 3 + 1),  # another job, and its own page
        (2 * BULK_IDS, 60, 89, 2 * (3 + 23)),
    ],
)
def test_the_price_in_calls(ids: int, collections: int, query: int, bulk: int) -> None:
    """Calls of each way, at each boundary of TINY."""
    price = cheapest("Contact", FIELDS, ids, limits=TINY, latency=PLAIN).price

    assert (collections, query, bulk) == tuple(price[api].calls for api in Api)
    assert [ids, ids, ids] == [price[api].rows for api in Api]


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
    """Lists of ids, or the whole object where that is known to be quicker."""
    found = cheapest("Contact", FIELDS, ids, in_org, limits=TINY, latency=PLAIN)

    assert by_ids == found.bulk_by_ids
    assert (ids if by_ids else in_org) == found.price[Api.BULK].rows


def test_a_scan_is_priced_by_the_rows_of_the_org() -> None:
    """A large org makes a scan dear, a small one cheap: seconds follow the rows that move."""
    latency = replace(PLAIN, per_bulk_row=1)
    small = cheapest("Contact", FIELDS, 91, 92, limits=TINY, latency=latency)
    large = cheapest("Contact", FIELDS, 91, 94, limits=TINY, latency=latency)

    assert (False, Price(26, 92, 94)) == (small.bulk_by_ids, small.price[Api.BULK])
    assert (True, Price(30, 91, 95)) == (large.bulk_by_ids, large.price[Api.BULK])


def test_an_org_smaller_than_the_ids_held_is_priced_by_the_ids() -> None:
    """Contacts were deleted since: a scan never moves fewer rows than are wanted of it."""
    found = cheapest("Contact", FIELDS, 91, 3, limits=TINY, latency=PLAIN)

    assert 91 == found.price[Api.BULK].rows


@pytest.mark.parametrize(("ids", "seconds"), [(3, 1), (12, 1), (13, 2), (24, 2), (25, 3)])
def test_calls_in_flight_share_their_waiting(ids: int, seconds: float) -> None:
    """Four calls at once take as long as one."""
    latency = replace(PLAIN, calls_in_flight=4)

    assert (
        seconds
        == cheapest("Contact", FIELDS, ids, limits=TINY, latency=latency)
        .price[Api.COLLECTIONS]
        .seconds
    )


@pytest.mark.parametrize("force", Api)
def test_a_forced_api_is_taken(force: Api) -> None:
    """Whatever it costs; the prices of the others are told all the same."""
    found = cheapest("Contact", FIELDS, 7, limits=TINY, latency=PLAIN, force=force)

    assert (force, True) == (found.api, found.forced)
    assert found.price[force].calls == found.calls
    assert set(Api) == set(found.price)


@pytest.mark.parametrize(
    ("ids", "in_org", "expected"),
    [
        (817, 0, Api.COLLECTIONS),
        (817, 600_000, Api.COLLECTIONS),
        (10_000, 0, Api.COLLECTIONS),  # an unknown org is never scanned for 10,000 of its contacts
        (10_000, 600_000, Api.COLLECTIONS),
        (10_000, 12_000, Api.BULK),  # nearly all of a small one
        (500_000, 600_000, Api.BULK),
    ],
)
def test_real_sizes(ids: int, in_org: int, expected: Api) -> None:
    """What a modest org's default run does."""
    assert expected is cheapest("Contact", WIDE, ids, in_org).api


def test_the_price_of_the_seed() -> None:
    """817 contacts are one call."""
    price = cheapest("Contact", WIDE, 817).price

    assert Price(1, 817, 0.804) == price[Api.COLLECTIONS]
    assert 1 == price[Api.COLLECTIONS].calls < price[Api.QUERY].calls


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
    """What ``--plan`` and the report print."""
    found = cheapest("Contact", FIELDS, 3, limits=TINY, latency=PLAIN)

    assert {
        "api": "collections",
        "forced": False,
        "price": {
            "collections": {"calls": 1, "rows": 3, "seconds": 1},
            "query": {"calls": 2, "rows": 3, "seconds": 2},
            "bulk": {"calls": 4, "rows": 3, "seconds": 2},
        },
    } == found.facts()
