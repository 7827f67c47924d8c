"""What happens to leads, events, accounts, opportunities and visits, and what it draws along."""

from __future__ import annotations

import random

import pytest

from salesforce_targeted.demo_org import DemoOrg, serve

from .conftest import Rest

DELETED = ("Lead", "Account", "Opportunity", "Event", "Task", "Contact", "Visit__c")


@pytest.fixture
def org():
    """Provide some of everything."""
    return DemoOrg.varied()


def row_of(org, name, id_, *, all_rows=False):
    """One record as the APIs show it, or None."""
    return org.rows(name, all_rows=all_rows, ids=[id_]).get(id_)


def first(org, name, keep=lambda _row: True):
    """Return the first record that is wanted."""
    return next(id_ for id_, row in org.rows(name).items() if keep(row))


def met(org, who):
    """Return the relations of events to one person."""
    return [id_ for id_, r in org.rows("EventWhoRelation").items() if r["RelationId"] == who]


# ------------------------------------------------------------------ the life of a record
@pytest.mark.parametrize("name", [n for n in DELETED if n not in ("Event", "Task")])
def test_a_record_is_made_edited_deleted_restored_hidden_and_purged(org, rest, name):
    """Each object alike: what the APIs show at every step, and which stamps move."""
    label = {"Opportunity": "Name", "Account": "Name", "Visit__c": "Notes__c"}.get(name, "LastName")
    id_ = org.create(name)
    created = row_of(org, name, id_)
    org.edit(name, id_, **{label: "Renamed"})
    edited = row_of(org, name, id_)
    body = {"ids": [id_], "fields": ["Id"]}
    assert created["SystemModstamp"] < edited["SystemModstamp"]
    assert "Renamed" == edited[label]

    org.delete(name, id_)
    assert None is row_of(org, name, id_)
    assert row_of(org, name, id_, all_rows=True)["IsDeleted"]
    assert [None] == rest.post(f"composite/sobjects/{name}", body).json()
    assert [] == rest.ids(f"SELECT Id FROM {name} WHERE Id = '{id_}'")
    assert [id_] == rest.ids(f"SELECT Id FROM {name} WHERE Id = '{id_}'", "queryAll")

    org.undelete(name, id_)
    back = row_of(org, name, id_)
    assert back["SystemModstamp"] > edited["SystemModstamp"]
    org.hide(name, id_)
    assert [] == rest.ids(f"SELECT Id FROM {name} WHERE Id = '{id_}'", "queryAll")
    org.show(name, id_)
    assert back == row_of(org, name, id_)
    org.delete(name, id_)
    org.purge(name, id_)
    assert None is row_of(org, name, id_, all_rows=True)
    assert id_ < org.create(name)


def test_what_has_no_recycle_bin_is_not_deleted(org):
    """Users and relations; activities are logged, not created."""
    for name in ("User", "EventWhoRelation"):
        with pytest.raises(ValueError, match=name):
            org.delete(name, first(org, name))
    for name in ("Event", "TaskWhoRelation"):
        with pytest.raises(ValueError, match="log_event"):
            org.create(name)
    with pytest.raises(KeyError):
        org.create("Lead", Nope="x")
    with pytest.raises(TypeError):
        org.log_event(who=org.hostile_id)


# ------------------------------------------------------------------ events and relations
def test_an_event_is_logged_with_people_and_one_is_taken_off(org, rest):
    """Relations of the event's second; the next of them becomes its WhoId."""
    host, guest = list(org.rows("Contact"))[20:22]
    id_ = org.log_event(who=[host, guest], Subject="Überraschung")
    rows = {i: r for i, r in org.rows("EventWhoRelation").items() if r["EventId"] == id_}

    assert {host, guest} == {row["RelationId"] for row in rows.values()}
    assert {org.rows("Event")[id_]["SystemModstamp"]} == {
        row["SystemModstamp"] for row in rows.values()
    }
    assert (host, 2) == tuple(org.rows("Event")[id_][n] for n in ("WhoId", "WhoCount"))
    assert list(rows) == rest.ids(f"SELECT Id FROM EventWhoRelation WHERE EventId = '{id_}'")
    org.remove_relation(next(i for i, row in rows.items() if row["RelationId"] == host))
    assert (guest, 1) == tuple(org.rows("Event")[id_][n] for n in ("WhoId", "WhoCount"))
    third = org.relate(id_, org.hostile_ids["Lead"])
    assert "Lead" == org.rows("EventWhoRelation")[third]["Type"]
    assert third.startswith("0RE")
    org.relate(first(org, "Task"), None)
    assert (
        1 + len(rows) == sum(r["EventId"] == id_ for r in org.rows("EventWhoRelation").values()) + 1
    )


