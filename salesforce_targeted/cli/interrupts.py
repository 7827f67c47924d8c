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


Handler = Callable[[int, FrameType | None], None]


@contextmanager
def ended_soon(tell: Callable[[], None]) -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` in the block on a signal, and end the process so long after it.

    Nothing changes where Ctrl-C is ignored, or where the block does not run in the main thread.

    Args:
        tell: Called before the process is ended.
    """
    came = threading.Event()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        came.wait(_NAP_SECONDS)
        raise KeyboardInterrupt

    def end() -> None:
        try:
            tell()
        finally:
            os._exit(exit_codes.FAILED)

    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    timer = threading.Timer(SECONDS_TO_END, end)
    with _heard(came, interrupt, timer, _MESSAGE, exit_codes.FAILED):
        yield


@contextmanager
def asked_to_end() -> Iterator[threading.Event]:
    """Let Ctrl-C and SIGTERM ask the block to end, and give it ``SECONDS_OF_A_PASS`` to do so.

    The process ends with 0 after it, or at once on a second signal: a run that is cut off there is
    completed by the next one. Outside the main thread nothing is asked.
    """
    asked, timer = (
        threading.Event(),
        threading.Timer(SECONDS_OF_A_PASS, os._exit, [exit_codes.DONE]),
    )
    try:
        with _heard(asked, lambda _signal, _frame: None, timer, _ENDING, exit_codes.DONE):
            yield asked
    finally:
        timer.cancel()


@contextmanager
def _heard(
    came: threading.Event, handler: Handler, timer: threading.Timer, message: bytes, code: int
) -> Iterator[None]:
    """Note a signal in the block, tell it, and start the timer; a second one ends the process.

    It is heard in a thread: the main one, which alone gets signals, may wait in a driver's C, say
    for a server that says nothing.
    """

    def heed() -> None:
        while number := heard.recv(1):
            if signal.getsignal(number[0]) is not handler:
                continue  # the block has another handler now
            if came.is_set():
                os._exit(code)
            with suppress(OSError, ValueError):  # a stderr that is closed, or no file
                # Not print: the signal may have come in the middle of one.
                os.write(sys.stderr.fileno(), message)
            timer.start()
            came.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard, sent = socket.socketpair()
    sent.settimeout(0)
    timer.daemon = True
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    wakes = signal.set_wakeup_fd(sent.fileno())
    threading.Thread(target=heed, name="signals", daemon=True).start()
    try:
        yield
    finally:
        if not came.is_set():
            signal.set_wakeup_fd(wakes)
            for number, old in before.items():
                signal.signal(number, old)
            sent.close()
