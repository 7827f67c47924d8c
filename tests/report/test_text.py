"""The ledger's facts as text, Markdown, JSON and as a row: the same numbers everywhere."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from salesforce_targeted.arrow.batch import Rejected
from salesforce_targeted.arrow.id_set import IdSet
from salesforce_targeted.destination import sync_runs
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.report import markdown, text
from salesforce_targeted.report.rich_text import console
from salesforce_targeted.retrieval.planner import cheapest
from salesforce_targeted.retrieval.results import DELETED, HIDDEN, MERGED
from salesforce_targeted.run_facts import RelationTally, Tally

STARTED = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
SECRET = "Ada Lovelace"


def ledger() -> Ledger:
    """Return a run in which something of everything happened."""
    run = Ledger(started_at=STARTED, api_version="64.0", org_remaining=14_994)
    run.cursor = datetime(2026, 11, 20, 11, 59, 59, tzinfo=UTC)
    run.relations = RelationTally(read=2_392, new=2_000, updated=300, unchanged=92, removed=7)
    run.tallies["Contact"] = Tally(
        discovered=817, asked=1_820, retrieved=1_817, new=800, updated=17, unchanged=1_000,
        gone=2, rejected=1,
    )  # fmt: skip
    run.plans["Contact"] = cheapest("Contact", ["Id"], 1_820)
    run.calls.update(query=3, collections=1, describe=2)
    run.contacts_gone = {"003a": DELETED, "003b": HIDDEN}
    run.reject(Rejected("Contact", "003c", "Birthdate", "ValueError: not a date", f'"{SECRET}"'))
    run.reject(Rejected("Contact", "003d", "", "UnavailableError: gone away", f'"{SECRET}"'))
    run.explain_tasks(["00Ta"], {"00Tb": DELETED, "00Tc": HIDDEN})
    run.warn("Contact: a field is gone")
    run.step("Contact: 1,820 of 1,820")
    return run


def facts(of: Ledger | None = None, status: str = "done", **more: Any) -> dict[str, Any]:
    """Return the report as a finished run has it."""
    of = of or ledger()
    report = {**of.facts(status), "seconds": 1.94}
    report["relations"]["held"], report["contacts"]["held"] = 2_385, 1_818
    report["closure"] |= {"relations_explained_pct": 99.96, "relations_unexplained": 1}
    report["statistics"] = {"total": 1_818, "with_email": 640}
    return {**report, **more}


# --- the ledger


@pytest.mark.parametrize(
    ("tally", "expected"),
    [
        (Tally(), True),
        (Tally(asked=3, retrieved=1, new=1, gone=1, rejected=1), True),
        (Tally(asked=6, retrieved=6, new=1, updated=2, unchanged=3), True),
        (Tally(asked=2, retrieved=1, new=1), False),  # one id vanished
        (Tally(asked=1, retrieved=1, new=1, gone=1), False),  # one came out twice
        (Tally(asked=1, retrieved=1), False),  # a row that is neither new nor known
        (Tally(asked=1, retrieved=1, new=1, unchanged=1), False),
    ],
)
def test_ids_are_conserved_or_not(tally: Tally, expected: bool) -> None:
    """Asked = retrieved + gone + rejected, and retrieved = new + updated + unchanged."""
    assert expected == tally.conserved


def test_a_tally_as_a_sentence() -> None:
    """The sum, with its numbers."""
    assert ("6 asked = 3 retrieved (1 new, 1 updated, 1 unchanged) + 2 gone + 1 rejected") == str(
        Tally(asked=6, retrieved=3, new=1, updated=1, unchanged=1, gone=2, rejected=1)
    )


def test_a_tally_begins_at_its_first_mention() -> None:
    """Two mentions, one tally."""
    run = Ledger()
    run.tally("Task").asked += 2
    run.tally("Task").asked += 1

    assert 3 == run.tallies["Task"].asked


def test_a_warning_is_said_once() -> None:
    """However many batches notice the same."""
    run = Ledger()
    run.warn("twice")
    run.warn("twice")

    assert ["twice"] == run.warnings


@pytest.mark.parametrize(
    ("object_name", "record_id", "field", "expected"),
    [
        ("Contact", "003a", "Birthdate", True),
        ("Contact", "003b", "Birthdate", False),  # a rejection of its own
        ("Contact", "003b", "Title", True),  # another field of it was rejected
        ("Contact", "003b", "*", True),  # a field of it was rejected, and the others came
        ("Contact", "003c", "Birthdate", False),  # not asked for
        ("Contact", "003d", "Birthdate", False),  # nothing of it came
        ("Contact", "003a", "Fax", False),  # no record was read with it
        ("Contact", "*", "Title", True),
        ("Contact", "*", "Fax", False),
        ("Task", "003a", "Birthdate", False),
        ("User", "003b", "Birthdate", True),  # rejected as a contact, not as a user
    ],
)
def test_what_came(object_name: str, record_id: str, field: str, expected: bool) -> None:
    """Asked for, and not rejected: an old rejection has come right, whatever else was rejected."""
    run = Ledger(answered={"Contact": IdSet(), "User": IdSet()})
    run.answered["Contact"].update(["003a", "003b", "003d", "*"])
    run.answered["User"].update(["003b"])
    run.reject(Rejected("Contact", "003b", "Birthdate", "", ""))
    run.reject(Rejected("Contact", "003d", "", "", ""))
    run.reject(Rejected("Contact", "*", "Fax", "", ""))

    assert expected == run.came(object_name, record_id, field)


def test_why_a_normal_query_does_not_return_tasks() -> None:
    """Archived, deleted or hidden, in the order of their ids; nothing gets lost on the way."""
    run = Ledger()
    gone = {"b": DELETED, "a": DELETED, "c": HIDDEN}
    run.explain_tasks(["z"], gone)

    assert {"archived": ["z"], DELETED: ["a", "b"], HIDDEN: ["c"]} == run.tasks_missing
    assert {"archived": 1, DELETED: 2, HIDDEN: 1} == run.facts("done")["closure"]["tasks_missing"]


def test_the_facts_of_a_run() -> None:
    """What ``--json`` prints: the words of design.md, section 8."""
    report = ledger().facts("done")

    assert ("done", "incremental") == (report["status"], report["mode"])
    assert "20261120T120000.123456Z" == report["run_id"]
    assert {
        "total": 6, "by_kind": {"collections": 1, "describe": 2, "query": 3},
        "org_remaining": 14_994,
    } == report["calls"]  # fmt: skip
    assert "collections" == report["plan"]["api"]
    assert (2_392, 7) == (report["relations"]["read"], report["relations"]["removed"])
    assert (1_820, 1_817) == (report["contacts"]["asked"], report["contacts"]["retrieved"])
    assert {DELETED: 1, HIDDEN: 1} == report["closure"]["contacts_missing"]
    assert ["003c", "003d"] == [r["record_id"] for r in report["rejected"]]


def test_a_run_without_a_plan() -> None:
    """Nothing was asked for: no Api was chosen."""
    report = Ledger().facts("done")

    assert {"api": None, "price": {}} == report["plan"]
    assert 0 <= report["seconds"] < 60


def test_nothing_is_claimed_that_was_not_checked() -> None:
    """Before the destination was asked, it is not known what it holds or that all is explained."""
    report = Ledger().facts("failed")

    assert (None, None) == (report["relations"]["held"], report["contacts"]["held"])
    assert report["closure"]["relations_explained_pct"] is None
    assert "100" not in text.text(report)
    assert "closure   not checked: what counts as new" in text.text(ledger().facts("failed"))


# --- as text


def test_the_report_on_a_terminal() -> None:
    """How it ended, a table of what moved, and what is worth knowing below it."""
    lines = text.text(facts()).splitlines()
    table = [line.split() for line in lines[2:7]]

    assert "done in 1.9 s (incremental), 6 API calls, 14,994 left (24 h)" == lines[0]
    assert ["read", "new", "updated", "unchanged", "gone", "held"] == table[0]
    assert ["relations", "2,392", "2,000", "300"] == table[1][:4]
    assert ["7", "2,385"] == table[1][-2:]
    assert ["contacts", "1,817", "800", "17", "1,000", "2", "1,818"] == table[2]
    assert ["tasks", "users"] == [row[0] for row in table[3:]]
    assert "contacts    1,820 asked = 1,817 retrieved + 2 gone + 1 rejected" == lines[8]
    assert "closure     99.96 % of the relations explained" == lines[9]
    assert (
        "            tasks not returned by a normal query: archived 1, deleted 1, hidden 1"
        == lines[10]
    )
    assert "statistics  total 1,818, with_email 640" == lines[11]
    assert "warning     Contact: a field is gone" == lines[12]
    assert "rejected    2 values or records: sf_rejected_records" == lines[13]
    assert 14 == len(lines)


def test_the_report_fits_a_terminal_of_80_columns() -> None:
    """A long error goes on below its beginning, at its column; nothing is cut off."""
    error = "The org is away. " * 12
    stream = StringIO()
    terminal = console(stream)
    terminal.width = 80
    terminal.print(text.summary(facts(error=error, status="failed")))
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    at = next(n for n, line in enumerate(lines) if line.startswith("error       The org"))

    assert max(map(len, lines)) <= 80
    assert error.split() == " ".join(lines[at:]).removeprefix("error").split()
    assert {" " * 12} == {line[:12] for line in lines[at + 1 :]}


@pytest.mark.parametrize(
    ("status", "expected"),
    [("failed", "FAILED in"), ("partial", "partial in"), ("drift", "DRIFT in"), ("odd", "odd in")],
)
def test_a_run_that_was_not_done_says_so_first(status: str, expected: str) -> None:
    """The first word, and the error with its remedy."""
    shown = text.text(facts(status=status, error="Set SALESFORCE_USERNAME."))

    assert shown.startswith(expected)
    assert "error       Set SALESFORCE_USERNAME." in shown.splitlines()


def test_a_quiet_run_is_a_table_and_two_lines() -> None:
    """No statistics, warnings, rejections or errors: no lines about them."""
    quiet = Ledger(started_at=STARTED)
    lines = text.text(facts(quiet, statistics={})).splitlines()

    assert ["contacts", "closure"] == [line.split()[0] for line in lines[8:]]
    assert "left (" not in text.text(facts(quiet))


def test_a_run_that_failed_at_once_shows_no_table_of_nothing() -> None:
    """Before anything was asked there is an error and no row of zeros."""
    failed = Ledger(started_at=STARTED).facts("failed")

    assert ["FAILED in 0.1 s (incremental), 0 API calls", "", "error  The org is away."] == (
        text.text({**failed, "seconds": 0.1, "error": "The org is away."}).splitlines()
    )


@pytest.mark.parametrize(
    ("asked", "closes"), [(1_820, True), (1_821, False), (1_819, False), (0, False)]
)
def test_a_sum_that_does_not_close_is_shouted(asked: int, closes: bool) -> None:
    """The user sees it without adding up."""
    tally = Tally(asked=asked, retrieved=1_817, gone=2, rejected=1)
    shown = text.conservation(tally.facts())

    assert closes == (not shown.endswith("DOES NOT ADD UP"))


# --- as a file


def test_the_report_as_markdown() -> None:
    """Summary, calls, progress, warnings, failures and what is missing, each under its heading."""
    shown = markdown.document(facts())

    assert shown.startswith("# Targeted contact sync - 2026-11-20 12:00:00 UTC\n")
    assert ["Summary", "Calls", "Progress by batch", "Warnings", "Failed records", "Error analysis",
            "Tasks and contacts not returned by a normal query"] == re.findall(r"^## (.+)$", shown, re.MULTILINE)  # fmt: skip
    assert "- **Contacts**: 1,820 asked = 1,817 retrieved + 2 gone + 1 rejected\n" in shown
    assert "- **New / updated / unchanged**: 800 / 17 / 1,000\n" in shown
    assert "- **Contacts per second**: 937\n" in shown
    assert "- **API calls**: 6, 14,994 left (24 h)\n" in shown
    assert "| collections | 1 |\n| describe | 2 |\n| query | 3 |" in shown
    assert "- Contact: 1,820 of 1,820\n" in shown
    assert "- Contact.Birthdate: ValueError: not a date: 1 (003c)\n" in shown
    assert "- Contact.*: UnavailableError: gone away: 1 (003d)\n" in shown
    assert "- archived: 1 (00Ta)\n- deleted: 1 (00Tb)\n- hidden: 1 (00Tc)\n" in shown
    assert "- contacts deleted: 1\n- contacts hidden: 1\n" in shown


def test_sections_without_content_are_left_out() -> None:
    """A quiet run's file is a summary."""
    shown = markdown.document(facts(Ledger(started_at=STARTED)))

    assert ["Summary"] == re.findall(r"^## (.+)$", shown, re.MULTILINE)


