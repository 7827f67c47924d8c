"""What happens in an org, and what the APIs show of it afterwards."""

from __future__ import annotations

import pytest


def relations_of(org, name, value):
    """Visible relations by one field."""
    rows = org.rows("TaskWhoRelation")
    return [id_ for id_, row in rows.items() if row[name] == value]


def contact(org, id_, *, all_rows=False):
    """One contact as the APIs show it, or None."""
    return org.rows("Contact", all_rows=all_rows, ids=[id_]).get(id_)


@pytest.fixture
def plain(org):
    """Provide an active contact with relations of shown tasks only, and nothing special about it."""
    shown = org.rows("Task")
    for id_ in org.active_ids():
        tasks = {
            r["TaskId"] for r in org.rows("TaskWhoRelation").values() if r["RelationId"] == id_
        }
        if id_ not in (org.hostile_id, org.empty_id) and tasks <= set(shown):
            return id_
    raise AssertionError("the tiny org has no plain contact")


def test_a_logged_task_makes_a_contact_active(org, rest):
    """Its relations are stamped with the task's second."""
    idle = next(id_ for id_ in org.rows("Contact") if id_ not in org.active_ids())
    task_id = org.log_task(who=[idle], Subject="Überraschung")
    (relation,) = relations_of(org, "TaskId", task_id)
    row = org.rows("TaskWhoRelation")[relation]

    assert idle in org.active_ids()
    assert org.rows("Task")[task_id]["SystemModstamp"] == row["SystemModstamp"] == org.now_text
    assert row["SystemModstamp"].endswith(".000+0000")
    relations = rest.ids(f"SELECT Id FROM TaskWhoRelation WHERE TaskId = '{task_id}'")
    assert [relation] == relations


def test_an_edit_moves_stamps_and_a_silent_one_does_not(org, plain):
    """Formulas follow what they are made of."""
    before = contact(org, plain)
    org.set_silently("Contact", plain, Visits_Doubled__c=4711.0)
    silent = contact(org, plain)
    org.edit("Contact", plain, LastName="Changed")
    edited = contact(org, plain)

    assert before["SystemModstamp"] == silent["SystemModstamp"] < edited["SystemModstamp"]
    assert 4711.0 == silent["Visits_Doubled__c"]
    assert edited["Name"].endswith("Changed")
    assert edited["Full_Label__c"].startswith("Changed /")


def test_a_cross_object_formula_moves_without_a_stamp(org, rest, plain):
    """The account's tier changes; so does what the contact shows of it."""
    before = contact(org, plain)
    org.edit("Account", before["AccountId"], Tier__c="Platinum II")
    after = contact(org, plain)
    (record,) = rest.post("composite/sobjects/Contact",
                          {"ids": [plain], "fields": ["Account_Tier__c"]}).json()  # fmt: skip

    assert "Platinum II" == after["Account_Tier__c"] == record["Account_Tier__c"]
    assert before["SystemModstamp"] == after["SystemModstamp"]


def test_fields_come_go_hide_and_change(org, plain):
    """Describe and rows agree at every step; no stamp moves."""
    before = contact(org, plain)
    org.add_field("Contact", "Fresh__c", "double", {plain: 1.5}, precision=10)
    org.add_field("Contact", "Flag__c", "boolean")
    assert (1.5, False) == tuple(contact(org, plain)[n] for n in ("Fresh__c", "Flag__c"))
    org.change_field_type("Contact", "Fresh__c", "string", str)
    assert "1.5" == contact(org, plain)["Fresh__c"]
    org.drop_field("Contact", "Fresh__c")
    org.hide_field("Contact", "Title")
    names = [entry["name"] for entry in org.fields("Contact")]
    assert set(names) == set(contact(org, plain))
    assert {"Fresh__c", "Title"}.isdisjoint(names)
    org.show_field("Contact", "Title")

    assert before["Title"] == contact(org, plain)["Title"]
    assert before["SystemModstamp"] == contact(org, plain)["SystemModstamp"]


