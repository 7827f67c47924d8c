"""What is in an org: sizes, ids, the hostile contact, the same on every day."""

from __future__ import annotations

import time

import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.http.records import CsvWriter, JsonWriter, java_double
from salesforce_targeted.demo_org.http.templates import csv_lines, json_records
from salesforce_targeted.demo_org.ids import Numbering, normal, to_18
from salesforce_targeted.demo_org.soql.conditions import resolve


@pytest.fixture(scope="module")
def seed_sized() -> DemoOrg:
    return DemoOrg()


def test_the_default_org_has_the_seeds_size(seed_sized):
    """600,000 contacts, of which 817 are active through 2,392 relations."""
    relations = seed_sized.rows("TaskWhoRelation").values()

    assert 600_000 == len(seed_sized.contacts)
    assert 2392 == len(relations)
    assert 817 == len({r["RelationId"] for r in relations if r["Type"] == "Contact"})
    assert 817 == len(seed_sized.active_ids())
    assert 1 == sum(r["RelationId"] is None for r in relations)
    assert 0 < sum(r["Type"] == "Lead" for r in relations)


def test_111_relations_point_at_tasks_that_a_query_does_not_show(seed_sized):
    """61 archived, 30 deleted, 20 hidden; queryAll shows the first two kinds."""
    shown = seed_sized.rows("Task")
    with_all = seed_sized.rows("Task", all_rows=True)
    parents = [r["TaskId"] for r in seed_sized.rows("TaskWhoRelation").values()]
    gone = [task_id for task_id in parents if task_id not in shown]

    assert 111 == len(gone)
    assert 61 == sum(task_id in with_all and with_all[task_id]["IsArchived"] for task_id in gone)
    assert 30 == sum(task_id in with_all and with_all[task_id]["IsDeleted"] for task_id in gone)
    assert 20 == sum(task_id not in with_all for task_id in gone)


def test_contact_has_105_fields_beside_the_compound_ones(seed_sized):
    """Three compound fields come on top, with their parts among the 105."""
    kinds = [entry["type"] for entry in seed_sized.fields("Contact")]

    assert 105 == sum(kind not in ("address", "location", "base64") for kind in kinds)
    assert 3 == sum(kind in ("address", "location") for kind in kinds)


def test_it_is_ready_at_once():
    """600,000 contacts cost nothing until they are asked for."""
    started = time.process_time()
    DemoOrg()

    assert time.process_time() - started < 1.0


def test_two_orgs_of_one_seed_are_equal_and_of_another_differ():
    """Nothing follows from the clock."""
    rows = [DemoOrg.tiny(seed).rows("Contact") for seed in (7, 7, 8)]

    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


@pytest.mark.parametrize(
    ("id15", "id18"),
    [
        ("0036g00000abcde", "0036g00000abcdeAAA"),
        ("003A0000001aBcD", "003A0000001aBcDIAU"),
        ("ZZZZZZZZZZZZZZZ", "ZZZZZZZZZZZZZZZ555"),
    ],
)
def test_the_checksum_is_salesforces(id15, id18):
    """Each suffix character says which of five characters are capitals."""
    assert id18 == to_18(id15)
    assert id18 == normal(id15)
    assert None is normal(id18[:-1] + "1")


def test_ids_sort_as_their_numbers_and_lead_back_to_them():
    """Binary order is the order of creation."""
    numbering = Numbering("003")
    ids = [numbering.id_of(number) for number in range(0, 600_000, 997)]

    assert sorted(ids) == ids
    assert list(range(0, 600_000, 997)) == [numbering.ordinal_of(id_) for id_ in ids]
    assert all(id_ == to_18(id_[:15]) for id_ in ids)


@pytest.mark.parametrize("make", [DemoOrg, DemoOrg.tiny])
def test_some_active_ids_differ_only_by_case(make):
    """Ids compared without regard to case: two collide."""
    lowered = [id_[:15].lower() for id_ in make().active_ids()]

    assert len(set(lowered)) < len(lowered)


def test_the_hostile_contact_is_active_and_awkward(org):
    """Every text trap is somewhere in its row."""
    row = org.rows("Contact", ids=[org.hostile_id])[org.hostile_id]
    texts = [value for value in row.values() if isinstance(value, str)]

    assert org.hostile_id in org.active_ids()
    for part in ('"', "\\", ",", "\n", "\r\n", "\t", "😈", "𝒳", "\u2028", "\x85", "\x0b", "\x00"):
        assert any(part in text for text in texts), repr(part)
    assert {"null", "NA", "N/A", "None", "\\N", "\\."} <= set(texts)
    assert 32_000 == len(row["Description"])
    assert 1.2345678901234568e17 == row["Huge_Number__c"]
    assert "1700-01-01" == row["Birthdate"]


def test_the_empty_contact_has_nothing_but_what_it_must_have(org):
    """Every nillable field is null."""
    row = org.rows("Contact", ids=[org.empty_id])[org.empty_id]
    nillable = [entry["name"] for entry in org.fields("Contact") if entry["nillable"]]

    assert org.empty_id in org.active_ids()
    assert {None} == {row[name] for name in nillable}


def test_templates_write_what_the_writers_write(seed_sized):
    """A page from templates is byte for byte the page that is written row by row."""
    table = seed_sized.contacts
    flat = [n for n, e in table.entries.items() if e["type"] not in ("address", "location")]
    rows = [*range(0, 600_000, 4999), *table.changed]
    for names in (flat, ["Id"], ["Email", "Account_Tier__c"], ["Title"], list(table.entries)):
        paths = [resolve(seed_sized, table, name) for name in names]
        json_writer = JsonWriter(seed_sized, table, paths, "64.0")

        expected = [json_writer.record(table.row(ordinal)) for ordinal in rows]
        assert expected == list(json_records(json_writer, rows))
        if names != list(table.entries):
            csv_writer = CsvWriter(table, paths, ",", "\n")
            lines = [csv_writer.line(table.row(ordinal)) for ordinal in rows]
            assert lines == list(csv_lines(csv_writer, rows))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("300.0", 300.0),
        ("1.0E7", 1e7),
        ("1.2345678901234568E17", 1.2345678901234568e17),
        ("1.0E-7", 1e-7),
        ("-0.0", -0.0),
        ("0.30000000000000004", 0.1 + 0.2),
        ("0.001", 0.001),
    ],
)
def test_doubles_are_written_as_java_writes_them(text, value):
    """Exponents from ten million on, always a digit after the point."""
    assert text == java_double(value)
    assert value == float(text)
