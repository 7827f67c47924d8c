"""Random histories: whatever happens in an org, its APIs and its oracle tell the same."""

from __future__ import annotations

import csv
import io
import random

import pytest

from salesforce_targeted.demo_org import DemoOrg, serve

from .conftest import Rest


def pick(org, rng, name):
    """Return a record of an object, in whatever state, or None if there is none left."""
    table = org.tables[name]
    ordinals = list(table.ordinals())
    return table.numbering.id_of(rng.choice(ordinals)) if ordinals else None


def happen(org, rng, step):
    """One thing that happens to an org."""
    contact, task = pick(org, rng, "Contact"), pick(org, rng, "Task")
    relation, field = pick(org, rng, "TaskWhoRelation"), f"Extra_{step}__c"
    silent = {"Visits_Doubled__c": rng.random()}
    changes = [
        lambda: org.add_contact(LastName=f"Nr {step}"),
        lambda: org.log_task(who=[contact]),
        lambda: org.relate(task, rng.choice([None, pick(org, rng, "Lead")])),
        lambda: org.edit("Contact", contact, FirstName=f"Step {step}", Score__c=rng.random() * 100),
        lambda: org.edit("Task", task, Subject=f"Step {step}"),
        lambda: org.set_silently("Contact", contact, **silent),
        lambda: org.edit("Account", pick(org, rng, "Account"), Tier__c=rng.choice(["A", "B"])),
        lambda: org.add_field("Contact", field, "double", {contact: 1.25}),
        lambda: org.drop_field("Contact", rng.choice(["Title", "NPI__c", "Fax"])),
        lambda: org.hide_field("Contact", "Department"),
        lambda: org.show_field("Contact", "Department"),
        lambda: org.change_field_type("Contact", "Rank__c", "string", str),
        lambda: org.remove_relation(relation),
        lambda: org.delete_task(task),
        lambda: org.undelete_task(task),
        lambda: org.archive_task(task),
        lambda: org.hide_task(task),
        lambda: org.show_task(task),
        lambda: org.purge_task(task),
        lambda: org.delete_contact(contact),
        lambda: org.undelete_contact(contact),
        lambda: org.purge_contact(contact),
        lambda: org.merge(contact, {pick(org, rng, "Contact")} - {contact}),
        lambda: org.hide_contact(contact),
        lambda: org.show_contact(contact),
        lambda: org.bump_stamps(rng.choice(["Contact", "TaskWhoRelation"])),
        lambda: org.commit_late(lambda: org.log_task(who=[contact]), seconds=200),
    ]
    try:
        rng.choice(changes)()
    except KeyError:
        return  # the record or field that it needed is gone


@pytest.mark.parametrize("seed", range(6))
def test_query_bulk_and_collections_agree_with_the_oracle(seed):
    """After eighty changes, every row and field of every object."""
    rng, org = random.Random(seed), DemoOrg.tiny(seed)
    for step in range(80):
        happen(org, rng, step)
    org.page_rows = 11
    with serve(org) as server:
        rest = Rest(server)
        for name in ("Contact", "Task", "TaskWhoRelation", "Account", "User", "Lead"):
            for path in ("query", "queryAll"):
                expected = org.rows(name, all_rows=path == "queryAll")
                fields = [e["name"] for e in org.fields(name)]
                page = rest.query(f"SELECT {','.join(fields)} FROM {name}", path).json()
                records = page["records"]
                while not page["done"]:
                    page = rest.get(page["nextRecordsUrl"]).json()
                    records += page["records"]
                for record in records:
                    del record["attributes"]
                assert list(expected.values()) == records
                assert page["totalSize"] == rest.query(
                    f"SELECT COUNT() FROM {name}", path).json()["totalSize"]  # fmt: skip
        ids = list(org.rows("Contact", all_rows=True))
        shown, stamp = org.rows("Contact"), sorted(r["SystemModstamp"] for r in
                                                   org.rows("Contact").values())[-9]  # fmt: skip
        answer = rest.post("composite/sobjects/Contact", {"ids": ids, "fields": ["Id"]}).json()
        assert [id_ if id_ in shown else None for id_ in ids] == [r and r["Id"] for r in answer]
        org.page_rows = 2000
        late = rest.ids("SELECT Id FROM Contact WHERE SystemModstamp >= "
                        + stamp.replace("+0000", "Z"))  # fmt: skip
        assert [i for i, row in shown.items() if row["SystemModstamp"] >= stamp] == late
        body = {"operation": "query", "query": "SELECT Id, Full_Label__c FROM Contact"}
        job = rest.post("jobs/query", body).json()
        text = rest.get(f"jobs/query/{job['id']}/results").content.decode()
        rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
        assert [[i, row["Full_Label__c"] or ""] for i, row in shown.items()] == rows
        assert org.active_ids() == rest_active(rest)
        assert [] == org.unexpected
        rest.session.close()


def rest_active(rest):
    """Discovery as a client does it."""
    page = rest.query(
        "SELECT RelationId FROM TaskWhoRelation WHERE RelationId != null "
        "GROUP BY RelationId ORDER BY RelationId LIMIT 2000"
    ).json()
    return [r["RelationId"] for r in page["records"] if r["RelationId"].startswith("003")]
