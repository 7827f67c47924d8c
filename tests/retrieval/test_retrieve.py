"""Ids become rows: the same by every Api, in order, and whatever befalls the calls."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.errors import QuotaExceededError, SalesforceError
from salesforce_targeted.api.limits import DOCUMENTED, TINY, Limits
from salesforce_targeted.arrow.columns import Columns, columns
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.retrieval import retrieve as retrieval
from salesforce_targeted.retrieval.planner import cheapest, ids_per_bulk_job
from salesforce_targeted.settings import Api
from tests.support.fields import normalize
from tests.support.oracles.held_values import as_held
from tests.support.retrieval import (
    BOTH_LIMITS,
    BULK_SCAN,
    EVERY_WAY,
    WAYS,
    client_of,
    columns_in,
    gone_of,
    hostile_first,
    ids_of,
    retrieve,
    rows_of,
)

BY_REST = pytest.mark.parametrize(
    "way", [Api.COLLECTIONS, Api.COMPOSITE, Api.QUERY], ids=lambda way: way.value
)

# --- the central test


@BOTH_LIMITS
@pytest.mark.parametrize("count", [0, 1, 3, 4, 10])
def test_every_way_fetches_the_same_rows(
    org: DemoOrg, credentials: SessionCredentials, count: int, limits: Limits
) -> None:
    """Which Api the plan picks can never be seen in the database: to the last character and bit."""
    of, ids = columns_in(org), hostile_first(org)[:count]
    answers = {way: retrieve(credentials, limits, way, ids, of) for way in WAYS}
    first = rows_of(answers[Api.COLLECTIONS])

    for way in WAYS:
        rows = rows_of(answers[way])
        if first is None or rows is None:
            assert (None, None, 0) == (first, rows, count)
            continue
        assert of.schema == rows.schema
        assert first.equals(rows), way
        assert sorted(ids) == rows.column("id").to_pylist()
        assert {} == gone_of(answers[way])
    assert [] == [r for parts in answers.values() for part in parts for r in part.batch.rejected]


@EVERY_WAY
def test_nuls_are_counted(org: DemoOrg, credentials: SessionCredentials, way: Api | str) -> None:
    """The report's number does not depend on the way either."""
    values = [
        v for v in org.rows("Contact")[org.hostile_id].values() if isinstance(v, str) and "\0" in v
    ]
    answers = retrieve(credentials, DOCUMENTED, way, hostile_first(org)[:2], columns_in(org))

    assert 0 < len(values) == sum(part.batch.nuls_removed for part in answers)


@EVERY_WAY
def test_a_row_is_the_orgs_own(
    org: DemoOrg, credentials: SessionCredentials, way: Api | str
) -> None:
    """Every cell of it, the hostile contact's too, read apart from the library."""
    of, ids = columns_in(org), hostile_first(org)[:4]
    table = rows_of(retrieve(credentials, TINY, way, ids, of))
    assert table is not None
    shown = org.rows("Contact", ids=ids)
    entries = {entry["name"]: entry for entry in org.fields("Contact")}
    differences = [
        (column.field, wanted, got)
        for row in table.to_pylist()
        for column in of.items
        for wanted in [as_held(entries[column.field]["type"], shown[row["id"]][column.field])]
        for got in [row[column.name]]
        if wanted != got or (isinstance(wanted, float) and wanted.hex() != got.hex())
    ]

    assert [] == differences
    assert 105 * 4 == len(of.items) * table.num_rows


@EVERY_WAY
@pytest.mark.parametrize("object_name", ["Task", "User"])
def test_other_objects(
    org: DemoOrg, credentials: SessionCredentials, way: Api | str, object_name: str
) -> None:
    """Tasks and users come as contacts do."""
    of, ids = columns_in(org, object_name), list(org.rows(object_name))[:5]
    rows = rows_of(retrieve(credentials, TINY, way, ids, of))
    expected = rows_of(retrieve(credentials, DOCUMENTED, Api.COLLECTIONS, ids, of))

    assert expected is not None
    assert expected.equals(rows)


# --- order and conservation


@BY_REST
def test_rows_come_batch_by_batch_whichever_call_is_slow(
    org: DemoOrg, credentials: SessionCredentials, way: Api
) -> None:
    """Several calls are in flight, and each batch comes out once."""
    ids = hostile_first(org)
    random.Random(7).shuffle(ids)
    of = columns(
        {"name": "Contact", "fields": org.fields("Contact")}, normalize=normalize, only=["LastName"]
    )
    size = TINY.ids_per_query if way is Api.QUERY else TINY.ids_per_collection
    slow = org.faults.add(Fault(way.value, "slow_drip", argument=0.2))
    answers = retrieve(credentials, TINY, way, ids, of)

    assert 1 == slow.done
    batches = [{*part.batch.table.column("id").to_pylist()} for part in answers]
    asked = [set(ids[n : n + size]) for n in range(0, len(ids), size)]
    assert sorted(map(sorted, asked)) == sorted(map(sorted, batches))


