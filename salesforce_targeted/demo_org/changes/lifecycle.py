"""Records come and go: the recycle bin, purges, merges, conversions, and who may see them.

Rules:
- What is deleted takes its ``CHILDREN`` along or is cleared from them, as the field says;
  undeleting undoes both.
- Hiding, showing and purging stamp nothing.

Source: Object Reference, "Account", "Lead"; SOAP API Developer Guide, "merge()", "undelete()",
"convertLead()".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from salesforce_targeted.demo_org.changes.activities import ActivityChanges
from salesforce_targeted.demo_org.schema.activity_kinds import ACTIVITIES, BY_NAME, BY_RELATIONS
from salesforce_targeted.demo_org.storage.tables import ContactTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from salesforce_targeted.demo_org.storage.tables import Table

MERGEABLE = ("Contact", "Lead", "Account")
# Object and lookup to whether the record goes with the one that it names, or loses the name only.
CHILDREN = {
    ("Contact", "AccountId"): True,
    ("Opportunity", "AccountId"): True,
    ("Opportunity", "ContactId"): False,
    ("Event", "WhatId"): False,
    ("Task", "WhatId"): False,
    ("Visit__c", "Contact__c"): False,
    ("Visit__c", "Account__c"): False,
}  # fmt: skip


class LifeChanges(ActivityChanges):
    """An org whose records are deleted, restored, merged, converted, hidden and shown."""

    def __init__(self, tables: Iterable[Table], seed: int) -> None:
        super().__init__(tables, seed)
        # By object and number of what was deleted: what went with it, or (field) lost its name.
        self._swept: dict[tuple[str, int], list[tuple[Table, int, str | None]]] = {}

    # ---------------------------------------------------------------- the recycle bin
    def delete(self, object: str, id: str) -> None:
        """Move a record into the recycle bin: queryAll shows it as deleted; its relations vanish.

        Raises:
            ValueError: records of that object are never deleted; relations are removed.
        """
        with self.lock:
            table = self._deletable(object)
            self._delete(table, self._at(table, id), self._stamp())

    def _deletable(self, object: str) -> Table:
        table = self.tables[object]
        if object in BY_RELATIONS or "IsDeleted" not in table.entries:
            raise ValueError(f"a {object} can't be deleted; relations: use remove_relation")
        return table

    def _delete(self, table: Table, ordinal: int, stamp: str) -> None:
        if table.name == "Task":
            self.outliving.discard(ordinal)
        self._touch(table, ordinal, stamp, IsDeleted=True)
        swept = self._swept.setdefault((table.name, ordinal), [])
        for child, name, among in self._children(table, ordinal):
            for other in among:
                if CHILDREN[child.name, name]:
                    if not (child.row(other) or {}).get("IsDeleted"):
                        self._delete(child, other, stamp)
                        swept.append((child, other, None))
                elif not self.lookups_outlive_parents:
                    # [K] a lookup that is cleared moves SystemModstamp and no other stamp.
                    child.update(other, {name: None, "SystemModstamp": stamp})
                    swept.append((child, other, name))

    def _children(self, table: Table, ordinal: int) -> Iterator[tuple[Table, str, list[int]]]:
        """Child objects, the lookup, and which rows name the record in it."""
        id_ = table.numbering.id_of(ordinal)
        for child_name, name in CHILDREN:
            child = self.tables[child_name]
            entry = child.entries.get(name)
            if entry is not None and table.name in entry["referenceTo"]:
                yield child, name, self._naming(child, name, id_)

    def _naming(self, child: Table, name: str, id_: str) -> list[int]:
        if not isinstance(child, ContactTable):
            return [o for o, row in list(child.changed.items()) if row.get(name) == id_]
        plain = (
            o for o in range(child.crowd.count)
            if o not in child.changed and o not in child.purged
            and child.crowd.account_of(o) == id_
        )  # fmt: skip
        changed = [o for o in child.changed if (child.row(o) or {}).get(name) == id_]
        return sorted([*plain, *changed])

    def undelete(self, object: str, id: str) -> None:
        """Restore a record with what went with it; relations keep the stamps they had."""
        with self.lock:
            table = self._deletable(object)
            self._undelete(table, self._at(table, id), self._stamp())

    def _undelete(self, table: Table, ordinal: int, stamp: str) -> None:
        if table.name == "Task":
            self.outliving.discard(ordinal)
        self._touch(table, ordinal, stamp, IsDeleted=False)
        id_ = table.numbering.id_of(ordinal)
        for child, other, name in self._swept.pop((table.name, ordinal), []):
            row = child.row(other)
            if row is None:
                continue  # purged meanwhile
            if name is None and row.get("IsDeleted"):
                self._undelete(child, other, stamp)
            elif name is not None and row.get(name) is None and name in child.entries:
                child.update(other, {name: id_, "SystemModstamp": stamp})

    def purge(self, object: str, id: str) -> None:
        """Empty the recycle bin of that record: no API returns it or its relations again."""
        with self.lock:
            table = self._deletable(object)
            ordinal, row = self._row(table, id)
            full = table.numbering.id_of(ordinal)
            if not row.get("IsDeleted") and any(
                among for *_, among in self._children(table, ordinal)
            ):
                self._delete(table, ordinal, self._stamp())
            kind = BY_NAME.get(object)
            if kind is not None:
                for relation in self._relations_where(kind, kind.reference, full):
                    self.tables[kind.relations].remove(relation)
            elif object in ("Contact", "Lead"):
                for kind in ACTIVITIES:
                    self._relations_go(kind, full)
            self._swept.pop((object, ordinal), None)
            table.remove(ordinal)

    # ---------------------------------------------------------------- who may see what
    def hide(self, object: str, id: str) -> None:
        """Hide the record from our user; what names it goes on naming it."""
        with self.lock:
            table = self.tables[object]
            table.hidden.add(self._at(table, id))

    def show(self, object: str, id: str) -> None:
        """Show the record to our user again."""
        with self.lock:
            table = self.tables[object]
            table.hidden.discard(self._at(table, id))

    # ---------------------------------------------------------------- merges and conversions
    def merge(self, winner: str, losers: Iterable[str]) -> None:
        """Merge contacts, leads or accounts, by the prefix of their ids.

        Losers are deleted with MasterRecordId set; relations and lookups move to the winner.
        """
        with self.lock:
            table = self._mergeable(winner)
            kept = table.numbering.id_of(self._at(table, winner))
            stamp = self._stamp()
            for id_ in losers:
                ordinal = self._at(table, id_)
                lost = table.numbering.id_of(ordinal)
                if lost == kept:
                    raise ValueError(f"a {table.name} cannot be merged into itself")
                self._touch(table, ordinal, stamp, IsDeleted=True, MasterRecordId=kept)
                for kind in ACTIVITIES:
                    self._relations_move(kind, lost, kept, stamp)
                for child, name, among in self._children(table, ordinal):
                    for other in among:
                        self._touch(child, other, stamp, **{name: kept})
            self._touch(table, self._at(table, kept), stamp)

    def _mergeable(self, id_: str) -> Table:
        for table in (self.tables[name] for name in MERGEABLE):
            if id_.startswith(table.numbering.prefix):
                return table
        raise KeyError(f"{id_} is of none of {MERGEABLE}")

    def convert_lead(self, id: str, contact: str | None = None) -> str:
        """Convert a lead into a new contact, or into that one; the contact's id.

        The lead stays, as converted; its relations move to the contact.
        """
        with self.lock:
            leads, stamp = self.tables["Lead"], self._stamp()
            ordinal, row = self._row(leads, id)
            if contact is None:
                same = ("LastName", "FirstName", "Title", "Email", "Phone")
                account = self._new(self.tables["Account"], {"Name": row["Company"]}, stamp)
                values: dict[str, Any] = {name: row.get(name) for name in same}
                contact = self._new(self.contacts, {**values, "AccountId": account}, stamp)
            at, person = self._row(self.contacts, contact)
            full = self.contacts.numbering.id_of(at)
            self._touch(leads, ordinal, stamp, IsConverted=True, Status="Closed",
                        ConvertedDate=stamp[:10], ConvertedContactId=full,
                        ConvertedAccountId=person.get("AccountId"))  # fmt: skip
            for kind in ACTIVITIES:
                self._relations_move(kind, row["Id"], full, stamp)
            return full

    # ---------------------------------------------------------------- by other names
    def delete_task(self, id: str) -> None:
        """:meth:`delete` of a task."""
        self.delete("Task", id)

    def undelete_task(self, id: str) -> None:
        """:meth:`undelete` of a task."""
        self.undelete("Task", id)

    def purge_task(self, id: str) -> None:
        """:meth:`purge` of a task."""
        self.purge("Task", id)

    def hide_task(self, id: str) -> None:
        """:meth:`hide` of a task; its relations stay visible."""
        self.hide("Task", id)

    def show_task(self, id: str) -> None:
        """:meth:`show` of a task."""
        self.show("Task", id)

    def delete_contact(self, id: str) -> None:
        """:meth:`delete` of a contact."""
        self.delete("Contact", id)

    def undelete_contact(self, id: str) -> None:
        """:meth:`undelete` of a contact."""
        self.undelete("Contact", id)

    def purge_contact(self, id: str) -> None:
        """:meth:`purge` of a contact."""
        self.purge("Contact", id)

    def hide_contact(self, id: str) -> None:
        """:meth:`hide` of a contact; its relations stay visible."""
        self.hide("Contact", id)

    def show_contact(self, id: str) -> None:
        """:meth:`show` of a contact."""
        self.show("Contact", id)
