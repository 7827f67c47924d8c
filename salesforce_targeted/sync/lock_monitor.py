"""Say who keeps the load waiting in PostgreSQL, and end a wait that takes too long.

A ``BEGIN`` that is left open in a console keeps a merge waiting until that console is closed, and
nothing would tell the scheduler. While a run waits, the connection that holds its advisory lock
looks at ``pg_locks`` every few seconds.

Rules:
- Sessions of the run are those that look like the looking one (user, address, application) and
  hold or want a lock on a table of the dataset or of its staging dataset. That holds behind a
  pooler, too, and whatever application the URL names.
- A look never ends the transaction, for the advisory lock goes with it.

Source: PostgreSQL Documentation, "pg_locks", "pg_stat_activity", "Server Signaling Functions".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dlt

from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.destination.clients import client_of

logger = logging.getLogger("salesforce_targeted")

PATIENCE_SECONDS = 600.0
_LOOK_SECONDS = 5.0

_WAITS = """
    SELECT w.pid, extract(epoch FROM clock_timestamp() - l.waitstart), h.pid,
        format('%%s is held by process %%s of the database (%%s, user %%s, %%s%%s)',
            coalesce('a lock on ' || l.relation::regclass::text, 'a row'), h.pid,
            coalesce(nullif(h.application_name, ''), 'a program without a name'),
            coalesce(h.usename, 'unknown'), coalesce(h.state, 'state unknown'),
            to_char(h.xact_start, '" since "YYYY-MM-DD HH24:MI:SS TZ'))
    FROM pg_stat_activity me
    JOIN pg_stat_activity w ON w.pid <> me.pid AND w.datid = me.datid AND w.usesysid = me.usesysid
        AND w.client_addr IS NOT DISTINCT FROM me.client_addr
        AND w.application_name = me.application_name
    JOIN pg_locks l ON l.pid = w.pid AND NOT l.granted
    CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocking(pid)
    JOIN pg_stat_activity h ON h.pid = blocking.pid
    WHERE me.pid = pg_backend_pid() AND EXISTS (
        SELECT FROM pg_locks t JOIN pg_class c ON c.oid = t.relation
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE t.pid = w.pid AND n.nspname = ANY(%s))
"""


class LockedError(SalesforceError):
    """Another session held a lock on a table for longer than the run was willing to wait."""


class LockMonitor:
    """Name the holders of the locks that a run waits for, and cancel a wait that is too long.

    Attributes:
        gave_up: The error of the run, once a wait was cancelled.
    """

    def __init__(self, patience_seconds: float) -> None:
        self.patience_seconds = patience_seconds
        self.gave_up: LockedError | None = None
        self._named: set[int] = set()
        self._ended = threading.Event()

    @contextmanager
    def watch(self, pipeline: dlt.Pipeline, connection: Any) -> Iterator[None]:
        """Watch the run's sessions while the block runs.

        Args:
            connection: The one that holds the run's advisory lock; None where there is none.
        """
        if connection is None:
            yield
            return
        client: Any = client_of(pipeline)
        schemas = [client.sql_client.dataset_name, client.sql_client.staging_dataset_name]
        thread = threading.Thread(
            target=self._watch, args=(connection, schemas), name="lock-monitor", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _watch(self, connection: Any, schemas: list[str]) -> None:
        import psycopg2

        while not self._ended.wait(min(_LOOK_SECONDS, self.patience_seconds / 2)):
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SAVEPOINT look")
                    try:
                        self._look(cursor, schemas)
                    finally:
                        cursor.execute("ROLLBACK TO look")
            except psycopg2.Error:
                # A lost connection meets the run, too, which tells of it.
                logger.debug("who waits for locks could not be read", exc_info=True)

    def _look(self, cursor: Any, schemas: list[str]) -> None:
        # A transaction sees pg_stat_activity as it was at its first look.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(_WAITS, [schemas])
        for waiting, seconds, holder, held in cursor.fetchall():
            if holder not in self._named:
                self._named.add(holder)
                logger.warning("waiting: %s", held)
            # Once patience was used up, dlt's next attempts get none.
            if self.gave_up or (seconds or 0) >= self.patience_seconds:
                self.gave_up = self.gave_up or LockedError(
                    f"the destination kept the load waiting for {self.patience_seconds:.0f}"
                    f" seconds: {held}",
                    remedy=(
                        "Let that session end its transaction, or end it with"
                        f" SELECT pg_terminate_backend({holder}), and run again: the next"
                        " run finishes what is left."
                    ),
                )
                cursor.execute("SELECT pg_cancel_backend(%s)", [waiting])
