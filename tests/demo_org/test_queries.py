"""query, queryAll, queryMore: what they return and what they refuse, over HTTP."""

from __future__ import annotations

import pytest

NO_COLUMN = (
    "No such column 'Foo' on entity 'Contact'. If you are attempting to use a custom field, be "
    "sure to append the '__c' after the custom field name. Please reference your WSDL or the "
    "describe call for the appropriate names."
)
AGGREGATE_PAGES = (
    "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single "
    "batch"
)
QUOTED = (
    "value of filter criterion for field 'SystemModstamp' must be of type dateTime and should not "
    "be enclosed in quotes"
)
SEMI_JOIN = "is not supported for semi join inner selects"


@pytest.mark.parametrize(
    ("soql", "status", "code", "text"),
    [
        ("SELECT Id FRM Contact", 400, "MALFORMED_QUERY", "unexpected token: 'FRM'"),
        ("SELECT Id FROM Contact WHERE", 400, "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Contact WHERE Name = 'a' AND Name = 'b' OR Name = 'c'", 400,
         "MALFORMED_QUERY", "unexpected token: 'OR'"),
        ("SELECT Foo FROM Contact", 400, "INVALID_FIELD", NO_COLUMN),
        ("SELECT Id FROM Contact WHERE Foo = 'x'", 400, "INVALID_FIELD", NO_COLUMN),
        ("SELECT Id FROM Foo", 400, "INVALID_TYPE", "sObject type 'Foo' is not supported."),
        ("SELECT Id FROM Contact WHERE Id IN (SELECT WhoId FROM Task)", 400, "MALFORMED_QUERY",
         "Entity 'Task' " + SEMI_JOIN),
        ("SELECT Id FROM Contact WHERE Id IN (SELECT RelationId FROM TaskWhoRelation)", 400,
         "MALFORMED_QUERY", "Entity 'TaskWhoRelation' " + SEMI_JOIN),
        ("SELECT Id FROM Contact WHERE SystemModstamp > '2026-01-01T00:00:00Z'", 400,
         "INVALID_FIELD", QUOTED),
        ("SELECT Id FROM Contact WHERE Id = 'abc'", 400, "INVALID_QUERY_FILTER_OPERATOR",
         "invalid ID field: abc"),
        ("SELECT Id FROM Contact WHERE Id LIKE '003%'", 400, "INVALID_QUERY_FILTER_OPERATOR",
         "invalid operator on id field"),
        ("SELECT Id FROM Contact OFFSET 2001", 400, "NUMBER_OUTSIDE_VALID_RANGE",
         "Maximum SOQL offset allowed is 2000"),
        ("SELECT FIELDS(ALL) FROM Contact", 400, "MALFORMED_QUERY",
         "The SOQL FIELDS function must have a LIMIT of at most 200"),
        ("SELECT FIELDS(ALL) FROM Contact LIMIT 201", 400, "MALFORMED_QUERY",
         "The SOQL FIELDS function must have a LIMIT of at most 200"),
        ("SELECT Id FROM Contact WHERE Description = 'x'", 400, "INVALID_FIELD",
         "field 'Description' can not be filtered in a query call"),
        ("SELECT Id FROM Contact WHERE Name = 'a\\'", 400, "MALFORMED_QUERY", "unexpected token"),
        ("SELECT COUNT(Id) FROM Contact LIMIT 5", 400, "MALFORMED_QUERY", "LIMIT"),
        ("SELECT Name, COUNT(Id) FROM Contact", 400, "MALFORMED_QUERY",
         "Field must be grouped or aggregated: Name"),
        ("SELECT DISTINCT Id FROM Contact", 400, "MALFORMED_QUERY", "unexpected token"),
    ],
)  # fmt: skip
def test_what_salesforce_refuses_is_refused_in_its_words(rest, soql, status, code, text):
    """One row per refusal of the reference, as a list with one error."""
    response = rest.query(soql)
    (error,) = response.json()

    assert status == response.status_code
    assert code == error["errorCode"]
    assert text in error["message"]


