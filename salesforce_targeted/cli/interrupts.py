"""Ctrl-C ends the process: within seconds whatever is on the way, at once the second time.

A thread that waits for a response can't be interrupted, and Python waits for its threads when it
ends. A run may be killed at any instant, so it is: the next run goes on from what was loaded.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from salesforce_targeted.cli import exit_codes

SECONDS_TO_END = 3.0
_MESSAGE = b"\ninterrupted; the next run goes on from here (Ctrl-C again ends at once)\n"


@contextmanager
def ended_soon(seconds: float = SECONDS_TO_END) -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` in the block on Ctrl-C, and end the process so long after it.

    Nothing changes where Ctrl-C is ignored, or where the block does not run in the main thread,
    which alone gets signals.
    """
    interrupted = threading.Event()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        if interrupted.is_set():
            os._exit(exit_codes.FAILED)
        interrupted.set()
        with suppress(OSError, ValueError):  # a stderr that is closed, or no file
            # Not print: the signal may have come in the middle of one.
            os.write(sys.stderr.fileno(), _MESSAGE)
        end = threading.Timer(seconds, os._exit, [exit_codes.FAILED])
        end.daemon = True
        end.start()
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if not interrupted.is_set():
            signal.signal(signal.SIGINT, before)
