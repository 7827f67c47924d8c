"""A relation whose page can't be read costs itself alone, and no contact is lost or marked for it."""

from __future__ import annotations

from dataclasses import replace
from math import log2

import pytest

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.errors import QueryError, QueryTimeoutError, UnavailableError
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg, Fault, serve
from salesforce_targeted.relations import pages
from salesforce_targeted.settings import Scope
from salesforce_targeted.target import SHARED_ACTIVITIES, Junction
from tests.conftest import BOTH, Synced
from tests.support.relation_rows import JUNCTIONS, columns_in, rows_in, shown

LISTED = "SELECT object, record_id, field FROM sf_rejected_records ORDER BY 1, 2, 3"
REMOVED = "SELECT id FROM sf_taskwhorelations WHERE removed_at IS NOT NULL"


def listed(synced: Synced) -> list[tuple[str, ...]]:
    return [tuple(row) for row in synced.sql(LISTED)]


@JUNCTIONS
@pytest.mark.parametrize("place", [0, 17, -1])
def test_all_others_are_read(
    org: DemoOrg, client: SalesforceClient, junction: Junction, place: int
) -> None:
    """Wherever it is, though its page fails: each of the others once, for few calls."""
    org.shared_activities = junction is SHARED_ACTIVITIES
    rows = shown(org, junction)
    bad = sorted(rows)[place]
    org.page_rows = 7
    org.poisons.add(junction.object_name, bad)
    batches = list(pages.read(client, junction, columns_in(org, junction)))
    rejected = [r for batch in batches for r in batch.rejected]

    assert sorted(set(rows) - {bad}) == sorted(row["Id"] for row in rows_in(batches))
    assert {("TaskWhoRelation", bad, "")} == {(r.object, r.record_id, r.field) for r in rejected}


def test_a_field_of_one_relation_that_cant_be_read(org: DemoOrg, client: SalesforceClient) -> None:
    """Its row comes without the field."""
    rows = shown(org, SHARED_ACTIVITIES)
    bad = sorted(rows)[9]
    org.poisons.add("TaskWhoRelation", bad, "Type")
    batches = list(pages.read(client, SHARED_ACTIVITIES, columns_in(org)))
    rejected = [r for batch in batches for r in batch.rejected]
    relations = {row["Id"]: row for row in rows_in(batches)}

    assert rows == relations | {bad: rows[bad]}
    assert rows[bad] | {"Type": None} == relations[bad]
    assert {(bad, "Type")} == {(r.record_id, r.field) for r in rejected}


def test_it_is_found_in_few_calls(org: DemoOrg, client: SalesforceClient) -> None:
    """As many as a search by halves, where 2,000 ids lie side by side."""
    rows = sorted(shown(org, SHARED_ACTIVITIES))
    list(pages.read(client, SHARED_ACTIVITIES, columns_in(org)))
    undisturbed = org.billed
    org.poisons.add("TaskWhoRelation", rows[9], "AccountId")
    list(pages.read(client, SHARED_ACTIVITIES, columns_in(org)))
    extra = org.billed - 2 * undisturbed

    # The page is asked for five times in all, and once more before its ids are.
    assert extra <= 5 + log2(2_000) + 1


@BOTH
def test_a_run_goes_on_without_it_and_heals(org: DemoOrg, synced: Synced) -> None:
    """No contact is lost whose one relation it is, none is marked as left, and it comes back."""
    who = org.contacts.numbering.id_of(39)
    org.log_task([who])
    relations = shown(org, SHARED_ACTIVITIES)
    bad = next(id_ for id_, row in relations.items() if row["RelationId"] == who)
    org.poisons.add("TaskWhoRelation", bad)
    first = synced.ok()
    missing = set(relations) - set(synced.rows("sf_taskwhorelations"))
    contacts, rejected = synced.rows("sf_contacts"), listed(synced)
    org.poisons.clear()
    synced.ok()
    healed = listed(synced)
    org.poisons.add("TaskWhoRelation", bad)
    kept = synced.ok(Scope(full=True))

    assert {bad} == missing
    assert who in contacts
    assert [("TaskWhoRelation", bad, "*")] == rejected == listed(synced)
    assert [] == healed
    assert set(relations) == set(synced.rows("sf_taskwhorelations"))
    assert [] == synced.sql(REMOVED)
    assert ("done", "done") == (first["status"], kept["status"])


