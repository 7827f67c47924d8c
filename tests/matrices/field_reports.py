"""Reports of what went wrong in other people's orgs, each played to any checkout's command line.

    python -m tests.matrices field_reports --library DIR

Each story was reported of a checkout as it once was, and says here what is wrong with this one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from salesforce_targeted.demo_org import DemoOrg
from tests.matrices import unlike_orgs
from tests.matrices.stage import DONE, DRIFT, FILE, PARTIAL, WRONG_USE, Stage, StoppedError
from tests.matrices.table import Findings, Table

LEGEND = """\
right  what is held is what the org shows, or the run says what is not, and what to do
WRONG  see the list"""
_NARROW = {"fields": '["LastName", "Title"]'}
_PIPELINE = f"""
import dlt
from datetime import UTC, datetime
from salesforce_targeted import salesforce_targeted, targeted
crm = dlt.pipeline("crm", destination=dlt.destinations.duckdb("{FILE}"), dataset_name="salesforce")
"""
# No relation is so old.
_WINDOW = """
source = salesforce_targeted()
source.task_who_relation.apply_hints(incremental=dlt.sources.incremental("SystemModstamp",
    initial_value=datetime(2001, 1, 1, tzinfo=UTC), end_value=datetime(2002, 1, 1, tzinfo=UTC)))
crm.run(source)
"""
_MET = """
crm.run(targeted(object="Contact", discovered_by="EventWhoRelation", table="sf_event_contacts"))
"""
Play = Callable[[DemoOrg], Stage]


def edited_behind_the_reader(play: Play) -> Iterator[str]:
    """A1: rows of answered calls are edited, then rows of all calls with a stamp two hours later."""
    stage = play(DemoOrg(4_500, 4_500, 4_600))
    org, few = stage.org, {"refresh_call_budget": 1, "api": "collections", **_NARROW}
    stage.ok(**few)
    org.advance(3_600)
    for id_ in org.active_ids():
        org.edit("Contact", id_, Title="All are read again")
    org.bump_stamps("TaskWhoRelation")
    contacts, relations = org.active_ids(), sorted(org.rows("TaskWhoRelation"))
    account = min(org.rows("Account"))

    def edit(name: str, ids: Sequence[str], **values: str) -> None:
        calls = [ids[at : at + 2_000] for at in range(0, len(ids), 2_000)]
        for seconds, rows in ((0, slice(20)), (7_200, slice(20, 21))):
            org.advance(seconds)
            for id_ in (id_ for of_call in calls for id_ in of_call[rows]):
                org.edit(name, id_, **values)

    stage.before("/query/", lambda: edit("TaskWhoRelation", relations, AccountId=account))
    stage.before("sobjects/Contact", lambda: edit("Contact", contacts, Title="Late"), nth=3)
    stage.ok(**few)
    stage.ok(**few)
    yield from stage.differences()


def few_calls_a_run(play: Play) -> Iterator[str]:
    """A2: a run may spend a third of the calls that the org takes, and runs again and again."""
    stage, runs = play(DemoOrg(1_500, 1_500, 1_505, lead_relations=3)), 1
    while (last := stage.run("--max-calls", "8", api="query", **_NARROW)).code and runs < 5:
        runs += 1
    if last.code == DONE and "accounted for" in last.message:
        yield f"the last run warns: {last.message}"
    yield from (f"{text}, after {runs} runs of 8 calls" for text in stage.differences())


def a_field_and_deleted_contacts(play: Play) -> Iterator[str]:
    """A3: no contact can be read with one field; the first and the last one are deleted."""
    stage = play(DemoOrg(500, 60))
    org, (first, second, *_, last) = stage.org, stage.org.active_ids()
    org.relations_outlive_contacts = True
    stage.ok()
    org.delete_contact(first)
    org.delete_contact(last)
    org.edit("Contact", second, LastName="Fresh")
    org.poisons.add("Contact", None, "Birthdate")
    stage.ok()
    if not stage.count("sf_contacts", "last_name = 'Fresh'"):
        yield "the others are not loaded"
    gone = stage.sql("SELECT contact_id, gone_reason AS reason FROM sf_active_contacts")
    reasons = {row["contact_id"]: row["reason"] for row in gone if row["reason"]}
    if reasons != {first: "deleted", last: "deleted"}:
        yield f"2 contacts are deleted; gone are {sorted(reasons.values())}"
    org.poisons.clear()
    stage.ok()
    if left := stage.count("sf_rejected_records"):
        yield f"{left} stay rejected"


def a_junction_that_hides(play: Play) -> Iterator[str]:
    """A4: TaskWhoRelation is not there for one run, then there again."""
    stage = play(DemoOrg(1_000, 300, 900))
    stage.ok()
    stage.org.hidden_objects.add("TaskWhoRelation")
    hidden = stage.run()
    removed = stage.count("sf_taskwhorelations", "removed_at IS NOT NULL")
    tasks = stage.count("sf_taskwhorelations", "id LIKE '00T%'")
    left = stage.count("sf_active_contacts", "NOT is_active")
    if hidden.code == DONE or removed or tasks or left:
        yield (
            f"exit {hidden.code}, {removed} relations are marked removed, {tasks} tasks stand as"
            f" relations, {left} contacts left"
        )
    stage.org.hidden_objects.clear()
    stage.ok()
    yield from stage.differences()


def pages_that_shift(play: Play) -> Iterator[str]:
    """A5: page 2 of the relations begins with the last five rows of page 1; the sum fits."""
    stage = play(DemoOrg(3_000, 1_000, 2_600))
    stage.org.moves.shift_pages("TaskWhoRelation", 5)
    stage.ok()
    yield from stage.differences()


def a_task_logged_meanwhile(play: Play) -> Iterator[str]:
    """A6: a task is logged with a lead after a run's first call; pages are of 200 rows."""
    stage = play(DemoOrg(3_000, 1_000, 2_600))
    org, lead = stage.org, min(stage.org.rows("Lead"))
    org.page_rows = 200
    stage.ok()
    org.reset_calls()
    stage.ok()
    quiet = org.billed
    org.reset_calls()
    org.moves.before_call(2, lambda: org.log_task([lead]))
    stage.ok()
    if org.billed > quiet + 4:
        yield f"{org.billed} calls instead of {quiet}"
    if removed := stage.count("sf_taskwhorelations", "removed_at IS NOT NULL"):
        yield f"{removed} relations are marked removed"
    stage.ok()
    yield from stage.differences()


