"""Fetch records by id through Bulk 2.0: jobs over lists of ids, or one over the whole object.

A job that does not end in the time that its size explains is left to REST. One that a killed run
left is not gone on with, for its rows are those of an earlier moment. Nor is it deleted: that would
take a DELETE, which never leaves this library. Salesforce drops it after seven days.

Source: Bulk API 2.0 Developer Guide, "Query Jobs", "Get Results for a Query Job" (results are kept
for seven days); airbyte #17148 (400 rows, InProgress for hours).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api import bulk_job, soql
from salesforce_targeted.api.errors import TruncatedResponseError
from salesforce_targeted.arrow.batch import Batch
from salesforce_targeted.arrow.from_csv import csv_texts, from_csv
from salesforce_targeted.arrow.id_set import Texts, first_of_each, in_batches, minus, union
from salesforce_targeted.retrieval.planner import Plan, ids_per_bulk_job
from salesforce_targeted.retrieval.sobject_collections import RecordReader

# Result pages in memory at once: each holds tens of thousands of whole records.
_PAGES_AT_ONCE = 3


def by_bulk(
    reader: RecordReader, plan: Plan, ids: pa.Array, tell: Callable[[str], None]
) -> Iterator[Batch]:
    """Run one job after the other; the rows of a whole object are chosen here.

    Raises:
        BulkJobError: Salesforce failed a job, or did not end it in time. What came before stands.
    """
    client, columns = reader.client, reader.columns
    wheres: list[soql.Condition | None] = [None]
    if plan.bulk_by_ids:
        per_job = ids_per_bulk_job(columns.fields, client.limits)
        wheres = [soql.id_in(job_ids) for job_ids in in_batches(Texts(ids), per_job)]
    unseen, key = ids, columns.key.name
    converting = threading.Lock()

    def read(page: bytes) -> tuple[int, Batch]:
        try:
            # Pages arrive side by side, but a page being read takes ten times its size.
            with converting:
                texts = csv_texts(page, columns)
                return len(texts), from_csv(texts, columns, among=ids)
        except pa.ArrowException:
            raise TruncatedResponseError("a Bulk result that is no CSV of these fields") from None

    for where in wheres:
        job = bulk_job.job_of(
            client,
            soql.select(columns.fields, columns.object_name, where),
            expected_seconds=plan.job_seconds,
            tell=lambda news: tell(f"{columns.object_name}: {news}"),
        )
        for page in bulk_job.results_as(client, job, read, at_once=_PAGES_AT_ONCE):
            # A job that Salesforce retried may return a row twice; the first one is as good.
            came = page.table.column(key)
            wanted = pc.is_in(came, value_set=unseen)
            batch = page.of_rows(first_of_each(came, wanted), columns)
            unseen = minus(unseen, union(batch.table.column(key)))
            yield batch
