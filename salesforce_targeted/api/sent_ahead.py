"""Keep the responses to requests that were sent before the stage that needs them came to send them.

What a run holds already needs no discovery to be asked for. Such requests leave together with the
run's first call, and a stage that sends the very same request later takes the response that came.
One that differs in anything (another field, another id, another cursor) is sent as if nothing had
been sent ahead: a response never counts for another request than its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from salesforce_targeted.api.errors import SalesforceError, TruncatedAnswerError
from salesforce_targeted.api.models import Request, Response

Responses = Sequence[Response | SalesforceError]
T = TypeVar("T")
_Key = tuple[str, str, bytes | None]


class SentAhead:
    """Keep responses by request, each for one use. Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[_Key, tuple[Future[Responses], int]] = {}

    def begin(self, requests: Sequence[Request], send: Callable[[], Responses]) -> None:
        """Send some requests in a thread of their own; ``take`` waits for the responses."""
        arriving: Future[Responses] = Future()

        def run() -> None:
            try:
                arriving.set_result(send())
            except BaseException as error:  # noqa: BLE001  # take() leaves it to the stage's own
                arriving.set_exception(error)

        self._keep(requests, arriving)
        # A daemon: whoever interrupts a run does not wait for what was sent on a guess.
        threading.Thread(target=run, name="sent-ahead", daemon=True).start()

    def keep(self, requests: Sequence[Request], responses: Responses) -> None:
        """Keep responses that came with others, in a composite call."""
        arrived: Future[Responses] = Future()
        arrived.set_result(responses)
        self._keep(requests, arrived)

    def take(self, request: Request) -> Response | None:
        """Return the response to a request that was sent ahead, once; None where there is none.

        A refusal is none: the stage sends the request itself and treats what it gets as ever.
        """
        arriving, place = self._kept.pop(_key(request), (None, 0))
        if arriving is None or arriving.exception() is not None:
            return None
        response = arriving.result()[place]
        return response if isinstance(response, Response) else None

    def read(self, request: Request, read: Callable[[Response], T]) -> tuple[T] | None:
        """Return what a reader makes of the response that :meth:`take` returns, in a tuple of one.

        None, too, where the reader finds the response cut: the stage sends the request itself.
        """
        response = self.take(request)
        if response is None:
            return None
        try:
            return (read(response),)
        except TruncatedAnswerError:
            return None

    def _keep(self, requests: Sequence[Request], arriving: Future[Responses]) -> None:
        self._kept.update({_key(one): (arriving, n) for n, one in enumerate(requests)})


def _key(request: Request) -> _Key:
    return request.method, request.path, request.body
