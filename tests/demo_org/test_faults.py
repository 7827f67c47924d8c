"""Misfortunes: each does what it says, once, and the org is well again."""

from __future__ import annotations

import contextlib
import time
import zlib

import pytest
import requests

from salesforce_targeted.demo_org import Fault
from salesforce_targeted.demo_org.faults.faults import ACTIONS, KINDS


def struck(org, rest, action, **more):
    """Return the response to a Collections call that *action* befalls."""
    org.faults.add(Fault("collections", action, **more))
    ids = list(org.rows("Contact"))
    names = [entry["name"] for entry in org.fields("Contact")]
    return rest.post("composite/sobjects/Contact", {"ids": ids, "fields": names})


@pytest.mark.parametrize(
    ("action", "status", "text"),
    [
        ("html_503", 503, "<h1>Service Unavailable</h1>"),
        ("maintenance_200_html", 200, "maintenance"),
        ("unavailable_503", 503, "SERVER_UNAVAILABLE"),
        ("unknown_500", 500, "UNKNOWN_EXCEPTION"),
        ("http_429", 429, "TOO_MANY_REQUESTS"),
        ("empty_200", 200, ""),
        ("garbage_200", 200, '{"totalSize"'),
        ("no_entries_200", 200, "[]"),
        ("expire_session", 401, "INVALID_SESSION_ID"),
        ("invalid_auth_header", 401, "INVALID_JWT_FORMAT"),
        ("concurrent_403", 403, "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
        ("daily_403", 403, "TotalRequests Limit exceeded."),
        ("text_503", 503, "Service Unavailable"),
        ("bad_gateway_502", 502, "<h1>502 Bad Gateway</h1>"),
        ("gateway_timeout_504", 504, "<h1>504 Gateway Timeout</h1>"),
        ("no_route_420", 420, "<h1>No routing information</h1>"),
        ("api_disabled_403", 403, "API_DISABLED_FOR_ORG"),
        ("no_access_403", 403, "INSUFFICIENT_ACCESS"),
        ("metering_403", 403, "TXN_SECURITY_METERING_ERROR"),
        ("not_enabled_403", 403, "FUNCTIONALITY_NOT_ENABLED"),
        ("not_found_404", 404, "NOT_FOUND"),
        ("version_gone_410", 410, "GONE"),
        ("query_timeout_400", 400, "Your query request was running for too long."),
        ("invalid_field_400", 400, "No such column 'NPI__c'"),
    ],
)
def test_answers_in_the_orgs_place(org, rest, action, status, text):
    """The call is billed, the next one is answered by the org again."""
    answer = struck(org, rest, action)
    rest.session.headers["Authorization"] = f"Bearer {org.issue_token()}"

    assert status == answer.status_code
    assert text in answer.text
    assert {"collections": 1} == dict(org.calls)
    assert 200 == rest.post("composite/sobjects/Contact",
                            {"ids": [org.hostile_id], "fields": ["Id"]}).status_code  # fmt: skip


@pytest.mark.parametrize("action", ["reset_before", "reset_midbody", "short_body", "hang"])
def test_broken_connections_raise_in_the_client(org, rest, action):
    """And the next connection works."""
    with pytest.raises(requests.RequestException):
        struck(org, rest, action, argument=0.05)

    assert 200 == rest.get("limits").status_code


def test_a_cut_gzip_body_arrives_in_whole_framing(org, server, rest):
    """Nothing raises below the decompression: only counting rows finds it."""
    org.faults.add(Fault("query", "cut_gzip"))
    answer = rest.session.get(rest.url("query"), params={"q": "SELECT Id FROM Contact"},
                              stream=True, timeout=10)  # fmt: skip
    raw = answer.raw.read(decode_content=False)
    unpacker = zlib.decompressobj(31)
    unpacker.decompress(raw)

    assert 200 == answer.status_code
    assert not unpacker.eof


def test_a_slow_drip_arrives_whole(org, rest):
    """Over the seconds asked for."""
    started = time.monotonic()
    answer = struck(org, rest, "slow_drip", argument=0.3)

    assert 40 == len(answer.json())
    assert time.monotonic() - started >= 0.25


def test_a_dropped_row_is_told_by_nothing_but_the_count(org, rest):
    """JSON and CSV; headers and totals still count it."""
    org.faults.add(Fault("query", "drop_rows"))
    page = rest.query("SELECT Id FROM Contact").json()
    job = rest.post("jobs/query", {"operation": "query", "query": "SELECT Id FROM Contact"}).json()
    org.faults.add(Fault("bulk_results", "drop_rows"))
    results = rest.get(f"jobs/query/{job['id']}/results")

    assert (40, 39) == (page["totalSize"], len(page["records"]))
    assert 39 == len(struck(org, rest, "drop_rows").json())
    assert "40" == results.headers["Sforce-NumberOfRecords"]
    assert 39 == results.text.count("\n") - 1


def test_one_row_of_a_composite_is_dropped_from_the_last_part_that_has_any(org, rest):
    """Whether that part is a query's answer or a Collections one."""
    query = {"method": "GET", "url": "/services/data/v64.0/query?q=SELECT+Id+FROM+Contact"}
    retrieve = {
        "method": "POST", "url": "/services/data/v64.0/composite/sobjects/Contact",
        "body": {"ids": list(org.rows("Contact")), "fields": ["Id"]},
    }  # fmt: skip
    sizes = []
    for parts in ([query], [query, retrieve]):
        org.faults.add(Fault("composite", "drop_rows"))
        named = [{**part, "referenceId": f"r{at}"} for at, part in enumerate(parts)]
        answer = rest.post("composite", {"compositeRequest": named}).json()["compositeResponse"]
        bodies = [part["body"] for part in answer]
        sizes.append([len(b["records"] if isinstance(b, dict) else b) for b in bodies])

    assert [[39], [40, 39]] == sizes


@pytest.mark.parametrize(
    ("path", "parts", "answers", "status"),
    [
        ("composite", "compositeRequest", "compositeResponse", "httpStatusCode"),
        ("composite/batch", "batchRequests", "results", "statusCode"),
    ],
)
def test_one_part_of_a_composite_is_refused(org, rest, path, parts, answers, status):
    """The last one; the call itself and the other parts are answered."""
    org.faults.add(Fault(path.replace("/", "_"), "part_timeout_400"))
    part = {"method": "GET", "url": "/services/data/v64.0/limits"}
    response = rest.post(path, {parts: [{**part, "referenceId": name} for name in "ab"]})
    refused = response.json()[answers][-1]

    assert 200 == response.status_code
    assert [200, 400] == [part[status] for part in response.json()[answers]]
    assert "QUERY_TIMEOUT" == refused.get("body", refused.get("result"))[0]["errorCode"]


@pytest.mark.parametrize(
    ("kind", "action", "status", "text"),
    [
        ("query", "uri_414", 414, "URI Too Long"),
        ("query", "headers_431", 431, "Request Header Fields Too Large"),
        ("query", "too_many_ids_400", 400, "EXCEEDED_ID_LIMIT"),
        ("query", "malformed_query_400", 400, "MALFORMED_QUERY"),
        ("query", "invalid_type_400", 400, "INVALID_TYPE"),
        ("bulk_create", "bulk_unsupported_400", 400, "INVALIDENTITY"),
        ("bulk_create", "bulk_restricted_400", 400, "API_ERROR"),
        ("bulk_create", "bulk_jobs_spent_400", 400, "LIMIT_EXCEEDED"),
        ("bulk_results", "not_ready_400", 400, "INVALIDJOBSTATE"),
    ],
)
def test_refuses_queries_and_jobs(org, rest, kind, action, status, text):
    """In the words of the documentation, once."""
    statement = "SELECT Id FROM Contact"
    job = rest.post("jobs/query", {"operation": "query", "query": statement}).json()

    def ask():
        if kind == "query":
            return rest.query(statement)
        if kind == "bulk_create":
            return rest.post("jobs/query", {"operation": "query", "query": statement})
        return rest.get(f"jobs/query/{job['id']}/results")

    org.faults.add(Fault(kind, action))
    struck = ask()

    assert status == struck.status_code
    assert text in struck.text
    assert 200 == ask().status_code


@pytest.mark.parametrize(
    ("action", "state", "says"),
    [
        ("bulk_failed", "Failed", True),
        ("bulk_silent", "Failed", False),
        ("bulk_aborted", "Aborted", False),
        ("bulk_stuck", "InProgress", False),
    ],
)
def test_jobs_end_in_every_way(org, rest, action, state, says):
    """And stay there."""
    job = rest.post("jobs/query", {"operation": "query", "query": "SELECT Id FROM Contact"}).json()
    org.faults.add(Fault("bulk_poll", action))
    polls = [rest.get(f"jobs/query/{job['id']}").json() for _ in range(2)]

    assert [state, state] == [poll["state"] for poll in polls]
    assert says is ("errorMessage" in polls[0])
    assert 400 == rest.get(f"jobs/query/{job['id']}/results").status_code


def test_nth_and_times_say_which_calls(org, rest):
    """The second and the third, no other."""
    fault = org.faults.add(Fault("limits", "html_503", nth=2, times=2))
    statuses = [rest.get("limits").status_code for _ in range(4)]

    assert [200, 503, 503, 200] == statuses
    assert 2 == fault.done


def test_a_pattern_or_a_star_strike_by_path(org, rest):
    """A kind is exact; ``*`` is any billed call, so never the sign-in."""
    org.faults.add(Fault(r"sobjects/Task/describe", "html_503"))
    assert 200 == rest.get("sobjects/Contact/describe").status_code
    assert 503 == rest.get("sobjects/Task/describe").status_code
    org.faults.add(Fault("*", "html_503"))
    assert 200 == rest.get("/services/data").status_code
    assert 503 == rest.get("limits").status_code
    org.faults.add(Fault("query", "html_503"))
    org.page_rows = 7
    org.faults.clear()
    url = rest.query("SELECT Id FROM Contact").json()["nextRecordsUrl"]
    org.faults.add(Fault("query", "html_503"))
    assert 200 == rest.get(url).status_code


def test_every_action_is_described_and_strikes_known_kinds(org, rest):
    """A fault of an unknown name is a mistake of the test that adds it."""
    assert {kind for action in ACTIONS.values() for kind in action.kinds} <= {"*", *KINDS}
    assert all(action.description for action in ACTIONS.values())
    with pytest.raises(ValueError, match="no fault"):
        Fault("query", "nonsense")


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_after_any_misfortune_the_org_answers_again(org, rest, action):
    """One after the other, on a call that each can befall."""
    kinds = ACTIONS[action].kinds
    kind = "query" if "*" in kinds or "query" in kinds else kinds[0]
    org.page_rows = 7
    job = rest.post("jobs/query", {"operation": "query", "query": "SELECT Id FROM Contact"}).json()
    paths = {
        "query": "query?q=SELECT+Id,Name+FROM+Contact", "bulk_poll": f"jobs/query/{job['id']}",
        "query_more": rest.query("SELECT Id FROM Contact").json()["nextRecordsUrl"],
        "bulk_results": f"jobs/query/{job['id']}/results", "composite": "composite",
        "bulk_create": "jobs/query", "token": "/services/oauth2/token",
        "collections": "composite/sobjects/Contact",
    }  # fmt: skip
    fault = org.faults.add(Fault(kind, action, argument=0.05))
    with contextlib.suppress(requests.RequestException):  # the point of some of them
        rest.get(paths[kind])
    rest.session.headers["Authorization"] = f"Bearer {org.issue_token()}"

    assert 1 == fault.done
    assert 200 == rest.query("SELECT Id FROM Contact").status_code
