"""What an org does to values and fields, and what the next default run makes of it.

Each run is compared with the oracle, cell by cell; the tests add what a reader wants to see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import BOTH, Synced
from tests.support.story import FULL, Story


@BOTH
def test_a_task_on_an_old_contact_makes_it_held(story: Story) -> None:
    """The contact, last modified long ago, is held with all its fields, the task and relation too."""
    contact = story.passive()
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


@pytest.mark.brief(1)
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


@pytest.mark.deep
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


@pytest.mark.deep
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


@pytest.mark.deep
def test_a_field_that_is_spelt_in_other_letters_is_the_same(story: Story) -> None:
    """An API name's case may change, and does not count."""
    contact = story.org.active_ids()[0]
    story.org.add_field("Contact", "Tag__c", "string", {contact: "old"})
    story.run()
    story.org.drop_field("Contact", "Tag__c")
    story.org.add_field("Contact", "TAG__c", "string", {contact: "new"})
    facts = story.run()

    assert "new" == story.contact(contact)["tag__c"]
    assert [] == [warning for warning in facts["warnings"] if "tag__c" in warning]


@BOTH
def test_a_new_field_leaves_a_column_of_the_users_alone(org: DemoOrg, synced: Synced) -> None:
    """It is called as a column that was added to the table by hand, and lands next to it."""
    synced.begin()
    contact = org.active_ids()[0]
    synced.sql("ALTER TABLE sf_contacts ADD COLUMN tag__c INTEGER")
    synced.sql("UPDATE sf_contacts SET tag__c = 7")
    org.add_field("Contact", "Tag__c", "double", {contact: 1.5})
    synced.ok()
    org.edit("Contact", contact, Tag__c=2.5)
    facts = synced.ok()
    row = synced.rows("sf_contacts")[contact]
    (column,) = [name for name in row if name.startswith("tag__c_")]

    assert (7, 2.5) == (row["tag__c"], row[column])
    assert [warning for warning in facts["warnings"] if f"it lands in {column}" in warning]
    assert not [warning for warning in facts["warnings"] if "leaves out" in warning]


TYPE_CHANGES: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("Degree__c", "double", lambda text: float(len(text))),
    ("Market_Share__c", "string", lambda share: f"about {share}"),
    ("Rank__c", "double", lambda rank: rank + 0.5),
    ("Active__c", "string", lambda flag: "yes" if flag else "no"),
    ("First_Contact__c", "datetime", lambda day: f"{day}T10:00:00.000+0000"),
    ("Last_Visit__c", "date", lambda moment: moment[:10]),
]


@pytest.mark.each_value
@pytest.mark.brief(1)
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


@pytest.mark.deep
@BOTH
def test_two_fields_of_one_column_name_never_swap(story: Story) -> None:
    """Both are held; which has the plain name stays, whatever order describe lists them in."""
    contact = story.org.active_ids()[0]
    story.org.add_field("Contact", "FooBar__c", "string", {contact: "first"})
    story.run()
    story.org.add_field("Contact", "Foo_Bar__c", "string", {contact: "second"})
    entries = story.org.tables["Contact"].entries
    held = []
    for _ in range(2):
        entries["FooBar__c"] = entries.pop("FooBar__c")  # now it is the last one
        story.synced.ok()
        row = story.contact(contact)
        held.append({name: row[name] for name in row if name.startswith("foo_bar__c")})
    story.org.hide_field("Contact", "FooBar__c")
    story.synced.ok()
    hidden = story.contact(contact)

    assert held[0] == held[1]
    assert "first" == held[0]["foo_bar__c"]
    assert ["first", "second"] == sorted(held[0].values())
    assert held[0] == {name: hidden[name] for name in held[0]}
