"""Orgs and users unlike the usual: each switch does what it says, and is off until it is set."""

from __future__ import annotations

import base64
import json
import time

import pytest

from salesforce_targeted.demo_org import Fault
from salesforce_targeted.demo_org.storage.traits import Traits

BULK = {"operation": "query", "query": "SELECT Id FROM Contact"}
GROUPED = "SELECT RelationId FROM TaskWhoRelation GROUP BY RelationId LIMIT 2000"
TOKEN = "/services/oauth2/token"


def refused(response):
    """Return status, code and message of a refusal."""
    (error,) = response.json()
    return response.status_code, error["errorCode"], error["message"]


def signed_in(org, rest):
    """Return the token endpoint's response to a password."""
    user, password = next(iter(org.users_by_name.items()))
    form = {"grant_type": "password", "client_id": org.client_id, "username": user,
            "client_secret": org.client_secret, "password": password + org.security_token}  # fmt: skip
    return rest.session.post(rest.url(TOKEN), data=form, timeout=10)


def test_an_org_is_the_usual_one_until_a_test_says_so(org):
    """Every trait has a default that changes nothing."""
    assert Traits() == org.traits


@pytest.mark.parametrize("path", ["limits", "limits/recordCount?sObjects=Contact"])
def test_limits_need_view_setup(org, rest, path):
    """Billed all the same, and the header tells the calls that are left."""
    assert 200 == rest.get(path).status_code
    org.traits.view_setup = False
    response = rest.get(path)

    assert (403, "INSUFFICIENT_ACCESS") == refused(response)[:2]
    assert "api-usage=2/15000" == response.headers["Sforce-Limit-Info"]


def test_bulk_jobs_can_be_spent_while_rest_has_calls(org, rest):
    """In the words that were recorded, with the number of jobs made."""
    org.traits.bulk_jobs_used = 10_021
    limits = rest.get("limits").json()

    assert (400, "LIMIT_EXCEEDED",
            "Max bulk v2 query jobs (10000) per 24 hrs has been reached (10021)",
            ) == refused(rest.post("jobs/query", BULK))  # fmt: skip
    assert 0 == limits["DailyBulkV2QueryJobs"]["Remaining"]
    assert 40 == len(rest.ids("SELECT Id FROM Contact"))


def test_the_last_bulk_job_of_a_day(org, rest):
    """The ten thousandth is made, the next one is not."""
    org.traits.bulk_jobs_used = 9_999

    assert [200, 400] == [rest.post("jobs/query", BULK).status_code for _ in range(2)]


def test_an_object_that_bulk_does_not_have(org, rest):
    """Only that one; REST reads it."""
    org.traits.without_bulk.add("Contact")
    tasks = {"operation": "query", "query": "SELECT Id FROM Task"}

    assert (400, "INVALIDENTITY") == refused(rest.post("jobs/query", BULK))[:2]
    assert 200 == rest.post("jobs/query", tasks).status_code
    assert 200 == rest.query("SELECT Id FROM Contact").status_code


def test_too_many_fields_are_too_complicated(org, rest):
    """In query, queryAll, Collections and the parts of a composite; as many as may be are fine."""
    org.traits.most_fields = 3
    few, many = ["Id", "Name", "Email"], ["Id", "Name", "Email", "Phone"]
    ids, base = [org.hostile_id], "/services/data/v64.0"
    statuses, codes = [], []
    for fields in (few, many):
        soql = f"SELECT {','.join(fields)} FROM Contact"
        parts = [
            {"method": "GET", "url": f"{base}/query?q={soql.replace(' ', '+')}",
             "referenceId": "a"},
            {"method": "POST", "url": f"{base}/composite/sobjects/Contact", "referenceId": "b",
             "body": {"ids": ids, "fields": fields}},
        ]  # fmt: skip
        composite = rest.post("composite", {"compositeRequest": parts}).json()
        alone = [
            rest.query(soql), rest.query(soql, "queryAll"),
            rest.post("composite/sobjects/Contact", {"ids": ids, "fields": fields}),
        ]  # fmt: skip
        inner = composite["compositeResponse"]
        statuses.append([r.status_code for r in alone] + [r["httpStatusCode"] for r in inner])
        if fields is many:
            codes = [refused(r)[1] for r in alone] + [r["body"][0]["errorCode"] for r in inner]

    assert [[200] * 5, [400] * 5] == statuses
    assert ["QUERY_TOO_COMPLICATED"] * 5 == codes
    assert 200 == rest.post("jobs/query", {**BULK, "query": f"SELECT {','.join(many)} FROM Contact"}
                            ).status_code  # fmt: skip


@pytest.mark.parametrize("soql", [GROUPED, "SELECT COUNT() FROM Contact",
                                  "SELECT MAX(SystemModstamp) FROM Task"])  # fmt: skip
