"""A table of words as aligned text for a terminal, and as Markdown for a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Table:
    """Rows by name, each with a word for every column; a word that is not set is a dot."""

    title: str
    columns: Sequence[str]
    corner: str = ""
    rows: dict[str, dict[str, str]] = field(default_factory=dict)

    def put(self, row: str, column: str, word: str) -> None:
        """Set a cell; rows stand in the order in which they are first named."""
        self.rows.setdefault(row, {})[column] = word

    def text(self) -> str:
        """Columns under each other, two spaces apart."""
        lines = [[self.corner, *self.columns], *self._cells()]
        widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
        shown = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
        return "\n".join([self.title, "", *shown])

    def markdown(self) -> str:
        """Return a heading and a table."""
        lines = [[self.corner, *self.columns], ["---"] * (len(self.columns) + 1), *self._cells()]
        return "\n".join([f"## {self.title}", "", *(f"| {' | '.join(line)} |" for line in lines)])

    def _cells(self) -> list[list[str]]:
        return [
            [row, *(words.get(column, "·") for column in self.columns)]
            for row, words in self.rows.items()
        ]


@dataclass
class Findings:
    """Hold what one part of the command found.

    Attributes:
        name: What the file of its report is called.
        legend: What the words of the tables mean.
        totals: The last line: figures.
        broken: Promises that were broken, a sentence each, the cell named.
    """

    name: str
    tables: list[Table]
    legend: str
    totals: str
    broken: list[str]

    def text(self) -> str:
        """Everything, for a terminal."""
        shown = [table.text() for table in self.tables]
        return "\n\n".join([*shown, self.legend, *self._list_of_broken(), self.totals])

    def markdown(self) -> str:
        """Return the same as a page."""
        shown = [table.markdown() for table in self.tables]
        return "\n\n".join(
            [
                f"# {self.name.capitalize()}",
                *shown,
                self.legend,
                *self._list_of_broken(),
                self.totals,
            ]
        )

    def _list_of_broken(self) -> list[str]:
        return ["Broken promises:\n\n" + "\n".join(f"- {sentence}" for sentence in self.broken)][
            : len(self.broken)
        ]
