"""What an org does, one row of the design's table at a time: what the next default run makes of it.

Each run is compared with the oracle, cell by cell; the tests add what a reader wants to see.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import BOTH, Synced
from tests.oracle import Row
from tests.story import FULL, Story


@pytest.fixture
def story(org: DemoOrg, synced: Synced) -> Story:
    """An org that one run has seen."""
    story = Story(org, synced)
    story.run()
    return story


def passive(org: DemoOrg, at: int = 0) -> str:
    """A contact that nobody has logged a task on."""
    return sorted(org.rows("Contact").keys() - set(org.active_ids()))[at]


def newly_active(story: Story, tasks: int = 1) -> tuple[str, list[str]]:
    """A contact with tasks of its own, held; the contact and the tasks."""
    contact = passive(story.org)
    logged = [story.org.log_task([contact]) for _ in range(tasks)]
    story.run()
    return contact, logged


def relation_of(org: DemoOrg, contact: str) -> str:
    """The id of a relation that points at a contact."""
    rows = org.rows("TaskWhoRelation")
    return next(id_ for id_, row in rows.items() if row["RelationId"] == contact)


# ---------------------------------------------------------------- values


@BOTH
def test_a_task_on_an_old_contact_makes_it_held(story: Story) -> None:
    """The contact, last modified long ago, is held with all its fields, the task and relation too."""
    contact = passive(story.org)
    story.org.log_task([contact])
    facts = story.run()

    assert 1 == facts["contacts"]["new"]
    assert story.life(contact)["is_active"]


def test_an_edit_without_a_new_relation_arrives(story: Story) -> None:
    """A held contact, a held task and a held user are edited; nothing else happens."""
    contact = story.org.active_ids()[0]
    story.org.edit("Contact", contact, Title="Chief")
    story.org.edit("Task", next(iter(story.held("sf_activities"))), Subject="Renamed")
    story.org.edit("User", next(iter(story.held("sf_users"))), Department="Renamed")
    facts = story.run()

    assert 1 == facts["contacts"]["updated"]
    assert "Chief" == story.contact(contact)["title"]
    assert (1, 1) == (facts["tasks"]["updated"], facts["users"]["updated"])


@BOTH
def test_a_value_that_moves_without_a_stamp_arrives(story: Story) -> None:
    """A formula of a contact, and an account's tier that contacts show by a cross-object formula."""
    first, second = story.org.active_ids()[:2]
    story.org.set_silently("Contact", first, Full_Label__c="moved")
    story.org.set_silently("Account", story.contact(second)["account_id"], Tier__c="Tin")
    story.run()

    assert "moved" == story.contact(first)["full_label__c"]
    assert "Tin" == story.contact(second)["account_tier__c"]


@BOTH
def test_a_new_field_gets_a_typed_column_with_values_on_old_rows(story: Story) -> None:
    """Also where no row has a value yet, and the table is not touched otherwise."""
    contact = story.org.active_ids()[0]
    story.org.add_field("Contact", "Rate__c", "double", {contact: 0.25})
    story.org.add_field("Contact", "Empty__c", "date")
    story.org.add_field("Task", "Empty__c", "int")
    facts = story.run()
    columns = story.synced.pipeline.default_schema.tables["sf_contacts"]["columns"]

    assert 1 == facts["contacts"]["updated"]
    assert 0.25 == story.contact(contact)["rate__c"]
    assert ("double", "date") == (
        columns["rate__c"]["data_type"],
        columns["empty__c"]["data_type"],
    )
    assert {None} == {row["empty__c"] for row in story.held("sf_activities").values()}


