"""What tests of several threads wait for, and what they count."""

import threading
import time
from collections.abc import Callable

WAIT = 5.0  # seconds after which something that ought to happen has not


def until(condition: Callable[[], bool]) -> bool:
    """Wait for another thread; false if it takes too long."""
    end = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


class Most:
    """Count how many are inside at once, and the most that ever were."""

    def __init__(self):
        self.now, self.most, self._lock = 0, 0, threading.Lock()

    def __enter__(self):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_):
        with self._lock:
            self.now -= 1
