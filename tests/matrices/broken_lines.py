"""The negative control: for each invariant a line that keeps it is broken, and a test must fail.

    python -m tests.matrices broken_lines

Each change is made in a copy of the checkout, in which the test that is named with it then runs. A
change after which that test still passes breaks the promise that the test keeps the invariant.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.matrices.table import Findings, Table

ROOT = Path(__file__).parents[2]
TRUE_ORG = "tests/extract/test_source.py"
MOVING = "tests/extract/test_moving_org.py::test_"


@dataclass(frozen=True)
class BrokenLine:
    """One change of the library, and what must notice it.

    Attributes:
        invariant: Its number and name.
        path: Below ``salesforce_targeted``.
        line: Stands there once.
        instead: What takes its place.
        test: A test or a file of tests that must fail then.
    """

    invariant: str
    path: str
    line: str
    instead: str
    test: str


LINES = [
    BrokenLine(
        "1 complete", "extract/stages.py",
        "union(run.relations.contacts.ids, active(run, each))", "run.relations.contacts.ids",
        "tests/extract/test_counting.py",
    ),
    BrokenLine(
        "2 true", "destination/comparison.py",
        "[known.get(id_) == hash_ for", "[id_ in known for",
        "tests/histories/test_value_histories.py",
    ),
    BrokenLine(
        "3 conserved", "retrieval/retrieve.py",
        "    absent = minus(ids, union(shown.ids, rejected.ids))\n", "    absent = ids[:0]\n",
        "tests/histories/test_contact_histories.py",
    ),
    BrokenLine(
        "4 closed", "extract/stages.py",
        "return union(run.relations.tasks.ids, id_selection.tasks_of_held(run))",
        "return id_selection.tasks_of_held(run)",
        TRUE_ORG,
    ),
    BrokenLine(
        "5 invisible transport", "arrow/from_csv.py",
        'null_values=[""]', 'null_values=["", "null"]',
        "tests/arrow tests/retrieval/test_retrieve.py",
    ),
    BrokenLine(
        "6 read-only", "api/authorized_session.py",
        "        if reason := refusal(request):\n", "        if reason := refusal(request) and None:\n",
        "tests/api/security/test_writes_refused.py",
    ),
    BrokenLine(
        "7 resumable", "sync/pending_packages.py",
        "    if _was_killed_while_loading(pipeline):\n", "    if False:\n",
        "tests/sync/test_kill.py",
    ),
    BrokenLine(
        "8 idempotent", "destination/comparison.py",
        "known.get(id_) == hash_ for", "known.get(id_) != hash_ for",
        TRUE_ORG,
    ),
    BrokenLine(
        "9 local columns survive", "extract/resources.py",
        '{"disposition": "merge", "strategy": "upsert"}', '"merge"',
        "tests/destination",
    ),
    BrokenLine(
        "10 moving org: cursors", "extract/record_table.py",
        "text = min(self.findings.newest, limit)", "text = self.findings.newest",
        MOVING + "what_is_edited_while_a_run_reads_arrives_with_the_next_one",
    ),
    BrokenLine(
        "10 moving org: removed only if not shown by id", "extract/removed_relations.py",
        "    if len(still_there):\n", "    if False:\n",
        MOVING + "a_relation_that_is_back_when_it_is_asked_for_is_not_marked_as_removed",
    ),
    BrokenLine(
        "11 small allowances arrive", "extract/record_table.py",
        '    return ids[span(ids, "", self.reached(part))[1] :]\n', "    return ids\n",
        MOVING + "a_pass_of_few_calls_goes_on_where_the_last_one_ended",
    ),
    BrokenLine(
        "12 once in a load", "arrow/deduplication.py",
        "        rows = batch if pc.all(new, min_count=0).as_py() else batch.filter(new)\n",
        "        rows = batch\n",
        "tests/arrow/test_deduplication.py",
    ),
    BrokenLine(
        "13 a dataset remembers its org", "extract/org_changes.py",
        "    if hidden:\n", "    if False:\n",
        MOVING + "a_junction_that_is_hidden_for_one_run_stops_it_before_anything_is_written",
    ),
]  # fmt: skip


def findings(every: int, tell: Callable[[str], None]) -> Findings:
    """Break each line and run its test; a row for each."""
    table = Table("A line of each invariant broken", ("file", "what failed first"), "invariant")
    broken = []
    for number, case in enumerate(LINES[::every], start=1):
        tell(f"{number} of {len(LINES[::every])}: {case.invariant}")
        failed = _fails(case)
        table.put(case.invariant, "file", case.path)
        table.put(case.invariant, "what failed first", failed or "nothing")
        if not failed:
            broken.append(f"{case.invariant}: {case.test} passes without {case.line.strip()!r}")
    totals = f"{len(LINES[::every])} lines broken, {len(broken)} of them unnoticed"
    return Findings("broken_lines", [table], "the test that failed first", totals, broken)


def _fails(case: BrokenLine) -> str:
    """Return the first test that fails with the line broken; empty if none does."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        shutil.copytree(
            ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache")
        )
        source = copy / "salesforce_targeted" / case.path
        source.write_text(source.read_text("utf-8").replace(case.line, case.instead, 1), "utf-8")
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-n", "2", "-m", "deep or not deep", "--tb=no",
             "-p", "no:randomly", "-p", "no:cacheprovider", *case.test.split()],
            cwd=copy, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(copy)},
        )  # fmt: skip
    failed = [line for line in ran.stdout.splitlines() if line.startswith("FAILED")]
    return failed[0].removeprefix("FAILED ").split(" - ")[0] if failed else ""
