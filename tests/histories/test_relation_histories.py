"""What an org does to relations and tasks, and what the next default run makes of it.

Each run is compared with the oracle, cell by cell; the tests add what a reader wants to see.
"""

from __future__ import annotations

import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.extract.org_changes import ChangedOrgError
from salesforce_targeted.settings import Scope
from tests.conftest import BOTH, Synced
from tests.support.oracles.oracle import OBJECTS, users_named_by
from tests.support.story import Story


def test_a_contact_whose_relation_is_removed_stays_and_stays_true(story: Story) -> None:
    """It leaves the active set; its row is kept, and an edit after that arrives."""
    contact, _ = story.newly_active()
    story.org.remove_relation(story.relation_of(contact))
    facts = story.run()
    left = story.life(contact)
    story.org.edit("Contact", contact, Title="Left")
    story.run()

    assert (1, 30) == (facts["relations"]["removed"], facts["relations"]["held"])
    assert (False, 0, "relation_removed") == (
        left["is_active"], left["relation_count"], left["left_reason"]
    )  # fmt: skip
    assert "Left" == story.contact(contact)["title"]


@pytest.mark.brief(1)
@BOTH
@pytest.mark.parametrize(
    ("change", "reason"),
    [("delete_task", "task_deleted"), ("archive_task", "task_archived")],
)
def test_why_a_relation_vanished(story: Story, change: str, reason: str) -> None:
    """Deleted and archived tasks take their relations out of sight; which of the two is said."""
    contact, tasks = story.newly_active()
    getattr(story.org, change)(tasks[0])
    story.run()
    (relation,) = story.relations_of(contact).values()

    assert reason == relation["removed_reason"] == story.life(contact)["left_reason"]
    assert tasks[0] in story.held("sf_activities")


@pytest.mark.deep
@BOTH
def test_an_undeleted_task_brings_its_relation_back(story: Story) -> None:
    """The relation comes back with its old stamp, long before the cursor."""
    contact, tasks = story.newly_active()
    story.org.delete_task(tasks[0])
    story.run()
    story.org.advance(86_400)
    story.org.bump_stamps("TaskWhoRelation", [story.relation_of(story.org.active_ids()[0])])
    story.run()
    story.org.undelete_task(tasks[0])
    story.run()
    (relation,) = story.relations_of(contact).values()

    assert (None, None) == (relation["removed_at"], relation["removed_reason"])
    assert (True, None) == (story.life(contact)["is_active"], story.life(contact)["left_at"])


@pytest.mark.deep
def test_one_relation_removed_while_another_comes_back(story: Story) -> None:
    """All counts are as before, contact by contact, and yet two rows have changed."""
    contact, tasks = story.newly_active(tasks=2)
    story.org.delete_task(tasks[0])
    story.run()
    story.org.delete_task(tasks[1])
    story.org.undelete_task(tasks[0])
    story.run()

    assert {None, "task_deleted"} == {
        row["removed_reason"] for row in story.relations_of(contact).values()
    }


@pytest.mark.deep
def test_a_relation_moves_with_a_stamp_older_than_the_lag(story: Story) -> None:
    """It points at another contact although no read by stamps shows it."""
    contact, _ = story.newly_active()
    other = story.org.active_ids()[0]
    story.org.advance(86_400)
    story.org.bump_stamps("TaskWhoRelation", [story.relation_of(other)])
    story.run()
    story.org.set_silently("TaskWhoRelation", story.relation_of(contact), RelationId=other)
    story.run()

    assert {} == story.relations_of(contact)
    assert "relation_removed" == story.life(contact)["left_reason"]


@pytest.mark.deep
def test_a_purged_task_is_kept_as_it_last_was(story: Story) -> None:
    """Neither its relation nor its row is lost when no API shows them again."""
    contact, tasks = story.newly_active()
    story.org.delete_task(tasks[0])
    story.org.purge_task(tasks[0])
    story.run()

    assert tasks[0] in story.held("sf_activities")
    assert "task_deleted" == story.life(contact)["left_reason"]


@pytest.mark.deep
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


@pytest.mark.deep
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


@pytest.mark.deep
def test_a_user_whom_nothing_names_any_more_stays_true(story: Story) -> None:
    """The owner of everything hands it over; an edit of theirs arrives all the same."""
    users = sorted(story.held("sf_users"))
    for name in ("Contact", "Task"):
        for id_, row in story.org.rows(name, all_rows=True).items():
            if users[-1] in row.values():
                story.org.edit(name, id_, OwnerId=users[0], CreatedById=users[0])
    for id_ in story.held("sf_taskwhorelations"):
        story.org.edit("TaskWhoRelation", id_, CreatedById=users[0])
    story.run()
    named = users_named_by({table: story.held(table) for table in OBJECTS})
    story.org.edit("User", users[-1], Department="still true")
    story.run()

    assert users[-1] not in named
    assert "still true" == story.held("sf_users")[users[-1]]["department"]


@pytest.mark.brief(1)
@pytest.mark.parametrize("late", [300, 900])
def test_rows_that_commit_late_are_loaded(story: Story, late: int) -> None:
    """A task, an edit, a merge and a deletion, with stamps up to the lag in the past."""
    org = story.org
    first, second, third, *_ = org.active_ids()
    org.commit_late(lambda: org.log_task([story.passive()]), late)
    org.commit_late(lambda: org.edit("Contact", first, Title="late"), late)
    org.commit_late(lambda: org.merge(second, [third]), late)
    story.run()

    assert "merged" == story.life(third)["gone_reason"]


@pytest.mark.deep
def test_bumped_stamps_double_nothing(story: Story) -> None:
    """A system job moves all stamps of three objects to one second; a second job, to another."""
    for _ in range(2):
        for name in ("TaskWhoRelation", "Contact", "Task"):
            story.org.bump_stamps(name)
        facts = story.run()

        assert (0, 12, 30) == (
            facts["contacts"]["new"], facts["contacts"]["updated"], facts["relations"]["updated"]
        )  # fmt: skip


@pytest.mark.deep
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
    target = story.passive()
    org.edit("Task", moved, WhoId=target)
    org.edit("Task", emptied, WhoId=None)
    org.archive_task(archived)
    story.run()
    rows = story.held("sf_taskwhorelations")

    assert any("Shared Activities" in warning for warning in facts["warnings"])
    assert target == rows[moved]["relation_id"]
    assert ("relation_removed", "task_archived") == (
        rows[emptied]["removed_reason"], rows[archived]["removed_reason"]
    )  # fmt: skip


@pytest.mark.deep
def test_shared_activities_are_switched_on(org: DemoOrg, synced: Synced) -> None:
    """Going over to relations with other ids is asked for; then no contact is lost over it."""
    org.shared_activities = False
    story = Story(org, synced)
    story.run()
    org.shared_activities = True
    stopped = synced.run()
    facts = story.run(Scope(full=True, allow_shrink=True))

    assert isinstance(stopped.error, ChangedOrgError)
    assert "--allow-shrink" in stopped.facts["error"]
    assert (25, 30, 30) == tuple(facts["relations"][name] for name in ("removed", "new", "held"))
    assert 12 == facts["statistics"]["active"]
