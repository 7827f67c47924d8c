"""Hold what the stages of a run found: each is written by its own stage only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from salesforce_targeted.arrow.id_counts import IdCounts
from salesforce_targeted.arrow.id_set import IdSet
from salesforce_targeted.retrieval.results import Gone


@dataclass(slots=True)
class RelationFindings:
    """Hold what the relations' stage found.

    Attributes:
        contacts, tasks: Ids that the rows read name.
        users: Ids of the users that the rows read name.
        changes: Contact or lead to how many more of its relations are shown than were held.
        left_reasons: Contact to the reason of its last relation's removal.
        whole: Whether every relation that counts was read.
        in_parts: Whether this run is one of several that one reading takes.
        is_deferred: Whether the rest of the reading was put off, for records that are not held.
        complete: Whether the reading came to its end.
        counts: Relations of each contact, where all were read.
        newest: The latest ``SystemModstamp`` read.
        read_ids: Relations read.
        read_settled: Those of them that are stamped before ``VisibleOrg.settled_before``.
        unread: Relations that the org shows and of which nothing can be read.
        removed_ids: Relations marked as removed.
    """

    contacts: IdSet = field(default_factory=IdSet)
    tasks: IdSet = field(default_factory=IdSet)
    users: set[str] = field(default_factory=set)
    changes: Counter[str | None] = field(default_factory=Counter)
    left_reasons: dict[str, str] = field(default_factory=dict)
    whole: bool = False
    in_parts: bool = False
    is_deferred: bool = False
    complete: bool = False
    counts: IdCounts | None = None
    newest: datetime | None = None
    read_ids: IdSet = field(default_factory=IdSet)
    unread: IdSet = field(default_factory=IdSet)
    read_settled: IdSet = field(default_factory=IdSet)
    removed_ids: IdSet = field(default_factory=IdSet)


@dataclass(slots=True)
class Selection:
    """Hold the ids that a run asks for.

    Attributes:
        new: The others, as an array of ``id_set``.
        known: Those that are held, or could not be read before.
        left_out: Those that a plain read left out before.
        later: Those of ``known`` and ``left_out`` that a pass which was cut short has yet to read.
        whole: Whether they are all there are.
        began_at: The org's clock before they were chosen: no cursor passes it.
    """

    new: pa.Array
    known: pa.Array
    left_out: pa.Array
    later: tuple[pa.Array, pa.Array]
    whole: bool
    began_at: datetime

    def __len__(self) -> int:
        return len(self.new) + len(self.known) + len(self.left_out)


@dataclass(slots=True)
class RecordFindings:
    """Hold what became of the records that one stage asked for.

    Attributes:
        answered: Ids of which the org said something.
        is_deferred: Whether what is held was put off, for the calls don't suffice.
        goes_on: Whether earlier runs, whose calls ended, have read a part of what is held.
        selection: The ids that the stage asks for; see ``id_selection``.
        gone: Id to what became of a record that the org does not return.
        rejected: Ids of records that could not be read or loaded.
        archived: Ids that only the archive shows.
        users: Ids of the users that the rows name.
        newest: The latest ``SystemModstamp`` read.
    """

    answered: IdSet = field(default_factory=IdSet)
    is_deferred: bool = False
    goes_on: bool = False
    selection: Selection | None = None
    gone: dict[str, Gone] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)
    archived: list[str] = field(default_factory=list)
    users: set[str] = field(default_factory=set)
    newest: datetime | None = None
