"""Runs of a few calls each arrive, whatever they are kept busy with: nothing waits for ever."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.settings import Scope
from tests.conftest import Synced

# What one call takes, so little that a run of the tiny org takes dozens.
SMALL = Scope(
    limits=replace(DOCUMENTED, rows_per_query_page=4, groups_per_query=4, ids_per_collection=3)
)


def state(synced: Synced) -> dict[str, Any]:
    """Return what the source keeps from run to run."""
    sources: Any = synced.pipeline.state["sources"]
    return dict(sources["salesforce_targeted"])


def stamps(rows: dict[str, dict[str, Any]], name: str) -> dict[str, str]:
    """Return the stamp of each row, to the second."""
    return {id_: str(row[name])[:19].replace("T", " ") for id_, row in rows.items()}


@pytest.mark.deep
def test_what_was_modified_arrives_by_runs_that_can_not_read_all_of_it(
    org: DemoOrg, synced: Synced
) -> None:
    """A system job bumps every relation: they are read in turns, and records get their calls, too."""
    org.page_rows = 4
    synced.ok(SMALL)
    org.advance(86_400)
    org.bump_stamps("TaskWhoRelation")
    new = org.add_contact(LastName="New")
    org.log_task([new])
    for _ in range(6):
        synced.run(SMALL, calls_per_run=8, api="collections")
        org.advance(1_200)

    assert "relations_read" not in state(synced)
    assert stamps(org.rows("TaskWhoRelation"), "SystemModstamp") == stamps(
        synced.rows("sf_taskwhorelations"), "system_modstamp"
    )
    assert new in synced.rows("sf_contacts")


@pytest.mark.deep
def test_relations_that_were_dropped_are_filled_by_runs_of_few_calls(
    org: DemoOrg, synced: Synced
) -> None:
    """There is a cursor, and nothing behind it: all of them are read again, in turns."""
    org.page_rows = 4
    for _ in range(30):  # the last ones alone lie within the lag
        org.advance(1_200)
        org.log_task([org.active_ids()[0]])
    synced.ok(SMALL)
    synced.sql("DROP TABLE sf_taskwhorelations")
    for _ in range(6):
        synced.run(SMALL, calls_per_run=16, api="collections")

    assert sorted(org.rows("TaskWhoRelation")) == sorted(synced.rows("sf_taskwhorelations"))


@pytest.mark.deep
def test_new_contacts_that_are_hidden_do_not_hold_up_those_behind_them(
    org: DemoOrg, synced: Synced
) -> None:
    """What became of those that a plain read leaves out is asked before more are read."""
    scope = Scope(limits=replace(DOCUMENTED, ids_per_collection=1))
    active = sorted(org.active_ids())
    for id_ in active[:6]:
        org.hide_contact(id_)
    for _ in range(3):
        synced.run(scope, calls_per_run=9, api="collections")

    assert active[6:] == sorted(synced.rows("sf_contacts"))
    assert active[:6] == sorted(
        synced.rows("sf_active_contacts", "contact_id", "gone_reason = 'hidden'")
    )


@pytest.mark.deep
def test_a_field_that_a_part_of_a_pass_was_read_without_is_read_again(
    org: DemoOrg, synced: Synced
) -> None:
    """The pass takes several runs, and the last of them can read the field: the first rows wait."""
    scope = Scope(limits=replace(DOCUMENTED, ids_per_collection=2))
    few = {"refresh_call_budget": 1, "api": "collections"}
    for _ in range(12):
        org.log_task([org.add_contact(LastName="One more")])
    synced.ok(scope, **few)
    active = sorted(org.active_ids())
    for id_ in active:
        org.edit("Contact", id_, Title="New")
    org.advance(7_200)  # the cursor passes the edits
    org.edit("Contact", active[-1], Department="Later")
    org.advance(60)
    org.poisons.add("Contact", field="Title", status=400, code="INVALID_FIELD")
    only = ("contact", "contact_life", "rejected_record", "sync_run")
    for allowed in range(10, 30, 2):
        cut = synced.run(replace(scope, full=True), only, calls_per_run=allowed, **few)
        rejected = synced.rows("sf_rejected_records", "record_id")
        if "*" in rejected and "position" in state(synced)["refresh"]["sf_contacts"]:
            break
    org.poisons.clear()
    while synced.run(scope, only, calls_per_run=allowed, **few).error is not None:
        allowed += 1
    synced.ok(scope, **few)

    assert "partial" == cut.facts["status"]
    assert "*" in rejected
    assert {"New"} == {row["title"] for row in synced.rows("sf_contacts").values()}
    assert {} == synced.rows("sf_rejected_records", "record_id")


@pytest.mark.deep
def test_an_archived_task_that_was_hidden_is_called_so_and_noticed_when_it_is_shown(
    org: DemoOrg, synced: Synced
) -> None:
    """Beyond the budget: the row that is held says archived, and the task may be edited meanwhile."""
    few = {"refresh_call_budget": 1, "api": "collections"}
    synced.ok(SMALL, **few)
    task = next(id_ for id_ in synced.rows("sf_activities") if id_ in org.rows("Task"))
    org.archive_task(task)
    synced.ok(SMALL, **few)
    org.hide_task(task)
    synced.ok(replace(SMALL, full=True), **few)
    hidden = synced.ok(SMALL, **few)["closure"]["task_ids"]
    org.edit("Task", task, Subject="Edited while it was hidden")
    for days in (1, 1):  # the cursor passes the edit
        org.advance(86_400 * days)
        org.edit("Task", max(org.rows("Task")), Subject=f"Later by {days}")
        synced.ok(SMALL, **few)
    org.show_task(task)
    synced.ok(SMALL, **few)

    assert (True, False) == (task in hidden["hidden"], task in hidden["archived"])
    assert "Edited while it was hidden" == synced.rows("sf_activities")[task]["subject"]


@pytest.mark.deep
def test_relations_older_than_what_counts_are_not_waited_for(org: DemoOrg, synced: Synced) -> None:
    """With ``since`` configured and a column dropped, one run reads all that count, and no other."""
    limits = Scope(limits=replace(DOCUMENTED, rows_per_query_page=4))
    synced.ok(limits)
    org.advance(60)
    since = f"{org.now:%Y-%m-%dT%H:%M:%SZ}"
    for _ in range(8):
        org.advance(1_200)
        org.log_task([org.active_ids()[0]])
    synced.ok(limits, since=since)
    synced.sql("ALTER TABLE sf_taskwhorelations DROP COLUMN account_id")
    read = [synced.ok(limits, since=since)["relations"]["read"] for _ in range(2)]

    assert 8 == read[0]
    assert read[1] < read[0]


@pytest.mark.deep
def test_a_full_run_reads_what_a_full_run_that_was_cut_short_had_read(
    org: DemoOrg, synced: Synced
) -> None:
    """With calls enough it begins again: what no stamp tells of may lie before the position."""
    org.page_rows = 4
    synced.ok(SMALL)
    synced.run(replace(SMALL, full=True), calls_per_run=6, api="collections")
    reading = state(synced)["relations_read"]
    relation = min(org.rows("TaskWhoRelation"))
    org.set_silently("TaskWhoRelation", relation, Type="Lead")
    synced.ok(replace(SMALL, full=True))

    assert relation < reading["after"]
    assert "Lead" == synced.rows("sf_taskwhorelations")[relation]["type"]


@pytest.mark.deep
def test_a_whole_pass_that_was_noted_by_a_clock_that_was_ahead_is_due(
    org: DemoOrg, synced: Synced
) -> None:
    """The org's clock counts; a moment in its future says nothing of when a pass was."""
    few = {"refresh_call_budget": 1, "api": "collections"}
    org.advance(365 * 86_400)
    synced.ok(SMALL, **few)
    org.advance(-365 * 86_400)
    contact = org.active_ids()[0]
    org.set_silently("Contact", contact, Full_Label__c="No stamp tells")
    synced.ok(SMALL, **few)

    assert "No stamp tells" == synced.rows("sf_contacts")[contact]["full_label__c"]


