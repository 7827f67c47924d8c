"""The examples run as they stand, and what they answer is what the org says."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import BOTH, Synced
from tests.support.documents import README, blocks
from tests.support.script import DLT, ROOT, command, process, python

PIPELINES = ROOT / "pipelines"
CHART = str(PIPELINES / "active_contacts_by_account.py")
SVG = "{http://www.w3.org/2000/svg}"
QUESTION = re.compile(r"^-- (\d+)\. (.*?\?)", re.MULTILINE | re.DOTALL)
Rows = list[tuple[Any, ...]]


def queries() -> dict[int, str]:
    """Return the statements of useful_queries.sql by the number of their question."""
    text = (PIPELINES / "useful_queries.sql").read_text(encoding="utf-8")
    starts = [(int(match[1]), match.start()) for match in QUESTION.finditer(text)]
    ends = [start for _, start in starts[1:]] + [len(text)]
    return {
        number: text[start:end].strip().rstrip(";")
        for (number, start), end in zip(starts, ends, strict=True)
    }


class Answers:
    """Hold what the tables must show, worked out from the org itself."""

    def __init__(self, org: DemoOrg) -> None:
        self.contacts = org.rows("Contact", ids=org.active_ids())
        tasks = org.rows("Task", all_rows=True)  # archived ones too
        self.tasks = {id_: row for id_, row in tasks.items() if not row["IsDeleted"]}
        self.users = org.rows("User")
        self.relations = org.rows("TaskWhoRelation")
        self.of_contacts = {
            id_: row for id_, row in self.relations.items() if row["RelationId"] in self.contacts
        }
        self.worked = [
            (row["RelationId"], id_, self.tasks[id_])
            for row in self.relations.values()
            if (id_ := row["TaskId"]) in self.tasks
        ]

    def per_contact(self) -> Counter[str]:
        """Contact to how many relations it has."""
        return Counter(row["RelationId"] for row in self.of_contacts.values())

    def last_done(self) -> dict[str, date]:
        """Contact to the day of the newest task that is done."""
        done: dict[str, date] = {}
        for who, _, task in self.worked:
            if who in self.contacts and task["IsClosed"] and task["ActivityDate"]:
                day = _day(task["ActivityDate"])
                done[who] = max(day, done.get(who, day))
        return done

    def going_cold(self) -> dict[str, date]:
        """Contact to its newest task's day, where that is 90 days ago and nothing is open."""
        cold: dict[str, date] = {}
        for contact in self.contacts:
            tasks = [task for who, _, task in self.worked if who == contact]
            days = [_day(task["ActivityDate"]) for task in tasks if task["ActivityDate"]]
            newest = max(days, default=date.today())
            if newest < date.today() - timedelta(days=90) and all(t["IsClosed"] for t in tasks):
                cold[contact] = newest
        return cold

    def months(self) -> Rows:
        """Month to how many tasks with active contacts fell due in it, and how many are done."""
        tasks = {id_: task for who, id_, task in self.worked if who in self.contacts}
        due = [task for task in tasks.values() if task["ActivityDate"]]
        months = Counter(_day(task["ActivityDate"]).replace(day=1) for task in due)
        done = Counter(_day(t["ActivityDate"]).replace(day=1) for t in due if t["IsClosed"])
        return [(month, count, done[month]) for month, count in sorted(months.items())]

    def tasks_of_users(self) -> dict[str, tuple[int, int]]:
        """User's name to how many active contacts and tasks."""
        mine = [(t["OwnerId"], who, id_) for who, id_, t in self.worked if who in self.contacts]
        return {
            self.users[user]["Name"]: (
                len({who for owner, who, _ in mine if owner == user}),
                len({id_ for owner, _, id_ in mine if owner == user}),
            )
            for user in {owner for owner, _, _ in mine}
        }


def _day(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value)[:10])


