"""All that can happen to an org, in one class."""

from __future__ import annotations

from salesforce_targeted.demo_org.changes.lifecycle import LifeChanges
from salesforce_targeted.demo_org.changes.permissions import PermissionChanges


class OrgChanges(LifeChanges, PermissionChanges):
    """An org that things happen to."""
