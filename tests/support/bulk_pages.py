"""One Bulk job from its creation to its last page."""

from collections.abc import Iterator
from typing import Any

from salesforce_targeted.api import bulk_job
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.models import CsvPage


def bulk_pages(client: SalesforceClient, soql: str, **job: Any) -> Iterator[CsvPage]:
    """Run a job and yield its result pages, the empty ones not."""
    complete = bulk_job.job_of(client, soql, **job)
    yield from bulk_job.results_as(client, complete, lambda page: page)
