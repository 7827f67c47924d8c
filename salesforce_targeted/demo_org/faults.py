"""Misfortunes, on any call: what breaks, on which call, how often."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field


@dataclass
class Fault:
    """One misfortune.

    Attributes:
        match: A kind of call ("collections", "query" …), else a pattern searched in the path.
        action: A name of :data:`ACTIONS`.
        nth: The first matching call that it befalls, from 1.
        times: How many calls in a row it befalls.
        argument: What the action needs: seconds, a field's name, rows.
    """

    match: str
    action: str
    nth: int = 1
    times: int = 1
    argument: str | float | None = None
    seen: int = field(default=0, init=False)
    done: int = field(default=0, init=False)

    def befalls(self, kind: str, path: str) -> bool:
        """Count a call; True if this one is struck."""
        if self.match != kind and not re.search(self.match, path):
            return False
        self.seen += 1
        struck = self.nth <= self.seen < self.nth + self.times
        self.done += struck
        return struck


class Faults:
    """The misfortunes that wait in an org."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.waiting: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Let *fault* happen."""
        with self._lock:
            self.waiting.append(fault)
        return fault

    def clear(self) -> None:
        """No more misfortunes."""
        with self._lock:
            self.waiting.clear()

    def next_for(self, kind: str, path: str) -> Fault | None:
        """The fault that strikes this call, if any; counts the call for all of them."""
        with self._lock:
            struck = [fault for fault in self.waiting if fault.befalls(kind, path)]
        return struck[0] if struck else None
