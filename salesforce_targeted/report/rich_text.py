"""Draw tables and paragraphs with rich: for a terminal, or as plain text."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, Group, RenderableType
    from rich.table import Table

    # Imported for its type alone: it loads Arrow, which cli.memory has to precede.
    from salesforce_targeted.run_facts import CallFacts


# Wider than any line: in a pipe rich would otherwise wrap at 80.
_UNBOUND = 100_000


def console(stream: TextIO) -> Console:
    """Make a console that styles nothing by itself."""
    from rich.console import Console

    output = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not output.is_terminal:
        output.width = _UNBOUND
    return output


def as_text(shown: RenderableType) -> str:
    """Render as for a stream that is no terminal, without spaces at the ends of lines."""
    stream = io.StringIO()
    console(stream).print(shown)
    return "\n".join(line.rstrip() for line in stream.getvalue().rstrip("\n").split("\n"))


def table(
    heads: Sequence[str], rows: Iterable[Sequence[Any]], *, texts: int = 1, notes: bool = False
) -> Table:
    """Draw a table without lines: names on the left, numbers on the right.

    Args:
        heads: Of the columns; none is shown if all are empty.
        rows: Texts and renderables as they are, whole numbers with separators, None as "-".
        texts: How many columns, from the left, are texts.
        notes: Whether the last column is text, too.
    """
    from rich.table import Table

    table = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(heads), header_style="dim"
    )
    for position, head in enumerate(heads):
        text = position < texts or (notes and position == len(heads) - 1)
        table.add_column(
            head, justify="left" if text else "right", overflow="fold", no_wrap=not text
        )
    for row in rows:
        table.add_row(*(shown(value) for value in row))
    return table


def plural(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def calls_left(calls: CallFacts) -> str:
    """Say how many of the org's calls are left, to end a sentence; "" where unknown."""
    left = calls["org_remaining"]
    return "" if left is None else f", {left:,} left (24 h)"


def shown(value: Any) -> Any:
    """Format a cell: a number with separators, a dash for what is not known."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else value


def paragraphs(*parts: RenderableType | None) -> Group:
    """Stack parts, an empty line between each two."""
    from rich.console import Group

    spaced = [each for part in parts if part is not None for each in ("", part)]
    return Group(*spaced[1:])


def notes(warnings: Sequence[str]) -> RenderableType | None:
    """Draw warnings, one below the other; None where there are none."""
    from rich.table import Table
    from rich.text import Text

    if not warnings:
        return None
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for warning in warnings:
        grid.add_row(Text("warning", "yellow"), warning)
    return grid
