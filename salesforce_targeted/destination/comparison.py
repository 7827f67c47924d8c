"""What could not be read of a record keeps the value that is held, where one is."""

from __future__ import annotations

import pyarrow as pa

from salesforce_targeted.arrow.batch import EVERY_RECORD, Batch, add_row_hash
from salesforce_targeted.arrow.columns import ROW_HASH, Columns
from salesforce_targeted.destination.held_tables import HeldTables


def kept(held: HeldTables, table: str, columns: Columns, batch: Batch) -> pa.Table:
    """A batch's rows with the held values in the place of those that could not be read.

    A value that came and could not be converted is another matter: it stays null.
    """
    unread: dict[str, set[str]] = {}
    for one in batch.rejected:
        if one.field and not one.payload:
            unread.setdefault(one.field, set()).add(one.record_id)
    if not unread or not batch.table.num_rows:
        return batch.table
    ids = batch.table.column(columns.key.name).to_pylist()
    known = held.table_of(table, columns, ids)
    place = {id_: row for row, id_ in enumerate(known.column(columns.key.name).to_pylist())}
    rows = batch.table.drop_columns([ROW_HASH])
    for name, of in unread.items():
        column = columns.named(name)
        if column is None:
            continue
        was = known.column(column.name)
        values = [
            (was[place[id_]].as_py() if id_ in place else None)
            if EVERY_RECORD in of or id_ in of
            else value.as_py()
            for id_, value in zip(ids, rows.column(column.name), strict=True)
        ]
        at = rows.schema.get_field_index(column.name)
        rows = rows.set_column(at, rows.schema.field(at), pa.array(values, column.type))
    return add_row_hash(rows)
