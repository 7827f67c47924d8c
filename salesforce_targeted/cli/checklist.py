"""``--test``: is everything in place? Each check says what it found, and the remedy.

A check passes (``ok``), fails, or notes what the user should know and may well be meant so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypedDict

import dlt
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from salesforce_targeted.api import endpoints, readers, soql
from salesforce_targeted.api.credentials import RefreshTokenCredentials
from salesforce_targeted.api.credentials.base import SignInCredentials
from salesforce_targeted.api.errors import (
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    QueryError,
    QuotaExceededError,
    SalesforceError,
)
from salesforce_targeted.arrow.columns import columns
from salesforce_targeted.cli import exit_codes, sign_in
from salesforce_targeted.cli.destination_checklist import Finding, Look, destination_checks
from salesforce_targeted.cli.permissions import (
    ACCESS_ACTIVITIES,
    API_ENABLED,
    READ_CONTACT,
    READ_FIELDS,
    VIEW_ALL_DATA,
    VIEW_ALL_USERS,
    VIEW_SETUP,
    Permission,
    PermissionFacts,
    permission_facts,
)
from salesforce_targeted.cli.screen import Screen, mark
from salesforce_targeted.destination.errors import (
    first_line,
    is_destination_error,
    message_and_remedy,
    original_error,
)
from salesforce_targeted.destination.org_identity import Org, org_of
from salesforce_targeted.extract.run import Run
from salesforce_targeted.ledger import CallFacts, call_facts
from salesforce_targeted.relations import queries
from salesforce_targeted.report.rich_text import api_calls, notes, paragraphs, table
from salesforce_targeted.target import SHARED_ACTIVITIES

# Object -> the permission that shows it.
OBJECTS = {"Contact": READ_CONTACT, "Task": ACCESS_ACTIVITIES, "User": VIEW_ALL_USERS}
_NAME_WIDTH = 17
_READ_OBJECT = (
    "Ask a Salesforce admin to let this user read {name} and its fields (profile or permission set,"
    " Object Settings)."
)
_ACCESS_ACTIVITIES = (
    "Ask a Salesforce admin for Access Activities (profile or permission set, System Permissions)."
)
_MEND_DESTINATION = "Check the destination's credentials, address and permissions."


_GRANTED = {True: "yes", False: "no", None: "not known"}


class CheckFacts(TypedDict):
    """One line of the checklist, as :class:`Check` has it."""

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
    checks: list[CheckFacts]
    permissions: list[PermissionFacts]
    calls: CallFacts
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checklist.

    Attributes:
        ok: False only where something must be mended.
        note: Nothing to mend, but worth knowing.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    seconds: float = 0.0
    note: bool = False

    @property
    def mark(self) -> str:
        """Name the outcome: ``ok``, ``note`` or ``fail``."""
        return "fail" if not self.ok else "note" if self.note else "ok"

    def facts(self) -> CheckFacts:
        """Return the line as the report has it."""
        return {
            "name": self.name,
            "ok": self.ok,
            "detail": self.detail,
            "remedy": self.remedy,
            "seconds": self.seconds,
            "note": self.note,
        }


class Checklist:
    """Hold what is to be checked, in order; what an earlier check found, a later one need not ask.

    Args:
        credentials: As the client has them; only a ``Way`` knows where its settings were found.
    """

    def __init__(self, run: Run, credentials: Any, pipeline: dlt.Pipeline) -> None:
        self.run = run
        self.credentials = credentials
        self.pipeline = pipeline
        self.org: Org | None = None
        self.granted: dict[Permission, bool] = {}
        self._answers = True
        self._served: list[str] = []
        self._limits: Mapping[str, Any] = {}

    def looks(self) -> Iterator[tuple[str, Look]]:
        """Name and check; one that needs a failed one is left out.

        The caller makes each check before it asks for the next.
        """
        if isinstance(self.credentials, SignInCredentials):
            yield "credentials", self._credentials
        yield "sign-in", self._sign_in
        if self.org is not None:
            yield "API version", self._version
        if self.org is not None and self._answers:
            yield "API enabled", self._api_enabled
        if self.org is not None and self._answers:
            for name, permission in OBJECTS.items():
                yield name, partial(self._object, name, permission)
                if name == "Contact" and self.run.settings.fields:
                    yield "fields", self._fields
            yield "TaskWhoRelation", self._junction
            yield "Shared Activities", self._shared_activities
            yield "View All Data", self._view_all_data
            yield "relations", self._relations
            yield "API calls left", self._calls_left
        yield from destination_checks(self.pipeline, self.org)

    def _credentials(self) -> str | Finding:
        resolved = self.credentials.resolved
        found = sign_in.choice(self.credentials).sentence
        trouble = ""
        if isinstance(resolved, RefreshTokenCredentials):
            trouble = resolved.token_file().trouble()
        if trouble:
            return Finding(
                f"{found}; {resolved.token_file().path} can't be written: {trouble}",
                "Set refresh_token_file to a path that can be written: a rotated token is lost.",
            )
        return found

    def _sign_in(self) -> str:
        url = self.run.client.instance_url
        try:
            user = sign_in.user_info(self.run.client)["user"]
        except PermissionDeniedError:
            user = None  # signed in, and the next check says what is not allowed
        self.org = org_of(self.run.client)
        return f"{url} as {user}" if user else url

    def _api_enabled(self) -> str:
        try:
            self._limits = self.run.client.visible_limits() or {}
        except PermissionDeniedError:
            self._answers = False  # nor will it answer what comes next
            self.granted[API_ENABLED] = False
            raise
        self.granted |= {API_ENABLED: True, VIEW_SETUP: bool(self._limits)}
        return "yes, REST calls are answered"

    def _version(self) -> str:
        self._served = self.run.client.versions()
        version = self.run.client.version
        if version not in self._served:
            self._answers = False
            raise ConfigurationError(
                f"the org does not serve API version {version}",
                remedy=f"Set api_version to one that it serves: {self._served[0]} to"
                f" {self._served[-1]}.",
            )
        return f"{version} (the org serves up to {self._served[-1]})"

    def _object(self, name: str, permission: Permission) -> str | Finding:
        self.granted[permission] = True
        try:
            visible = len(self.run.org.describe(name)["fields"])
        except (NotFoundError, PermissionDeniedError) as error:
            self.granted[permission] = False
            error.remedy = _READ_OBJECT.format(name=name)
            if name == "Task":
                error.remedy = _ACCESS_ACTIVITIES
            if name == self.run.target.object_name or self._nothing_relates(name):
                raise
            return Finding(f"{error.what} A sync goes on without its rows", error.remedy)
        newer = self._newer_fields() if name == self.run.target.object_name else []
        more = f"; {', '.join(newer)} with api_version = {self._served[-1]}" if newer else ""
        return f"{visible} fields visible{more}"

    def _nothing_relates(self, name: str) -> bool:
        """Tell whether without this object no record is known to be active."""
        org = self.run.org
        return name == "Task" and isinstance(org.describes["TaskWhoRelation"], SalesforceError)

    def _newer_fields(self) -> list[str]:
        """List the fields of the records that only the org's newest version shows."""
        client, name = self.run.client, self.run.target.object_name
        if client.version == self._served[-1]:
            return []
        try:
            newest = client.send(endpoints.describe(self._served[-1], name), readers.description)
        except SalesforceError:
            return []  # which ones there are is nice to know
        known = {field["name"] for field in self.run.org.describe(name)["fields"]}
        return [field["name"] for field in newest["fields"] if field["name"] not in known]

    def _fields(self) -> str:
        """Check the names in the setting ``fields``."""
        wanted = self.run.settings.fields or ()
        self.granted[READ_FIELDS] = False
        try:
            describe = self.run.org.describe(self.run.target.object_name)
            columns(describe, normalize=str, only=wanted)
        except ConfigurationError as error:
            error.remedy += (
                f" If it is there, ask a Salesforce admin for {READ_FIELDS.name} (Field-Level"
                " Security)."
            )
            raise
        self.granted[READ_FIELDS] = True
        return f"all {len(wanted)} can be read"

    def _junction(self) -> str | Finding:
        if self.run.org.junction is SHARED_ACTIVITIES:
            return f"{len(self.run.org.describe('TaskWhoRelation')['fields'])} fields visible"
        return Finding(
            "not visible: each task's own WhoId is read instead",
            "Where a task has several contacts only the first is found. Ask an admin whether Shared"
            " Activities is on and this user may read tasks.",
        )

    def _shared_activities(self) -> str | Finding:
        if self.run.org.junction is SHARED_ACTIVITIES:
            return "on: a task has up to 50 contacts"
        return Finding("off, or hidden from this user: a task has one contact")

    def _view_all_data(self) -> str | Finding:
        """Check whether the user sees what others own.

        Source: Object Reference, "UserPermissionAccess" (the permissions of the current user).
        """
        field = "PermissionsViewAllData"
        try:
            rows = self.run.client.records(soql.select([field], "UserPermissionAccess"))
        except (NotFoundError, PermissionDeniedError, QueryError) as error:
            return Finding(
                f"not known: the org does not tell this user ({error.error_code or error.what})",
                "What sharing keeps from this user is not synced: ask an admin, or compare --count"
                " with a report in Salesforce.",
            )
        self.granted[VIEW_ALL_DATA] = bool(rows and rows[0].get(field))
        if self.granted[VIEW_ALL_DATA]:
            return "yes: sharing hides no task and no contact"
        return Finding(
            "no: sharing decides which tasks and contacts are seen",
            "What this user may not see is not synced. If that is not meant, ask an admin for View"
            " All Data, or for View All on Contact and Task.",
        )

    def _relations(self) -> str:
        return f"{queries.count(self.run.client, self.run.org.junction):,} visible"

    def _calls_left(self) -> str | Finding:
        of_day = self._limits.get("DailyApiRequests") or {}
        left, most = self.run.client.meter.remaining, of_day.get("Max")
        if left is None:
            return Finding("the org does not say")
        left_of_day = f"{left:,}" + (f" of {most:,} in 24 hours" if isinstance(most, int) else "")
        if left <= self.run.client.meter.reserve_calls:
            raise QuotaExceededError(
                f"{left_of_day}, and {self.run.client.meter.reserve_calls:,} are kept for others"
                " (daily_call_reserve)"
            )
        return left_of_day