@BOTH
@pytest.mark.parametrize("gone", ["hide_field", "drop_field"])
def test_a_field_that_goes_away_keeps_its_values(story: Story, gone: str) -> None:
    """Its column stays as it was while the rest of the rows moves on, and a warning names it."""
    contact, other = story.org.active_ids()[:2]
    story.org.edit("Contact", contact, Degree__c="Dr.")
    story.run()
    getattr(story.org, gone)("Contact", "Degree__c")
    story.org.edit("Contact", contact, Title="Chief")
    facts = story.run()

    assert ("Dr.", "Chief") == (
        story.contact(contact)["degree__c"],
        story.contact(contact)["title"],
    )
    assert 1 == facts["contacts"]["updated"]
    assert any("degree__c" in warning for warning in facts["warnings"])
    assert story.contact(other)["title"] == story.org.rows("Contact")[other]["Title"]


@pytest.mark.parametrize("name", ["Contact", "Task", "TaskWhoRelation"])
def test_a_field_that_comes_back_empty_is_empty(story: Story, name: str) -> None:
    """What was kept while the field was hidden does not outlive its return."""
    field = {"Contact": "Degree__c", "Task": "Subject", "TaskWhoRelation": "AccountId"}[name]
    ids = sorted(story.org.rows(name))
    for id_ in ids:
        story.org.edit(name, id_, **{field: "0015g0000005BAAAA2"})
    story.run()
    story.org.hide_field(name, field)
    for id_ in ids:
        story.org.edit(name, id_, **{field: None})
    story.run()
    story.org.show_field(name, field)
    story.run(FULL)  # relations are read by their stamps otherwise, which do not move


def test_a_dropped_field_made_anew_starts_empty(story: Story) -> None:
    """An admin deletes a field and makes another one of the same name."""
    contact = story.org.active_ids()[0]
    story.org.add_field("Contact", "Tag__c", "string", {contact: "old"})
    story.run()
    story.org.drop_field("Contact", "Tag__c")
    story.run()
    story.org.add_field("Contact", "Tag__c", "string")
    story.run()

    assert story.contact(contact)["tag__c"] is None


TYPE_CHANGES: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("Degree__c", "double", lambda text: float(len(text))),
    ("Market_Share__c", "string", lambda share: f"about {share}"),
    ("Rank__c", "double", lambda rank: rank + 0.5),
    ("Active__c", "string", lambda flag: "yes" if flag else "no"),
    ("First_Contact__c", "datetime", lambda day: f"{day}T10:00:00.000+0000"),
    ("Last_Visit__c", "date", lambda moment: moment[:10]),
]


@BOTH
@pytest.mark.parametrize(("field", "kind", "convert"), TYPE_CHANGES, ids=lambda x: str(x)[:18])
def test_a_field_that_changes_type_stops_nothing(
    story: Story, field: str, kind: str, convert: Callable[[Any], Any]
) -> None:
    """Values land where the column can hold them; a warning names the field and what to do."""
    story.org.change_field_type("Contact", field, kind, convert)
    contact = story.org.active_ids()[0]
    story.org.edit("Contact", contact, Title="Chief")
    facts = story.run()

    assert "Chief" == story.contact(contact)["title"]
    assert any(field in warning and "migrate" in warning for warning in facts["warnings"])


@BOTH
def test_two_fields_of_one_column_name_never_swap(story: Story) -> None:
    """Both are held; which has the plain name stays, whatever order describe lists them in."""
    contact = story.org.active_ids()[0]
    story.org.add_field("Contact", "FooBar__c", "string", {contact: "first"})
    story.run()
    story.org.add_field("Contact", "Foo_Bar__c", "string", {contact: "second"})
    entries = story.org.tables["Contact"].entries
    found = []
    for _ in range(2):
        entries["FooBar__c"] = entries.pop("FooBar__c")  # now it is the last one
        story.synced.ok()
        row = story.contact(contact)
        found.append({name: row[name] for name in row if name.startswith("foo_bar__c")})
    story.org.hide_field("Contact", "FooBar__c")
    story.synced.ok()
    hidden = story.contact(contact)

    assert found[0] == found[1]
    assert "first" == found[0]["foo_bar__c"]
    assert ["first", "second"] == sorted(found[0].values())
    assert found[0] == {name: hidden[name] for name in found[0]}


# ---------------------------------------------------------------- relations and tasks


