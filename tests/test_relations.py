"""TaskWhoRelation over HTTP: every active contact is discovered, every relation is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import chain, pairwise
from math import ceil
from typing import Any

import pyarrow as pa
import pytest

from salesforce_targeted import relations
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.errors import LocatorExpiredError
from salesforce_targeted.columns import Columns, columns
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.faults import Fault
from salesforce_targeted.relations import SHARED_ACTIVITIES, TASK_WHO_ID, Junction
from salesforce_targeted.tables import Batch
from tests.fields import normalize

FIELDS = ["Id", "RelationId", "TaskId", "Type", "SystemModstamp"]
JUNCTIONS = pytest.mark.parametrize(
    "junction", [SHARED_ACTIVITIES, TASK_WHO_ID], ids=["shared", "who_id"]
)


def shown(org: DemoOrg, junction: Junction) -> dict[str, dict[str, str | None]]:
    """The relations as the org shows them, by id, made here of its rows."""
    rows = org.rows(junction.object_name)
    if junction is SHARED_ACTIVITIES:
        return {id_: {name: row[name] for name in FIELDS} for id_, row in rows.items()}
    kinds = {"003": "Contact", "00Q": "Lead"}
    return {
        id_: {
            "Id": id_, "TaskId": id_, "RelationId": row["WhoId"],
            "Type": kinds[row["WhoId"][:3]], "SystemModstamp": row["SystemModstamp"],
        }
        for id_, row in rows.items() if row["WhoId"]
    }  # fmt: skip


def columns_in(org: DemoOrg, junction: Junction = SHARED_ACTIVITIES) -> Columns:
    """The columns of relations, as a run makes them of what the org describes."""
    described = {"name": junction.object_name, "fields": org.fields(junction.object_name)}
    if junction is TASK_WHO_ID:
        described = relations.describe_of_task_relations(described)
    return columns(described, normalize=normalize)


def rows_in(batches: Iterable[Batch]) -> list[dict[str, Any]]:
    """The rows of some batches with the values of FIELDS, as Salesforce spells them."""
    return [
        {"Id": row["id"], "SystemModstamp": _as_salesforce(row["SystemModstamp"])}
        | {name: row[name] for name in ("RelationId", "TaskId", "Type")}
        for batch in batches
        for row in batch.table.to_pylist()
    ]


def _as_salesforce(stamp: datetime) -> str:
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{stamp.microsecond // 1000:03}+0000"


def counts_in(tables: Iterable[pa.Table]) -> list[tuple[str, int]]:
    """Ids and numbers of discovery, in the order in which they came."""
    return [(row["id"], row["count"]) for table in tables for row in table.to_pylist()]


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")


def stamps(rows: dict[str, dict[str, str | None]]) -> list[str]:
    """The rows' stamps, ascending."""
    return sorted(str(row["SystemModstamp"]) for row in rows.values())


def groups_of(client: SalesforceClient, per_call: int) -> SalesforceClient:
    """The client, as if Salesforce answered so many groups a call."""
    client.limits = replace(client.limits, groups_per_query=per_call)
    return client


# --- discovery


