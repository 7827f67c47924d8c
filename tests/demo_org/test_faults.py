"""Misfortunes: each does what it says, once, and the org is well again."""

from __future__ import annotations

import contextlib
import time
import zlib

import pytest
import requests

from salesforce_targeted.demo_org import Fault
from salesforce_targeted.demo_org.faults import ACTIONS, KINDS


def struck(org, rest, action, **more):
    """The answer to a Collections call that *action* befalls."""
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
        ("expire_session", 401, "INVALID_SESSION_ID"),
        ("invalid_auth_header", 401, "INVALID_JWT_FORMAT"),
        ("concurrent_403", 403, "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
        ("daily_403", 403, "TotalRequests Limit exceeded."),
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
    assert all(action.says for action in ACTIONS.values())
    with pytest.raises(ValueError, match="no misfortune"):
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
        "bulk_results": f"jobs/query/{job['id']}/results",
    }  # fmt: skip
    fault = org.faults.add(Fault(kind, action, argument=0.05))
    with contextlib.suppress(requests.RequestException):  # the point of some of them
        rest.get(paths[kind])
    rest.session.headers["Authorization"] = f"Bearer {org.issue_token()}"

    assert 1 == fault.done
    assert 200 == rest.query("SELECT Id FROM Contact").status_code
