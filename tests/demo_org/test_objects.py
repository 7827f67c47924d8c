"""Leads, events, accounts, opportunities, a custom object: read every way, found by each other."""

from __future__ import annotations

import csv
import io
import time

import pytest

from salesforce_targeted.demo_org import DemoOrg

from .test_bulk import job

OBJECTS = ("Lead", "Account", "Event", "Opportunity", "Visit__c")
RELATIONS = ("TaskWhoRelation", "EventWhoRelation")
DISCOVERIES = [
    ("TaskWhoRelation", "RelationId", "Lead", "", lambda row: True),
    ("EventWhoRelation", "RelationId", "Lead", "", lambda row: True),
    ("EventWhoRelation", "RelationId", "Contact", "RelationId != null", lambda row: True),
    ("Event", "WhoId", "Contact", "WhoId != null", lambda row: True),
    ("Opportunity", "AccountId", "Account", "IsClosed = false", lambda row: not row["IsClosed"]),
    ("Opportunity", "AccountId", "Account", "IsWon = true AND AccountId != null",
     lambda row: row["IsWon"]),
    ("Visit__c", "Contact__c", "Contact", "Status__c IN ('Done', 'planned')",
     lambda row: row["Status__c"] in ("Done", "Planned")),
    ("Visit__c", "Account__c", "Account", "Account__c != null", lambda row: True),
]  # fmt: skip


@pytest.fixture
def org():
    """Provide some of everything."""
    return DemoOrg.varied()


def plain_names(org, name):
    """Return the fields that Bulk takes."""
    return [e["name"] for e in org.fields(name) if e["type"] not in ("address", "location")]


def groups(rest, by, field, where="", limit=2000):
    """Discovery as a client does it, page by page: id to how many name it."""
    counts, last = {}, ""
    while True:
        parts = [part for part in (where, f"{field} > '{last}'" if last else "") if part]
        clause = f"WHERE {' AND '.join(f'({part})' for part in parts)}" if parts else ""
        page = rest.query(
            f"SELECT {field}, COUNT(Id) relations FROM {by} {clause} "
            f"GROUP BY {field} ORDER BY {field} LIMIT {limit}"
        ).json()["records"]
        counts |= {row[field]: row["relations"] for row in page}
        if len(page) < limit:
            return counts
        last = page[-1][field] or "000000000000000"


# ------------------------------------------------------------------ what is in it
def test_a_varied_org_has_some_of_everything(org):
    """As its docstring counts them."""
    rows = {name: list(org.rows(name).values()) for name in (*OBJECTS, *RELATIONS)}
    visits, met = rows["Visit__c"], [row["Type"] for row in rows["EventWhoRelation"]]

    assert [12, 10, 20, 15, 14, 30, 25] == [len(table) for table in rows.values()]
    assert [20, 4, 1] == [met.count(kind) for kind in ("Contact", "Lead", None)]
    still_open = [row for row in rows["Opportunity"] if not row["IsClosed"]]
    assert [6, 1] == [len(still_open), sum(row["AccountId"] is None for row in still_open)]
    assert 4 == sum(row["Contact__c"] is None for row in visits)
    assert 2 == sum(row["Contact__c"] is row["Account__c"] is None for row in visits)
    assert 3 == len(org.named_ids("TaskWhoRelation", "RelationId", "Lead"))
    assert 12 == len(org.named_ids("EventWhoRelation", "RelationId"))


@pytest.mark.parametrize("seed", range(5))
def test_hostile_records_are_where_discovery_finds_them(seed):
    """Each as awkward as the hostile contact, each named by what it is found by."""
    org = DemoOrg.varied(seed)
    for name in ("Contact", "Lead", "Account", "Opportunity", "Visit__c"):
        id_ = org.hostile_ids[name]
        text = repr(org.rows(name, ids=[id_])[id_])
        assert "\\x00" in text, name
        assert "comma, semicolon" in text, name
    ids = org.hostile_ids
    for by in RELATIONS:
        assert ids["Lead"] in org.named_ids(by, "RelationId", "Lead")
        assert ids["Contact"] in org.named_ids(by, "RelationId")
    still_open = org.named_ids("Opportunity", "AccountId", "Account", lambda r: not r["IsClosed"])
    assert ids["Account"] in still_open
    assert ids["Contact"] in org.named_ids("Visit__c", "Contact__c")


