"""What is tried again, how often and after which pause; over real HTTP against scripted answers."""

import re
import time
from dataclasses import replace

import pytest

from salesforce_targeted.api import endpoints, errors
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.limits import TINY
from salesforce_targeted.api.models import JsonRows
from tests.support.responses import OK


def test_a_cut_gzip_that_reads_well_is_noticed(client, server, answer, raw):
    """CSV cut inside whole framing looks like fewer rows: the end of the gzip stream is missing."""
    packed = answer(body="x,y\n" * 9000, packed=True, headers={"Content-Type": "text/csv"}).data
    head, _, body = packed.partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % (len(body) - 12), head)
    server.fallback = lambda _: raw(head + b"\r\n\r\n" + body[:-12])

    with pytest.raises(errors.UnavailableError, match="packed response was cut"):
        client.send(endpoints.bulk_results("64.0", "750R0000000zlh9IAA", None, 9000))


CUT = {
    "503 page": lambda a, _: a(503, "<html><title>Service Unavailable</title></html>", {"Content-Type": "text/html"}),
    "502": lambda a, _: a(502),
    "500 JSON": lambda a, _: a(500, [{"errorCode": "UNKNOWN_EXCEPTION", "message": "An unexpected error"}]),
    "429": lambda a, _: a(429),
    "concurrent": lambda a, _: a(403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "ConcurrentRequests (Concurrent API Requests) Limit exceeded."}]),
    "reset before": lambda _, r: r(b"", "reset"),
    "closed before": lambda _, r: r(b"", "close"),
    "reset in the body": lambda a, r: r(a(body=OK).data[:-5], "reset"),
    "short body": lambda a, r: r(a(body=OK).data[:-5], "close"),
    "cut in the head": lambda _, r: r(b"HTTP/1.1 200 OK\r\nContent-", "close"),
    "no HTTP": lambda _, r: r(b"SSH-2.0-x\r\n\r\n", "close"),
    "cut gzip in whole framing": lambda a, r: cut_gzip(a, r),  # noqa: PLW0108  # defined below
    "broken gzip": lambda a, _: a(body=b"no gzip at all", headers={"Content-Encoding": "gzip"}),
    "unknown packing": lambda a, _: a(body=b"x", headers={"Content-Encoding": "br"}),
    "cut chunks": lambda _, r: r(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":', "close"),
    "chunks without end": lambda _, r: r(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "close"),
    "empty 200": lambda a, _: a(200, b""),
    "HTML 200": lambda a, _: a(200, "<html><h1>Maintenance</h1></html>", {"Content-Type": "text/html"}),
    "half a JSON": lambda a, _: a(200, b'{"DailyApiRequests":{"Max":150'),
}  # fmt: skip


def cut_gzip(answer, raw):
    """Half a gzip stream in framing that says it is all."""
    whole = answer(body={**OK, "pad": list(range(2000))}, packed=True).data
    head, _, body = whole.partition(b"\r\n\r\n")
    cut = body[: len(body) // 2]
    return raw(
        re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(cut), head) + b"\r\n\r\n" + cut
    )


@pytest.mark.parametrize("misfortune", CUT)
def test_a_misfortune_is_tried_again(misfortune, client, server, answer, raw, pauses):
    """Twice a misfortune, then an answer: the caller sees the answer, and three calls are counted."""
    server.say(CUT[misfortune](answer, raw), CUT[misfortune](answer, raw), answer(body=OK))

    assert OK == client.org_limits()
    assert 3 == len(server.heard) == client.meter.calls.total()
    assert 2 == len(pauses)


@pytest.mark.parametrize("misfortune", CUT)
def test_a_lasting_misfortune_ends(misfortune, client, server, answer, raw, pauses):
    """After five attempts it is UnavailableError, with ever longer pauses between them."""
    server.fallback = lambda _: CUT[misfortune](answer, raw)

    with pytest.raises(errors.UnavailableError) as caught:
        client.org_limits()

    assert 5 == len(server.heard) == client.meter.calls["limits"]
    assert 4 == len(pauses)
    assert all(0.25 * 2**n <= pause <= 0.5 * 2**n for n, pause in enumerate(pauses))
    assert "GET /services/data/v64.0/limits" in str(caught.value)


