"""The script's options, on a small org: what each does, prints, keeps, and exits with."""

from __future__ import annotations

import json
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.settings import Api
from tests.support.script import DUCKDB_FILE, Script, ids, process, rows, session_of

YESTERDAY = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
DESIGNED = {  # design section 8: part of the report -> its keys
    "calls": {"total", "by_kind", "org_remaining"},
    "plan": {"api", "price"},
    "relations": {"read", "new", "updated", "removed", "held"},
    "contacts": {
        "discovered", "asked", "retrieved", "new", "updated", "unchanged", "gone", "rejected",
        "held",
    },
    "closure": {"tasks_missing", "contacts_missing", "relations_explained_pct"},
    "statistics": {"total", "with_email"},
}  # fmt: skip


def test_no_option_syncs_with_what_the_environment_says(
    org: DemoOrg, script: Script, tmp_path: Path
) -> None:
    """SALESFORCE_INSTANCE_URL and SALESFORCE_ACCESS_TOKEN are all it needs; the report is text."""
    ended = script()

    assert 0 == ended.code
    assert ended.out.startswith("done in ")
    assert "12 asked = 12 retrieved + 0 gone + 0 rejected" in ended.out
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts")
    assert len(org.rows("TaskWhoRelation")) == len(ids(tmp_path, "sf_taskwhorelations"))


def test_json_is_one_object_and_everything_else_is_on_stderr(org: DemoOrg, script: Script) -> None:
    """--json prints the report of the design; the log lines go to stderr and to the log file."""
    ended = script("--json")
    facts = ended.facts

    assert ("done", "incremental") == (facts["status"], facts["mode"])
    assert {} == {
        part: keys - facts[part].keys() for part, keys in DESIGNED.items() if keys - {*facts[part]}
    }
    assert {"seconds", "warnings", "rejected"} <= facts.keys()
    assert org.billed == facts["calls"]["total"] == sum(facts["calls"]["by_kind"].values())
    assert "Contact: 12 of 12" in ended.err
    assert "Contact: 12 of 12" in Path("targeted_contact_sync.log").read_text()


def test_every_run_leaves_a_report_for_its_owner_alone(script: Script) -> None:
    """The report is kept as Markdown and as JSON, mode 0600, in the folder that was named."""
    facts = script("--json", "--report-dir", "kept/here").facts
    files = sorted(Path("kept/here").iterdir())
    modes = {stat.S_IMODE(file.stat().st_mode) for file in files}

    assert [".json", ".md"] == [file.suffix for file in files]
    assert {0o600} == modes
    assert facts == json.loads(files[0].read_text())
    assert "12 asked = 12 retrieved + 0 gone + 0 rejected" in files[1].read_text()
    assert facts["started_at"][:10].replace("-", "") == files[0].name.split("_")[2]


@pytest.mark.deep
def test_records_are_logged_only_when_asked_for(org: DemoOrg, script: Script) -> None:
    """--log-records writes every loaded record as a JSON line, mode 0600; by default none is."""
    script("--limit", "1")
    quiet = list(Path("sync_results").glob("*.jsonl"))
    script("--full", "--log-records")
    (file,) = Path("sync_results").glob("*.jsonl")
    lines = [json.loads(line) for line in file.read_text().rstrip("\n").split("\n")]
    contacts = {line["id"] for line in lines if line["table"] == "sf_contacts"}

    assert [] == quiet
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert 11 <= len(contacts & set(org.active_ids()))


@pytest.mark.brief(1)
@pytest.mark.parametrize("look", ["--test", "--count", "--plan"])
def test_a_look_loads_nothing(org: DemoOrg, script: Script, tmp_path: Path, look: str) -> None:
    """--test, --count and --plan ask the org and leave destination, cursor and reports alone."""
    ended = script(look, "--json")
    look_again = script(look)

    assert (0, 0) == (ended.code, look_again.code)
    assert ("done", look[2:]) == (ended.facts["status"], ended.facts["mode"])
    assert [] == rows(tmp_path, "sf_contacts")
    assert not Path("sync_results").exists()
    assert 30 == script("--json").facts["relations"]["new"]


