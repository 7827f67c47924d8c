"""Send several calls at once: lists of requests, results read page by page, what is needed later.

Rules:
1. No more responses are on the way or wait to be used than calls may be in flight: memory stays
   flat for any number of them.
2. After an error nothing further is begun, and the error comes out here.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

from salesforce_targeted.api.errors import SalesforceError, TruncatedResponseError
from salesforce_targeted.api.models import Request, Response

Q = TypeVar("Q")
T = TypeVar("T")


def map_in_order(send: Callable[[Q], T], requests: Iterable[Q], at_once: int) -> Iterator[T]:
    """Send, several at once, and yield the results in the order of the requests."""
    waiting: deque[Future[T]] = deque()
    failed = threading.Event()

    def send_unless_failed(request: Q) -> T:
        if failed.is_set():
            # The error before this item is raised first, and this one never.
            raise InterruptedError("a request before this one failed")
        try:
            return send(request)
        except BaseException:
            failed.set()
            raise

    pool = ThreadPoolExecutor(at_once, thread_name_prefix="in-flight")
    try:
        for request in requests:
            waiting.append(pool.submit(send_unless_failed, request))
            if len(waiting) >= at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        failed.set()
        pool.shutdown(wait=True, cancel_futures=True)


def merge_as_completed(sources: Sequence[Iterator[T]], at_once: int) -> Iterator[T]:
    """Read iterators in threads, so many at once, and yield what they yield.

    The order is that of arrival. A single one is read ahead while its items are used.
    """
    arrived: queue.SimpleQueue[_Arrival[T]] = queue.SimpleQueue()
    stopped = threading.Event()
    readings = [_Reading(source, arrived, stopped) for source in sources]
    waiting = deque(readings)

    def read_on() -> None:
        while waiting and not stopped.is_set():
            with suppress(IndexError):  # another thread was faster
                waiting.popleft().run()

    # Daemons: where the one who reads ends by an error of its own, a generator may be closed by
    # nobody, and a process waits at its end for all other threads.
    threads = [
        threading.Thread(target=read_on, name="in-flight", daemon=True)
        for _ in range(min(at_once, len(readings)))
    ]
    try:
        for thread in threads:
            thread.start()
        running = len(readings)
        while running:
            item, of, error = arrived.get()
            if error is not None:
                raise error
            if of is None:
                running -= 1
                continue
            of.taken.release()
            yield item  # type: ignore[misc]  # an arrival with a reading has an item
    finally:
        stopped.set()
        for reading in readings:
            reading.taken.release()
        for thread in threads:
            if thread.ident and thread is not threading.current_thread():
                thread.join()


class _Reading(Generic[T]):
    """One iterator being read: its next item is fetched when the last one has been taken."""

    def __init__(
        self,
        source: Iterator[T],
        arrived: queue.SimpleQueue[_Arrival[T]],
        stopped: threading.Event,
    ) -> None:
        self.taken = threading.Semaphore()
        self._source = source
        self._arrived = arrived
        self._stopped = stopped

    def run(self) -> None:
        """Read to the end, to an error, or until no more is wanted."""
        self.taken.acquire()
        try:
            while not self._stopped.is_set():
                try:
                    item = next(self._source)
                except StopIteration:
                    break
                self._arrived.put((item, self, None))
                self.taken.acquire()
        except BaseException as error:  # noqa: BLE001  # whatever it is, the reader raises it
            self._stopped.set()
            self._arrived.put((None, None, error))
        else:
            self._arrived.put((None, None, None))


# An item and whose it is; an error; or, with neither, the end of one source.
_Arrival = tuple[T | None, _Reading[T] | None, BaseException | None]


# --- requests that leave before the stage that needs them -----------------------------------------

Responses = Sequence[Response | SalesforceError]
_Key = tuple[str, str, bytes | None]


class SentAhead:
    """Keep responses by request, each for one use. Safe to use from several threads.

    What a run holds already needs no discovery to be asked for. Such requests leave together with
    the run's first call, and a stage that sends the very same request later takes the response that
    came. One that differs in anything (another field, another id, another cursor) is sent as if
    nothing had been sent ahead: a response never counts for another request than its own.
    """

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
        except TruncatedResponseError:
            return None

    def _keep(self, requests: Sequence[Request], arriving: Future[Responses]) -> None:
        self._kept.update({_key(one): (arriving, n) for n, one in enumerate(requests)})


def _key(request: Request) -> _Key:
    return request.method, request.path, request.body
