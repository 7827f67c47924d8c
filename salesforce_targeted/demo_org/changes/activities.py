"""Tasks and events are logged, related to people, archived; relations follow them.

Rules:
- A relation's kind follows from the id: ``relate`` and ``remove_relation`` take both.
- Without Shared Activities relations are kept all the same; no API shows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from salesforce_targeted.demo_org.changes.rows import RowChanges
from salesforce_targeted.demo_org.schema.activity_kinds import EVENT, TASK, Activity, activity_of
from salesforce_targeted.demo_org.seeding.core import account_of, relation_row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from salesforce_targeted.demo_org.storage.tables import Table


class ActivityChanges(RowChanges):
    """An org whose people are called and met."""

    def log_task(self, who: Iterable[str] = (), **values: Any) -> str:
        """Log a task on those contacts, or on one lead; its id. Relations are made with it."""
        with self.lock:
            return self._log(TASK, who, {
                "Subject": "Call", "Status": "Not Started", "Priority": "Normal",
                "TaskSubtype": "Task", "ActivityDate": self.now_text[:10], **values,
            })  # fmt: skip

    def log_event(self, who: Iterable[str] = (), **values: Any) -> str:
        """Log an event with those contacts, or with one lead; its id. Relations come with it."""
        with self.lock:
            return self._log(EVENT, who, {
                "Subject": "Meeting", "ShowAs": "Busy", "EventSubtype": "Event",
                "DurationInMinutes": 60, "StartDateTime": self.now_text, **values,
            })  # fmt: skip

    def _log(self, kind: Activity, who: Iterable[str], values: dict[str, Any]) -> str:
        if isinstance(who, str):
            raise TypeError("who is a list of ids")
        whos, stamp = list(dict.fromkeys(who)), self._stamp()
        for id_ in whos:
            self._at(self._people(id_), id_)
        named = {
            "WhoId": whos[0] if whos else None, "WhoCount": len(whos),
            "WhatCount": int(bool(values.get("WhatId"))),
            "AccountId": account_of(self, whos[0]) if whos else None,
        }  # fmt: skip
        id_ = self._new(self.tables[kind.name], {**named, **values}, stamp)
        for who_id in whos:
            self._relate(kind, id_, who_id, stamp)
        return id_

    def _people(self, who_id: str) -> Table:
        return self.tables["Lead" if who_id.startswith("00Q") else "Contact"]

    def _relate(self, kind: Activity, activity_id: str, who_id: str | None, stamp: str) -> str:
        if who_id is not None:
            self._at(self._people(who_id), who_id)
        row = relation_row(self, activity_id, who_id, {})
        return self._new(self.tables[kind.relations], row, stamp)

    def relate(self, activity_id: str, who_id: str | None) -> str:
        """Add a person (None: a null RelationId) to an activity; return the relation's id."""
        with self.lock:
            kind = activity_of(activity_id)
            table = self.tables[kind.name]
            ordinal, row = self._row(table, activity_id)
            stamp = self._stamp()
            relation_id = self._relate(kind, activity_id, who_id, stamp)
            count = (row["WhoCount"] or 0) + (who_id is not None)
            self._touch(table, ordinal, stamp, WhoId=row["WhoId"] or who_id, WhoCount=count)
            return relation_id

    def remove_relation(self, id: str) -> None:
        """Take a person off a task or an event: the row is gone, nothing reports it."""
        with self.lock:
            kind = activity_of(id)
            relations = self.tables[kind.relations]
            ordinal, row = self._row(relations, id)
            relations.remove(ordinal)
            self._rewho(kind, row[kind.reference])

    def _relations_where(self, kind: Activity, name: str, value: str) -> list[int]:
        table = self.tables[kind.relations]
        return [o for o, row in list(table.changed.items()) if row[name] == value]

    def _rewho(self, kind: Activity, activity_id: str) -> None:
        table, relations = self.tables[kind.name], self.tables[kind.relations]
        ordinals = self._relations_where(kind, kind.reference, activity_id)
        named = [who for o in ordinals if (who := relations.changed[o]["RelationId"])]
        ordinal, row = self._row(table, activity_id)
        first = row["WhoId"] if row["WhoId"] in named else (named[0] if named else None)
        self._touch(table, ordinal, self._stamp(), WhoId=first, WhoCount=len(named))

    # ---------------------------------------------------------------- people that an activity names
    def _relations_move(self, kind: Activity, old: str, new: str, stamp: str) -> None:
        """Let every relation to *old* name *new*; where one does already, the other goes."""
        relations = self.tables[kind.relations]
        for at in self._relations_where(kind, "RelationId", old):
            activity_id = relations.changed[at][kind.reference]
            same = self._relations_where(kind, kind.reference, activity_id)
            if any(relations.changed[o]["RelationId"] == new for o in same):
                relations.remove(at)
            else:
                moved = relation_row(self, activity_id, new, {})
                self._touch(relations, at, stamp, **moved)
            self._rewho(kind, activity_id)

    def _relations_go(self, kind: Activity, who_id: str) -> None:
        relations = self.tables[kind.relations]
        for at in self._relations_where(kind, "RelationId", who_id):
            activity_id = relations.changed[at][kind.reference]
            relations.remove(at)
            self._rewho(kind, activity_id)

    # ---------------------------------------------------------------- archives
    def archive_task(self, id: str) -> None:
        """Archive: only queryAll shows the task, nothing shows its relations."""
        with self.lock:
            table = self.tables["Task"]
            ordinal = self._at(table, id)
            self.outliving.discard(ordinal)
            self._touch(table, ordinal, self._stamp(), IsArchived=True, IsClosed=True,
                        Status="Completed")  # fmt: skip

    def archive_event(self, id: str) -> None:
        """As :meth:`archive_task`."""
        with self.lock:
            table = self.tables["Event"]
            self._touch(table, self._at(table, id), self._stamp(), IsArchived=True)
