"""Misfortunes in mid-run: every row comes, or the run says what is missing and the next one mends it."""

from __future__ import annotations

from pathlib import Path

import psycopg2
import pytest

from salesforce_targeted.api.credentials import ClientCredentials, SessionCredentials
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults import Fault
from salesforce_targeted.demo_org.server import DemoServer
from salesforce_targeted.settings import Scope
from tests.conftest import Synced, make_synced

FULL = Scope(full=True)


def assert_whole(org: DemoOrg, synced: Synced) -> None:
    """Every relation, contact and task that the org shows is held, with the org's values."""
    contacts, shown = synced.rows("sf_contacts"), org.rows("Contact", ids=org.active_ids())

    assert sorted(shown) == sorted(contacts)
    assert {id_: row["LastName"] for id_, row in shown.items()} == {
        id_: row["last_name"] for id_, row in contacts.items()
    }
    assert sorted(org.rows("TaskWhoRelation")) == sorted(synced.rows("sf_taskwhorelations"))
    named = {row["TaskId"] for row in org.rows("TaskWhoRelation").values()}
    assert set(org.rows("Task", ids=named)) <= set(synced.rows("sf_activities"))


@pytest.fixture
def signed_in(
    request: pytest.FixtureRequest, tmp_path: Path, org: DemoOrg, server: DemoServer
) -> Synced:
    """A pipeline whose way of signing in can be used again when the session ends."""
    app = ClientCredentials()
    app.client_id, app.client_secret = org.client_id, org.client_secret
    app.login_url = server.url
    return make_synced(request, tmp_path, app, "duckdb")


@pytest.mark.parametrize(
    "action",
    [
        "cut_gzip", "reset_midbody", "html_503", "concurrent_403", "empty_200", "drop_rows",
    ],
)  # fmt: skip
def test_a_misfortune_that_passes_costs_nothing_but_calls(
    org: DemoOrg, synced: Synced, action: str
) -> None:
    """It strikes one call of each kind and passes: each is tried again, and every row comes."""
    kinds = ["query", "collections"] + ["composite"] * (action != "drop_rows")
    faults = [org.faults.add(Fault(kind, action)) for kind in kinds]
    facts = synced.ok()

    assert [1] * len(kinds) == [fault.done for fault in faults]
    assert org.billed == facts["calls"]["total"]
    assert_whole(org, synced)


@pytest.mark.parametrize("kind", ["query", "collections"])
def test_a_session_that_ends_in_mid_run_is_renewed(
    org: DemoOrg, signed_in: Synced, kind: str
) -> None:
    """401 INVALID_SESSION_ID once: one sign-in more, and every row."""
    fault = org.faults.add(Fault(kind, "expire_session"))
    signed_in.ok()

    assert 1 == fault.done
    assert 2 == sum(1 for _, target in org.requests if target.startswith("/services/oauth2/token"))
    assert_whole(org, signed_in)


def test_a_session_that_nobody_can_renew_stops_the_run(
    org: DemoOrg, server: DemoServer, synced: Synced
) -> None:
    """401 and only a token: the run fails with the remedy; with a new token the next completes."""
    org.faults.add(Fault("collections", "expire_session"))
    stopped = synced.run()
    synced.credentials = SessionCredentials(instance_url=server.url, access_token=org.issue_token())
    synced.ok()

    assert "failed" == stopped.facts["status"]
    assert "Set a new SALESFORCE_ACCESS_TOKEN" in stopped.facts["error"]
    assert_whole(org, synced)


