"""What people and systems do to an org: each change moves the stamps that Salesforce would move.

``row_changes``: create, edit, stamps. ``activity_changes``: tasks, events, relations.
``life_changes``: delete, merge, convert, hide. ``field_changes``: fields and their types.
"""

from __future__ import annotations

from .field_changes import FieldChanges
from .life_changes import LifeChanges


class OrgChanges(LifeChanges, FieldChanges):
    """An org that things happen to."""
