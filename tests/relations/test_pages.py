"""TaskWhoRelation over HTTP: every relation is read, whatever happens on the way."""

from __future__ import annotations

from itertools import chain
from math import ceil

import pytest

from salesforce_targeted.api import soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.errors import LocatorExpiredError
from salesforce_targeted.api.ids import to_18
from salesforce_targeted.api.limits import TINY
from salesforce_targeted.arrow.columns import columns
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.relations import pages as relation_pages
from salesforce_targeted.relations import queries
from salesforce_targeted.target import SHARED_ACTIVITIES, TASK_WHO_ID, Junction
from tests.support.fields import normalize
from tests.support.relation_rows import JUNCTIONS, columns_in, moment, rows_in, shown, stamps
from tests.support.retrieval import client_of


@JUNCTIONS
def test_every_relation_is_read(org: DemoOrg, client: SalesforceClient, junction: Junction) -> None:
    """The same rows of either object; a task's WhoId is its one relation."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    org.page_rows = 4
    pages = list(relation_pages.read(client, junction, columns_in(org, junction)))

    assert shown(org, junction) == {row["Id"]: row for row in rows_in(pages)}
    assert len(shown(org, junction)) == sum(map(len, pages))
    assert 1 < len(pages)
    assert {columns_in(org, junction).schema} == {page.table.schema for page in pages}


@JUNCTIONS
def test_relations_since_a_second(
    org: DemoOrg, client: SalesforceClient, junction: Junction
) -> None:
    """At or after it: a stamp is a second wide and shared by many rows."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    rows = shown(org, junction)
    since = stamps(rows)[len(rows) // 2]
    expected = {id_ for id_, row in rows.items() if str(row["SystemModstamp"]) >= since}
    of = columns_in(org, junction)
    ids = [r["Id"] for r in rows_in(relation_pages.read(client, junction, of, since=moment(since)))]

    assert expected == set(ids)
    assert len(expected) == len(ids)
    assert {id_ for id_, row in rows.items() if row["SystemModstamp"] == since} <= set(ids)


@pytest.mark.parametrize("limit", [0, 1, 3, 29, 30, 31])
def test_the_oldest_relations_come_first(
    org: DemoOrg, client: SalesforceClient, limit: int
) -> None:
    """A limited read is a beginning: the cursor may stand on its last row."""
    expected = sorted(
        shown(org, SHARED_ACTIVITIES).values(), key=lambda row: (row["SystemModstamp"], row["Id"])
    )
    pages = relation_pages.read(client, SHARED_ACTIVITIES, columns_in(org), limit=limit)

    assert [row["Id"] for row in expected[:limit]] == [row["Id"] for row in rows_in(pages)]


@JUNCTIONS
@pytest.mark.parametrize("number", [0, 1, 29])
def test_relations_by_their_ids(
    org: DemoOrg, client: SalesforceClient, junction: Junction, number: int
) -> None:
    """Exactly those that the org shows, each once."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    rows = shown(org, junction)
    ids = list(rows)[:number]
    asked = [*ids, *([_removed(org)] if ids else [])]
    pages = relation_pages.read_by_ids(client, junction, columns_in(org, junction), asked)
    relations = rows_in(pages)

    assert {id_: rows[id_] for id_ in ids} == {row["Id"]: row for row in relations}
    assert len(ids) == len(relations)


def _removed(org: DemoOrg) -> str:
    """Return the id of a relation (or task) that is no more."""
    task = org.log_task([org.hostile_id])
    (relation,) = [
        row["Id"] for row in org.tables["TaskWhoRelation"].changed.values() if row["TaskId"] == task
    ]
    org.delete_task(task)
    return task if not org.shared_activities else str(relation)


def test_more_ids_than_one_statement_takes(org: DemoOrg, client: SalesforceClient) -> None:
    """Ids are asked for in as many calls as they need; none is lost between two."""
    numbering = org.tables["TaskWhoRelation"].numbering
    rows = shown(org, SHARED_ACTIVITIES)
    unknown = [numbering.id_of(n) for n in range(1_000, 2_600)]
    mixed = [id_ for pair in zip(unknown, chain(rows, unknown), strict=False) for id_ in pair]
    of, asked = columns_in(org), list(dict.fromkeys(mixed))
    relations = rows_in(relation_pages.read_by_ids(client, SHARED_ACTIVITIES, of, asked))
    per_call = soql.ids_that_fit([*of.fields, "RelationId"], "TaskWhoRelation")

    assert set(rows) == {row["Id"] for row in relations}
    assert len(rows) == len(relations)
    assert 3 <= org.billed == ceil(len(asked) / per_call)


@JUNCTIONS
def test_the_number_of_relations(
    org: DemoOrg, client: SalesforceClient, junction: Junction
) -> None:
    """One call, with and without a second to begin at."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    rows = shown(org, junction)
    since = stamps(rows)[-3]
    later = sum(str(row["SystemModstamp"]) >= since for row in rows.values())

    assert len(rows) == queries.count(client, junction)
    assert later == queries.count(client, junction, moment(since))
    assert 2 == org.billed


@JUNCTIONS
def test_the_ids_of_relations(org: DemoOrg, client: SalesforceClient, junction: Junction) -> None:
    """All of them; those since a second; and those of some contacts."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    rows = shown(org, junction)
    since = stamps(rows)[len(rows) // 2]
    who, of = org.active_ids()[:5], columns_in(org, junction)

    def ids_of(**which: object) -> list[str]:
        pages = list(relation_pages.targets(client, junction, of, **which))  # type: ignore[arg-type]
        pairs = [(row["id"], row["RelationId"]) for page in pages for row in page.table.to_pylist()]
        assert {(id_, rows[id_]["RelationId"]) for id_, _ in pairs} == set(pairs)
        return sorted(id_ for id_, _ in pairs)

    assert sorted(rows) == ids_of()
    assert sorted(i for i, row in rows.items() if str(row["SystemModstamp"]) >= since) == ids_of(
        since=moment(since)
    )
    assert sorted(i for i, row in rows.items() if row["RelationId"] in who) == ids_of(who=who)
    assert [] == ids_of(who=[])


def test_relations_of_more_contacts_than_one_statement_takes(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """Contacts are named in as many statements as they need."""
    strangers = [org.contacts.numbering.id_of(n) for n in range(1_000, 2_500)]
    active = org.active_ids()
    expected = sorted(
        i for i, row in shown(org, SHARED_ACTIVITIES).items() if row["RelationId"] in active
    )
    who = [*active[:6], *strangers, *active[6:]]
    named = relation_pages.targets(client, SHARED_ACTIVITIES, columns_in(org), who=who)

    assert expected == sorted(id_ for page in named for id_ in page.table.column("id").to_pylist())
    assert 3 <= org.billed


@pytest.mark.parametrize("action", ["html_503", "bad_locator_400", "reset_midbody", "drop_rows"])
def test_no_relation_is_lost_to_a_transport_fault(
    org: DemoOrg, client: SalesforceClient, action: str
) -> None:
    """A page that fails, or a result that falls apart, costs calls and never rows."""
    org.page_rows = 7
    org.faults.add(Fault("query_more", action, nth=2))
    relations = rows_in(relation_pages.read(client, SHARED_ACTIVITIES, columns_in(org)))

    assert sorted(shown(org, SHARED_ACTIVITIES)) == sorted(row["Id"] for row in relations)


@pytest.mark.parametrize("action", ["not_found_404", "version_gone_410", "no_access_403"])
def test_an_org_that_serves_no_next_page(
    org: DemoOrg, credentials: SessionCredentials, action: str
) -> None:
    """Whatever it says of them, all rows are read in the order of their ids."""
    org.page_rows = TINY.rows_per_query_page
    fault = org.faults.add(Fault("query_more", action, times=1_000))
    with client_of(credentials, TINY) as client:
        relations = rows_in(relation_pages.read(client, SHARED_ACTIVITIES, columns_in(org)))

    assert fault.done
    assert sorted(shown(org, SHARED_ACTIVITIES)) == sorted(row["Id"] for row in relations)


def test_a_result_that_falls_apart_every_time_is_an_error(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """Never half the relations as if they were all."""
    org.page_rows = 7
    org.faults.add(Fault("query_more", "bad_locator_400", times=1_000))

    with pytest.raises(LocatorExpiredError):
        list(relation_pages.read(client, SHARED_ACTIVITIES, columns_in(org)))


def test_a_value_that_no_column_holds_is_rejected_once(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """Though its page is read a second time, because the one after it was lost."""
    first = min(shown(org, SHARED_ACTIVITIES))
    org.add_field("TaskWhoRelation", "Odd__c", "date", {first: "tomorrow"})
    org.page_rows = 7
    fault = org.faults.add(Fault("query_more", "bad_locator_400", nth=2))
    batches = list(relation_pages.read(client, SHARED_ACTIVITIES, columns_in(org)))

    assert 1 == fault.done
    assert [(first, "Odd__c", '"tomorrow"')] == [
        (r.record_id, r.field, r.payload) for batch in batches for r in batch.rejected
    ]


# --- an org without Shared Activities


def test_a_describe_made_of_tasks(org: DemoOrg, client: SalesforceClient) -> None:
    """The same columns of the same types, so that a table survives the switch."""
    describe = queries.describe_of_task_relations(client.describe("Task"))
    real = columns(client.describe("TaskWhoRelation"), normalize=normalize)
    copy = columns(describe, normalize=normalize)

    assert {column.stored: column.type for column in real.items} == {
        column.stored: column.type for column in copy.items
    }
    assert "TaskWhoRelation" == copy.object_name
    assert () == copy.warnings


def test_a_task_without_anybody_is_no_relation(org: DemoOrg, client: SalesforceClient) -> None:
    """A null WhoId points at no record: neither read nor counted nor discovered."""
    org.shared_activities = False
    before = queries.count(client, TASK_WHO_ID)
    task = org.log_task()

    assert before == queries.count(client, TASK_WHO_ID)
    assert task not in {
        row["Id"]
        for row in rows_in(relation_pages.read(client, TASK_WHO_ID, columns_in(org, TASK_WHO_ID)))
    }


def test_pages_smaller_than_asked_for_take_a_call_each_in_the_order_of_ids(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """And one, to see that there are more of them; runs of few calls read so in turns."""
    org.page_rows = 4
    columns = columns_in(org, SHARED_ACTIVITIES)
    org.reset_calls()
    pages = relation_pages.read(client, SHARED_ACTIVITIES, columns, in_order=(None, 2_000))
    read = [len(page) for page in pages]

    assert len(org.rows("TaskWhoRelation")) == sum(read)
    assert len(read) + 1 == org.billed


@pytest.mark.parametrize("rows_after", [0, 5, 10])
def test_a_reading_in_order_may_begin_at_its_end(
    org: DemoOrg, client: SalesforceClient, rows_after: int
) -> None:
    """Nothing, or as many rows as a page holds, is left of a reading that is gone on with."""
    org.page_rows = 5
    ids = sorted(shown(org, SHARED_ACTIVITIES))
    begin = [*ids, to_18("0RTzzzzzzzzzzzz")][len(ids) - rows_after]
    of = columns_in(org, SHARED_ACTIVITIES)
    read = relation_pages.read(
        client, SHARED_ACTIVITIES, of, within=(begin, None), in_order=(None, 2_000)
    )

    assert ids[len(ids) - rows_after :] == [row["Id"] for row in rows_in(read)]