@pytest.mark.deep
def test_a_held_one_is_not_marked_removed_when_ids_are_compared(
    org: DemoOrg, synced: Synced
) -> None:
    """Another relation of its contact was removed; what can't be read is there nevertheless."""
    small = Scope(limits=replace(DOCUMENTED, rows_per_query_page=10))
    who = org.active_ids()[0]
    removed_task, _ = org.log_task([who]), org.log_task([who])
    synced.ok(small)
    of_who = {
        i: row for i, row in shown(org, SHARED_ACTIVITIES).items() if row["RelationId"] == who
    }
    gone = next(id_ for id_, row in of_who.items() if row["TaskId"] == removed_task)
    bad = next(id_ for id_ in of_who if id_ != gone)
    org.poisons.add("TaskWhoRelation", bad)
    org.delete_task(removed_task)
    synced.ok(small)

    assert {gone} == {row[0] for row in synced.sql(REMOVED)}
    assert [("TaskWhoRelation", bad, "*")] == listed(synced)


def test_a_field_that_cant_be_read_keeps_what_is_held(org: DemoOrg, synced: Synced) -> None:
    """Its row is as it was, and listed."""
    synced.begin()
    bad, row = next(iter(synced.rows("sf_taskwhorelations").items()))
    org.poisons.add("TaskWhoRelation", bad, "Type")
    synced.ok(Scope(full=True))

    assert row == synced.rows("sf_taskwhorelations")[bad]
    assert row["type"]
    assert [("TaskWhoRelation", bad, "Type")] == listed(synced)


def test_where_nothing_can_be_read_the_error_is_the_orgs() -> None:
    """No record of a thousand is blamed, and the calls are few."""
    org = DemoOrg(contacts=800, active=300, relations=1_000, seed=7)
    org.poisons.add("TaskWhoRelation", None)
    with serve(org) as server:
        asked = SessionCredentials(instance_url=server.url, access_token=server.token)
        client = SalesforceClient(asked, sleep=lambda _seconds: None)
        with pytest.raises(UnavailableError):
            list(pages.read(client, SHARED_ACTIVITIES, columns_in(org)))
        client.close()

    assert 40 > org.billed


def test_a_field_that_goes_away_while_relations_are_read(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """All rows come without it."""
    rows, of = shown(org, SHARED_ACTIVITIES), columns_in(org)
    org.poisons.add("TaskWhoRelation", None, "Type", status=400, code="INVALID_FIELD")
    batches = list(pages.read(client, SHARED_ACTIVITIES, of))

    assert sorted(rows) == sorted(row["Id"] for row in rows_in(batches))
    assert {("*", "Type")} == {(r.record_id, r.field) for batch in batches for r in batch.rejected}


def test_a_trial_of_a_few_relations_says_what_went_wrong(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """With a limit nothing is searched for."""
    org.poisons.add("TaskWhoRelation", None, "Type", status=400, code="INVALID_FIELD")
    with pytest.raises(QueryError):
        list(pages.read(client, SHARED_ACTIVITIES, columns_in(org), limit=3))


def test_a_trial_that_the_org_does_not_sort_in_time_says_what_works(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """The oldest ones can't be known then; all of them, or those since a moment, can."""
    org.faults.add(Fault("query", "query_timeout_400"))

    with pytest.raises(QueryTimeoutError, match="use --since instead, or neither"):
        list(pages.read(client, SHARED_ACTIVITIES, columns_in(org), limit=3))


def test_what_can_not_be_read_in_one_of_several_ranges_is_listed(
    org: DemoOrg, synced: Synced
) -> None:
    """As where all relations are read in one; else it would be missing without a word."""
    bad = sorted(org.rows("TaskWhoRelation"))[9]
    org.poisons.add("TaskWhoRelation", bad)
    synced.ok(Scope(limits=replace(DOCUMENTED, rows_per_query_page=3)))

    assert [("TaskWhoRelation", bad, "*")] == listed(synced)


def test_what_can_not_be_read_does_not_have_its_contact_compared_by_each_run(
    org: DemoOrg, synced: Synced
) -> None:
    """As many relations are missing as can't be read: a repeat tries that one, and no more."""
    small = Scope(limits=replace(DOCUMENTED, rows_per_query_page=10))
    who = org.active_ids()[0]
    bad = next(id_ for id_, row in org.rows("TaskWhoRelation").items() if row["RelationId"] == who)
    org.poisons.add("TaskWhoRelation", bad)
    synced.ok(small)
    org.advance(86_400)
    synced.ok(small)
    org.reset_calls()
    synced.ok(small)

    assert [("TaskWhoRelation", bad, "*")] == listed(synced)
    assert 5 >= org.billed
