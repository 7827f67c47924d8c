"""``--sign-in``: which way is taken and why, where each setting was found, and whether it works.

Rule: names and places, never a value; whose session it is, is Salesforce's answer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dlt
from dlt.common.configuration.utils import get_resolved_traces

from salesforce_targeted.api import endpoints, readers
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import RefreshTokenCredentials
from salesforce_targeted.api.credentials.base import (
    ENVIRONMENT,
    THE_ENVIRONMENT,
    Found,
    SignInCredentials,
    said,
)
from salesforce_targeted.api.credentials.resolution import AnyCredentials
from salesforce_targeted.api.errors import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    SalesforceError,
    TruncatedAnswerError,
)
from salesforce_targeted.destination.held_tables import SCHEMA_NAME
from salesforce_targeted.sync.configuration import THE_COMMAND_LINE

# Of two that say the same, the first is obeyed.
_OVERRULED = {"domain": "login_url", "private_key_file": "private_key"}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which way to sign in is taken.

    Attributes:
        way: What it is called.
        because: Why it and no other.
        used: Setting -> where it was found.
        unused: What is set and has no part in it, and why.
    """

    way: str
    because: str
    used: Mapping[str, Found]
    unused: list[tuple[Found, str]] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """The choice in a line."""
        idle = ", ".join(found.name for found, _ in self.unused)
        return (
            self.way
            + (f", from {said(self.used)}" if self.used else "")
            + (f"; set, but not used: {idle}" if idle else "")
        )


def choice(credentials: SignInCredentials) -> Choice:
    """The way that these credentials take.

    Raises:
        ConfigurationError: none is complete.
    """
    way, origins = credentials.taken, dict(credentials.taken.origins)
    unused = []
    for setting, by in _OVERRULED.items():
        if setting in origins and by in origins and setting != "private_key_file":
            unused.append((origins.pop(setting), f"{origins[by].name} says it already"))
    used = dict(origins)
    for setting, variable in ENVIRONMENT.items():
        in_dlt = _in_dlt(setting) if setting not in used else None
        if in_dlt is not None and in_dlt not in [found for found, _ in unused]:
            unused.append((in_dlt, _why_not(setting, way, used)))
        of_environment = Found(variable, THE_ENVIRONMENT)
        if os.environ.get(variable) and used.get(setting) != of_environment:
            unused.append((of_environment, _why_not(setting, way, used)))
    return Choice(way.way, _because(credentials, used), used, unused)


def _because(credentials: SignInCredentials, used: Mapping[str, Found]) -> str:
    places = {found.place for found in used.values()}
    if not places:
        return "the program gave it"
    if THE_COMMAND_LINE in places:
        return "the command line asks for it"
    if isinstance(credentials, AnyCredentials):
        return "it uses most of what is set"
    return "it is complete in dlt's configuration, which wins over SALESFORCE_* variables"


def _why_not(setting: str, way: SignInCredentials, used: Mapping[str, Found]) -> str:
    same = {**_OVERRULED, **{by: of for of, by in _OVERRULED.items()}}
    if setting in used:
        return f"{used[setting].name} of {used[setting].place} wins"
    if same.get(setting) in used:
        return f"{used[same[setting]].name} says it already"
    return f"{way.way} has no use for it"


def _in_dlt(setting: str) -> Found | None:
    """Where dlt's configuration has a setting of ours, if it has."""
    traces = get_resolved_traces()
    known = len(traces.resolved_traces)
    if not dlt.secrets.get(f"sources.{SCHEMA_NAME}.credentials.{setting}"):
        return None
    found = traces.resolved_traces[known:]
    place = found[-1].provider_location or found[-1].provider_name if found else "dlt"
    return Found(setting, THE_ENVIRONMENT if place.startswith("Environment") else place)


