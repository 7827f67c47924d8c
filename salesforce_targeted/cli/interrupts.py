"""End the process on Ctrl-C or SIGTERM: within seconds what is on the way, at once the second time.

A thread that waits for a response can't be interrupted, and Python waits for its threads when it
ends. A run may be killed at any instant, so it is: the next run goes on from what was loaded.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from salesforce_targeted.cli import exit_codes
from salesforce_targeted.cli.screen import INTERRUPTED

SECONDS_TO_END = 3.0
SECONDS_OF_A_PASS = 10.0
_NAP_SECONDS = 0.2
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ENDING = b"\nending after this pass, or in ten seconds (again: at once)\n"
_MESSAGE = f"\n{INTERRUPTED} (Ctrl-C again ends at once)\n".encode()


@contextmanager
def ended_soon(tell: Callable[[], None]) -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` in the block on a signal, and end the process so long after it.

    Nothing changes where Ctrl-C is ignored, or where the block does not run in the main thread,
    which alone gets signals.

    Args:
        tell: Called before the process is ended.
    """
    interrupted = threading.Event()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        interrupted.wait(_NAP_SECONDS)
        raise KeyboardInterrupt

    def heed() -> None:
        # The main thread may wait in a driver's C, say for a server that says nothing.
        while number := heard.recv(1):
            if signal.getsignal(number[0]) is not interrupt:
                continue  # the block has another handler now
            if interrupted.is_set():
                os._exit(exit_codes.FAILED)
            _write(_MESSAGE)
            _end_after(SECONDS_TO_END, exit_codes.FAILED, tell)
            interrupted.set()

    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if threading.current_thread() is not threading.main_thread() or ignored:
        yield
        return
    heard, sent = socket.socketpair()
    sent.settimeout(0)
    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    wakes = signal.set_wakeup_fd(sent.fileno())
    threading.Thread(target=heed, name="signals", daemon=True).start()
    try:
        yield
    finally:
        if not interrupted.is_set():
            signal.set_wakeup_fd(wakes)
            for number, handler in before.items():
                signal.signal(number, handler)
            sent.close()


class Ending:
    """Tell whether the process shall end.

    Not an Event: a signal may come while the main thread holds its lock.
    """

    asked = False

    def wait(self, seconds: float) -> bool:
        """Sleep so long, or until it shall end; return whether it shall."""
        end = time.monotonic() + seconds
        while not self.asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _NAP_SECONDS))
        return self.asked


@contextmanager
def asked_to_end() -> Iterator[Ending]:
    """Let Ctrl-C and SIGTERM ask the block to end, and give it ``SECONDS_OF_A_PASS`` to do so.

    The process ends with 0 after it, or at once on a second signal: a run that is cut off there is
    completed by the next one. Outside the main thread nothing is asked.
    """
    ending = Ending()
    timers: list[threading.Timer] = []

    def end(_signal: int, _frame: FrameType | None) -> None:
        if ending.asked:
            os._exit(exit_codes.DONE)
        ending.asked = True
        _write(_ENDING)
        timers.append(_end_after(SECONDS_OF_A_PASS, exit_codes.DONE))

    if threading.current_thread() is not threading.main_thread():
        yield ending
        return
    before = {number: signal.signal(number, end) for number in _SIGNALS}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for timer in timers:
            timer.cancel()


def _write(message: bytes) -> None:
    with suppress(OSError, ValueError):  # a stderr that is closed, or no file
        # Not print: the signal may have come in the middle of one.
        os.write(sys.stderr.fileno(), message)


def _end_after(
    seconds: float, code: int, tell: Callable[[], None] = lambda: None
) -> threading.Timer:
    def end() -> None:
        try:
            tell()
        finally:
            os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return timer
