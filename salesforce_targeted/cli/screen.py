"""Show results: tables, marks and colour on a terminal, plain lines anywhere else.

Rules:
- Colour, spinners and marks beyond ASCII stand on a terminal only; NO_COLOR and FORCE_COLOR are
  obeyed (rich reads them).
- In a pipe or a file nothing is wrapped, so that a line can be searched for.
- A character that a stream can't write becomes "?"; it ends nothing. Nor does a reader that leaves,
  as ``head`` does: the exit code is that of the work.
- rich is imported when something is shown: ``--json`` and ``--help`` need not wait for it.

Source: Python Documentation, "Note on SIGPIPE" (the interpreter flushes both streams at its end).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from salesforce_targeted.report.rich_text import as_text, console

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

F = TypeVar("F", bound=Mapping[str, object])
INTERRUPTED = "interrupted; the next run goes on from here"
_MARKS = {"ok": ("✓", "ok", "green"), "note": ("!", "note", "yellow"), "fail": ("✗", "FAIL", "red")}


class Screen:
    """Write the two streams of a run.

    Args:
        prog: What the program is called in front of an error.
        json: Results are one JSON object; nothing else goes to stdout.
        logs: dlt's log lines are shown, which a display would be drawn across.

    Attributes:
        so_far: Gives the report of what was done before an interruption.
    """

    def __init__(self, prog: str, *, json: bool, logs: bool) -> None:
        self.json = json
        self.so_far: Callable[[], Mapping[str, object]] = dict
        self._reported, self._reporting = False, threading.Lock()
        self._logs = logs
        self._prog = prog
        # A service may start a program without a stream: opened first of all, "nowhere" takes its
        # number, which would be that of the database's file otherwise.
        self._out = sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123  # as long as the program
        self._err = sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
        for stream in (self._out, self._err):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")

    @cached_property
    def out(self) -> Console:
        """Return the console of stdout, for results."""
        return console(self._out)

    @cached_property
    def err(self) -> Console:
        """Return the console of stderr, for progress and the log."""
        return console(self._err)

    @property
    def live(self) -> bool:
        """Return whether progress is drawn on stderr: on terminals that move their cursor."""
        if self.json or self._logs:
            return False
        return self._err.isatty() and not self.err.is_dumb_terminal

    def report(self, facts: F, drawing: Callable[[F], RenderableType]) -> None:
        """Print the report of a command: as JSON, or as it is drawn for people."""
        if self.json:
            from salesforce_targeted.destination.sync_runs import as_json

            self._reported = True
            with _though_unread(self._out):
                print(as_json(facts), file=self._out)
        else:
            self.show(drawing(facts))

    def interrupted(self) -> None:
        """Print, as JSON, what was done so far, if no report was printed."""
        with self._reporting:
            if self.json and not self._reported:
                self.report({"status": "failed", **self.so_far(), "error": INTERRUPTED}, str)

    def show(self, result: RenderableType) -> None:
        """Print a result; in a pipe or a file without spaces at line ends."""
        with _though_unread(self._out):
            if self.out.is_terminal:
                self.out.print(result)
            else:
                print(as_text(result), file=self._out)

    def error(self, sentence: str) -> None:
        """Print on stderr what went wrong, in one paragraph."""
        from rich.text import Text

        with _though_unread(self._err):
            self.err.print(Text.assemble((f"{self._prog}: ", "bold red"), sentence))

    def close(self) -> None:
        """Write out what log lines left behind, while a reader that has gone can still be told."""
        with _though_unread(self._err):
            pass

    def busy(self, doing: str) -> AbstractContextManager[Any]:
        """Draw a spinner while the block runs, where progress is drawn.

        On stderr, where the log goes, too: two consoles would draw across each other. Nothing may
        be shown on stdout before it is gone.
        """
        return self.err.status(doing, spinner_style="cyan") if self.live else nullcontext()


@contextmanager
def _though_unread(stream: TextIO) -> Iterator[None]:
    """Write to a stream in the block, and to nowhere from then on if that fails.

    Raises:
        OSError: not for want of a reader: a disk that is full, which the interpreter would meet
            once more at its end, with an exit code of its own.
    """
    try:
        yield
        print(end="", file=stream, flush=True)  # unlike flush(), where there is no stream, too
    except (OSError, SystemExit) as error:  # the latter is what rich makes of a broken pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            raise


def mark(kind: str, of: Console) -> tuple[str, str]:
    """Return the mark of a check (``ok``, ``note``, ``fail``) and its style for a console."""
    sign, word, style = _MARKS[kind]
    plain = not of.is_terminal or not of.encoding.lower().startswith("utf")
    return (f"{word:<4}" if plain else sign), style


class ConsoleHandler(logging.Handler):
    """Log lines above a progress display, short: the time of day and what happened."""

    def __init__(self, of: Console) -> None:
        super().__init__()
        self._console = of

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        from rich.text import Text

        try:
            line = self.format(record)
            style = "yellow" if record.levelno == logging.WARNING else ""
            style = "red" if record.levelno > logging.WARNING else style
            time, _, rest = line.partition(" ")
            self._console.print(Text.assemble((f"{time} ", "dim"), (rest, style)), soft_wrap=True)
        except Exception:  # noqa: BLE001  # logging's own rule: a line that fails ends nothing
            self.handleError(record)
