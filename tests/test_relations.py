"""TaskWhoRelation over HTTP: every active contact is discovered, every relation is read."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import chain
from math import ceil

import pytest

from salesforce_targeted import relations
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.errors import LocatorExpiredError
from salesforce_targeted.columns import columns
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.faults import Fault
from salesforce_targeted.relations import SHARED_ACTIVITIES, TASK_WHO_ID, Junction
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
    found = [who for batch in batches for who in batch]

    assert org.active_ids() == found
    assert {who: expected[who] for who in found} == {k: n for b in batches for k, n in b.items()}
    assert all(0 < len(batch) <= per_call for batch in batches)


def test_ten_thousand_active_contacts_are_discovered() -> None:
    """Five times what one GROUP BY may answer: none is missing, none comes twice."""
    org = DemoOrg(contacts=12_000, active=10_000, relations=12_000)
    with serve(org) as server:
        client = SalesforceClient(
            SessionCredentials(instance_url=server.url, access_token=server.token)
        )
        found = list(chain.from_iterable(relations.active(client, SHARED_ACTIVITIES, "003")))
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
    found = relations.active(groups_of(client, 4), SHARED_ACTIVITIES, "00Q")

    assert leads == {who for batch in found for who in batch}
    assert leads


def test_an_org_without_relations(org: DemoOrg, client: SalesforceClient) -> None:
    """Nothing is discovered, in one call."""
    for id_ in shown(org, SHARED_ACTIVITIES):
        org.remove_relation(id_)
    org.reset_calls()

    assert [] == list(relations.active(client, SHARED_ACTIVITIES, "003"))
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

    assert expected == Counter({who: n for batch in found for who, n in batch.items()})
    assert 0 < len(expected) < 12


@pytest.mark.parametrize("per_call", [1, 4, 13, 2000])
def test_discovery_goes_on_from_a_batch_that_is_known(
    org: DemoOrg, client: SalesforceClient, per_call: int
) -> None:
    """The first batch, asked for elsewhere, is neither asked for again nor lost."""
    first = client.records(relations.groups_statement(SHARED_ACTIVITIES, per_call))
    org.reset_calls()
    batches = relations.active(groups_of(client, per_call), SHARED_ACTIVITIES, "003", first=first)

    assert org.active_ids() == [who for batch in batches for who in batch]
    assert ceil((len(org.active_ids()) + 1) / per_call) - 1 == org.billed


# --- rows


@JUNCTIONS
def test_every_relation_is_read(org: DemoOrg, client: SalesforceClient, junction: Junction) -> None:
    """The same rows of either object; a task's WhoId is its one relation."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    org.page_rows = 4
    pages = list(relations.read(client, junction, FIELDS))

    assert shown(org, junction) == {
        row["Id"]: {name: row[name] for name in FIELDS} for page in pages for row in page
    }
    assert len(shown(org, junction)) == sum(map(len, pages))
    assert 1 < len(pages)


@JUNCTIONS
def test_relations_since_a_second(
    org: DemoOrg, client: SalesforceClient, junction: Junction
) -> None:
    """At or after it: a stamp is a second wide and shared by many rows."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    rows = shown(org, junction)
    since = stamps(rows)[len(rows) // 2]
    expected = {id_ for id_, row in rows.items() if str(row["SystemModstamp"]) >= since}
    found = [
        row["Id"]
        for page in relations.read(client, junction, FIELDS, since=moment(since))
        for row in page
    ]

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
    pages = relations.read(client, SHARED_ACTIVITIES, FIELDS, limit=limit)

    assert [row["Id"] for row in expected[:limit]] == [row["Id"] for page in pages for row in page]


@JUNCTIONS
@pytest.mark.parametrize("number", [0, 1, 29])
def test_relations_by_their_ids(
    org: DemoOrg, client: SalesforceClient, junction: Junction, number: int
) -> None:
    """Exactly those that the org shows, each once."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    rows = shown(org, junction)
    ids = list(rows)[:number]
    pages = relations.read_by_ids(
        client, junction, FIELDS, [*ids, *([_removed(org)] if ids else [])]
    )

    assert {id_: rows[id_] for id_ in ids} == {
        row["Id"]: {name: row[name] for name in FIELDS} for page in pages for row in page
    }


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
    found = [
        row["Id"]
        for page in relations.read_by_ids(
            client, SHARED_ACTIVITIES, FIELDS, list(dict.fromkeys(mixed))
        )
        for row in page
    ]

    assert set(rows) == set(found)
    assert len(rows) == len(found)
    assert 3 <= org.billed


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
        pages = relations.targets(client, junction, **which)  # type: ignore[arg-type]
        return sorted(id_ for page in pages for id_ in page)

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

    assert expected == sorted(id_ for page in found for id_ in page)
    assert 3 <= org.billed


@pytest.mark.parametrize("action", ["html_503", "bad_locator_400", "reset_midbody"])
def test_no_relation_is_lost_to_a_mishap(
    org: DemoOrg, client: SalesforceClient, action: str
) -> None:
    """A page that fails, or a result that falls apart, costs calls and never rows."""
    org.page_rows = 7
    org.faults.add(Fault("query_more", action, nth=2))
    found = {
        row["Id"] for page in relations.read(client, SHARED_ACTIVITIES, FIELDS) for row in page
    }

    assert set(shown(org, SHARED_ACTIVITIES)) == found


def test_a_result_that_falls_apart_every_time_is_an_error(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """Never half the relations as if they were all."""
    org.page_rows = 7
    org.faults.add(Fault("query_more", "bad_locator_400", times=1_000))

    with pytest.raises(LocatorExpiredError):
        list(relations.read(client, SHARED_ACTIVITIES, FIELDS))


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
        row["Id"] for page in relations.read(client, TASK_WHO_ID, FIELDS) for row in page
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
