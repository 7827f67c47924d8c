"""Several requests at once: each has its result, never too many, and none after an error."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from salesforce_targeted.api import errors
from salesforce_targeted.api.concurrency import map_as_completed
from tests.support.threads import WAIT, Most, until


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 20])
def test_each_request_has_its_result(number, at_once):
    """Whatever overtakes what."""

    def ask(question):
        time.sleep(0.001 * (question * 7 % 5))
        return question * 2

    assert [n * 2 for n in range(number)] == sorted(map_as_completed(ask, range(number), at_once))


def test_a_slow_result_holds_up_no_other():
    """All others come out, and are sent for, while the first is on its way."""
    all_others, results = threading.Event(), list[int]()

    def ask(question):
        if question == 0:
            assert all_others.wait(WAIT)
        return question

    for result in map_as_completed(ask, range(10), 2):
        results.append(result)
        if result == 9:
            all_others.set()

    assert [*range(1, 10), 0] == results


@pytest.mark.parametrize("number", [0, 1, 4, 9])
def test_what_comes_next_begins_as_places_become_free(number):
    """Once for each place, and not before the last request was sent."""
    sent, free = list[int](), list[int]()

    def ask(question):
        sent.append(question)

    for _ in map_as_completed(ask, range(number), 4, lambda: free.append(len(sent))):
        assert len(free) <= 4
    assert 4 == len(free)
    assert until(lambda: number == len(sent))
    if number > 4:
        assert min(free) >= number - 4


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_as_many_questions_at_once_as_may_be(at_once):
    """All places are used, and never one more."""
    inside, full = Most(), threading.Barrier(at_once)

    def ask(question):
        with inside:
            full.wait(WAIT)

    assert [None] * 8 == list(map_as_completed(ask, range(8), at_once))
    assert at_once == inside.most


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_no_more_answers_wait_than_calls_may_be_in_flight(at_once):
    """A reader that takes its time is not buried: questions are not even drawn ahead of it."""
    drawn: list[int] = []

    def questions() -> Iterator[int]:
        for number in range(50):
            drawn.append(number)
            yield number

    for used, _ in enumerate(map_as_completed(lambda n: n, questions(), at_once), start=1):
        assert len(drawn) <= used - 1 + at_once


def test_what_was_in_flight_with_an_error_comes_out_before_it():
    """Its calls are spent; what they brought is not lost."""
    refused, results = threading.Event(), list[int]()

    def ask(question):
        if question == 2:
            refused.set()
            raise errors.QueryError("third")
        assert refused.wait(WAIT)
        return question

    with pytest.raises(errors.QueryError, match="third"):
        for answer in map_as_completed(ask, range(9), 3):
            results.append(answer)

    assert [0, 1] == sorted(results)


def failing_at(number: int, says: str, asked: list[int] | None = None) -> Callable[[int], int]:
    """Refuse the request of that number."""

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
        list(map_as_completed(failing_at(0, "no", asked), range(50), at_once))

    assert len(asked) <= at_once


def test_after_an_error_behind_another_answer_no_question_is_asked():
    """The error is known as soon as it is there, not when its turn comes."""
    asked: list[int] = []
    answers = map_as_completed(failing_at(3, "no", asked), range(50), 4)

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
        list(map_as_completed(lambda n: n, questions(), 4))


def test_a_reader_that_leaves_ends_the_asking(in_flight_threads):
    """No thread is left behind, and nothing more is asked."""
    asked: list[int] = []
    answers = map_as_completed(failing_at(-1, "", asked), range(50), 3)
    next(answers)
    answers.close()
    before = len(asked)

    assert before <= 4
    assert not in_flight_threads()
    assert before == len(asked)
