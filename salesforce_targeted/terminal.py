"""What the command line shows: tables, marks and colour on a terminal, plain lines anywhere else.

Rules:
- Colour, spinners and marks beyond ASCII stand on a terminal only; NO_COLOR and FORCE_COLOR are
  obeyed (rich reads them).
- In a pipe or a file nothing is wrapped, so that a line can be searched for.
- A character that a stream can't write becomes "?"; it ends nothing.
- rich is imported when something is shown: ``--json`` and ``--help`` need not wait for it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, Group, RenderableType
    from rich.table import Table

# Wider than any line: in a pipe rich would otherwise wrap at 80.
_UNBOUND = 100_000
_MARKS = {"ok": ("✓", "ok", "green"), "note": ("!", "note", "yellow"), "fail": ("✗", "FAIL", "red")}


class Screen:
    """The two streams of a run.

    Args:
        prog: What the program is called where it complains.
    """

    def __init__(self, prog: str, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._prog = prog
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        for stream in (self._out, self._err):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")

    @cached_property
    def out(self) -> Console:
        """Where results go."""
        return console(self._out)

    @cached_property
    def err(self) -> Console:
        """Where progress and the log go."""
        return console(self._err)

    @property
    def live(self) -> bool:
        """Whether somebody watches stderr: a terminal that can move its cursor."""
        return self._err.isatty() and not self.err.is_dumb_terminal

    def show(self, result: RenderableType) -> None:
        """Print a result; where it is searched and not looked at, without spaces at line ends."""
        if self.out.is_terminal:
            self.out.print(result)
        else:
            print(as_text(result), file=self._out)

    def complain(self, sentence: str) -> None:
        """Say on stderr what went wrong: one paragraph."""
        from rich.text import Text

        self.err.print(Text.assemble((f"{self._prog}: ", "bold red"), sentence))

    def busy(self, doing: str) -> AbstractContextManager[Any]:
        """A spinner while something takes its time; nothing where nobody watches.

        On stderr, for the log is there: two consoles would draw across each other. Nothing may be
        shown on stdout before it is gone.
        """
        return self.err.status(doing, spinner_style="cyan") if self.live else nullcontext()


def console(stream: TextIO) -> Console:
    """A console that styles what it is told to and guesses nothing."""
    from rich.console import Console

    made = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = _UNBOUND
    return made


def as_text(shown: RenderableType, width: int = _UNBOUND) -> str:
    """What a stream that is no terminal would show, without spaces at the ends of lines."""
    import io

    stream = io.StringIO()
    made = console(stream)
    made.width = width
    made.print(shown)
    return "\n".join(line.rstrip() for line in stream.getvalue().rstrip("\n").split("\n"))


def mark(kind: str, of: Console) -> tuple[str, str]:
    """The mark of a check (``ok``, ``note``, ``fail``) and its style, as this console can show."""
    sign, word, style = _MARKS[kind]
    plain = not of.is_terminal or not of.encoding.lower().startswith("utf")
    return (f"{word:<4}" if plain else sign), style


def table(
    heads: Sequence[str], rows: Iterable[Sequence[Any]], *, texts: int = 1, notes: bool = False
) -> Table:
    """A table without lines: names on the left, numbers on the right.

    Args:
        heads: Of the columns; none is shown if all are empty.
        rows: Texts and renderables as they are, whole numbers with separators, None as "-".
        texts: How many columns, from the left, are texts.
        notes: Whether the last column is text, too.
    """
    from rich.table import Table

    made = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(heads), header_style="dim"
    )
    for position, head in enumerate(heads):
        text = position < texts or (notes and position == len(heads) - 1)
        made.add_column(
            head, justify="left" if text else "right", overflow="fold", no_wrap=not text
        )
    for row in rows:
        made.add_row(*(shown(value) for value in row))
    return made


def api_calls(count: int) -> str:
    """So many API calls."""
    return f"{count:,} API call{'' if count == 1 else 's'}"


def shown(value: Any) -> Any:
    """A cell: a number with separators, a dash for what is not known."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else value


def paragraphs(*parts: RenderableType | None) -> Group:
    """Some things below each other, an empty line between each two."""
    from rich.console import Group
    from rich.text import Text

    kept = [part for part in parts if part is not None]
    spaced: list[RenderableType] = []
    for part in kept:
        spaced += [Text(""), part] if spaced else [part]
    return Group(*spaced)


def notes(facts: Any) -> RenderableType | None:
    """The warnings of a report, one below the other; None where there are none."""
    from rich.table import Table
    from rich.text import Text

    if not facts["warnings"]:
        return None
    made = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_header=False)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for warning in facts["warnings"]:
        made.add_row(Text("warning", style="yellow"), Text(warning))
    return made


class ConsoleHandler(logging.Handler):
    """Log lines above a progress display, short: the time of day and what happened."""

    def __init__(self, of: Console) -> None:
        super().__init__()
        self._console = of

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        from rich.text import Text

        try:
            said = self.format(record)
            style = "yellow" if record.levelno == logging.WARNING else ""
            style = "red" if record.levelno > logging.WARNING else style
            time, _, rest = said.partition(" ")
            self._console.print(Text.assemble((f"{time} ", "dim"), (rest, style)), soft_wrap=True)
        except Exception:  # noqa: BLE001  # logging's own rule: a line that fails ends nothing
            self.handleError(record)
