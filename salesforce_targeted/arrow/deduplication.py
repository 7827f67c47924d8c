"""Let no load hold an id twice in a table: the one gate that every batch passes.

An upsert does not dedupe: a new key that comes twice is inserted twice, without an error where no
index forbids it. Of two versions the first one is loaded; no cursor passes the moment at which the
reading began, so that the next run reads the later one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.arrow.id_set import IdSet, first_of_each


def once_in_a_load(batches: Iterator[pa.Table], key: Callable[[], str]) -> Iterator[pa.Table]:
    """Yield tables without the rows whose id an earlier row has, and none that is empty.

    Args:
        key: Gives the column of the ids.
    """
    loaded = IdSet()
    for batch in batches:
        ids = batch.column(key())
        new = first_of_each(ids, pc.invert(loaded.marks(ids)))
        loaded.add(ids)
        rows = batch if pc.all(new, min_count=0).as_py() else batch.filter(new)
        if rows.num_rows:
            yield rows
