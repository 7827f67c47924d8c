"""A repeat asks at once for what it holds: how many calls, and how many of them wait for others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.json as pa_json
import pytest

from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg, Latency
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.settings import Scope
from tests.conftest import Synced

# Long enough that calls which are on the way together overlap in the server.
SLOW = Latency(call_seconds=0.3, slow_share=0.0)


@pytest.fixture
def org() -> Iterator[DemoOrg]:
    """Provide an org of the seed's size but for its inactive contacts, with some of everything gone."""
    org = DemoOrg(2_000)
    active = org.active_ids()
    for contact in active[:3]:
        org.hide_contact(contact)
    org.merge(active[3], active[4:6])
    for row in list(org.rows("TaskWhoRelation").values())[50:60]:
        org.archive_task(row["TaskId"])
    yield org

    assert [] == org.unexpected
    assert [] == org.writes_attempted


@pytest.fixture
def read_at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Tell when Arrow's own reader of JSON was given records; it does its work as ever."""
    moments, read_json = list[float](), pa_json.read_json

    def noting(*args: Any, **options: Any) -> pa.Table:
        moments.append(time.monotonic())
        return read_json(*args, **options)

    monkeypatch.setattr(pa_json, "read_json", noting)
    return moments


def billed(org: DemoOrg, synced: Synced, scope: Scope | None = None) -> tuple[int, int]:
    """Run once; the calls, and how many of them waited for one another."""
    org.reset_calls()
    outcome = synced.run(scope)
    assert outcome.error is None, outcome.facts["error"]
    return org.billed, org.waits


def test_a_repeat_is_one_wave_and_what_is_new_a_second_one(org: DemoOrg, synced: Synced) -> None:
    """At the seed's size: first, quiet, after nine edits and five new contacts, after a new field."""
    org.latency = SLOW
    first = billed(org, synced)
    quiet = billed(org, synced)
    for contact in org.active_ids()[10:19]:
        org.edit("Contact", contact, LastName="Edited")
    for number in range(5):
        org.log_task([org.add_contact(LastName=f"New {number}")])
    busy = billed(org, synced)
    org.add_field("Contact", "Added__c", values=dict.fromkeys(org.active_ids()[10:], "x"))
    widened = billed(org, synced)
    repeat = billed(org, synced)

    assert first <= (6, 6), first
    assert quiet <= (3, 1), quiet
    assert busy <= (6, 5), busy
    assert widened <= (5, 3), widened
    assert repeat <= (3, 1), repeat
    assert [(len(org.active_ids()[10:]),)] == synced.sql("SELECT count(added__c) FROM sf_contacts")


def test_the_calls_of_a_wave_are_about_as_long_as_one_another(org: DemoOrg, synced: Synced) -> None:
    """Each row takes the org time: a call of many next to one of few would be waited for alone."""
    sizes: list[int] = []

    class Counting(Latency):
        def seconds(self, kind: str, rows: int = 0, *, columns: int = 5) -> float:
            sizes.append(rows)
            return 0.0

    synced.run()
    org.latency = Counting()
    synced.run()

    _opening, *records = sorted(sizes)
    assert len(records) == 2, sizes
    assert records[1] - records[0] < 100, sizes


@pytest.mark.deep
def test_what_was_gone_and_is_back_comes_in_the_same_wave(org: DemoOrg, synced: Synced) -> None:
    """It was asked for through queryAll with the first call, which shows it if it is back."""
    synced.run()
    gone = org.active_ids()[0]
    reason = f"SELECT gone_reason FROM sf_active_contacts WHERE contact_id = '{gone}'"
    assert [("hidden",)] == synced.sql(reason)

    org.show_contact(gone)
    calls, _ = billed(org, synced)

    assert [(None,)] == synced.sql(reason)
    assert [(1,)] == synced.sql(f"SELECT count(*) FROM sf_contacts WHERE id = '{gone}'")
    assert calls <= 3, org.calls


@pytest.mark.deep
def test_a_repeat_in_an_org_that_takes_no_composite(org: DemoOrg, synced: Synced) -> None:
    """What was to travel together is sent one by one, once, and all of it is held."""
    synced.run()
    edited, fresh = org.active_ids()[10], org.add_contact(LastName="Fresh")
    org.edit("Contact", edited, LastName="Edited")
    org.log_task([fresh])
    refused = org.faults.add(Fault("composite", "not_enabled_403", times=99))
    facts = synced.ok()
    names = synced.rows("sf_contacts")

    assert ("Edited", "Fresh") == (names[edited]["last_name"], names[fresh]["last_name"])
    # As many as were on the way together, and none after them.
    assert 4 >= refused.done
    assert 1 == sum("does not accept composite" in text for text in facts["warnings"])


