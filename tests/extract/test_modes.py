"""Runs of every mode in any order, beyond the budget, after a loss, and what they cost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dlt
import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.settings import Scope
from tests.conftest import BOTH, Synced
from tests.support.oracles.oracle import KEYS
from tests.support.story import COUNTED, FULL, Story

ANYTHING = ("task_who_relation", "contact", "task", "user")


@pytest.fixture
def broad(synced: Synced) -> Iterator[Story]:
    """Provide an org with fifty active contacts, seen by one run into the same destination."""
    org = DemoOrg(contacts=200, active=50, seed=3)
    with serve(org) as server:
        session = SessionCredentials(instance_url=server.url, access_token=server.token)
        story = Story(org, Synced(synced.pipeline, session))
        story.run()
        yield story


def something_happens(org: DemoOrg) -> None:
    """Change a little of everything between two runs."""
    active = org.active_ids()
    new = min(org.rows("Contact").keys() - set(active))
    org.log_task([new, active[0]])
    org.edit("Contact", active[1], Title=f"after {org.now}")
    org.set_silently("Contact", active[2], Full_Label__c=f"after {org.now}")
    org.remove_relation(next(iter(org.rows("TaskWhoRelation"))))
    org.delete_contact(active[3])


# ---------------------------------------------------------------- any order


MODES = ("full", "since", "limit", "contact", "task_who_relation", "task,user")


def run_in(story: Story, mode: str) -> None:
    """One run in a mode, after which nothing may be false."""
    since = story.org.now - timedelta(seconds=3)
    scopes = {"full": FULL, "since": Scope(since=since), "limit": Scope(limit=3)}
    if mode in scopes:
        story.run_part(scopes[mode])
    else:
        story.run_part(only=tuple(mode.split(",")))


@pytest.mark.deep
@pytest.mark.parametrize("modes", [MODES, MODES[::-1]], ids="-".join)
def test_modes_in_any_order_break_nothing(
    org: DemoOrg, synced: Synced, modes: tuple[str, ...]
) -> None:
    """Starting from nothing, with changes in between; the default run after them makes all true."""
    story = Story(org, synced)
    for mode in modes:
        run_in(story, mode)
        something_happens(org)
    story.run()


@pytest.mark.deep
def test_a_limit_never_moves_a_cursor_past_what_it_loaded(org: DemoOrg, synced: Synced) -> None:
    """Trial after trial, then a default run that reads by stamps: no relation is skipped."""
    story = Story(org, synced)
    for limit in (1, 3, 7):
        story.run_part(replace(COUNTED, limit=limit))
    facts = story.run(COUNTED)

    assert 30 == facts["relations"]["held"]


def test_since_does_not_move_the_cursor(story: Story) -> None:
    """What was logged before a --since run, and not read by it, is read by the next default one."""
    story.org.log_task([story.org.active_ids()[0]])
    story.org.advance(86_400)
    story.org.log_task([story.org.active_ids()[1]])
    since = story.org.now - timedelta(seconds=60)
    before = cursor_of(story)
    part = story.run_part(replace(COUNTED, since=since))
    after = cursor_of(story)
    facts = story.run(COUNTED)

    assert before == after < cursor_of(story)
    assert (1, 1) == (part["relations"]["new"], facts["relations"]["new"])


def cursor_of(story: Story) -> Any:
    """Return how far the stored state says that relations were read."""
    sources: Any = story.synced.pipeline.state["sources"]
    resource = sources["salesforce_targeted"]["resources"]["task_who_relation"]
    return resource["incremental"]["SystemModstamp"]["last_value"]


@pytest.mark.deep
def test_since_does_not_move_the_cursor_of_contacts_either(story: Story) -> None:
    """An edit that a --since run leaves out is found by the next one that reads by stamps."""
    first, second = story.org.active_ids()[:2]
    story.org.edit("Contact", first, Title="before")
    story.org.advance(86_400)
    story.org.edit("Contact", second, Title="after")
    story.run_part(Scope(since=story.org.now - timedelta(seconds=60)))
    story.run_part(refresh_call_budget=0)

    assert ("before", "after") == (
        story.contact(first)["title"], story.contact(second)["title"]
    )  # fmt: skip


# ---------------------------------------------------------------- the guard against a shrinking set


def test_a_run_stops_when_nobody_is_active_any_more(story: Story) -> None:
    """Nothing is marked, whichever resources run; --allow-shrink goes on and marks all."""
    hidden = story.org.tables["TaskWhoRelation"].hidden
    hidden.update(story.org.tables["TaskWhoRelation"].changed)
    error = story.stops()
    for scope, only in ((FULL, ()), (FULL, ANYTHING[:1]), (Scope(), ANYTHING[1:2])):
        story.stops(scope, only)
    story.run(Scope(allow_shrink=True))
    left = story.held("sf_active_contacts").values()
    hidden.clear()
    facts = story.run()

    assert "--allow-shrink" in error
    assert {False} == {life["is_active"] for life in left}
    assert (0, 12) == (facts["contacts"]["new"], facts["statistics"]["active"])


@pytest.mark.deep
@pytest.mark.parametrize(("keep", "stops"), [(24, True), (25, False)])
def test_a_run_stops_when_fewer_than_half_are_active(broad: Story, keep: int, stops: bool) -> None:
    """Fifty were active: with twenty-four the run stops, with twenty-five it goes on."""
    table = broad.org.tables["TaskWhoRelation"]
    kept = set(broad.org.active_ids()[:keep])
    table.hidden.update(
        ordinal for ordinal, row in table.changed.items() if row["RelationId"] not in kept
    )
    if stops:
        assert "24 active contacts where 50 were active" in broad.stops()
    else:
        assert 25 == broad.run()["contacts"]["discovered"]


def test_a_small_set_may_shrink(story: Story) -> None:
    """Eleven of twelve left: under half, and not more than twenty."""
    kept = story.org.active_ids()[0]
    table = story.org.tables["TaskWhoRelation"]
    table.hidden.update(n for n, row in table.changed.items() if row["RelationId"] != kept)

    assert 1 == story.run()["contacts"]["discovered"]


# ---------------------------------------------------------------- beyond the refresh budget


def test_beyond_the_budget_what_was_modified_is_read(story: Story) -> None:
    """New and modified contacts and tasks arrive; formulas wait for the next whole pass."""
    org = story.org
    first, second, third = org.active_ids()[:3]
    org.edit("Contact", first, Title="modified")
    org.delete_contact(second)
    org.set_silently("Contact", third, Full_Label__c="moved")
    org.log_task([sorted(org.rows("Contact").keys() - set(org.active_ids()))[5]])
    facts = story.run_part(refresh_call_budget=0)
    before = story.contact(third)["full_label__c"]
    story.run(refresh_call_budget=0, full_refresh_days=0)

    assert ("modified", "deleted") == (
        story.contact(first)["title"], story.life(second)["gone_reason"]
    )  # fmt: skip
    assert (1, 13) == (facts["contacts"]["new"], facts["contacts"]["held"])
    assert before != story.contact(third)["full_label__c"] == "moved"
    assert any("Formula" in warning and "Contact" in warning for warning in facts["warnings"])


@pytest.mark.deep
def test_beyond_the_budget_late_edits_arrive(story: Story) -> None:
    """An edit becomes visible with a stamp ten minutes older than the newest one that is held."""
    org = story.org
    first, second = org.active_ids()[:2]
    org.edit("Contact", first, Title="in time")
    story.run()
    org.commit_late(lambda: org.edit("Contact", second, Title="late"), 600)
    story.run_part(refresh_call_budget=0)

    assert "late" == story.contact(second)["title"]


@pytest.mark.deep
def test_beyond_the_budget_a_hidden_contact_comes_back(story: Story) -> None:
    """Being shown again moves no stamp; what is known as gone is asked for in every run."""
    contact = story.org.active_ids()[0]
    story.org.hide_contact(contact)
    story.run()
    story.org.show_contact(contact)
    story.run_part(refresh_call_budget=0)

    assert story.life(contact)["gone_reason"] is None


def test_within_a_budget_of_one_call_everything_is_read(story: Story) -> None:
    """Twelve contacts are one call: the budget is not exceeded."""
    story.org.set_silently("Contact", story.org.active_ids()[0], Full_Label__c="moved")
    story.run(refresh_call_budget=1)


@pytest.mark.deep
def test_a_bump_of_the_whole_org_costs_no_more_than_a_whole_pass(
    org: DemoOrg, synced: Synced
) -> None:
    """Nine thousand modified contacts are not listed to find out about twelve."""
    org = DemoOrg(contacts=9_000, active=12, relations=40)
    with serve(org) as server:
        session = SessionCredentials(instance_url=server.url, access_token=server.token)
        story = Story(org, Synced(synced.pipeline, session))
        story.run()
        org.bump_stamps("Contact")
        org.reset_calls()
        story.run_part(refresh_call_budget=0)

        assert org.calls["query_all"] + org.calls["query_more"] <= 6


# ---------------------------------------------------------------- settings that change


@pytest.mark.deep
@BOTH
def test_a_later_start_marks_nothing_as_removed(story: Story) -> None:
    """Relations before ``since`` don't count any more, but the org still shows them."""
    table = "sf_taskwhorelations"
    before = story.held(table)
    floor = sorted(row["system_modstamp"] for row in before.values())[20]
    for _ in range(2):
        facts = story.synced.ok(since=floor.isoformat())

    assert before == story.held(table)
    assert facts["statistics"]["active"] < 12
    assert 12 == story.run()["statistics"]["active"]


