"""Say what a source syncs: records of one object, those that some other object's field points at.

The contacts that logged tasks point at are one use of it (:data:`CONTACT`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from salesforce_targeted.api import soql
from salesforce_targeted.api.errors import ConfigurationError

# A value that a field is compared with, or a list of which it is one.
Where = Mapping[str, soql.Value | Sequence[soql.Value]]


@dataclass(frozen=True, slots=True)
class Junction:
    """Name the object whose rows point at the records that count: relations, of tasks or of others.

    Attributes:
        who: Its field with the id of the record that counts.
        task: Its field with the task's id, where the rows themselves are held.
        condition: Which of its rows count; None for all.
        compared: The fields and values of that condition.
        fallback: What is read in an org that does not have the object.
    """

    object_name: str
    who: str
    task: str = ""
    condition: soql.Condition | None = None
    fallback: Junction | None = None
    compared: tuple[tuple[str, soql.Value], ...] = ()


TASK_WHO_ID = Junction("Task", "WhoId", "Id")
SHARED_ACTIVITIES = Junction("TaskWhoRelation", "RelationId", "TaskId", fallback=TASK_WHO_ID)

# Source: Object Reference, "TaskWhoRelation", "EventWhoRelation" (Shared Activities), "Event".
_EVENTS = Junction("EventWhoRelation", "RelationId", fallback=Junction("Event", "WhoId"))
# By their names, whose case does not count.
_OF_ACTIVITIES = {of.object_name.casefold(): of for of in (SHARED_ACTIVITIES, _EVENTS)}
# Ids come in their order: what lies before these need not be asked for. Other objects'
# are known when they are described. Source: help article 000385203, "key prefixes".
_KEY_PREFIXES = {
    "Account": "001", "Contact": "003", "User": "005", "Opportunity": "006", "Lead": "00Q",
    "Case": "500",
}  # fmt: skip

# What a source loads besides its records: each has a stage, and its name, of its own.
_OTHER_RESOURCES = ("task_who_relation", "task", "user", "rejected_record", "sync_run")

# So long may a table's name be: dlt takes names of sources up to 64 characters.
_LONGEST = 64 - len("salesforce_")


@dataclass(frozen=True, slots=True)
class Target:
    """Name the records to hold and what makes them active.

    Attributes:
        table: The table of the records.
        life_table: The table of what is known about each of them.
        life_key: That table's column with the record's id.
    """

    object_name: str
    discovered_by: Junction
    table: str
    life_table: str
    life_key: str

    @property
    def source_name(self) -> str:
        """Name the source, and with it dlt's schema."""
        if self.table == CONTACT.table:
            return "salesforce_targeted"
        return f"salesforce_{self.table.removeprefix('sf_')}"

    @property
    def origin(self) -> str:
        """Say what fills the table: ``Lead by TaskWhoRelation.RelationId``."""
        return f"{self.object_name} by {self.discovered_by.object_name}.{self.discovered_by.who}"

    @property
    def resource(self) -> str:
        """Name the resource of the records, as dlt names it: ``contact``."""
        name = self.life_key.removesuffix("_id")
        return f"{name}_record" if name in _OTHER_RESOURCES else name

    @property
    def key_prefix(self) -> str | None:
        """Return the three characters that the ids start with, where that is no org's choice."""
        return _KEY_PREFIXES.get(self.object_name)

    @property
    def first_id(self) -> str | None:
        """Return an id before the object's first one; None where none is needed."""
        prefix = self.key_prefix
        return None if prefix is None or self is CONTACT else prefix + "0" * 12

    @property
    def rejected_as(self) -> str:
        """Name the records in ``sf_rejected_records``, where each source keeps its own.

        Two sources of one dataset may hold the same object; then the tables tell them apart.
        """
        usual = self.table == f"sf_{_plural(_snake(self.object_name))}"
        if self is CONTACT or (usual and self.object_name not in _OF_CONTACTS):
            return self.object_name
        return f"{self.object_name} in {self.table}"


# Of these objects the source of contacts holds records, too.
_OF_CONTACTS = ("Contact", "Task", "User")
CONTACT = Target("Contact", SHARED_ACTIVITIES, "sf_contacts", "sf_active_contacts", "contact_id")


def target_of(
    object_name: str, discovered_by: str, where: Where | None = None, table: str | None = None
) -> Target:
    """Make a target as a user names it; see :func:`salesforce_targeted.any_object.targeted`.

    Raises:
        ConfigurationError: a name that can't be one.
    """
    name, _, field = discovered_by.partition(".")
    junction = None if field else _OF_ACTIVITIES.get(name.casefold())
    if junction is None:
        if not field:
            raise ConfigurationError(
                f"discovered_by = {discovered_by!r} does not say which field holds the ids",
                remedy=f"Write {name}.<field>, TaskWhoRelation or EventWhoRelation.",
            )
        junction = Junction(soql.name(name), soql.name(field))
    condition, compared = _conditions(where or {})
    if condition is not None:
        fallback = junction.fallback
        if fallback is not None:
            fallback = replace(fallback, condition=condition, compared=compared)
        junction = replace(junction, condition=condition, compared=compared, fallback=fallback)
    singular = _snake(soql.name(object_name))
    table = table or f"sf_{_plural(singular)}"
    many = table.removeprefix("sf_")
    if not f"sf_{many}".isidentifier() or len(many) > _LONGEST:
        raise ConfigurationError(
            f"{table!r} can't be a table of a source, which dlt names after it: letters, digits and"
            f" underscores, {_LONGEST} of them after sf_",
            remedy="Give another one as table.",
        )
    return Target(object_name, junction, table, f"sf_active_{many}", f"{singular}_id")


def _conditions(where: Where) -> tuple[soql.Condition | None, tuple[tuple[str, soql.Value], ...]]:
    """Return a condition, None for none, and the fields and values that it compares."""
    if not isinstance(where, Mapping):
        raise ConfigurationError(
            f"where = {where!r} does not give each field its value",
            remedy='Write where={"IsClosed": False}, or {"Status": ["New", "Open"]}.',
        )
    conditions, compared = [], list[tuple[str, soql.Value]]()
    try:
        for name, value in where.items():
            if isinstance(value, str) or not isinstance(value, Sequence):
                conditions.append(soql.eq(name, value))
                compared.append((name, value))
            else:
                conditions.append(soql.is_in(name, value))
                compared += [(name, each) for each in value]
    except ValueError as error:
        raise ConfigurationError(
            f"where = {dict(where)!r}: {error}", remedy="Give each field a value or a list."
        ) from error
    return soql.and_(*conditions), tuple(compared)


def _snake(name: str) -> str:
    bare = re.sub("__(c|x|mdt|kav)$", "", name)
    return re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", bare).lower()


def _plural(word: str) -> str:
    if re.search("[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if re.search("(s|x|ch|sh)$", word) else "s")