def test_aggregates_time_out_from_some_query_on(org, rest, soql):
    """Other queries go on; a limit of rows lets narrower ones through."""
    org.traits.aggregates_left = 2
    statuses = [rest.query(soql).status_code for _ in range(4)]
    plain = rest.query("SELECT Id FROM Contact").status_code

    assert ([200, 200, 400, 400], 200) == (statuses, plain)
    assert (400, "QUERY_TIMEOUT") == refused(rest.query(soql))[:2]


def test_an_aggregate_over_too_many_rows_times_out(org, rest):
    """A narrower range of the same query does not."""
    ids = sorted(org.rows("TaskWhoRelation"))
    org.traits.most_aggregate_rows = 10
    narrow = GROUPED.replace(" GROUP", f" WHERE Id <= '{ids[9]}' GROUP")
    wider = GROUPED.replace(" GROUP", f" WHERE Id <= '{ids[10]}' GROUP")

    assert [200, 400, 400] == [rest.query(s).status_code for s in (narrow, wider, GROUPED)]


def test_aggregates_of_a_composite_take_their_time_one_after_the_other(org, rest):
    """So that a composite can take longer than its client waits, though no part does."""
    org.traits.aggregate_seconds = 0.1
    part = {"method": "GET", "url": "/services/data/v64.0/query?q=SELECT+COUNT()+FROM+Contact"}
    begun = time.monotonic()
    rest.query("SELECT COUNT() FROM Contact")
    alone = time.monotonic()
    parts = [{**part, "referenceId": f"r{at}"} for at in range(4)]
    rest.post("composite", {"compositeRequest": parts})

    assert alone - begun >= 0.1
    assert time.monotonic() - alone >= 0.4


def test_an_object_of_842_fields(org, rest):
    """Five hundred of them formulas; describe and queries know them, all empty; cheap to make."""
    begun = time.monotonic()
    org.widen("Contact")
    took = time.monotonic() - begun
    fields = rest.get("sobjects/Contact/describe").json()["fields"]
    added = [entry for entry in fields if entry["name"].startswith(("Formula_", "Extra_"))]
    (record, *_) = rest.query("SELECT Formula_0__c, Extra_500__c FROM Contact LIMIT 1").json()[
        "records"
    ]

    assert (842, 500) == (len(fields), sum(entry["calculated"] for entry in added))
    assert (None, None) == (record["Formula_0__c"], record["Extra_500__c"])
    assert took < 1


@pytest.mark.parametrize("strict", [False, True])
def test_a_locator_belongs_to_its_session(org, rest, strict):
    """Where the org says so, another session's is 401; the session's own goes on."""
    org.page_rows, org.traits.locators_of_session = 15, strict
    url = rest.query("SELECT Id FROM Contact").json()["nextRecordsUrl"]
    own = rest.get(url).status_code
    rest.session.headers["Authorization"] = f"Bearer {org.issue_token()}"
    other = rest.get(url)

    assert (200, 401 if strict else 200) == (own, other.status_code)
    if strict:
        assert "INVALID_SESSION_ID" == refused(other)[1]
        assert 200 == rest.query("SELECT Id FROM Contact").status_code


def test_result_pages_in_lower_case(org, rest):
    """As the guide's example prints the next address; it is followed as it is named."""
    org.traits.lower_case_pages = True
    job = rest.post("jobs/query", BULK).json()["id"]
    pages, body = [], rest.get(f"jobs/query/{job}/resultPages?maxRecords=3").json()
    assert f"/jobs/query/{job}/resultpages?locator=" in body["nextRecordsUrl"]
    while True:
        pages += body["resultPages"]
        if body["done"]:
            break
        body = rest.get(body["nextRecordsUrl"]).json()
    org.traits.lower_case_pages = False

    assert 14 == len(pages)
    assert 404 == rest.get(f"jobs/query/{job}/resultpages").status_code


def test_tokens_can_be_jwts_without_an_org(org, rest):
    """Only the address in ``id`` names org and user; the token opens the org."""
    org.traits.jwt_tokens = True
    body = signed_in(org, rest).json()
    head, claims, _ = body["access_token"].split(".")
    texts = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in (head, claims)]
    user = org.tables["User"].numbering.id_of(0)
    rest.session.headers["Authorization"] = f"Bearer {body['access_token']}"

    assert "JWT" == json.loads(texts[0])["typ"]
    assert org.org_id[:15] not in texts[1].decode() + body["access_token"]
    assert body["id"].endswith(f"/id/{org.org_id}/{user}")
    assert 200 == rest.get("limits").status_code