def test_test_says_what_is_in_place(script: Script) -> None:
    """--test goes through sign-in, objects, relations, destination and dataset, one line each."""
    facts = script("--test", "--json").facts
    checked = {check["name"]: check for check in facts["checks"]}

    assert {"sign-in", "Contact", "Task", "User", "relations", "destination", "dataset"} <= {
        *checked
    }
    assert all(check["ok"] for check in checked.values())
    assert "30 visible" in checked["relations"]["detail"]


def test_test_names_the_remedy_for_an_object_that_is_hidden(org: DemoOrg, script: Script) -> None:
    """A describe that fails is a failed line with a remedy, and the exit code is 1."""
    org.faults.add(Fault("composite", "daily_403", times=9))
    ended = script("--test")

    assert 1 == ended.code
    assert "FAIL Contact" in ended.out
    assert "-> Run again later" in ended.out
    assert "ok   destination" in ended.out


def test_count_gives_the_orgs_activity(org: DemoOrg, script: Script) -> None:
    """--count counts relations by whom they point at, active contacts and their share."""
    facts = script("--count", "--json").facts
    to = [row["RelationId"] for row in org.rows("TaskWhoRelation").values()]

    assert len(to) == facts["relations"]
    assert sum(1 for who in to if who and who.startswith("003")) == facts["relations_to_contacts"]
    assert sum(1 for who in to if who and who.startswith("00Q")) == facts["relations_to_leads"]
    assert to.count(None) == facts["relations_to_nobody"]
    assert len(org.active_ids()) == facts["active_contacts"]
    assert (40, 30.0) == (facts["contacts_in_org"], facts["active_share_pct"])
    assert org.billed == facts["calls"]["total"]


def test_plan_prints_each_way_and_its_price(script: Script) -> None:
    """--plan shows the chosen API and the rejected ones with what they would cost."""
    script()
    facts = script("--plan", "--json").facts
    text = script("--plan").out

    assert {api.value for api in Api} == set(facts["tables"]["Contact"]["price"])
    assert 12 == facts["tables"]["Contact"]["ids"]
    assert facts["cursor"] is None  # all relations fit one page, and are read whole
    assert "-> collections" in text
    assert re.search(r"^in all +\d+$", text, re.MULTILINE)


@pytest.mark.deep
@pytest.mark.parametrize("spelling", [["--full"], ["--mode", "full"]])
def test_full_reads_everything_anew(org: DemoOrg, script: Script, spelling: list[str]) -> None:
    """--full, or the seed's --mode full, reads all relations again and changes no true row."""
    script()
    facts = script("--json", *spelling).facts

    assert "full" == facts["mode"]
    assert len(org.rows("TaskWhoRelation")) == facts["relations"]["read"]
    assert (0, 0) == (facts["contacts"]["new"], facts["contacts"]["updated"])


@pytest.mark.brief(1)
@pytest.mark.parametrize(
    "spelling",
    [
        ["--incremental", "2"],
        ["--mode", "recent", "--days", "2"],
        ["--since", YESTERDAY],
        ["--mode", "custom", "--start-date", YESTERDAY],
    ],
    ids=["incremental", "recent", "since", "custom"],
)
def test_a_span_takes_what_was_modified_in_it(
    org: DemoOrg, script: Script, tmp_path: Path, spelling: list[str]
) -> None:
    """Relations and contacts modified in the span come; the stored cursor stays where it is."""
    script()
    earlier = org.add_contact(LastName="Earlier")
    org.log_task([earlier])
    org.now = datetime.now(UTC)
    edited, fresh = org.active_ids()[0], org.add_contact(LastName="Fresh")
    org.edit("Contact", edited, LastName="Edited")
    org.set_silently("Contact", org.active_ids()[1], LastName="Unstamped")
    org.log_task([fresh])
    facts = script("--json", *spelling).facts
    names = {row["id"]: row["last_name"] for row in rows(tmp_path, "sf_contacts")}
    next_run = script("--json").facts

    assert ("since", 1) == (facts["mode"], facts["relations"]["new"])
    assert (2, 1, 1) == tuple(facts["contacts"][key] for key in ("asked", "new", "updated"))
    assert ("Edited", "Fresh") == (names[edited], names[fresh])
    assert (False, 1) == (earlier in names, next_run["contacts"]["new"])


