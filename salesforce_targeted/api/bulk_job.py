"""Run one Bulk API 2.0 query job, whatever ends it.

Rules:
1. A job goes on while its state is known to be on the way; ``JobComplete`` is read; anything else
   raises.
2. Every page is counted, and the sum of the pages is what the job says it has processed.
3. Results are asked for with the version that created the job: another one is refused with 409.

Sources: Bulk API 2.0 and Bulk API Developer Guide, "Create a Query Job", "Get Information About a
Query Job", "Get Results for a Query Job".
"""

import logging
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from salesforce_targeted.api.concurrency import map_in_order, merge_as_completed
from salesforce_targeted.api.models import CsvPage, Job, Request, Response, ResultPages

from . import bulk_readers, endpoints
from .client import SalesforceClient
from .errors import (
    BulkJobError,
    ConfigurationError,
    NotFoundError,
    QueryError,
    SalesforceError,
    TruncatedResponseError,
)

_log = logging.getLogger(__name__)

_ON_THE_WAY = {"UploadComplete", "InProgress"}
# "Open" isn't documented for query jobs; ingest jobs have it, and some responses have shown it.
_NOT_YET = _ON_THE_WAY | {"Open", "Queued"}
_COMPLETE = "JobComplete"
_FIRST_POLL_SECONDS = 0.2
_POLL_GROWTH = 1.5
_LONGEST_POLL_SECONDS = 20.0
# A job gets so many times the time that its size explains, and never less than some minutes: orgs
# queue jobs, and some never end. Source: airbyte #17148 (400 rows, InProgress for hours).
_DEADLINE_FACTOR = 10.0
_SHORTEST_DEADLINE_SECONDS = 300.0
# "Get Parallel Results for a Query Job": available in API version 58.0 and later.
_FIRST_WITH_RESULT_PAGES = 58.0

T = TypeVar("T")