@pytest.mark.parametrize(
    ("kind", "action", "status", "words"),
    [
        ("collections", "daily_403", "partial", "TotalRequests Limit exceeded"),
        ("query", "daily_403", "partial", "TotalRequests Limit exceeded"),
        ("query", "query_timeout_400", "failed", "QUERY_TIMEOUT"),
        ("composite", "daily_403", "partial", "TotalRequests Limit exceeded"),
    ],
)
def test_a_misfortune_that_stays_ends_the_run_and_loses_nothing(
    org: DemoOrg, synced: Synced, kind: str, action: str, status: str, words: str
) -> None:
    """A refusal that asking again can't mend: never "done", and the next run completes."""
    synced.ok(Scope(limit=5))
    held = synced.rows("sf_taskwhorelations")
    org.faults.add(Fault(kind, action, nth=1, times=99))
    stopped = synced.run()
    untouched = synced.rows("sf_taskwhorelations")
    org.faults.clear()
    synced.ok()

    assert status == stopped.facts["status"]
    assert words in stopped.facts["error"]
    if status == "partial":  # what came before the calls were spent is loaded
        assert held.items() <= untouched.items()
    else:
        assert held == untouched
    assert_whole(org, synced)


def test_an_answer_that_is_always_cut_is_never_taken_for_the_whole(
    org: DemoOrg, synced: Synced
) -> None:
    """Each Collections answer lacks its last row: the run fails rather than lose contacts."""
    org.faults.add(Fault("collections", "drop_rows", times=99))
    stopped = synced.run()
    org.faults.clear()
    synced.ok()

    assert "failed" == stopped.facts["status"]
    assert "promised" in stopped.facts["error"] or "records" in stopped.facts["error"]
    assert_whole(org, synced)


@pytest.mark.parametrize("action", ["bad_locator_400", "drop_rows", "cut_gzip"])
def test_a_result_of_many_pages_is_whole_or_read_again(
    org: DemoOrg, synced: Synced, action: str
) -> None:
    """A locator that expired or a page that was cut, in the middle of the relations."""
    org.page_rows = 7
    org.faults.add(Fault("query_more", action, nth=2))
    outcome = synced.run(FULL)
    if outcome.error is not None:
        synced.ok(FULL)

    assert (outcome.error is None) == ("done" == outcome.facts["status"])
    assert_whole(org, synced)


@pytest.mark.parametrize(
    ("action", "state"), [("bulk_silent", "is Failed"), ("bulk_aborted", "is Aborted")]
)
def test_a_bulk_job_that_ends_badly_fails_the_run(
    org: DemoOrg, synced: Synced, action: str, state: str
) -> None:
    """A job that Salesforce fails or aborts is no empty result; the next run completes."""
    org.faults.add(Fault("bulk_poll", action))
    stopped = synced.run(api="bulk")
    org.faults.clear()
    synced.ok(api="bulk")

    assert "failed" == stopped.facts["status"]
    assert state in stopped.facts["error"]
    assert_whole(org, synced)


@pytest.mark.parametrize("action", ["drop_rows", "cut_gzip"])
def test_bulk_results_are_whole_or_asked_for_again(
    org: DemoOrg, synced: Synced, action: str
) -> None:
    """A page of results that was cut is counted against what the job says it holds."""
    org.bulk_page_rows = 9
    fault = org.faults.add(Fault("bulk_results", action, nth=2))
    synced.ok(api="bulk")

    assert 1 == fault.done
    assert_whole(org, synced)


def test_what_changes_while_a_run_is_stopped_is_not_lost(org: DemoOrg, synced: Synced) -> None:
    """Relations and edits made between a failed run and the next one are held after it."""
    synced.ok()
    fresh = org.add_contact(LastName="Fresh")
    org.log_task([fresh, org.active_ids()[0]])
    org.faults.add(Fault("collections", "daily_403", times=99))
    stopped = synced.run()
    org.faults.clear()
    org.edit("Contact", fresh, LastName="Fresher")
    org.log_task([org.add_contact(LastName="Later")])
    synced.ok()

    assert "partial" == stopped.facts["status"]
    assert_whole(org, synced)


@pytest.mark.parametrize(
    "synced", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
def test_a_failed_run_leaves_no_connection_behind(
    org: DemoOrg, synced: Synced, postgres: str
) -> None:
    """An open connection would hold locks on the user's tables for as long as the error lives."""
    synced.ok()
    org.faults.add(Fault("collections", "daily_403", times=99))
    stopped = synced.run()
    connection = psycopg2.connect(postgres)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state, query FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        left = cursor.fetchall()
    connection.close()

    assert "partial" == stopped.facts["status"]
    assert [] == left