def calls_end_before_the_count(play: Play) -> Iterator[str]:
    """A7: the day's calls are spent right before ``limits/recordCount``."""
    stage = play(DemoOrg(50_002, 50_002, 50_007, lead_relations=3))
    org = stage.org
    stage.before("recordCount", lambda: setattr(org, "daily_used", org.daily_limit))
    ended = stage.run("--only", "task_who_relation,contact", **_NARROW)
    held = stage.count("sf_taskwhorelations")
    if (ended.code, held) != (PARTIAL, 50_007):
        yield f"exit {ended.code}, {held:,} of 50,007 relations are held: {ended.message}"


def a_cell_of_a_deleted_contact(play: Play) -> Iterator[str]:
    """A8: one cell is altered; a contact before it was deleted without ever being held."""
    stage = play(DemoOrg(500, 60))
    org, (never_held, deleted, *_) = stage.org, stage.org.active_ids()
    org.relations_outlive_contacts = True
    org.delete_contact(never_held)
    stage.ok()
    org.delete_contact(deleted)
    stage.ok()
    stage.sql(f"UPDATE sf_contacts SET last_name = 'Altered' WHERE id = '{deleted}'")
    ended = stage.run("--verify")
    found = [(each["id"] == deleted, each["cause"], each["columns"])
             for each in ended.facts.get("drift", {}).get("examples", ())]  # fmt: skip
    if (ended.code, found) != (DRIFT, [(True, "altered", ["LastName"])]):
        told = [f"{cause} in {len(columns)} columns" for _, cause, columns in found]
        yield f"exit {ended.code}, one altered cell is told as {', '.join(told) or 'nothing'}"


