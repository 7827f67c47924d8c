"""An org where people work while a run reads it: nothing lost, nothing twice, nothing stale."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import dlt
import pytest

from salesforce_targeted import salesforce_targeted
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.extract.org_changes import ChangedOrgError
from salesforce_targeted.settings import Scope
from tests.conftest import BOTH, Synced

# What one call takes, so little that a run of the tiny org takes many.
SMALL = replace(DOCUMENTED, rows_per_query_page=4, groups_per_query=4, ids_per_collection=3)
SMALL_SCOPE = Scope(limits=SMALL)


def held(synced: Synced, table: str) -> list[str]:
    """Return all ids of a table, each as often as it is held."""
    return sorted(row[0] for row in synced.sql(f"SELECT id FROM {table}"))


def shown(org: DemoOrg, name: str) -> list[str]:
    """Return the ids that the org shows of an object."""
    return sorted(org.rows(name))


@BOTH
def test_a_relation_on_two_pages_is_held_once_and_none_is_missing(
    org: DemoOrg, synced: Synced
) -> None:
    """Rows move from page to page while they are read, and the sum still fits."""
    org.page_rows = 8
    org.moves.shift_pages("TaskWhoRelation", 3, queries=50)
    synced.ok(Scope(full=True))

    assert shown(org, "TaskWhoRelation") == held(synced, "sf_taskwhorelations")


@pytest.mark.deep
def test_a_relation_that_no_page_shows_is_not_marked_as_removed(
    org: DemoOrg, synced: Synced
) -> None:
    """A gap between two pages looks like a removal; asked for by its id, the relation is there."""
    synced.begin()
    org.page_rows = 8
    org.moves.shift_pages("TaskWhoRelation", -2, queries=50)
    facts = synced.ok(Scope(full=True))
    marked = synced.sql("SELECT id FROM sf_taskwhorelations WHERE removed_at IS NOT NULL")

    assert [] == list(marked)
    assert 0 == facts["relations"]["removed"]


@pytest.mark.deep
def test_a_relation_that_is_back_when_it_is_asked_for_is_not_marked_as_removed(
    org: DemoOrg, synced: Synced
) -> None:
    """Its task is undeleted between the reading of all relations and the question for this one."""
    synced.begin()
    relation, row = next(
        (id_, row) for id_, row in org.rows("TaskWhoRelation").items() if row["RelationId"]
    )
    org.delete_task(row["TaskId"])
    org.moves.before_call("query", lambda: org.undelete_task(row["TaskId"]))
    synced.ok()
    rows = synced.sql(f"SELECT removed_at FROM sf_taskwhorelations WHERE id = '{relation}'")

    assert [(None,)] == [*map(tuple, rows)]


def test_what_is_edited_while_a_run_reads_arrives_with_the_next_one(
    org: DemoOrg, synced: Synced
) -> None:
    """Beyond the budget only what was modified is read: no cursor passes the reading's beginning."""
    settings: dict[str, Any] = {"refresh_call_budget": 1, "api": "collections"}
    synced.ok(SMALL_SCOPE, **settings)
    early, late = org.active_ids()[0], org.active_ids()[-1]
    org.advance(3_600)
    for id_ in org.active_ids():
        org.edit("Contact", id_, Title="Read again")

    def while_it_reads() -> None:
        org.edit("Contact", early, Title="Edited after it was read")
        org.advance(7_200)
        org.edit("Contact", late, Title="An hour later")

    org.moves.before_call("collections", while_it_reads, nth=3)
    synced.ok(SMALL_SCOPE, **settings)
    synced.ok(SMALL_SCOPE, **settings)
    rows = synced.rows("sf_contacts")

    assert ["Edited after it was read", "An hour later"] == [
        rows[id_]["title"] for id_ in (early, late)
    ]


@pytest.mark.deep
@pytest.mark.parametrize("allowed", [12, 8, 5])
def test_small_allowances_arrive(org: DemoOrg, synced: Synced, allowed: int) -> None:
    """Runs of a few calls each end in the complete set: what is not held comes first."""
    named = {row["TaskId"] for row in org.rows("TaskWhoRelation").values()}
    shown_tasks = org.rows("Task", all_rows=True, ids=named)
    tasks = sorted(id_ for id_, row in shown_tasks.items() if not row["IsDeleted"])
    for _ in range(40):
        synced.run(SMALL_SCOPE, calls_per_run=allowed, api="collections")
        if tasks == sorted(synced.rows("sf_activities")):
            break
    else:
        pytest.fail("the tasks never came")

    assert shown(org, "TaskWhoRelation") == held(synced, "sf_taskwhorelations")
    assert sorted(org.active_ids()) == held(synced, "sf_contacts")


