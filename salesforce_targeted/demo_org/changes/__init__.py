"""What people and systems do to an org: each change moves the stamps that Salesforce would move.

``row_changes``: create, edit, stamps. ``activity_changes``: tasks, events, relations.
``life_changes``: delete, merge, convert, hide. ``field_changes``: fields and their types.
"""

from __future__ import annotations

from salesforce_targeted.demo_org.changes.fields import FieldChanges
from salesforce_targeted.demo_org.changes.lifecycle import LifeChanges


class OrgChanges(LifeChanges, FieldChanges):
    """An org that things happen to."""
