"""Records are made and edited, stamps move: what every other change of an org is made of.

Rules:
- Every change takes one second of the org's clock; rows it writes are stamped with that second.
- Silent edits stamp nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from salesforce_targeted.demo_org.instants import text_of
from salesforce_targeted.demo_org.schema.activity_kinds import BY_NAME, BY_RELATIONS
from salesforce_targeted.demo_org.seeding.core import blank
from salesforce_targeted.demo_org.storage.derived import computed
from salesforce_targeted.demo_org.storage.history import OrgHistory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from salesforce_targeted.demo_org.storage.people import Row
    from salesforce_targeted.demo_org.storage.tables import Table


class RowChanges(OrgHistory):
    """An org whose records are made and edited."""

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
        if table.name == "Contact":  # derived when read, unless given
            for name in [n for n, e in table.entries.items() if e["calculated"]] + ["Name"]:
                row.pop(name, None)
        row.update(values)
        row.update(computed(table.name, table.entries, row, values))
        table.add(ordinal, row)
        self._show_tier(table, ordinal, values)
        return table.numbering.id_of(ordinal)

    def create(self, object: str, **values: Any) -> str:
        """Create a record with the fields that it needs; return its id.

        Raises:
            ValueError: for tasks, events and their relations, which are logged and related.
        """
        if object in BY_NAME or object in BY_RELATIONS:
            raise ValueError(f"{object}: use log_task, log_event or relate")
        with self.lock:
            table = self.tables[object]
            needed: dict[str, Row] = {
                "Contact": {"LastName": "Newcomer"},
                "Lead": {"LastName": "Newcomer", "Company": "Newcomer & Co", "Status": "Open"},
                "Account": {"Name": "Newcomer Clinic"},
                "User": {"LastName": "Newcomer", "Name": "Newcomer", "IsActive": True},
                "Opportunity": {"Name": "Opportunity", "StageName": "Prospecting",
                                "CloseDate": self.now_text[:10]},
                "Visit__c": {"Name": f"V-{table.next_ordinal():05}", "Status__c": "Planned"},
            }  # fmt: skip
            return self._new(table, {**needed.get(object, {}), **values}, self._stamp())

    def add_contact(self, **values: Any) -> str:
        """Create a contact; return its id."""
        return self.create("Contact", **values)

    def edit(self, object: str, id: str, **values: Any) -> None:
        """Edit a record as a user does: values change, stamps move."""
        with self.lock:
            table = self.tables[object]
            ordinal = self._at(table, id)
            values = self._with_computed(table, ordinal, values)
            self._touch(table, ordinal, self._stamp(), **values)
            self._show_tier(table, ordinal, values)

    def set_silently(self, object: str, id: str, **values: Any) -> None:
        """Move a formula or cross-object value; no stamp moves."""
        with self.lock:
            table = self.tables[object]
            ordinal = self._at(table, id)
            values = self._with_computed(table, ordinal, values)
            table.update(ordinal, values)
            self._show_tier(table, ordinal, values)

    def _show_tier(self, table: Table, ordinal: int, values: Row) -> None:
        """Let contacts show an account's new tier, by their cross-object formula."""
        if table.name == "Account" and "Tier__c" in values:
            self.crowd.tiers[table.numbering.id_of(ordinal)] = values["Tier__c"]

    @staticmethod
    def _with_computed(table: Table, ordinal: int, values: Row) -> Row:
        unknown = set(values) - set(table.entries)
        if unknown:
            raise KeyError(f"{table.name} has no field {sorted(unknown)}")
        if table.name == "Contact":
            return values
        row = {**(table.row(ordinal) or {}), **values}
        return values | computed(table.name, table.entries, row, values)