@pytest.mark.deep
def test_a_pass_of_few_calls_goes_on_where_the_last_one_ended(org: DemoOrg, synced: Synced) -> None:
    """No contact is read twice before each was read once."""
    synced.ok(SMALL_SCOPE)
    org.advance(86_400)
    for id_ in org.active_ids():
        org.edit("Contact", id_, Title="New")
    before = org.billed
    for _ in range(6):
        synced.run(SMALL_SCOPE, calls_per_run=7, api="collections")
    rows = synced.rows("sf_contacts")

    assert {"New"} == {rows[id_]["title"] for id_ in org.active_ids()}
    assert org.billed - before <= 6 * 7


def test_a_junction_that_is_hidden_for_one_run_stops_it_before_anything_is_written(
    org: DemoOrg, synced: Synced
) -> None:
    """A permission was lost: no relation is marked, no task stands in for one, and it heals."""
    synced.begin()
    before = synced.rows("sf_taskwhorelations")
    org.shared_activities = False
    stopped = synced.run()
    after = synced.rows("sf_taskwhorelations")
    org.shared_activities = True
    repeat = synced.ok()

    assert isinstance(stopped.error, ChangedOrgError)
    assert "no longer shows TaskWhoRelation" in stopped.facts["error"]
    assert before == after
    assert 0 == repeat["relations"]["removed"]


@pytest.mark.deep
def test_who_works_costs_no_comparison_of_everything(org: DemoOrg, synced: Synced) -> None:
    """A task is logged with a lead between the first call and the reading: a few calls, none marked."""
    synced.ok(SMALL_SCOPE)
    quiet = synced.ok(SMALL_SCOPE)["calls"]["by_kind"].get("query", 0)
    lead = min(org.rows("Lead"))
    org.moves.before_call("query", lambda: org.log_task([lead]))
    busy = synced.ok(SMALL_SCOPE)
    last = synced.ok(SMALL_SCOPE)

    assert busy["calls"]["by_kind"].get("query", 0) <= quiet + 2
    assert [0, 0] == [facts["relations"]["removed"] for facts in (busy, last)]
    assert shown(org, "TaskWhoRelation") == held(synced, "sf_taskwhorelations")


@pytest.mark.deep
@pytest.mark.parametrize("whose", ["a lead's", "a contact's"])
def test_a_relation_removed_among_many_is_found_by_counting_ranges(
    org: DemoOrg, synced: Synced, whose: str
) -> None:
    """No page of ids is read but that in which it was."""
    person = min(org.rows("Lead")) if whose == "a lead's" else org.active_ids()[0]
    task = org.log_task([person])
    org.advance(86_400)
    org.log_task([org.active_ids()[1]])
    synced.ok(SMALL_SCOPE)
    org.delete_task(task)
    facts = synced.ok(SMALL_SCOPE)

    assert 1 == facts["relations"]["removed"]


def test_a_window_with_an_end_is_refused_before_the_first_call(
    org: DemoOrg, synced: Synced
) -> None:
    """Dlt's end_value would make what is held beyond the window look removed."""
    source = salesforce_targeted(synced.credentials)
    source.task_who_relation.apply_hints(
        incremental=dlt.sources.incremental(
            "SystemModstamp",
            initial_value=datetime.fromisoformat("2020-01-01T00:00:00+00:00"),
            end_value=datetime.fromisoformat("2020-01-02T00:00:00+00:00"),
        )
    )

    with pytest.raises(Exception, match="a window with an end"):
        synced.pipeline.run(source)
    assert 0 == org.billed


def test_most_contacts_hidden_at_once_are_warned_of(org: DemoOrg, synced: Synced) -> None:
    """A permission may have been lost: their relations are still shown, so nothing shrinks."""
    org.log_task([org.add_contact(LastName=f"Added {number}") for number in range(20)])
    synced.ok()
    for contact in org.active_ids()[:25]:
        org.hide_contact(contact)
    hidden, repeat = synced.ok(), synced.ok()
    kept = synced.sql("SELECT count(*) FROM sf_contacts")

    assert [text for text in hidden["warnings"] if "25 of 32 Contacts" in text]
    assert not [text for text in repeat["warnings"] if "hidden from our user" in text]
    assert [(32,)] == [tuple(row) for row in kept]
