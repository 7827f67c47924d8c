"""Fetch records by id through Bulk 2.0: jobs over lists of ids, or one over the whole object.

Source: Bulk API 2.0 Developer Guide, "Query Jobs".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.api import bulk, models, soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import TruncatedAnswerError
from salesforce_targeted.arrow.batch import Batch
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.from_csv import from_csv
from salesforce_targeted.arrow.from_json import from_records
from salesforce_targeted.arrow.id_set import Texts, in_batches, minus, union
from salesforce_targeted.retrieval.bulk_jobs import BulkJobs
from salesforce_targeted.retrieval.planner import Plan, ids_per_bulk_job
from salesforce_targeted.retrieval.results import Answer

# Result pages in memory at once: each holds tens of thousands of whole records.
_PAGES_AT_ONCE = 3


def by_bulk(
    client: SalesforceClient,
    plan: Plan,
    ids: pa.Array,
    columns: Columns,
    jobs: BulkJobs | None,
) -> Iterator[Answer]:
    """One job after the other; the rows of a whole object are chosen here.

    Raises:
        BulkJobError: Salesforce failed a job. What came before stands.
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
            raise TruncatedAnswerError("a Bulk result that is no CSV of these fields") from None

    for where in wheres:
        statement = soql.select(columns.fields, columns.object_name, where)
        job = bulk.job_of(
            client,
            statement,
            expected_seconds=plan.job_seconds,
            resume=jobs.resumable(statement) if jobs else None,
            created=partial(jobs.created, statement) if jobs else None,
        )
        for page in bulk.results_as(client, job, read, at_once=_PAGES_AT_ONCE):
            # A job that Salesforce retried may answer a row twice; the first one is as good.
            batch = page.of_rows(_first_of_each(page.table.column(key), unseen), columns)
            unseen = minus(unseen, union(batch.table.column(key)))
            yield batch, []
        if jobs:
            jobs.read(statement)
    yield from_records([], columns), unseen.to_pylist()


def _first_of_each(ids: pa.ChunkedArray, wanted: pa.Array) -> pa.ChunkedArray:
    """Mark the rows that are of wanted ids, and the first with theirs."""
    chosen = pc.is_in(ids, value_set=wanted)
    if pc.count_distinct(ids).as_py() < len(ids):
        rows = pa.table({"id": ids, "row": range(len(ids))})
        first = rows.group_by("id").aggregate([("row", "min")]).column("row_min")
        chosen = pc.and_(chosen, pc.is_in(rows.column("row"), value_set=first))
    return chosen