def test_nobody_who_asks_for_none_gets_any():
    """The org of before: the objects are there, without rows."""
    org = DemoOrg.tiny()

    for name in ("Event", "EventWhoRelation", "Opportunity", "Visit__c"):
        assert [] == list(org.rows(name, all_rows=True))
        assert 11 <= len(org.fields(name))
    assert {"Contact": org.hostile_id} == org.hostile_ids


def test_one_seed_is_one_org():
    """And another seed another one; the other objects leave contacts and tasks as they were."""
    first, same, other = (DemoOrg.varied(seed) for seed in (7, 7, 8))
    bare = DemoOrg(40, 12, 30, 7, leads=12, lead_relations=3, accounts=10, users=4)

    for name in (*OBJECTS, "EventWhoRelation"):
        assert first.rows(name) == same.rows(name) != other.rows(name)
    for name in ("Contact", "Task", "TaskWhoRelation", "User"):
        assert bare.rows(name) == first.rows(name)


def test_many_of_them_are_made_at_once():
    """A platform team's org; sizes are as asked for."""
    started = time.process_time()
    org = DemoOrg(600_000, opportunities=5_000, events=5_000, visits=5_000)

    assert time.process_time() - started < 2.0
    assert [5_000] * 3 == [len(org.tables[name]) for name in ("Opportunity", "Event", "Visit__c")]


# ------------------------------------------------------------------ described and read
@pytest.mark.parametrize(
    ("name", "label", "plural", "prefix", "custom", "mergeable"),
    [
        ("Lead", "Lead", "Leads", "00Q", False, True),
        ("Account", "Account", "Accounts", "001", False, True),
        ("Event", "Event", "Events", "00U", False, False),
        ("EventWhoRelation", "EventWhoRelation", "EventWhoRelations", None, False, False),
        ("Opportunity", "Opportunity", "Opportunities", "006", False, False),
        ("Visit__c", "Visit", "Visits", "a0B", True, False),
    ],
)
def test_describe_tells_what_an_object_is(rest, name, label, plural, prefix, custom, mergeable):
    """Standard or custom, which ids it has, whether its records are merged."""
    described = rest.get(f"sobjects/{name}/describe").json()

    keys = ("label", "labelPlural", "keyPrefix", "custom", "mergeable")
    assert [label, plural, prefix, custom, mergeable] == [described[key] for key in keys]
    names = {entry["name"] for entry in described["fields"]}
    assert mergeable is ("MasterRecordId" in names)
    assert {"Id", "IsDeleted", "SystemModstamp"} <= names


@pytest.mark.parametrize(
    ("name", "standard", "custom", "sample"),
    [
        ("Lead", 25, 2, {"IsConverted", "ConvertedContactId", "Address", "Company", "Status"}),
        ("Account", 20, 1, {"Name", "ParentId", "BillingAddress", "OwnerId", "AnnualRevenue"}),
        ("Event", 25, 1, {"WhoId", "WhatId", "StartDateTime", "EndDateTime", "IsArchived"}),
        ("Opportunity", 25, 2, {"AccountId", "StageName", "IsClosed", "IsWon", "Amount",
                                "CloseDate", "ContactId"}),
        ("Visit__c", 10, 8, {"Contact__c", "Account__c", "Status__c", "Name", "OwnerId"}),
    ],
)  # fmt: skip
def test_objects_have_the_fields_of_real_ones(rest, name, standard, custom, sample):
    """Enough of them, custom ones too."""
    fields = rest.get(f"sobjects/{name}/describe").json()["fields"]

    assert standard <= sum(not entry["custom"] for entry in fields)
    assert custom <= sum(entry["custom"] for entry in fields)
    assert sample <= {entry["name"] for entry in fields}


@pytest.mark.parametrize("name", OBJECTS)
def test_every_way_of_reading_shows_what_the_oracle_shows(org, rest, name):
    """query, Collections, one record, Bulk: every field of every row."""
    expected = org.rows(name)
    names = [entry["name"] for entry in org.fields(name)]
    queried = rest.query(f"SELECT {','.join(names)} FROM {name}").json()["records"]
    body = {"ids": list(expected), "fields": names}
    collected = rest.post(f"composite/sobjects/{name}", body).json()
    single = [rest.get(f"sobjects/{name}/{id_}").json() for id_ in list(expected)[:3]]
    for record in (*queried, *collected, *single):
        assert name == record.pop("attributes")["type"]

    assert list(expected.values()) == queried == collected
    assert list(expected.values())[:3] == single
    columns = plain_names(org, name)
    created = job(rest, f"SELECT {','.join(columns)} FROM {name}").json()
    answer = rest.get(f"jobs/query/{created['id']}/results").content.decode()
    header, *lines = csv.reader(io.StringIO(answer, newline=""))
    assert columns == header
    places = [columns.index(column) for column in ("Id", "OwnerId")]
    assert [[r["Id"], r["OwnerId"]] for r in expected.values()] == [
        [line[place] for place in places] for line in lines
    ]


