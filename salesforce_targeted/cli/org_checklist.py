"""Check the org, the user and what it may see for ``--test``, each thing once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from salesforce_targeted.api import endpoints, errors, readers, soql
from salesforce_targeted.api.credentials import RefreshTokenCredentials
from salesforce_targeted.api.credentials.base import SignInCredentials
from salesforce_targeted.api.limits import not_served
from salesforce_targeted.arrow.columns import columns
from salesforce_targeted.cli import permissions, sign_in
from salesforce_targeted.cli.destination_checklist import Finding, Look
from salesforce_targeted.destination.org_identity import Org, org_of
from salesforce_targeted.extract.run import Run
from salesforce_targeted.relations import queries
from salesforce_targeted.target import SHARED_ACTIVITIES

# Object -> the permission that shows it.
OBJECTS = {
    "Contact": permissions.READ_CONTACT,
    "Task": permissions.ACCESS_ACTIVITIES,
    "User": permissions.VIEW_ALL_USERS,
}
# Whatever is asked for next gets the same.
_OF_ALL_CALLS = (errors.AuthenticationError, errors.UnavailableError)
_READ_OBJECT = (
    "Ask a Salesforce admin to let this user read {name} and its fields (profile or permission set,"
    " Object Settings)."
)
_ACCESS_ACTIVITIES = (
    "Ask a Salesforce admin for Access Activities (profile or permission set, System Permissions)."
)
_LET_IN = (
    "Every call is refused: ask a Salesforce admin whether API Access Control lets the connected"
    " app in, and whether this user may read anything."
)


class OrgChecklist:
    """Hold what is to be checked, in order; what an earlier check found, a later one need not ask.

    Args:
        credentials: As the client has them; ``SignInCredentials`` know where each setting is.
    """

    def __init__(self, run: Run, credentials: Any) -> None:
        self.run = run
        self.credentials = credentials
        self.org: Org | None = None
        self.granted: dict[permissions.Permission, bool] = {}
        self._responds = True
        self._served: list[str] = []
        self._limits: Mapping[str, Any] = {}

    def looks(self) -> Iterator[tuple[str, Look]]:
        """Return each check with its name; what needs one that failed is named in a last line.

        The caller makes each check before it asks for the next.
        """
        unchecked = []
        for name, look in self._looks():
            if self._responds:
                yield name, partial(self._look, look)
            else:
                unchecked.append(name)
        if unchecked:
            yield "not checked", lambda: Finding(f"{', '.join(unchecked)}: see what failed above")

    def _looks(self) -> Iterator[tuple[str, Look]]:
        if isinstance(self.credentials, SignInCredentials):
            yield "credentials", self._credentials
        yield "sign-in", self._sign_in
        yield "API version", self._version
        yield "API enabled", self._api_enabled
        for name, permission in OBJECTS.items():
            yield name, partial(self._object, name, permission)
            if name == "Contact" and self.run.settings.fields:
                yield "fields", self._fields
        yield "TaskWhoRelation", self._junction
        yield "Shared Activities", self._shared_activities
        yield "View All Data", self._view_all_data
        yield "relations", self._relations
        yield "API calls left", self._calls_left

    def _look(self, look: Look) -> str | Finding:
        """Make a check; after what any call would get, as before there is an org, make no more."""
        try:
            return look()
        except errors.SalesforceError as error:
            responded = error.status is not None
            of_all = isinstance(error, _OF_ALL_CALLS) or error.error_code in errors.API_OFF
            of_all |= responded and isinstance(
                error, errors.ConfigurationError | errors.QuotaExceededError
            )
            self._responds &= self.org is not None and not of_all
            raise

    def _credentials(self) -> str | Finding:
        resolved = self.credentials.resolved
        chosen = sign_in.choice(self.credentials).sentence
        file = resolved.token_file() if isinstance(resolved, RefreshTokenCredentials) else None
        if file is not None and (trouble := file.trouble()):
            return Finding(
                f"{chosen}; {file.path} can't be written: {trouble}",
                "Set refresh_token_file to a path that can be written: a rotated token is lost.",
            )
        return chosen

    def _sign_in(self) -> str:
        url = self.run.client.instance_url
        try:
            user = sign_in.user_info(self.run.client)["user"]
        except errors.PermissionDeniedError:
            user = None  # signed in, and the next check says what is not allowed
        self.org = org_of(self.run.client)
        return f"{url} as {user}" if user else url

    def _api_enabled(self) -> str | Finding:
        yes = "yes, the REST API responds"
        try:
            self._limits = self.run.client.org_limits()
        except (errors.AuthenticationError, errors.QuotaExceededError):
            raise
        except errors.SalesforceError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                return Finding(
                    f"not known: {error.what} The next lines show whether the API responds"
                )
            is_off = error.error_code in errors.API_OFF
            self._responds = not is_off and self._is_anything_shown()
            if self._responds or is_off:
                self.granted |= {permissions.API_ENABLED: not is_off, permissions.VIEW_SETUP: False}
            if not self._responds:
                if error.remedy == error.default_remedy:
                    error.remedy = _LET_IN
                raise
            return yes
        self.granted |= {permissions.API_ENABLED: True, permissions.VIEW_SETUP: True}
        return yes

    def _is_anything_shown(self) -> bool:
        """Tell whether a policy or a firewall leaves more than refusals, or only this one is."""
        describes = self.run.org.describes.values()
        return not all(isinstance(each, errors.PermissionDeniedError) for each in describes)

    def _version(self) -> str | Finding:
        self._served = self.run.client.versions()
        version = self.run.client.version
        if not self._served:
            return Finding(f"{version}; which versions the org serves is not known")
        if version not in self._served:
            raise not_served(version, self._served, self.run.client.limits, HTTPStatus.NOT_FOUND)
        return f"{version} (the org serves up to {self._served[-1]})"

    def _object(self, name: str, permission: permissions.Permission) -> str | Finding:
        try:
            visible = len(self.run.org.describe(name)["fields"])
        except (errors.NotFoundError, errors.PermissionDeniedError) as error:
            self.granted[permission] = False
            error.remedy = _ACCESS_ACTIVITIES if name == "Task" else _READ_OBJECT.format(name=name)
            if name == self.run.target.object_name or self._nothing_relates(name):
                raise
            return Finding(f"{error.what} A sync goes on without its rows", error.remedy)
        self.granted[permission] = True
        newer = self._newer_fields() if name == self.run.target.object_name else []
        more = f"; {', '.join(newer)} with api_version = {self._served[-1]}" if newer else ""
        return f"{visible} fields visible{more}"

    def _nothing_relates(self, name: str) -> bool:
        """Tell whether without this object no record is known to be active."""
        org = self.run.org
        return name == "Task" and isinstance(
            org.describes["TaskWhoRelation"], errors.SalesforceError
        )

    def _newer_fields(self) -> list[str]:
        """List the fields of the records that only the org's newest version shows."""
        client, name = self.run.client, self.run.target.object_name
        if not self._served or client.version == self._served[-1]:
            return []
        try:
            newest = client.send(endpoints.describe(self._served[-1], name), readers.description)
        except errors.SalesforceError:
            return []  # which ones there are is nice to know
        known = {field["name"] for field in self.run.org.describe(name)["fields"]}
        return [field["name"] for field in newest["fields"] if field["name"] not in known]

    def _fields(self) -> str:
        """Check the names in the setting ``fields``."""
        wanted = self.run.settings.fields or ()
        self.granted[permissions.READ_FIELDS] = False
        try:
            describe = self.run.org.describe(self.run.target.object_name)
            columns(describe, normalize=str, only=wanted)
        except errors.ConfigurationError as error:
            error.remedy += (
                f" If it is there, ask a Salesforce admin for {permissions.READ_FIELDS.name}"
                " (Field-Level Security)."
            )
            raise
        self.granted[permissions.READ_FIELDS] = True
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
        except (errors.AuthenticationError, errors.ConfigurationError, errors.QuotaExceededError):
            raise
        except errors.SalesforceError as error:
            return Finding(
                f"not known: the org does not tell this user ({error.error_code or error.what})",
                "What sharing keeps from this user is not synced: ask an admin, or compare --count"
                " with a report in Salesforce.",
            )
        self.granted[permissions.VIEW_ALL_DATA] = bool(rows and rows[0].get(field))
        if self.granted[permissions.VIEW_ALL_DATA]:
            return "yes: sharing hides no task and no contact"
        return Finding(
            "no: sharing decides which tasks and contacts are seen",
            "What this user may not see is not synced. If that is not meant, ask an admin for View"
            " All Data, or for View All on Contact and Task.",
        )

    def _relations(self) -> str:
        return f"{queries.count(self.run.client, self.run.org.junction):,} visible"

    def _calls_left(self) -> str | Finding:
        of_day = self._limits.get("DailyApiRequests")
        most = of_day.get("Max") if isinstance(of_day, dict) else None
        left = self.run.client.meter.remaining
        if left is None:
            return Finding("not known: the org does not say")
        left_of_day = f"{left:,}" + (f" of {most:,} in 24 hours" if isinstance(most, int) else "")
        if left <= self.run.client.meter.reserve_calls:
            raise errors.QuotaExceededError(
                f"{left_of_day}, and {self.run.client.meter.reserve_calls:,} are kept for others"
                " (daily_call_reserve)"
            )
        return left_of_day
