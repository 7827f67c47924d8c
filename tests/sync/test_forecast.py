"""What ``--plan`` says before a run is what the run then costs: by the org's own bill."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from salesforce_targeted.demo_org import DemoOrg, serve
from tests.support.script import Script, in_process, session_of


def large() -> DemoOrg:
    """Relations on three pages, tasks beyond one call, contacts that no relation names."""
    return DemoOrg(3_000, 1_500, 4_500, users=30)


def _nothing(_org: DemoOrg) -> None:
    """Leave the org as it is."""


def _edits(org: DemoOrg) -> None:
    for contact in org.active_ids()[:9]:
        org.edit("Contact", contact, LastName="Edited")


def _new_contacts(org: DemoOrg) -> None:
    for number in range(5):
        org.log_task([org.add_contact(LastName=f"New {number}")])


def _deleted_contacts(org: DemoOrg) -> None:
    for contact in org.active_ids()[:3]:
        org.delete_contact(contact)


def _archived_tasks(org: DemoOrg) -> None:
    for task in [row["TaskId"] for row in org.rows("TaskWhoRelation").values()][:4]:
        org.archive_task(task)


def _chain_of_merges(org: DemoOrg) -> None:
    """Merge into a contact that is never active here, and hide it: neither read shows it."""
    winner = org.add_contact(LastName="Winner")
    org.merge(winner, [org.active_ids()[0]])
    for id_, row in list(org.rows("TaskWhoRelation").items()):
        if row["RelationId"] == winner:
            org.remove_relation(id_)
    org.hide_contact(winner)


def _a_field_that_fails(org: DemoOrg) -> None:
    org.poisons.add("Contact", None, "Birthdate")


def _long_responses_fail(org: DemoOrg) -> None:
    org.traits.most_cells = 700


# What happens before each plan, in this order, and by how many calls the plan may be wrong: what
# became gone since the last run is not known before the run that meets it, and then it is.
STORY: list[tuple[str, Callable[[DemoOrg], None], int]] = [
    ("nothing", _nothing, 0),
    ("edits", _edits, 0),
    ("new contacts", _new_contacts, 0),
    ("deleted since", _deleted_contacts, 2),
    ("known as deleted", _nothing, 0),
    ("archived since", _archived_tasks, 2),
    ("known as archived", _nothing, 0),
    ("merged since", _chain_of_merges, 2),
    ("known as merged into one that is hidden", _nothing, 0),
    ("a field of all records fails", _a_field_that_fails, 20),  # a search
    ("known as failing", _nothing, 0),
]
MANY: list[tuple[str, Callable[[DemoOrg], None], int]] = [
    ("more records than one response takes", _long_responses_fail, 30),  # a search
    ("known as too many", _nothing, 0),
]


def _script_of(
    org: DemoOrg, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: object
) -> Script:
    for name, value in session_of(url).items():  # type: ignore[arg-type]
        monkeypatch.setenv(name, value)
    return in_process(capsys)


def _foreseen_and_billed(org: DemoOrg, script: Script) -> tuple[int, int]:
    foreseen = script("--plan", "--json").facts
    org.reset_calls()
    assert 0 == script("--json").code
    assert sum(foreseen["steps"].values()) == foreseen["predicted_calls"]
    return foreseen["predicted_calls"], org.billed


@pytest.mark.brief(1)
@pytest.mark.parametrize(
    ("size", "story"),
    [(DemoOrg.tiny, STORY[:5] + MANY), (large, STORY)],
    ids=["one page", "three pages"],
)
def test_the_plan_of_a_repeat_is_what_the_repeat_costs(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    size: Callable[[], DemoOrg],
    story: list[tuple[str, Callable[[DemoOrg], None], int]],
) -> None:
    """Exact where all is known before; within two calls where something became gone since."""
    org, wrong = size(), []
    with serve(org) as server:
        script = _script_of(org, monkeypatch, capsys, server)
        script("--json")
        for name, happens, wrong_by in story:
            happens(org)
            foreseen, billed = _foreseen_and_billed(org, script)
            if abs(foreseen - billed) > wrong_by:
                wrong.append((name, foreseen, billed))

    assert [] == wrong


@pytest.mark.brief(1)
@pytest.mark.parametrize("size", [DemoOrg.tiny, large], ids=["one page", "three pages"])
def test_the_plan_of_a_first_run_is_within_two_calls(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    size: Callable[[], DemoOrg],
) -> None:
    """Which records are gone is not known before the first run."""
    org = size()
    with serve(org) as server:
        script = _script_of(org, monkeypatch, capsys, server)
        foreseen, billed = _foreseen_and_billed(org, script)

    assert abs(foreseen - billed) <= 2, (foreseen, billed)
