"""Bulk jobs under way, kept on disk: the next run reads the job that a killed one left.

It is not deleted: that would take a DELETE, which never leaves this library; Salesforce itself
drops a job and its results after seven days. A job is gone on with for as long as a row may come
late anyhow: after that it would show the org as it was, and a new one is made.

Source: Bulk API 2.0 Developer Guide, "Get Results for a Query Job" (results are kept seven days).
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

FILE = "bulk_jobs.json"
_FRESH_SECONDS = 15 * 60


class BulkJobs:
    """The jobs of one pipeline and org, by their statement; nothing of the statement is kept."""

    def __init__(self, folder: Path, org: str) -> None:
        self._path = folder / FILE
        self._org = org

    def resumable(self, statement: str) -> str | None:
        """Return the id of a job that an earlier run made for the same statement shortly before."""
        found = self._read().get(self._key(statement))
        if found is None or not 0 <= time.time() - found["created"] < _FRESH_SECONDS:
            return None
        return str(found["id"])

    def created(self, statement: str, job_id: str) -> None:
        """Note a new job."""
        self._write({**self._read(), self._key(statement): {"id": job_id, "created": time.time()}})

    def read(self, statement: str) -> None:
        """Forget a job whose results have been read."""
        jobs = self._read()
        if jobs.pop(self._key(statement), None) is not None:
            self._write(jobs)

    def _key(self, statement: str) -> str:
        return hashlib.sha256(f"{self._org}\n{statement}".encode()).hexdigest()

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_text("utf-8"))
            return {
                key: {"id": str(job["id"]), "created": float(job["created"])}
                for key, job in found.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}  # none yet, or half a file of a killed run: a new job is made

    def _write(self, jobs: dict[str, Any]) -> None:
        try:
            self._path.write_text(json.dumps(jobs), "utf-8")
        except OSError:
            return  # a folder that can't be written costs a killed run its job, nothing else
