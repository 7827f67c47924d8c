"""Send several requests in one billed call, and read all pages of a query.

Rules:
1. A query that is too long for an address travels in the body of a ``composite`` call.
2. The rows of all pages together are as many as Salesforce promised with the first one.

Source: REST API Developer Guide, "Composite", "Query", "Query More Results".
"""

from collections.abc import Callable, Iterator, Sequence, Sized
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import TypeVar, Unpack

from salesforce_targeted.api import endpoints, json_lines, readers
from salesforce_targeted.api.authorized_session import AuthorizedSession
from salesforce_targeted.api.concurrency import NO_READERS, Readers
from salesforce_targeted.api.errors import (
    NotFoundError,
    PermissionDeniedError,
    QueryError,
    SalesforceError,
    SlowResponseError,
    TooLargeError,
    TruncatedResponseError,
    UnavailableError,
    is_of_query,
    is_of_records,
)
from salesforce_targeted.api.models import JsonRows, Page, Request, Response
from salesforce_targeted.api.refusals import error_responses
from salesforce_targeted.api.refusals.retries import Attempts

# What is refused together may be served alone; and refused alone, it is an error like any other.
_REFUSED = (PermissionDeniedError, NotFoundError, QueryError, TooLargeError)
_ADDRESS_TOO_LONG = (HTTPStatus.REQUEST_URI_TOO_LONG, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
# Of these a part may take two minutes. Source: Salesforce Help, article 000386264.
_SLOW_KINDS = {"query", "query_all", "collections"}

T = TypeVar("T")
S = TypeVar("S", bound=Sized)
Result = Response | SalesforceError


class _PartUnavailableError(TruncatedResponseError):
    """Report a part that may pass: the whole is asked for again, as the part would be if alone."""

    def __init__(self, part: SalesforceError, responses: Sequence[Result]) -> None:
        super().__init__(part.message, remedy=part.remedy, call=part.call, status=part.status)
        self.error_code = part.error_code
        self.responses = responses  # all parts of the last attempt


def composite(
    session: AuthorizedSession, requests: Sequence[Request], **attempts: Unpack[Attempts]
) -> list[Result]:
    """Send several reading requests, 25 for one billed call; each has a response of its own.

    An org that refuses ``composite`` gets them one by one, a call each. What was sent ahead is not
    sent again.

    Args:
        requests: At most five of each 25 may be queries or Collections.
        attempts: As for ``send``, where they are sent one by one.

    Returns:
        A response for each request, or why it was refused or failed.
    """
    ahead = {n: sent for n, request in enumerate(requests) if (sent := session.ahead.take(request))}
    left = [request for n, request in enumerate(requests) if n not in ahead]
    size = session.limits.composite_subrequests
    came = chain.from_iterable(
        _bundle(session, left[start : start + size], attempts)
        for start in range(0, len(left), size)
    )
    return [ahead[n] if n in ahead else next(came) for n in range(len(requests))]


def send_ahead(
    session: AuthorizedSession,
    groups: Sequence[Sequence[Request]],
    *,
    early: Readers = NO_READERS,
    when_idle: bool = False,
) -> None:
    """Send reading requests that will be needed, a billed call for each group; don't wait.

    Whatever sends the same request later, in ``send`` or :func:`composite`, takes the response.
    Nothing is raised here: a request that fails is sent again where it is needed.

    Args:
        groups: One request, sent as it is, or several for a ``composite`` (five slow ones at most).
        early: What reads the responses to some of them as they come; see ``SentAhead``.
        when_idle: Each leaves as soon as the stage that runs has no further one to send.
    """
    begin = session.ahead.put_off if when_idle else session.ahead.begin
    for requests in groups:
        begin(requests, partial(_send_once, session, requests), early)


def _send_once(session: AuthorizedSession, requests: Sequence[Request]) -> list[Result]:
    if len(requests) == 1 and len(requests[0].path) <= session.longest_path:
        # Alone its body is read as it came; a part of a composite is parsed and written again.
        return [session.send_now(requests[0], readers.as_it_is, attempts=1)]
    if not session.composes:
        raise PermissionDeniedError("the org does not accept composite requests", call="composite")
    return session.send_now(
        endpoints.composite(session.version, requests),
        lambda response: _parts(response, requests),
        attempts=1,
    )


def _bundle(
    session: AuthorizedSession, requests: Sequence[Request], attempts: Attempts
) -> list[Result]:
    """Send some in one call; where the org refuses that, or takes too long, in several."""
    slow = [request for request in requests if request.kind in _SLOW_KINDS]
    several_slow = len(slow) > 1
    # A single one, too: several that are compared must all go the same way.
    if session.composes and (session.together or not several_slow):
        try:
            return session.send_now(
                endpoints.composite(session.version, requests),
                lambda response: _parts(response, requests),
                attempts_when_slow=1 if several_slow else None,
            )
        except _PartUnavailableError as error:
            if not _is_any_served(error.responses):
                raise
            return list(error.responses)
        except (QueryError, TooLargeError, SlowResponseError) as error:
            if not (several_slow and isinstance(error, SlowResponseError)):
                return _one_by_one(session, requests, attempts)
            session.together = False
            session.warn(
                f"{error.what} The org runs the queries of a call one after the other, which"
                " together took longer than we wait: each is sent alone, in more calls."
            )
        except (PermissionDeniedError, NotFoundError, UnavailableError) as error:
            is_out = isinstance(error, UnavailableError)
            responses = _one_by_one(session, requests[:1], {"attempts": 1} if is_out else attempts)
            if is_out and isinstance(responses[0], UnavailableError):
                raise  # the org is down: the first of them fails alone, too, at once
            responses += _one_by_one(session, requests[1:], attempts, served=responses)
            session.composes = False
            session.warn(
                f"{error.what} The org does not accept composite requests: each is a call."
            )
            return responses
    if not session.composes:
        return _one_by_one(session, requests, attempts)
    # The slow ones alone, and all others together.
    quick = [request for request in requests if request.kind not in _SLOW_KINDS]
    together = _bundle(session, quick, attempts) if quick else []
    alone = iter(_one_by_one(session, slow, attempts, served=together))
    bundle = iter(together)
    return [next(alone if request.kind in _SLOW_KINDS else bundle) for request in requests]


def _one_by_one(
    session: AuthorizedSession,
    requests: Sequence[Request],
    attempts: Attempts,
    served: Sequence[Result] = (),
) -> list[Result]:
    """Send each alone; what is of one of them is no outage where others were served before it."""
    responses: list[Result] = []
    for request in requests:
        try:
            responses.append(session.send_now(request, readers.as_it_is, **attempts))
        except SalesforceError as error:
            is_of_it = is_of_query(error) and _is_any_served([*served, *responses])
            if not (isinstance(error, _REFUSED) or is_of_records(error) or is_of_it):
                raise
            responses.append(error)
    return responses


def _is_any_served(responses: Sequence[Result]) -> bool:
    return any(isinstance(response, Response) for response in responses)


def _parts(response: Response, requests: Sequence[Request]) -> list[Result]:
    parts = readers.composite_results(response, len(requests))
    responses: list[Result] = []
    unavailable: SalesforceError | None = None
    for part, request in zip(parts, requests, strict=True):
        part_response = readers.part(*part)
        if part_response.is_success:
            responses.append(part_response)
            continue
        refused = error_responses.refusal(part_response, request.kind)
        error = refused.error(request.call)
        if refused.retried and part_response.status != HTTPStatus.INTERNAL_SERVER_ERROR:
            unavailable = error
        responses.append(error)
    if unavailable is not None:
        raise _PartUnavailableError(unavailable, responses)
    return responses


def send_in_body(session: AuthorizedSession, request: Request, read: Callable[[Response], T]) -> T:
    """Send one request with its address in the body; it is read and refused as if sent alone.

    Raises:
        TooLargeError: the org refuses ``composite`` itself, so that less must be asked for.
    """
    if (value := session.ahead.read(request, read)) is not None:
        return value[0]

    def read_part(response: Response) -> T | SalesforceError:
        (part,) = _parts(response, [request])
        return part if isinstance(part, SalesforceError) else read(part)

    if not session.composes:
        raise TooLargeError(
            "the query is too long for an address, and the org does not accept composite requests",
            call=request.call,
        )
    try:
        result = session.send(endpoints.composite(session.version, [request]), read_part)
    except (PermissionDeniedError, NotFoundError) as refused:
        session.composes = False
        raise TooLargeError(
            f"the query is too long for an address, and the org refuses composite: {refused.what}",
            call=request.call,
            error_code=refused.error_code,
            status=refused.status,
        ) from refused
    if isinstance(result, SalesforceError):
        raise result
    return result


def iter_pages(
    session: AuthorizedSession,
    soql: str,
    read: Callable[[JsonRows], S],
    all_rows: bool = False,
    **attempts: Unpack[Attempts],
) -> Iterator[S]:
    """Yield a query's rows by page, as whatever a reader makes of them.

    Args:
        read: Makes of one response's records something that has as many rows; raises
            TruncatedResponseError where they can't be read, and the page is requested again.
        all_rows: Deleted, merged and archived records as well.
        attempts: Of the first page, as for ``send``.

    Raises:
        LocatorExpiredError: the place in the result is gone; run the query again.
        TruncatedResponseError: fewer or more rows came than Salesforce promised.
    """
    first = endpoints.query(session.version, soql, all_rows)
    read_first = partial(_read_page, read=read, first=True)
    fits = len(first.path) <= session.longest_path
    if fits:
        try:
            page = session.send(first, read_first, **attempts)
        except TooLargeError as error:
            if error.status not in _ADDRESS_TOO_LONG:
                raise
            session.longest_path, fits = len(first.path) // 2, False
    if not fits:
        page = send_in_body(session, first, read_first)
    yield from _from(session, first, page, read)


def pages_after(
    session: AuthorizedSession, first: Request, response: Response, read: Callable[[JsonRows], S]
) -> Iterator[S]:
    """Yield the rows of a query, as :func:`iter_pages`, of which the first page has come."""
    yield from _from(session, first, _read_page(response, read, first=True), read)


def _read_page(response: Response, read: Callable[[JsonRows], S], first: bool = False) -> Page[S]:
    page = json_lines.raw_page(response)
    rows = read(page.records)
    if first and page.next is None and len(rows) != page.total:
        raise TruncatedResponseError(f"a query promised {page.total} rows and gave {len(rows)}")
    return Page(rows, page.next, page.total)


def _from(
    session: AuthorizedSession, first: Request, current: Page[S], read: Callable[[JsonRows], S]
) -> Iterator[S]:
    promised, seen, addresses = current.total, 0, set[str]()
    while True:
        seen += len(current.records)
        session.meter.add_rows(first.kind, len(current.records))
        if len(current.records):
            yield current.records
        if current.next is None:
            break
        if current.next.path in addresses:
            raise TruncatedResponseError("the pages of a query go round in a circle")
        addresses.add(current.next.path)
        current = session.send(current.next, lambda response: _read_page(response, read))
    if seen != promised:
        raise TruncatedResponseError(
            f"a query promised {promised} rows and gave {seen}",
            remedy="Rows were deleted meanwhile, or a response was cut: run the query again.",
            call=first.call,
        )