@BOTH
def test_every_query_answers_its_question(org: DemoOrg, synced: Synced) -> None:
    """Thirteen questions, each compared with what the org shows, after a life with losses."""
    first, second, third, *_ = org.active_ids()
    org.edit("Contact", second, Email=None)
    org.log_task([second, third])
    cold = org.add_contact(LastName="Cold")
    org.log_task([cold], ActivityDate="2020-02-29", IsClosed=True, Status="Completed")
    synced.ok()
    org.delete_contact(first)
    unseen = org.log_task([third])
    org.hide_task(unseen)
    synced.ok()
    asked = {number: synced.sql(statement) for number, statement in queries().items()}
    answers = Answers(org)
    active, held_tasks = org.active_ids(), synced.rows("sf_activities")

    assert list(range(1, 14)) == sorted(asked)
    assert answers.per_contact() == Counter({row[0]: row[4] for row in asked[1]})
    assert sorted((row[4] for row in asked[1]), reverse=True) == [row[4] for row in asked[1]]
    accounts = Counter(answers.contacts[id_]["AccountId"] or "no account" for id_ in active)
    assert accounts == Counter(dict(asked[2]))
    assert answers.last_done() == {row[0]: _day(row[1]) for row in asked[3]}
    assert cold in answers.going_cold()
    assert answers.going_cold() == {row[0]: _day(row[2]) for row in asked[4]}
    assert answers.months() == [(_day(row[0]), row[1], row[2]) for row in asked[5]]
    assert answers.tasks_of_users() == {row[0]: (row[1], row[2]) for row in asked[6]}
    shared = {id_ for who, id_, _ in answers.worked if who in answers.contacts}
    several = Counter(id_ for _, id_, _ in answers.worked if id_ in shared)
    assert {id_: n for id_, n in several.items() if n > 1} == {row[0]: row[3] for row in asked[7]}
    assert (second, "no email") in {(row[0], row[2]) for row in asked[8]}
    assert {id_ for id_ in active if _unreachable(answers.contacts[id_])} == {
        row[0] for row in asked[8]
    }
    assert [(first, "deleted")] == [(row[0], row[2]) for row in asked[9]]
    assert unseen in {row[2] for row in asked[10]}
    assert {i for i, row in answers.relations.items() if row["TaskId"] not in held_tasks} == {
        row[0] for row in asked[10]
    }
    assert [] == asked[11]
    assert ["done", "done"] == [row[1] for row in asked[12]]
    assert {"sf_contacts", "sf_taskwhorelations", "sf_activities", "sf_users"} == {
        row[0] for row in asked[13]
    }
    newest = max(row["system_modstamp"] for row in synced.rows("sf_contacts").values())
    assert newest == {row[0]: row[1] for row in asked[13]}["sf_contacts"]


def _unreachable(contact: dict[str, Any]) -> bool:
    return bool(not contact["Email"] or contact["IsEmailBounced"] or contact["HasOptedOutOfEmail"])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a folder in which ``--demo`` was run: the first of the two commands."""
    folder = tmp_path_factory.mktemp("examples")
    assert 0 == process("--demo", "--json", cwd=folder).code
    return folder


@pytest.mark.deep
def test_two_commands_end_in_a_chart(demo: Path) -> None:
    """The second command prints the fullest accounts and draws a bar for each."""
    drawn = python(CHART, "--label", "practice_name__c", "--most", "12", cwd=demo)
    picture = ET.parse(demo / "active_contacts_by_account.svg").getroot()
    counts = [int(line.split()[0]) for line in drawn.out.splitlines()[:12]]

    assert (0, 6) == (drawn.code, counts[0])
    assert sorted(counts, reverse=True) == counts
    assert f"{SVG}svg" == picture.tag
    assert 12 <= len(picture.findall(f".//{SVG}path"))


@pytest.mark.deep
def test_dlts_commands_that_the_readme_lists(demo: Path) -> None:
    """Each tells of the run that was, in the folder of that run."""
    _, listed = blocks(README, "text")
    words = [re.split(r"  +", line)[0].split()[1:] for line in listed.splitlines()]
    told = {line[-1]: command(DLT, *line, cwd=demo) for line in words}

    assert {"info": 0, "trace": 0} == {name: ended.code for name, ended in told.items()}
    assert "contact with 1 table(s)" in told["info"].out
    assert "LOADED and contains no failed jobs" in told["trace"].out


def test_the_chart_of_nothing_says_what_to_do(tmp_path: Path) -> None:
    """Without a run before it, the second command names the first."""
    ended = python(CHART, cwd=tmp_path)

    assert 1 == ended.code
    assert "run targeted_contacts.py first" in ended.err
