"""Everything else over REST: Collections, composite, describe, limits, versions, writes."""

from __future__ import annotations

import pytest


# ------------------------------------------------------------------ sObject Collections
def test_collections_answer_in_the_order_of_the_ids(org, rest):
    """Unknown, deleted and hidden ids are null; a repeated id is answered twice."""
    deleted, hidden, *shown = org.active_ids()
    org.delete_contact(deleted)
    org.hide_contact(hidden)
    ids = [shown[3], deleted, shown[0], "003000000000000AAA", hidden, "no id", shown[3][:15]]
    records = rest.post("composite/sobjects/Contact", {"ids": ids, "fields": ["Name"]}).json()
    record_ids = [record and record["Id"] for record in records]

    assert [shown[3], None, shown[0], None, None, None, shown[3]] == record_ids
    assert ["attributes", "Name", "Id"] == list(records[0])
    assert {"collections": 1} == dict(org.calls)


@pytest.mark.parametrize(
    ("ids", "fields", "status", "code"),
    [
        (["003000000000000AAA"] * 2001, ["Id"], 400, "EXCEEDED_ID_LIMIT"),
        (["003000000000000AAA"], ["Id", "Foo"], 400, "INVALID_FIELD"),
        (["00Q000000000000EAA"], ["Id"], 400, "MALFORMED_ID"),
        ([], ["Id"], 400, "REQUIRED_FIELD_MISSING"),
        (["003000000000000AAA"], [], 400, "REQUIRED_FIELD_MISSING"),
        (["003000000000000AAA"], ["Account.Name"], 400, "INVALID_FIELD"),
    ],
)
def test_collections_refuse_the_whole_call(rest, ids, fields, status, code):
    """One bad field or one id too many, and nothing is returned."""
    response = rest.post("composite/sobjects/Contact", {"ids": ids, "fields": fields})

    assert status == response.status_code
    assert code == response.json()[0]["errorCode"]


def test_collections_take_2000_ids_and_answer_all_fields_truly(org, rest):
    """Every field of every contact equals the oracle's, compound ones included."""
    expected = org.rows("Contact")
    names = [entry["name"] for entry in org.fields("Contact")]
    ids = (list(expected) * 50)[:2000]
    records = rest.post("composite/sobjects/Contact", {"ids": ids, "fields": names}).json()
    for record in records:
        record.pop("attributes")

    assert [expected[id_] for id_ in ids] == records


def test_collections_by_get(org, rest):
    """The older way, bounded by the length of an address."""
    first, second = org.active_ids()[:2]
    records = rest.get("composite/sobjects/Contact", ids=f"{second},{first}", fields="Id").json()

    assert [second, first] == [record["Id"] for record in records]


# ------------------------------------------------------------------ composite
def test_composite_is_one_call_and_answers_each_part(org, rest):
    """A part that fails does not take the others with it."""
    parts = [
        {"method": "GET", "url": f"/services/data/v64.0/{path}", "referenceId": f"r{at}"}
        for at, path in enumerate(("sobjects/Task/describe", "sobjects/Nope/describe", "limits"))
    ]
    answers = rest.post("composite", {"compositeRequest": parts}).json()["compositeResponse"]

    assert [200, 404, 200] == [answer["httpStatusCode"] for answer in answers]
    assert ["r0", "r1", "r2"] == [answer["referenceId"] for answer in answers]
    assert "Task" == answers[0]["body"]["name"]
    assert {"composite": 1} == dict(org.calls)


def test_composite_takes_five_queries_and_no_sixth(rest):
    """And 25 parts in all."""
    url = "/services/data/v64.0/query?q=SELECT+COUNT()+FROM+Task"
    parts = [{"method": "GET", "url": url, "referenceId": f"r{at}"} for at in range(6)]

    assert 200 == rest.post("composite", {"compositeRequest": parts[:5]}).status_code
    assert 400 == rest.post("composite", {"compositeRequest": parts}).status_code
    assert 400 == rest.post("composite", {"compositeRequest": parts[:1] * 26}).status_code


def test_composite_batch_is_billed_by_its_parts(org, rest):
    """Three parts, three calls."""
    parts = [{"method": "GET", "url": "v64.0/limits"}] * 2
    parts.append({"method": "GET", "url": "v64.0/sobjects/Nope/describe"})
    answer = rest.post("composite/batch", {"batchRequests": parts}).json()

    assert answer["hasErrors"]
    assert [200, 200, 404] == [result["statusCode"] for result in answer["results"]]
    assert 3 == org.billed


# ------------------------------------------------------------------ describe, limits, versions
def test_describe_leaves_out_what_our_user_may_not_read(org, rest):
    """Hidden fields are absent, everywhere alike."""
    org.hide_field("Contact", "NPI__c")
    names = [entry["name"] for entry in rest.get("sobjects/Contact/describe").json()["fields"]]

    assert 107 == len(names)
    assert "NPI__c" not in names
    assert "INVALID_FIELD" == rest.query("SELECT NPI__c FROM Contact").json()[0]["errorCode"]


def test_describe_is_not_sent_twice_to_who_asks_for_changes(rest, org):
    """If-Modified-Since: 304 until a field changes."""
    headers = {"If-Modified-Since": "Fri, 20 Nov 2026 12:00:00 GMT"}
    url = rest.url("sobjects/Contact/describe")

    assert 304 == rest.session.get(url, headers=headers, timeout=10).status_code
    org.add_field("Contact", "Fresh__c")
    assert 200 == rest.session.get(url, headers=headers, timeout=10).status_code


