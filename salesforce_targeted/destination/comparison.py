"""Compare a batch of the org's rows with what is held, and pick the rows to load.

Rules:
- A field that could not be read of a record keeps the value that is held.
- A column that describe no longer shows keeps its values: a merge sets every column that dlt knows,
  so what is left out would become null.
- A row whose content is unchanged stays out of the load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.arrow.batch import EVERY_RECORD, Batch, add_row_hash
from salesforce_targeted.arrow.columns import FIELD_HINT, ROW_HASH, Columns
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.stored_values import stored_array


@dataclass(frozen=True, slots=True)
class Comparison:
    """Hold a batch's rows, completed, and how each compares with what is held.

    Attributes:
        rows: All rows of the batch, ``row_hash`` last.
        is_new: For each row, whether its id is not held.
        is_same: For each row, whether it is held with the same content.
    """

    rows: pa.Table
    is_new: pa.Array
    is_same: pa.Array

    @property
    def changed(self) -> pa.Table:
        """Return the rows to load: new and updated ones."""
        return self.rows.filter(pc.invert(self.is_same))

    @property
    def new(self) -> int:
        """Count the rows whose ids are not held."""
        return int(self.is_new.true_count)

    @property
    def unchanged(self) -> int:
        """Count the rows that are held with the same content."""
        return int(self.is_same.true_count)

    @property
    def updated(self) -> int:
        """Count the rows that are held with other content."""
        return int(self.rows.num_rows) - self.new - self.unchanged


def compare(held: HeldTables, table: str, columns: Columns, batch: Batch) -> Comparison:
    """Complete a batch's rows with what is kept of the held ones, and compare them by content."""
    rows = completed(held, table, columns, batch)
    if ROW_HASH not in held.column_hints(table):  # a first run: there is nothing to look up
        none = pa.array([False] * rows.num_rows, pa.bool_())
        return Comparison(rows, is_new=pc.invert(none), is_same=none)
    ids, hashes = (rows.column(name).to_pylist() for name in (columns.key.name, ROW_HASH))
    known = dict(held.by_ids(table, columns.key.stored, ids, [ROW_HASH]))
    same = [known.get(id_) == hash_ for id_, hash_ in zip(ids, hashes, strict=True)]
    return Comparison(
        rows,
        is_new=pa.array([id_ not in known for id_ in ids], pa.bool_()),
        is_same=pa.array(same, pa.bool_()),
    )


def completed(held: HeldTables, table: str, columns: Columns, batch: Batch) -> pa.Table:
    """Return a batch's rows with all that is kept of the held ones."""
    rows = _with_unread_values(held, table, columns, batch)
    return with_hidden_columns(held, table, columns, rows)


def _with_unread_values(held: HeldTables, table: str, columns: Columns, batch: Batch) -> pa.Table:
    """Return a batch's rows with the held values of the fields that could not be read.

    A value that came and could not be converted is another matter: it stays null.
    """
    unread: dict[str, set[str]] = {}
    for rejected in batch.rejected:
        if rejected.field and not rejected.payload:
            unread.setdefault(rejected.field, set()).add(rejected.record_id)
    if not unread or not batch.table.num_rows:
        return batch.table
    ids = batch.table.column(columns.key.name)
    known = held.table_of(table, columns, ids.to_pylist())
    place = pc.index_in(ids, value_set=known.column(columns.key.name).combine_chunks())
    rows = batch.table.drop_columns([ROW_HASH])
    for name, records in unread.items():
        if (column := columns.named(name)) is None:
            continue
        at = rows.schema.get_field_index(column.name)
        of_these = ids.combine_chunks() if EVERY_RECORD in records else pa.array([*records])
        values = pc.if_else(
            pc.is_in(ids, value_set=of_these), known.column(column.name).take(place), rows[at]
        )
        rows = rows.set_column(at, rows.schema.field(at), values)
    return add_row_hash(rows)


def with_hidden_columns(held: HeldTables, table: str, columns: Columns, rows: pa.Table) -> pa.Table:
    """Append what is held in the columns that describe no longer shows; hash the whole row.

    The hash takes the kept values in: a field that comes back empty then differs from what was
    kept, and one that goes away changes no row.
    """
    if not columns.kept or not rows.num_rows:
        return rows
    hints = held.column_hints(table)
    ids = rows.column(columns.key.name).to_pylist()
    known = {
        row[0]: row[1:] for row in held.by_ids(table, columns.key.stored, ids, [*columns.kept])
    }
    rows = rows.drop_columns([ROW_HASH])
    for position, name in enumerate(columns.kept):
        values = [known[id_][position] if id_ in known else None for id_ in ids]
        rows = rows.append_column(
            _arrow_name(held, name, hints[name]),
            stored_array(values, str(hints[name]["data_type"]), table),
        )
    return add_row_hash(rows)


def _arrow_name(held: HeldTables, stored: str, hints: Mapping[str, Any]) -> str:
    """Return what a column is called in Arrow while its field is shown; the hash is over names."""
    field = str(hints.get(FIELD_HINT, stored))
    suffix = stored[len(held.name(field)) :]  # where another field had its name already
    return field + suffix if held.name(field + suffix) == stored else stored