def test_a_limit_is_a_trial_that_loses_nothing(
    org: DemoOrg, script: Script, tmp_path: Path
) -> None:
    """--limit loads the oldest relations only; the next run without it completes the set."""
    org.bump_stamps("TaskWhoRelation", sorted(org.rows("TaskWhoRelation"))[:3])
    shown = org.rows("TaskWhoRelation")
    oldest = sorted(shown, key=lambda id_: (shown[id_]["SystemModstamp"], id_))[:5]
    trial = script("--json", "--limit", "5").facts
    tried = ids(tmp_path, "sf_taskwhorelations")
    rest = script("--json").facts

    assert ("limit", 5) == (trial["mode"], trial["relations"]["read"])
    assert set(oldest) == tried
    assert "done" == rest["status"]
    assert set(org.rows("TaskWhoRelation")) == ids(tmp_path, "sf_taskwhorelations")
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts")


def test_only_takes_some_of_the_resources(org: DemoOrg, script: Script, tmp_path: Path) -> None:
    """--only contact fills the contacts and leaves relations, tasks and users alone."""
    ended = script("--json", "--only", "contact")

    assert 0 == ended.code
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts")
    assert ("collections", 0) == (ended.facts["plan"]["api"], ended.facts["relations"]["read"])
    assert [set()] * 3 == [
        ids(tmp_path, table) for table in ("sf_taskwhorelations", "sf_activities", "sf_users")
    ]


@pytest.mark.deep
@pytest.mark.parametrize("only", ["contact", "task_who_relation"])
def test_only_does_not_judge_what_it_left_out(script: Script, only: str) -> None:
    """A part of the resources says nothing of the closure of the others: no warning."""
    facts = script("--json", "--only", only).facts
    script()
    later = script("--json", "--only", only).facts

    assert ([], []) == (facts["warnings"], later["warnings"])
    assert 100.0 == later["closure"]["relations_explained_pct"]


@pytest.mark.deep
def test_what_only_left_out_comes_with_the_next_run(
    org: DemoOrg, script: Script, tmp_path: Path
) -> None:
    """Relations read with --only do not keep later runs from their contacts and tasks."""
    script("--only", "task_who_relation , user")
    held = ids(tmp_path, "sf_contacts")
    script()
    named = {row["task_id"] for row in rows(tmp_path, "sf_taskwhorelations")}
    shown = org.rows("Task", all_rows=True, ids=named)

    assert set() == held
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts")
    assert {id_ for id_, row in shown.items() if not row["IsDeleted"]} == ids(
        tmp_path, "sf_activities"
    )


@pytest.mark.deep
@pytest.mark.parametrize(
    ("api", "kind"), [("collections", "composite"), ("query", "query"), ("bulk", "bulk_results")]
)
def test_api_forces_one_way_of_retrieval(script: Script, api: str, kind: str) -> None:
    """--api takes that way, whatever another costs, and a later run finds the same rows."""
    forced = script("--json", "--api", api).facts
    repeat = script("--json").facts

    assert api == forced["plan"]["api"]
    assert forced["calls"]["by_kind"][kind] >= 1
    assert (api == "bulk") == ("bulk_results" in forced["calls"]["by_kind"])
    assert (12, 0, 12) == tuple(
        facts["contacts"][key]
        for facts, key in ((forced, "new"), (repeat, "updated"), (repeat, "unchanged"))
    )


