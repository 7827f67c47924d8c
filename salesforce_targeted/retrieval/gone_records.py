"""Ids that the org no longer returns, and what became of merged ones.

Source: SOAP API Developer Guide, "merge()": a loser names the winner in ``MasterRecordId``, and the
winner may have lost another merge since.
"""

from __future__ import annotations

from dataclasses import replace

from salesforce_targeted.api.models import Record
from salesforce_targeted.arrow.id_set import IdSet, among, id_array
from salesforce_targeted.retrieval.parts import Lessons
from salesforce_targeted.retrieval.query import shown_by_query_all
from salesforce_targeted.retrieval.results import Gone
from salesforce_targeted.retrieval.sobject_collections import RecordReader


def last_winners(
    reader: RecordReader, gone: list[Gone], records: dict[str, Record], shown: IdSet
) -> list[Gone]:
    """Follow chains of merges to the record that was never merged away itself.

    Asked for is what neither ``queryAll`` (``records``) nor a plain read (``shown``) has shown.
    Where the calls end first the chain is followed as far as it is known, and the reader's lessons
    say so.
    """
    winners = {loser.id: loser.merged_into for loser in gone if loser.merged_into}
    seen = {*records, *among(id_array(winners.values()), shown.ids).to_pylist()}
    unknown = set(winners.values()) - seen
    merges, asked = reader.columns.only(["MasterRecordId"]), set[str]()
    while unknown and merges.fields[1:]:
        asked |= unknown
        # A winner that can't be read costs its own trail, not the run.
        of_winners = replace(reader, columns=merges, lessons=Lessons())
        readable = shown_by_query_all(of_winners, sorted(unknown))
        reader.lessons.stopped = reader.lessons.stopped or of_winners.lessons.stopped
        seen |= readable.records.keys()
        winners |= {
            id_: record["MasterRecordId"]
            for id_, record in readable.records.items()
            if record.get("MasterRecordId")
        }
        unknown = set(winners.values()) - seen - asked

    def last(id_: str) -> str:
        passed = {id_}
        while (winner := winners.get(id_)) and winner not in passed:
            passed.add(winner)
            id_ = winner
        return id_

    ends = {loser.id: last(loser.merged_into) for loser in gone if loser.merged_into}
    return [
        replace(entry, merged_into=ends[entry.id], trail_ends=ends[entry.id] not in seen)
        if entry.id in ends
        else entry
        for entry in gone
    ]
