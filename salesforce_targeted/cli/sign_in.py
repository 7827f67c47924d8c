"""Show how the script signs in, with which settings, and whether it works: ``--sign-in``.

Rule: names of settings, never a value; the user and the org are those that Salesforce names.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple

import dlt

from salesforce_targeted.api import endpoints, readers
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import RefreshTokenCredentials
from salesforce_targeted.api.credentials.base import ENVIRONMENT, SignInCredentials, cleaned
from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.cli import exit_codes
from salesforce_targeted.cli.screen import Screen
from salesforce_targeted.destination.table_names import SCHEMA_NAME


class SignInChoice(NamedTuple):
    """Name the method that is used, the settings of it, and those that are set in vain."""

    method: str
    settings: list[str]
    unused: list[str]

    @property
    def sentence(self) -> str:
        """Say it in a line."""
        unused = f"; set, but not used: {', '.join(self.unused)}" if self.unused else ""
        return f"{self.method}, with {', '.join(self.settings)}{unused}"


def choice(credentials: SignInCredentials) -> SignInChoice:
    """Find out how these credentials sign in.

    Raises:
        ConfigurationError: no method is complete.
    """
    resolved = credentials.resolved
    used = {name: cleaned(name, getattr(resolved, name)) for name in resolved.given}
    if "login_url" in used:
        used.pop("domain", None)  # the URL wins
    unused = []
    for setting, variable in ENVIRONMENT.items():
        if setting not in used and dlt.secrets.get(
            f"sources.{SCHEMA_NAME}.credentials.{setting}", str
        ):
            unused.append(setting)
        value = cleaned(setting, os.environ.get(variable, ""))
        if value and used.get(setting) != value:
            unused.append(variable)
    return SignInChoice(resolved.method, list(used), unused)


def run(credentials: Any, screen: Screen, api_version: str | None) -> int:
    """Sign in once and show whose session it is, nothing is loaded; return the exit code.

    The report of mode ``sign-in``: ``status`` ``done`` or ``failed``, the choice, and the user and
    the org or what stopped it.
    """
    client = SalesforceClient(credentials, attempts=2, api_version=api_version)
    facts: dict[str, Any] = {"status": "failed", "mode": "sign-in", "warnings": []}
    with closing(client), screen.busy("signing in"):
        if isinstance(credentials, SignInCredentials):
            facts |= choice(credentials)._asdict()
            if isinstance(credentials.resolved, RefreshTokenCredentials):
                _note_token_file(credentials.resolved, facts)
        begun = time.monotonic()
        try:
            facts |= {"org": client.instance_url, **user_info(client)}
            client.visible_limits()  # does the API answer this user? It says what is left, too
            facts |= {"org_remaining": client.meter.remaining, "status": "done"}
        except SalesforceError as error:
            facts |= {"error": error.what, "remedy": error.remedy}
        facts["seconds"] = round(time.monotonic() - begun, 3)
    screen.report(facts, sign_in_shown)
    return exit_codes.OF_STATUS[facts["status"]]


def user_info(client: SalesforceClient) -> dict[str, str | None]:
    """Ask for the session's ``user`` and ``org_id``, each None where Salesforce does not tell.

    Source: Salesforce Help, "UserInfo endpoint" (a session by SOAP login, or without the scope
    ``openid`` or ``id``, may be refused it).

    Raises:
        SalesforceError: the session is invalid.
    """
    try:
        answer = client.send(endpoints.user_info(), readers.json_object)
    except SalesforceError as error:  # only nice to know, and no page of the REST API's
        if error.status is None:  # nothing came, or nothing was sent
            raise
        client.visible_limits()  # shows whether the session is good
        return {"user": None, "org_id": None}
    user, org_id = answer.get("preferred_username"), answer.get("organization_id")
    return {"user": str(user) if user else None, "org_id": str(org_id) if org_id else None}


def _note_token_file(credentials: RefreshTokenCredentials, facts: dict[str, Any]) -> None:
    try:
        file = credentials.token_file()
    except SalesforceError:
        return  # the address is no address: signing in says so
    facts["refresh_token_file"] = str(file.path)
    if trouble := file.trouble():
        facts["warnings"].append(
            f"a rotated refresh token could not be kept in {file.path} ({trouble}): set"
            " refresh_token_file to a path that can be written"
        )


def sign_in_shown(facts: Mapping[str, Any]) -> Any:
    """Draw what is used, and whose session it is or what stopped it."""
    from rich.text import Text

    from salesforce_targeted.report.rich_text import notes, paragraphs

    settings = None
    if "method" in facts:
        used, unused = ", ".join(facts["settings"]), ", ".join(facts["unused"])
        settings = Text.assemble("signing in by ", (facts["method"], "bold"), f", with {used}")
        settings.append(f"\nset, but not used: {unused}" if unused else "")
    file = facts.get("refresh_token_file")
    if facts["status"] == "done":
        user = facts["user"] or "a user whom Salesforce does not name"
        org = f" (org {facts['org_id']})" if facts["org_id"] else ""
        left = facts["org_remaining"]
        outcome = Text.assemble(
            ("signed in", "green"),
            f" to {facts['org']}{org}\nas {user}, in {facts['seconds']:.2f} s",
            "" if left is None else f"; {left:,} API calls left (24 h)",
        )
    else:
        outcome = Text.assemble((f"{facts['error']}\n", "red"), f"-> {facts['remedy']}")
    return paragraphs(
        settings,
        Text(f"a rotated refresh token is kept in {file}") if file else None,
        notes(facts["warnings"]),
        outcome,
    )
