"""Hold what comes of ids that were asked for: rows, what is gone and why, what was rejected."""

from __future__ import annotations

from dataclasses import dataclass, field

from salesforce_targeted.arrow.batch import Batch

DELETED, MERGED, HIDDEN = "deleted", "merged", "hidden"


@dataclass(frozen=True, slots=True)
class Gone:
    """Name an id that the org no longer returns, and why.

    Attributes:
        reason: ``deleted``, ``merged`` or ``hidden`` (which a purged record can't be told from).
        merged_into: The record that survived the last merge, if one is known.
        trail_ends: Whether no API shows that record: it may have been merged on, then purged.
    """

    id: str
    reason: str
    merged_into: str | None = None
    trail_ends: bool = False


@dataclass(slots=True)
class Retrieved:
    """Hold what came of some of the ids asked for.

    Attributes:
        batch: The rows of records that are there.
        last_rows: Rows of deleted and merged records, as the org still shows them.
        archived: Ids in ``batch`` that only the archive shows.
    """

    batch: Batch
    last_rows: Batch | None = None
    gone: list[Gone] = field(default_factory=list)
    archived: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.batch)
