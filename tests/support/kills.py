"""Kill the script with SIGKILL at a chosen instant, run it again, and compare with no kill at all.

Instants are of three kinds, and each can be named or numbered:

- ``Call(n)``: the org has carried out the n-th request; its answer never arrives.
- ``Step(pattern, n)``: dlt is about to change its working folder for the n-th time in a way whose
  description matches (``rename extracted/1 to normalized/1``); a file that is being opened for
  writing is left empty, as a kill right after the opening leaves it. An audit hook sees them all.
- ``Statement(table, lock)``: PostgreSQL is carrying out a statement that needs the table; the lock
  of another session keeps it there, or, for rows, a trigger.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg2

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.latency import Latency
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.support.script import DUCKDB_FILE, ROOT, SCRIPT, Ended, process, session_of

# Runs the script; before the n-th change of the folder that matches, it kills itself.
LAUNCHER = r"""
import os, re, runpy, signal, sys
root, trail, pattern, nth = *sys.argv[1:4], int(sys.argv[4])
sys.argv = sys.argv[5:]
trail = os.open(trail, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
seen = 0
def hook(event, args):
    global seen
    if event == "open":
        if not isinstance(args[0], str) or not args[2] & writing:
            return
        what = f"open {args[0]}"
    elif event in ("os.rename", "os.link"):
        what = f"{event[3:]} {args[0]} to {args[1]}"
    elif event in ("os.remove", "os.mkdir", "os.rmdir"):
        what = f"{event[3:]} {args[0]}"
    else:
        return
    if root not in what:
        return
    what = what.replace(root + "/", "").replace("pipelines/targeted_contacts/", "")
    if not re.search(pattern, what):
        return
    seen += 1
    os.write(trail, f"{seen} {what}\n".encode())
    if seen == nth:
        if event == "open":
            os.close(os.open(args[0], os.O_WRONLY | os.O_CREAT | args[2] & os.O_TRUNC))
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# The moment of a run, which no two runs share; of ours, whether they are set is what counts.
MOMENTS = {"first_seen_at", "last_seen_at"}
WITH_ROWS = {".parquet", ".csv", ".insert_values", ".typed-jsonl"}
SET_OR_NOT = {"left_at", "removed_at", "healed_at"}

Tables = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Call:
    """Name the n-th request to the org, from 1."""

    nth: int

    def __str__(self) -> str:
        return f"call {self.nth}"


@dataclass(frozen=True)
class Step:
    """Name the n-th matching change of dlt's working folder, from 1."""

    pattern: str
    nth: int = 1

    def __str__(self) -> str:
        return f"step {self.nth}" + ("" if self.pattern == "." else f" of {self.pattern}")


@dataclass(frozen=True)
class Statement:
    """A statement of PostgreSQL's that waits: for a table's lock, or in a trigger on its rows."""

    table: str
    mode: str = "SHARE"

    def __str__(self) -> str:
        return f"PostgreSQL at {self.table} ({self.mode.lower()})"


Instant = Call | Step | Statement


@dataclass(frozen=True)
class Outcome:
    """Hold what became of a run that was killed and of the next one.

    Attributes:
        calls: Calls of the killed run and of the next one.
        undisturbed: What a run without a kill costs; where the first run is killed, that and a
            repeat: by chance some tables arrived, which are compared, and the others are read.
        what: What the killed run was about to do, where its working folder tells.
        leftover: What the next run did about a package that the killed one left.
        orphans: Bulk jobs of the killed run that are still in the org, and that the next one left.
        litter: Files with rows of people that are left in dlt's folder.
        differences: Tables whose content is not that of an undisturbed run.
    """

    instant: Instant
    killed: bool
    code: int
    error: str
    calls: tuple[int, int]
    undisturbed: int
    what: str
    leftover: str
    orphans: tuple[str, ...]
    litter: tuple[str, ...]
    differences: tuple[str, ...]

    @property
    def survived(self) -> bool:
        """Return whether the next run mended all, and asked for no more than a run does."""
        # A relation that is seen again may cost the call that compares it.
        whole = self.code == 0 and not self.differences
        return whole and not self.litter and self.calls[1] <= self.undisturbed + 2

    def line(self) -> str:
        """Return a row of the matrix."""
        verdict = "same" if self.survived else "DIFFERS"
        left = f"{len(self.orphans)} Bulk job left in the org" if self.orphans else ""
        return (
            f"{f'{self.instant}: {self.what}':<90.90} {'killed' if self.killed else 'went on':<8}"
            f"{verdict:<8} {self.calls[0]:>3} +{self.calls[1]:>3}"
            f"  {self.leftover}{left}{' '.join(self.differences + self.litter)}{self.error}"
        )


class KillAt(Latency):
    """Kills a process when the org has carried out its n-th request."""

    def __init__(self, nth: int) -> None:
        super().__init__()
        self.nth, self.seen = nth, 0
        self.victim: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def seconds(self, kind: str, rows: int = 0, *, columns: int = 5) -> float:
        with self._lock:
            self.seen += 1
            if self.seen == self.nth:
                while self.victim is None:
                    time.sleep(0.001)
                self.victim.kill()
                self.victim.wait()
        return 0.0

    def job_seconds(self, rows: int) -> float:
        return 0.0


class Field:
    """One org and one destination, which begin again for each kill.

    Args:
        folder: The working directory of every run; its path goes into what dlt remembers.
        url: A PostgreSQL database to load into; DuckDB without.
        first: Whether the run that is killed is the first one, on an empty destination.
        argv: Options of every run.
    """

    def __init__(
        self,
        folder: Path,
        org: DemoOrg,
        server: DemoServer,
        *,
        url: str | None = None,
        first: bool = False,
        argv: tuple[str, ...] = (),
    ) -> None:
        self.folder, self.org, self.url, self.argv = folder, org, url, argv
        self._saved = folder.with_name(f"{folder.name}-saved")
        self.environ = {
            **session_of(server), "PYTHONPATH": str(ROOT), "DLT_DATA_DIR": str(folder / "dlt"),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }  # fmt: skip
        if url is not None:
            self.environ["DESTINATION__POSTGRES__CREDENTIALS"] = url
        folder.mkdir(parents=True)
        if not first:
            assert 0 == self.run().code
            happen(org)
        self._save()
        self.org.reset_calls()
        assert 0 == self.run().code
        self.wanted = self.tables()
        if first:
            assert 0 == self.run().code
        self.undisturbed = self.org.billed

    def outcome(self, instant: Instant) -> Outcome:
        """Begin again, kill a run at an instant, and let the next one mend it."""
        self._restore()
        self.org.reset_calls()
        jobs = set(self.org.jobs)
        killed = self._killed(instant)
        trail = self._trail.read_text().splitlines() if self._trail.exists() else []
        jobs, before = set(self.org.jobs) - jobs, self.org.billed
        self.org.arrived.clear()
        ended = self.run()
        asked = " ".join(target for _, target in self.org.requests)
        calls = (before, self.org.billed - before)
        facts = ended.facts
        got = self.tables()
        differing = sorted(
            name
            for name in got.keys() | self.wanted.keys()
            if got.get(name) != self.wanted.get(name)
        )
        return Outcome(
            instant, killed, ended.code, facts["error"] or "", calls, self.undisturbed,
            _readable(trail[-1]) if trail and isinstance(instant, Step) else "",
            _leftover(facts),
            tuple(sorted(job for job in jobs & set(self.org.jobs) if job not in asked)),
            self._litter(),
            tuple(differing),
        )  # fmt: skip

    def run(self) -> Ended:
        """Run without a kill."""
        return process("--json", *self.argv, cwd=self.folder, environ=self.environ)

    def steps(self) -> list[str]:
        """Every change of the working folder in a run, in order."""
        self._restore()
        assert not self._killed(Step(".", 0))
        return self._trail.read_text().splitlines()

    @property
    def _trail(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}-trail")

    def _killed(self, instant: Instant) -> bool:
        self._trail.unlink(missing_ok=True)
        at = instant if isinstance(instant, Step) else Step("never", 0)
        clock = KillAt(instant.nth if isinstance(instant, Call) else 0)
        self.org.latency = clock
        argv = [str(self.folder / "dlt"), str(self._trail), at.pattern, str(at.nth), str(SCRIPT)]
        with _in_the_way(self.url, instant) as waiting:
            victim = clock.victim = subprocess.Popen(
                [sys.executable, "-c", LAUNCHER, *argv, "--json", *self.argv],
                cwd=self.folder,
                env={**os.environ, **self.environ},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if isinstance(instant, Statement):
                while victim.poll() is None and not waiting():
                    time.sleep(0.02)
                victim.kill()
            code = victim.wait(120)
        self.org.latency = None
        return code == -9

    def tables(self) -> Tables:
        """Return what is held, but for the moments of runs, the runs themselves, and dlt's tables."""
        with closing(self._connection()) as connection:
            cursor = connection.cursor()
            cursor.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'salesforce'"
            )
            names = [row[0] for row in cursor.fetchall()]
            tables: Tables = {}
            for name in names:
                if name.startswith("_dlt") or name == "sf_sync_runs":
                    continue
                cursor.execute(f"SELECT * FROM salesforce.{name}")
                columns = [column[0] for column in cursor.description]
                rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
                tables[name] = sorted(map(_plain, rows), key=lambda row: str(sorted(row.items())))
            return tables

    def _litter(self) -> tuple[str, ...]:
        files = (self.folder / "dlt").rglob("*")
        return tuple(file.name for file in files if file.suffix in WITH_ROWS)

    def _connection(self) -> Any:
        if self.url is not None:
            return psycopg2.connect(self.url)
        return duckdb.connect(str(self.folder / DUCKDB_FILE), read_only=True)

    def _save(self) -> None:
        shutil.copytree(self.folder, self._saved)
        if self.url is not None:
            _copy_database(self.url, _name(self.url), f"{_name(self.url)}_saved")

    def _restore(self) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self._saved, self.folder)
        if self.url is not None:
            _copy_database(self.url, f"{_name(self.url)}_saved", _name(self.url))

    def close(self) -> None:
        """Leave nothing in the server."""
        if self.url is not None:
            _admin(self.url, f"DROP DATABASE IF EXISTS {_name(self.url)}_saved WITH (FORCE)")


