"""The org's time, as its responses carry it; over real HTTP."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.support.responses import OK

NOON = datetime(2031, 5, 17, 12, 0, 0, tzinfo=UTC)


def dated(answer, moment, status=200, body=OK):
    """Return a response of that moment."""
    text = moment if isinstance(moment, str) else format_datetime(moment, usegmt=True)
    return answer(status, body, {"Date": text})


def test_the_first_billed_response_and_the_latest_one(client, server, answer):
    """What isn't billed moves the clock, and isn't the first response."""
    later, latest = NOON + timedelta(seconds=5), NOON + timedelta(seconds=9)
    server.say(dated(answer, NOON, body=[]), dated(answer, later), dated(answer, latest))
    assert client.org_clock.first is None

    client.versions()
    assert (None, NOON) == (client.org_clock.first, client.org_clock.now())
    client.org_limits()
    client.org_limits()

    assert (later, latest) == (client.org_clock.first, client.org_clock.now())


def test_a_response_that_was_overtaken_does_not_turn_the_clock_back(client, server, answer):
    """An earlier Date after a later one: the later one stays; reading began with the earlier."""
    earlier = NOON - timedelta(seconds=3)
    server.say(dated(answer, NOON), dated(answer, earlier))
    client.org_limits()
    client.org_limits()

    assert (earlier, NOON) == (client.org_clock.first, client.org_clock.now())


@pytest.mark.parametrize("text", ["", "yesterday", "Sat, 99 May 2031 12:00:00 GMT"])
def test_without_a_date_this_machines_time_counts(client, server, answer, text):
    """No Date, or one that can't be read: no first response, and the time of now."""
    server.say(dated(answer, text) if text else answer(body=OK))
    client.org_limits()

    assert client.org_clock.first is None
    assert abs(datetime.now(UTC) - client.org_clock.now()) < timedelta(seconds=5)


@pytest.mark.parametrize("zone", ["-0000", "+0200"])
def test_a_date_in_another_zone_is_an_instant(client, server, answer, zone):
    """Some edges write an offset; what counts is the instant, in UTC."""
    server.say(dated(answer, f"Sat, 17 May 2031 {'14' if zone == '+0200' else '12'}:00:00 {zone}"))
    client.org_limits()

    assert (NOON, UTC) == (client.org_clock.first, client.org_clock.now().tzinfo)


def test_a_refusal_tells_the_time_as_well(client, server, answer):
    """The first response may be an error that is sent again."""
    server.say(dated(answer, NOON, 503, b""), dated(answer, NOON + timedelta(seconds=1)))
    client.org_limits()

    assert NOON == client.org_clock.first


def test_threads_agree_on_the_first_and_the_latest(client, server, answer):
    """Sixteen responses in four threads: the latest Date is the clock's, one of them the first."""
    moments = [NOON + timedelta(seconds=n) for n in range(16)]
    server.say(*[dated(answer, moment) for moment in moments])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client.org_limits(), moments))

    assert client.org_clock.first in moments[:4]
    assert moments[-1] == client.org_clock.now()