@pytest.mark.parametrize(
    ("change", "back"),
    [
        (lambda org, id_: org.delete("Event", id_), lambda org, id_: org.undelete("Event", id_)),
        (lambda org, id_: org.archive_event(id_), None),
        (lambda org, id_: org.purge("Event", id_), None),
    ],
)
def test_relations_vanish_with_their_event(org, change, back):
    """From query and queryAll alike; an undeleted event has them as they were."""
    before, event = org.rows("EventWhoRelation"), first(org, "Event", lambda r: r["WhoCount"] > 1)
    mine = {id_ for id_, row in before.items() if row["EventId"] == event}
    change(org, event)

    assert mine
    assert set(before) - mine == set(org.rows("EventWhoRelation", all_rows=True))
    assert None is row_of(org, "Event", event)
    if back:
        back(org, event)
        assert before == org.rows("EventWhoRelation")


def test_no_relation_outlives_its_event(org):
    """Whatever tasks' do: an event's number says nothing about the task of that number."""
    assert org.outliving
    for event in org.rows("Event"):
        org.delete("Event", event)

    assert {} == org.rows("EventWhoRelation", all_rows=True)


def test_relations_of_a_deleted_lead_hide_and_those_of_a_hidden_one_do_not(org):
    """As with contacts; ``relations_outlive_contacts`` is of both."""
    lead = org.hostile_ids["Lead"]
    before = {name: org.rows(name) for name in ("TaskWhoRelation", "EventWhoRelation")}
    org.hide("Lead", lead)
    assert before == {name: org.rows(name) for name in before}
    org.show("Lead", lead)
    org.delete("Lead", lead)
    for name, rows in before.items():
        assert lead in {row["RelationId"] for row in rows.values()}
        assert lead not in org.named_ids(name, "RelationId", "Lead")
    org.relations_outlive_contacts = True
    assert before == {name: org.rows(name) for name in before}
    org.relations_outlive_contacts = False
    org.purge("Lead", lead)
    assert [] == met(org, lead)


# ------------------------------------------------------------------ what goes along
def test_an_account_takes_its_contacts_and_opportunities_along(org):
    """Into the recycle bin and out again; visits lose its name and get it back."""
    account = org.hostile_ids["Account"]
    before = {
        name: org.rows(name) for name in ("Contact", "Opportunity", "Visit__c", "Event", "Task")
    }
    contacts = {i for i, row in before["Contact"].items() if row["AccountId"] == account}
    deals = {i for i, row in before["Opportunity"].items() if row["AccountId"] == account}
    visits = {i for i, row in before["Visit__c"].items() if row["Account__c"] == account}
    org.delete("Account", account)

    assert contacts
    assert deals
    assert visits
    assert set(before["Contact"]) - contacts == set(org.rows("Contact"))
    assert set(before["Opportunity"]) - deals == set(org.rows("Opportunity"))
    after = org.rows("Visit__c")
    assert {None} == {after[id_]["Account__c"] for id_ in visits}
    for id_ in visits:
        assert before["Visit__c"][id_]["SystemModstamp"] < after[id_]["SystemModstamp"]
        assert before["Visit__c"][id_]["LastModifiedDate"] == after[id_]["LastModifiedDate"]
    assert account not in org.named_ids("Opportunity", "AccountId", "Account")

    org.undelete("Account", account)
    for name, rows in before.items():
        now = org.rows(name)
        stamps = ("SystemModstamp", "LastModifiedDate", "LastModifiedById")
        for row in (*rows.values(), *now.values()):
            for stamp in stamps:
                row.pop(stamp)
        assert rows == now, name


