"""One Bulk job from its creation to its last page."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from salesforce_targeted.api import bulk_job
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import TruncatedResponseError

Rows = list[list[str]]


def rows_of(body: bytes) -> tuple[int, Rows]:
    """Read a page by Python's own reader of CSV: how many records it holds, and the records."""
    try:
        rows = list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))
    except (csv.Error, UnicodeDecodeError):
        raise TruncatedResponseError("no CSV") from None
    return max(0, len(rows) - 1), rows[1:]


def bulk_pages(client: SalesforceClient, soql: str, **job: Any) -> Iterator[Rows]:
    """Run a job and yield the records of its result pages, the empty ones not."""
    complete = bulk_job.job_of(client, soql, **job)
    yield from bulk_job.results_as(client, complete, rows_of)