def run(run: Run, credentials: Any, pipeline: dlt.Pipeline, screen: Screen) -> int:
    """Run the checklist and show it; return the exit code."""
    facts = checks(run, credentials, pipeline, None if screen.json else screen)
    screen.report(facts, verdict)
    return exit_codes.DONE if facts["status"] == "done" else exit_codes.FAILED


def checks(
    run: Run, credentials: Any, pipeline: dlt.Pipeline, screen: Screen | None = None
) -> ChecklistFacts:
    """Make every check.

    Args:
        screen: Where each line is shown as soon as it is known; None for nowhere.

    Returns:
        The report of mode ``test``: ``status`` ``done`` or ``failed``, and ``checks``.
    """
    found: list[Check] = []
    checklist = Checklist(run, credentials, pipeline)
    for name, look in checklist.looks():
        if screen is None:
            found.append(checked(name, look))
            continue
        with screen.busy(name):
            found.append(checked(name, look))
        screen.show(line(found[-1], screen.out))
    return {
        "status": "done" if all(check.ok for check in found) else "failed",
        "mode": "test",
        "checks": [check.facts() for check in found],
        "permissions": permission_facts(checklist.granted),
        "calls": call_facts(run.client.meter),
        "warnings": list(run.ledger.warnings),
    }


def line(check: Check, on: Console) -> Table:
    """Draw a check as a line, and below it the remedy where there is one."""
    sign, style = mark(check.mark, on)
    made = Table.grid(padding=(0, 1), pad_edge=False)
    made.add_column(no_wrap=True)
    made.add_column(no_wrap=True, width=_NAME_WIDTH)
    made.add_column(no_wrap=True, justify="right", width=7)
    made.add_column(overflow="fold")
    seconds = Text(f"{check.seconds:.2f} s", "dim")
    made.add_row(Text(sign, style), check.name, seconds, Text(check.detail))
    if check.remedy and check.mark != "ok":
        made.add_row("", "", "", Text.assemble(("-> ", style), check.remedy))
    return made


