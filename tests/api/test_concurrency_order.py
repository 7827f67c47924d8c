"""Several questions at once: answered in order, never too many, and none after an error."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from salesforce_targeted.api import errors
from salesforce_targeted.api.concurrency import map_in_order
from tests.support.threads import WAIT, Most, until


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 20])
def test_answers_come_in_the_order_of_the_questions(number, at_once):
    """Whatever overtakes what."""

    def ask(question):
        time.sleep(0.001 * (question * 7 % 5))
        return question * 2

    assert [n * 2 for n in range(number)] == list(map_in_order(ask, range(number), at_once))


def test_a_slow_answer_holds_back_the_later_ones():
    """The first answer is the first to come out, though the second was there long before."""
    second = threading.Event()

    def ask(question):
        if question == 0:
            assert second.wait(WAIT)
        else:
            second.set()
        return question

    assert [0, 1] == list(map_in_order(ask, [0, 1], 2))


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_as_many_questions_at_once_as_may_be(at_once):
    """All places are used, and never one more."""
    inside, full = Most(), threading.Barrier(at_once)

    def ask(question):
        with inside:
            full.wait(WAIT)

    assert [None] * 8 == list(map_in_order(ask, range(8), at_once))
    assert at_once == inside.most


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_no_more_answers_wait_than_calls_may_be_in_flight(at_once):
    """A reader that takes its time is not buried: questions are not even drawn ahead of it."""
    drawn: list[int] = []

    def questions() -> Iterator[int]:
        for number in range(50):
            drawn.append(number)
            yield number

    for used, _ in enumerate(map_in_order(lambda n: n, questions(), at_once), start=1):
        assert len(drawn) <= used - 1 + at_once


def test_an_error_comes_out_in_its_turn():
    """What was answered before it is used first."""
    results: list[int] = []
    with pytest.raises(errors.QueryError, match="third"):
        for answer in map_in_order(failing_at(2, "third"), range(9), 2):
            results.append(answer)

    assert [0, 1] == results


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
        list(map_in_order(failing_at(0, "no", asked), range(50), at_once))

    assert len(asked) <= at_once


def test_after_an_error_behind_another_answer_no_question_is_asked():
    """The error is known as soon as it is there, not when its turn comes."""
    asked: list[int] = []
    answers = map_in_order(failing_at(3, "no", asked), range(50), 4)

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
        list(map_in_order(lambda n: n, questions(), 4))


def test_a_reader_that_leaves_ends_the_asking(in_flight_threads):
    """No thread is left behind, and nothing more is asked."""
    asked: list[int] = []
    answers = map_in_order(failing_at(-1, "", asked), range(50), 3)
    next(answers)
    answers.close()
    before = len(asked)

    assert before <= 4
    assert not in_flight_threads()
    assert before == len(asked)
