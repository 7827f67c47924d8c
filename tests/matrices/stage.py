"""A served org, a folder, and any checkout's command line run there as a process.

What is held is compared with the org by itself: nothing of the library is imported here but the
demo org, so that a checkout of another commit is judged as this one is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, time
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from salesforce_targeted.demo_org import DemoOrg, serve

DONE, WRONG_USE, PARTIAL, DRIFT = 0, 2, 3, 4  # exit codes
FILE = "targeted_contacts.duckdb"
_NOT_OURS = ("SALESFORCE_", "SOURCES__", "DESTINATION_", "TARGETED_CONTACTS__")
_MOST_SECONDS = 300


class StoppedError(Exception):
    """A run that a story needs did not end well."""


@dataclass(frozen=True)
class Ended:
    """Hold how a process ended."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        """Return what ``--json`` printed; nothing, where it did not come to that."""
        return dict(json.loads(self.out)) if self.out.startswith("{") else {}

    @property
    def message(self) -> str:
        """Return why the run stopped, and what it warned of."""
        if not self.facts:
            return self.err.strip()[-300:]
        return " ".join([self.facts.get("error") or "", *self.facts.get("warnings", ())]).strip()


class Stage:
    """An org that is served, and the checkout that syncs it in a folder of its own.

    Attributes:
        environ: What the environment of each run has besides: a session of the org.
    """

    def __init__(self, library: Path, folder: Path, org: DemoOrg) -> None:
        self.org, self._server = org, serve(org)
        self.url, self.token = self._server.url, self._server.token
        self.environ = {
            "SALESFORCE_INSTANCE_URL": self.url,
            "SALESFORCE_ACCESS_TOKEN": self.token,
        }
        self._library, self._folder = library, folder
        folder.mkdir()

    def close(self) -> None:
        """Serve no longer."""
        self._server.close()

    def configure(self, name: str, text: str) -> None:
        """Write a file of dlt's configuration."""
        file = self._folder / ".dlt" / name
        file.parent.mkdir()
        file.write_text(text, "utf-8")

    def run(self, *argv: str, **settings: Any) -> Ended:
        """Run the command line once, with settings of the source."""
        script = self._library / "pipelines" / "targeted_contacts.py"
        return self.python(str(script), "--json", "--destination", "duckdb", *argv, **settings)

    def ok(self, *argv: str, **settings: Any) -> None:
        """Run the command line once.

        Raises:
            StoppedError: it did not succeed.
        """
        ended = self.run(*argv, **settings)
        if ended.code:
            raise StoppedError(f"exit {ended.code}: {ended.message}")

    def python(self, *argv: str, **settings: Any) -> Ended:
        """Run a Python process that imports the checkout."""
        clean = {name: text for name, text in os.environ.items() if not name.startswith(_NOT_OURS)}
        given = {f"SOURCES__SALESFORCE_TARGETED__{k.upper()}": str(v) for k, v in settings.items()}
        ours = {
            "PYTHONPATH": str(self._library),
            "DLT_DATA_DIR": str(self._folder / "dlt"),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            **self.environ,
        }
        ended = subprocess.run(
            [sys.executable, *argv], cwd=self._folder, env={**clean, **given, **ours},
            capture_output=True, text=True, timeout=_MOST_SECONDS, check=False,
        )  # fmt: skip
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def before(self, path: str, change: Callable[[], object], nth: int = 1) -> None:
        """Let *change* happen once, right before the nth call with that in its path."""
        calls = count(1)

        def look(_kind: str, **_: object) -> None:
            if path in self.org.arrived[-1][1] and next(calls) == nth:
                change()

        self.org.before_calls.append(look)

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """Return the rows of a statement; none where there is no such table."""
        with duckdb.connect(str(self._folder / FILE)) as held:
            try:
                cursor = held.execute("USE salesforce").execute(statement)
            except duckdb.CatalogException:
                return []
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def count(self, table: str, where: str = "true") -> int:
        """Count rows that are held."""
        return len(self.sql(f"SELECT 1 FROM {table} WHERE {where}"))

    def differences(self) -> Iterator[str]:
        """Compare relations, contacts and tasks with the org, value by value; sentences."""
        relations = self.org.rows("TaskWhoRelation")
        yield from self._compare("sf_taskwhorelations WHERE removed_at IS NULL", relations)
        yield from self._compare("sf_contacts", self.org.rows("Contact", ids=self.org.active_ids()))
        tasks = self.org.rows(
            "Task", all_rows=True, ids={row["TaskId"] for row in relations.values()}
        )
        live = {id_: row for id_, row in tasks.items() if not row["IsDeleted"]}
        yield from self._compare("sf_activities", live)

    def _compare(self, held_as: str, shown: dict[str, dict[str, Any]]) -> Iterator[str]:
        rows = self.sql(f"SELECT * FROM {held_as}")
        held = {row["id"]: {_plain(name): value for name, value in row.items()} for row in rows}
        stale = [id_ for id_ in held.keys() & shown if not _alike(shown[id_], held[id_])]
        counts = {
            "missing": len(shown.keys() - held), "too many": len(held.keys() - shown),
            "twice": len(rows) - len(held), "stale": len(stale),
        }  # fmt: skip
        wrong = ", ".join(f"{number:,} {what}" for what, number in counts.items() if number)
        if wrong:
            yield f"{held_as.split(maxsplit=1)[0]}: {wrong} of {len(shown):,}"


def _plain(name: str) -> str:
    """Return what a field's name and its column's have in common."""
    return name.replace("_", "").lower()


def _alike(shown: dict[str, Any], held: dict[str, Any]) -> bool:
    cells = ((value, held[_plain(name)]) for name, value in shown.items() if _plain(name) in held)
    return all(_same(*cell) for cell in cells)


def _same(shown: Any, held: Any) -> bool:
    if isinstance(shown, dict):  # an address, whose parts have columns of their own
        return True
    if shown in ("", None) or held is None:
        return shown in ("", None) and held is None
    if isinstance(held, date | time):
        return bool(held == type(held).fromisoformat(shown.removesuffix("Z")))
    if isinstance(shown, int | float):
        return float(shown) == float(held)
    return bool(shown.replace("\0", "") == held)  # no database takes NUL
