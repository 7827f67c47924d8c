"""Several calls at once: in order or as they come, never too many, and none after an error."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from salesforce_targeted.api import errors
from salesforce_targeted.api.calls import CallMeter
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.in_flight import as_they_come, in_order

WAIT = 5.0  # seconds after which something that ought to happen has not


def until(condition: Callable[[], bool]) -> bool:
    """Wait for another thread; false if it takes too long."""
    end = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


class Most:
    """How many are inside at once, and the most that ever were."""

    def __init__(self):
        self.now, self.most, self._lock = 0, 0, threading.Lock()

    def __enter__(self):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_):
        with self._lock:
            self.now -= 1


# --- questions


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 20])
def test_answers_come_in_the_order_of_the_questions(number, at_once):
    """Whatever overtakes what."""

    def ask(question):
        time.sleep(0.001 * (question * 7 % 5))
        return question * 2

    assert [n * 2 for n in range(number)] == list(in_order(ask, range(number), at_once))


def test_a_slow_answer_holds_back_the_later_ones():
    """The first answer is the first to come out, though the second was there long before."""
    second = threading.Event()

    def ask(question):
        if question == 0:
            assert second.wait(WAIT)
        else:
            second.set()
        return question

    assert [0, 1] == list(in_order(ask, [0, 1], 2))


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_as_many_questions_at_once_as_may_be(at_once):
    """All places are used, and never one more."""
    inside, full = Most(), threading.Barrier(at_once)

    def ask(question):
        with inside:
            full.wait(WAIT)

    assert [None] * 8 == list(in_order(ask, range(8), at_once))
    assert at_once == inside.most


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_no_more_answers_wait_than_calls_may_be_in_flight(at_once):
    """A reader that takes its time is not buried: questions are not even drawn ahead of it."""
    drawn: list[int] = []

    def questions() -> Iterator[int]:
        for number in range(50):
            drawn.append(number)
            yield number

    for used, _ in enumerate(in_order(lambda n: n, questions(), at_once), start=1):
        assert len(drawn) <= used - 1 + at_once


def test_an_error_comes_out_in_its_turn():
    """What was answered before it is used first."""
    found: list[int] = []
    with pytest.raises(errors.QueryError, match="third"):
        for answer in in_order(failing_at(2, "third"), range(9), 2):
            found.append(answer)

    assert [0, 1] == found


def failing_at(number: int, says: str, asked: list[int] | None = None) -> Callable[[int], int]:
    """A question of that number is refused."""

    def ask(question: int) -> int:
        if asked is not None:
            asked.append(question)
        if question == number:
            raise errors.QueryError(says)
        return question

    return ask


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_after_an_error_no_question_is_asked(at_once):
    """Those that wait are never sent."""
    asked: list[int] = []
    with pytest.raises(errors.QueryError):
        list(in_order(failing_at(0, "no", asked), range(50), at_once))

    assert len(asked) <= at_once


def test_after_an_error_behind_another_answer_no_question_is_asked():
    """The error is known as soon as it is there, not when its turn comes."""
    asked: list[int] = []
    answers = in_order(failing_at(3, "no", asked), range(50), 4)

    assert 0 == next(answers)
    assert until(lambda: 3 in asked)
    time.sleep(0.05)
    with pytest.raises(errors.QueryError):
        list(answers)
    assert [0, 1, 2, 3] == sorted(asked)


def test_an_error_of_the_questions_themselves_comes_out():
    """Questions may be made of answers, and fail as they do."""

    def questions() -> Iterator[int]:
        yield 1
        raise errors.BulkJobError("gone")

    with pytest.raises(errors.BulkJobError, match="gone"):
        list(in_order(lambda n: n, questions(), 4))


def test_a_reader_that_leaves_ends_the_asking():
    """No thread is left behind, and nothing more is asked."""
    asked: list[int] = []
    answers = in_order(failing_at(-1, "", asked), range(50), 3)
    next(answers)
    answers.close()
    before = len(asked)

    assert before <= 4
    assert not in_flight_threads()
    assert before == len(asked)


@pytest.fixture(autouse=True)
def nobody_left():
    """Threads of other tests, which a failed one may leave, are not counted."""
    LEFT.clear()
    LEFT.update(in_flight_threads())


LEFT: set[threading.Thread] = set()


def in_flight_threads() -> set[threading.Thread]:
    """Threads of this test that read or ask."""
    found = {one for one in threading.enumerate() if one.name.startswith("in-flight")}
    return found - LEFT


# --- results that are read page by page


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
    found = list(as_they_come([numbered(n, size) for n, size in enumerate(sizes)], at_once))

    assert sum(sizes) == len(found)
    for source, size in enumerate(sizes):
        assert [(source, page) for page in range(size)] == [
            one for one in found if one[0] == source
        ]


def test_what_comes_first_is_yielded_first():
    """A slow source does not hold back a quick one."""
    go_on = threading.Event()

    def slow() -> Iterator[str]:
        assert go_on.wait(WAIT)
        yield "slow"

    found = as_they_come([slow(), iter(["quick"])], 2)

    assert "quick" == next(found)
    go_on.set()
    assert ["slow"] == list(found)


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_as_many_sources_at_once_as_may_be(at_once):
    """All places are used, and never one more."""
    inside, full = Most(), threading.Barrier(at_once)

    def source() -> Iterator[int]:
        for page in range(2):
            with inside:
                full.wait(WAIT)
            yield page

    assert 16 == len(list(as_they_come([source() for _ in range(8)], at_once)))
    assert at_once == inside.most


def test_a_single_source_is_read_ahead():
    """The next page is on its way while this one is used."""
    read: list[int] = []

    def source() -> Iterator[int]:
        for page in range(3):
            read.append(page)
            yield page

    found = as_they_come([source()], 1)

    assert 0 == next(found)
    assert until(lambda: 1 in read)
    assert [1, 2] == list(found)


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_no_more_pages_wait_than_calls_may_be_in_flight(at_once):
    """While one is used, as many wait as there are places, however slow the reader is."""
    made = [0] * 6

    def source(number: int) -> Iterator[int]:
        for _ in range(20):
            made[number] += 1
            yield number

    found = as_they_come([source(number) for number in range(6)], at_once)
    for _ in range(3):
        next(found)
    # Long enough for whoever may read on to have done so.
    time.sleep(0.3)
    waiting = sum(made) - 3
    found.close()

    assert 1 <= waiting <= at_once


def test_an_error_of_a_source_comes_out():
    """The same error, from whichever source."""

    def failing() -> Iterator[int]:
        yield 1
        raise errors.QueryError("broken")

    with pytest.raises(errors.QueryError, match="broken"):
        list(as_they_come([numbered(1, 3), failing(), numbered(2, 3)], 2))
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

    found = as_they_come([failing(), *(holding(number) for number in range(1, 9))], at_once)

    assert 0 == next(found)
    assert until(lambda: len(begun) >= at_once)
    time.sleep(0.1)  # the error is there, and the reader is busy with something else
    go_on.set()
    with pytest.raises(errors.QueryError):
        list(found)
    assert list(range(at_once)) == sorted(begun)


def test_a_failed_source_stops_the_others():
    """A long result is not read to its end for nobody."""
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
        for _ in as_they_come([long(), failing()], 2):
            time.sleep(0.001)

    assert len(read) < 10_000


def test_a_reader_that_leaves_ends_the_reading():
    """No thread is left behind, though its queue is full and nobody empties it."""
    found = as_they_come([numbered(n, 1_000) for n in range(4)], 2)
    next(found)
    found.close()

    assert not in_flight_threads()


# --- how many may be on the way


def quick_calls(meter: CallMeter, number: int = 1) -> None:
    for _ in range(number):
        with meter.call("query", "GET /x"):
            pass


def test_all_places_are_free_at_first():
    """An org that was never asked is asked by as many as may be."""
    assert 8 == CallMeter(8).at_once
    assert 1 == CallMeter(0).at_once


def test_half_as_many_after_each_refusal():
    """Down to one, and never to none."""
    meter, found = CallMeter(8), []
    for _ in range(5):
        meter.crowded()
        found.append(meter.at_once)

    assert [4, 2, 1, 1, 1] == found


def test_one_more_for_every_round_that_goes_well():
    """As many good answers as there are places make one more place, up to what is allowed."""
    meter = CallMeter(4)
    meter.crowded()
    meter.crowded()
    found = []
    for _ in range(12):
        quick_calls(meter)
        found.append(meter.at_once)

    assert [2, 2, 2, 3] == found[:4]
    assert sorted(found) == found
    assert 4 == found[-1] == meter.at_once


@pytest.mark.parametrize(("before", "after"), [(8, 4), (4, 4), (3, 3), (1, 1)])
def test_few_at_once_while_answers_are_slow(before, after):
    """Salesforce allows five calls of twenty seconds at once in its smallest edition."""
    meter = CallMeter(before)
    meter._adapt(10.0)

    assert after == meter.at_once
    meter._adapt(9.9)
    assert min(before, after) <= meter.at_once <= before


def test_quick_answers_after_slow_ones_make_room_again():
    """A busy hour of the org doesn't make the rest of the run slow."""
    meter = CallMeter(8)
    meter._adapt(15.0)
    quick_calls(meter, 40)

    assert 8 == meter.at_once


