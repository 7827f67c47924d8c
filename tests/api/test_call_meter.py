"""Calls: counted by kind, kept from what others need, and fewer at once where the org is busy."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from salesforce_targeted.api import errors
from salesforce_targeted.api.call_meter import CallMeter
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.concurrency import map_as_completed
from salesforce_targeted.api.credentials import SessionCredentials
from tests.support.responses import ID, OK, SELECT, rows
from tests.support.threads import Most


def test_calls_are_counted_by_kind(client, server, answer):
    """Each billed call under its kind; the list of versions isn't billed and needs no session."""
    server.say(
        answer(body=[{"version": "63.0"}, {"version": "64.0"}]),
        answer(body=OK),
        answer(body=rows(ID)),
    )

    assert ["63.0", "64.0"] == client.versions()
    client.org_limits()
    client.records(SELECT)

    assert {"limits": 1, "query": 1} == dict(client.meter.calls)
    assert "authorization" not in server.heard[0].headers
    assert (1, 1) == (client.meter.timings()["query"][0], client.meter.timings()["query"][2])


def test_a_call_counts_from_when_it_is_sent(client, server, answer):
    """A failure meanwhile tells of it, too; one that never arrived is none."""
    seen = []
    server.fallback = lambda _: seen.append(client.meter.calls.total()) or answer(body=OK)
    client.org_limits()
    nowhere = SessionCredentials(instance_url="http://127.0.0.1:1", access_token="00D!x")
    lost = SalesforceClient(nowhere, attempts=1)
    with pytest.raises(errors.UnavailableError):
        lost.org_limits()

    assert [1] == seen
    assert ({"limits": 1}, {}) == (dict(client.meter.calls), dict(lost.meter.calls))
    assert ([1], []) == ([n for n, *_ in client.meter.timings().values()], [*lost.meter.timings()])


def test_usage_is_what_the_org_last_said(client, server, answer):
    """Read from each answer; None before the first."""
    server.say(answer(body=OK, headers={"Sforce-Limit-Info": "api-usage=18/5000"}))
    client.org_limits()

    assert ((18, 5000), 4982) == (client.meter.usage, client.meter.remaining)


def test_the_reserve_is_not_touched(client, server, answer):
    """With 100 calls reserved, the call that would leave 99 isn't sent."""
    used = iter(range(898, 990))
    server.fallback = lambda _: answer(
        body=OK, headers={"Sforce-Limit-Info": f"api-usage={next(used)}/1000"}
    )
    client.meter.reserve_calls = 100

    for _ in range(3):
        client.org_limits()
    with pytest.raises(errors.QuotaExceededError, match="100 of its 1000"):
        client.org_limits()

    assert 3 == len(server.heard)
    assert (900, 1000) == client.meter.usage


def test_threads_together_keep_the_reserve(server, tokens, answer):
    """Each thread alone would see room for one more; together they don't cross by one."""
    lock, used = threading.Lock(), [990]

    def count(_):
        with lock:
            used[0] += 1
            mine = used[0]
        time.sleep(0.01)
        return answer(body=OK, headers={"Sforce-Limit-Info": f"api-usage={mine}/1000"})

    server.fallback = count
    client = SalesforceClient(tokens, max_in_flight=4)
    client.meter.reserve_calls = 5

    def ask(_):
        try:
            return client.org_limits()
        except errors.QuotaExceededError:
            return None

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(ask, range(20)))

    assert 995 == used[0]
    assert 5 == len(outcomes) - outcomes.count(None)


def test_a_run_spends_what_it_may(client, server, answer):
    """The bound counts attempts: a retry that would cross it isn't made either."""
    server.say(answer(503), answer(body=OK), answer(503), answer(body=OK))
    client.meter.calls_allowed = 3
    client.org_limits()

    with pytest.raises(errors.QuotaExceededError, match="may spend 3 calls"):
        client.org_limits()

    assert 3 == len(server.heard) == client.meter.calls.total()


def test_the_bounds_can_be_read(client):
    """What was set is what is kept."""
    client.meter.reserve_calls, client.meter.calls_allowed = 5, 7

    assert (5, 7) == (client.meter.reserve_calls, client.meter.calls_allowed)


# --- how many may be on the way


def test_no_more_in_flight_than_allowed(server, tokens, answer):
    """Ten threads, two places."""
    inside = Most()

    def slow(_):
        with inside:
            time.sleep(0.02)
        return answer(body=OK)

    server.fallback = slow
    client = SalesforceClient(tokens, max_in_flight=2)
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: client.org_limits(), range(10)))

    assert 2 == inside.most


def quick_calls(meter: CallMeter, number: int = 1) -> None:
    for _ in range(number):
        with meter.call("query", "GET /x"):
            pass


def test_all_places_are_free_at_first():
    """An org that was never asked is asked by as many as may be."""
    assert 8 == CallMeter(8).concurrency
    assert 1 == CallMeter(0).concurrency


def test_half_as_many_after_each_refusal():
    """Down to one, and never to none."""
    meter, places = CallMeter(8), []
    for _ in range(5):
        meter.throttle()
        places.append(meter.concurrency)

    assert [4, 2, 1, 1, 1] == places


def test_one_more_for_every_round_that_goes_well():
    """As many good answers as there are places make one more place, up to what is allowed."""
    meter = CallMeter(4)
    meter.throttle()
    meter.throttle()
    places = []
    for _ in range(12):
        quick_calls(meter)
        places.append(meter.concurrency)

    assert [2, 2, 2, 3] == places[:4]
    assert sorted(places) == places
    assert 4 == places[-1] == meter.concurrency


@pytest.mark.parametrize(("before", "after"), [(8, 4), (4, 4), (3, 3), (1, 1)])
def test_few_at_once_while_answers_are_slow(before, after):
    """Salesforce allows five calls of twenty seconds at once in its smallest edition."""
    meter = CallMeter(before)
    meter._adapt(10.0)

    assert after == meter.concurrency
    meter._adapt(9.9)
    assert min(before, after) <= meter.concurrency <= before


def test_quick_answers_after_slow_ones_make_room_again():
    """A busy hour of the org doesn't make the rest of the run slow."""
    meter = CallMeter(8)
    meter._adapt(15.0)
    quick_calls(meter, 40)

    assert 8 == meter.concurrency


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

    server.fallback = org
    client = SalesforceClient(tokens, max_in_flight=4, sleep=lambda _: None)
    client.org_limits()
    after_one = client.meter.concurrency
    list(map_as_completed(lambda _: client.org_limits(), range(3), 8))
    client.close()

    assert 2 == after_one
    assert inside.most <= 3
    assert 5 == client.meter.calls.total()


@pytest.mark.parametrize("refusal", ["daily_limit", "api_disabled", "not_found"])
def test_other_refusals_leave_the_places_alone(refusal, server, tokens, reply):
    """Only too many at once is mended by fewer at once."""
    server.say(reply(refusal))
    client = SalesforceClient(tokens, max_in_flight=4)
    with pytest.raises(errors.SalesforceError):
        client.org_limits()
    client.close()

    assert 4 == client.meter.concurrency