def test_a_contact_whose_relation_is_removed_stays_and_stays_true(story: Story) -> None:
    """It leaves the active set; its row is kept, and an edit after that arrives."""
    contact, _ = newly_active(story)
    story.org.remove_relation(relation_of(story.org, contact))
    facts = story.run()
    left = story.life(contact)
    story.org.edit("Contact", contact, Title="Left")
    story.run()

    assert (1, 30) == (facts["relations"]["removed"], facts["relations"]["held"])
    assert (False, 0, "relation_removed") == (
        left["is_active"], left["relation_count"], left["left_reason"]
    )  # fmt: skip
    assert "Left" == story.contact(contact)["title"]


@BOTH
@pytest.mark.parametrize(
    ("change", "reason"),
    [("delete_task", "task_deleted"), ("archive_task", "task_archived")],
)
def test_why_a_relation_vanished(story: Story, change: str, reason: str) -> None:
    """Deleted and archived tasks take their relations out of sight; which of the two is said."""
    contact, tasks = newly_active(story)
    getattr(story.org, change)(tasks[0])
    story.run()
    (relation,) = story.relations_of(contact).values()

    assert reason == relation["removed_reason"] == story.life(contact)["left_reason"]
    assert tasks[0] in story.held("sf_activities")


@BOTH
def test_an_undeleted_task_brings_its_relation_back(story: Story) -> None:
    """The relation comes back with its old stamp, long before the cursor."""
    contact, tasks = newly_active(story)
    story.org.delete_task(tasks[0])
    story.run()
    story.org.advance(86_400)
    story.org.bump_stamps("TaskWhoRelation", [relation_of(story.org, story.org.active_ids()[0])])
    story.run()
    story.org.undelete_task(tasks[0])
    story.run()
    (relation,) = story.relations_of(contact).values()

    assert (None, None) == (relation["removed_at"], relation["removed_reason"])
    assert (True, None) == (story.life(contact)["is_active"], story.life(contact)["left_at"])


def test_one_relation_removed_while_another_comes_back(story: Story) -> None:
    """All counts are as before, contact by contact, and yet two rows have changed."""
    contact, tasks = newly_active(story, tasks=2)
    story.org.delete_task(tasks[0])
    story.run()
    story.org.delete_task(tasks[1])
    story.org.undelete_task(tasks[0])
    story.run()

    assert {None, "task_deleted"} == {
        row["removed_reason"] for row in story.relations_of(contact).values()
    }


def test_a_relation_moves_with_a_stamp_older_than_the_lag(story: Story) -> None:
    """It points at another contact although no read by stamps shows it."""
    contact, _ = newly_active(story)
    other = story.org.active_ids()[0]
    story.org.advance(86_400)
    story.org.bump_stamps("TaskWhoRelation", [relation_of(story.org, other)])
    story.run()
    story.org.set_silently("TaskWhoRelation", relation_of(story.org, contact), RelationId=other)
    story.run()

    assert {} == story.relations_of(contact)
    assert "relation_removed" == story.life(contact)["left_reason"]


def test_a_purged_task_is_kept_as_it_last_was(story: Story) -> None:
    """Neither its relation nor its row is lost when no API shows them again."""
    contact, tasks = newly_active(story)
    story.org.delete_task(tasks[0])
    story.org.purge_task(tasks[0])
    story.run()

    assert tasks[0] in story.held("sf_activities")
    assert "task_deleted" == story.life(contact)["left_reason"]


def test_a_contact_whose_every_task_is_archived_before_the_first_run(
    org: DemoOrg, synced: Synced
) -> None:
    """Nothing shows that it was ever active: it is not held, and nothing breaks."""
    contact = org.active_ids()[0]
    for row in list(org.rows("TaskWhoRelation").values()):
        if row["RelationId"] == contact:
            org.archive_task(row["TaskId"])
    story = Story(org, synced)
    story.run()

    assert contact not in story.held("sf_contacts")