@pytest.mark.parametrize("way", [Api.COLLECTIONS, Api.COMPOSITE], ids=lambda way: way.value)
@BOTH_LIMITS
def test_collections_keep_the_order_within_a_batch(
    org: DemoOrg, credentials: SessionCredentials, way: Api, limits: Limits
) -> None:
    """Row for row as asked."""
    ids, size = hostile_first(org)[::-1], limits.ids_per_collection
    came = ids_of(retrieve(credentials, limits, way, ids, columns_in(org)))
    asked = {ids[n]: ids[n : n + size] for n in range(0, len(ids), size)}

    assert sorted(ids) == sorted(came)
    assert all(batch == came[came.index(id_) :][: len(batch)] for id_, batch in asked.items())


@pytest.mark.parametrize(
    ("way", "calls"),
    [
        (Api.COLLECTIONS, {"collections": 4}),
        (Api.COMPOSITE, {"composite": 2}),
        (Api.QUERY, {"query": 1}),
        (Api.BULK, {"bulk_create": 1, "bulk_results": 1}),
    ],
    ids=["collections", "composite", "query", "bulk"],
)
def test_calls(
    org: DemoOrg, credentials: SessionCredentials, way: Api, calls: dict[str, int]
) -> None:
    """As many calls as the arithmetic says, and none to follow up where everybody came."""
    limits = TINY if way in {Api.COLLECTIONS, Api.COMPOSITE} else DOCUMENTED
    org.reset_calls()
    retrieve(credentials, limits, way, org.active_ids(), columns_in(org, "Contact"))
    billed = {kind: n for kind, n in org.calls.items() if kind != "bulk_poll"}

    assert calls == billed


def narrow(org: DemoOrg) -> Columns:
    """Return a few columns, so that statements take ids and rows are quick."""
    described = {"name": "Contact", "fields": org.fields("Contact")}
    return columns(described, normalize=normalize, only=["LastName"])


# Salesforce names five result pages a call, whatever the size of a page. With the narrow columns a
# Bulk job's statement takes 24 ids, which is six pages.
SMALL = replace(TINY, bulk_result_pages=5, soql_chars=680)


@pytest.mark.brief(25)
@EVERY_WAY
@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 20, 21, 24, 25, 28, 29, 40])
def test_foreseen_calls_are_the_calls_made(
    org: DemoOrg, credentials: SessionCredentials, number: int, way: Api | str
) -> None:
    """What the plan predicts is what the org bills, at each boundary: of batches, jobs and pages."""
    foreseen, calls = calls_for(credentials, org, SMALL, way, number)

    assert foreseen == calls


@EVERY_WAY
@pytest.mark.parametrize("number", [1, 2])
def test_foreseen_calls_where_a_statement_takes_one_id(
    org: DemoOrg, credentials: SessionCredentials, number: int, way: Api | str
) -> None:
    """Fields that fill a statement by themselves make many small questions, and they are foreseen."""
    foreseen, calls = calls_for(credentials, org, SMALL, way, number, columns_in(org))

    assert foreseen == calls


@pytest.fixture(scope="module")
def large() -> Iterator[tuple[DemoOrg, SessionCredentials]]:
    """Provide an org of 12,000 contacts, served for several tests; none of them changes it."""
    org = DemoOrg(contacts=12_000, active=10, relations=20)
    with serve(org) as server:
        yield org, SessionCredentials(instance_url=server.url, access_token=server.token)

    assert [] == org.unexpected


# As documented, but for result pages of Bulk, which would want hundreds of thousands of contacts.
PAGED = replace(DOCUMENTED, bulk_rows_per_page=900)


@pytest.mark.deep
@EVERY_WAY
@pytest.mark.parametrize(
    ("number", "limits"),
    [
        (2_000, DOCUMENTED), (2_001, DOCUMENTED), (10_001, DOCUMENTED),
        (900, PAGED), (901, PAGED), (10_001, PAGED),
    ],
)  # fmt: skip
def test_foreseen_calls_of_thousands_are_the_calls_made(
    large: tuple[DemoOrg, SessionCredentials], number: int, limits: Limits, way: Api | str
) -> None:
    """The same with the documented limits, and with as many result pages as take several calls."""
    org, credentials = large
    foreseen, calls = calls_for(credentials, org, limits, way, number)

    assert foreseen == calls