def test_a_failed_run_as_markdown() -> None:
    """The error stands in the summary, and what was not counted or checked."""
    failed = Ledger(started_at=STARTED).facts("failed")
    shown = markdown.document({**failed, "error": "The org is away."})

    assert "- **Error**: The org is away." in shown
    assert "- **Contacts held**: ?\n" in shown
    assert "- **Relations explained**: not checked: what counts as new or updated may" in shown


def test_a_run_that_took_no_time() -> None:
    """Nothing is divided by zero."""
    assert "- **Contacts per second**: 0\n" in markdown.document(facts(seconds=0.0))


def test_many_ids_are_cut_with_their_number() -> None:
    """200 ids are listed, the rest is counted: a file that opens."""
    many = Ledger(started_at=STARTED)
    many.explain_tasks([f"00T{n:03}" for n in range(201)], {})
    for n in range(1_234):
        many.reject(Rejected("Contact", f"003{n:04}", "F", "bad", ""))
    shown = markdown.document(facts(many))

    assert "00T199 and 1 more)" in shown
    assert "bad: 1234 (0030000" in shown
    assert "0030199 and 1,034 more)" in shown
    assert 200 == shown.count('"record_id"')


def test_raw_values_never_reach_a_report() -> None:
    """Payloads are personal data: they stand in sf_rejected_records only."""
    report = facts()

    assert SECRET in ledger().rejected[0].payload
    assert not any(
        SECRET in shown
        for shown in (text.text(report), markdown.document(report), sync_runs.as_json(report))
    )


