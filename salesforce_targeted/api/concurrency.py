"""Send several calls at once: lists of requests, results read page by page, what is needed later.

Rules:
1. No more responses are on the way or wait to be used than calls may be in flight: memory stays
   flat for any number of them.
2. After an error nothing further is begun. It comes out here, after what was in flight with it: the
   calls are spent, and what they brought is not lost.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from salesforce_targeted.api.errors import SalesforceError, TruncatedResponseError
from salesforce_targeted.api.models import Request, Response

Q = TypeVar("Q")
T = TypeVar("T")

_IN_FLIGHT = "in-flight"


@contextmanager
def _threads(at_once: int) -> Iterator[ThreadPoolExecutor]:
    """Provide so many threads; at the end what has begun is waited for."""
    pool = ThreadPoolExecutor(at_once, thread_name_prefix=_IN_FLIGHT)
    try:
        yield pool
    finally:
        # A generator that is not closed may be collected in one of its own threads.
        is_own = threading.current_thread().name.startswith(_IN_FLIGHT)
        pool.shutdown(wait=not is_own, cancel_futures=True)


def map_as_completed(
    send: Callable[[Q], T],
    requests: Iterable[Q],
    at_once: int,
    when_idle: Callable[[], object] = lambda: None,
) -> Iterator[T]:
    """Send, several at once, and yield the results as they arrive: a slow one holds up no other.

    Args:
        when_idle: Called, once the last request was sent, as each further call could be in flight.

    Raises:
        BaseException: the first error, after the results of what was in flight with it.
    """
    coming, pending, idle = iter(requests), list[Future[T]](), 0
    error: BaseException | None = None
    with _threads(at_once) as pool:
        while True:
            errors = (future.exception() for future in pending if future.done())
            error = error or next(filter(None, errors), None)
            while error is None and len(pending) < at_once:
                if (request := next(coming, None)) is not None:
                    pending.append(pool.submit(send, request))
                elif idle < at_once - len(pending):
                    idle += 1
                    when_idle()
                else:
                    break
            if not pending:
                break
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            arrived = next(future for future in pending if future in done)
            pending.remove(arrived)
            if (failed := arrived.exception()) is None:
                yield arrived.result()
            error = error or failed
    if error is not None:
        raise error


def merge_as_completed(
    sources: Sequence[Iterator[T]],
    at_once: int,
    when_idle: Callable[[], object] = lambda: None,
) -> Iterator[T]:
    """Read iterators in threads, so many at once, and yield what they yield (not None).

    The order is that of arrival. The next item of a source is fetched while one is used.

    Args:
        when_idle: Called, once the last source is read from, as each further one could be.
    """
    waiting, reading = deque(sources), dict[Future[T | None], Iterator[T]]()
    idle = 0
    with _threads(at_once) as pool:

        def read_on(source: Iterator[T]) -> None:
            reading[pool.submit(next, source, None)] = source

        while waiting or reading:
            while waiting and len(reading) < at_once:
                read_on(waiting.popleft())
            while idle < at_once - len(reading):
                idle += 1
                when_idle()
            arrived, _ = wait(reading, return_when=FIRST_COMPLETED)
            # All of them first: an error among them is raised before anything further is begun.
            for item, source in [(future.result(), reading.pop(future)) for future in arrived]:
                if item is not None:
                    read_on(source)
                    yield item


# --- requests that leave before the stage that needs them -----------------------------------------

# Makes a value of a response; raises TruncatedResponseError where it isn't whole.
Reader = Callable[[Response], Any]
Readers = Mapping[Request, Reader]
NO_READERS: Readers = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _ReadEarly:
    """Hold what a reader made of a response when it came."""

    read: Reader
    value: Any


Responses = Sequence[Response | SalesforceError | _ReadEarly]


class SentAhead:
    """Keep responses by request, each for one use. Safe to use from several threads.

    What a run holds already needs no discovery to be asked for. Such requests leave together with
    the run's first call, and a stage that sends the very same request later takes the response that
    came. One that differs in anything (another field, another id, another cursor) is sent as if
    nothing had been sent ahead: a response never counts for another request than its own.

    While the run waits for the org its processor is idle. So a response whose reader is known is
    read as it comes, one at a time, and what was made of it is kept in its place. It counts for a
    stage whose own reader is equal to that one, and is smaller than the response.
    """

    def __init__(self) -> None:
        self._kept: dict[Request, tuple[Future[Responses], int]] = {}
        self._put_off = deque[tuple[Sequence[Request], Callable[[], Responses], Readers]]()
        self._choosing, self._reading = threading.Lock(), threading.Lock()

    def begin(
        self,
        requests: Sequence[Request],
        send: Callable[[], Responses],
        early: Readers = NO_READERS,
    ) -> None:
        """Send some requests in a thread of their own; ``take`` waits for the responses.

        Args:
            early: What reads the responses to some of them as they come.
        """
        arriving: Future[Responses] = Future()

        def run() -> None:
            try:
                arriving.set_result(send())
            except BaseException as error:  # noqa: BLE001  # take() leaves it to the stage's own
                arriving.set_exception(error)

        self._keep(requests, arriving)
        for request in requests:
            if request in early:
                self.read_early(request, early[request])
        # A daemon: an interrupted run does not wait for what was sent on a guess.
        threading.Thread(target=run, name="sent-ahead", daemon=True).start()

    def put_off(
        self,
        requests: Sequence[Request],
        send: Callable[[], Responses],
        early: Readers = NO_READERS,
    ) -> None:
        """Let :meth:`begin_next` send some requests, after those that were put off before.

        None of them is sent once a stage has sent one of them itself.
        """
        with self._choosing:
            self._put_off.append((requests, send, early))

    def read_early(self, request: Request, read: Reader) -> None:
        """Read the response to a request as it comes; one that was not sent ahead is left alone."""
        if request not in self._kept:
            return
        (arriving, place), early = self._kept[request], Future[Responses]()
        self._kept[request] = early, 0

        def run(arrived: Future[Responses]) -> None:
            try:
                response = arrived.result()[place]
                if isinstance(response, Response):
                    with self._reading:
                        response = _ReadEarly(read, read(response))
                early.set_result([response])
            except BaseException as error:  # noqa: BLE001  # read() leaves it to the stage's own
                early.set_exception(error)

        # Neither names what arrived, which holds them: the response goes as soon as it is read.
        def begin(arrived: Future[Responses]) -> None:
            # No daemon, for Python does not end the C++ of a reader safely: a tenth of a second.
            thread = threading.Thread(target=run, args=(arrived,), name="read-early", daemon=False)
            try:
                thread.start()
            except RuntimeError:  # none is left for it
                run(arrived)

        arriving.add_done_callback(begin)

    def begin_next(self) -> None:
        """Send what was put off first, if anything is left."""
        with self._choosing:
            if self._put_off:
                self.begin(*self._put_off.popleft())

    def keep(self, requests: Sequence[Request], responses: Responses) -> None:
        """Keep responses that came with others, in a composite call."""
        arrived: Future[Responses] = Future()
        arrived.set_result(responses)
        self._keep(requests, arrived)

    def take(self, request: Request) -> Response | None:
        """Return the response to a request that was sent ahead, once; None where there is none.

        A refusal is none: the stage sends the request itself and treats what it gets as ever. One
        that was read early is none, either.
        """
        response = self._taken(request)
        return response if isinstance(response, Response) else None

    def read(self, request: Request, read: Callable[[Response], T]) -> tuple[T] | None:
        """Return what a reader makes of the response to a request, once, in a tuple of one.

        None where :meth:`take` returns None, and where the reader finds the response cut: the stage
        sends the request itself.
        """
        response = self._taken(request)
        if isinstance(response, _ReadEarly):
            return (response.value,) if response.read == read else None
        if not isinstance(response, Response):
            return None
        try:
            return (read(response),)
        except TruncatedResponseError:
            return None

    def _taken(self, request: Request) -> Response | SalesforceError | _ReadEarly | None:
        with self._choosing:
            arriving, place = self._kept.pop(request, (None, 0))
            if arriving is None:
                left = (group for group in self._put_off if request not in group[0])
                self._put_off = deque(left)
        if arriving is None or arriving.exception() is not None:
            return None
        return arriving.result()[place]

    def _keep(self, requests: Sequence[Request], arriving: Future[Responses]) -> None:
        self._kept.update({request: (arriving, n) for n, request in enumerate(requests)})