@pytest.mark.parametrize("case", ["invalid_field", "malformed_query", "not_found", "query_timeout", "daily_limit",
                                  "api_disabled", "locator_expired", "uri_too_long", "aggregate_too_many"])  # fmt: skip
def test_a_refusal_is_not_tried_again(case, client, server, reply, pauses):
    """What Salesforce refuses it would refuse again."""
    server.say(reply(case))

    with pytest.raises(errors.SalesforceError):
        client.org_limits()

    # A resource that is not there may mean a version that is not served: one look, for nothing.
    assert (2 if case == "not_found" else 1, []) == (len(server.heard), pauses)
    assert 1 == client.meter.calls.total()


@pytest.mark.parametrize("code", ["UNABLE_TO_LOCK_ROW", "UNKNOWN_EXCEPTION", "SERVER_UNAVAILABLE"])
@pytest.mark.parametrize("status", [400, 404])
def test_400_and_404_are_never_tried_again(code, status, client, server, answer):
    """Whatever the code in them says."""
    server.say(answer(status, [{"errorCode": code, "message": "x"}]))

    with pytest.raises(errors.UnavailableError):
        client.org_limits()

    assert 1 == len(server.heard)


@pytest.mark.parametrize("at", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "-1", "١"])
def test_a_pause_that_is_none_is_not_made(client, server, answer, pauses, at):
    """Odd words of a proxy cost an ordinary pause, and no run."""
    server.say(answer(429, headers={"Retry-After": at}), answer(body={}))
    client.org_limits()

    assert pauses[0] < 3


def test_retry_after_is_honoured(client, server, answer, pauses):
    """The server says how long to wait, in seconds or as a date; too long ends the attempts."""
    at = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    server.say(
        answer(503, headers={"Retry-After": "7"}), answer(429, headers={"Retry-After": at}),
        answer(503, headers={"Retry-After": "soon"}), answer(503, headers={"Retry-After": "3600"}),
    )  # fmt: skip

    with pytest.raises(errors.UnavailableError):
        client.org_limits()

    assert 4 == len(server.heard)
    assert 7.0 == pauses[0]
    assert 28 <= pauses[1] <= 31
    assert pauses[2] < 3


def test_a_hang_ends(tokens, server, answer, pauses):
    """A server that says nothing is given up after the timeout, each time."""

    def hang(_):
        time.sleep(0.6)
        return answer(body=OK)

    client = SalesforceClient(tokens, timeout_seconds=0.2, attempts=2, sleep=pauses.append)
    server.fallback = hang

    with pytest.raises(errors.UnavailableError, match="in time"):
        client.org_limits()

    assert 2 == client.meter.calls.total()


def test_a_drip_ends(tokens, server, answer, pauses):
    """Bytes that come just in time each, but never end, end at the limit of a call."""
    client = SalesforceClient(
        tokens, limits=replace(TINY, call_seconds=0), timeout_seconds=0.5, attempts=1
    )
    server.say(replace(answer(body={"pad": "x" * 60}), drip_seconds=0.05))

    with pytest.raises(errors.UnavailableError, match="took too long"):
        client.org_limits()


def test_nobody_there(tokens, pauses):
    """A refused connection never reached the org: tried again, but not counted."""
    tokens.url = "http://127.0.0.1:9"
    client = SalesforceClient(tokens, sleep=pauses.append)

    with pytest.raises(errors.UnavailableError, match="refuses connections"):
        client.org_limits()

    assert (0, 4) == (client.meter.calls.total(), len(pauses))


CONTRADICTIONS = {
    "no next page": {"totalSize": 9, "done": False, "records": []},
    "a number as text": {"totalSize": "0", "done": True, "records": []},
    "no records": {"totalSize": 0, "done": True, "records": None},
    "fewer rows": {"totalSize": 2, "done": True, "records": []},
}


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_what_comes_whole_and_makes_no_sense_is_tried_again_once(
    contradiction, client, server, answer
):
    """An org that writes its pages so writes all so: five attempts at each query took a minute."""
    server.fallback = lambda _: answer(body=CONTRADICTIONS[contradiction])

    with pytest.raises(errors.TruncatedResponseError):
        list(client.iter_pages("SELECT Id FROM Contact", JsonRows.records))

    assert 2 == len(server.heard)