@pytest.mark.deep
def test_an_earlier_start_reads_what_counts_from_now_on(org: DemoOrg, synced: Synced) -> None:
    """Leads' relations too, whose counts no discovery tells."""
    org.page_rows = 10
    stamps = sorted(row["SystemModstamp"] for row in org.rows("TaskWhoRelation").values())
    synced.ok(COUNTED, since=stamps[15])
    org.advance(7_200)
    synced.ok(COUNTED, since=stamps[0])
    held = synced.rows("sf_taskwhorelations")
    calls = synced.ok(COUNTED, since=stamps[0])["relations"]["read"]

    assert sorted(org.rows("TaskWhoRelation")) == sorted(held)
    assert calls < len(held)  # once


@pytest.mark.deep
def test_with_a_start_a_leads_relation_that_was_removed_is_marked(
    org: DemoOrg, synced: Synced
) -> None:
    """No discovery counts it: the relations that count are counted, as where all of them do."""
    org.page_rows = 10
    rows = org.rows("TaskWhoRelation")
    stamps = sorted(row["SystemModstamp"] for row in rows.values())
    synced.ok(COUNTED, since=stamps[1])
    gone = next(id_ for id_, row in rows.items() if (row["RelationId"] or "").startswith("00Q"))
    org.advance(7_200)
    org.remove_relation(gone)
    synced.ok(COUNTED, since=stamps[1])

    assert [gone] == list(synced.rows("sf_taskwhorelations", where="removed_at IS NOT NULL"))


