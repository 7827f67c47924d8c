"""What people and systems do to an org: each change moves the stamps that Salesforce would move.

Rules:
- Every change takes one second of the org's clock; rows it writes are stamped with that second.
- Hiding, showing, silent edits, purges and changes of fields stamp nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .fields import field
from .instants import text_of
from .seeding import account_of, blank, relation_row
from .state import OrgState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .people import Row
    from .tables import Table


class OrgChanges(OrgState):
    """An org that things happen to."""

    _late = timedelta(0)

    # ---------------------------------------------------------------- the clock
    def _stamp(self) -> str:
        self.now += timedelta(seconds=1)
        return text_of((self.now - self._late).replace(microsecond=0))

    def commit_late(self, change: Callable[[], Any], seconds: float) -> Any:
        """Run *change* so that its rows become visible now with stamps *seconds* in the past."""
        with self.lock:
            self._late = timedelta(seconds=seconds)
            try:
                return change()
            finally:
                self._late = timedelta(0)

    def bump_stamps(self, object: str, ids: Iterable[str] | None = None) -> str:
        """Let a system job move SystemModstamp of those rows, or all, to one second; return it."""
        with self.lock:
            table, stamp = self.tables[object], self._stamp()
            if ids is None:
                table.patch("SystemModstamp", lambda _row: stamp)
            else:
                for id_ in ids:
                    table.update(self._at(table, id_), {"SystemModstamp": stamp})
            return stamp

    # ---------------------------------------------------------------- rows
    def _at(self, table: Table, id_: str) -> int:
        ordinal = self.find(table, id_)
        if ordinal is None:
            raise KeyError(f"no {table.name} {id_} in this org")
        return ordinal

    def _row(self, table: Table, id_: str) -> tuple[int, Row]:
        ordinal = self._at(table, id_)
        row = table.row(ordinal)
        assert row is not None
        return ordinal, row

    def _touch(self, table: Table, ordinal: int, stamp: str, **values: Any) -> None:
        table.update(ordinal, {
            **values, "LastModifiedDate": stamp, "SystemModstamp": stamp,
            "LastModifiedById": self.tables["User"].numbering.id_of(0),
        })  # fmt: skip

    def _new(self, table: Table, values: Row, stamp: str) -> str:
        user = self.tables["User"].numbering.id_of(0)
        ordinal = table.next_ordinal()
        unknown = set(values) - set(table.entries)
        if unknown:
            raise KeyError(f"{table.name} has no field {sorted(unknown)}")
        row = blank(table.entries)
        row.update({
            "CreatedDate": stamp, "CreatedById": user, "LastModifiedDate": stamp,
            "LastModifiedById": user, "SystemModstamp": stamp,
        })  # fmt: skip
        if "OwnerId" in table.entries:
            row["OwnerId"] = user
        computed = [n for n, e in table.entries.items() if e["calculated"]] + ["Name"]
        if table.name == "Contact":  # derived when read, unless given
            for name in computed:
                row.pop(name, None)
        table.add(ordinal, {**row, **values})
        return table.numbering.id_of(ordinal)

    def add_contact(self, **values: Any) -> str:
        """A new contact; its id."""
        with self.lock:
            return self._new(self.contacts, {"LastName": "Newcomer", **values}, self._stamp())

    def edit(self, object: str, id: str, **values: Any) -> None:
        """A user edits a record: values change, stamps move."""
        with self.lock:
            table = self.tables[object]
            ordinal = self._at(table, id)
            self._check(table, values)
            self._touch(table, ordinal, self._stamp(), **values)
            self._show_tier(table, ordinal, values)

    def set_silently(self, object: str, id: str, **values: Any) -> None:
        """A formula or cross-object value moves; no stamp does."""
        with self.lock:
            table = self.tables[object]
            self._check(table, values)
            ordinal = self._at(table, id)
            table.update(ordinal, values)
            self._show_tier(table, ordinal, values)

    def _show_tier(self, table: Table, ordinal: int, values: Row) -> None:
        """Let contacts show an account's new tier, by their cross-object formula."""
        if table.name == "Account" and "Tier__c" in values:
            self.crowd.tiers[table.numbering.id_of(ordinal)] = values["Tier__c"]

    @staticmethod
    def _check(table: Table, values: Row) -> None:
        unknown = set(values) - set(table.entries)
        if unknown:
            raise KeyError(f"{table.name} has no field {sorted(unknown)}")

    # ---------------------------------------------------------------- tasks and relations
    def log_task(self, who: Iterable[str] = (), **values: Any) -> str:
        """Log a task on those contacts, or on one lead; its id. Relations are made with it."""
        with self.lock:
            if isinstance(who, str):
                raise TypeError("who is a list of ids")
            whos, stamp = list(dict.fromkeys(who)), self._stamp()
            row = {
                "WhoId": whos[0] if whos else None, "WhoCount": len(whos), "WhatCount": 0,
                "AccountId": account_of(self, whos[0]) if whos else None, "Subject": "Call",
                "Status": "Not Started", "Priority": "Normal", "TaskSubtype": "Task",
                "ActivityDate": self.now_text[:10], **values,
            }  # fmt: skip
            task_id = self._new(self.tables["Task"], row, stamp)
            for id_ in whos:
                self._relate(task_id, id_, stamp)
            return task_id

    def _relate(self, task_id: str, who_id: str | None, stamp: str) -> str:
        if who_id is not None:
            self._at(self.tables["Lead" if who_id.startswith("00Q") else "Contact"], who_id)
        row = relation_row(self, task_id, who_id, {})
        return self._new(self.tables["TaskWhoRelation"], row, stamp)

    def relate(self, task_id: str, who_id: str | None) -> str:
        """Add somebody (or nobody: a null RelationId) to a task; the relation's id."""
        with self.lock:
            table = self.tables["Task"]
            ordinal, row = self._row(table, task_id)
            stamp = self._stamp()
            relation_id = self._relate(task_id, who_id, stamp)
            count = (row["WhoCount"] or 0) + (who_id is not None)
            self._touch(table, ordinal, stamp, WhoId=row["WhoId"] or who_id, WhoCount=count)
            return relation_id

    def remove_relation(self, id: str) -> None:
        """Take somebody off a task: the row is gone, nothing reports it."""
        with self.lock:
            relations, tasks = self.tables["TaskWhoRelation"], self.tables["Task"]
            ordinal, row = self._row(relations, id)
            relations.remove(ordinal)
            self._rewho(tasks, row["TaskId"])

    def _relations_where(self, name: str, value: str) -> list[int]:
        table = self.tables["TaskWhoRelation"]
        return [o for o, row in list(table.changed.items()) if row[name] == value]

    def _rewho(self, tasks: Table, task_id: str) -> None:
        table = self.tables["TaskWhoRelation"]
        whos = [table.changed[o]["RelationId"] for o in self._relations_where("TaskId", task_id)]
        named = [who for who in whos if who]
        ordinal, row = self._row(tasks, task_id)
        first = row["WhoId"] if row["WhoId"] in named else (named[0] if named else None)
        self._touch(tasks, ordinal, self._stamp(), WhoId=first, WhoCount=len(named))

    def _set_task(self, id_: str, **values: Any) -> None:
        table = self.tables["Task"]
        ordinal = self._at(table, id_)
        self.outliving.discard(ordinal)
        self._touch(table, ordinal, self._stamp(), **values)

    def delete_task(self, id: str) -> None:
        """Into the recycle bin; its relations vanish with it (cascadeDelete)."""
        with self.lock:
            self._set_task(id, IsDeleted=True)

    def undelete_task(self, id: str) -> None:
        """Out of the recycle bin; its relations are back, with the stamps they had."""
        with self.lock:
            self._set_task(id, IsDeleted=False)

    def archive_task(self, id: str) -> None:
        """Archive: only queryAll shows the task, nothing shows its relations."""
        with self.lock:
            self._set_task(id, IsArchived=True, IsClosed=True, Status="Completed")

    def hide_task(self, id: str) -> None:
        """Our user may no longer see the task; its relations stay visible."""
        with self.lock:
            table = self.tables["Task"]
            table.hidden.add(self._at(table, id))

    def show_task(self, id: str) -> None:
        """Our user may see the task again."""
        with self.lock:
            table = self.tables["Task"]
            table.hidden.discard(self._at(table, id))

    def purge_task(self, id: str) -> None:
        """Empty the recycle bin of that task: no API returns it or its relations again."""
        with self.lock:
            table = self.tables["Task"]
            ordinal = self._at(table, id)
            for relation in self._relations_where("TaskId", table.numbering.id_of(ordinal)):
                self.tables["TaskWhoRelation"].remove(relation)
            table.remove(ordinal)

    # ---------------------------------------------------------------- contacts come and go
    def delete_contact(self, id: str) -> None:
        """Into the recycle bin: queryAll shows it with IsDeleted true."""
        with self.lock:
            self._touch(self.contacts, self._at(self.contacts, id), self._stamp(), IsDeleted=True)

    def undelete_contact(self, id: str) -> None:
        """Out of the recycle bin, as if nothing had been."""
        with self.lock:
            ordinal = self._at(self.contacts, id)
            self._touch(self.contacts, ordinal, self._stamp(), IsDeleted=False)

    def purge_contact(self, id: str) -> None:
        """Empty the recycle bin of that contact: gone, and its relations with it."""
        with self.lock:
            ordinal = self._at(self.contacts, id)
            full = self.contacts.numbering.id_of(ordinal)
            for relation in self._relations_where("RelationId", full):
                task_id = self.tables["TaskWhoRelation"].changed[relation]["TaskId"]
                self.tables["TaskWhoRelation"].remove(relation)
                self._rewho(self.tables["Task"], task_id)
            self.contacts.remove(ordinal)

    def hide_contact(self, id: str) -> None:
        """Our user may no longer see the contact; its relations stay visible."""
        with self.lock:
            self.contacts.hidden.add(self._at(self.contacts, id))

    def show_contact(self, id: str) -> None:
        """Our user may see the contact again."""
        with self.lock:
            self.contacts.hidden.discard(self._at(self.contacts, id))

    def merge(self, winner: str, losers: Iterable[str]) -> None:
        """Merge contacts: losers are deleted with MasterRecordId set, their relations move."""
        with self.lock:
            contacts, relations = self.contacts, self.tables["TaskWhoRelation"]
            kept = contacts.numbering.id_of(self._at(contacts, winner))
            stamp = self._stamp()
            for id_ in losers:
                ordinal = self._at(contacts, id_)
                lost = contacts.numbering.id_of(ordinal)
                if lost == kept:
                    raise ValueError("a contact cannot be merged into itself")
                self._touch(contacts, ordinal, stamp, IsDeleted=True, MasterRecordId=kept)
                for at in self._relations_where("RelationId", lost):
                    task_id = relations.changed[at]["TaskId"]
                    same = self._relations_where("TaskId", task_id)
                    if any(relations.changed[o]["RelationId"] == kept for o in same):
                        relations.remove(at)
                    else:
                        self._touch(relations, at, stamp, RelationId=kept,
                                    AccountId=account_of(self, kept))  # fmt: skip
                    self._rewho(self.tables["Task"], task_id)
            self._touch(contacts, self._at(contacts, kept), stamp)

    # ---------------------------------------------------------------- fields
    def _described_anew(self, table: Table) -> None:
        table.version += 1
        table.described_at = self._stamp()

    def add_field(
        self, object: str, name: str, type: str = "string", values: Row | None = None,
        **attributes: Any,
    ) -> None:  # fmt: skip
        """A new field, with *values* by record id; null elsewhere. No stamp moves."""
        with self.lock:
            table = self.tables[object]
            table.entries[name] = field(name, type, **attributes)
            if type == "boolean":
                table.patch(name, lambda _row: False)
            for id_, value in (values or {}).items():
                table.update(self._at(table, id_), {name: value})
            self._described_anew(table)

    def drop_field(self, object: str, name: str) -> None:
        """Delete a field and what was in it."""
        with self.lock:
            table = self.tables[object]
            del table.entries[name]
            table.patch(name, lambda _row: None)
            self._described_anew(table)

    def hide_field(self, object: str, name: str) -> None:
        """Field-level security takes the field from our user: describe no longer names it."""
        with self.lock:
            self.tables[object].unseen.add(name)
            self._described_anew(self.tables[object])

    def show_field(self, object: str, name: str) -> None:
        """Our user may read the field again."""
        with self.lock:
            self.tables[object].unseen.discard(name)
            self._described_anew(self.tables[object])

    def change_field_type(
        self, object: str, name: str, type: str, convert: Callable[[Any], Any] = str,
        **attributes: Any,
    ) -> None:  # fmt: skip
        """Another type for a field; *convert* makes the new value of each that is not null."""
        with self.lock:
            table = self.tables[object]
            table.entries[name] = field(name, type, **attributes)
            table.patch(name, lambda row: None if row.get(name) is None else convert(row[name]))
            self._described_anew(table)