def test_a_dropped_field_that_comes_back_is_empty(org, plain):
    """Also one that a formula filled, also on rows that were edited."""
    org.edit("Contact", plain, Title="Chief")
    for name in ("Title", "Full_Label__c"):
        org.drop_field("Contact", name)
        org.add_field("Contact", name)

    assert (None, None) == tuple(contact(org, plain)[n] for n in ("Title", "Full_Label__c"))


@pytest.mark.parametrize(
    ("change", "back"),
    [("delete_task", "undelete_task"), ("archive_task", None), ("purge_task", None)],
)
def test_relations_vanish_with_their_task(org, change, back):
    """From query and queryAll alike; undeleting brings them back as they were."""
    shown = org.rows("Task")
    before = org.rows("TaskWhoRelation")
    task_id = next(row["TaskId"] for row in before.values() if row["TaskId"] in shown)
    mine = {id_ for id_, row in before.items() if row["TaskId"] == task_id}
    getattr(org, change)(task_id)

    assert set(before) - mine == set(org.rows("TaskWhoRelation", all_rows=True))
    assert task_id not in org.rows("Task")
    assert (change != "purge_task") is (task_id in org.rows("Task", all_rows=True))
    if back:
        getattr(org, back)(task_id)
        assert before == org.rows("TaskWhoRelation")


def test_a_hidden_task_keeps_its_relations(org):
    """The seed's case: the relation shows, its parent does not."""
    shown = org.rows("Task")
    before = org.rows("TaskWhoRelation")
    task_id = next(row["TaskId"] for row in before.values() if row["TaskId"] in shown)
    org.hide_task(task_id)

    assert task_id not in org.rows("Task", all_rows=True)
    assert before == org.rows("TaskWhoRelation")
    org.show_task(task_id)
    assert shown == org.rows("Task")


def test_a_removed_relation_is_reported_by_nothing(org, plain):
    """The row is gone from every API, its task knows one person less."""
    relation = relations_of(org, "RelationId", plain)[0]
    task_id = org.rows("TaskWhoRelation")[relation]["TaskId"]
    before = org.rows("Task")[task_id]
    org.remove_relation(relation)
    after = org.rows("Task")[task_id]

    assert relation not in org.rows("TaskWhoRelation", all_rows=True)
    assert before["WhoCount"] - 1 == after["WhoCount"]
    assert plain != after["WhoId"]


def test_relations_to_leads_and_to_nobody(org):
    """Both are rows; neither makes a contact active."""
    lead = next(iter(org.rows("Lead")))
    active = org.active_ids()
    task_id = org.log_task(who=[lead])
    null = org.relate(task_id, None)
    rows = org.rows("TaskWhoRelation")

    assert {"Lead", None} == {r["Type"] for r in rows.values() if r["TaskId"] == task_id}
    assert None is rows[null]["RelationId"]
    assert active == org.active_ids()


def test_a_deleted_contact_is_shown_by_query_all_until_it_is_purged(org, rest, plain):
    """Collections answer null; its relations hide, and come back with it."""
    before = org.rows("TaskWhoRelation")
    body = {"ids": [plain], "fields": ["Id"]}
    org.delete_contact(plain)

    assert [None] == rest.post("composite/sobjects/Contact", body).json()
    soql = f"SELECT Id FROM Contact WHERE Id = '{plain}'"
    assert ([], [plain]) == (rest.ids(soql), rest.ids(soql, "queryAll"))
    assert contact(org, plain, all_rows=True)["IsDeleted"]
    assert plain not in org.active_ids()
    org.relations_outlive_contacts = True
    assert plain in org.active_ids()
    org.relations_outlive_contacts = False
    org.undelete_contact(plain)
    assert before == org.rows("TaskWhoRelation")
    org.purge_contact(plain)
    assert [] == rest.ids(soql, "queryAll")
    assert 39 == rest.query("SELECT COUNT() FROM Contact").json()["totalSize"]


