"""What a run learnt of how records can be read, the next ones need not find out again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.settings import Scope
from tests.conftest import BOTH, Synced

# Where composite is refused: the groups, the count, the rows.
QUERIES_OF_RELATIONS = 3
BAD = [("Contact", "Birthdate"), ("Task", "Description")]
DAY = 86_400


def poison(org: DemoOrg, *fields: tuple[str, str]) -> None:
    """Let fields of all records of an object respond with status 500, and no others."""
    org.poisons.clear()
    for object_name, field in fields:
        org.poisons.add(object_name, None, field)


def listed(synced: Synced) -> list[tuple[Any, ...]]:
    """Return which fields can't be read of any record."""
    rows = synced.sql("SELECT object, field FROM sf_rejected_records WHERE record_id = '*'")
    return sorted(tuple(row) for row in rows)


def calls_of(org: DemoOrg, synced: Synced, scope: Scope | None = None, **settings: Any) -> int:
    """Sync once, and count the calls."""
    org.reset_calls()
    synced.ok(scope, **settings)
    return org.billed


@pytest.mark.deep
@BOTH
def test_a_field_that_no_record_can_be_read_with_is_searched_for_once(
    org: DemoOrg, synced: Synced
) -> None:
    """Each run tries it again in a call of its own; mended, it is there with the next one."""
    healthy = calls_of(org, synced), calls_of(org, synced)
    poison(org, *BAD)
    searched, repeat, later = (calls_of(org, synced) for _ in range(3))
    rejected = listed(synced)
    poison(org, BAD[0])
    calls_of(org, synced)
    left = listed(synced)
    tasks = {id_: row["description"] for id_, row in synced.rows("sf_activities").items()}
    org.edit("Contact", org.active_ids()[0], Birthdate="1999-12-31")
    poison(org)
    calls_of(org, synced)

    assert repeat == later <= healthy[1] + len(BAD)
    assert searched > repeat + 10
    assert (BAD, BAD[:1], []) == (rejected, left, listed(synced))
    shown = org.rows("Task", all_rows=True, ids=tasks)
    assert tasks == {id_: row["Description"] for id_, row in shown.items()}
    born = {id_: str(row["birthdate"]) for id_, row in synced.rows("sf_contacts").items()}
    assert "1999-12-31" == born[org.active_ids()[0]]
    assert calls_of(org, synced) == healthy[1]


@pytest.mark.deep
@pytest.mark.parametrize("calls", [8, 12])
def test_runs_of_few_calls_find_it_together(org: DemoOrg, synced: Synced, calls: int) -> None:
    """A search that the calls end before its end costs fields, not records, until it is done."""
    poison(org, *BAD)
    active = sorted(org.active_ids())
    for _ in range(5):
        synced.run(calls_per_run=calls, api="collections")
    tasks = org.rows("Task", all_rows=True).values()
    held = synced.rows("sf_contacts")
    names = {id_: row["LastName"] for id_, row in org.rows("Contact", ids=active).items()}

    assert BAD == listed(synced)
    assert names == {id_: row["last_name"] for id_, row in held.items()}
    assert {*synced.rows("sf_activities")} <= {row["Id"] for row in tasks if not row["IsDeleted"]}


@pytest.mark.deep
def test_it_is_searched_for_again_after_a_day_or_when_all_is_read(
    org: DemoOrg, synced: Synced
) -> None:
    """By then it may be a field of one record alone, which is no reason to leave it out of all."""
    poison(org, BAD[0])
    searched, repeat = calls_of(org, synced), calls_of(org, synced)
    whole = calls_of(org, synced, Scope(full=True))
    org.advance(DAY + 60)
    org.poisons.clear()
    for id_ in org.active_ids()[:1]:
        org.poisons.add("Contact", id_, "Birthdate")
    after_a_day = calls_of(org, synced)

    assert min(searched, whole, after_a_day) > repeat + 5
    assert [] == listed(synced)


