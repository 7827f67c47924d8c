"""Count and time calls, and bound how many more may be made.

Rules:
1. A call is reserved before it is sent and settled afterwards, so several threads together can't
   cross a bound that each of them alone keeps.
2. Sign-in, whose session it is and the list of versions are not billed by Salesforce and not
   counted.
3. How many calls are on the way adapts: half as many after a ConcurrentRequests refusal, few while
   responses are slow, one more for every round that went well.

Source: "API Request Limits and Allocations" (calls of 20 seconds or longer: 25 at once, 5 in a
Developer Edition; shorter ones are not limited).
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from salesforce_targeted.api.errors import QuotaExceededError

_UNBILLED = {"userinfo", "versions"}
# Well below the 20 seconds from which on Salesforce counts calls that run at once …
_SLOW_SECONDS = 10.0
# … and below the five of them that the smallest edition allows.
_SLOW_AT_ONCE = 4


@dataclass(slots=True)
class CallOutcome:
    """Hold what became of one call; ``send`` fills it in."""

    billed: bool
    reached: bool = True  # the org may have seen it
    usage: tuple[int, int] | None = None  # as CallMeter.usage


class CallMeter:
    """Let calls through one by one, at most ``max_in_flight`` at once, and count them.

    Attributes:
        calls: The calls that the org may have seen, retries included, by kind; sign-in and versions
            are not billed and not counted.
        usage: (used, maximum) of the org's calls in 24 hours, as it last said; None before.
        reserve_calls: Calls of the org's 24 hours that are left to others; the next one is refused.
        calls_allowed: How many calls may be spent in all; None for no bound.
    """

    def __init__(self, max_in_flight: int) -> None:
        self.calls = Counter[str]()
        self.usage: tuple[int, int] | None = None
        self.reserve_calls = 0
        self.calls_allowed: int | None = None
        self._max_in_flight = max(1, max_in_flight)
        self._room = float(self._max_in_flight)
        self._in_flight = 0
        self._clock = 0
        self._usage_clock = 0
        self._seconds = defaultdict[str, float](float)
        self._rows, self._done = Counter[str](), Counter[str]()
        self._changed = threading.Condition()

    @contextmanager
    def call(self, kind: str, name: str) -> Iterator[CallOutcome]:
        """Wait for a free place, check the bounds, and count what happens inside.

        Raises:
            QuotaExceededError: this call would cross a bound; nothing may be sent.
        """
        billed = kind not in _UNBILLED
        with self._changed:
            # Until the org has said how much is left, one call is sent and the others wait for
            # its response.
            while self._in_flight >= int(self._room) or (
                self.reserve_calls > 0 and self.usage is None and self._in_flight
            ):
                self._changed.wait()
            if billed:
                self._check(name)
                # Before it is sent: a run that fails meanwhile tells of it, too.
                self.calls[kind] += 1
            self._in_flight += 1
            self._clock += 1
            started = self._clock
        metered, begun = CallOutcome(billed), time.monotonic()
        try:
            yield metered
        finally:
            with self._changed:
                self._in_flight -= 1
                if billed and not metered.reached:
                    self.calls -= Counter([kind])
                elif billed:
                    self._done[kind] += 1
                    self._seconds[kind] += time.monotonic() - begun
                if metered.usage is not None:
                    self._note(metered.usage, started)
                self._adapt(time.monotonic() - begun)
                self._changed.notify_all()

    @property
    def concurrency(self) -> int:
        """Count the calls that may be in flight now; the org's responses decide."""
        return int(self._room)

    @property
    def remaining(self) -> int | None:
        """Count the calls that the org still allows in these 24 hours; None before it said so."""
        return None if self.usage is None else max(0, self.usage[1] - self.usage[0])

    @property
    def left(self) -> int | None:
        """Count the calls that may still be spent; None for as many as one likes."""
        bounds = [] if self.calls_allowed is None else [self.calls_allowed - self.calls.total()]
        if self.remaining is not None:
            bounds.append(self.remaining - self.reserve_calls)
        return max(0, min(bounds)) if bounds else None

    def throttle(self) -> None:
        """Halve the calls in flight: the org refused one because too many were running."""
        with self._changed:
            self._room = max(1.0, self._room / 2)

    def _adapt(self, seconds: float) -> None:
        if seconds >= _SLOW_SECONDS:
            self._room = min(self._room, max(1.0, float(_SLOW_AT_ONCE)))
        else:
            self._room = min(float(self._max_in_flight), self._room + 1 / self._room)

    def _check(self, name: str) -> None:
        if self.calls_allowed is not None and self.calls.total() >= self.calls_allowed:
            raise QuotaExceededError(
                f"this run may spend {self.calls_allowed} calls and has spent them",
                remedy="Run again to go on, or allow more calls per run.",
                call=name,
            )
        if self.reserve_calls > 0 and self.usage is not None:
            used, maximum = self.usage
            if maximum - used - self._in_flight <= self.reserve_calls:
                raise QuotaExceededError(
                    f"the org has {max(0, maximum - used)} of its {maximum} calls left, and "
                    f"{self.reserve_calls} are reserved for others",
                    remedy="Run again later: Salesforce counts the calls of the last 24 hours.",
                    call=name,
                )

    def _note(self, usage: tuple[int, int], started: int) -> None:
        # Responses overtake each other. A smaller number counts only from a call that began after
        # the number we hold had arrived; otherwise it is older, and believing it would overspend.
        held = self.usage
        if held is None or held[1] != usage[1] or started > self._usage_clock or usage[0] > held[0]:
            self.usage = usage
        self._usage_clock = self._clock

    def add_rows(self, kind: str, rows: int) -> None:
        """Count rows that a call of this kind brought."""
        with self._changed:
            self._rows[kind] += rows

    def timings(self) -> dict[str, tuple[int, float, int]]:
        """Return kind -> (calls, seconds, rows)."""
        with self._changed:
            return {
                kind: (calls, self._seconds[kind], self._rows[kind])
                for kind, calls in self._done.items()
            }
