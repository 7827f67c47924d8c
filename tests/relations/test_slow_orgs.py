"""An org that can't group, count or run several queries in time is read another way, and it is said."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest

from salesforce_targeted.api import endpoints, readers
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.errors import (
    TooLargeError,
    UnavailableError,
)
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.extract.org import open_org
from salesforce_targeted.relations import queries
from salesforce_targeted.relations.active_ids import active_ids
from salesforce_targeted.settings import Scope
from salesforce_targeted.target import CONTACT, SHARED_ACTIVITIES, Junction
from tests.conftest import BOTH, Synced
from tests.support.relation_rows import JUNCTIONS, counts_in, groups_of, moment, shown, stamps


@JUNCTIONS
@pytest.mark.parametrize("in_time", [0, 1, 3])
def test_who_is_active_is_counted_of_the_rows(
    org: DemoOrg, client: SalesforceClient, junction: Junction, in_time: int
) -> None:
    """Where GROUP BY times out, from the first batch on or from a later one."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    org.page_rows = 4
    org.traits.aggregates_left = in_time
    warnings: list[str] = []
    found = active_ids(groups_of(client, 2), junction, "003", warn=warnings.append)
    expected = Counter(row["RelationId"] for row in shown(org, junction).values())

    assert {who: expected[who] for who in org.active_ids()} == dict(counts_in(found))
    assert ["QUERY_TIMEOUT"] == ["QUERY_TIMEOUT" for text in warnings if "QUERY_TIMEOUT" in text]


@pytest.mark.parametrize("times", [1, 2])
def test_pages_that_shift_while_rows_are_counted_are_read_again(
    org: DemoOrg, client: SalesforceClient, times: int
) -> None:
    """A relation on two pages hides one on none: its contact would drop out of the active ones."""
    org.page_rows = 4
    org.traits.aggregates_left = 0
    org.moves.shift_pages("TaskWhoRelation", 1, times)
    found = active_ids(client, SHARED_ACTIVITIES, "003")

    assert set(org.active_ids()) == set(dict(counts_in(found)))