def happen(org: DemoOrg) -> None:
    """Something for every table: new, changed, moved, removed, gone, and a new column."""
    active = org.active_ids()
    org.edit("Contact", active[0], LastName="Edited")
    org.log_task([org.add_contact(LastName="Fresh"), active[1]])
    org.remove_relation(next(iter(org.rows("TaskWhoRelation"))))
    org.delete_contact(active[2])
    org.merge(active[3], [active[4]])
    org.add_field("Contact", "Loyalty__c", "double", {active[5]: 1.5})


@contextmanager
def _in_the_way(url: str | None, instant: Instant) -> Iterator[Any]:
    """Something that a statement must wait for; gives a question whether one does."""
    if not isinstance(instant, Statement) or url is None:
        yield None
        return
    with closing(psycopg2.connect(url)) as console, console.cursor() as cursor:
        if instant.mode == "ROWS":
            console.autocommit = True
            cursor.execute(
                "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN PERFORM pg_sleep(3); RETURN NEW; END $$"
            )
            cursor.execute(
                f"CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON {instant.table}"
                " FOR EACH ROW EXECUTE FUNCTION public.slow()"
            )
        else:
            cursor.execute(f"LOCK TABLE {instant.table} IN {instant.mode} MODE")

        def waiting() -> bool:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
                " AND (wait_event_type = 'Lock' OR wait_event = 'PgSleep')"
            )
            return cursor.fetchone() is not None

        yield waiting
        if instant.mode == "ROWS":
            cursor.execute("DROP FUNCTION public.slow CASCADE")  # waits for the sleeper's end
        console.rollback()


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (value is not None) if name in SET_OR_NOT
        else value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items() if name not in MOMENTS
    }  # fmt: skip


