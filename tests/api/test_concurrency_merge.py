"""Results that are read page by page, several at once: never too many, and none after an error."""

import threading
import time
from collections.abc import Iterator

import pytest

from salesforce_targeted.api import errors
from salesforce_targeted.api.concurrency import merge_as_completed
from tests.support.script import python
from tests.support.threads import WAIT, Most, until


def numbered(source: int, pages: int, begun: list[int] | None = None) -> Iterator[tuple[int, int]]:
    """Pages of a source; it says when it is begun."""
    if begun is not None:
        begun.append(source)
    for page in range(pages):
        yield source, page


@pytest.mark.parametrize("at_once", [1, 2, 3, 50])
@pytest.mark.parametrize("sizes", [[], [0], [5], [0, 0], [3, 0, 7], [1] * 20, [40, 1, 1]])
def test_everything_that_is_read_comes_once(sizes, at_once):
    """Of each source its pages in their order; the sources in any."""
    pairs = list(merge_as_completed([numbered(n, size) for n, size in enumerate(sizes)], at_once))

    assert sum(sizes) == len(pairs)
    for source, size in enumerate(sizes):
        assert [(source, page) for page in range(size)] == [
            pair for pair in pairs if pair[0] == source
        ]


def test_what_comes_first_is_yielded_first():
    """A slow source does not hold back a quick one."""
    go_on = threading.Event()

    def slow() -> Iterator[str]:
        assert go_on.wait(WAIT)
        yield "slow"

    pages = merge_as_completed([slow(), iter(["quick"])], 2)

    assert "quick" == next(pages)
    go_on.set()
    assert ["slow"] == list(pages)


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_as_many_sources_at_once_as_may_be(at_once):
    """All places are used, and never one more."""
    inside, full = Most(), threading.Barrier(at_once)

    def source() -> Iterator[int]:
        for page in range(2):
            with inside:
                full.wait(WAIT)
            yield page

    assert 16 == len(list(merge_as_completed([source() for _ in range(8)], at_once)))
    assert at_once == inside.most


def test_a_single_source_is_read_ahead():
    """The next page is on its way while this one is used."""
    read: list[int] = []

    def source() -> Iterator[int]:
        for page in range(3):
            read.append(page)
            yield page

    pages = merge_as_completed([source()], 1)

    assert 0 == next(pages)
    assert until(lambda: 1 in read)
    assert [1, 2] == list(pages)


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_no_more_pages_wait_than_calls_may_be_in_flight(at_once):
    """While one is used, as many wait as there are places, however slow the reader is."""
    counts = [0] * 6

    def source(number: int) -> Iterator[int]:
        for _ in range(20):
            counts[number] += 1
            yield number

    pages = merge_as_completed([source(number) for number in range(6)], at_once)
    for _ in range(3):
        next(pages)
    # Long enough for every reader to have read on.
    time.sleep(0.3)
    waiting = sum(counts) - 3
    pages.close()

    assert 1 <= waiting <= at_once


def test_an_error_of_a_source_comes_out(in_flight_threads):
    """The same error, from whichever source."""

    def failing() -> Iterator[int]:
        yield 1
        raise errors.QueryError("broken")

    with pytest.raises(errors.QueryError, match="broken"):
        list(merge_as_completed([numbered(1, 3), failing(), numbered(2, 3)], 2))
    assert not in_flight_threads()


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_after_an_error_no_further_source_is_begun(at_once):
    """What has not begun is never read, even where the reader notices the error late."""
    begun: list[int] = []
    go_on = threading.Event()

    def failing() -> Iterator[int]:
        begun.append(0)
        yield 0
        raise errors.QueryError("broken")

    def holding(number: int) -> Iterator[int]:
        begun.append(number)
        go_on.wait(WAIT)
        yield from ()

    pages = merge_as_completed([failing(), *(holding(number) for number in range(1, 9))], at_once)

    assert 0 == next(pages)
    assert until(lambda: len(begun) >= at_once)
    time.sleep(0.1)  # the error is there, and the reader is busy with something else
    go_on.set()
    with pytest.raises(errors.QueryError):
        list(pages)
    assert list(range(at_once)) == sorted(begun)


def test_a_failed_source_stops_the_others():
    """A long result that is not wanted is not read to its end."""
    read: list[int] = []

    def long() -> Iterator[int]:
        for page in range(10_000):
            read.append(page)
            yield page

    def failing() -> Iterator[int]:
        assert until(lambda: bool(read))
        raise errors.QueryError("broken")
        yield

    with pytest.raises(errors.QueryError):
        for _ in merge_as_completed([long(), failing()], 2):
            time.sleep(0.001)

    assert len(read) < 10_000


def test_a_reader_that_leaves_ends_the_reading(in_flight_threads):
    """No thread is left behind, though its queue is full and is not emptied."""
    pages = merge_as_completed([numbered(n, 1_000) for n in range(4)], 2)
    next(pages)
    pages.close()

    assert not in_flight_threads()


def test_a_reading_that_nobody_closes_keeps_no_process_alive(tmp_path):
    """An error of the one who reads may leave it in a circle: the process ends all the same."""
    program = """
from salesforce_targeted.api.concurrency import merge_as_completed
class Holder: pass
holder = Holder()
holder.itself, holder.reading = holder, merge_as_completed([iter(range(9)), iter(range(9))], 2)
print(next(holder.reading))
"""
    ended = python("-c", program, cwd=tmp_path)

    assert (0, "0\n") == (ended.code, ended.out)
