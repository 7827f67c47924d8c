"""What a run changed in contacts' lives: what was known, what it saw, the difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

import pyarrow as pa

from salesforce_targeted import life
from salesforce_targeted.discovery import discovered
from salesforce_targeted.held import ACTIVE_CONTACTS, CONTACTS
from salesforce_targeted.life import Life, Sighting
from salesforce_targeted.retrieval import Gone, Refreshed
from salesforce_targeted.run import Run

# Lives are read and compared so many at a time: memory stays flat for any number of contacts.
_LIVES_AT_ONCE = 10_000


def changed_lives(run: Run) -> Iterator[pa.Table]:
    """Yield rows of ``sf_active_contacts`` that this run changed or began."""
    held = run.held
    key, *others = [held.name(name) for name in life.SCHEMA.names]
    books = run.contacts or Refreshed()
    came = run.asked_contacts - books.gone.keys() - books.rejected
    seen = _sighting(run, books)
    everyone = {
        *held.ids(ACTIVE_CONTACTS, key),
        *held.ids(CONTACTS, run.columns(CONTACTS).key.stored),
        *came,
        *seen.counts,
        *seen.gone,
    }
    ids = sorted(everyone)
    for start in range(0, len(ids), _LIVES_AT_ONCE):
        some = ids[start : start + _LIVES_AT_ONCE]
        known = {row[0]: Life(*row) for row in held.by_ids(ACTIVE_CONTACTS, key, some, others)}
        lives = life.changed_among(some, known, seen)
        if lives:
            yield life.to_table(lives)


def _sighting(run: Run, books: Refreshed) -> Sighting:
    before = run.state.get("discovered_at")
    if run.scope.complete:
        counts = discovered(run)
        run.state["discovered_at"] = run.ledger.started_at.isoformat()
    else:
        counts = {who: run.held_relations[who] for who in run.named_contacts}
    return Sighting(
        counts=counts,
        complete=run.scope.complete,
        gone=_with_known_winners(run, books.gone),
        rejected=frozenset(books.rejected),
        asked=run.asked_contacts,
        left_reasons=run.left_reasons,
        now=run.ledger.started_at,
        before=datetime.fromisoformat(before) if before else None,
    )


def _with_known_winners(run: Run, gone: Mapping[str, Gone]) -> dict[str, Gone]:
    """Where a trail of merges ends at a purged record: the last winner that a run has seen."""
    ended = {id_: one for id_, one in gone.items() if one.trail_ends and one.merged_into}
    asked = {*ended, *(one.merged_into for one in ended.values() if one.merged_into)}
    known = dict(run.held.by_ids(ACTIVE_CONTACTS, "contact_id", sorted(asked), ["merged_into"]))
    later = {
        id_: replace(
            one, merged_into=known.get(one.merged_into or "") or known.get(id_) or one.merged_into
        )
        for id_, one in ended.items()
    }
    return {**gone, **later}