def test_a_report_is_written_as_markdown_and_json(tmp_path: Path) -> None:
    """Two files of one name, in a folder that is made for them."""
    path = markdown.write(facts(), tmp_path / "deep" / "sync_results")

    assert tmp_path / "deep" / "sync_results" / "targeted_contacts_20261120_120000.md" == path
    assert markdown.document(facts()) == path.read_text("utf-8")
    held = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert "2026-11-20T12:00:00.123456Z" == held["started_at"]
    assert 1_817 == held["contacts"]["retrieved"]


def test_a_report_is_for_the_user_alone(tmp_path: Path) -> None:
    """Mode 0600, also where a file of that name was open to others; what was in it is gone."""
    path = tmp_path / "targeted_contacts_20261120_120000.md"
    path.write_text("x" * 100_000)
    path.chmod(0o644)
    markdown.write(facts(), tmp_path)

    assert {0o600} == {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert markdown.document(facts()) == path.read_text("utf-8")


# --- as a row


def test_the_row_of_a_run() -> None:
    """``sf_sync_runs`` has the report's own numbers."""
    row = sync_runs.row(facts())

    assert sync_runs.SCHEMA.names == list(row)
    assert ("20261120T120000.123456Z", STARTED, "done") == (
        row["run_id"], row["started_at"], row["status"],
    )  # fmt: skip
    assert (2_392, 2_000, 300, 7, 2_385) == tuple(
        row[f"relations_{name}"] for name in ("read", "new", "updated", "removed", "held")
    )
    assert (817, 1_820, 1_817, 2, 1, 1_818) == tuple(
        row[f"contacts_{name}"]
        for name in ("discovered", "asked", "retrieved", "gone", "rejected", "held")
    )
    assert (6, 99.96, 1, None) == tuple(
        row[name]
        for name in (
            "calls_total",
            "relations_explained_pct",
            "warning_count",
            "error",
        )
    )
    assert "64.0" == row["api_version"]
    assert 2_392 == json.loads(row["report"])["relations"]["read"]


def test_the_row_as_arrow() -> None:
    """One row in the one schema; what is not known is null."""
    table = sync_runs.to_table(Ledger(started_at=STARTED).facts("failed"))

    assert sync_runs.SCHEMA == table.schema
    assert [(None, None, None)] == list(
        zip(
            *(
                table.column(name).to_pylist()
                for name in ("contacts_held", "relations_explained_pct", "cursor")
            ),
            strict=True,
        )
    )


def test_every_reason_is_its_own_word() -> None:
    """The words of design.md, section 5."""
    assert ("deleted", "merged", "hidden") == (DELETED, MERGED, HIDDEN)
