"""The pages of a query, from the first to the last: all of them, or an error.

Rule: the rows of all pages together are as many as Salesforce promised with the first one.
"""

from collections.abc import Callable, Iterator, Sized
from typing import TypeVar

from salesforce_targeted.api import endpoints, json_lines
from salesforce_targeted.api.models import JsonRows, Page, Request, Response

from .authorized_session import AuthorizedSession
from .composite import send_in_body
from .errors import TruncatedAnswerError

S = TypeVar("S", bound=Sized)


def iter_pages(
    session: AuthorizedSession,
    soql: str,
    read: Callable[[JsonRows], S],
    all_rows: bool = False,
    attempts_at_500: int | None = None,
) -> Iterator[S]:
    """Run a query and yield the rows of its pages, as ``SalesforceClient.iter_pages``."""
    first = endpoints.query(session.version, soql, all_rows)
    current = _first(session, first, lambda response: _read_first(response, read), attempts_at_500)
    yield from _from(session, first, current, read)


def pages_after(
    session: AuthorizedSession, first: Request, response: Response, read: Callable[[JsonRows], S]
) -> Iterator[S]:
    """Yield the rows of a query whose first page is here already, that page's included.

    Args:
        session: Asks for the pages that follow.
        first: The query.
        response: Its answer, which may have come in a composite one.
        read: As for :func:`iter_pages`.
    """
    yield from _from(session, first, _read_first(response, read), read)


def _read_page(response: Response, read: Callable[[JsonRows], S]) -> Page[S]:
    page = json_lines.raw_page(response)
    return Page(read(page.records), page.next, page.total)


def _read_first(response: Response, read: Callable[[JsonRows], S]) -> Page[S]:
    page = _read_page(response, read)
    if page.next is None and len(page.records) != page.total:
        raise TruncatedAnswerError(
            f"a query promised {page.total} rows and gave {len(page.records)}"
        )
    return page


def _from(
    session: AuthorizedSession, first: Request, current: Page[S], read: Callable[[JsonRows], S]
) -> Iterator[S]:
    promised, seen = current.total, 0
    addresses = set()
    while True:
        seen += len(current.records)
        session.meter.add_rows(first.kind, len(current.records))
        if len(current.records):
            yield current.records
        if current.next is None:
            break
        if current.next.path in addresses:
            raise TruncatedAnswerError("the pages of a query go round in a circle")
        addresses.add(current.next.path)
        current = session.send(current.next, lambda response: _read_page(response, read))
    if seen != promised:
        raise TruncatedAnswerError(
            f"a query promised {promised} rows and gave {seen}",
            remedy="Rows were deleted meanwhile, or an answer was cut: run the query again.",
            call=first.call,
        )


def _first(
    session: AuthorizedSession,
    request: Request,
    read: Callable[[Response], Page[S]],
    attempts_at_500: int | None,
) -> Page[S]:
    """Read the first page. Source: help article 000386264 (414 and 431: too long for a URI)."""
    if len(request.path) <= session.limits.uri_bytes - session.limits.header_bytes:
        return session.send(request, read, attempts_at_500=attempts_at_500)
    return send_in_body(session, request, read)