def calls_for(
    credentials: SessionCredentials,
    org: DemoOrg,
    limits: Limits,
    way: Api | str,
    number: int,
    of: Columns | None = None,
) -> tuple[int, int]:
    """Return the calls that a plan foresees for so many contacts, and those that the org counts."""
    of, scan = of or narrow(org), way == BULK_SCAN
    plan = cheapest(
        "Contact", of.fields, number, len(org.contacts) if scan else 0, limits=limits,
        force=way if isinstance(way, Api) else Api.BULK,
    )  # fmt: skip
    if scan and plan.bulk_by_ids:  # it is dearer here, and its price is told all the same
        assert plan.other_bulk is not None
        plan = replace(plan, bulk_by_ids=False, price={**plan.price, Api.BULK: plan.other_bulk})
    ids = [org.contacts.numbering.id_of(n) for n in range(number)]
    org.reset_calls()
    with client_of(credentials, limits) as client:
        answers = list(retrieval.retrieve(client, plan, pa.array(ids, pa.string()), of))

        assert sorted(ids) == sorted(ids_of(answers))
        assert org.billed == client.meter.calls.total()
    return plan.calls, org.billed


def test_the_boundaries_of_bulk_are_among_those_sizes(org: DemoOrg) -> None:
    """More than one job; more result pages than one call names, of a job and of the whole object."""
    assert 24 == ids_per_bulk_job(narrow(org).fields, SMALL)
    assert 24 > SMALL.bulk_rows_per_page * SMALL.bulk_result_pages
    assert len(org.contacts) > SMALL.bulk_rows_per_page * SMALL.bulk_result_pages


@EVERY_WAY
def test_rows_are_booked_with_the_calls_that_brought_them(
    org: DemoOrg, credentials: SessionCredentials, way: Api | str
) -> None:
    """The next plan is made of what a row has cost: rows without calls, or the reverse, mislead it."""
    of, ids = narrow(org), org.active_ids()
    plan = cheapest(
        "Contact", of.fields, len(ids), limits=TINY, force=way if isinstance(way, Api) else Api.BULK
    )
    with client_of(credentials, TINY) as client:
        list(retrieval.retrieve(client, plan, pa.array(ids, pa.string()), of))
        timings = client.meter.timings()

    assert len(ids) == sum(rows for _, _, rows in timings.values())


# --- values that can't be loaded, and mishaps


@EVERY_WAY
def test_a_rejected_value_costs_itself_alone(
    org: DemoOrg, credentials: SessionCredentials, way: Api | str
) -> None:
    """The row loads with a null, the value is listed; those of rows not asked for are not."""
    asked, other, neighbour = org.active_ids()[:3]
    org.add_field(
        "Contact", "Odd__c", "date", {asked: "tomorrow", other: "never", neighbour: "2024-02-29"}
    )
    answers = retrieve(credentials, TINY, way, [asked, neighbour], columns_in(org))
    rejected = [rejection for part in answers for rejection in part.batch.rejected]

    assert {asked, neighbour} == set(ids_of(answers))
    assert [(asked, "Odd__c", '"tomorrow"')] == [
        (r.record_id, r.field, r.payload) for r in rejected
    ]


@EVERY_WAY
@pytest.mark.parametrize("action", ["html_503", "reset_midbody", "cut_gzip", "drop_rows"])
def test_mishaps_cost_calls_and_no_rows(
    org: DemoOrg, credentials: SessionCredentials, way: Api | str, action: str
) -> None:
    """An answer that fails or falls short is asked for again: never a row less, never one twice."""
    ids, of = org.active_ids(), columns_in(org)
    rest = way in {Api.COLLECTIONS, Api.COMPOSITE, Api.QUERY}
    kind = way.value if rest and isinstance(way, Api) else "bulk_results"
    fault = org.faults.add(Fault(kind, action))
    answers = retrieve(credentials, TINY if way is Api.COMPOSITE else DOCUMENTED, way, ids, of)

    assert 1 == fault.done
    assert ids == sorted(ids_of(answers))
    assert {} == gone_of(answers)


@BY_REST
def test_after_an_error_no_further_call_is_begun(
    org: DemoOrg, credentials: SessionCredentials, way: Api
) -> None:
    """An error ends it: what waits is not sent, and nothing is called gone."""
    of, ids = columns_in(org), list(org.rows("Contact"))
    org.faults.add(Fault("*", "daily_403", times=99))
    org.reset_calls()
    with pytest.raises(QuotaExceededError, match="TotalRequests"):
        retrieve(credentials, TINY, way, ids, of)

    assert 4 * TINY.ids_per_collection < len(ids)
    assert 1 <= org.billed <= 4


@pytest.mark.parametrize("action", ["bulk_failed", "bulk_aborted", "results_gone_404"])
def test_a_job_that_fails_says_nothing_about_ids(
    org: DemoOrg, credentials: SessionCredentials, action: str
) -> None:
    """A failed job is an error, never a set of ids that are gone."""
    kind = "bulk_results" if action == "results_gone_404" else "bulk_poll"
    org.faults.add(Fault(kind, action))

    with pytest.raises(SalesforceError):
        retrieve(credentials, DOCUMENTED, Api.BULK, org.active_ids(), columns_in(org))
