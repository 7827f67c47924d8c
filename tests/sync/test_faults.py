"""Misfortunes in mid-run: every row comes, or the run says what is missing and the next one mends it.

CI tries some of them on some kinds of call; ``python -m tests.matrices faults`` tries all on all.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

import psycopg2
import pytest

from salesforce_targeted.api.credentials import ClientCredentials, SessionCredentials
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import ACTIONS, Fault
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.settings import Scope
from tests.conftest import Synced
from tests.matrices.calls import KINDS
from tests.matrices.faults import Bundle, played

PASSES, STAYS = False, True
FIRST, LATER = False, True
# Kind of call, which run, and what befalls it. Each line costs a first run and an undisturbed one.
IN_CI: list[Bundle] = [
    ("sign-in", FIRST, [("hang", PASSES), ("html_503", STAYS)]),
    ("first call", FIRST, [("daily_403", STAYS), ("part_500", PASSES)]),
    ("query", LATER, [("cut_gzip", PASSES), ("query_timeout_400", STAYS)]),
    ("next page", FIRST, [("bad_locator_400", PASSES), ("drop_rows", STAYS)]),
    (
        "Collections", LATER,
        [("empty_200", PASSES), ("expire_session", PASSES), ("drop_rows", PASSES),
         ("daily_403", STAYS), ("reset_midbody", STAYS)],
    ),
    ("composite", FIRST, [("concurrent_403", PASSES), ("drop_rows", PASSES)]),
    (
        "Bulk poll", FIRST,
        [("bulk_silent", PASSES), ("bulk_aborted", PASSES), ("bulk_stuck", PASSES)],
    ),
    ("Bulk a page", FIRST, [("drop_rows", PASSES), ("cut_gzip", PASSES)]),
]  # fmt: skip
# What no misfortune that strikes once may cost: a run.
MENDED = {
    "hang", "part_500", "cut_gzip", "bad_locator_400", "empty_200", "expire_session", "drop_rows",
    "concurrent_403", "bulk_stuck",
}  # fmt: skip


def refuse_after_the_first_call(org: DemoOrg) -> None:
    """Let the day's calls end: with which calls a run goes on is a question of who responds first."""
    for call, nth in (("composite", 2), ("collections", 1), ("query", 1), ("query_all", 1)):
        org.faults.add(Fault(call, "daily_403", nth=nth, times=99))


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


@pytest.mark.deep
def test_a_sync_that_a_misfortune_befalls_is_complete_or_says_why() -> None:
    """A whole sync each, judged row by row; after one that stopped, the next run completes."""
    verdicts = [v for batch in played(IN_CI) for v in batch]
    wrong = [v for v in verdicts if v.broken or not v.struck]
    passed = {str(v.trial): v.word for v in verdicts if not v.trial.stays}
    mended = {
        str(v.trial) for v in verdicts
        if v.code == 0 and not v.rejected and not v.trial.stays
    }  # fmt: skip

    assert sum(len(trials) for _, _, trials in IN_CI) == len(verdicts)
    assert [] == [(str(v.trial), v.word, v.broken) for v in wrong]
    assert mended == {name for name in passed if name.split(" ")[0] in MENDED}


def test_every_misfortune_befalls_some_call_of_the_matrix() -> None:
    """One that is new in the demo org needs a kind of call on which it is tried."""
    tried = {action for kind in KINDS for action in kind.actions}

    assert set() == set(ACTIONS) - tried


@pytest.mark.brief(1)
@pytest.mark.parametrize("place", [None, 0, 3], ids=["whole", "first part", "a later part"])
def test_a_session_that_ends_in_mid_run_is_renewed(
    org: DemoOrg, server: DemoServer, synced: Synced, place: int | None
) -> None:
    """401 INVALID_SESSION_ID once: one sign-in more, and every row."""
    app = ClientCredentials()
    app.client_id, app.client_secret = org.client_id, org.client_secret
    app.login_url = server.url
    synced.credentials = app
    of_all = Fault("composite", "expire_session", nth=2)
    fault = org.faults.add(
        of_all if place is None else Fault("composite", "part_401", argument=place)
    )
    synced.ok()

    assert 1 == fault.done
    assert 2 == sum(1 for _, target in org.requests if target.startswith("/services/oauth2/token"))
    assert_whole(org, synced)


def test_a_session_that_nobody_can_renew_stops_the_run(
    org: DemoOrg, server: DemoServer, synced: Synced
) -> None:
    """401 and only a token: the run fails with the remedy; with a new token the next completes."""
    org.faults.add(Fault("composite", "expire_session", nth=2))
    stopped = synced.run()
    synced.credentials = SessionCredentials(instance_url=server.url, access_token=org.issue_token())
    synced.ok()

    assert "failed" == stopped.facts["status"]
    assert "Set a new SALESFORCE_ACCESS_TOKEN" in stopped.facts["error"]
    assert_whole(org, synced)