@pytest.mark.deep
def test_a_record_that_can_not_be_read_does_not_hold_up_the_others(
    org: DemoOrg, synced: Synced
) -> None:
    """A search that the calls end before its end has read most; the next run asks for the rest."""
    for _ in range(40):
        org.log_task([org.add_contact(LastName="One more")])
    bad, *rest = sorted(org.active_ids())
    org.poisons.add("Contact", bad)
    for _ in range(4):
        synced.run(calls_per_run=7, api="collections")

    assert rest == sorted(synced.rows("sf_contacts"))
    assert [bad] == list(
        synced.rows("sf_active_contacts", "contact_id", "gone_reason = 'rejected'")
    )


@pytest.mark.deep
def test_small_pages_do_not_keep_the_runs_busy_with_relations(org: DemoOrg, synced: Synced) -> None:
    """A page may hold fewer rows than the most: what takes several calls is not read by each run."""
    for _ in range(20):
        org.log_task([org.active_ids()[0]])
    org.advance(86_400)
    org.log_task([org.active_ids()[1]])  # the others lie before the lag
    org.page_rows = 5
    synced.ok()
    edited = org.active_ids()
    for id_ in edited:
        org.edit("Contact", id_, LastName="Edited")
    statuses = [synced.run(calls_per_run=6, api="collections").facts["status"] for _ in range(3)]

    assert {"Edited"} == {row["last_name"] for row in synced.rows("sf_contacts").values()}
    assert "done" in statuses


