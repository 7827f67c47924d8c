"""An org that moves while a client reads it: changes between two calls, pages that shift.

``org.moves.before_call("query_more", lambda: org.log_task([id]))`` changes the org between two
pages; ``org.moves.at_random(seed=3, share=0.5)`` changes it before every second call or so.
All of it is off until a test calls it, and ``org.moves.stop()`` ends it.

Rules:
- A change happens under the org's lock, before the call sees anything; the clock moves first.
- From the first such change on, the org keeps its history (:meth:`OrgHistory.versions`).
- Kinds are those of :data:`salesforce_targeted.demo_org.faults.faults.KINDS`, and ``part``: a
  subrequest of a composite, for which subrequests run one after the other.

No guide promises that two calls, or two pages of one cursor, see one snapshot; that rows repeat or
are missing in the pages of one cursor is [K].
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from salesforce_targeted.demo_org.changes.random_changes import CHANGES, EVERYDAY

if TYPE_CHECKING:
    from salesforce_targeted.demo_org.changes.org_changes import OrgChanges

PART = "part"


@dataclass
class _Waiting:
    """A change that waits for a call: of a kind, or of any billed one."""

    kind: str | None
    calls_left: int
    change: Callable[[], Any]


class Moves:
    """Change an org between the calls of a client.

    Attributes:
        seconds_per_call: How far the org's clock moves with each billed call.
        log: A sentence for each random change so far, with the call that it came before.
    """

    def __init__(self, org: OrgChanges) -> None:
        self._org = org
        self._waiting: list[_Waiting] = []
        self._rng: random.Random | None = None
        self._share, self._most = 0.0, 0
        self._names: tuple[str, ...] = EVERYDAY
        self._within_composites = False
        self._calls = 0
        self.seconds_per_call = 0.0
        self.log: list[str] = []

    def before_call(self, call: str | int, change: Callable[[], Any], *, nth: int = 1) -> None:
        """Let *change* happen once, right before a call.

        Args:
            call: A kind of call (``query_more``: between two pages), or the number of a billed
                call, 1 being the next one.
            nth: Which call of that kind from now on.
        """
        with self._org.lock:
            self._org.keep_history()
            kind, calls = (call, nth) if isinstance(call, str) else (None, call)
            self._waiting.append(_Waiting(kind, calls, change))

    def at_random(
        self, seed: int, share: float = 0.5, changes: Iterable[str] = EVERYDAY, *, most: int = 3,
        within_composites: bool = False, seconds_per_call: float = 1.0,
    ) -> None:  # fmt: skip
        """Let things happen before calls, the same ones for one seed and the same calls.

        Args:
            share: Before which share of the billed calls anything happens, 0 to 1.
            changes: Names of :data:`CHANGES`.
            most: At most so many changes before one call.
            within_composites: Whether the org also moves between the parts of a composite.
            seconds_per_call: How far the clock moves with each billed call.

        Raises:
            ValueError: no change has that name.
        """
        names = tuple(changes)
        if unknown := set(names) - set(CHANGES):
            raise ValueError(f"no change is called {sorted(unknown)}; see CHANGES")
        with self._org.lock:
            self._org.keep_history()
            self._rng = random.Random(seed)
            self._share, self._most, self._names = share, most, names
            self._within_composites = within_composites
            self.seconds_per_call = seconds_per_call

    def shift_pages(self, object: str, rows: int, queries: int = 1) -> None:
        """Let the pages of the next queries of an object shift against each other.

        Args:
            rows: Each page begins with so many of the last rows of the page before; as many rows
                are missing at the end, so that the sum still fits. Negative: so many rows are
                missing between two pages, and the last page is the shorter for it.
            queries: How many queries of more than one page shift so.
        """
        with self._org.lock:
            self._org.page_shifts.setdefault(object, []).extend([rows] * queries)

    def stop(self) -> None:
        """Let the org stand still again; what it was is kept."""
        with self._org.lock:
            self._waiting.clear()
            self._rng = None
            self.seconds_per_call = 0.0
            self._org.page_shifts.clear()

    def begin_call(self, kind: str, *, billed: bool) -> None:
        """Move the clock and make the changes that come before this call."""
        if billed and kind != PART:
            self._calls += 1
            if self.seconds_per_call:
                self._org.advance(self.seconds_per_call)
        for waiting in list(self._waiting):
            matches = billed and kind != PART if waiting.kind is None else waiting.kind == kind
            waiting.calls_left -= matches
            if matches and waiting.calls_left == 0:
                self._waiting.remove(waiting)
                waiting.change()
        if billed and (kind != PART or self._within_composites):
            self._move(kind)

    def _move(self, kind: str) -> None:
        rng = self._rng
        if rng is None or rng.random() >= self._share:
            return
        for _ in range(rng.randint(1, self._most)):
            name = rng.choice(self._names)
            sentence = CHANGES[name](self._org, rng)
            if sentence is not None:
                self.log.append(f"before call {self._calls} ({kind}): {sentence}")