def test_hidden_tasks_and_users_are_kept(story: Story) -> None:
    """What our user may no longer see stays as it last was, and is true again when shown."""
    task = next(iter(story.org.rows("Task")))
    user = story.org.tables["User"]
    story.org.hide_task(task)
    user.hidden.add(1)
    facts = story.run()
    story.org.edit("Task", task, Subject="while hidden")
    story.org.edit("User", user.numbering.id_of(1), Department="while hidden")
    story.run()
    story.org.show_task(task)
    user.hidden.clear()
    story.run()

    assert task in facts["closure"]["task_ids"]["hidden"]
    assert "while hidden" == story.held("sf_activities").get(task, {}).get("subject")
    assert "while hidden" == story.held("sf_users")[user.numbering.id_of(1)]["department"]


@pytest.mark.parametrize("late", [300, 900])
def test_rows_that_commit_late_are_loaded(story: Story, late: int) -> None:
    """A task, an edit, a merge and a deletion, with stamps up to the lag in the past."""
    org = story.org
    first, second, third, *_ = org.active_ids()
    org.commit_late(lambda: org.log_task([passive(org)]), late)
    org.commit_late(lambda: org.edit("Contact", first, Title="late"), late)
    org.commit_late(lambda: org.merge(second, [third]), late)
    story.run()

    assert "merged" == story.life(third)["gone_reason"]


def test_bumped_stamps_double_nothing(story: Story) -> None:
    """A system job moves all stamps of three objects to one second; a second job, to another."""
    for _ in range(2):
        for name in ("TaskWhoRelation", "Contact", "Task"):
            story.org.bump_stamps(name)
        facts = story.run()

        assert (0, 12, 30) == (
            facts["contacts"]["new"], facts["contacts"]["updated"], facts["relations"]["updated"]
        )  # fmt: skip


def test_leads_and_nobody_do_not_touch_the_contacts(story: Story) -> None:
    """Their relations are held and counted."""
    task = next(id_ for id_, row in story.org.rows("Task").items() if row["WhoId"])
    story.org.relate(task, next(iter(story.org.rows("Lead"))))
    story.org.relate(task, None)
    facts = story.run()

    assert (2, 0, 12) == (
        facts["relations"]["new"], facts["contacts"]["new"], facts["contacts"]["held"]
    )  # fmt: skip
    assert (True, True) == (
        facts["relations"]["leads"] >= 1,
        facts["relations"]["without_who"] >= 1,
    )


def test_without_shared_activities_the_same_promises_hold(org: DemoOrg, synced: Synced) -> None:
    """A task's own WhoId is its relation: it is moved, emptied, archived, and all of it noticed."""
    org.shared_activities = False
    story = Story(org, synced)
    facts = story.run()
    moved, emptied, archived, *_ = (id_ for id_, row in org.rows("Task").items() if row["WhoId"])
    org.edit("Task", moved, WhoId=passive(org))
    org.edit("Task", emptied, WhoId=None)
    org.archive_task(archived)
    story.run()
    rows = story.held("sf_taskwhorelations")

    assert any("Shared Activities" in warning for warning in facts["warnings"])
    assert passive(org, -1) != rows[moved]["relation_id"]
    assert ("relation_removed", "task_archived") == (
        rows[emptied]["removed_reason"], rows[archived]["removed_reason"]
    )  # fmt: skip


# ---------------------------------------------------------------- contacts come and go


@BOTH
def test_a_deleted_contact_is_kept_and_comes_back(story: Story) -> None:
    """Its last row says that it is deleted; undeleted, it is as if nothing had been."""
    contact = story.org.active_ids()[0]
    before = story.life(contact)
    story.org.delete_contact(contact)
    story.run()
    gone, row = story.life(contact), story.contact(contact)
    story.org.undelete_contact(contact)
    story.run()

    assert ("deleted", True) == (gone["gone_reason"], row["is_deleted"])
    assert False is story.contact(contact)["is_deleted"]
    assert before == {**story.life(contact), "last_seen_at": before["last_seen_at"]}


