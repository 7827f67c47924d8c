"""The page of ``--report-html``: headline first, nothing that was not checked, no personal data."""

from __future__ import annotations

from pathlib import Path

from salesforce_targeted.arrow.batch import Rejected
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.report.html.dataset_facts import DatasetFacts, TableFacts
from salesforce_targeted.report.html.page import write
from tests.conftest import Synced
from tests.support.pages import SECRET, STARTED, facts, shown


def test_the_headline_comes_first() -> None:
    """Contacts, relations and calls, before any detail."""
    ledger = Ledger(started_at=STARTED, org_remaining=14_993)
    ledger.calls.update(query=3, collections=1)
    report = facts(ledger)
    report["contacts"]["held"], report["relations"]["held"] = 1_818, 2_385
    text = shown(report, DatasetFacts(stages={"active": 1_800, "left": 18}))
    head = text[: text.index("Relations per week")]

    assert text.startswith("Targeted contact sync done 2026-11-20 12:00:00 UTC, incremental, 2.0 s")
    assert "Contacts held 1,818 1,800 active" in head
    assert "Relations held 2,385 not checked" in head
    assert "API calls 4 14,993 left (24 h)" in head


def test_calls_by_kind() -> None:
    """The numbers of the plot stand in a table too, and their sum below them."""
    ledger = Ledger(started_at=STARTED)
    ledger.calls.update(query=3, describe=2)

    assert "Kind Calls describe 2 query 3 All 5" in shown(facts(ledger))


def test_a_failed_run_says_why_first() -> None:
    """The error stands above all sections, and nothing is claimed that was not checked."""
    text = shown(facts(status="failed", error="The org is away."))

    assert "What needs attention Error The org is away. Relations per week" in text
    assert "Contacts held – active: not known" in text
    assert "0 rejected; not checked: what counts as new or updated may not be loaded." in text
    done = facts()
    done["closure"]["relations_explained_pct"] = 100.0
    assert "may not be loaded" not in shown(done)


def test_where_all_is_well_nothing_needs_attention() -> None:
    """No heading without anything below it."""
    assert "What needs attention" not in shown(facts(), DatasetFacts(stages={}, weeks=[], runs=[]))


def test_rejected_rows_by_reason() -> None:
    """Ids below their error; fifty of each, the rest counted; never the value."""
    ledger = Ledger(started_at=STARTED)
    for n in range(70):
        ledger.reject(Rejected("Contact", f"003{n:03}", "Birthdate", "not a date", SECRET))
    ledger.reject(Rejected("Task", "00T", "", "gone <away>", SECRET))
    text = shown(facts(ledger), DatasetFacts(rejected=71))

    assert "Contact.Birthdate · 70 not a date 003000 , 003001" in text
    assert "003049 and 20 more" in text
    assert "003050" not in text
    assert "Task, whole record · 1 gone <away> 00T" in text
    assert "71 listed in sf_rejected_records" in text
    assert SECRET not in text


def test_what_is_not_quite_the_orgs_is_said() -> None:
    """Values without their NUL characters, as on the terminal; a line only where there are some."""
    text = shown({**facts(), "nuls_removed": 3})

    assert "Removed: NUL and halves of characters (now U+FFFD), of 3 values: PostgreSQL" in text
    assert "Removed" not in shown(facts())


def test_a_page_about_leads() -> None:
    """What the run is about has its own name on the page."""
    text = shown({**facts(), "object": "Lead"}, DatasetFacts(stages={"active": 1}))

    assert text.startswith("Targeted Lead sync done")
    assert "Lead records by life stage" in text
    assert "Records Lead records Read 0" in text
    assert not [word for word in ("ontact", "Relations", "Task", "User") if word in text]


# --- the file


def test_the_page_is_for_the_user_alone(synced: Synced, tmp_path: Path) -> None:
    """Mode 0600, also where a file of that name was open to others; what was in it is gone."""
    run_facts = synced.ok()
    path = tmp_path / "page.html"
    path.write_text("x" * 1_000_000)
    path.chmod(0o644)
    with HeldTables.of(synced.pipeline) as held:
        write(run_facts, held, path)
    text = path.read_text("utf-8")

    assert 0o600 == path.stat().st_mode & 0o777
    assert text.startswith("<!doctype html>\n<html")
    assert text.endswith("</html>\n")
    assert len(text) < 150_000


def test_nobodys_data_is_on_the_page(org: DemoOrg, synced: Synced, tmp_path: Path) -> None:
    """Of what the contacts hold only ids of rejected rows are there."""
    contact = org.active_ids()[0]
    org.set_silently("Contact", contact, Birthdate=SECRET)
    run_facts = synced.ok()
    with HeldTables.of(synced.pipeline) as held:
        text = write(run_facts, held, tmp_path / "page.html").read_text("utf-8")
    held_values = {
        str(value)
        for table_ in ("sf_contacts", "sf_activities", "sf_users")
        for row in synced.rows(table_).values()
        for name, value in row.items()
        if isinstance(value, str) and len(value) > 6 and name != "row_hash"
    }

    assert SECRET not in text
    assert {contact} == {value for value in held_values if value in text}


def test_coverage_counts_what_is_described() -> None:
    """Filled, never filled and hidden fields, each in its column, and named."""
    names = tuple(f"Field_{n}__c" for n in range(60))  # as many as an org has: none is cut
    of = TableFacts("sf_contacts", 3, STARTED, 4, 3, names, ("Phone",))
    text = shown(facts(), DatasetFacts(tables=[of]))

    assert "Described Filled Never filled Hidden sf_contacts 67 7 60 1" in text
    assert f"sf_contacts: 60 never filled {', '.join(names)}" in text
    assert "sf_contacts: 1 hidden Phone" in text
    assert "sf_contacts 3 2 s 2026-11-20 12:00:00" in text.replace("\u00a0", " ")
