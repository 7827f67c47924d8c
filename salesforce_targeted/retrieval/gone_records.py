"""Ids that the org no longer returns, and what became of merged ones.

Source: SOAP API Developer Guide, "merge()": a loser names the winner in ``MasterRecordId``, and the
winner may have lost another merge since.
"""

from __future__ import annotations

from dataclasses import replace

from salesforce_targeted.api import soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.models import Record
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.id_set import IdSet, among, id_array, in_batches
from salesforce_targeted.retrieval.results import Gone


def last_winners(
    client: SalesforceClient,
    gone: list[Gone],
    records: dict[str, Record],
    columns: Columns,
    shown: IdSet,
) -> list[Gone]:
    """Follow chains of merges to the record that was never merged away itself.

    Asked for is what neither ``queryAll`` (``records``) nor a plain read (``shown``) has shown.
    """
    winners = {one.id: one.merged_into for one in gone if one.merged_into}
    seen = {*records, *among(id_array(winners.values()), shown.ids).to_pylist()}
    unknown = set(winners.values()) - seen
    fields = [name for name in ("Id", "MasterRecordId") if columns.named(name)]
    asked: set[str] = set()
    while unknown and len(fields) == 2:  # noqa: PLR2004
        found = sorted(unknown)
        asked |= unknown
        per_call = soql.ids_that_fit(fields, columns.object_name, client.limits)
        for some in in_batches(found, per_call):
            statement = soql.select(fields, columns.object_name, soql.id_in(some))
            for record in client.records(statement, all_rows=True):
                seen.add(record["Id"])
                if record.get("MasterRecordId"):
                    winners[record["Id"]] = record["MasterRecordId"]
        unknown = set(winners.values()) - seen - asked

    def last(id_: str) -> str:
        passed = {id_}
        while (winner := winners.get(id_)) and winner not in passed:
            passed.add(winner)
            id_ = winner
        return id_

    ends = {one.id: last(one.merged_into) for one in gone if one.merged_into}
    return [
        replace(one, merged_into=ends[one.id], trail_ends=ends[one.id] not in seen)
        if one.id in ends
        else one
        for one in gone
    ]