@pytest.mark.deep
def test_a_list_of_what_was_modified_that_a_run_can_not_read_is_not_begun_by_each(
    org: DemoOrg, synced: Synced
) -> None:
    """Beyond the budget, most were modified: all are read in turns, and new ones do not wait."""
    scope = Scope(limits=replace(DOCUMENTED, ids_per_collection=3))
    few = {"refresh_call_budget": 1, "api": "collections"}
    only = ("contact", "contact_life", "rejected_record", "sync_run")
    synced.ok(scope, **few)
    org.advance(86_400)
    for id_ in org.active_ids():
        org.edit("Contact", id_, LastName="Edited")
    org.page_rows = 4
    for _ in range(3):
        synced.run(scope, only, calls_per_run=4, **few)

    assert {"Edited"} == {row["last_name"] for row in synced.rows("sf_contacts").values()}


@pytest.mark.deep
def test_tables_that_the_calls_did_not_suffice_for_come_with_the_next_runs(
    org: DemoOrg, synced: Synced
) -> None:
    """Not every run begins with what was modified of the first table, or users would never come."""
    few = {"refresh_call_budget": 1, "api": "collections"}
    synced.ok(SMALL, **few)
    org.advance(86_400)
    user = min(synced.rows("sf_users"))
    org.edit("User", user, Department="Edited")
    statuses = [synced.run(SMALL, calls_per_run=9, **few).facts["status"] for _ in range(3)]
    contact = min(synced.rows("sf_contacts"))
    org.edit("Contact", contact, LastName="Edited meanwhile")
    synced.run(SMALL, calls_per_run=9, **few)

    assert ["partial", "partial", "done"] == statuses
    assert "Edited" == synced.rows("sf_users")[user]["department"]
    assert "Edited meanwhile" == synced.rows("sf_contacts")[contact]["last_name"]


def test_a_list_or_a_record_that_is_answered_with_500_is_asked_for_twice_alone(
    org: DemoOrg, synced: Synced
) -> None:
    """A 500 that stays is of a record's making: five tries of it would be all that a run may spend."""
    synced.begin()
    bad = org.active_ids()[0]
    org.poisons.add("Contact", bad)
    org.delete_contact(bad)
    org.reset_calls()
    synced.ok(refresh_call_budget=0)
    asked = Counter(path for _, path in org.requests if "/queryAll" in path)

    assert 2 == max(asked.values())


@pytest.mark.deep
def test_records_that_can_not_be_read_wait_for_new_ones(org: DemoOrg, synced: Synced) -> None:
    """To search them again takes all the calls of a run, and of each run to come."""
    scope = Scope(limits=replace(DOCUMENTED, ids_per_collection=3))
    bad = sorted(org.active_ids())[:2]
    for id_ in bad:
        org.poisons.add("Contact", id_)
    synced.ok(scope)
    new = [org.add_contact(LastName="New") for _ in range(3)]
    org.log_task(new)
    for _ in range(2):
        synced.run(scope, calls_per_run=6, api="collections")

    assert {*new} <= synced.rows("sf_contacts").keys()


@pytest.mark.deep
def test_a_record_that_takes_more_calls_than_planned_is_not_searched_for_among_held_ones(
    org: DemoOrg, synced: Synced
) -> None:
    """The calls seem to suffice for all, and end over one: the next run begins with the others."""
    for _ in range(120):
        org.log_task([org.add_contact(LastName="One more")])
    active = sorted(org.active_ids())
    org.poisons.add("Contact", bad := active[len(active) // 2])
    for _ in range(4):
        synced.run(calls_per_run=6, api="collections")

    assert set(active) - {bad} == set(synced.rows("sf_contacts"))
    assert {bad} == set(synced.rows("sf_rejected_records", "record_id"))
    assert synced.rows("sf_activities")


@pytest.mark.deep
@pytest.mark.parametrize("more", [None, 10])
def test_what_was_edited_behind_a_pass_that_was_cut(
    org: DemoOrg, synced: Synced, more: int | None
) -> None:
    """A run of many more calls reads all again; one that ends the pass says what it did not read."""
    synced.ok(SMALL)
    first = min({*org.active_ids()} & org.rows("Contact").keys())
    synced.run(SMALL, calls_per_run=8, api="collections")
    org.edit("Contact", first, LastName="Edited behind it")
    org.advance(60)
    for _ in range(9):
        facts = synced.run(SMALL, calls_per_run=more, api="collections").facts
        if facts["status"] == "done":
            break
    told = [text for text in facts["warnings"] if "what was edited since comes with" in text]

    assert "done" == facts["status"]
    assert bool(more) is any(text.startswith("Contact: ") for text in told), facts["warnings"]
    assert bool(more) is (synced.rows("sf_contacts")[first]["last_name"] != "Edited behind it")
    assert not synced.ok(SMALL, api="collections")["warnings"]
    assert "Edited behind it" == synced.rows("sf_contacts")[first]["last_name"]
