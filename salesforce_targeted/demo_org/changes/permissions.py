"""An administrator gives our user permissions, and takes them.

Sources: Salesforce Help, "User Permissions", "Object Permissions", "Field-Level Security", "Control
Access to Activities"; SOAP API Developer Guide, "DescribeSObjectResult" (a field that is required
can't be hidden).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from salesforce_targeted.demo_org.changes.fields import FieldChanges
from salesforce_targeted.demo_org.schema.activity_kinds import ACTIVITIES

if TYPE_CHECKING:
    from collections.abc import Collection

_ACTIVITIES = {name for kind in ACTIVITIES for name in (kind.name, kind.relations)}
# Permission, as Setup calls it, and the objects that it shows.
_OBJECTS = {
    "Read on Contact": {"Contact"},
    "Access Activities": _ACTIVITIES,
    # [K] every user sees users, unless the org keeps them private.
    "View All Users": {"User"},
}
_FIELDS = "Read Access to the fields of Contact"
_OTHERS = {"API Enabled", "View All Data", "View Setup and Configuration", _FIELDS}
# Each user may read what the permissions of the own session are [K].
_ALWAYS = {"UserPermissionAccess"}


class PermissionChanges(FieldChanges):
    """An org whose user is given permissions."""

    def take_view_all_data(self) -> None:
        """Take *View All Data* from our user; see ``Traits.view_all_data``."""
        with self.lock:
            self.traits.view_all_data = False
            self.tables["UserPermissionAccess"].update(0, {"PermissionsViewAllData": False})

    def permit_only(self, permissions: Collection[str]) -> None:
        """Give our user these permissions, as Setup calls them, and take all others.

        An object without a permission in the list is not there for our user; of contacts, without
        access to their fields, those that no administrator can hide are left. The app has the scope
        ``api`` alone.

        Raises:
            ValueError: a permission that is not modelled.
        """
        if unknown := set(permissions) - set(_OBJECTS) - _OTHERS:
            raise ValueError(f"not modelled: {sorted(unknown)}")
        with self.lock:
            self.traits.api_enabled = "API Enabled" in permissions
            self.traits.view_setup = "View Setup and Configuration" in permissions
            self.traits.identity_scope = False
            if "View All Data" not in permissions:
                self.take_view_all_data()
            shown = _ALWAYS.union(*(_OBJECTS.get(name, set()) for name in permissions))
            self.hidden_objects = set(self.tables) - shown
            if _FIELDS not in permissions:
                for name, entry in self.contacts.entries.items():
                    if entry["nillable"] and name != "IsDeleted":
                        self.hide_field("Contact", name)