@JUNCTIONS
@pytest.mark.parametrize("per_call", [1, 2, 3, 4, 11, 12, 13, 2000])
def test_every_active_contact_is_discovered(
    org: DemoOrg, client: SalesforceClient, junction: Junction, per_call: int
) -> None:
    """With its number of relations, once, in the order of ids, whatever a batch holds."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    batches = list(relations.active(groups_of(client, per_call), junction, "003"))
    expected = Counter(row["RelationId"] for row in shown(org, junction).values())

    assert [(who, expected[who]) for who in org.active_ids()] == counts_in(batches)
    assert all(batch.num_rows <= per_call for batch in batches)


def test_ten_thousand_active_contacts_are_discovered() -> None:
    """Five times what one GROUP BY may answer: none is missing, none comes twice."""
    org = DemoOrg(contacts=12_000, active=10_000, relations=12_000)
    with serve(org) as server:
        client = SalesforceClient(
            SessionCredentials(instance_url=server.url, access_token=server.token)
        )
        found = [who for who, _ in counts_in(relations.active(client, SHARED_ACTIVITIES, "003"))]
        client.close()

    assert 10_000 == len(found)
    assert org.active_ids() == found
    assert 6 == org.billed  # 5 full batches, and the rest with the leads in it
    assert [] == org.unexpected


def test_discovery_stops_at_the_leads(org: DemoOrg, client: SalesforceClient) -> None:
    """Ids are answered in their order: what lies beyond the contacts is not read."""
    task = org.log_task()
    for _ in range(20):
        org.relate(task, org.tables["Lead"].numbering.id_of(1))
    org.reset_calls()
    contacts = len(org.active_ids())
    list(relations.active(groups_of(client, 1), SHARED_ACTIVITIES, "003"))

    assert contacts + 1 == org.billed


def test_leads_are_discovered_as_well(org: DemoOrg, client: SalesforceClient) -> None:
    """The wanted object is named by its prefix; others on the way are passed over."""
    leads = {
        row["RelationId"] for row in shown(org, SHARED_ACTIVITIES).values() if row["Type"] == "Lead"
    }
    found = counts_in(relations.active(groups_of(client, 4), SHARED_ACTIVITIES, "00Q"))

    assert leads == {who for who, _ in found}
    assert leads


def test_an_org_without_relations(org: DemoOrg, client: SalesforceClient) -> None:
    """Nothing is discovered, in one call."""
    for id_ in shown(org, SHARED_ACTIVITIES):
        org.remove_relation(id_)
    org.reset_calls()

    assert [] == counts_in(relations.active(client, SHARED_ACTIVITIES, "003"))
    assert 1 == org.billed


def test_discovery_of_what_was_modified_since(org: DemoOrg, client: SalesforceClient) -> None:
    """Only the contacts of relations that were stamped at the second or later."""
    rows = shown(org, SHARED_ACTIVITIES)
    since = stamps(rows)[len(rows) // 2]
    expected = Counter(
        row["RelationId"] for row in rows.values()
        if str(row["SystemModstamp"]) >= since and (row["RelationId"] or "").startswith("003")
    )  # fmt: skip
    found = relations.active(groups_of(client, 3), SHARED_ACTIVITIES, "003", since=moment(since))

    assert sorted(expected.items()) == counts_in(found)
    assert 0 < len(expected) < 12


@pytest.mark.parametrize("per_call", [1, 4, 13, 2000])
def test_discovery_goes_on_from_a_batch_that_is_known(
    org: DemoOrg, client: SalesforceClient, per_call: int
) -> None:
    """The first batch, asked for elsewhere, is neither asked for again nor lost."""
    first = client.records(relations.groups_statement(SHARED_ACTIVITIES, per_call))
    org.reset_calls()
    batches = relations.active(groups_of(client, per_call), SHARED_ACTIVITIES, "003", first=first)

    assert org.active_ids() == [who for who, _ in counts_in(batches)]
    assert ceil((len(org.active_ids()) + 1) / per_call) - 1 == org.billed


# --- rows


@JUNCTIONS
def test_every_relation_is_read(org: DemoOrg, client: SalesforceClient, junction: Junction) -> None:
    """The same rows of either object; a task's WhoId is its one relation."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    org.page_rows = 4
    pages = list(relations.read(client, junction, columns_in(org, junction)))

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
    found = [r["Id"] for r in rows_in(relations.read(client, junction, of, since=moment(since)))]

    assert expected == set(found)
    assert len(expected) == len(found)
    assert {id_ for id_, row in rows.items() if row["SystemModstamp"] == since} <= set(found)


@pytest.mark.parametrize("limit", [0, 1, 3, 29, 30, 31])
def test_the_oldest_relations_come_first(
    org: DemoOrg, client: SalesforceClient, limit: int
) -> None:
    """A limited read is a beginning: the cursor may stand on its last row."""
    expected = sorted(
        shown(org, SHARED_ACTIVITIES).values(), key=lambda row: (row["SystemModstamp"], row["Id"])
    )
    pages = relations.read(client, SHARED_ACTIVITIES, columns_in(org), limit=limit)

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
    pages = relations.read_by_ids(client, junction, columns_in(org, junction), asked)
    found = rows_in(pages)

    assert {id_: rows[id_] for id_ in ids} == {row["Id"]: row for row in found}
    assert len(ids) == len(found)


def _removed(org: DemoOrg) -> str:
    """The id of a relation (or task) that is no more."""
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
    found = rows_in(relations.read_by_ids(client, SHARED_ACTIVITIES, of, asked))
    per_call = relations.ids_per_call(SHARED_ACTIVITIES, of)

    assert set(rows) == {row["Id"] for row in found}
    assert len(rows) == len(found)
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

    assert len(rows) == relations.count(client, junction)
    assert later == relations.count(client, junction, moment(since))
    assert 2 == org.billed