@pytest.mark.deep
def test_a_field_of_relations_that_is_shown_again_is_true(org: DemoOrg, synced: Synced) -> None:
    """What was edited meanwhile was read without it, and no stamp tells of it any more."""
    org.page_rows = 10
    relation = min(org.rows("TaskWhoRelation"))
    synced.ok(COUNTED)
    org.hide_field("TaskWhoRelation", "AccountId")
    org.edit("TaskWhoRelation", relation, AccountId=None)
    org.advance(7_200)
    org.log_task([org.active_ids()[0]])
    synced.ok(COUNTED)
    org.show_field("TaskWhoRelation", "AccountId")
    synced.ok(COUNTED)
    repeat = synced.ok(COUNTED)

    assert synced.rows("sf_taskwhorelations")[relation]["account_id"] is None
    assert repeat["relations"]["read"] < len(org.rows("TaskWhoRelation"))


@pytest.mark.deep
def test_beyond_the_budget_lives_that_were_deleted_are_true_again(story: Story) -> None:
    """A contact that is gone has no reason where its life is missing, and is asked for."""
    deleted, hidden = story.org.active_ids()[:2]
    story.org.delete_contact(deleted)
    story.org.hide_contact(hidden)
    story.run()
    story.synced.sql("DELETE FROM sf_active_contacts")
    story.run_part(refresh_call_budget=0)

    assert ["deleted", "hidden"] == [story.life(id_)["gone_reason"] for id_ in (deleted, hidden)]


def test_beyond_the_budget_users_whom_only_unread_rows_name_are_held(
    org: DemoOrg, synced: Synced
) -> None:
    """Hardly a row is read: who is named is known from those that are held."""
    org.page_rows = 10
    synced.begin()
    synced.sql("DELETE FROM sf_users")
    synced.ok(COUNTED, refresh_call_budget=0)

    assert set(org.rows("User")) == set(synced.rows("sf_users"))