def test_a_lookup_can_be_told_to_go_on_naming_what_was_deleted(org):
    """For a client that must survive either answer."""
    org.lookups_outlive_parents = True
    before = org.rows("Visit__c")
    org.delete("Contact", org.hostile_id)

    assert before == org.rows("Visit__c")
    assert org.hostile_id in org.named_ids("Visit__c", "Contact__c")
    org.lookups_outlive_parents = False
    org.undelete("Contact", org.hostile_id)
    org.purge("Contact", org.hostile_id)
    assert org.hostile_id not in org.named_ids("Visit__c", "Contact__c")


def test_a_big_orgs_account_goes_with_its_contacts():
    """1,200 of 600,000, made by number or edited."""
    org = DemoOrg()
    account = org.rows("Contact", ids=[org.hostile_id])[org.hostile_id]["AccountId"]
    org.delete("Account", account)
    gone = org.rows("Contact", all_rows=True, ids=[org.hostile_id])[org.hostile_id]

    assert gone["IsDeleted"]
    assert 1_200 == sum(bool(row.get("IsDeleted")) for row in org.contacts.changed.values())


# ------------------------------------------------------------------ merges and conversions
def test_merged_leads_leave_their_relations_to_the_winner(org):
    """Tasks' and events'; losers name their master and are deleted."""
    loser = org.hostile_ids["Lead"]
    winner = next(id_ for id_ in org.named_ids("EventWhoRelation", "RelationId", "Lead")
                  if id_ != loser)  # fmt: skip
    relations = met(org, loser)
    org.merge(winner, [loser])
    gone = row_of(org, "Lead", loser, all_rows=True)

    assert (True, winner) == (gone["IsDeleted"], gone["MasterRecordId"])
    assert relations
    assert set(relations) <= set(met(org, winner))
    assert loser not in org.named_ids("TaskWhoRelation", "RelationId", "Lead")
    assert winner in org.named_ids("TaskWhoRelation", "RelationId", "Lead")


def test_a_merged_contact_leaves_everything_to_the_winner(org):
    """Relations of both kinds, visits and opportunities; one relation an event at most."""
    winner, loser = org.empty_id, org.hostile_id
    together = org.log_event(who=[loser, winner])
    visits = [i for i, row in org.rows("Visit__c").items() if row["Contact__c"] == loser]
    deal = org.create("Opportunity", ContactId=loser)
    org.merge(winner, [loser])

    assert visits
    assert {winner} == {org.rows("Visit__c")[id_]["Contact__c"] for id_ in visits}
    assert winner == org.rows("Opportunity")[deal]["ContactId"]
    names = [r["RelationId"] for r in org.rows("EventWhoRelation").values()
             if r["EventId"] == together]  # fmt: skip
    assert [winner] == names
    assert (winner, 1) == tuple(org.rows("Event")[together][n] for n in ("WhoId", "WhoCount"))


def test_merged_accounts_leave_contacts_opportunities_and_visits_to_the_winner(org):
    """All of them, with new stamps; the loser names its master."""
    loser = org.hostile_ids["Account"]
    winner = next(id_ for id_ in org.rows("Account") if id_ != loser)
    before = {name: org.rows(name) for name in ("Contact", "Opportunity", "Visit__c")}
    org.merge(winner, [loser])

    for name, field in (("Contact", "AccountId"), ("Opportunity", "AccountId"),
                        ("Visit__c", "Account__c")):  # fmt: skip
        after = org.rows(name)
        moved = [id_ for id_, row in before[name].items() if row[field] == loser]
        assert moved, name
        assert {winner} == {after[id_][field] for id_ in moved}
        for id_, row in before[name].items():
            assert (row["SystemModstamp"] < after[id_]["SystemModstamp"]) is (id_ in moved)
    assert winner == row_of(org, "Account", loser, all_rows=True)["MasterRecordId"]
    with pytest.raises(KeyError):
        org.merge(winner, list(org.rows("Lead"))[:1])
    with pytest.raises(KeyError):
        org.merge(first(org, "Opportunity"), [])