def test_an_org_that_serves_older_versions_only(org, rest):
    """The list ends there; a newer version is a path that does not exist."""
    org.traits.newest_version = 62
    listed = [version["version"] for version in rest.get("/services/data").json()]
    statuses = []
    for version in ("62.0", "63.0"):
        rest.version = version
        statuses.append(rest.get("limits").status_code)

    assert "62.0" == listed[-1]
    assert [200, 404] == statuses


def test_a_field_that_only_a_newer_version_shows(org, rest):
    """In describe and in queries; the versions do not disturb one another."""
    org.traits.fields_since["Contact", "Title"] = 66
    by_version = {}
    for version in ("64.0", "66.0", "64.0"):
        rest.version = version
        fields = rest.get("sobjects/Contact/describe").json()["fields"]
        by_version[version] = (
            "Title" in {entry["name"] for entry in fields},
            rest.query("SELECT Title FROM Contact").status_code,
        )

    assert {"64.0": (False, 400), "66.0": (True, 200)} == by_version
    assert "Title" in {entry["name"] for entry in org.fields("Contact")}


def test_an_expired_password_signs_in_by_soap_and_reads_nothing(org, rest):
    """``passwordExpired`` is true, and the session is refused wherever data is."""
    org.traits.password_expired = True
    user, password = next(iter(org.users_by_name.items()))
    envelope = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        f'<login xmlns="urn:partner.soap.sforce.com"><username>{user}</username>'
        f"<password>{password + org.security_token}</password></login></e:Body></e:Envelope>"
    )
    url = rest.url("/services/Soap/u/59.0")
    text = rest.session.post(url, data=envelope, timeout=10).text
    session = text.split("<sessionId>")[1].split("<")[0]
    before = rest.get("limits").status_code
    rest.session.headers["Authorization"] = f"Bearer {session}"

    assert "<passwordExpired>true</passwordExpired>" in text
    assert 200 == before
    assert (403, "INVALID_OPERATION_WITH_EXPIRED_PASSWORD") == refused(rest.get("limits"))[:2]


def test_a_blocked_app_gets_no_token(org, rest):
    """As an OAuth error; the next sign-in is let in again."""
    org.faults.add(Fault("token", "app_blocked_400"))
    response = signed_in(org, rest)

    assert (400, "OAUTH_APP_BLOCKED") == (response.status_code, response.json()["error"])
    assert "this app is blocked by admin" == response.json()["error_description"]
    assert 200 == signed_in(org, rest).status_code


@pytest.mark.parametrize(
    ("action", "status", "code", "message"),
    [
        ("no_rest_session_401", 401, "INVALID_SESSION_ID",
         "This session is not valid for use with the REST API"),
        ("url_not_reset_400", 400, "URL_NOT_RESET",
         "Destination URL not reset. The URL returned from login must be set"),
    ],
)  # fmt: skip
def test_sessions_that_do_not_fit(org, rest, action, status, code, message):
    """In the words that were recorded; sessions go on being valid elsewhere."""
    org.faults.add(Fault("query", action))

    assert (status, code, message) == refused(rest.query("SELECT Id FROM Contact"))
    assert 200 == rest.query("SELECT Id FROM Contact").status_code


def test_a_describe_is_gone_for_so_many_calls(org, rest):
    """One object's, for the next two describes; then it is there again, and others always were."""
    org.faults.add(Fault("sobjects/TaskWhoRelation/describe", "not_found_404", times=2))
    paths = ["sobjects/TaskWhoRelation/describe", "sobjects/Task/describe"] * 3

    assert [404, 200, 404, 200, 200, 200] == [rest.get(path).status_code for path in paths]


def test_every_job_stays_in_progress(org, rest):
    """For as many polls as a test says, of whatever job; its results never come."""
    org.faults.add(Fault("bulk_poll", "bulk_stuck", times=10**6))
    for _ in range(2):
        job = rest.post("jobs/query", BULK).json()["id"]
        states = [rest.get(f"jobs/query/{job}").json()["state"] for _ in range(3)]

        assert ["InProgress"] * 3 == states
        assert 400 == rest.get(f"jobs/query/{job}/results").status_code


@pytest.mark.parametrize("soql", [GROUPED, "SELECT Id FROM TaskWhoRelation"])
def test_relations_need_view_all_data(org, rest, soql):
    """Without it their queries are too large; tasks can be read, and the org shows the permission as missing."""
    assert 200 == rest.query(soql).status_code
    org.take_view_all_data()
    shown = rest.query("SELECT PermissionsViewAllData FROM UserPermissionAccess").json()

    assert (400, "OPERATION_TOO_LARGE") == refused(rest.query(soql))[:2]
    assert 200 == rest.query("SELECT Id, WhoId FROM Task").status_code
    assert [False] == [record["PermissionsViewAllData"] for record in shown["records"]]
