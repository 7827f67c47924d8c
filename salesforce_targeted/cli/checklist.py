"""``--test``: is everything in place? Each check says what it found, and the remedy.

A check passes (``ok``), fails, or notes what the user should know and may well be meant so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Literal, TypedDict

import dlt
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.cli import exit_codes
from salesforce_targeted.cli.destination_checklist import Finding, Look, destination_checks
from salesforce_targeted.cli.org_checklist import OrgChecklist
from salesforce_targeted.cli.permissions import PermissionFacts, permission_facts
from salesforce_targeted.cli.screen import Screen, mark
from salesforce_targeted.destination.errors import (
    first_line,
    is_destination_error,
    message_and_remedy,
    original_error,
)
from salesforce_targeted.extract.run import Run
from salesforce_targeted.report.rich_text import notes, paragraphs, plural, table
from salesforce_targeted.run_facts import CallFacts, call_facts

_NAME_WIDTH = 17
_FIX_DESTINATION = "Check the destination's credentials, address and permissions."
_GRANTED = {True: "yes", False: "no", None: "not known"}


class Check(TypedDict):
    """Report one line of the checklist.

    ``ok`` is False only where something must be fixed; ``note`` where it is worth knowing.
    """

    name: str
    ok: bool
    detail: str
    remedy: str
    seconds: float
    note: bool


class ChecklistFacts(TypedDict):
    """Report the mode ``test``."""

    status: Literal["done", "failed"]
    mode: Literal["test"]
    checks: list[Check]
    permissions: list[PermissionFacts]
    calls: CallFacts
    warnings: list[str]


def run(run: Run, credentials: Any, pipeline: dlt.Pipeline, screen: Screen) -> int:
    """Make every check, show each as it is known, then the verdict; return the exit code."""
    checks: list[Check] = []
    checklist = OrgChecklist(run, credentials)
    for name, look in _looks(checklist, pipeline):
        with screen.busy(name):
            checks.append(_checked(name, look))
        if not screen.json:
            screen.show(_line(checks[-1], screen.out))
    facts: ChecklistFacts = {
        "status": "done" if all(check["ok"] for check in checks) else "failed",
        "mode": "test",
        "checks": checks,
        "permissions": permission_facts(checklist.granted),
        "calls": call_facts(run.client.meter),
        "warnings": list(run.ledger.warnings),
    }
    screen.report(facts, _verdict)
    return exit_codes.OF_STATUS[facts["status"]]


def _looks(checklist: OrgChecklist, pipeline: dlt.Pipeline) -> Iterator[tuple[str, Look]]:
    yield from checklist.looks()
    # Which org it is, if any, is known by now.
    yield from destination_checks(pipeline, checklist.org)


def _line(check: Check, on: Console) -> Table:
    """Draw a check as a line, and below it the remedy where there is one."""
    kind = "fail" if not check["ok"] else "note" if check["note"] else "ok"
    sign, style = mark(kind, on)
    grid = Table.grid(padding=(0, 1), pad_edge=False)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, width=_NAME_WIDTH)
    grid.add_column(no_wrap=True, justify="right", width=7)
    grid.add_column(overflow="fold")
    seconds = Text(f"{check['seconds']:.2f} s", "dim")
    grid.add_row(Text(sign, style), check["name"], seconds, Text(check["detail"]))
    if check["remedy"] and kind != "ok":
        grid.add_row("", "", "", Text.assemble(("-> ", style), check["remedy"]))
    return grid


def _verdict(facts: ChecklistFacts) -> Group:
    """Draw the permissions, and the last line: what to fix, or that all is in place."""
    failed = [check["name"] for check in facts["checks"] if not check["ok"]]
    noted = sum(check["note"] for check in facts["checks"])
    calls = f" ({plural(facts['calls']['total'], 'API call')})"
    if failed:
        last = Text.assemble(("to fix: ", "red"), ", ".join(failed), calls)
    else:
        words = "all in place" + (f", {noted} to note" if noted else "")
        last = Text.assemble((words, "green"), calls)
    rows = [
        (fact["name"], "yes" if fact["needed"] else "", _GRANTED[fact["granted"]], fact["without"])
        for fact in facts["permissions"]
    ]
    permissions = table(("permission", "needed", "granted", "without it"), rows, texts=4)
    return Group(Text(""), paragraphs(permissions, notes(facts["warnings"]), last))


def _checked(name: str, look: Look) -> Check:
    """Make one check; whatever goes wrong in it is a line of the checklist, never its end."""
    begun = time.monotonic()
    ok = note = False
    try:
        finding = look()
        ok, note = True, isinstance(finding, Finding)
        detail, remedy = finding if isinstance(finding, Finding) else (finding, "")
    except Exception as raised:  # noqa: BLE001  # whatever a database's driver raises
        inner = original_error(raised)
        detail, remedy = f"{type(inner).__name__}: {first_line(inner)}", _FIX_DESTINATION
        if isinstance(inner, SalesforceError):
            detail, remedy = inner.what, inner.remedy
        elif is_destination_error(inner):
            detail, remedy = message_and_remedy(inner)
    return Check(
        name=name, ok=ok, detail=detail, remedy=remedy,
        seconds=round(time.monotonic() - begun, 3), note=note,
    )  # fmt: skip