def test_a_converted_lead_stays_and_its_relations_go_to_the_contact(org):
    """A new contact of a new account, or one that is named."""
    lead, other = org.named_ids("EventWhoRelation", "RelationId", "Lead")[:2]
    relations = met(org, lead)
    contact = org.convert_lead(lead)
    row, person = row_of(org, "Lead", lead), row_of(org, "Contact", contact)

    assert (True, contact, person["AccountId"]) == (
        row["IsConverted"], row["ConvertedContactId"], row["ConvertedAccountId"])  # fmt: skip
    assert row["Company"] == row_of(org, "Account", person["AccountId"])["Name"]
    assert row["Email"] == person["Email"]
    assert relations
    moved = {i: r for i, r in org.rows("EventWhoRelation").items() if r["RelationId"] == contact}
    assert set(relations) == set(moved)
    assert {"Contact"} == {r["Type"] for r in moved.values()}
    assert org.hostile_id == org.convert_lead(other, org.hostile_id)
    assert [] == met(org, other)


# ------------------------------------------------------------------ histories
def happen(org, rng, step):
    """One thing that happens to a record of any object; new names are of live records only."""
    name = rng.choice(DELETED)
    known = {n: [org.tables[n].numbering.id_of(o) for o in org.tables[n].ordinals()]
             for n in (*DELETED, "EventWhoRelation")}  # fmt: skip
    live = {n: list(org.rows(n)) for n in ("Lead", "Contact", "Account")}
    id_, user_info = rng.choice(known[name]), rng.choice([*live["Lead"], *live["Contact"]])
    event, relation = rng.choice(known["Event"]), rng.choice(known["EventWhoRelation"])
    winner, loser = rng.sample(live[rng.choice(["Lead", "Contact", "Account"])], k=2)
    changes = [
        lambda: org.create(rng.choice(["Lead", "Account", "Opportunity", "Visit__c"])),
        lambda: org.log_event(who=[user_info], WhatId=rng.choice(live["Account"])),
        lambda: org.relate(event, user_info), lambda: org.remove_relation(relation),
        lambda: org.delete(name, id_), lambda: org.delete(name, id_),
        lambda: org.undelete(name, id_), lambda: org.undelete(name, id_),
        lambda: org.purge(name, id_), lambda: org.hide(name, id_), lambda: org.show(name, id_),
        lambda: org.archive_event(event), lambda: org.merge(winner, [loser]),
        lambda: org.convert_lead(rng.choice(live["Lead"]), rng.choice(live["Contact"])),
        lambda: org.edit("Visit__c", rng.choice(known["Visit__c"]),
                         Contact__c=rng.choice([None, *live["Contact"]])),
        lambda: org.edit("Opportunity", rng.choice(known["Opportunity"]),
                         StageName=rng.choice(["Closed Won", "Prospecting"])),
        lambda: org.commit_late(lambda: org.edit("Lead", rng.choice(live["Lead"]),
                                                 FirstName=f"Nr {step}"), seconds=200),
        lambda: org.bump_stamps(name),
    ]  # fmt: skip
    rng.choice(changes)()


@pytest.mark.parametrize("seed", range(6))
def test_apis_and_oracle_agree_after_a_random_history(seed):
    """Every row of every object, and nothing names what is deleted or gone."""
    rng, org = random.Random(seed), DemoOrg.varied(seed)
    for step in range(80):
        happen(org, rng, step)
    with serve(org) as server:
        rest = Rest(server)
        for name in (*DELETED, "EventWhoRelation", "TaskWhoRelation"):
            for path in ("query", "queryAll"):
                expected = org.rows(name, all_rows=path == "queryAll")
                names = ",".join(e["name"] for e in org.fields(name))
                records = rest.query(f"SELECT {names} FROM {name}", path).json()["records"]
                for record in records:
                    del record["attributes"]
                assert list(expected.values()) == records
                count = rest.query(f"SELECT COUNT() FROM {name}", path).json()["totalSize"]
                assert len(expected) == count
        assert [] == org.unexpected
        rest.session.close()
    alive = {name: {org.tables[name].numbering.id_of(o) for o in org.tables[name].ordinals()
                    if not org.tables[name].row(o)["IsDeleted"]}
             for name in ("Contact", "Account")}  # fmt: skip
    for by, field, name in (("Visit__c", "Account__c", "Account"), ("Event", "WhatId", "Account"),
                            ("EventWhoRelation", "RelationId", "Contact")):  # fmt: skip
        assert set(org.named_ids(by, field, name)) <= alive[name], (by, field)
