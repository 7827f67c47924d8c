"""Fetch records by id through Bulk 2.0: jobs over lists of ids, or one over the whole object.

A job that does not end in the time that its size explains is left to REST.

Source: Bulk API 2.0 Developer Guide, "Query Jobs", "Get Results for a Query Job" (results are kept
for seven days); airbyte #17148 (400 rows, InProgress for hours).
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api import bulk_job, models, soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import BulkJobError, TruncatedResponseError
from salesforce_targeted.arrow.batch import Batch
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.from_csv import from_csv
from salesforce_targeted.arrow.from_json import from_records
from salesforce_targeted.arrow.id_set import Texts, first_of_each, in_batches, minus, union
from salesforce_targeted.retrieval.planner import Plan, ids_per_bulk_job
from salesforce_targeted.retrieval.results import Fetched

# Result pages in memory at once: each holds tens of thousands of whole records.
_PAGES_AT_ONCE = 3
FILE = "bulk_jobs.json"
# A row may come as late as this anyhow.
_FRESH_SECONDS = 15 * 60
# A person wants to read no more often than this that a job is not complete.
_SECONDS_BETWEEN_NEWS = 20.0


class BulkJobs:
    """Keep the jobs of one pipeline and org on disk: the next run reads what a killed one left.

    They are kept by their statement, of which nothing is stored. A job is not deleted: that would
    take a DELETE, which never leaves this library; Salesforce itself drops a job and its results
    after seven days. A job is gone on with for as long as a row may come late anyhow: after that it
    would show the org as it was, and a new one is made.

    Args:
        folder: Where to keep them; None: nowhere.
        org: The org's host.
        tell: Told in a sentence, every so often, that a job is not complete yet.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        folder: Path | None = None,
        org: str = "",
        tell: Callable[[str], None] = lambda _sentence: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = None if folder is None else folder / FILE
        self._org = org
        self.tell, self.clock = tell, clock

    def resumable(self, statement: str) -> str | None:
        """Return the id of a job that an earlier run made for the same statement shortly before."""
        found = self._read().get(self._key(statement))
        if found is None or not 0 <= time.time() - found["created"] < _FRESH_SECONDS:
            return None
        return str(found["id"])

    def created(self, statement: str, job_id: str) -> None:
        """Note a new job."""
        self._write({**self._read(), self._key(statement): {"id": job_id, "created": time.time()}})

    def forget(self, statement: str) -> None:
        """Forget a job whose results have been read, or that no run should wait for again."""
        jobs = self._read()
        if jobs.pop(self._key(statement), None) is not None:
            self._write(jobs)

    def _key(self, statement: str) -> str:
        return hashlib.sha256(f"{self._org}\n{statement}".encode()).hexdigest()

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            found = json.loads(self._path.read_text("utf-8"))
            return {
                key: {"id": str(job["id"]), "created": float(job["created"])}
                for key, job in found.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}  # none yet, or half a file of a killed run: a new job is made

    def _write(self, jobs: dict[str, Any]) -> None:
        if self._path is None:
            return
        try:
            self._path.write_text(json.dumps(jobs), "utf-8")
        except OSError:
            return  # a folder that can't be written costs a killed run its job, nothing else


def by_bulk(
    client: SalesforceClient,
    plan: Plan,
    ids: pa.Array,
    columns: Columns,
    jobs: BulkJobs,
) -> Iterator[Fetched]:
    """One job after the other; the rows of a whole object are chosen here.

    Raises:
        BulkJobError: Salesforce failed a job, or did not end it in time. What came before stands.
    """
    wheres: list[soql.Condition | None] = [None]
    if plan.bulk_by_ids:
        per_job = ids_per_bulk_job(columns.fields, client.limits)
        wheres = [soql.id_in(some) for some in in_batches(Texts(ids), per_job)]
    unseen, key = ids, columns.key.name
    converting = threading.Lock()

    def read(page: models.CsvPage) -> Batch:
        try:
            # Pages arrive side by side, but a page being read takes ten times its size.
            with converting:
                return from_csv(page.body, columns, among=ids)
        except pa.ArrowException:
            raise TruncatedResponseError("a Bulk result that is no CSV of these fields") from None

    for where in wheres:
        statement = soql.select(columns.fields, columns.object_name, where)
        try:
            job = bulk_job.job_of(
                client,
                statement,
                expected_seconds=plan.job_seconds,
                resume=jobs.resumable(statement),
                created=partial(jobs.created, statement),
                waiting=_news(jobs, columns.object_name),
                clock=jobs.clock,
            )
        except BulkJobError:
            jobs.forget(statement)
            raise
        for page in bulk_job.results_as(client, job, read, at_once=_PAGES_AT_ONCE):
            # A job that Salesforce retried may return a row twice; the first one is as good.
            came = page.table.column(key)
            wanted = pc.is_in(came, value_set=unseen)
            batch = page.of_rows(first_of_each(came, wanted), columns)
            unseen = minus(unseen, union(batch.table.column(key)))
            yield batch, []
        jobs.forget(statement)
    yield from_records([], columns), unseen.to_pylist()


def _news(jobs: BulkJobs, object_name: str) -> Callable[[models.Job], None]:
    """Make what tells, every so often, that a job is not complete yet."""
    began = latest = jobs.clock()

    def tell(job: models.Job) -> None:
        nonlocal latest
        now = jobs.clock()
        if now - latest >= _SECONDS_BETWEEN_NEWS:
            latest = now
            jobs.tell(f"{object_name}: Bulk job {job.id} is {job.state} after {now - began:.0f} s")

    return tell