@JUNCTIONS
def test_the_ids_of_relations(org: DemoOrg, client: SalesforceClient, junction: Junction) -> None:
    """All of them; those since a second; and those of some contacts."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    rows = shown(org, junction)
    since = stamps(rows)[len(rows) // 2]
    who = org.active_ids()[:5]

    def found(**which: object) -> list[str]:
        pages = list(relations.targets(client, junction, **which))  # type: ignore[arg-type]
        pairs = [(row["id"], row["who"]) for page in pages for row in page.to_pylist()]
        assert {(id_, rows[id_]["RelationId"]) for id_, _ in pairs} == set(pairs)
        return sorted(id_ for id_, _ in pairs)

    assert sorted(rows) == found()
    assert sorted(i for i, row in rows.items() if str(row["SystemModstamp"]) >= since) == found(
        since=moment(since)
    )
    assert sorted(i for i, row in rows.items() if row["RelationId"] in who) == found(who=who)
    assert [] == found(who=[])


def test_relations_of_more_contacts_than_one_statement_takes(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """Contacts are named in as many statements as they need."""
    strangers = [org.contacts.numbering.id_of(n) for n in range(1_000, 2_500)]
    active = org.active_ids()
    expected = sorted(
        i for i, row in shown(org, SHARED_ACTIVITIES).items() if row["RelationId"] in active
    )
    found = relations.targets(client, SHARED_ACTIVITIES, who=[*active[:6], *strangers, *active[6:]])

    assert expected == sorted(id_ for page in found for id_ in page.column("id").to_pylist())
    assert 3 <= org.billed


@pytest.mark.parametrize("action", ["html_503", "bad_locator_400", "reset_midbody", "drop_rows"])
def test_no_relation_is_lost_to_a_mishap(
    org: DemoOrg, client: SalesforceClient, action: str
) -> None:
    """A page that fails, or a result that falls apart, costs calls and never rows."""
    org.page_rows = 7
    org.faults.add(Fault("query_more", action, nth=2))
    found = rows_in(relations.read(client, SHARED_ACTIVITIES, columns_in(org)))

    assert sorted(shown(org, SHARED_ACTIVITIES)) == sorted(row["Id"] for row in found)


def test_a_result_that_falls_apart_every_time_is_an_error(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """Never half the relations as if they were all."""
    org.page_rows = 7
    org.faults.add(Fault("query_more", "bad_locator_400", times=1_000))

    with pytest.raises(LocatorExpiredError):
        list(relations.read(client, SHARED_ACTIVITIES, columns_in(org)))


# --- an org without Shared Activities


def test_a_describe_made_of_tasks(org: DemoOrg, client: SalesforceClient) -> None:
    """The same columns of the same types, so that a table survives the switch."""
    made = relations.describe_of_task_relations(client.describe("Task"))
    real = columns(client.describe("TaskWhoRelation"), normalize=normalize)
    found = columns(made, normalize=normalize)

    assert {column.stored: column.type for column in real.items} == {
        column.stored: column.type for column in found.items
    }
    assert "TaskWhoRelation" == found.object_name
    assert () == found.warnings


def test_a_task_without_anybody_is_no_relation(org: DemoOrg, client: SalesforceClient) -> None:
    """A null WhoId points at nobody: neither read nor counted nor discovered."""
    org.shared_activities = False
    before = relations.count(client, TASK_WHO_ID)
    task = org.log_task()

    assert before == relations.count(client, TASK_WHO_ID)
    assert task not in {
        row["Id"]
        for row in rows_in(relations.read(client, TASK_WHO_ID, columns_in(org, TASK_WHO_ID)))
    }


def test_calls_of_discovery(org: DemoOrg, client: SalesforceClient) -> None:
    """Batches that are full need one more call to see the end; a short one is the end."""
    groups = len({row["RelationId"] for row in shown(org, SHARED_ACTIVITIES).values()} - {None})
    contacts = len(org.active_ids())
    for per_call in range(2, groups + 2):
        org.reset_calls()
        list(relations.active(groups_of(client, per_call), SHARED_ACTIVITIES, "003"))

        # The first batch that reaches past the contacts, or is short, is the last.
        assert ceil((contacts + 1) / per_call) == org.billed


# --- ranges of ids, side by side


def pages_of(client: SalesforceClient, rows: int) -> SalesforceClient:
    """The client, as if Salesforce answered so many rows a page."""
    client.limits = replace(client.limits, rows_per_query_page=rows)
    return client


@JUNCTIONS
@pytest.mark.parametrize(("page_rows", "pieces"), [(1, 6), (2, 3), (3, 2), (4, 1), (2_000, 1)])
def test_ranges_part_all_ids(
    org: DemoOrg, client: SalesforceClient, junction: Junction, page_rows: int, pieces: int
) -> None:
    """One call where it gains something; they follow one another, open at both ends."""
    found = relations.ranges(pages_of(client, page_rows), junction, 30)

    assert pieces == len(found)
    assert (None, None) == (found[0][0], found[-1][1])
    assert [high for _, high in found[:-1]] == [low for low, _ in found[1:]]
    assert sorted(low for low, _ in found[1:] if low) == [low for low, _ in found[1:]]
    assert int(pieces > 1) == org.billed


def test_no_more_ranges_than_gain_anything(org: DemoOrg, client: SalesforceClient) -> None:
    """A million relations are not read in a thousand ranges: each may end in half a page."""
    assert 24 == len(relations.ranges(client, SHARED_ACTIVITIES, 1_000_000))


def test_the_ends_of_nothing(org: DemoOrg, client: SalesforceClient) -> None:
    """Relations that are gone since they were counted part nothing."""
    for id_ in shown(org, SHARED_ACTIVITIES):
        org.remove_relation(id_)

    assert [(None, None)] == relations.ranges(client, SHARED_ACTIVITIES, 100_000)


def test_ends_that_are_refused(org: DemoOrg, client: SalesforceClient) -> None:
    """An org that won't tell the ends is read in one range."""
    org.shared_activities = False

    assert [(None, None)] == relations.ranges(client, SHARED_ACTIVITIES, 100_000)


