"""Relations in ranges of ids, side by side: nothing is lost between two or read in both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.concurrency import merge_as_completed
from salesforce_targeted.api.errors import LocatorExpiredError
from salesforce_targeted.arrow.batch import Batch
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.relations import pages
from salesforce_targeted.relations.queries import Range
from salesforce_targeted.target import SHARED_ACTIVITIES, Junction
from tests.support.relation_rows import (
    JUNCTIONS,
    columns_in,
    moment,
    pages_of,
    rows_in,
    shown,
    stamps,
)


def read_ranges(
    client: SalesforceClient, junction: Junction, of: Columns, spans: Sequence[Range], **how: Any
) -> Iterator[Batch]:
    """Read ranges side by side, as a run does."""
    readings = [pages.read(client, junction, of, within=span, **how) for span in spans]
    return merge_as_completed(readings, client.max_in_flight)


@JUNCTIONS
@pytest.mark.parametrize(("page_rows", "pieces"), [(1, 8), (2, 5), (3, 3), (4, 1), (2_000, 1)])
def test_ranges_part_all_ids(
    org: DemoOrg, client: SalesforceClient, junction: Junction, page_rows: int, pieces: int
) -> None:
    """One call where it gains something; they follow one another, open at both ends."""
    spans = pages.ranges(pages_of(client, page_rows), junction, 30)

    assert pieces == len(spans)
    assert (None, None) == (spans[0][0], spans[-1][1])
    assert [high for _, high in spans[:-1]] == [low for low, _ in spans[1:]]
    assert sorted(low for low, _ in spans[1:] if low) == [low for low, _ in spans[1:]]
    assert int(pieces > 1) == org.billed


def test_no_more_ranges_than_gain_anything(org: DemoOrg, client: SalesforceClient) -> None:
    """A million relations are not read in a thousand ranges: each may end in half a page."""
    assert 24 == len(pages.ranges(client, SHARED_ACTIVITIES, 1_000_000))


def test_the_ends_of_nothing(org: DemoOrg, client: SalesforceClient) -> None:
    """Relations that are gone since they were counted part nothing."""
    for id_ in shown(org, SHARED_ACTIVITIES):
        org.remove_relation(id_)

    assert [(None, None)] == pages.ranges(client, SHARED_ACTIVITIES, 100_000)


def test_ends_that_are_refused(org: DemoOrg, client: SalesforceClient) -> None:
    """An org that won't tell the ends is read in one range."""
    org.shared_activities = False

    assert [(None, None)] == pages.ranges(client, SHARED_ACTIVITIES, 100_000)


@JUNCTIONS
@pytest.mark.parametrize("page_rows", [1, 2, 3, 4])
def test_ranges_together_hold_every_relation_once(
    org: DemoOrg, client: SalesforceClient, junction: Junction, page_rows: int
) -> None:
    """Nothing is lost between two ranges or read in both, and each row is in its own."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    org.page_rows = page_rows
    rows = shown(org, junction)
    spans = pages.ranges(pages_of(client, page_rows), junction, 30)
    of = columns_in(org, junction)
    relations = rows_in(read_ranges(client, junction, of, spans))

    assert sorted(rows) == sorted(row["Id"] for row in relations)
    assert [] == [
        (span, row["Id"])
        for span in spans
        for row in rows_in(read_ranges(client, junction, of, [span]))
        if not (span[0] or "") <= row["Id"] < (span[1] or "z")
    ]


def test_the_ids_that_exist_may_be_the_bounds(org: DemoOrg, client: SalesforceClient) -> None:
    """The first id of a range belongs to it and to no other."""
    ids = sorted(shown(org, SHARED_ACTIVITIES))
    bounds = [None, ids[0], ids[1], ids[7], ids[-1], None]
    spans = list(pairwise(bounds))
    of = columns_in(org)
    numbers = {
        row["Id"]: number
        for number, span in enumerate(spans)
        for row in rows_in(read_ranges(client, SHARED_ACTIVITIES, of, [span]))
    }

    assert ids == sorted(numbers)
    assert ids == sorted(
        row["Id"] for row in rows_in(read_ranges(client, SHARED_ACTIVITIES, of, spans))
    )
    assert [1, 2, 3, 4] == [numbers[ids[n]] for n in (0, 1, 7, -1)]


def test_ranges_keep_to_what_was_modified_since(org: DemoOrg, client: SalesforceClient) -> None:
    """A range is one more condition, not another one."""
    rows = shown(org, SHARED_ACTIVITIES)
    since, middle = stamps(rows)[len(rows) // 2], sorted(rows)[len(rows) // 2]
    batches = read_ranges(
        client, SHARED_ACTIVITIES, columns_in(org), [(None, middle), (middle, None)],
        since=moment(since),
    )  # fmt: skip

    assert sorted(id_ for id_, row in rows.items() if str(row["SystemModstamp"]) >= since) == (
        sorted(row["Id"] for row in rows_in(batches))
    )


@pytest.mark.parametrize("action", ["html_503", "bad_locator_400", "reset_midbody", "drop_rows"])
def test_no_range_loses_a_relation_to_a_transport_fault(
    org: DemoOrg, client: SalesforceClient, action: str
) -> None:
    """A range that falls apart is read again by itself; the others don't notice."""
    org.page_rows = 2
    spans = pages.ranges(pages_of(client, 2), SHARED_ACTIVITIES, 30)
    fault = org.faults.add(Fault("query_more", action, nth=3))
    batches = read_ranges(client, SHARED_ACTIVITIES, columns_in(org), spans)

    assert sorted(shown(org, SHARED_ACTIVITIES)) == sorted(row["Id"] for row in rows_in(batches))
    assert 1 == fault.done


def test_a_range_that_falls_apart_every_time_is_read_in_the_order_of_its_ids(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """No locator ever holds: a query of its own for each page needs none."""
    small = pages_of(client, 2)
    spans = pages.ranges(small, SHARED_ACTIVITIES, 30)
    org.page_rows = 2
    org.faults.add(Fault("query_more", "bad_locator_400", nth=4, times=1_000))
    batches = read_ranges(small, SHARED_ACTIVITIES, columns_in(org), spans)

    assert sorted(shown(org, SHARED_ACTIVITIES)) == sorted(row["Id"] for row in rows_in(batches))


def test_a_query_whose_first_pages_fail_every_time_is_an_error(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """Never some of the relations as if they were all."""
    org.page_rows = 2
    org.faults.add(Fault("query_more", "bad_locator_400", nth=4, times=1_000))

    with pytest.raises(LocatorExpiredError):
        list(pages.read(client, SHARED_ACTIVITIES, columns_in(org)))