@pytest.mark.deep
def test_archived_tasks_cost_nothing_beyond_the_budget(org: DemoOrg, synced: Synced) -> None:
    """Most tasks of an old org are archived: one that is edited is read again, and no other."""
    synced.ok()
    archived = [id_ for id_, row in synced.rows("sf_activities").items() if row["is_archived"]]
    org.edit("Task", archived[0], Subject="Edited")
    org.arrived.clear()
    org.reset_calls()
    synced.ok(refresh_call_budget=0)
    asked = [unquote(target) for _, target in org.requests if "queryAll" in target]
    named = [id_ for id_ in archived if any(id_ in target for target in asked)]

    assert len(archived) > 9
    # And one whose stamp is within the lag of the newest.
    assert archived[0] in named
    assert len(named) <= 2
    assert "Edited" == synced.rows("sf_activities")[archived[0]]["subject"]


@pytest.mark.deep
def test_a_run_with_few_calls_asks_for_nothing_ahead(org: DemoOrg, synced: Synced) -> None:
    """They are spent in the order of what matters: what is not held first."""
    synced.run()
    org.reset_calls()
    outcome = synced.run(calls_per_run=10)

    assert outcome.error is None
    assert (2, 2) == (org.calls["collections"], org.calls["query_all"]), org.calls


@pytest.mark.deep
def test_what_the_orgs_day_leaves_is_not_spent_ahead(org: DemoOrg, synced: Synced) -> None:
    """A run that met an org with few calls left is followed by one that sends one after the other."""
    synced.run()
    org.daily_used = org.daily_limit - 1_510  # the reserve is 1,500
    synced.run()
    org.daily_used = org.daily_limit - 1_501
    org.reset_calls()
    outcome = synced.run()

    assert "partial" == outcome.facts["status"]
    assert 1 == org.billed


@pytest.mark.deep
def test_a_run_that_stops_tells_of_the_calls_that_are_on_their_way(
    org: DemoOrg, synced: Synced
) -> None:
    """What was sent ahead has been sent, whatever the first response says."""
    synced.ok()
    org.reset_calls()
    org.latency = SLOW
    org.hidden_objects.add("Task")
    outcome = synced.run()
    time.sleep(2 * SLOW.call_seconds)

    assert outcome.error is not None
    assert 1 < org.billed == outcome.facts["calls"]["total"]


def test_the_calls_of_one_table_begin_as_those_of_another_end(org: DemoOrg, synced: Synced) -> None:
    """Beyond as many calls as are sent at once: no place stays free, and no row is asked for twice."""
    synced.run()
    contacts, tasks = (len(synced.rows(table)) for table in ("sf_contacts", "sf_activities"))
    small = Scope(limits=replace(DOCUMENTED, ids_per_collection=95))
    org.reset_calls()
    org.latency = SLOW
    outcome = synced.run(small, api="collections")

    assert outcome.error is None, outcome.facts["error"]
    # Three contacts are hidden, and two merged into a third: queryAll has those.
    of_contacts, of_tasks, of_users = ceil((contacts - 5) / 95), ceil((tasks - 10) / 95), 1
    assert 9 == of_contacts
    # Eight for contacts leave with the first call, eight for tasks as those for contacts end, and one
    # for users as those for tasks do; each as it is, not as the only part of a composite.
    assert 1 == org.calls["composite"]
    assert of_contacts + of_tasks + of_users == org.calls["collections"]
    began, ended = zip(*sorted(org.spans), strict=True)
    assert began[7] < min(ended)