def verdict(facts: ChecklistFacts) -> Group:
    """Draw the permissions, and the last line: what to mend, or that all is in place."""
    failed = [check["name"] for check in facts["checks"] if not check["ok"]]
    noted = sum(1 for check in facts["checks"] if check["note"])
    calls = api_calls(facts["calls"]["total"])
    if failed:
        last = Text.assemble(("to mend: ", "red"), f"{', '.join(failed)} ({calls})")
    else:
        words = "all in place" + (f", {noted} to note" if noted else "")
        last = Text.assemble((words, "green"), f" ({calls})")
    rows = [
        (one["name"], "yes" if one["needed"] else "", _GRANTED[one["granted"]], one["without"])
        for one in facts["permissions"]
    ]
    permissions = table(("permission", "needed", "granted", "without it"), rows, texts=4)
    return Group(Text(""), paragraphs(permissions, notes(facts["warnings"]), last))


def checked(name: str, look: Look) -> Check:
    """Make one check; whatever goes wrong in it is a line of the checklist, never its end."""
    begun = time.monotonic()
    detail, remedy, ok, note = "", "", True, False
    try:
        found = look()
        note = isinstance(found, Finding)
        detail, remedy = (found.detail, found.remedy) if isinstance(found, Finding) else (found, "")
    except SalesforceError as error:
        detail, remedy, ok = error.what, error.remedy, False
    except Exception as raised:  # noqa: BLE001  # whatever a database's driver raises
        inner = original_error(raised)
        detail, remedy = f"{type(inner).__name__}: {first_line(inner)}", _MEND_DESTINATION
        if is_destination_error(inner):
            detail, remedy = message_and_remedy(inner)
        ok = False
    return Check(name, ok, detail, remedy, round(time.monotonic() - begun, 3), note)
