"""A clock on which pauses cost nothing: for processes that only play misfortunes, never for pytest.

A job that is stuck is waited for by the hour, and each call that fails is tried again after a pause.
A sleep ends at once, and the time has gone by.
"""

from __future__ import annotations

import threading
import time
from typing import Any

_SHORT_SECONDS = 0.05  # what others poll with; it is slept, or they would spin


def hurry() -> None:
    """Replace this process's ``time.sleep`` and ``time.monotonic``; before anything binds them."""
    sleep, monotonic, lock = time.sleep, time.monotonic, threading.Lock()
    skipped = 0.0

    def quick_sleep(seconds: Any) -> None:
        nonlocal skipped
        sleep(min(seconds, _SHORT_SECONDS))
        with lock:
            skipped += max(0.0, seconds - _SHORT_SECONDS)

    def quick_monotonic() -> float:
        return monotonic() + skipped

    time.sleep, time.monotonic = quick_sleep, quick_monotonic