def _readable(line: str) -> str:
    """Return a step without the names that chance gave its files."""
    text = line.partition(" ")[2].replace("load_package_state", "state")
    text = re.sub(r"\b[0-9]{10}\.[0-9]+\b", "PACKAGE", text)
    return re.sub(r"\b[0-9a-f]{10,16}(\.0)?\b", "*", text)


def _leftover(facts: dict[str, Any]) -> str:
    if any("folder is inconsistent" in step for step in facts["steps"]):
        return "folder dropped "
    steps = facts["steps"]
    if "an earlier run was killed while it loaded: its rows are read again" in steps:
        return "read again "
    if any("was given up" in warning for warning in facts["warnings"]):
        return "given up "
    return "finished " if "the leftover package is loaded" in steps else ""


def _name(url: str) -> str:
    return urlsplit(url).path[1:]


def _copy_database(url: str, source: str, to: str) -> None:
    # A killed run's server process may still be there for a moment; FORCE ends it.
    _admin(
        url, f"DROP DATABASE IF EXISTS {to} WITH (FORCE)", f"CREATE DATABASE {to} TEMPLATE {source}"
    )


def _admin(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(urlsplit(url)._replace(path="/postgres").geturl())) as admin:
        admin.autocommit = True
        for statement in statements:
            admin.cursor().execute(statement)
