"""Keep what the org was at each call: every version that a row had, with its times.

Rules:
- The org is noted before each call is answered and where a test asks for the instant; a state that
  was over before any call came is no version, for no client can have seen it.
- Rows are never altered in place, so that noting an org copies references, not rows.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from salesforce_targeted.demo_org.storage.state import OrgState
from salesforce_targeted.demo_org.storage.tables import ContactTable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from salesforce_targeted.demo_org.storage.people import Row
    from salesforce_targeted.demo_org.storage.tables import Table

QUERY, QUERY_ALL, NOTHING = "query", "queryAll", "nothing"
_FLAGS = ("relations_outlive_contacts", "shared_activities", "hidden_objects", "outliving")


@dataclass(frozen=True)
class Version:
    """Hold what the APIs could show of a row from one instant to another.

    Attributes:
        since: The instant of the first call that could see it.
        until: The instant of the first call that could not; None while it lasts.
        shown_by: ``query``, ``queryAll`` (a deleted or archived row) or ``nothing``.
        row: The fields that our user could read, by name; None where nothing showed the row.
    """

    since: datetime
    until: datetime | None
    shown_by: str
    row: Row | None


class History:
    """Keep what an org was, from now on."""

    def __init__(self) -> None:
        self._moments: list[tuple[datetime, OrgState]] = []

    def note(self, org: OrgState) -> None:
        """Keep the org as it is now, if it differs from what was kept last."""
        last = self._moments[-1][1] if self._moments else None
        tables = {
            name: kept
            if last is not None and _content(kept := last.tables[name]) == _content(table)
            else table.frozen()
            for name, table in org.tables.items()
        }
        if last is not None and tables == last.tables and _flags(last) == _flags(org):
            return
        view = copy.copy(org)
        view.tables = tables
        view.hidden_objects, view.outliving = set(org.hidden_objects), set(org.outliving)
        self._moments.append((org.now, view))

    def versions(self, object: str, ids: Iterable[str] | None = None) -> dict[str, list[Version]]:
        """Return the versions of each row, oldest first; see :class:`Version`."""
        wanted = None if ids is None else list(ids)
        versions: dict[str, list[Version]] = {}
        for since, org in self._moments:
            live = org.rows(object, ids=wanted)
            every = org.rows(object, all_rows=True, ids=wanted) | live
            for id_ in every.keys() | versions.keys():
                shown_by = QUERY if id_ in live else QUERY_ALL if id_ in every else NOTHING
                self._add(versions.setdefault(id_, []), since, shown_by, every.get(id_))
        return versions

    @staticmethod
    def _add(known: list[Version], since: datetime, shown_by: str, row: Row | None) -> None:
        if known:
            if (known[-1].shown_by, known[-1].row) == (shown_by, row):
                return
            known[-1] = replace(known[-1], until=since)
        known.append(Version(since, None, shown_by, row))


class OrgHistory(OrgState):
    """An org that keeps what it was, once a test asks for it."""

    def __init__(self, tables: Iterable[Table], seed: int) -> None:
        super().__init__(tables, seed)
        self._history: History | None = None
        self.before_calls.append(lambda _kind, **_: self.instant())

    def keep_history(self) -> None:
        """Keep every version of every row from now on; off by default, for it takes room."""
        with self.lock:
            if self._history is None:
                self._history = History()
            self.instant()

    def instant(self) -> datetime:
        """Return the clock; what the org is now belongs to its history, if it keeps one."""
        with self.lock:
            if self._history is not None:
                self._history.note(self)
            return self.now

    def versions(self, object: str, ids: Iterable[str] | None = None) -> dict[str, list[Version]]:
        """Return all versions of each row since :meth:`keep_history`, oldest first, by id.

        Raises:
            ValueError: the org keeps no history.
        """
        with self.lock:
            if self._history is None:
                raise ValueError("call keep_history() first")
            self._history.note(self)
            return self._history.versions(object, ids)


def _content(table: Table) -> tuple[Any, ...]:
    """Return all that decides what a table shows; equal rows are the same object."""
    plain = (table.changed, table.hidden, table.unseen, table.entries)
    if isinstance(table, ContactTable):
        return (*plain, table.purged, table.patches, table.crowd.tiers)
    return plain


def _flags(org: OrgState) -> list[Any]:
    return [getattr(org, name) for name in _FLAGS]
