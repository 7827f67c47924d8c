"""Changes by name that find something to change by themselves: what people and admins do all day.

``CHANGES[name](org, rng)`` makes one and returns a sentence about it, or None where the org has
nothing to do that to. ``EVERYDAY`` are those of people at work, ``ADMINISTRATION`` the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from salesforce_targeted.demo_org.schema.activity_kinds import TASK

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from salesforce_targeted.demo_org.changes.org_changes import OrgChanges
    from salesforce_targeted.demo_org.storage.people import Row

    Change = Callable[[OrgChanges, random.Random], str | None]

TRIES = 30
LATE_SECONDS = (60, 300, 900)
HIDEABLE_FIELDS = ("Title", "Department", "Description", "Email", "Phone")
LOSABLE_OBJECTS = ("TaskWhoRelation", "Task", "User", "Contact")


# -------------------------------------------------------------------- which record
def _some(
    org: OrgChanges, rng: random.Random, name: str, keep: Callable[[Row], bool] | None = None
) -> str | None:
    """Return the id of a record that ``query`` shows, or None if a few tries find none."""
    table = org.tables[name]
    for _ in range(TRIES):
        ordinal = rng.randrange(max(1, table.next_ordinal()))
        row = table.row(ordinal)
        if row is None or not org.shows(table, ordinal, row, all_rows=False):
            continue
        if keep is None or keep(row):
            return table.numbering.id_of(ordinal)
    return None


def _deleted(org: OrgChanges, rng: random.Random, name: str) -> str | None:
    """Return the id of a record in the recycle bin that was not merged."""
    table = org.tables[name]
    ordinals = [
        ordinal
        for ordinal, row in table.changed.items()
        if row.get("IsDeleted") and not row.get("MasterRecordId") and ordinal not in table.hidden
    ]
    return table.numbering.id_of(rng.choice(ordinals)) if ordinals else None


def _person(org: OrgChanges, rng: random.Random) -> str | None:
    """Return a contact's id; mostly of one that tasks name."""
    if rng.random() < 0.7:
        relation = _some(org, rng, TASK.relations, lambda row: _names_contact(org, row))
        if relation is not None:
            table = org.tables[TASK.relations]
            return str(table.changed[_at(org, TASK.relations, relation)]["RelationId"])
    return _some(org, rng, "Contact")


def _names_contact(org: OrgChanges, row: Row) -> bool:
    who = org.contacts.numbering.ordinal_of(row["RelationId"] or "")
    person = None if who is None else org.contacts.row(who)
    return bool(person) and who is not None and org.shows(
        org.contacts, who, person or {}, all_rows=False
    )  # fmt: skip


def _at(org: OrgChanges, name: str, id_: str) -> int:
    ordinal = org.find(org.tables[name], id_)
    assert ordinal is not None
    return ordinal


# -------------------------------------------------------------------- people at work
def _edit(org: OrgChanges, rng: random.Random) -> str | None:
    name, field = rng.choice((("Contact", "Title"), ("Contact", "Description"),
                              ("Task", "Subject"), ("User", "Department")))  # fmt: skip
    id_ = _person(org, rng) if name == "Contact" else _some(org, rng, name)
    if id_ is None:
        return None
    value = f"edited {rng.randrange(10**6)}"
    org.edit(name, id_, **{field: value})
    return f"{name} {id_}: {field} = {value}"


def _edit_relation(org: OrgChanges, rng: random.Random) -> str | None:
    id_, account = _some(org, rng, TASK.relations), _some(org, rng, "Account")
    if id_ is None or account is None:
        return None
    org.edit(TASK.relations, id_, AccountId=account)
    return f"relation {id_}: AccountId = {account}"


def _log(org: OrgChanges, rng: random.Random) -> str | None:
    whos = {_person(org, rng) for _ in range(rng.choice((1, 1, 2, 3)))} - {None}
    if not whos:
        return None
    named = sorted(str(who) for who in whos)
    return f"task {org.log_task(named)} is logged with {', '.join(named)}"


def _log_late(org: OrgChanges, rng: random.Random) -> str | None:
    seconds = rng.choice(LATE_SECONDS)
    sentence = org.commit_late(lambda: _log(org, rng) or _edit(org, rng), seconds)
    return f"{sentence}, committed {seconds} s late" if sentence else None