def test_rows_that_take_too_long_at_once_are_counted_a_page_at_a_time(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """No run would end where neither groups nor all rows come in time, and pages do."""
    org.traits.aggregates_left = 0
    fault = org.faults.add(Fault("query", "query_timeout_400", nth=2))
    client.limits = replace(DOCUMENTED, rows_per_query_page=3)
    found = active_ids(client, SHARED_ACTIVITIES, "003")

    assert set(org.active_ids()) == set(dict(counts_in(found)))
    assert 1 == fault.done


@JUNCTIONS
@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("per_page", [1, 2, 5])
def test_rows_that_shift_while_they_are_counted_in_parts_hide_no_contact(
    org: DemoOrg, client: SalesforceClient, junction: Junction, per_page: int, at: int
) -> None:
    """Each part is read on its own; of one with more relations than a page holds they are counted."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    org.page_rows = 4
    org.moves.shift_pages(junction.object_name, at, 1)
    client.limits = replace(DOCUMENTED, rows_per_query_page=per_page)
    parts = list[pa.Table]()
    found = active_ids(
        client, junction, "003", groups=False, enough=lambda: False, each=parts.append
    )
    expected = Counter(row["RelationId"] for row in shown(org, junction).values())

    assert {who: expected[who] for who in org.active_ids()} == dict(counts_in(found))
    assert len(org.active_ids()) == sum(part.num_rows for part in parts)


def test_who_is_active_since_a_second_is_counted_of_the_rows(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """The same condition holds."""
    rows = shown(org, SHARED_ACTIVITIES)
    since = stamps(rows)[len(rows) // 2]
    org.traits.aggregates_left = 0
    found = active_ids(
        client, SHARED_ACTIVITIES, "003", since=moment(since), warn=lambda _sentence: None
    )
    expected = Counter(
        str(row["RelationId"])
        for row in rows.values()
        if str(row["SystemModstamp"]) >= since and str(row["RelationId"]).startswith("003")
    )

    assert dict(expected) == dict(counts_in(found))


def test_relations_that_cant_be_read_at_all_are_an_error(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """It names the permission."""
    org.traits.view_all_data = False

    with pytest.raises(TooLargeError, match="View All Data"):
        active_ids(client, SHARED_ACTIVITIES, "003", warn=lambda _sentence: None)


def test_relations_are_counted_of_the_rows(org: DemoOrg, client: SalesforceClient) -> None:
    """And the next count does not wait for another timeout."""
    warnings: list[str] = []
    client.warn = warnings.append
    org.traits.aggregates_left = 0
    expected = len(shown(org, SHARED_ACTIVITIES))

    assert expected == queries.count(client, SHARED_ACTIVITIES)
    org.reset_calls()
    assert expected == queries.count(client, SHARED_ACTIVITIES)
    assert 1 == org.billed
    assert 1 == len(warnings)


def test_queries_that_take_too_long_together_are_sent_alone(
    org: DemoOrg, server: DemoServer
) -> None:
    """After one try, not five; from then on at once."""
    org.traits.aggregate_seconds = 0.4
    warnings: list[str] = []
    session = SessionCredentials(instance_url=server.url, access_token=server.token)
    client = SalesforceClient(session, sleep=lambda _seconds: None, timeout_seconds=0.9)
    client.warn = warnings.append
    statement = queries.count_statement(SHARED_ACTIVITIES)
    requests = [
        endpoints.describe(client.version, "Contact"),
        *(endpoints.query(client.version, statement) for _ in range(3)),
        endpoints.describe(client.version, "Task"),
    ]
    first = client.composite(requests)
    calls = org.billed
    repeat = client.composite(requests)
    client.close()

    for responses in (first, repeat):
        describe, *counts, other = responses
        assert [30, 30, 30] == [readers.page(part).total for part in counts]  # type: ignore[arg-type]
        assert ["Contact", "Task"] == [
            readers.described(part)["name"]
            for part in (describe, other)  # type: ignore[index]
        ]
    assert (1 + 3 + 1, 3 + 1) == (calls, org.billed - calls)
    assert 1 == len(warnings)


@BOTH
@pytest.mark.parametrize("status", [400, pytest.param(503, marks=pytest.mark.deep)])
def test_runs_go_on_though_the_org_groups_no_more(
    org: DemoOrg, synced: Synced, status: int
) -> None:
    """From the second run on; what is new, edited and removed arrives all the same."""
    # More relations than a page holds: not all of them are read in each run.
    small = Scope(limits=replace(DOCUMENTED, rows_per_query_page=10))
    synced.ok(small)
    before = shown(org, SHARED_ACTIVITIES)
    # Of a contact, and of a lead, which no count of a contact's relations tells.
    tasks = [
        next(str(row["TaskId"]) for row in before.values() if str(row["RelationId"])[:3] == prefix)
        for prefix in ("003", "00Q")
    ]
    new = org.contacts.numbering.id_of(39)
    org.log_task([new])
    for task in tasks:
        org.delete_task(task)
    org.edit("Contact", org.active_ids()[0], LastName="Fresh")
    org.traits.aggregates_left, org.traits.aggregates_status = 0, status
    facts = synced.ok(small)
    repeat = synced.ok(small)
    lives = {
        row[0]: row[1]
        for row in synced.sql("SELECT contact_id, relation_count FROM sf_active_contacts"
                              " WHERE is_active")
    }  # fmt: skip
    expected = Counter(row["RelationId"] for row in shown(org, SHARED_ACTIVITIES).values())

    assert {who: expected[who] for who in org.active_ids()} == lives
    assert new in synced.rows("sf_contacts")
    assert set(before) - set(shown(org, SHARED_ACTIVITIES)) == {
        row[0]
        for row in synced.sql("SELECT id FROM sf_taskwhorelations WHERE removed_at IS NOT NULL")
    }
    assert [text for text in facts["warnings"] if f"(HTTP {status})" in text]
    assert "done" == repeat["status"]


def test_the_first_call_counts_rows_where_the_org_counts_none(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """What the run compares with, to find relations that are gone, is known all the same."""
    org.traits.aggregates_left = 0
    seen = open_org(
        client, CONTACT, lambda _sentence: None, expected=CONTACT.discovered_by, discovery=True
    )

    assert len(shown(org, SHARED_ACTIVITIES)) == seen.relation_count


@BOTH
def test_relations_whose_stamps_take_too_long_are_read_whole(org: DemoOrg, synced: Synced) -> None:
    """A first run needs no stamp, so that each later one would fail; told once, known for a day."""
    small = Scope(limits=replace(DOCUMENTED, rows_per_query_page=5))
    org.page_rows = 5
    synced.ok(small)
    org.traits.slow_stamps = {"TaskWhoRelation"}
    held, seen = [], []
    for _ in range(3):
        org.log_task([org.add_contact(LastName="Fresh")])
        seen.append(synced.ok(small))
        held.append(sorted(synced.rows("sf_taskwhorelations")))
    org.traits.slow_stamps.clear()
    org.advance(86_400)
    synced.ok(small)

    assert [sorted(shown(org, SHARED_ACTIVITIES))] * 2 == [
        held[-1],
        sorted(synced.rows("sf_taskwhorelations")),
    ]
    assert org.active_ids() == sorted(synced.rows("sf_contacts"))
    notes = [[text for text in run["warnings"] if "could not be asked for" in text] for run in seen]
    assert [1, 0, 0] == [len(texts) for texts in notes]
    calls = [run["calls"]["total"] for run in seen]
    assert calls[1] == calls[2] < calls[0]


@pytest.mark.parametrize("composes", [True, False])
@pytest.mark.parametrize("status", [503, 504])
def test_what_a_gateway_gives_up_on_is_no_outage(
    org: DemoOrg, client: SalesforceClient, status: int, composes: bool
) -> None:
    """It has for GROUP BY and COUNT() what an org that is down has for all."""
    org.traits.aggregates_left, org.traits.aggregates_status = 0, status
    client.composes = composes
    warnings: list[str] = []
    client.warn = warnings.append
    seen = open_org(
        client, CONTACT, warnings.append, expected=CONTACT.discovered_by, discovery=True
    )
    found = active_ids(groups_of(client, 2), SHARED_ACTIVITIES, "003", warn=warnings.append)

    assert (len(shown(org, SHARED_ACTIVITIES)), None) == (seen.relation_count, seen.first_groups)
    assert org.active_ids() == sorted(dict(counts_in(found)))
    assert 2 == len([text for text in warnings if f"(HTTP {status})" in text])


@pytest.mark.parametrize("status", [503, 504])
def test_an_org_that_serves_nothing_is_an_outage(
    org: DemoOrg, client: SalesforceClient, status: int
) -> None:
    """Nothing is read another way, and nothing is said to be."""
    action = {503: "unavailable_503", 504: "gateway_timeout_504"}[status]
    org.faults.add(Fault("*", action, times=10**6))
    warnings: list[str] = []
    client.warn = warnings.append
    for ask in (
        lambda: queries.count(client, SHARED_ACTIVITIES),
        lambda: active_ids(client, SHARED_ACTIVITIES, "003", warn=warnings.append),
    ):
        with pytest.raises(UnavailableError):
            ask()

    assert [] == warnings


@pytest.mark.deep
@pytest.mark.parametrize("status", [503, 504])
def test_what_the_org_never_groups_nor_counts_is_known_for_a_day(
    org: DemoOrg, synced: Synced, status: int
) -> None:
    """Five attempts at each are made by the first run only."""
    small = Scope(limits=replace(DOCUMENTED, rows_per_query_page=10))
    synced.begin()
    org.traits.aggregates_left, org.traits.aggregates_status = 0, status
    new = org.contacts.numbering.id_of(39)
    org.log_task([new])
    learning = synced.ok(small)
    org.reset_calls()
    synced.ok(small)
    repeat = org.billed
    org.advance(86_400)
    synced.ok(small)  # forgets
    org.traits.aggregates_left = None
    healed = synced.ok(small)

    assert new in synced.rows("sf_contacts")
    assert 2 == len([text for text in learning["warnings"] if f"(HTTP {status})" in text])
    assert repeat <= 5
    assert [] == [text for text in healed["warnings"] if "counted instead" in text]


@pytest.mark.deep
def test_an_outage_is_no_lesson(org: DemoOrg, synced: Synced) -> None:
    """Where nothing else is served either the run ends, and the next one groups and counts."""
    synced.begin()
    org.faults.add(Fault("(?i)query|composite", "unavailable_503", times=10**6))
    failed = synced.run()
    org.faults.clear()
    after = synced.ok()

    assert isinstance(failed.error, UnavailableError)
    assert [] == [text for text in after["warnings"] if "counted" in text]