@JUNCTIONS
@pytest.mark.parametrize("page_rows", [1, 2, 3, 4])
def test_ranges_together_hold_every_relation_once(
    org: DemoOrg, client: SalesforceClient, junction: Junction, page_rows: int
) -> None:
    """Nothing is lost between two ranges or read in both, and each row is told its range."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    org.page_rows = page_rows
    rows = shown(org, junction)
    some = relations.ranges(pages_of(client, page_rows), junction, 30)
    found = list(relations.read_ranges(client, junction, columns_in(org, junction), some))

    assert sorted(rows) == sorted(row["Id"] for _, batch in found for row in rows_in([batch]))
    assert [] == [
        (number, row["Id"])
        for number, batch in found
        for row in rows_in([batch])
        if not (some[number][0] or "") <= row["Id"] < (some[number][1] or "z")
    ]


def test_the_ids_that_exist_may_be_the_bounds(org: DemoOrg, client: SalesforceClient) -> None:
    """The first id of a range belongs to it and to no other."""
    ids = sorted(shown(org, SHARED_ACTIVITIES))
    bounds = [None, ids[0], ids[1], ids[7], ids[-1], None]
    some = list(pairwise(bounds))
    found = list(relations.read_ranges(client, SHARED_ACTIVITIES, columns_in(org), some))
    numbers = {row["Id"]: number for number, batch in found for row in rows_in([batch])}

    assert ids == sorted(numbers)
    assert [1, 2, 3, 4] == [numbers[ids[n]] for n in (0, 1, 7, -1)]


def test_ranges_keep_to_what_was_modified_since(org: DemoOrg, client: SalesforceClient) -> None:
    """A range is one more condition, not another one."""
    rows = shown(org, SHARED_ACTIVITIES)
    since, middle = stamps(rows)[len(rows) // 2], sorted(rows)[len(rows) // 2]
    found = relations.read_ranges(
        client, SHARED_ACTIVITIES, columns_in(org), [(None, middle), (middle, None)],
        since=moment(since),
    )  # fmt: skip

    assert sorted(id_ for id_, row in rows.items() if str(row["SystemModstamp"]) >= since) == (
        sorted(row["Id"] for _, batch in found for row in rows_in([batch]))
    )


@pytest.mark.parametrize("action", ["html_503", "bad_locator_400", "reset_midbody", "drop_rows"])
def test_no_range_loses_a_relation_to_a_mishap(
    org: DemoOrg, client: SalesforceClient, action: str
) -> None:
    """A range that falls apart is read again by itself; the others don't notice."""
    org.page_rows = 2
    some = relations.ranges(pages_of(client, 2), SHARED_ACTIVITIES, 30)
    fault = org.faults.add(Fault("query_more", action, nth=3))
    found = relations.read_ranges(client, SHARED_ACTIVITIES, columns_in(org), some)

    assert sorted(shown(org, SHARED_ACTIVITIES)) == sorted(
        row["Id"] for _, batch in found for row in rows_in([batch])
    )
    assert 1 == fault.done