def sign_in(client: SalesforceClient, credentials: Any) -> dict[str, Any]:
    """Sign in once and ask whose session it is; nothing is loaded.

    Returns:
        The report of mode ``sign-in``: ``status`` ``done`` or ``failed``, the choice, and whose
        session it is or what stopped it.
    """
    facts: dict[str, Any] = {"status": "failed", "mode": "sign-in", "warnings": []}
    if isinstance(credentials, SignInCredentials):
        found = choice(credentials)
        facts |= {
            "way": found.way,
            "because": found.because,
            "settings": [
                {"setting": setting, "name": one.name, "place": one.place}
                for setting, one in found.used.items()
            ],
            "unused": [
                {"name": one.name, "place": one.place, "why": why} for one, why in found.unused
            ],
        }
        if isinstance(credentials.taken, RefreshTokenCredentials):
            _note_token_file(credentials.taken, facts)
    begun = time.monotonic()
    try:
        facts |= {"org": client.instance_url, **user_info(client)}
        client.org_limits()  # whether the API answers this user
        facts |= {"org_remaining": client.meter.remaining, "status": "done"}
    except SalesforceError as error:
        facts |= {"error": error.what, "remedy": error.remedy}
    facts["seconds"] = round(time.monotonic() - begun, 3)
    return facts


def user_info(client: SalesforceClient) -> dict[str, str | None]:
    """Whose session it is: ``user`` and ``org_id``, each None where Salesforce does not tell.

    Source: Salesforce Help, "UserInfo endpoint" (a session by SOAP login, or without the scope
    ``openid`` or ``id``, may be refused it).

    Raises:
        SalesforceError: the session is no good.
    """
    try:
        answer = client.send(endpoints.user_info(), readers.json_object)
    except (AuthenticationError, NotFoundError, PermissionDeniedError, TruncatedAnswerError):
        client.org_limits()  # what the API answers shows whether the session is good
        return {"user": None, "org_id": None}
    user, org_id = answer.get("preferred_username"), answer.get("organization_id")
    return {"user": str(user) if user else None, "org_id": str(org_id) if org_id else None}


def _note_token_file(way: RefreshTokenCredentials, facts: dict[str, Any]) -> None:
    try:
        file = way.kept_in()
    except SalesforceError:
        return  # the address is no address: signing in says so
    facts["refresh_token_file"] = str(file.path)
    if trouble := file.trouble():
        facts["warnings"].append(
            f"a rotated refresh token could not be kept in {file.path} ({trouble}): set"
            " refresh_token_file to a path that can be written"
        )


def sign_in_shown(facts: Mapping[str, Any]) -> Any:
    """``--sign-in`` for a terminal."""
    from rich.text import Text

    from salesforce_targeted.report.rich_text import notes, paragraphs, table

    used = [(one["name"], one["place"]) for one in facts.get("settings", ())]
    idle = [(one["name"], one["place"], one["why"]) for one in facts.get("unused", ())]
    head = None
    if "way" in facts:
        head = Text.assemble("signing in by ", (facts["way"], "bold"), f": {facts['because']}")
    kept = facts.get("refresh_token_file")
    return paragraphs(
        head,
        table(("setting", "found in"), used, texts=2) if used else None,
        table(("set, but not used", "in", "because"), idle, texts=3) if idle else None,
        Text(f"a rotated refresh token is kept in {kept}") if kept else None,
        notes(facts),
        _outcome(facts),
    )


def _outcome(facts: Mapping[str, Any]) -> Any:
    from rich.text import Text

    if facts["status"] != "done":
        return Text.assemble((f"{facts['error']}\n", "red"), f"-> {facts['remedy']}")
    user = facts["user"] or "a user whom Salesforce does not name"
    org = f" (org {facts['org_id']})" if facts["org_id"] else ""
    left = facts["org_remaining"]
    return Text.assemble(
        ("signed in", "green"),
        f" to {facts['org']}{org}\nas {user}, in {facts['seconds']:.2f} s",
        "" if left is None else f"; {left:,} API calls left in the org's day",
    )
