"""Stay up and repeat (``--every 60s``): a line for each pass, and each pass is a whole run.

Rules:
- A pass has its lock, its row in ``sf_sync_runs`` and its outcome as any other run; its report is
  that row and no file.
- A pass that fails is told, and the next one is tried. What people must fix (credentials,
  settings, permissions, another org) ends the repetition, with that error's exit code.
- Passes begin so many seconds apart; one that takes longer is followed by the next at once.
- Where the passes would spend the calls that the org has left for its day, they come less often.
- Ctrl-C and SIGTERM end it cleanly, exit code 0: between two passes at once, within a pass after
  it, or in seconds where it takes longer.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING

from salesforce_targeted.api import errors
from salesforce_targeted.cli import exit_codes
from salesforce_targeted.extract.org_changes import ChangedOrgError
from salesforce_targeted.run_facts import RunFacts
from salesforce_targeted.sync.runner import Outcome

if TYPE_CHECKING:
    from rich.text import Text

_log = logging.getLogger("salesforce_targeted")

_DAY_SECONDS = 86_400
# However few calls are left, it looks again within the hour: Salesforce counts the last 24 hours.
LONGEST_PAUSE_SECONDS = 3_600.0
_PASSES_COUNTED = 5
_FOR_PEOPLE = (
    errors.ConfigurationError, errors.AuthenticationError, errors.PermissionDeniedError,
    errors.NotFoundError, ChangedOrgError,
)  # fmt: skip
_STYLES = {"done": "green", "partial": "yellow", "failed": "red"}


def repeat(
    one_pass: Callable[[], Outcome],
    show: Callable[[RunFacts], None],
    seconds: float,
    ending: threading.Event,
    *,
    reserve: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Make passes until one fails with what only people can fix, or until it is told to end.

    Args:
        seconds: From the beginning of a pass to that of the next one.
        reserve: Share of the org's calls that is left to others (``daily_call_reserve``).
        clock: Gives seconds; only differences count.

    Returns:
        The exit code: 0 where it was told to end, else that of the last pass's error.
    """
    spent: deque[int] = deque(maxlen=_PASSES_COUNTED)
    first, pause = True, seconds
    while True:
        begun = clock()
        outcome = one_pass()
        show(outcome.facts)
        if isinstance(outcome.error, _FOR_PEOPLE):
            return exit_codes.of_error(outcome.error)
        if not first:  # which loads all there is, and tells nothing of those that follow
            spent.append(outcome.facts["calls"]["total"])
        first, before = False, pause
        pause = lasting_seconds(seconds, spent, outcome, reserve)
        if pause > seconds and pause != before:
            _log.warning(
                "passes every %g s would spend the org's calls within its day: one every %g s from"
                " now on",
                seconds,
                pause,
            )
        elif pause < before:
            _log.warning("the org has calls enough again: a pass every %g s from now on", seconds)
        gc.collect()  # this process looks for garbage seldom: it grew by a megabyte a pass
        if ending.wait(max(0.0, begun + pause - clock())):
            return exit_codes.DONE


def lasting_seconds(
    seconds: float, spent: deque[int], outcome: Outcome, reserve: float = 0.0
) -> float:
    """Return how far apart passes can be begun so that the calls that are left last for a day.

    Source: Salesforce Developer Limits and Allocations, "API Request Limits" (of 24 hours).
    """
    if isinstance(outcome.error, errors.QuotaExceededError):
        return max(seconds, LONGEST_PAUSE_SECONDS)
    left = outcome.facts["calls"]["org_remaining"]
    if left is None or not spent:
        return seconds
    usable = left * (1 - reserve)
    needed = _DAY_SECONDS * median(spent) / usable if usable >= 1 else LONGEST_PAUSE_SECONDS
    return max(seconds, min(float(round(needed)), LONGEST_PAUSE_SECONDS))


def line(facts: RunFacts) -> Text:
    """Draw a pass in a line."""
    from rich.text import Text

    contacts, status = facts["contacts"], facts["status"]
    moved = ", ".join(f"{contacts[key]:,} {key}" for key in ("new", "updated", "gone"))
    what = facts["error"] or f"contacts {contacts['held']:,} held, {moved}"
    return Text.assemble(
        (f"{facts['started_at']:%Y-%m-%d %H:%M:%S}  ", "dim"),
        (f"{status:<8}", _STYLES.get(status, "")),
        f"{facts['calls']['total']:>4} calls {facts['seconds']:>6.1f} s  {what}",
    )