@pytest.mark.parametrize(
    ("condition", "keep"),
    [
        ("FirstName = null", lambda row: row["FirstName"] is None),
        ("Is_Physician__c = true", lambda row: row["Is_Physician__c"]),
        ("NOT Is_Physician__c = true", lambda row: not row["Is_Physician__c"]),
        ("Total_Calls__c > 1000", lambda row: (row["Total_Calls__c"] or 0) > 1000),
        ("Score__c <= 100.5", lambda row: row["Score__c"] is not None and row["Score__c"] <= 100.5),
        ("LastName LIKE 'a%'", lambda row: row["LastName"].lower().startswith("a")),
        ("Region__c IN ('north', 'SOUTH')", lambda row: row["Region__c"] in ("North", "South")),
        ("Region__c NOT IN ('North')", lambda row: row["Region__c"] != "North"),
        ("Birthdate >= 1990-01-01", lambda row: (row["Birthdate"] or "") >= "1990-01-01"),
        ("SystemModstamp >= 2022-01-01T00:00:00Z",
         lambda row: row["SystemModstamp"] >= "2022-01-01"),
        ("SystemModstamp >= 2022-01-01T02:00:00%2B02:00",
         lambda row: row["SystemModstamp"] >= "2022-01-01"),
        ("SystemModstamp = LAST_N_DAYS:365", lambda row: row["SystemModstamp"] >= "2025-11-20"),
        ("Interests__c INCLUDES ('Oncology')",
         lambda row: "Oncology" in (row["Interests__c"] or "").split(";")),
        ("(FirstName = 'Ada' OR Region__c = 'West') AND DoNotCall = false",
         lambda row: (row["FirstName"] == "Ada" or row["Region__c"] == "West")
         and not row["DoNotCall"]),
        ("LastName = 'a \"quoted\" word'", lambda row: row["LastName"] == 'a "quoted" word'),
        ("FirstName = 'back\\\\slash at the end\\\\'",
         lambda row: row["FirstName"] == "back\\slash at the end\\"),
    ],
)  # fmt: skip
def test_conditions_select_what_they_say(org, rest, condition, keep):
    """Each operator and literal, compared with the oracle."""
    wanted = [id_ for id_, row in org.rows("Contact").items() if keep(row)]

    assert wanted == rest.ids("SELECT Id FROM Contact WHERE " + condition.replace("%2B", "+"))


def test_a_raw_plus_in_the_address_becomes_a_space(rest):
    """Who does not write %2B gets MALFORMED_QUERY."""
    path = "query?q=SELECT+Id+FROM+Contact+WHERE+SystemModstamp>2022-01-01T00:00:00+02:00"

    assert "MALFORMED_QUERY" == rest.get(path).json()[0]["errorCode"]


def test_ids_are_taken_with_15_and_18_characters_and_returned_with_18(org, rest):
    """The key set of a record is the selection in its order, after attributes."""
    record = rest.query(f"SELECT lastname, ID FROM contact WHERE Id = '{org.hostile_id[:15]}'")
    (row,) = record.json()["records"]

    assert ["attributes", "LastName", "Id"] == list(row)
    assert org.hostile_id == row["Id"]
    url = f"/services/data/v64.0/sobjects/Contact/{org.hostile_id}"
    assert {"type": "Contact", "url": url} == row["attributes"]


def test_parents_are_nested_and_null_where_there_is_none(org, rest):
    """Account.Name and, of a polymorphic parent, Name and Type."""
    contact = rest.query(
        f"SELECT Account.Name, ReportsTo.Name FROM Contact WHERE Id = '{org.hostile_id}'"
    ).json()["records"][0]
    relation = rest.query(
        "SELECT Relation.Name, Relation.Type FROM TaskWhoRelation WHERE Type = 'Lead' LIMIT 1"
    ).json()["records"][0]
    refused = rest.query("SELECT Relation.Email FROM TaskWhoRelation")

    assert "Account" == contact["Account"]["attributes"]["type"]
    assert None is contact["ReportsTo"]
    assert "Lead" == relation["Relation"]["Type"]
    assert "INVALID_FIELD" == refused.json()[0]["errorCode"]


def test_values_are_carried_unchanged(org, rest):
    """The hostile contact, every field, over the wire."""
    names = [entry["name"] for entry in org.fields("Contact")]
    soql = f"SELECT {','.join(names)} FROM Contact WHERE Id = '{org.hostile_id}'"
    (row,) = rest.query(soql).json()["records"]
    del row["attributes"]

    assert org.rows("Contact", ids=[org.hostile_id])[org.hostile_id] == row


