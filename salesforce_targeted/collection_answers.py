"""What an sObject Collections answer says of the ids asked for: a batch of rows, and who is absent.

Source: REST API Developer Guide, "Get Multiple Records with sObject Collections" (``null`` for an
id that is invalid or not accessible).
"""

from __future__ import annotations

from salesforce_targeted.api import json_rows, wire
from salesforce_targeted.api.errors import TruncatedAnswerError
from salesforce_targeted.columns import Columns
from salesforce_targeted.json_records import from_json
from salesforce_targeted.tables import Batch

# Rows, and the ids that a plain read does not show.
Answer = tuple[Batch, list[str]]


def read_rows(response: wire.Response, asked: list[str], columns: Columns) -> Answer:
    """Read a Collections answer.

    Raises:
        TruncatedAnswerError: not as many entries as ids, or records that were not asked for.
    """
    batch = from_json(json_rows.raw_collection(response, len(asked)), columns)
    came = batch.table.column(columns.key.name).to_pylist()
    if came == asked:
        return batch, []
    found = set(came)
    if len(found) < len(came) or not found <= set(asked):
        raise TruncatedAnswerError("a Collections answer with records that weren't asked for")
    return batch, [id_ for id_ in asked if id_ not in found]