def test_a_place_less_is_kept_to(server, tokens, answer):
    """After a refusal the calls that follow are half as many at once; all are answered."""
    inside, refused = Most(), threading.Event()
    busy = [{"errorCode": "REQUEST_LIMIT_EXCEEDED",
             "message": "ConcurrentRequests (Concurrent API Requests) Limit exceeded."}]  # fmt: skip

    def org(heard):
        if not refused.is_set():
            refused.set()
            return answer(403, busy)
        with inside:
            time.sleep(0.02)
        return answer(body={})

    server.otherwise = org
    client = SalesforceClient(tokens, max_in_flight=4, sleep=lambda _: None)
    client.org_limits()
    after_one = client.at_once
    list(in_order(lambda _: client.org_limits(), range(3), 8))
    client.close()

    assert 2 == after_one
    assert inside.most <= 3
    assert 5 == client.calls.total


@pytest.mark.parametrize("refusal", ["daily_limit", "api_disabled", "not_found"])
def test_other_refusals_leave_the_places_alone(refusal, server, tokens, said):
    """Only too many at once is mended by fewer at once."""
    server.say(said(refusal))
    client = SalesforceClient(tokens, max_in_flight=4)
    with pytest.raises(errors.SalesforceError):
        client.org_limits()
    client.close()

    assert 4 == client.at_once
