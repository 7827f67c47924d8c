"""Fields come, go, hide and change their type; no stamp of a record moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from salesforce_targeted.demo_org.changes.rows import RowChanges
from salesforce_targeted.demo_org.schema.fields import field

WIDE_TYPES = ("string", "double", "date", "datetime", "currency", "percent")

if TYPE_CHECKING:
    from collections.abc import Callable

    from salesforce_targeted.demo_org.storage.people import Row
    from salesforce_targeted.demo_org.storage.tables import Table


class FieldChanges(RowChanges):
    """An org whose administrators are at work."""

    def _described_anew(self, table: Table) -> None:
        table.version += 1
        table.described_at = self._stamp()

    def add_field(
        self, object: str, name: str, type: str = "string", values: Row | None = None,
        **attributes: Any,
    ) -> None:  # fmt: skip
        """Add a field, with *values* by record id; null elsewhere. No stamp moves."""
        with self.lock:
            table = self.tables[object]
            table.entries[name] = field(name, type, **attributes)
            if type == "boolean":
                table.patch(name, lambda _row: False)
            for id_, value in (values or {}).items():
                table.update(self._at(table, id_), {name: value})
            self._described_anew(table)

    def widen(self, object: str, fields: int = 842, formulas: int = 500) -> None:
        """Add empty fields until the object has so many, so many of them formulas.

        Source: a Contact with 842 fields, sfdx-hardis issue 1743.
        """
        with self.lock:
            table = self.tables[object]
            more = fields - len(table.entries)
            for number in range(more):
                calculated = number < formulas
                name = f"{'Formula' if calculated else 'Extra'}_{number}__c"
                formula = "null" if calculated else None
                kind = WIDE_TYPES[number % len(WIDE_TYPES)]
                table.entries[name] = field(
                    name, kind, calculated=calculated, calculatedFormula=formula
                )
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
