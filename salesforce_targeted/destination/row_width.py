"""Tell which rows don't fit into a page of PostgreSQL, so that one of them does not end a load.

Rules:
- A row lies on one page of 8,192 bytes, of which 8,160 are its own. A text of more than 23 bytes
  can be moved out of the row and leaves a pointer of 18 bytes; shorter texts and everything else
  stay, so some 340 filled columns or more are needed to be too wide.
- Columns that others added to a table are not known here, nor what compression makes of a text.

Source: PostgreSQL Documentation, "Database Page Layout", "TOAST"; "Limits" (field size).
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.arrow.batch import Batch, Rejected
from salesforce_targeted.arrow.columns import Columns

MAX_ROW_BYTES = 8160
_HEADER_BYTES, _ALIGNMENT = 23, 8
_POINTER_BYTES, _LONGEST_INLINE = 18, 24
# Bytes, of which a column begins at a multiple of as many; but for a truth value it is 4 or 8.
_FIXED_BYTES = {pa.bool_(): 1, pa.date32(): 4}


def reject_wide_rows(batch: Batch, columns: Columns, object_name: str) -> Batch:
    """Move the rows of a batch that PostgreSQL can't hold to its rejected records."""
    wide = too_wide(batch.table)
    if not pc.any(wide).as_py():
        return batch
    error = (
        f"the row needs more than the {MAX_ROW_BYTES:,} bytes of a PostgreSQL row: name the fields"
        f" that are needed in the setting `fields`, or, where it is not for {object_name}, hide"
        " some from the Salesforce user (Field-Level Security)"
    )
    ids = batch.table.column(columns.key.name).filter(wide).to_pylist()
    rejected = [Rejected(object_name, id_, "", error, "") for id_ in ids]
    return replace(
        batch, table=batch.table.filter(pc.invert(wide)), rejected=[*batch.rejected, *rejected]
    )


def too_wide(table: pa.Table) -> pa.Array:
    """Tell for each row whether PostgreSQL can't hold it, as booleans.

    Args:
        table: The columns in the order in which the stored table has them.
    """
    none = pa.repeat(pa.scalar(False), table.num_rows)  # noqa: FBT003
    if _LONGEST_INLINE * table.num_columns + _HEADER_BYTES * 2 < MAX_ROW_BYTES:
        return none
    width = pa.repeat(pa.scalar(0, pa.int64()), table.num_rows)
    nulls = none
    for column in table.combine_chunks().columns:
        values = column.combine_chunks()
        present = pc.is_valid(values)
        if pa.types.is_string(values.type):
            size = pc.add(pc.binary_length(values), 1)
            size = pc.if_else(pc.greater(size, _LONGEST_INLINE), _POINTER_BYTES, size)
            end = pc.add(width, size)
        else:
            size = _FIXED_BYTES.get(values.type, 8)
            end = pc.add(_aligned(width, size), size)
        width = pc.if_else(present, end, width)
        nulls = pc.or_(nulls, pc.invert(present))
    bitmap = -(-table.num_columns // 8)
    header = pc.if_else(nulls, _aligned(_HEADER_BYTES + bitmap), _aligned(_HEADER_BYTES))
    return pc.greater(_aligned(pc.add(width, header)), MAX_ROW_BYTES)


def _aligned(width: pa.Array | int, to: int = _ALIGNMENT) -> pa.Array:
    return pc.bit_wise_and(pc.add(width, to - 1), -to)
