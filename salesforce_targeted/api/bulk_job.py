"""Run one Bulk API 2.0 query job, whatever ends it.

Rules:
1. A job goes on while its state is known to be on the way; ``JobComplete`` is read; anything else
   raises.
2. Every page is counted, and the sum of the pages is what the job says it has processed.
3. Results are asked for with the version that created the job: another one is refused with 409.

Sources: Bulk API 2.0 and Bulk API Developer Guide, "Create a Query Job", "Get Information About a
Query Job", "Get Results for a Query Job", "Get Parallel Results for a Query Job".
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from salesforce_targeted.api.concurrency import map_as_completed
from salesforce_targeted.api.models import CsvPage, Job, Request, Response

from . import bulk_readers, endpoints
from .client import SalesforceClient
from .errors import (
    BulkJobError,
    PermissionDeniedError,
    QueryError,
    TruncatedResponseError,
)

_log = logging.getLogger(__name__)

# "Open" isn't documented for query jobs; ingest jobs have it, and some responses have shown it.
_NOT_YET = {"UploadComplete", "InProgress", "Open", "Queued"}
_COMPLETE = "JobComplete"
_FIRST_POLL_SECONDS = 0.2
_POLL_GROWTH = 1.5
_LONGEST_POLL_SECONDS = 20.0
# A job gets so many times the time that its size explains, and never less than some minutes: orgs
# queue jobs, and some never end. Source: airbyte #17148 (400 rows, InProgress for hours).
_DEADLINE_FACTOR = 10.0
_SHORTEST_DEADLINE_SECONDS = 300.0
# A person wants to read no more often than this that a job is not complete.
_SECONDS_BETWEEN_NEWS = 20.0

T = TypeVar("T")


def job_of(
    client: SalesforceClient,
    soql: str,
    *,
    expected_seconds: float = 0.0,
    tell: Callable[[str], None] = _log.info,
) -> Job:
    """Run one query job until it is complete, asking ever less often: each poll is a call.

    Args:
        soql: No GROUP BY, OFFSET, aggregate, compound field or child query.
        expected_seconds: How long the job will probably take; it is not polled before. It gets ten
            times as long, and at least five minutes.
        tell: Told in a sentence, every so often, that the job is not complete yet.

    Raises:
        UnsupportedObjectError: Bulk doesn't serve this object or this kind of query.
        BulkJobError: the job ended in any other state than ``JobComplete``, or not in time.
    """
    deadline = max(_SHORTEST_DEADLINE_SECONDS, _DEADLINE_FACTOR * expected_seconds)
    job = client.send(endpoints.bulk_create(client.version, soql), bulk_readers.job)
    pause, waited, asked = max(_FIRST_POLL_SECONDS, expected_seconds), 0.0, False
    last_news = 0.0
    # The response to the creation doesn't say how many rows there are, whatever its state.
    while job.state in _NOT_YET or (job.state == _COMPLETE and not asked):
        if job.state in _NOT_YET:
            if waited + pause > deadline:
                raise BulkJobError(
                    f"Bulk job {job.id} is still {job.state} after {deadline:.0f} s",
                    remedy="Jobs can be stuck: run it again, or read through sObject Collections"
                    " (api = collections).",
                )
            if waited - last_news >= _SECONDS_BETWEEN_NEWS:
                last_news = waited
                tell(f"Bulk job {job.id} is {job.state} after {waited:.0f} s")
            client.sleep(pause)
            waited += pause
            # What is late is late by a share of what it takes.
            pause = pause * _POLL_GROWTH if asked or not expected_seconds else pause / 10
            pause = min(_LONGEST_POLL_SECONDS, max(_FIRST_POLL_SECONDS, pause))
        job = client.send(endpoints.bulk_status(client.version, job.id), bulk_readers.job)
        asked = True
    if job.state != _COMPLETE:
        why = f": {job.error}" if job.error else ", and Salesforce gives no reason"
        raise BulkJobError(f"Bulk job {job.id} on {job.object or 'an object'} is {job.state}{why}")
    return job


def results_as(
    client: SalesforceClient,
    job: Job,
    read: Callable[[bytes], tuple[int, T]],
    *,
    at_once: int = 1,
) -> Iterator[T]:
    """Yield a complete job's result pages as whatever a reader makes of them, the empty ones not.

    Where the org names the addresses of the pages several are read side by side and come as they
    arrive; from the first one on that it does not name, or not so that it can be understood, one is
    read after the other. All are, and what came may come again, where what it names is refused or
    does not hold the job's records.

    Args:
        read: Is called with the CSV of a page, in the thread that got it; returns how many records
            it holds and what is made of them. Raises TruncatedResponseError where it can't be read,
            and the page is requested again.
        at_once: How many pages are on the way and in memory.

    Raises:
        BulkJobError: the results are gone.
        TruncatedResponseError: the pages don't hold the records that the job says it has processed.
    """
    size = client.limits.bulk_rows_per_page  # a hint for Salesforce
    are_several = at_once > 1 and job.rows is not None and job.rows > size
    named = _addresses(client, job, size) if are_several else []
    fetch = partial(_fetch, client, job, read)
    rows, locator = 0, None
    try:
        for request, page in map_as_completed(lambda each: (each, fetch(each)), named, at_once):
            rows += page.rows
            if request is named[-1]:
                locator = page.next
            if page.records is not None:
                yield page.records
    except (BulkJobError, PermissionDeniedError, QueryError) as error:
        _log.info("%s Its pages are read one after the other.", error.what)
        locator = None
    if named and rows == job.rows:
        return
    if locator is None or rows > (job.rows or 0):  # what the org named are not the pages
        rows, locator = 0, None
    used, is_last = set[str | None](), False
    while not is_last:
        if locator in used:
            raise BulkJobError(f"Bulk job {job.id} names the same result page twice")
        used.add(locator)
        page = fetch(endpoints.bulk_results(client.version, job.id, locator, size), rows)
        rows, locator, is_last = rows + page.rows, page.next, page.next is None
        if page.records is not None:
            yield page.records
    _check_sum(job, rows)


def _fetch(
    client: SalesforceClient,
    job: Job,
    read: Callable[[bytes], tuple[int, T]],
    request: Request,
    before: int | None = None,
) -> CsvPage[T]:
    """Read a result page; ``before`` are the records of those before it, where that is known."""

    def read_page(response: Response) -> CsvPage[T]:
        page = bulk_readers.csv_page(response, read)
        if before is not None and page.next is None:
            # Raised here, the page is read again: an empty 200 looks like the end of them.
            _check_sum(job, before + page.rows)
        return page

    page = client.send(request, read_page)
    client.meter.add_rows("bulk_results", page.rows)
    return page


def _addresses(client: SalesforceClient, job: Job, size: int) -> list[Request]:
    """List the requests for a job's pages that the org names, in order.

    Source: "Get Parallel Results for a Query Job": up to five a call, from version 58.0 on, which
    is the oldest one that is read through.
    """
    request: Request | None = endpoints.bulk_result_pages(client.version, job.id, size)
    pages, visited = list[Request](), set[str]()
    while request is not None and request.path not in visited:
        visited.add(request.path)
        named = client.if_told(request, bulk_readers.result_pages)
        if named is None:
            _log.info("the org does not name all result pages: the rest is read one by one")
            break
        for page in named.pages:
            if page not in pages:
                pages.append(page)
        request = named.next
    return pages


def _check_sum(job: Job, rows: int) -> None:
    if job.rows not in (None, rows):
        raise TruncatedResponseError(
            f"Bulk job {job.id} processed {job.rows} records and its results hold {rows}"
        )
