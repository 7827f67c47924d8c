"""Find the ids of other records that rows name."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.extract.run import USER_FIELDS


def named_users(rows: pa.Table, columns: Columns) -> set[str]:
    """Return the ids of the users that rows name.

    Queues and groups, which can own a record, are not users.
    """
    named: set[str] = set()
    for field in USER_FIELDS:
        column = columns.named(field)
        if column is not None:
            ids = pc.unique(rows.column(column.name)).to_pylist()
            named.update(id_ for id_ in ids if id_ and id_.startswith("005"))
    return named