def fields_that_are_not_read(play: Play) -> Iterator[str]:
    """A9: a field's name is misspelt; later fewer fields are taken than before."""
    stage = play(DemoOrg(500, 60))
    slip = stage.run(fields='["FirstName", "Emial"]')
    if slip.code != WRONG_USE or "Email" not in slip.message:
        yield f"Emial: exit {slip.code}, {slip.message or 'nothing is said'}"
    stage.ok(fields='["FirstName", "LastName"]')
    stage.org.edit("Contact", stage.org.active_ids()[0], LastName="Newer")
    for argv in ("", "--verify"):
        ended = stage.run(*argv.split(), fields='["FirstName"]')
        if "last_name" not in ended.message:
            yield f"last_name is no longer read: exit {ended.code}, {argv or 'the run'} says nothing"


def a_window_of_dlt(play: Play) -> Iterator[str]:
    """A10: dlt's ``incremental`` asks for a year in which there is no relation."""
    stage = play(DemoOrg.tiny())
    ended = stage.python("-c", _PIPELINE + _WINDOW)
    if rows := stage.count("sf_taskwhorelations"):
        yield f"{rows} rows for a window that holds none"
    if ended.code and stage.org.billed:
        yield f"refused after {stage.org.billed} calls: {ended.message}"


def two_sources_in_one_dataset(play: Play) -> Iterator[str]:
    """A11: neither source can read a value of one contact; it heals, and one of them runs."""
    stage = play(DemoOrg.varied())
    org = stage.org
    contact = min({*org.active_ids()} & {*org.named_ids("EventWhoRelation", "RelationId")})
    org.set_silently("Contact", contact, Birthdate="no date")
    both = stage.python("-c", _PIPELINE + _MET + "crm.run(salesforce_targeted())")
    org.set_silently("Contact", contact, Birthdate="1970-01-02")
    one = stage.python("-c", _PIPELINE + _MET)
    yield from (f"exit {ended.code}: {ended.message}" for ended in (both, one) if ended.code)
    empty = stage.count("sf_contacts", f"id = '{contact}' AND birthdate IS NULL")
    listed = stage.count("sf_rejected_records", f"record_id = '{contact}'")
    if (empty, listed) != (1, 1):
        yield f"{empty} value of sf_contacts is unread, {listed} are listed as rejected"


STORIES = {
    "A1": edited_behind_the_reader,
    "A2": few_calls_a_run,
    "A3": a_field_and_deleted_contacts,
    "A4": a_junction_that_hides,
    "A5": pages_that_shift,
    "A6": a_task_logged_meanwhile,
    "A7": calls_end_before_the_count,
    "A8": a_cell_of_a_deleted_contact,
    "A9": fields_that_are_not_read,
    "A10": a_window_of_dlt,
    "A11": two_sources_in_one_dataset,
    **unlike_orgs.STORIES,
}


def findings(library: Path, every: int, tell: Callable[[str], None]) -> Findings:
    """Play each story to a checkout, or each so manieth; what went wrong in it."""
    table = Table("Field reports", ("outcome",), "report")
    broken, names = [], list(STORIES)[::every]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, wrong in zip(
            names, pool.map(partial(_play, library, Path(folder)), names), strict=True
        ):
            row = f"{name} {STORIES[name].__name__.replace('_', ' ')}"
            table.put(row, "outcome", "WRONG" if wrong else "right")
            broken += [f"{row}: {wrong}"] if wrong else []
            tell(f"field_reports: {row}: {wrong or 'right'}")
    totals = f"{len(names) - len(broken)} of {len(names)} right"
    return Findings("field_reports", [table], LEGEND, totals, broken)


def _play(library: Path, folder: Path, name: str) -> str:
    """Play a story; what was wrong, empty if all was right."""
    stages: list[Stage] = []

    def play(org: DemoOrg) -> Stage:
        stages.append(Stage(library, folder / name, org))
        return stages[-1]

    wrong: list[str] = []
    try:
        wrong.extend(STORIES[name](play))
    except StoppedError as stopped:
        wrong.append(str(stopped))
    finally:
        for stage in stages:
            stage.close()
    return "; ".join(wrong)