def test_without_shared_activities_there_is_no_task_who_relation(org, rest):
    """404 for describe, INVALID_TYPE for a query, and discovery by Task.WhoId."""
    org.shared_activities = False
    described = rest.get("sobjects/TaskWhoRelation/describe")
    refused = rest.query("SELECT Id FROM TaskWhoRelation")
    who_ids = rest.query("SELECT WhoId FROM Task WHERE WhoId != null").json()["records"]

    assert 404 == described.status_code
    assert "NOT_FOUND" == described.json()[0]["errorCode"]
    assert "INVALID_TYPE" == refused.json()[0]["errorCode"]
    contacts = {row["WhoId"] for row in who_ids if row["WhoId"].startswith("003")}
    assert sorted(contacts) == org.active_ids()


def test_limits_and_the_header_tell_what_is_used(org, rest):
    """Sforce-Limit-Info on every REST answer, refusals included."""
    org.daily_limit, org.daily_used = 100, 40
    answer = rest.get("limits")

    assert {"Max": 100, "Remaining": 59} == answer.json()["DailyApiRequests"]
    assert "api-usage=41/100" == answer.headers["Sforce-Limit-Info"]
    assert "api-usage=42/100" == rest.query("nonsense").headers["Sforce-Limit-Info"]


def test_at_the_daily_limit_every_call_is_refused(org, rest):
    """403 REQUEST_LIMIT_EXCEEDED, and the allowance stays where it is."""
    org.daily_limit = org.daily_used = 10
    answer = rest.get("limits")

    assert 403 == answer.status_code
    error = {"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}
    assert [error] == answer.json()
    assert 10 == org.daily_used


def test_versions_need_no_session_and_cost_nothing(org, rest):
    """31.0 to 68.0."""
    del rest.session.headers["Authorization"]
    versions = [entry["version"] for entry in rest.get("/services/data").json()]

    assert "31.0" == versions[0]
    assert "68.0" == versions[-1]
    assert 0 == org.billed


@pytest.mark.parametrize(("version", "status"), [("30.0", 410), ("31.0", 200), ("69.0", 404)])
def test_versions_end_on_both_sides(rest, version, status):
    """Retired: 410. Not yet there: 404."""
    assert status == rest.get(f"/services/data/v{version}/limits").status_code


def test_record_counts(org, rest):
    """limits/recordCount, by name."""
    answer = rest.get("limits/recordCount", sObjects="Contact,TaskWhoRelation").json()

    expected = [{"count": 40, "name": "Contact"}, {"count": 30, "name": "TaskWhoRelation"}]
    assert expected == answer["sObjects"]


# ------------------------------------------------------------------ refused
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "sobjects/Contact"),
        ("PATCH", "sobjects/Contact/003000000000000AAA"),
        ("DELETE", "sobjects/Contact/003000000000000AAA"),
        ("DELETE", "composite/sobjects?ids=003000000000000AAA"),
        ("PATCH", "composite/sobjects/Contact"),
        ("POST", "composite/sobjects/Contact?_HttpMethod=PATCH"),
        ("POST", "composite/tree/Contact"),
        ("POST", "jobs/ingest"),
        ("PUT", "jobs/ingest/750000000000000AAA/batches"),
        ("POST", "query"),
        ("POST", "/services/apexrest/anything"),
    ],
)
def test_a_write_is_refused_and_remembered(org, rest, method, path):
    """No verb that writes gets through, with or without a session."""
    before = org.rows("Contact")
    statuses = [rest.send(method, path, {"LastName": "x"}).status_code]
    rest.session.headers["Authorization"] = "Bearer nobody"
    statuses.append(rest.send(method, path, {"LastName": "x"}).status_code)

    assert all(status >= 400 for status in statuses)
    assert 2 == len(org.writes_attempted)
    assert before == org.rows("Contact")


def test_a_write_inside_composite_is_refused_and_remembered(org, rest):
    """The envelope is harmless, its content is not."""
    url = "/services/data/v64.0/sobjects/Contact"
    part = {"method": "POST", "url": url, "referenceId": "a", "body": {"LastName": "x"}}
    answer = rest.post("composite", {"compositeRequest": [part]}).json()["compositeResponse"][0]

    assert 403 == answer["httpStatusCode"]
    assert [f"POST {url}"] == org.writes_attempted


@pytest.mark.parametrize(
    ("header", "code", "text"),
    [
        ("Bearer nobody", "INVALID_SESSION_ID", "Session expired or invalid"),
        ("", "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"),
        ("Basic abc", "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"),
    ],
)
def test_without_a_session_nothing_is_answered(rest, header, code, text):
    """401, with WWW-Authenticate."""
    rest.session.headers["Authorization"] = header
    answer = rest.get("limits")

    assert 401 == answer.status_code
    assert [{"message": text, "errorCode": code}] == answer.json()
    assert "Token" == answer.headers["WWW-Authenticate"]


def test_unknown_paths_are_404_and_remembered(org, rest):
    """A client that asks for what is not modelled is found out."""
    assert 404 == rest.get("tooling/query").status_code
    assert 404 == rest.get("/services/async/59.0/job").status_code
    assert 2 == len(org.unexpected)


def test_answers_are_compressed_and_chunked(rest):
    """As recorded from Salesforce."""
    answer = rest.get("sobjects/Contact/describe")

    assert "gzip" == answer.headers["Content-Encoding"]
    assert "chunked" == answer.headers["Transfer-Encoding"]
    assert "application/json;charset=UTF-8" == answer.headers["Content-Type"]