def test_what_changes_while_a_run_is_stopped_is_not_lost(org: DemoOrg, synced: Synced) -> None:
    """Relations and edits made between a failed run and the next one are held after it."""
    synced.begin()
    fresh = org.add_contact(LastName="Fresh")
    org.log_task([fresh, org.active_ids()[0]])
    refuse_after_the_first_call(org)
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
    synced.begin()
    refuse_after_the_first_call(org)
    stopped = synced.run()
    # The server's process of a connection that was closed may still be there for a moment.
    end = time.monotonic() + 30
    with closing(psycopg2.connect(postgres)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        left = None
        while left is None or (left and time.monotonic() < end):
            cursor.execute(
                "SELECT state, query FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            left = cursor.fetchall()

    assert "partial" == stopped.facts["status"]
    assert [] == left


@pytest.mark.brief(1)
@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("fails", ["part_500", "part_timeout_400"])
def test_a_describe_that_fails_once_is_no_lost_permission(
    org: DemoOrg, synced: Synced, place: int, fails: str
) -> None:
    """What one part of the first call fails with may pass: no table is left out, no run stopped."""
    fault = org.faults.add(Fault("composite", fails, argument=place))
    facts = synced.ok()

    assert 1 == fault.done
    assert [] == [text for text in facts["warnings"] if "left out" in text or "is off" in text]
    assert set(org.rows("User")) >= set(synced.rows("sf_users")) != set()
    assert_whole(org, synced)


def test_a_count_that_is_only_a_hint_stops_no_run(org: DemoOrg, synced: Synced) -> None:
    """How many records there are helps to plan, and no more."""
    fault = org.faults.add(Fault("recordCount", "unknown_500", times=99))
    synced.ok(Scope(limits=replace(DOCUMENTED, ids_per_collection=1)))

    assert fault.done
    assert_whole(org, synced)


def test_a_version_that_is_not_served_is_said_whoever_hears_of_it(
    org: DemoOrg, synced: Synced
) -> None:
    """What was sent ahead is refused, too, and keeps its refusal to itself."""
    synced.begin()
    stopped = synced.run(api_version="99.0")

    assert "does not serve API version 99.0" in stopped.facts["error"]


@pytest.mark.deep
def test_an_org_without_composite_and_few_calls_gets_on(org: DemoOrg, synced: Synced) -> None:
    """What is sent ahead is a call or none: the calls of a run are for what matters."""
    scope = Scope(limits=replace(DOCUMENTED, ids_per_collection=3))
    synced.ok(scope)
    fresh = org.add_contact(LastName="Fresh")
    org.log_task([fresh])
    org.faults.add(Fault("composite", "not_enabled_403", times=999))
    synced.run(scope, calls_per_run=30)

    assert "Fresh" == synced.rows("sf_contacts")[fresh]["last_name"]


def test_what_an_outage_made_unreadable_is_read_by_the_next_run(
    org: DemoOrg, synced: Synced
) -> None:
    """It was searched for in vain, but no lack of calls ended the run: no reason to do without it."""
    synced.begin()
    fresh = org.add_contact(LastName="Fresh")
    org.log_task([fresh])
    org.faults.add(Fault("composite", "not_enabled_403", times=999))
    org.faults.add(Fault("collections", "unknown_500", times=999))
    cut = synced.run()
    org.faults.clear()
    synced.ok()

    assert fresh in {rejected["record_id"] for rejected in cut.facts["rejected"]}
    assert "Fresh" == synced.rows("sf_contacts")[fresh]["last_name"]
    assert {} == synced.rows("sf_rejected_records", "record_id")


@pytest.mark.deep
def test_an_outage_while_bulk_reads_is_no_lesson(org: DemoOrg, synced: Synced) -> None:
    """Bulk, which alone has calls enough, is tried by the next run again."""
    single = Scope(
        limits=replace(DOCUMENTED, ids_per_collection=1, ids_per_query=1, composite_queries=1)
    )
    for call in ("bulk_create", "collections"):
        org.faults.add(Fault(call, "unavailable_503", times=99))
    cut = synced.run(single, calls_per_run=12)
    org.faults.clear()
    org.reset_calls()
    facts = synced.run(single, calls_per_run=12).facts

    assert "503" in cut.facts["warnings"][0]
    assert "for a day" not in " ".join(cut.facts["warnings"])
    assert 1 <= org.calls["bulk_create"], facts


@pytest.mark.parametrize("action", ["html_503", "daily_403"])
def test_an_outage_keeps_nothing_of_the_next_run_back(
    org: DemoOrg, synced: Synced, action: str
) -> None:
    """The calls suffice: a table that the cut run had read is read again, and an edit comes."""
    fault = org.faults.add(Fault("query_all", action, times=999))
    cut = synced.run()
    org.faults.clear()
    edited = org.active_ids()[3]
    org.edit("Contact", edited, LastName="Edited meanwhile")
    facts = synced.ok()

    assert fault.done
    assert cut.facts["status"] in {"failed", "partial"}
    assert "Edited meanwhile" == synced.rows("sf_contacts")[edited]["last_name"]
    assert [] == facts["warnings"]


@pytest.mark.deep
def test_after_an_outage_the_next_run_reads_from_the_beginning(
    org: DemoOrg, synced: Synced
) -> None:
    """Not from where the cut one ended: what it had read may be edited since."""
    first, *_, gone = sorted(org.active_ids())
    synced.ok()
    org.delete_contact(gone)
    fault = org.faults.add(Fault("query_all", "cut_gzip", times=999))
    cut = synced.run()
    org.faults.clear()
    org.edit("Contact", first, LastName="Edited meanwhile")
    synced.ok()

    assert fault.done
    assert cut.facts["status"] == "failed"
    assert "Edited meanwhile" == synced.rows("sf_contacts")[first]["last_name"]
