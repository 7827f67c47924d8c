"""Name the two kinds of activity, tasks and events: which object relates each of them to people.

Source: Object Reference, "TaskWhoRelation", "EventWhoRelation": both are derived objects that can
be described, queried and retrieved, exist with Shared Activities only and not in Bulk.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Activity:
    """A kind of activity."""

    name: str
    prefix: str
    relations: str  # the object that names its people
    relation_prefix: str
    reference: str  # the field of a relation that names the activity


TASK = Activity("Task", "00T", "TaskWhoRelation", "0RT", "TaskId")
EVENT = Activity("Event", "00U", "EventWhoRelation", "0RE", "EventId")
ACTIVITIES = (TASK, EVENT)
BY_NAME = {kind.name: kind for kind in ACTIVITIES}
BY_RELATIONS = {kind.relations: kind for kind in ACTIVITIES}


def activity_of(id_: str) -> Activity:
    """Return the kind of an activity, by its own id or by that of one of its relations.

    Raises:
        KeyError: the id is of neither.
    """
    for kind in ACTIVITIES:
        if id_[:3] in (kind.prefix, kind.relation_prefix):
            return kind
    raise KeyError(f"{id_} is no activity and no relation of one")
