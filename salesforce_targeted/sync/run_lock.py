"""Let one run at a time work on a working folder and on a dataset.

dlt keeps one working folder per pipeline name, and every load empties the dataset's staging tables:
two runs at once would take each other's packages and rows, and both would say that they are done.

Rules:
- The second run stops at once, before it sends or changes anything; it never waits, for a schedule
  that is too tight would pile runs up.
- A lock belongs to an open file or to a connection, so the system takes it back however a run ends.
- Locked are the working folder (all runs of a machine that share it), the file of a DuckDB database
  (all runs of a machine), and a dataset in PostgreSQL (all machines). Elsewhere two machines can't
  see each other: let one scheduler start the runs.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import dlt
from dlt.common.pipeline import get_dlt_pipelines_dir
from filelock import FileLock, Timeout

from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.destination import database
from salesforce_targeted.destination.clients import client_of, sql_client_of

logger = logging.getLogger("salesforce_targeted")

# The first version with transaction_timeout.
_TRANSACTION_TIMEOUT = 170_000
# Where a lock file names its holder: Windows lets no other process read the locked byte, the first.
_HOLDER_AT = 1


class AnotherRunError(SalesforceError):
    """Another run is at work on the same folder or dataset. Nothing was sent or changed."""

    default_remedy = "Run again when it has ended."
    stops_early = True


@contextmanager
def alone(pipeline: dlt.Pipeline) -> Iterator[Any]:
    """Be the only run on a pipeline's working folder and dataset until the block ends.

    Yields:
        The psycopg2 connection that holds the dataset's lock; None outside PostgreSQL.

    Raises:
        AnotherRunError: another run is at work; says which, as far as the system tells.
        ConfigurationError: the destination can't be loaded into; see
            :func:`salesforce_targeted.destination.database.check` and ``check_server``.
    """
    database.check(pipeline)
    folder, file = Path(pipeline.working_dir), database.duckdb_file(pipeline)
    with ExitStack() as stack:
        lock = folder.with_name(f".{folder.name}.lock")
        stack.enter_context(_file_lock(lock, f"the working folder {folder}"))
        if file is not None:
            lock = file.with_name(f"{file.name}.lock")
            stack.enter_context(_file_lock(lock, f"the database {file}"))
            # Open for as long as the run lasts: dlt opens and closes it eight times, which is a
            # fifth of a repeat's CPU, and a program that opened it in between would end the run.
            stack.enter_context(sql_client_of(pipeline))
        postgres = database.is_postgres(pipeline)
        yield stack.enter_context(_advisory_lock(pipeline)) if postgres else None


@contextmanager
def attaching(name: str, pipelines_dir: str | None) -> Iterator[None]:
    """Wait for another process that makes the same pipeline now, then keep others waiting.

    dlt empties a working folder that has no state yet and makes it again, so of two that start
    together on a new one the second would take the folder from under the first.
    """
    folder = Path(pipelines_dir or get_dlt_pipelines_dir()) / name
    path = folder.with_name(f".{name}.attach.lock")
    with _file_lock(path, f"the working folder {folder}", wait=True):
        yield


@contextmanager
def _file_lock(path: Path, what: str, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock file, which stays: a file that is removed can be locked twice.

    Raises:
        AnotherRunError: another process holds it; the file names that process.
    """
    # A marker in place of a lock would outlive a run that is killed.
    lock = FileLock(path, timeout=-1 if wait else 0, mode=0o600, fallback_to_soft=False,
                    preserve_lock_file=True)  # fmt: skip
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        _write_holder(path)
    except Timeout:
        raise AnotherRunError(f"another run is at work on {what}: {_holder(path)}") from None
    except OSError as error:  # a folder that can't be written, a file system without locks
        logger.warning("%s could not be locked against a second run: %s", what, error.strerror)
    try:
        yield
    finally:
        lock.release()


def _write_holder(path: Path) -> None:
    begun = datetime.now(UTC).isoformat(timespec="seconds")
    with path.open("r+b", buffering=0) as file:
        file.seek(_HOLDER_AT)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {begun}".encode())
        file.truncate()


def _holder(path: Path) -> str:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(_HOLDER_AT)
            return file.read(200).decode(errors="replace") or "another process"
    except OSError:
        return "another process"


@contextmanager
def _advisory_lock(pipeline: dlt.Pipeline) -> Iterator[Any]:
    """Hold PostgreSQL's advisory lock for a dataset, and refuse a server that is of no use."""
    import psycopg2  # not needed where the data goes elsewhere

    # 64 bits that all versions of this library agree on.
    name = f"salesforce_targeted/{pipeline.dataset_name}".encode()
    key = int.from_bytes(blake2b(name, digest_size=8).digest(), "big", signed=True)
    credentials: Any = client_of(pipeline).config.credentials
    connection = psycopg2.connect(credentials.to_native_representation())
    try:
        database.check_server(connection)
        with connection.cursor() as cursor:
            # A lock of the transaction, not of the session: behind a pooler a session outlives its
            # client. The transaction holds nothing else, and must not be ended for being idle.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            if connection.server_version >= _TRANSACTION_TIMEOUT:
                cursor.execute("SET LOCAL transaction_timeout = 0")
            # A machine that vanished without a word is noticed in two minutes, not in two hours.
            cursor.execute("SET LOCAL tcp_keepalives_idle = 60")
            cursor.execute("SET LOCAL tcp_keepalives_interval = 10")
            cursor.execute("SET LOCAL tcp_keepalives_count = 6")
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [key])
            if cursor.fetchone() != (True,):
                cursor.execute(_HOLDER, [key])
                what = f"another run is at work on the dataset {pipeline.dataset_name}"
                for pid, since in cursor.fetchall():
                    raise AnotherRunError(
                        f"{what}{since}",
                        remedy="Run again when it has ended; should it be dead, SELECT"
                        f" pg_terminate_backend({pid}) frees the dataset.",
                    )
                raise AnotherRunError(what)  # it has just ended
        yield connection
        with suppress(psycopg2.Error):  # a connection that was lost holds no lock
            connection.rollback()  # unlike close() it waits until the lock is free
    finally:
        connection.close()


_HOLDER = """
    SELECT a.pid, format('%%s, from %%s',
        to_char(a.backend_start, '" since "YYYY-MM-DD HH24:MI:SS TZ'),
        coalesce(host(a.client_addr), 'the same machine as the database'))
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND (l.classid::bigint << 32) | l.objid::bigint = %s
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