@pytest.mark.parametrize(("seen", "reason"), [(True, "deleted"), (False, "hidden")])
def test_a_purged_contact_is_deleted_if_a_run_saw_it_deleted(
    story: Story, seen: bool, reason: str
) -> None:
    """Otherwise nothing tells it from a hidden one; its last row is kept in both cases."""
    contact = story.org.active_ids()[0]
    story.org.delete_contact(contact)
    if seen:
        story.run()
    story.org.purge_contact(contact)
    story.run()

    assert reason == story.life(contact)["gone_reason"]
    assert seen == story.contact(contact)["is_deleted"]


def test_a_contact_that_was_gone_before_it_was_ever_held(story: Story) -> None:
    """It has a row that says why; it is held as soon as the org shows it, active or not."""
    contact = passive(story.org)
    story.org.hide_contact(contact)
    task = story.org.log_task([contact])
    story.run()
    hidden = story.life(contact)
    story.org.delete_task(task)
    story.run()
    story.org.show_contact(contact)
    story.run()

    assert (True, "hidden") == (hidden["is_active"], hidden["gone_reason"])
    assert (False, None) == (
        story.life(contact)["is_active"], story.life(contact)["gone_reason"]
    )  # fmt: skip
    assert contact in story.held("sf_contacts")


def test_a_deleted_contact_whose_relations_still_show(story: Story) -> None:
    """Whether relations outlive their contact is not documented: both are survived."""
    story.org.relations_outlive_contacts = True
    held, never = story.org.active_ids()[0], passive(story.org)
    story.org.log_task([never])
    story.org.delete_contact(held)
    story.org.delete_contact(never)
    story.run()

    assert [(True, "deleted")] * 2 == [
        (story.life(id_)["is_active"], story.life(id_)["gone_reason"]) for id_ in (held, never)
    ]
    assert never not in story.held("sf_contacts")


@BOTH
def test_a_merge_moves_relations_to_a_winner_that_was_never_active(story: Story) -> None:
    """The winner is held with them; the loser is kept and says into whom it was merged."""
    loser, winner = story.org.active_ids()[0], passive(story.org)
    relations = set(story.relations_of(loser))
    story.org.merge(winner, [loser])
    story.run()

    assert relations == set(story.relations_of(winner))
    assert ("merged", winner, "relation_removed") == _merge(story.life(loser))
    assert story.contact(loser)["is_deleted"]
    assert story.life(winner)["is_active"]


def _merge(life: Row) -> tuple[Any, Any, Any]:
    return life["gone_reason"], life["merged_into"], life["left_reason"]


@pytest.mark.parametrize("between", [False, True], ids=["in one go", "with a run between"])
def test_a_chain_of_merges_resolves_to_the_last_winner(story: Story, between: bool) -> None:
    """Also when the middle of the chain, or its beginning, is purged afterwards."""
    first, second, third, fourth, *_ = story.org.active_ids()
    story.org.merge(second, [first])
    if between:
        story.run()
    story.org.merge(third, [second])
    story.run()
    chain = [story.life(id_)["merged_into"] for id_ in (first, second)]
    story.org.purge_contact(second)
    story.run()
    purged = story.life(first)["merged_into"]
    story.org.purge_contact(first)
    story.org.merge(fourth, [third])
    story.run()

    assert ([third, third], third) == (chain, purged)
    assert fourth == story.life(third)["merged_into"] == story.life(first)["merged_into"]


def test_a_hidden_contact_is_kept_and_true_again_when_shown(story: Story) -> None:
    """Hidden, edited, shown: its stamp is older than the last run, its row is right all the same."""
    contact = story.org.active_ids()[0]
    story.org.hide_contact(contact)
    story.run()
    reason = story.life(contact)["gone_reason"]
    story.org.edit("Contact", contact, Title="while hidden")
    story.org.advance(timedelta(days=1).total_seconds())
    story.run()
    story.org.show_contact(contact)
    story.run()

    assert ("hidden", None) == (reason, story.life(contact)["gone_reason"])
    assert "while hidden" == story.contact(contact)["title"]
