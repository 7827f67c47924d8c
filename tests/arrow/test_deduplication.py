"""No load holds an id twice, whatever the batches say: the gate that each of them passes."""

from __future__ import annotations

import pyarrow as pa

from salesforce_targeted.arrow.deduplication import once_in_a_load


def table(*rows: tuple[str, int]) -> pa.Table:
    """Make a batch of ids and values."""
    return pa.table({"Id": [id_ for id_, _ in rows], "Value": [value for _, value in rows]})


def test_an_id_is_loaded_once_within_a_batch_and_over_all_of_them() -> None:
    """The first row of an id counts; a batch that is left empty is none."""
    batches = [
        table(("a", 1), ("b", 2), ("a", 3)),
        table(("b", 4), ("a", 5)),
        table(("c", 6), ("a", 7)),
        table(("d", 8)),
    ]
    loaded = [batch.to_pydict() for batch in once_in_a_load(iter(batches), lambda: "Id")]

    assert [
        {"Id": ["a", "b"], "Value": [1, 2]},
        {"Id": ["c"], "Value": [6]},
        {"Id": ["d"], "Value": [8]},
    ] == loaded
