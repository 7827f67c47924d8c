"""All that can happen to an org, in one class."""

from __future__ import annotations

from salesforce_targeted.demo_org.changes.fields import FieldChanges
from salesforce_targeted.demo_org.changes.lifecycle import LifeChanges


class OrgChanges(LifeChanges, FieldChanges):
    """An org that things happen to."""