@pytest.mark.deep
def test_a_set_that_shrinks_suddenly_stops_the_run(
    org: DemoOrg, script: Script, tmp_path: Path
) -> None:
    """No relation is shown any more: no contact is marked as left until --allow-shrink says so."""
    script()
    for relation in list(org.rows("TaskWhoRelation")):
        org.remove_relation(relation)
    stopped = script("--json")
    marked = [row for row in rows(tmp_path, "sf_active_contacts") if not row["is_active"]]
    allowed = script("--json", "--allow-shrink")

    assert (1, "failed") == (stopped.code, stopped.facts["status"])
    assert "--allow-shrink" in stopped.facts["error"]
    assert [] == marked
    assert (0, 0) == (allowed.code, allowed.facts["relations"]["held"])
    assert 12 == len([r for r in rows(tmp_path, "sf_active_contacts") if not r["is_active"]])
    assert 12 == len(ids(tmp_path, "sf_contacts"))


@pytest.mark.deep
def test_it_goes_where_it_is_told(org: DemoOrg, script: Script, tmp_path: Path) -> None:
    """--destination, --dataset and --pipelines-dir are obeyed."""
    ended = script("--destination", "duckdb", "--dataset", "crm", "--pipelines-dir", "working")

    assert 0 == ended.code
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts", dataset="crm")
    assert [] == rows(tmp_path, "sf_contacts")
    assert Path("working/targeted_contacts").is_dir()


@pytest.mark.postgres
def test_postgresql_is_taken_when_it_is_configured(
    org: DemoOrg,
    script: Script,
    postgres: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DESTINATION__POSTGRES__CREDENTIALS sends the data there; no DuckDB file appears."""
    import psycopg2

    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres)
    checked = script("--test").out
    ended = script()
    with psycopg2.connect(postgres) as held, held.cursor() as cursor:
        cursor.execute("SELECT id FROM salesforce.sf_contacts")
        contact_ids = [row[0] for row in cursor.fetchall()]
    held.close()

    assert "postgres: PostgreSQL" in checked
    assert 0 == ended.code
    assert org.active_ids() == sorted(contact_ids)
    assert not Path(DUCKDB_FILE).exists()


@pytest.mark.deep
@pytest.mark.parametrize("wordy", ["-v", "--debug"])
def test_more_logging_never_shows_a_secret_or_a_value(
    server: DemoServer, tmp_path: Path, wordy: str
) -> None:
    """-v and --debug say more, and neither the token nor anybody's email is among it."""
    ended = process(wordy, cwd=tmp_path, environ=session_of(server))
    output = ended.out + ended.err + (tmp_path / "targeted_contact_sync.log").read_text()
    emails = {row["email"] for row in rows(tmp_path, "sf_contacts") if row["email"]}

    assert 0 == ended.code
    assert "|[INFO]|" in ended.err
    assert ("HTTP 200" in output) == (wordy == "--debug")
    assert server.token not in output
    assert server.token.partition("!")[2] not in output
    assert [] == [email for email in emails if email in output]


@pytest.mark.deep
def test_spent_calls_stop_the_run_at_a_safe_point(
    org: DemoOrg, script: Script, tmp_path: Path
) -> None:
    """The org's day is spent in mid-run: exit 3, status partial, and the next run completes."""
    org.faults.add(Fault("*", "daily_403", nth=2, times=99))
    stopped = script("--json")
    report = max(Path("sync_results").glob("*.md")).read_text()
    org.faults.clear()
    after = script("--json")

    assert (3, "partial") == (stopped.code, stopped.facts["status"])
    assert "Run again later" in stopped.facts["error"]
    assert "partial" in report
    assert (0, "done") == (after.code, after.facts["status"])
    assert set(org.active_ids()) == ids(tmp_path, "sf_contacts")
    assert set(org.rows("TaskWhoRelation")) == ids(tmp_path, "sf_taskwhorelations")
