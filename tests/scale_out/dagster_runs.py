"""Run partitions on Dagster as a platform team does, each in processes of its own, and look at them."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from salesforce_targeted.demo_org.faults.latency import Latency
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.support.documents import PIPELINES, blocks
from tests.support.kills import MOMENTS, SET_OR_NOT, Tables
from tests.support.script import ROOT

DEFINITIONS = ROOT / "pipelines" / "dagster_definitions.py"
# As documented, and nothing is sent to anybody.
INSTANCE = blocks(PIPELINES, "yaml")[0] + "telemetry: {enabled: false}\n"
DATABASE = "held_by_dagster.duckdb"


class Clock(Latency):
    """An org's answers: they wait for the other org's, and one of them finds the process gone.

    Args:
        together: Reached by every org's second request; broken where runs follow one another.
        kill_at: The request, from 1, upon which the process that holds the lock is killed.
        lock: The lock file of the run's working folder, which names the process.
    """

    def __init__(self, together: threading.Barrier, kill_at: int = 0, lock: Path = Path()) -> None:
        super().__init__()
        self.together, self.kill_at, self.lock = together, kill_at, lock
        self.seen, self.killed = 0, 0
        self._one = threading.Lock()

    def seconds(self, kind: str, rows: int = 0, *, columns: int = 5) -> float:
        with self._one:
            self.seen += 1
            nth = self.seen
        if nth == 2:
            self.together.wait(200)
        if nth == self.kill_at:
            self.killed = int(self.lock.read_text().split()[1])  # "process 123 on … since …"
            os.kill(self.killed, signal.SIGKILL)
        return 0.0

    def job_seconds(self, rows: int) -> float:
        return 0.0


class Platform:
    """Hold the definitions as loaded with this test's configuration, and a Dagster of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.set = monkeypatch.setenv
        self.folder = folder
        self.instance = dg.DagsterInstance.ephemeral()
        self.set("ORGS__NAMES", '["emea", "apac"]')
        self.set("ORGS__RETRY_SECONDS", "0.1")
        self.set("ORGS__BUSY_SECONDS", "0.3")
        self.set("ORGS__QUOTA_SECONDS", "0.2")
        self.set("DESTINATION__DUCKDB__CREDENTIALS", str(folder / DATABASE))

    @property
    def module(self) -> Any:
        """Load the definitions again: they read the configuration then."""
        return importlib.reload(importlib.import_module("pipelines.dagster_definitions"))

    def run(self, what: str, partition: str = "emea") -> Any:
        """Run in this process: a job, or a table or check by its name."""
        defs = self.module.defs
        if what in {"sync", "verify", "freshness"}:
            # As the schedules and the command line say which partition.
            job, how = defs.resolve_job_def(what), {"tags": {"dagster/partition": partition}}
        else:
            job = defs.resolve_implicit_global_asset_job_def()
            key = dg.AssetKey(["salesforce", what])
            how = {"asset_selection": [key], "partition_key": partition}
        return job.execute_in_process(instance=self.instance, raise_on_error=False, **how)

    def verdicts(self, ran: Any) -> dict[str, tuple[bool, dict[str, Any]]]:
        """Check name to whether it passed, and its metadata."""
        return {
            check.check_name: (check.passed, {k: v.value for k, v in check.metadata.items()})
            for check in ran.get_asset_check_evaluations()
        }

    def held(self, dataset: str = "salesforce_emea") -> Any:
        """Return what the DuckDB file holds of an org."""
        with duckdb.connect(str(self.folder / DATABASE)) as connection:
            return tables(connection, dataset)

    def sql(self, statement: str) -> Any:
        """Run a statement of the test's own."""
        with duckdb.connect(str(self.folder / DATABASE)) as connection:
            return connection.execute(statement).fetchall()


def signed_in(org: str, server: DemoServer) -> dict[str, str]:
    """Return the org's own section, with a session, as environment."""
    section = f"TARGETED_CONTACTS_{org.upper()}__SOURCES__SALESFORCE_TARGETED__CREDENTIALS"
    return {f"{section}__INSTANCE_URL": server.url, f"{section}__ACCESS_TOKEN": server.token}


def launched(job: str, org: str, home: Path, environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a job for one org, with the executor that the definitions have: multiprocess."""
    argv = ["job", "execute", "-f", str(DEFINITIONS), "-j", job, "-d", str(ROOT)]
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "dagster", *argv, "--tags",
         f'{{"dagster/partition": "{org}"}}'],
        cwd=home.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DAGSTER_HOME": str(home), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip


def instance_in(home: Path) -> dg.DagsterInstance:
    """Dagster's storage in a folder; made before several processes would make it at once."""
    home.mkdir()
    (home / "dagster.yaml").write_text(INSTANCE)
    return dg.DagsterInstance.from_config(str(home))


def log_of(instance: dg.DagsterInstance, run_id: str) -> str:
    """All that Dagster keeps of a run: events, messages, errors, metadata."""
    return "\n".join(repr(entry) for entry in instance.all_logs(run_id))


def attempts(instance: dg.DagsterInstance, run_id: str, step: str = "targeted_contacts") -> int:
    """Count how often a step was begun."""
    begun = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED}
    return sum(
        entry.dagster_event is not None
        and entry.dagster_event.event_type in begun
        and entry.step_key == step
        for entry in instance.all_logs(run_id)
    )


def waits(instance: dg.DagsterInstance, run_id: str) -> list[float | None]:
    """Return the seconds before each retry of a run's steps, as the attempt that failed asked for them."""
    return [
        entry.dagster_event.step_retry_data.seconds_to_wait
        for entry in instance.all_logs(run_id, dg.DagsterEventType.STEP_UP_FOR_RETRY)
        if entry.dagster_event is not None
    ]


def tables(connection: Any, dataset: str) -> Tables:
    """Return what a dataset holds, but for the moments of runs, the runs themselves, and dlt's tables."""
    cursor = connection.cursor()
    cursor.execute(
        f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{dataset}'"
    )
    tables: Tables = {}
    for (name,) in cursor.fetchall():
        if name.startswith("_dlt") or name == "sf_sync_runs":
            continue
        cursor.execute(f'SELECT * FROM "{dataset}"."{name}"')
        columns = [column[0] for column in cursor.description]
        rows = [_plain(dict(zip(columns, row, strict=True))) for row in cursor.fetchall()]
        tables[name] = sorted(rows, key=lambda row: str(sorted(row.items())))
    return tables


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (value is not None) if name in SET_OR_NOT
        else value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if name not in MOMENTS and not name.startswith("_dlt")
    }  # fmt: skip
