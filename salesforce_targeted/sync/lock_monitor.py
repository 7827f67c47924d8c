"""A run that waits for a lock in PostgreSQL says who holds it, and does not wait for ever.

A ``BEGIN`` that somebody forgot in a console keeps a merge waiting until that console is closed,
and nothing would tell the scheduler. A thread beside the run looks at who waits and logs it;
when patience is used up it cancels the statement that waits, so that the run ends and says why.
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import dlt

from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.sync.run_lock import dsn, is_postgres

logger = logging.getLogger("salesforce_targeted")

PATIENCE_SECONDS = 600.0
_LOOK_SECONDS = 5.0
# libpq reads it for each connection that names no application: dlt's and ADBC's both go through it.
_APPLICATION = "PGAPPNAME"

# Those of ours that wait, and for each one that keeps it waiting.
_WAITS = """
    SELECT w.pid, l.relation::regclass::text, extract(epoch FROM clock_timestamp() - l.waitstart),
           h.pid, coalesce(nullif(h.application_name, ''), 'a program without a name'),
           h.usename, h.state, h.xact_start
    FROM pg_stat_activity w
    JOIN pg_locks l ON l.pid = w.pid AND NOT l.granted
    CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocking(pid)
    JOIN pg_stat_activity h ON h.pid = blocking.pid
    WHERE w.application_name = %s AND w.datname = current_database()
"""


class LockedError(SalesforceError):
    """Somebody held a lock on a table for longer than the run was willing to wait."""


class LockWaits:
    """Who keeps a run waiting; ``gave_up`` is the error once a wait was cancelled."""

    def __init__(self, patience_seconds: float) -> None:
        self.patience_seconds = patience_seconds
        self.look_seconds = min(_LOOK_SECONDS, patience_seconds / 2)
        self.gave_up: LockedError | None = None
        self._named: set[int] = set()
        self._ended = threading.Event()

    @contextmanager
    def watched(self, pipeline: dlt.Pipeline) -> Iterator[None]:
        """Watch the pipeline's connections while the block runs, if they go to PostgreSQL."""
        if not is_postgres(pipeline):
            yield
            return
        before = os.environ.get(_APPLICATION)
        name = f"salesforce_targeted {uuid.uuid4().hex[:12]}"
        os.environ[_APPLICATION] = name
        thread = threading.Thread(
            target=self._watch, args=(dsn(pipeline), name), name="lock-waits", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
            if before is None:
                del os.environ[_APPLICATION]
            else:
                os.environ[_APPLICATION] = before

    def _watch(self, where: str, name: str) -> None:
        import psycopg2

        # A run that is over sooner never opens this connection.
        while not self._ended.wait(self.look_seconds):
            try:
                with closing(psycopg2.connect(where, application_name=f"{name} watch")) as looking:
                    looking.autocommit = True
                    while True:
                        self._look(looking, name)
                        if self._ended.wait(self.look_seconds):
                            return
            except psycopg2.Error:
                # The run meets the same trouble, and it is the one to tell of it.
                logger.debug("who waits for locks could not be read", exc_info=True)

    def _look(self, connection: Any, name: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_WAITS, [name])
            for waiting, table, seconds, *holder in cursor.fetchall():
                said = _said(table, *holder)
                if holder[0] not in self._named:
                    self._named.add(holder[0])
                    logger.warning("waiting: %s", said)
                # Once patience was used up, dlt's next attempts get none.
                if self.gave_up or (seconds or 0) >= self.patience_seconds:
                    self.gave_up = self.gave_up or LockedError(
                        f"the destination kept the load waiting for {self.patience_seconds:.0f}"
                        f" seconds: {said}",
                        remedy=(
                            "Let that session end its transaction, or end it with"
                            f" SELECT pg_terminate_backend({holder[0]}), and run again: the next"
                            " run finishes what is left."
                        ),
                    )
                    cursor.execute("SELECT pg_cancel_backend(%s)", [waiting])


def _said(
    table: str | None, pid: int, program: str, user: str | None, state: str | None, since: Any
) -> str:
    what = f"a lock on {table}" if table else "a row"
    begun = f" since {since:%Y-%m-%d %H:%M:%S %Z}" if since else ""
    return (
        f"{what} is held by process {pid} of the database"
        f" ({program}, user {user or 'unknown'}, {state or 'state unknown'}{begun})"
    )