def test_pages_lead_to_each_other_until_all_rows_are_there(org, rest):
    """done, totalSize and nextRecordsUrl; the last page names no next one."""
    org.page_rows = 7
    page = rest.query("SELECT Id FROM TaskWhoRelation").json()
    sizes, total = [len(page["records"])], page["totalSize"]
    while not page["done"]:
        page = rest.get(page["nextRecordsUrl"]).json()
        sizes.append(len(page["records"]))

    assert 30 == total
    assert [7, 7, 7, 7, 2] == sizes
    assert "nextRecordsUrl" not in page
    assert {"query": 1, "query_more": 4} == dict(org.calls)


@pytest.mark.parametrize(
    ("locator", "text"),
    [("nonsense", "invalid query locator"), ("01g5g0000005BANAA2-2000", "invalid query locator")],
)
def test_an_unknown_locator_is_refused(rest, locator, text):
    """There is no resume."""
    (error,) = rest.get(f"query/{locator}").json()

    assert "INVALID_QUERY_LOCATOR" == error["errorCode"]
    assert text in error["message"]


def test_a_locator_lives_two_days(org, rest):
    """After that the query has to be run again."""
    org.page_rows = 7
    url = rest.query("SELECT Id FROM Contact").json()["nextRecordsUrl"]
    org.advance(2 * 86_400 + 1)

    assert "QUERY_LOCATOR_EXPIRED" in rest.get(url).json()[0]["message"]


def test_batch_size_is_kept_between_200_and_2000(server):
    """Sforce-Query-Options asks for less than 2,000 rows a page."""
    from salesforce_targeted.demo_org import DemoOrg, serve

    from .conftest import Rest

    with serve(DemoOrg(500, 20, 60, leads=5, accounts=5)) as bigger:
        rest = Rest(bigger)
        rest.session.headers["Sforce-Query-Options"] = "batchSize=1"

        assert 200 == len(rest.query("SELECT Id FROM Contact").json()["records"])
        rest.session.close()


def test_group_by_with_a_keyset_returns_every_contact(org, rest):
    """WHERE RelationId > last GROUP BY … ORDER BY … LIMIT n, in binary id order."""
    ids, last = [], "000000000000000"
    while True:
        records = rest.query(
            f"SELECT RelationId FROM TaskWhoRelation WHERE RelationId > '{last}' "
            "GROUP BY RelationId ORDER BY RelationId LIMIT 5"
        ).json()["records"]
        if not records:
            break
        ids += [record["RelationId"] for record in records]
        last = ids[-1]

    assert org.active_ids() == [id_ for id_ in ids if id_.startswith("003")]
    assert 3 == sum(id_.startswith("00Q") for id_ in ids)


def test_more_than_2000_groups_are_refused_not_cut():
    """The 2,001st group turns an answer into an error."""
    from salesforce_targeted.demo_org import DemoOrg, serve

    from .conftest import Rest

    with serve(DemoOrg(2100, 2001, 2010, leads=5, lead_relations=0, accounts=5)) as bigger:
        rest = Rest(bigger)
        soql = "SELECT RelationId FROM TaskWhoRelation WHERE RelationId != null GROUP BY RelationId"
        refused, bounded = rest.query(soql), rest.query(soql + " LIMIT 2000")
        rest.session.close()

    assert 400 == refused.status_code
    assert "EXCEEDED_ID_LIMIT" == refused.json()[0]["errorCode"]
    assert AGGREGATE_PAGES == refused.json()[0]["message"]
    assert 2000 == len(bounded.json()["records"])


def test_counts(org, rest):
    """COUNT() has no rows, COUNT(field) one without a url, aliases name columns."""
    plain = rest.query("SELECT COUNT() FROM TaskWhoRelation").json()
    named = rest.query("SELECT COUNT(Id), COUNT_DISTINCT(RelationId) who FROM TaskWhoRelation")
    (row,) = named.json()["records"]
    distinct = {r["RelationId"] for r in org.rows("TaskWhoRelation").values()} - {None}

    assert {"totalSize": 30, "done": True, "records": []} == plain
    assert {"attributes": {"type": "AggregateResult"}, "expr0": 30, "who": len(distinct)} == row


