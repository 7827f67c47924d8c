"""Requests in the body of another: several for one call, or one that is too long for a URI.

Source: REST API Developer Guide, "Composite".
"""

import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TypeVar

from salesforce_targeted.api import endpoints, error_responses, readers
from salesforce_targeted.api.models import Request, Response

from .authorized_session import AuthorizedSession
from .errors import (
    NotFoundError,
    PermissionDeniedError,
    QueryError,
    SalesforceError,
    TooLargeError,
    TruncatedAnswerError,
    is_of_records,
)

_log = logging.getLogger(__name__)
# What is refused together may be answered alone; and alone it is an answer like any other.
_REFUSED = (PermissionDeniedError, NotFoundError, QueryError, TooLargeError)

T = TypeVar("T")


def composite(
    session: AuthorizedSession, requests: Sequence[Request], attempts_at_500: int | None = None
) -> list[Response | SalesforceError]:
    """Ask several things for one billed call each 25, as ``SalesforceClient.together``."""
    found: list[Response | SalesforceError] = []
    size = session.limits.composite_subrequests
    for start in range(0, len(requests), size):
        found += _bundle(session, requests[start : start + size], attempts_at_500)
    return found


def _bundle(
    session: AuthorizedSession, requests: Sequence[Request], attempts_at_500: int | None
) -> list[Response | SalesforceError]:
    # A single one, too: whoever compares how several fare must not ask the last another way.
    try:
        return session.send(
            endpoints.composite(session.version, requests),
            lambda response: _parts(response, requests),
        )
    except _REFUSED:
        _log.debug("composite refused: asking one by one")
    found: list[Response | SalesforceError] = []
    for request in requests:
        try:
            found.append(session.send(request, readers.as_it_is, attempts_at_500=attempts_at_500))
        except SalesforceError as error:
            if not (isinstance(error, _REFUSED) or is_of_records(error)):
                raise
            found.append(error)
    return found


def _parts(response: Response, requests: Sequence[Request]) -> list[Response | SalesforceError]:
    parts = readers.composite_results(response, len(requests))
    if any(status > HTTPStatus.INTERNAL_SERVER_ERROR for status, _ in parts):
        # It may pass: the whole is asked for again, as the part would be if it had come alone.
        raise TruncatedAnswerError("a composite answer of which a part is not available")
    answers = [readers.part(*part) for part in parts]
    return [
        answer
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
        else error_responses.error_from(answer, request.call, request.kind)
        for answer, request in zip(answers, requests, strict=True)
    ]


def send_in_body(session: AuthorizedSession, request: Request, read: Callable[[Response], T]) -> T:
    """Ask one thing for one call, its address in the body; read and refused as if asked alone."""

    def read_part(response: Response) -> T:
        ((status, body),) = readers.composite_results(response, 1)
        inner = readers.part(status, body)
        if status != HTTPStatus.OK:
            raise error_responses.error_from(inner, request.call, request.kind)
        return read(inner)

    return session.send(endpoints.composite(session.version, [request]), read_part)