@pytest.mark.deep
def test_a_cursor_that_is_ahead_of_the_clock_is_none(org: DemoOrg, synced: Synced) -> None:
    """It was noted while the org's clock was ahead; edits of now are not behind it for a year."""
    org.page_rows = 10
    org.advance(365 * 86_400)
    contact, relation = org.active_ids()[0], min(org.rows("TaskWhoRelation"))
    org.edit("Contact", contact, Title="Of next year")
    synced.ok(COUNTED)
    org.advance(-365 * 86_400)
    synced.ok(COUNTED)  # notes when all was read by the clock of now
    org.edit("Contact", contact, Title="Now")
    org.edit("TaskWhoRelation", relation, AccountId=None)
    facts = synced.ok(COUNTED, refresh_call_budget=0)
    repeat = synced.ok(COUNTED, refresh_call_budget=0)

    assert "Now" == synced.rows("sf_contacts")[contact]["title"]
    assert synced.rows("sf_taskwhorelations")[relation]["account_id"] is None
    assert (1, 0) == (facts["relations"]["updated"], repeat["relations"]["updated"])


@pytest.mark.deep
def test_fields_that_are_taken_again_are_true(story: Story) -> None:
    """While the allow-list leaves a field out, its column keeps its values; then the org's count."""
    contact = story.org.active_ids()[0]
    story.org.edit("Contact", contact, Degree__c="Dr.")
    story.run()
    narrow = story.synced.ok(fields=["Title"])
    story.org.edit("Contact", contact, Degree__c=None)
    story.synced.ok(fields=["Title"])
    kept = story.contact(contact)["degree__c"]
    story.run()

    assert (0, "Dr.") == (narrow["contacts"]["updated"], kept)
    assert 1 == len([warning for warning in narrow["warnings"] if " degree__c, " in warning])
    assert story.contact(contact)["degree__c"] is None


def test_a_name_that_is_no_field_stops_the_run(story: Story) -> None:
    """No contact is read, and the report says which field was perhaps meant."""
    story.synced.ok()
    outcome = story.synced.run(fields=["FirstName", "Emial"])

    assert isinstance(outcome.error, ConfigurationError)
    assert 0 == outcome.facts["contacts"]["asked"]
    assert "Perhaps Email for Emial?" in str(outcome.facts["error"])


@pytest.mark.brief(1)
@pytest.mark.parametrize("field", ["RelationId", "TaskId"])
def test_a_relation_whose_ends_are_hidden_stops_the_run(story: Story, field: str) -> None:
    """Nothing is found without them: the report names the field and who can show it."""
    story.synced.ok()
    story.org.hide_field("TaskWhoRelation", field)
    outcome = story.synced.run()

    assert isinstance(outcome.error, ConfigurationError)
    assert f"TaskWhoRelation shows our user no field {field}" in str(outcome.facts["error"])
    assert "Ask a Salesforce admin" in str(outcome.facts["error"])


# ---------------------------------------------------------------- after a loss


@BOTH
def test_a_lost_working_folder_is_restored_from_the_destination(
    story: Story, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The cursor, the columns' types and the names of colliding fields come back with it."""
    story.org.add_field("Contact", "FooBar__c", "string", {story.org.active_ids()[0]: "first"})
    story.org.add_field("Contact", "Foo_Bar__c", "string", {story.org.active_ids()[0]: "second"})
    story.synced.ok()
    before = story.held("sf_contacts")
    lost = story.synced.pipeline
    lost.deactivate()
    shutil.rmtree(tmp_path / "pipelines")
    story.synced.pipeline = dlt.pipeline(
        lost.pipeline_name,
        destination=lost.destination,
        dataset_name=lost.dataset_name,
        pipelines_dir=str(tmp_path / "pipelines"),
    )
    facts = story.synced.ok(COUNTED)

    assert before == story.held("sf_contacts")
    assert facts["relations"]["read"] < 30


@pytest.mark.brief(1)
@pytest.mark.parametrize("table", sorted(KEYS))
def test_rows_that_somebody_deleted_come_back(story: Story, table: str) -> None:
    """A table is emptied behind our back: what the stored cursor would skip is read again."""
    story.synced.sql(f"DELETE FROM {table}")
    story.run(COUNTED)

    assert story.held(table)
