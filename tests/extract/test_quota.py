"""Calls are scarce: a run never spends more than it may, loads what came, and the next one goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from salesforce_targeted.api.errors import QuotaExceededError, UnavailableError
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.settings import Scope
from tests.conftest import Synced
from tests.support.script import Script, in_process

# What one call takes, so little that a run of the tiny org takes dozens.
SMALL = replace(DOCUMENTED, rows_per_query_page=4, groups_per_query=4, ids_per_collection=3)
TABLES = ("sf_taskwhorelations", "sf_contacts", "sf_activities", "sf_users")


def held(synced: Synced) -> dict[str, dict[str, Any]]:
    """Every table's rows but for what dlt and a run's time put into them."""
    tables: dict[str, dict[str, Any]] = {}
    for table in (*TABLES, "sf_active_contacts"):
        key = "contact_id" if table == "sf_active_contacts" else "id"
        tables[table] = {
            id_: {
                name: value
                for name, value in row.items()
                if not name.startswith("_dlt") and not name.endswith("seen_at")
            }
            for id_, row in synced.rows(table, key=key).items()
        }
    return tables


def delete_every_second_task(org: DemoOrg) -> None:
    """Delete tasks whose relations are shown all the same."""
    tasks = org.tables["Task"]
    for task in sorted({row["TaskId"] for row in org.rows("TaskWhoRelation").values()})[::2]:
        at = tasks.numbering.ordinal_of(task)
        assert at is not None
        tasks.update(at, {"IsDeleted": True})
        org.outliving.add(at)


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str], credentials: Any, monkeypatch: Any) -> Script:
    """Provide the command line, signed in to the org by the environment."""
    monkeypatch.setenv("SALESFORCE_INSTANCE_URL", credentials.instance_url)
    monkeypatch.setenv("SALESFORCE_ACCESS_TOKEN", str(credentials.access_token))
    return in_process(capsys)


@pytest.mark.deep
@pytest.mark.parametrize("allowed", [13, 1, 5, 8])
def test_a_run_of_so_many_calls_and_then_a_free_one(
    org: DemoOrg, synced: Synced, allowed: int
) -> None:
    """Wherever the calls end: none too many, no false row, and the next run completes the set."""
    outcome = synced.run(Scope(limits=SMALL), calls_per_run=allowed, api="collections")
    spent, partial = org.billed, held(synced)
    synced.ok(Scope(limits=SMALL))
    whole = held(synced)

    assert allowed >= spent
    assert isinstance(outcome.error, QuotaExceededError)
    assert "partial" == outcome.facts["status"]
    says = "The next run goes on" if allowed > 1 else "Nothing had come. The next run tries again"
    assert says in outcome.facts["error"]
    for table in TABLES:
        assert partial[table].items() <= whole[table].items()
    assert sorted(org.active_ids()) == sorted(whole["sf_contacts"])
    assert sorted(org.rows("TaskWhoRelation")) == sorted(whole["sf_taskwhorelations"])
    assert {id_ for id_, row in whole["sf_active_contacts"].items() if row["is_active"]} == set(
        org.active_ids()
    )


def test_what_came_before_the_calls_were_spent_is_loaded(org: DemoOrg, synced: Synced) -> None:
    """The relations came whole: they are held after the run, and some of what they name."""
    synced.run(Scope(limits=SMALL), calls_per_run=13, api="collections")

    assert sorted(org.rows("TaskWhoRelation")) == sorted(synced.rows("sf_taskwhorelations"))
    assert 0 < len(synced.rows("sf_contacts")) + len(synced.rows("sf_activities"))
    assert sorted(org.active_ids()) != sorted(synced.rows("sf_contacts")) or (
        len(synced.rows("sf_activities")) < len(org.rows("Task"))
    )


@pytest.mark.deep
def test_small_steps_arrive(org: DemoOrg, synced: Synced) -> None:
    """Runs of a few calls more each time end in what one run would have brought."""
    for allowed in range(14, 60, 6):
        if synced.run(Scope(limits=SMALL), calls_per_run=allowed, api="collections").error is None:
            break
    else:
        pytest.fail("it never got to the end")

    assert sorted(org.active_ids()) == sorted(synced.rows("sf_contacts"))


def test_nothing_is_marked_as_gone_by_a_run_that_was_stopped(org: DemoOrg, synced: Synced) -> None:
    """A relation vanished, and the run that could have seen it had no calls left for looking."""
    synced.ok(Scope(limits=SMALL))
    gone = min(org.rows("TaskWhoRelation"))
    org.remove_relation(gone)
    synced.run(Scope(limits=SMALL), calls_per_run=2)
    marked_early = synced.rows("sf_taskwhorelations", where="removed_at IS NOT NULL")
    synced.ok(Scope(limits=SMALL))

    assert {} == marked_early
    assert [gone] == list(synced.rows("sf_taskwhorelations", where="removed_at IS NOT NULL"))


@pytest.mark.deep
@pytest.mark.parametrize("skip", [0, 1, 3])
def test_the_orgs_own_refusal_ends_like_ours(org: DemoOrg, synced: Synced, skip: int) -> None:
    """TotalRequests: no more calls are tried, what came is loaded, and the next day completes."""
    org.faults.add(Fault("*", "daily_403", nth=skip + 1, times=1_000))
    outcome = synced.run(Scope(limits=SMALL))
    calls = org.billed
    org.faults.clear()
    synced.ok(Scope(limits=SMALL))

    assert isinstance(outcome.error, QuotaExceededError)
    assert skip + 8 >= calls
    assert sorted(org.active_ids()) == sorted(synced.rows("sf_contacts"))


@pytest.mark.deep
def test_a_task_that_an_earlier_run_saw_deleted_needs_no_other_reason(
    org: DemoOrg, synced: Synced
) -> None:
    """Not in the run that ends the reading, whether it asked for the task itself or not."""
    delete_every_second_task(org)
    few: dict[str, Any] = {"api": "query", "calls_per_run": 8}
    runs = 1
    while (last := synced.run(Scope(limits=SMALL), **few)).error is not None and runs < 9:
        runs += 1
    free = synced.ok(Scope(limits=SMALL))

    assert (1 < runs < 9, 0) == (True, last.facts["closure"]["relations_unexplained"])
    assert [] == [text for text in last.facts["warnings"] if "accounted for" in text]
    assert free["closure"]["tasks_missing"] == last.facts["closure"]["tasks_missing"]


@pytest.mark.deep
def test_tasks_that_are_gone_do_not_keep_the_others_from_coming(
    org: DemoOrg, synced: Synced
) -> None:
    """A run whose calls end keeps which are gone: the next one does not ask for them first."""
    delete_every_second_task(org)
    runs = 1
    while synced.run(Scope(limits=SMALL), calls_per_run=12, api="collections").error and runs < 12:
        runs += 1
    before = set(synced.rows("sf_activities")), set(synced.rows("sf_users"))
    synced.ok(Scope(limits=SMALL))

    assert runs < 12
    assert (set(synced.rows("sf_activities")), set(synced.rows("sf_users"))) == before


def test_the_reserve_of_others_is_not_touched(org: DemoOrg, synced: Synced) -> None:
    """A tenth of the day is left to others, whatever is still to be read."""
    org.daily_limit = 40
    synced.run(Scope(limits=SMALL), daily_call_reserve=0.5)

    assert 20 >= org.daily_used


@pytest.mark.deep
def test_the_command_line_says_what_is_left(org: DemoOrg, script: Script, tmp_path: Any) -> None:
    """Exit code 3, one paragraph with the remedy; --max-calls counts every call."""
    ended = script("--max-calls", "2", "--json")
    later = script("--json")

    assert (3, 0) == (ended.code, later.code)
    assert 2 == ended.facts["calls"]["total"]
    assert "may spend 2 calls" in ended.facts["error"]


def test_a_pipeline_without_a_ledger_fails(org: DemoOrg, synced: Synced, credentials: Any) -> None:
    """No later run would read what was left: success with rows missing is no success."""
    from dlt.pipeline.exceptions import PipelineStepFailed

    from salesforce_targeted.source import salesforce_targeted

    source = salesforce_targeted(credentials, calls_per_run=2)

    with pytest.raises(PipelineStepFailed, match="may spend 2 calls"):
        synced.pipeline.run(source)


@pytest.mark.deep
def test_bulk_that_was_refused_is_not_tried_again_for_a_day(org: DemoOrg, synced: Synced) -> None:
    """Calls enough for Bulk alone: each object is refused once, and the runs of a day know it."""
    single = Scope(
        limits=replace(DOCUMENTED, ids_per_collection=1, ids_per_query=1, composite_queries=1)
    )
    org.faults.add(Fault("bulk_create", "bulk_restricted_400", times=99))

    def tried(scope: Scope = single) -> tuple[int, str]:
        org.reset_calls()
        facts = synced.run(scope, calls_per_run=12).facts
        return org.calls["bulk_create"], " ".join(facts["warnings"])

    contacts, warnings = tried()
    tasks, _ = tried()
    neither, said_no_more = tried()
    full, _ = tried(replace(single, full=True))
    org.advance(86_400)
    next_day, _ = tried()
    org.faults.clear()
    synced.ok()

    assert (1, 1, 0, 1, 1) == (contacts, tasks, neither, full, next_day)
    assert "for a day (--full tries Bulk again)" in warnings
    assert "for a day" not in said_no_more
    assert set(org.active_ids()) == set(synced.rows("sf_contacts"))


@pytest.mark.deep
def test_what_was_edited_while_a_pass_took_several_runs_arrives(
    org: DemoOrg, synced: Synced
) -> None:
    """Before the place from which the next run goes on, and in the run after it: nothing stays old."""
    few = {"refresh_call_budget": 0, "api": "collections"}
    scope = Scope(limits=SMALL)
    synced.ok(scope)
    active = sorted(org.active_ids())

    def edit(ids: list[str], name: str) -> None:
        org.advance(3_600)
        for id_ in ids:
            org.edit("Contact", id_, LastName=name)

    edit(active, "First")
    for allowed in range(6, 60):
        partial = synced.run(scope, calls_per_run=allowed, **few)
        names = [row["last_name"] for row in synced.rows("sf_contacts").values()]
        if "First" in names:
            break
    # The first is not read again by the run that goes on, the last one is.
    edit(active[:1], "Second")
    edit(active[-1:], "Second")
    while synced.run(scope, calls_per_run=allowed, **few).error is not None:
        allowed += 1  # just enough: what is held is still put off to the end
    edit(active[1:5], "Third")
    synced.run(scope, calls_per_run=allowed, **few)
    synced.ok(scope, **few)
    held = {id_: row["last_name"] for id_, row in synced.rows("sf_contacts").items()}

    assert isinstance(partial.error, QuotaExceededError)
    assert 0 < names.count("First") < len(active)
    assert {id_: row["LastName"] for id_, row in org.rows("Contact", ids=active).items()} == held


@pytest.mark.deep
def test_a_trial_does_not_end_a_reading_that_takes_several_runs(
    org: DemoOrg, synced: Synced
) -> None:
    """A few of the relations, oldest first, are no end of reading all of them."""

    def reading() -> dict[str, Any]:
        sources: Any = synced.pipeline.state["sources"]
        return dict(sources["salesforce_targeted"].get("relations_read", {}))

    synced.run(Scope(limits=SMALL), calls_per_run=5)
    begun = reading()
    synced.run(Scope(limits=replace(SMALL, rows_per_query_page=2_000), limit=3))
    after_a_trial = reading()
    synced.ok(Scope(limits=SMALL))

    assert begun
    assert begun == after_a_trial
    assert {} == reading()
    assert sorted(org.rows("TaskWhoRelation")) == sorted(synced.rows("sf_taskwhorelations"))


@pytest.mark.deep
def test_a_full_run_that_was_cut_short_is_gone_on_with(org: DemoOrg, synced: Synced) -> None:
    """By the next ordinary run: what no stamp shows arrives without another --full."""
    few = {"refresh_call_budget": 0, "api": "collections"}
    scope = Scope(limits=replace(SMALL, ids_per_collection=1))
    synced.ok(scope)
    active = sorted(org.active_ids())
    for id_ in active:
        org.set_silently("Contact", id_, Full_Label__c="unseen")

    def labels() -> list[str]:
        return [row["full_label__c"] for row in synced.rows("sf_contacts").values()]

    for allowed in range(10, 100):
        cut = synced.run(replace(scope, full=True), calls_per_run=allowed, **few)
        if "unseen" in labels():
            break
    first = labels().count("unseen")
    synced.ok(scope, **few)

    assert isinstance(cut.error, QuotaExceededError)
    assert 0 < first < len(active)
    assert ["unseen"] * len(active) == labels()


def test_how_large_the_org_is_takes_one_call(org: DemoOrg, synced: Synced) -> None:
    """Of all objects, however often a run plans; it matters from 25 calls of Collections on."""
    single = Scope(limits=replace(DOCUMENTED, ids_per_collection=1))
    for number in range(20):
        org.log_task([org.add_contact(LastName=f"Fresh {number}")])
    facts = synced.ok(single)

    assert 25 < facts["contacts"]["asked"]
    assert 1 == facts["calls"]["by_kind"]["record_count"]


@pytest.mark.usefixtures("short_pauses")
def test_an_outage_in_mid_run_keeps_what_came(org: DemoOrg, synced: Synced) -> None:
    """The org is down from some call on: the run fails, what came is held, the next one goes on."""
    few = Scope(limits=SMALL)
    for call in ("collections", "composite"):
        org.faults.add(Fault(call, "html_503", nth=3, times=99))
    down = synced.run(few, api="collections")
    before = synced.rows("sf_taskwhorelations")
    org.faults.clear()
    synced.ok(few, api="collections")

    assert isinstance(down.error, UnavailableError)
    assert "What came before is loaded" in down.facts["error"]
    assert "failed" == down.facts["status"]
    assert set(org.rows("TaskWhoRelation")) == before.keys()
    assert set(org.active_ids()) == synced.rows("sf_contacts").keys()


def test_a_run_that_ends_before_its_first_row_says_so() -> None:
    """That what came is loaded is said of something that came."""
    ledger = Ledger()
    ledger.stop(UnavailableError("down"))
    nothing = ledger.left_over
    ledger.tally("Contact").retrieved = 1

    assert nothing.startswith("Nothing had come")
    assert ledger.left_over.startswith("What came before is loaded")