def test_a_range_that_falls_apart_every_time_is_an_error(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """One of several is enough: never most of the relations as if they were all."""
    org.page_rows = 2
    some = relations.ranges(pages_of(client, 2), SHARED_ACTIVITIES, 30)
    org.faults.add(Fault("query_more", "bad_locator_400", nth=4, times=1_000))

    with pytest.raises(LocatorExpiredError):
        list(relations.read_ranges(client, SHARED_ACTIVITIES, columns_in(org), some))


def test_a_value_that_no_column_holds_is_rejected_once(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """Though its page is read a second time, because the one after it was lost."""
    first = min(shown(org, SHARED_ACTIVITIES))
    org.add_field("TaskWhoRelation", "Odd__c", "date", {first: "tomorrow"})
    org.page_rows = 7
    fault = org.faults.add(Fault("query_more", "bad_locator_400", nth=2))
    batches = list(relations.read(client, SHARED_ACTIVITIES, columns_in(org)))

    assert 1 == fault.done
    assert [(first, "Odd__c", '"tomorrow"')] == [
        (one.record_id, one.field, one.payload) for batch in batches for one in batch.rejected
    ]


# --- discovery in ranges


@JUNCTIONS
@pytest.mark.parametrize("per_call", [1, 2, 5, 2_000])
@pytest.mark.parametrize("at", [[], [0], [3], [5, 6], [2, 5, 8, 11], [11], list(range(12))])
def test_discovery_in_ranges_finds_the_same(
    org: DemoOrg, client: SalesforceClient, junction: Junction, per_call: int, at: list[int]
) -> None:
    """Wherever the ids are parted: each with its number, once."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    expected = Counter(row["RelationId"] for row in shown(org, junction).values())
    cuts = org.active_ids()
    cuts = [cuts[n] for n in at if n < len(cuts)]
    found = relations.active(groups_of(client, per_call), junction, "003", cuts=cuts)

    assert sorted((who, expected[who]) for who in org.active_ids()) == sorted(counts_in(found))


@pytest.mark.parametrize("at", [[2], [4, 6], [5, 11]])
def test_discovery_in_ranges_beyond_a_batch_that_is_known(
    org: DemoOrg, client: SalesforceClient, at: list[int]
) -> None:
    """The cuts part what the first batch leaves."""
    active = org.active_ids()
    first = client.records(relations.groups_statement(SHARED_ACTIVITIES, 2))
    found = relations.active(
        groups_of(client, 2), SHARED_ACTIVITIES, "003", first=first, cuts=[active[n] for n in at]
    )

    assert active == sorted(who for who, _ in counts_in(found))


def test_a_cut_that_is_nobodys_id_any_more(org: DemoOrg, client: SalesforceClient) -> None:
    """Cuts are of an earlier run: whoever they were, the ids around them are found."""
    active = org.active_ids()
    cuts = [org.contacts.numbering.id_of(n) for n in (5_000, 9_000)]
    found = relations.active(groups_of(client, 3), SHARED_ACTIVITIES, "003", cuts=cuts)

    assert active == sorted(who for who, _ in counts_in(found))


def test_calls_of_discovery_in_ranges(org: DemoOrg, client: SalesforceClient) -> None:
    """Each range ends with a batch that is not full, or at the leads."""
    active = org.active_ids()
    org.reset_calls()
    cuts = [active[3], active[7]]  # four, four and four of twelve
    list(relations.active(groups_of(client, 3), SHARED_ACTIVITIES, "003", cuts=cuts))

    assert 3 * (4 // 3 + 1) == org.billed


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], True),
        (["003000000000001"], True),  # not full
        (["003000000000001", "003000000000002"], False),
        (["003000000000001", "00Q000000000001"], True),  # past the contacts
        (["001000000000001", "001000000000002"], False),  # not there yet
    ],
)
def test_the_last_batch(rows: list[str], expected: bool) -> None:
    """A short batch is the end, and so is one that reaches beyond the wanted object."""
    found = [{"RelationId": id_, "relations": 1} for id_ in rows]

    assert expected is relations.is_last(found, SHARED_ACTIVITIES, "003", 2)
