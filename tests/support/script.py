"""Run the pipeline script as its users do: in a process of its own, or quicker in this one."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from pipelines.targeted_contacts import main
from salesforce_targeted.demo_org.http.server import DemoServer

ROOT = Path(__file__).parents[2]
# dlt's own command line, of this environment.
DLT = str(Path(sys.executable).with_name("dlt"))
SCRIPT = ROOT / "pipelines" / "targeted_contacts.py"
DUCKDB_FILE = "targeted_contacts.duckdb"
# The id that a demo org takes where it plays another org than before.
OTHER_ORG = "00D5g0000009ABCEA2"
# A user the demo org knows, with a password that it does not.
WRONG_USER = {
    "SALESFORCE_USERNAME": "integration@demo.example",
    "SALESFORCE_PASSWORD": "not-the-password",
    "SALESFORCE_SECURITY_TOKEN": "SECURITYTOKEN",
}


@dataclass(frozen=True)
class Ended:
    """Hold how a run of the script ended."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        """Return what ``--json`` printed: one object on one line, nothing else."""
        assert 1 == len(self.out.splitlines()), self.out + self.err
        facts: dict[str, Any] = json.loads(self.out)
        return facts


Script = Callable[..., Ended]


def in_process(capsys: pytest.CaptureFixture[str]) -> Script:
    """Return a caller of ``main(argv)`` that never leaves a handler or a level behind."""

    def run(*argv: str) -> Ended:
        capsys.readouterr()
        with _logging_as_it_was(), _files_read_anew(), opened_once(Path(DUCKDB_FILE)):
            try:
                code = main(argv)
            except SystemExit as stopped:  # argparse ends this way
                code = int(stopped.code or 0)
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err, printed.err
        return Ended(code, printed.out, printed.err)

    return run


def process(*argv: str, cwd: Path, environ: Mapping[str, str] | None = None) -> Ended:
    """Run the script in a process of its own, with no credentials but those given."""
    return python(str(SCRIPT), *argv, cwd=cwd, environ=environ)


def python(*argv: str, cwd: Path, environ: Mapping[str, str] | None = None) -> Ended:
    """Any Python process in a folder, with dlt's own folder inside it."""
    return command(sys.executable, *argv, cwd=cwd, environ=environ)


def command(*argv: str, cwd: Path, environ: Mapping[str, str] | None = None) -> Ended:
    """Any process in a folder, with dlt's own folder inside it."""
    ours = ("SALESFORCE_", "SOURCES__", "DESTINATION__", "DESTINATION_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    process = subprocess.run(
        argv,
        cwd=cwd,
        env={
            **clean,
            "PYTHONPATH": str(ROOT),  # this tree, whatever is installed
            "DLT_DATA_DIR": str(cwd / "dlt"),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            **(environ or {}),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in process.stderr, process.stderr
    return Ended(process.returncode, process.stdout, process.stderr)


def session_of(server: DemoServer, host: str = "127.0.0.1") -> dict[str, str]:
    """Return an environment with a session of the served org."""
    return {
        "SALESFORCE_INSTANCE_URL": f"http://{host}:{server.port}",
        "SALESFORCE_ACCESS_TOKEN": server.token,
    }


def rows(folder: Path, table: str, dataset: str = "salesforce") -> list[dict[str, Any]]:
    """Return the rows of a table of the DuckDB file in a folder; none where there is no such table."""
    if not (folder / DUCKDB_FILE).exists():
        return []
    with duckdb.connect(str(folder / DUCKDB_FILE)) as held:
        try:
            cursor = held.execute(f'SELECT * FROM "{dataset}"."{table}" ORDER BY 1')
        except duckdb.CatalogException:
            return []
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def ids(folder: Path, table: str, dataset: str = "salesforce") -> set[str]:
    """Return the Salesforce ids in such a table; none of them is there twice."""
    ids = [row["id"] for row in rows(folder, table, dataset)]
    assert len(ids) == len(set(ids))
    return set(ids)


@contextmanager
def opened_once(file: Path) -> Iterator[None]:
    """Keep a DuckDB file open, if it is there: a run opens it six times, a quarter of its time."""
    with ExitStack() as held:
        with suppress(duckdb.Error):  # no database: the run itself says so
            if file.exists():
                held.enter_context(duckdb.connect(str(file)))
        yield


@contextmanager
def _files_read_anew() -> Iterator[None]:
    """Let dlt read the files of ``.dlt`` in this folder, as it does once in a process."""
    container = Container()
    # Not looked up where there is none: that would read the files of this folder for all tests.
    known = PluggableRunContext in container
    before = container[PluggableRunContext] if known else None
    if before is not None and Path(".dlt").is_dir():
        del container[PluggableRunContext]
    try:
        yield
    finally:
        if before is not None:
            container[PluggableRunContext] = before
        elif PluggableRunContext in container:
            del container[PluggableRunContext]


@contextmanager
def _logging_as_it_was() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("salesforce_targeted", "dlt")]
    before = [(logger, list(logger.handlers), logger.level, logger.propagate) for logger in loggers]
    try:
        yield
    finally:
        for logger, handlers, level, propagate in before:
            for handler in set(logger.handlers) - set(handlers):
                handler.close()
            logger.handlers[:] = handlers
            logger.setLevel(level)
            logger.propagate = propagate