def _log_lead(org: OrgChanges, rng: random.Random) -> str | None:
    lead = _some(org, rng, "Lead")
    return f"task {org.log_task([lead])} is logged with lead {lead}" if lead else None


def _unlog(org: OrgChanges, rng: random.Random) -> str | None:
    id_ = _some(org, rng, TASK.relations)
    if id_ is None:
        return None
    org.remove_relation(id_)
    return f"relation {id_} is removed"


def _on_record(name: str, what: str) -> Change:
    """Return a change that calls the org's method *what* for some record of an object."""

    def change(org: OrgChanges, rng: random.Random) -> str | None:
        undo = what == "undelete"
        record_id = _deleted(org, rng, name) if undo else _some(org, rng, name)
        if name == "Contact" and not undo:
            record_id = _person(org, rng)
        if record_id is None:
            return None
        getattr(org, what)(name, record_id)
        return f"{name} {record_id}: {what}"

    return change


def _archive(org: OrgChanges, rng: random.Random) -> str | None:
    id_ = _some(org, rng, "Task")
    if id_ is None:
        return None
    org.archive_task(id_)
    return f"Task {id_}: archived"


def _merge(org: OrgChanges, rng: random.Random) -> str | None:
    winner, loser = _person(org, rng), _person(org, rng)
    if winner is None or loser is None or winner == loser:
        return None
    org.merge(winner, [loser])
    return f"contact {loser} is merged into {winner}"


def _silent(org: OrgChanges, rng: random.Random) -> str | None:
    id_ = _person(org, rng)
    if id_ is None:
        return None
    value = f"silent {rng.randrange(10**6)}"
    org.set_silently("Contact", id_, Full_Label__c=value)
    return f"a formula of {id_} becomes {value!r}; no stamp moves"


# -------------------------------------------------------------------- administration
def _show(name: str) -> Change:
    def change(org: OrgChanges, rng: random.Random) -> str | None:
        table = org.tables[name]
        if not table.hidden:
            return None
        id_ = table.numbering.id_of(rng.choice(sorted(table.hidden)))
        table.hidden.discard(_at(org, name, id_))
        return f"{name} {id_}: shown"

    return change


def _hide_field(org: OrgChanges, rng: random.Random) -> str | None:
    field = rng.choice(HIDEABLE_FIELDS)
    if field in org.contacts.unseen:
        return None
    org.hide_field("Contact", field)
    return f"field Contact.{field}: hidden"


def _show_field(org: OrgChanges, rng: random.Random) -> str | None:
    unseen = sorted(org.contacts.unseen)
    if not unseen:
        return None
    field = rng.choice(unseen)
    org.show_field("Contact", field)
    return f"field Contact.{field}: shown"


def _lose_permission(org: OrgChanges, rng: random.Random) -> str | None:
    name = rng.choice(LOSABLE_OBJECTS)
    org.hidden_objects.add(name)
    return f"our user loses {name}"


def _regain_permission(org: OrgChanges, rng: random.Random) -> str | None:
    if not org.hidden_objects:
        return None
    name = rng.choice(sorted(org.hidden_objects))
    org.hidden_objects.discard(name)
    return f"our user gets {name} back"


CHANGES: dict[str, Change] = {
    "edit": _edit, "edit_relation": _edit_relation, "log": _log, "log_late": _log_late,
    "log_lead": _log_lead, "unlog": _unlog, "delete_task": _on_record("Task", "delete"),
    "undelete_task": _on_record("Task", "undelete"),
    "delete_contact": _on_record("Contact", "delete"),
    "undelete_contact": _on_record("Contact", "undelete"), "merge": _merge, "archive": _archive,
    "silent": _silent, "hide_contact": _on_record("Contact", "hide"),
    "show_contact": _show("Contact"), "hide_task": _on_record("Task", "hide"),
    "show_task": _show("Task"), "hide_field": _hide_field, "show_field": _show_field,
    "lose_permission": _lose_permission, "regain_permission": _regain_permission,
}  # fmt: skip
EVERYDAY = (
    "edit", "edit_relation", "log", "log_late", "log_lead", "unlog", "delete_task",
    "undelete_task", "delete_contact", "undelete_contact", "merge", "archive", "silent",
)  # fmt: skip
ADMINISTRATION = tuple(name for name in CHANGES if name not in EVERYDAY)