def test_merged_contacts_hand_their_relations_on(org):
    """A chain of merges: each loser names who it was merged into."""
    first, second, third = [i for i in org.active_ids() if i != org.hostile_id][:3]
    tasks = {r["TaskId"] for r in org.rows("TaskWhoRelation").values()
             if r["RelationId"] in (first, second, third)}  # fmt: skip
    org.merge(second, [first])
    org.merge(third, [second])
    mine = [r for r in org.rows("TaskWhoRelation").values() if r["TaskId"] in tasks]

    assert second == contact(org, first, all_rows=True)["MasterRecordId"]
    assert third == contact(org, second, all_rows=True)["MasterRecordId"]
    assert {third} >= {r["RelationId"] for r in mine} - set(org.active_ids())
    assert {first, second}.isdisjoint(org.active_ids())
    seen = [(r["TaskId"], r["RelationId"]) for r in mine]
    assert len(seen) == len(set(seen))


def test_a_hidden_contact_is_gone_for_us_and_its_relations_are_not(org, rest, plain):
    """Nothing returns it; discovery still names it."""
    org.hide_contact(plain)

    assert None is contact(org, plain, all_rows=True)
    assert plain in org.active_ids()
    assert 39 == rest.query("SELECT COUNT() FROM Contact").json()["totalSize"]
    org.show_contact(plain)
    assert plain == contact(org, plain)["Id"]


def test_rows_that_commit_late_carry_old_stamps(org):
    """Visible now, stamped then."""
    stamp = org.now_text
    task_id = org.commit_late(lambda: org.log_task(who=org.active_ids()[:2]), seconds=300)
    rows = [r for r in org.rows("TaskWhoRelation").values() if r["TaskId"] == task_id]

    assert 2 == len(rows)
    assert all(row["SystemModstamp"] < stamp for row in rows)
    prompt = org.log_task()
    assert org.rows("Task")[prompt]["SystemModstamp"] > stamp


def test_a_system_job_moves_every_stamp_to_one_second(org, rest):
    """And nothing else; contacts that no change touched, too."""
    before = org.rows("Contact")
    stamp = org.bump_stamps("Contact")
    ids = org.active_ids()[:2]
    later = org.bump_stamps("Contact", ids)
    after = org.rows("Contact")

    assert {stamp, later} == {row["SystemModstamp"] for row in after.values()}
    literal = stamp.replace("+0000", "Z")
    assert 40 == len(rest.ids(f"SELECT Id FROM Contact WHERE SystemModstamp >= {literal}"))
    assert 2 == len(rest.ids(f"SELECT Id FROM Contact WHERE SystemModstamp > {literal}"))
    for row in (*before.values(), *after.values()):
        del row["SystemModstamp"]
    assert before == after


def test_the_clock_goes_on_by_changes_only(org):
    """Two runs on different days see the same rows."""
    assert "2026-11-20T12:00:00.000+0000" == org.now_text
    org.add_contact(LastName="Later")
    assert "2026-11-20T12:00:01.000+0000" == org.now_text


def test_a_mistake_in_a_test_is_not_swallowed(org):
    """Unknown fields and ids raise."""
    with pytest.raises(KeyError):
        org.edit("Contact", org.hostile_id, Nope="x")
    with pytest.raises(KeyError):
        org.delete_contact("003000000000000AAA")
    with pytest.raises(KeyError):
        org.add_contact(Nope="x")


@pytest.mark.parametrize("object_name", ["TaskWhoRelation", "Contact", "Task"])
def test_ids_are_never_used_twice(org, object_name):
    """Not even the id of the newest row, removed for good."""
    make = {
        "TaskWhoRelation": lambda: org.relate(next(iter(org.rows("Task"))), None),
        "Contact": org.add_contact,
        "Task": org.log_task,
    }[object_name]
    remove = {"TaskWhoRelation": org.remove_relation, "Contact": org.purge_contact,
              "Task": org.purge_task}[object_name]  # fmt: skip
    first = make()
    remove(first)

    assert first < make()


def test_a_bug_of_the_demo_org_is_told(org, rest):
    """It answers 500 and remembers why, rather than dropping the connection."""
    org.tables["Task"].changed[0] = {}

    assert 500 == rest.query("SELECT Subject FROM Task").status_code
    assert 1 == len(org.unexpected)
