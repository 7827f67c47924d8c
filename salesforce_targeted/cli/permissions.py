"""List the permissions that a sync uses, which it needs, and what each missing one costs.

Names are those of Setup; a user with the needed ones, and no others, can use every command.

Sources: Salesforce Help, "User Permissions", "Object Permissions", "Control Access to Activities";
REST API Developer Guide, "Limits"; singer-io/tap-salesforce PR 98 (activities).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypedDict


class PermissionFacts(TypedDict):
    """Hold one permission of ``--test``; ``granted`` is None where the org hides it."""

    name: str
    needed: bool
    granted: bool | None
    without: str


class Permission(NamedTuple):
    """Name a permission, what is lost without it, and whether a sync is not complete then."""

    name: str
    without: str
    needed: bool = True


API_ENABLED = Permission("API Enabled", "nothing can be read: every command fails")
READ_CONTACT = Permission("Read on Contact", "no contact can be read: a sync fails")
READ_FIELDS = Permission(
    "Read Access to the fields of Contact",
    "a field that is hidden is not synced; a column that it has keeps its last values",
)
ACCESS_ACTIVITIES = Permission("Access Activities", "no task and no relation is seen: a sync fails")
VIEW_ALL_DATA = Permission(
    "View All Data",
    "only activities that are shared with this user count; a large org refuses to list them",
)
VIEW_ALL_USERS = Permission(
    "View All Users",
    "the users that rows name may not be seen: sf_users lacks them",
    needed=False,
)
VIEW_SETUP = Permission(
    "View Setup and Configuration",
    "the org's size and its calls a day are not known; each response tells the calls left",
    needed=False,
)

PERMISSIONS = (
    API_ENABLED, READ_CONTACT, READ_FIELDS, ACCESS_ACTIVITIES, VIEW_ALL_DATA, VIEW_ALL_USERS,
    VIEW_SETUP,
)  # fmt: skip


def permission_facts(granted: Mapping[Permission, bool]) -> list[PermissionFacts]:
    """List every permission with what is known of it."""
    return [
        {"name": of.name, "needed": of.needed, "granted": granted.get(of), "without": of.without}
        for of in PERMISSIONS
    ]