@pytest.mark.deep
def test_how_many_fields_the_org_takes_at_a_time_is_kept_for_a_day(
    org: DemoOrg, synced: Synced
) -> None:
    """Each run says so; --full tries all of them together again."""
    org.widen("Contact", 150)
    org.traits.most_fields = 60
    searched, repeat = calls_of(org, synced), calls_of(org, synced)
    warnings = [text for text in synced.ledger.warnings if "joined by id" in text]
    whole = calls_of(org, synced, Scope(full=True))
    org.advance(DAY + 60)
    org.traits.most_fields = None
    calls_of(org, synced)
    healthy = calls_of(org, synced)

    assert repeat < whole <= searched
    assert 1 == len(warnings)
    assert "an earlier run" in warnings[0]
    assert healthy < repeat
    assert not [text for text in synced.ledger.warnings if "joined by id" in text]


@pytest.mark.brief(1)
@pytest.mark.parametrize("refuses", ["not_enabled_403", "no_access_403"])
def test_what_refuses_collections_is_read_by_queries(
    org: DemoOrg, synced: Synced, refuses: str
) -> None:
    """A gateway that lets no POST through: told once, and for a day no run asks again."""
    synced.begin()
    edited, fresh = org.active_ids()[0], org.add_contact(LastName="Fresh")
    org.edit("Contact", edited, LastName="Edited")
    org.log_task([fresh])
    posts = [
        org.faults.add(Fault(kind, refuses, times=999)) for kind in ("composite", "collections")
    ]
    first = synced.ok()
    names = synced.rows("sf_contacts")
    refused = [post.done for post in posts]
    org.edit("Contact", edited, LastName="Again")
    second = synced.ok()

    assert ("Edited", "Fresh") == (names[edited]["last_name"], names[fresh]["last_name"])
    assert "Again" == synced.rows("sf_contacts")[edited]["last_name"]
    assert [] == list(synced.sql("SELECT * FROM sf_rejected_records"))
    assert 3 == sum("read by another API" in text for text in first["warnings"])
    assert "collections" not in second["calls"]["by_kind"]
    assert refused[1] == posts[1].done
    assert [] == [text for text in second["warnings"] if "read by another API" in text]


@pytest.mark.parametrize("says", ["malformed_query_400", "no_entries_200"])
def test_what_accepts_no_collections_call_is_read_by_queries(
    org: DemoOrg, synced: Synced, says: str
) -> None:
    """An org or a gateway may say so with 400 or 405 as well, or by nonsense: no record is to blame."""
    org.faults.add(Fault("composite", "malformed_query_400", times=999))
    org.faults.add(Fault("collections", says, times=999))
    facts = synced.ok()

    assert org.active_ids() == sorted(synced.rows("sf_contacts"))
    assert [] == facts["rejected"]


def test_a_method_that_is_not_allowed_is_blamed_on_no_record(org: DemoOrg, synced: Synced) -> None:
    """A single record that is asked for alone is read by a query, and not rejected."""
    (kept, *others) = org.active_ids()
    for id_, row in org.rows("TaskWhoRelation").items():
        if row["RelationId"] in others:
            org.remove_relation(id_)
    for kind in ("composite", "collections"):
        org.faults.add(Fault(kind, "no_method_405", times=999))
    facts = synced.ok()

    assert [kept] == sorted(synced.rows("sf_contacts"))
    assert [] == facts["rejected"]


@pytest.mark.brief(1)
@pytest.mark.parametrize("refuses", ["no_access_403", "not_found_404"])
def test_where_query_all_is_refused_the_others_load(
    org: DemoOrg, synced: Synced, refuses: str
) -> None:
    """What became of a contact is not known then, and listed; served again, it is."""
    synced.begin()
    edited, gone = org.active_ids()[:2]
    org.edit("Contact", edited, LastName="Edited")
    org.delete("Contact", gone)
    reason = f"SELECT gone_reason FROM sf_active_contacts WHERE contact_id = '{gone}'"
    listed = f"SELECT record_id FROM sf_rejected_records WHERE record_id = '{gone}'"
    refused = org.faults.add(Fault("query_all", refuses, times=999))
    synced.ok()
    during = synced.rows("sf_contacts")[edited]["last_name"], synced.sql(listed)
    refused.times = refused.done
    synced.ok()

    assert ("Edited", [(gone,)]) == (during[0], [tuple(row) for row in during[1]])
    assert ([], [("deleted",)]) == (
        list(synced.sql(listed)),
        [tuple(r) for r in synced.sql(reason)],
    )