def test_a_repeat_over_many_leaves_no_place_free(
    org: DemoOrg, synced: Synced, read_at: list[float]
) -> None:
    """The first call, for which everything waits, does not wait for those that were sent ahead.

    And while the last ranges are discovered, more of what is held is asked for, and what came is
    read.
    """
    small = Scope(limits=replace(DOCUMENTED, ids_per_collection=60, groups_per_query=150))
    resources = ("contact", "contact_life")
    assert synced.run(small, resources, api="collections").error is None
    org.reset_calls()
    org.arrived.clear()
    read_at.clear()
    org.latency = SLOW
    outcome = synced.run(small, resources, api="collections")
    targets = [target.partition("?")[0].rpartition("/")[2] for _, target in org.requests]
    began, ended = zip(*sorted(org.spans)[8:16], strict=True)

    assert outcome.error is None, outcome.facts["error"]
    assert ceil(len(org.active_ids()) / 60) == targets.count("Contact") == 14
    assert ["Contact"] * 7 + ["composite"] == sorted(targets[:8])
    assert 5 == targets.count("query")
    assert began[7] < min(ended)  # of discovery, and of what is held beside it
    assert min(read_at) < min(ended)


def test_a_repeat_over_many_puts_off_nothing_that_five_to_a_call_bring(
    org: DemoOrg, synced: Synced
) -> None:
    """Left to itself the plan is five to a call: what leaves alone is a call each."""
    limits = replace(DOCUMENTED, ids_per_collection=60, ids_per_query=60, groups_per_query=150)
    small, resources = Scope(limits=limits), ("contact", "contact_life")
    assert synced.run(small, resources).error is None
    org.reset_calls()
    assert synced.run(small, resources).error is None

    assert 14 == ceil(len(org.active_ids()) / 60)
    # Seven leave with the first call, and the other seven are two calls.
    assert {"collections": 7, "composite": 1 + 2, "query": 5, "query_all": 1} == dict(org.calls)


def test_new_records_travel_in_the_last_call_for_what_is_held(org: DemoOrg, synced: Synced) -> None:
    """It has room for them: put off as it is, it would leave them a call of their own."""
    small = Scope(limits=replace(DOCUMENTED, ids_per_collection=60, groups_per_query=150))
    resources = ("contact", "contact_life")
    assert synced.run(small, resources, api="collections").error is None
    for number in range(5):
        org.log_task([org.add_contact(LastName=f"New {number}")])
    org.reset_calls()
    assert synced.run(small, resources, api="collections").error is None

    assert 14 == ceil(len(org.active_ids()) / 60) == org.calls["collections"]
    assert [(5,)] == synced.sql("SELECT count(*) FROM sf_contacts WHERE last_name LIKE 'New _'")


def test_records_that_are_refused_alone_come_five_to_a_call(org: DemoOrg, synced: Synced) -> None:
    """A gateway that lets ``composite`` pass, and not Collections: what was sent ahead is lost, no more."""
    limits = replace(DOCUMENTED, ids_per_collection=60, ids_per_query=60, groups_per_query=150)
    small, resources = Scope(limits=limits), ("contact", "contact_life")
    assert synced.run(small, resources).error is None
    org.reset_calls()
    refused = org.faults.add(Fault("collections", "not_enabled_403", times=99))
    outcome = synced.run(small, resources)

    assert outcome.error is None, outcome.facts["error"]
    assert 7 == refused.done
    # The first call, one for each of the seven, and two for the other seven.
    assert {"composite": 1 + 7 + 2, "collections": 7, "query": 5, "query_all": 1} == dict(org.calls)


@pytest.mark.parametrize("forced", [{"api": "collections"}, {}], ids=["collections", "composite"])
def test_contacts_alone_are_asked_for_as_they_are_discovered(
    org: DemoOrg, synced: Synced, forced: dict[str, str], read_at: list[float]
) -> None:
    """A first run of many: the calls for them don't wait for the last of those that find them.

    Nor does what they bring wait to be read. The plan does not matter: left to itself it is five to a
    call here, and none is sent twice.
    """
    org.latency = SLOW
    limits = replace(DOCUMENTED, ids_per_collection=90, groups_per_query=90, soql_chars=4_000)
    outcome = synced.run(Scope(limits=limits), ("contact",), **forced)
    active = len(org.active_ids())

    assert outcome.error is None, outcome.facts["error"]
    assert 10 == ceil(active / 90)
    # Eight of the batches are asked for as they come, and the other two together.
    assert {"composite": 1 + 1, "collections": 8, "query": 9, "query_all": 1} == dict(org.calls)
    assert sum(began > min(read_at) for began, _ in org.spans) > 5
    assert org.waits <= 1 + 9 + 1 + 1  # it was 14: two waves after the last query