def job_of(
    client: SalesforceClient,
    soql: str,
    *,
    all_rows: bool = False,
    expected_seconds: float = 0.0,
    deadline_seconds: float | None = None,
    resume: str | None = None,
    created: Callable[[str], None] | None = None,
    waiting: Callable[[Job], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Job:
    """Run one query job until it is complete.

    Args:
        client: Sends the requests.
        soql: No GROUP BY, OFFSET, aggregate, compound field or child query.
        all_rows: Deleted, merged and archived records as well.
        expected_seconds: How long the job will probably take; it is not polled before.
        deadline_seconds: How long the job may take until it is complete; by default ten times
            ``expected_seconds``, and at least five minutes.
        resume: The id of an earlier job for the same query. Used if it still exists; otherwise a
            new job is created.
        created: Called with the id of a new job, so that a later process can resume it.
        waiting: Called with the job each time that it is not complete yet.
        clock: Seconds that never go back, for the deadline.

    Raises:
        UnsupportedObjectError: Bulk doesn't serve this object or this kind of query.
        BulkJobError: the job ended in any other state than ``JobComplete``, or not in time.
    """
    job = _resumed(client, resume) if resume else None
    if job is None:
        request = endpoints.bulk_create(client.version, soql, all_rows)
        job = client.send(request, bulk_readers.job)
        if created is not None:
            created(job.id)
    if deadline_seconds is None:
        deadline_seconds = max(_SHORTEST_DEADLINE_SECONDS, _DEADLINE_FACTOR * expected_seconds)
    return _completed(client, job, expected_seconds, deadline_seconds, waiting, clock)


def results_as(
    client: SalesforceClient,
    job: Job,
    read: Callable[[CsvPage], T],
    *,
    max_records: int | None = None,
    at_once: int = 1,
) -> Iterator[T]:
    """Yield a complete job's result pages as whatever a reader makes of them, the empty ones not.

    Args:
        client: Sends the requests.
        job: As ``job_of`` returns it.
        read: Is called in the thread that got the page; raises TruncatedResponseError where it
            can't be read, and the page is requested again.
        max_records: Records per page; Salesforce takes it as a hint.
        at_once: How many pages are on the way and in memory; more than one from version 58.0 on.

    Raises:
        BulkJobError: the results are gone.
        TruncatedResponseError: the pages don't hold the records that the job says it has processed.
    """
    size = max_records or client.limits.bulk_rows_per_page
    several = job.rows is not None and job.rows > size
    if at_once > 1 and several and float(_version(client, job)) >= _FIRST_WITH_RESULT_PAGES:
        try:
            first = _addresses(client, job, size)
        except (NotFoundError, QueryError):
            first = None
        if first is not None:
            yield from _parallel_results(client, job, size, read, first, at_once)
            return
        _log.info("the org names no result pages: one is read after the other")
    one_by_one = _results(client, job, size, read)
    # The next page is on its way while this one is used.
    yield from merge_as_completed([one_by_one], 1) if several and at_once > 1 else one_by_one


def _version(client: SalesforceClient, job: Job) -> str:
    return job.api_version or client.version


def _resumed(client: SalesforceClient, job_id: str) -> Job | None:
    if not job_id.isascii() or not job_id.isalnum():
        raise ConfigurationError("that is no id of a Bulk job")
    try:
        job = client.send(endpoints.bulk_status(client.version, job_id), bulk_readers.job)
    except NotFoundError:
        _log.info("the earlier Bulk job %s is gone: a new one is created", job_id)
        return None
    if job.state in _NOT_YET or job.state == _COMPLETE:
        return job
    _log.info("the earlier Bulk job %s is %s: a new one is created", job_id, job.state)
    return None


def _completed(
    client: SalesforceClient,
    job: Job,
    expected_seconds: float,
    deadline_seconds: float,
    waiting: Callable[[Job], None] | None,
    clock: Callable[[], float],
) -> Job:
    """Poll until the job is complete, ever less often: each poll is a call."""
    deadline, asked = clock() + deadline_seconds, False
    pause = min(max(_FIRST_POLL_SECONDS, expected_seconds), deadline_seconds)
    # The response to the creation doesn't say how many rows there are, whatever its state.
    while job.state in _NOT_YET or not asked:
        if asked and clock() + pause > deadline:
            raise BulkJobError(
                f"Bulk job {job.id} is still {job.state} after {deadline_seconds:.0f} s",
                remedy="Jobs can be stuck: read through sObject Collections, or allow more time.",
            )
        if job.state in _NOT_YET:
            if waiting is not None:
                waiting(job)
            client.sleep(pause)
            # What is late is late by a share of what it takes.
            next_pause = pause * _POLL_GROWTH if asked or not expected_seconds else pause / 10
            pause = min(_LONGEST_POLL_SECONDS, max(_FIRST_POLL_SECONDS, next_pause))
        elif job.state != _COMPLETE:
            break
        job, asked = (
            client.send(endpoints.bulk_status(_version(client, job), job.id), bulk_readers.job),
            True,
        )
    if job.state != _COMPLETE:
        why = f": {job.error}" if job.error else ", and Salesforce gives no reason"
        raise BulkJobError(f"Bulk job {job.id} on {job.object or 'an object'} is {job.state}{why}")
    return job


def _results(
    client: SalesforceClient,
    job: Job,
    max_records: int,
    read: Callable[[CsvPage], T],
    locator: str | None = None,
    rows: int = 0,
) -> Iterator[T]:
    """Read one page after the other: from ``locator`` on, after ``rows`` that were read before."""
    used: set[str] = set()

    def read_page(response: Response) -> tuple[int, T | None, str | None]:
        page, following = bulk_readers.csv_page(response)
        if following is None and job.rows not in (None, rows + page.rows):
            # Raised here, the page is read again: an empty 200 looks like the end of them.
            raise TruncatedResponseError(
                f"Bulk job {job.id} processed {job.rows} records and its results hold "
                f"{rows + page.rows}"
            )
        return page.rows, read(page) if page.rows else None, following

    while True:
        request = endpoints.bulk_results(_version(client, job), job.id, locator, max_records)
        try:
            count, found, locator = client.send(request, read_page)
        except NotFoundError as error:
            raise _lost(job, error) from error
        rows += count
        client.meter.add_rows("bulk_results", count)
        if found is not None:
            yield found
        if locator is None:
            return
        if locator in used:
            raise BulkJobError(f"Bulk job {job.id} names the same result page twice")
        used.add(locator)


def _addresses(client: SalesforceClient, job: Job, max_records: int) -> ResultPages | None:
    request = endpoints.bulk_result_pages(_version(client, job), job.id, max_records)
    return client.send(request, bulk_readers.result_pages)


class _Addresses:
    """Yield the requests for a job's pages as the org names them, in their order.

    Attributes:
        understood: False once a response can't be understood; what it named is still to be read.
    """

    def __init__(self, client: SalesforceClient, job: Job, first: ResultPages) -> None:
        self.understood = True
        self._client, self._job, self._first = client, job, first

    def __iter__(self) -> Iterator[Request]:
        named: ResultPages | None = self._first
        visited = set()
        while named is not None:
            yield from named.pages
            if named.next is None:
                return
            if named.next.path in visited:
                raise BulkJobError(f"Bulk job {self._job.id} names the same result pages twice")
            visited.add(named.next.path)
            named = self._client.send(named.next, bulk_readers.result_pages)
        self.understood = False


def _parallel_results(
    client: SalesforceClient,
    job: Job,
    max_records: int,
    read: Callable[[CsvPage], T],
    first: ResultPages,
    at_once: int,
) -> Iterator[T]:
    """Read pages by the addresses that the org names for them, several at once.

    Where an address can't be understood the rest is read one page after the other.
    """
    addresses, rows, locator = _Addresses(client, job, first), 0, None

    def read_page(response: Response) -> tuple[int, T | None, str | None]:
        page, following = bulk_readers.csv_page(response)
        return page.rows, read(page) if page.rows else None, following

    def fetch(request: Request) -> tuple[int, T | None, str | None]:
        try:
            return client.send(request, read_page)
        except NotFoundError as error:
            raise _lost(job, error) from error

    for count, found, following in map_in_order(fetch, addresses, at_once):
        rows, locator = rows + count, following
        client.meter.add_rows("bulk_results", count)
        if found is not None:
            yield found
    if locator is not None and not addresses.understood:
        yield from _results(client, job, max_records, read, locator, rows)
    elif rows != job.rows:
        raise TruncatedResponseError(
            f"Bulk job {job.id} processed {job.rows} records and its results hold {rows}",
            remedy="Run again: the job's results are read again.",
        )


def _lost(job: Job, error: SalesforceError) -> BulkJobError:
    return BulkJobError(
        f"the results of Bulk job {job.id} are gone",
        remedy="Salesforce keeps them for seven days unless the job is deleted: run it again.",
        call=error.call,
        error_code=error.error_code,
        status=error.status,
    )