def test_query_all_shows_deleted_and_archived(org, rest):
    """Plain query hides both; TaskWhoRelation knows no difference."""
    live = rest.ids("SELECT Id FROM Task")
    every = rest.ids("SELECT Id FROM Task", "queryAll")
    relations = [rest.ids("SELECT Id FROM TaskWhoRelation", path) for path in ("query", "queryAll")]

    assert set(org.rows("Task")) == set(live)
    assert set(org.rows("Task", all_rows=True)) == set(every)
    assert len(live) < len(every)
    assert relations[0] == relations[1]


def test_order_by_puts_nulls_first_unless_told(org, rest):
    """And falls back on the id among equals."""
    rows = org.rows("Contact").values()
    nulls = sum(row["Title"] is None for row in rows)
    first = rest.query("SELECT Title FROM Contact ORDER BY Title").json()["records"]
    last = rest.query("SELECT Title FROM Contact ORDER BY Title DESC NULLS LAST").json()["records"]

    assert [None] * nulls == [record["Title"] for record in first[:nulls]]
    assert [None] * nulls == [record["Title"] for record in last[-nulls:]]
    titles = [record["Title"].casefold() for record in first[nulls:]]
    assert sorted(titles) == titles


def test_a_statement_of_more_than_100000_characters_is_refused(rest):
    """Even where the body carries it past the length of an address."""
    soql = "SELECT Id FROM Contact WHERE Id IN ('" + "0" * 100_000 + "')"
    url = "/services/data/v64.0/query?q=" + soql.replace(" ", "+")
    part = {"method": "GET", "url": url, "referenceId": "a"}
    answer = rest.post("composite", {"compositeRequest": [part]}).json()["compositeResponse"][0]

    assert 400 == answer["httpStatusCode"]
    assert "MALFORMED_QUERY" == answer["body"][0]["errorCode"]


def test_a_long_address_is_answered_by_the_edge_in_html(org, rest):
    """16,384 bytes, then 414, and not a word of JSON."""
    response = rest.query("SELECT Id FROM Contact WHERE Name = '" + "x" * 17_000 + "'")

    assert 414 == response.status_code
    assert "<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>" == response.text
    assert 0 == org.billed


def test_groups_are_filtered_ordered_and_named(org, rest):
    """HAVING, ORDER BY an aggregate, MAX of a datetime."""
    rows = org.rows("TaskWhoRelation").values()
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["RelationId"]] = counts.get(row["RelationId"], 0) + 1
    several = sorted((n for n in counts.values() if n > 1), reverse=True)
    groups = rest.query(
        "SELECT RelationId, COUNT(Id) n, MAX(SystemModstamp) FROM TaskWhoRelation "
        "GROUP BY RelationId HAVING COUNT(Id) > 1 ORDER BY COUNT(Id) DESC"
    ).json()["records"]

    assert several == [record["n"] for record in groups]
    newest = max(r["SystemModstamp"] for r in rows if r["RelationId"] == groups[0]["RelationId"])
    assert newest == groups[0]["expr0"]


def test_mixed_orders_and_ids_descending(org, rest):
    """Each term in its own direction."""
    rows = sorted(org.rows("Contact").values(), key=lambda row: row["Id"])
    rows.sort(key=lambda row: row["SystemModstamp"], reverse=True)
    newest = rest.ids("SELECT Id FROM Contact ORDER BY SystemModstamp DESC, Id ASC LIMIT 5")

    assert [row["Id"] for row in rows[:5]] == newest
    assert (
        max(org.rows("Contact")) == rest.ids("SELECT Id FROM Contact ORDER BY Id DESC LIMIT 1")[0]
    )


def test_lone_surrogates_reach_the_client_as_escapes(org, rest):
    """JSON carries them, UTF-8 does not: Bulk puts a question mark."""
    org.edit("Contact", org.hostile_id, Title="half \ud83d")
    soql = f"SELECT Title FROM Contact WHERE Id = '{org.hostile_id}'"
    job = rest.post("jobs/query", {"operation": "query", "query": soql}).json()

    assert "half \ud83d" == rest.query(soql).json()["records"][0]["Title"]
    assert b"half ?" in rest.get(f"jobs/query/{job['id']}/results").content