@pytest.mark.parametrize("refuses", ["no_access_403", "not_found_404"])
def test_beyond_the_budget_runs_do_not_depend_on_query_all(
    org: DemoOrg, synced: Synced, refuses: str
) -> None:
    """What was modified is not known where it is refused: all are read, and it is said."""
    synced.ok(refresh_call_budget=0)
    edited = org.active_ids()[0]
    org.edit("Contact", edited, LastName="Edited")
    org.faults.add(Fault("query_all", refuses, times=999))
    facts = synced.ok(refresh_call_budget=0)

    assert "Edited" == synced.rows("sf_contacts")[edited]["last_name"]
    assert any("so all Contacts were read" in text for text in facts["warnings"])


@pytest.mark.parametrize("jobs", [0, 10_000])
def test_what_refuses_two_ways_is_read_by_the_third(
    org: DemoOrg, synced: Synced, jobs: int
) -> None:
    """Neither Collections nor queries of contacts are served; with Bulk spent, too, that is said."""
    for kind in ("composite", "collections"):
        org.faults.add(Fault(kind, "not_enabled_403", times=999))
    org.faults.add(Fault("query", "no_access_403", nth=QUERIES_OF_RELATIONS + 1, times=999))
    org.traits.bulk_jobs_used = jobs
    outcome = synced.run()

    if jobs:
        assert "Bulk jobs of 24 hours are spent" in str(outcome.error)
    else:
        assert outcome.error is None
        assert org.active_ids() == sorted(synced.rows("sf_contacts"))


def test_how_many_records_one_response_takes_is_kept_for_a_day(
    org: DemoOrg, synced: Synced
) -> None:
    """A gateway gives up on a long response: no record is to blame, and fewer are asked for."""
    synced.begin()
    edited, gone = org.active_ids()[:2]
    org.edit("Contact", edited, LastName="Edited")
    org.delete("Contact", gone)
    org.traits.most_cells = 700
    searched, repeat = calls_of(org, synced), calls_of(org, synced)
    warnings = [text for text in synced.ledger.warnings if "records are read at a time" in text]
    names = {id_: row["last_name"] for id_, row in synced.rows("sf_contacts").items()}
    org.advance(DAY + 60)
    org.traits.most_cells = None
    calls_of(org, synced)

    assert "Edited" == names[edited]
    assert names == {
        id_: row["LastName"] for id_, row in org.rows("Contact", all_rows=True, ids=names).items()
    }
    assert [] == list(synced.sql("SELECT * FROM sf_rejected_records"))
    assert ["Contact", "Task"] == sorted(text.split(":")[0] for text in warnings)
    assert calls_of(org, synced) < repeat < searched
    assert not [text for text in synced.ledger.warnings if "read at a time" in text]


@pytest.mark.deep
@pytest.mark.parametrize("allowed", [5, 6])
def test_what_is_refused_together_is_learnt_by_runs_of_few_calls(
    org: DemoOrg, synced: Synced, allowed: int
) -> None:
    """The calls end before it is known: the next run begins with what the first one found."""
    org.traits.most_fields = 60
    only = ("contact", "contact_life", "rejected_record", "sync_run")
    for _ in range(5):
        synced.run(None, only, calls_per_run=allowed, api="collections")

    assert sorted(org.active_ids()) == sorted(synced.rows("sf_contacts"))


def test_that_the_org_groups_no_relations_in_time_is_kept_for_a_day(
    org: DemoOrg, synced: Synced
) -> None:
    """They are read and counted at once, by runs that plan with what that takes."""
    small = Scope(limits=replace(DOCUMENTED, rows_per_query_page=7, groups_per_query=5))
    org.page_rows = 7
    synced.ok(small)
    org.traits.aggregates_left = 0
    tried = [synced.ok(small)["warnings"], synced.ok(small)["warnings"]]
    in_part = synced.run(small, calls_per_run=7).facts
    org.traits.aggregates_left = 9
    synced.ok(small)
    sent = 9 - org.traits.aggregates_left
    org.traits.aggregates_left = 0
    org.advance(DAY)
    tried.append(synced.ok(small)["warnings"])

    assert [True, False, True] == [
        any("counted instead, in" in w for w in warned) for warned in tried
    ]
    assert "no longer active was asked for some of them" in in_part["error"]
    assert 0 == sent  # nobody waits for groups, nor for a count