def test_relations_of_events_are_read_by_query_only(org, rest):
    """Bulk does not take them, semi-joins neither; without Shared Activities they are not there."""
    refused = job(rest, "SELECT Id FROM EventWhoRelation")
    joined = rest.query("SELECT Id FROM Lead WHERE Id IN (SELECT RelationId FROM EventWhoRelation)")
    shown = rest.ids("SELECT Id FROM EventWhoRelation")

    assert 400 == refused.status_code
    assert "INVALIDENTITY" == refused.json()[0]["errorCode"]
    assert "MALFORMED_QUERY" == joined.json()[0]["errorCode"]
    assert shown == list(org.rows("EventWhoRelation"))
    org.shared_activities = False
    gone = rest.query("SELECT Id FROM EventWhoRelation")
    assert 404 == rest.get("sobjects/EventWhoRelation/describe").status_code
    assert "INVALID_TYPE" == gone.json()[0]["errorCode"]
    by_event = org.named_ids("Event", "WhoId")
    assert by_event == sorted(id_ for id_ in groups(rest, "Event", "WhoId", "WhoId != null")
                              if id_.startswith("003"))  # fmt: skip


# ------------------------------------------------------------------ discovery
@pytest.mark.parametrize(("by", "field", "name", "where", "keep"), DISCOVERIES)
@pytest.mark.parametrize("limit", [2, 2000])
def test_ids_are_discovered_by_whatever_names_them(
    org, rest, by, field, name, where, keep, limit
):  # fmt: skip
    """Every id with how often it is named, in pages of any size."""
    named = [row[field] for row in org.rows(by).values() if keep(row)]
    prefix = org.tables[name].numbering.prefix
    counts = groups(rest, by, field, where, limit)
    mine = {id_: count for id_, count in counts.items() if id_ and id_.startswith(prefix)}

    assert mine
    assert {id_: named.count(id_) for id_ in mine} == mine
    assert org.named_ids(by, field, name, keep) == sorted(mine)
    assert (None in counts) is (None in named and "!= null" not in where)


def test_groups_are_chosen_by_having(org, rest):
    """Accounts with two opportunities or more."""
    named = [row["AccountId"] for row in org.rows("Opportunity").values()]
    records = rest.query(
        "SELECT AccountId, COUNT(Id) n FROM Opportunity GROUP BY AccountId HAVING COUNT(Id) > 1"
    ).json()["records"]

    expected = {id_: named.count(id_) for id_ in named if named.count(id_) > 1}
    assert expected == {row["AccountId"]: row["n"] for row in records}


# ------------------------------------------------------------------ values that follow
def test_a_stage_decides_whether_an_opportunity_is_closed(org):
    """Probability, forecast and expected revenue as well; a stage alone is written."""
    id_ = org.create("Opportunity", Amount=200.0)
    begun = org.rows("Opportunity")[id_]
    org.edit("Opportunity", id_, StageName="Closed Won")
    won = org.rows("Opportunity")[id_]

    assert (False, False, 20.0) == (begun["IsClosed"], begun["IsWon"], begun["ExpectedRevenue"])
    assert (True, True, 200.0) == (won["IsClosed"], won["IsWon"], won["ExpectedRevenue"])
    assert "Closed" == won["ForecastCategory"]
    assert begun["SystemModstamp"] < won["SystemModstamp"]


def test_what_is_computed_follows_what_was_written(org):
    """A lead's name, an event's end, a visit's formula; none of the three is asked for."""
    lead, event = org.create("Lead", FirstName="Zoë", LastName="Xu"), org.log_event()
    visit = org.create("Visit__c", Minutes__c=45.0)
    assert "Zoë Xu" == org.rows("Lead")[lead]["Name"]
    assert False is org.rows("Visit__c")[visit]["Is_Long__c"]
    org.edit("Lead", lead, LastName="Abbott")
    org.edit("Event", event, StartDateTime="2026-12-31T23:30:00.000+0000")
    org.set_silently("Visit__c", visit, Minutes__c=46.0)

    assert "Zoë Abbott" == org.rows("Lead")[lead]["Name"]
    assert "2027-01-01T00:30:00.000+0000" == org.rows("Event")[event]["EndDateTime"]
    assert True is org.rows("Visit__c")[visit]["Is_Long__c"]
