"""The client sends, tries again, signs in again, counts; over real HTTP against scripted answers."""

import json
import logging
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from salesforce_targeted.api import credentials, errors, soql, wire
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.ids import to_18
from salesforce_targeted.api.limits import TINY
from salesforce_targeted.api.transport import Transport

LIMITS = wire.limits("64.0")
ID, OTHER = "003D000000QOMyqIAH", "003D000000QOMysIAH"
SELECT = soql.select(["Id"], "Contact")
OK = {"DailyApiRequests": {"Max": 15000, "Remaining": 14998}}


def rows(*ids, **frame):
    """Make a query's answer."""
    return {
        "totalSize": len(ids),
        "done": True,
        "records": [{"attributes": {}, "Id": i} for i in ids],
        **frame,
    }


def test_what_a_request_carries(client, server, answer):
    """The token, gzip asked for, and nothing of ~/.netrc."""
    server.say(answer(body=OK, packed=True))

    assert OK == client.org_limits()
    (heard,) = server.heard
    assert ("GET", "/services/data/v64.0/limits") == (heard.method, heard.path)
    assert ("Bearer token-0", "gzip") == (
        heard.headers["authorization"],
        heard.headers["accept-encoding"],
    )


def test_netrc_never_replaces_the_token(tmp_path, monkeypatch):
    """A password of ~/.netrc isn't sent in our token's place, not even beyond loopback."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login u password p\n")
    monkeypatch.setenv("NETRC", str(netrc))
    transport = Transport(connections=1, connect_seconds=1, read_seconds=1, total_seconds=1)
    ours = requests.Request("GET", "https://acme.example", {"Authorization": "Bearer token-0"})

    for pool in (transport._environment, transport._direct):
        assert "Bearer token-0" == pool.prepare_request(ours).headers["Authorization"]


def test_a_cut_gzip_that_reads_well_is_noticed(client, server, answer, raw):
    """CSV cut inside whole framing looks like fewer rows: the end of the gzip stream is missing."""
    packed = answer(body="x,y\n" * 9000, packed=True, headers={"Content-Type": "text/csv"}).data
    head, _, body = packed.partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % (len(body) - 12), head)
    server.otherwise = lambda _: raw(head + b"\r\n\r\n" + body[:-12])

    with pytest.raises(errors.UnavailableError, match="packed answer was cut"):
        client.send(wire.bulk_results("64.0", "750R0000000zlh9IAA", None, 9000))


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
    assert 3 == len(server.heard) == client.calls.total
    assert 2 == len(pauses)


@pytest.mark.parametrize("misfortune", CUT)
def test_a_lasting_misfortune_ends(misfortune, client, server, answer, raw, pauses):
    """After five attempts it is UnavailableError, with ever longer pauses between them."""
    server.otherwise = lambda _: CUT[misfortune](answer, raw)

    with pytest.raises(errors.UnavailableError) as caught:
        client.org_limits()

    assert 5 == len(server.heard) == client.calls.by_kind["limits"]
    assert 4 == len(pauses)
    assert all(0.25 * 2**n <= pause <= 0.5 * 2**n for n, pause in enumerate(pauses))
    assert "GET /services/data/v64.0/limits" in str(caught.value)


@pytest.mark.parametrize("case", ["invalid_field", "malformed_query", "not_found", "query_timeout", "daily_limit",
                                  "api_disabled", "locator_expired", "uri_too_long", "aggregate_too_many"])  # fmt: skip
def test_a_refusal_is_not_tried_again(case, client, server, said, pauses):
    """What Salesforce refuses it would refuse again."""
    server.say(said(case))

    with pytest.raises(errors.SalesforceError):
        client.org_limits()

    assert (1, []) == (len(server.heard), pauses)


@pytest.mark.parametrize("code", ["UNABLE_TO_LOCK_ROW", "UNKNOWN_EXCEPTION", "SERVER_UNAVAILABLE"])
@pytest.mark.parametrize("status", [400, 404])
def test_400_and_404_are_never_tried_again(code, status, client, server, answer):
    """Whatever the code in them says."""
    server.say(answer(status, [{"errorCode": code, "message": "x"}]))

    with pytest.raises(errors.UnavailableError):
        client.org_limits()

    assert 1 == len(server.heard)


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
    server.otherwise = hang

    with pytest.raises(errors.UnavailableError, match="in time"):
        client.org_limits()

    assert 2 == client.calls.total


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

    assert (0, 4) == (client.calls.total, len(pauses))


# --- sessions ------------------------------------------------------------------------------------------


def test_nothing_is_asked_before_it_is_needed(client, tokens):
    """A client that is made but not used signs in nowhere."""
    assert 0 == tokens.asked
    assert client.usage is None


@pytest.mark.parametrize("case", ["expired_session", "invalid_auth_header"])
def test_an_expired_session_is_renewed_once(case, client, server, said, answer, tokens):
    """401 in mid-run: sign in again, send again, without a pause."""
    server.say(answer(body=OK), said(case), answer(body=OK))
    client.org_limits()

    assert OK == client.org_limits()
    assert 2 == tokens.asked
    assert ["Bearer token-0", "Bearer token-0", "Bearer token-1"] == [
        h.headers["authorization"] for h in server.heard
    ]


def test_a_session_that_stays_invalid(client, server, said, tokens):
    """A second 401 with a fresh token is final."""
    server.otherwise = lambda _: said("expired_session")

    with pytest.raises(errors.AuthenticationError):
        client.org_limits()

    assert (2, 2) == (len(server.heard), tokens.asked)


def test_a_given_session_that_expired(client, server, said, tokens):
    """A token that can't be renewed isn't sent a second time; the remedy says where it comes from."""
    tokens.tokens = ["same"]
    server.otherwise = lambda _: said("expired_session")

    with pytest.raises(errors.AuthenticationError, match="SALESFORCE_ACCESS_TOKEN"):
        client.org_limits()

    assert 1 == len(server.heard)


def test_another_401_is_no_expiry(client, server, answer, tokens):
    """An HTML 401 of a proxy says nothing of the session: no sign-in, no second attempt."""
    server.say(answer(401, "<html></html>", {"Content-Type": "text/html"}))

    with pytest.raises(errors.AuthenticationError):
        client.org_limits()

    assert (1, 1) == (len(server.heard), tokens.asked)


def test_many_threads_sign_in_once(client, server, answer, said, tokens):
    """Eight requests meet the expired session at once; one of them signs in for all."""
    four, arrived = threading.Event(), []

    def first_expired(heard):
        if heard.headers["authorization"] == "Bearer token-0":
            arrived.append(heard)
            if len(arrived) == 4:
                four.set()
            four.wait(5)
            return said("expired_session")
        return answer(body=OK)

    server.otherwise = first_expired
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: client.org_limits(), range(8)))

    assert [OK] * 8 == found
    assert 2 == tokens.asked


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(status, client, server, answer):
    """The next host would get the token."""
    server.say(answer(status, headers={"Location": server.url + "/services/data/v64.0/query?q=x"}))

    with pytest.raises(errors.ConfigurationError, match="redirect"):
        client.org_limits()

    assert 1 == len(server.heard)


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.my.salesforce.com",
        "ftp://127.0.0.1",
        "https://a/b",
        "https://u:p@a",
        "https://",
    ],
)
def test_a_session_elsewhere_is_refused(url, tokens):
    """Whoever made the session: no token travels without TLS but on this machine."""
    tokens.url = url

    with pytest.raises(errors.ConfigurationError):
        SalesforceClient(tokens).org_limits()


# --- what is spent ----------------------------------------------------------------------------------


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

    assert {"limits": 1, "query": 1} == dict(client.calls.by_kind)
    assert "authorization" not in server.heard[0].headers
    assert (1, 1) == (client.request_timings["query"][0], client.request_timings["query"][2])


def test_usage_is_what_the_org_last_said(client, server, answer):
    """Read from each answer; None before the first."""
    server.say(answer(body=OK, headers={"Sforce-Limit-Info": "api-usage=18/5000"}))
    client.org_limits()

    assert ((18, 5000), 4982) == (client.usage, client.remaining)


def test_the_reserve_is_not_touched(client, server, answer):
    """With 100 calls reserved, the call that would leave 99 isn't sent."""
    used = iter(range(898, 990))
    server.otherwise = lambda _: answer(
        body=OK, headers={"Sforce-Limit-Info": f"api-usage={next(used)}/1000"}
    )
    client.reserve_calls = 100

    for _ in range(3):
        client.org_limits()
    with pytest.raises(errors.QuotaExceededError, match="100 of its 1000"):
        client.org_limits()

    assert 3 == len(server.heard)
    assert (900, 1000) == client.usage


def test_threads_together_keep_the_reserve(server, tokens, answer):
    """Each thread alone would see room for one more; together they don't cross by one."""
    lock, used = threading.Lock(), [990]

    def count(_):
        with lock:
            used[0] += 1
            mine = used[0]
        time.sleep(0.01)
        return answer(body=OK, headers={"Sforce-Limit-Info": f"api-usage={mine}/1000"})

    server.otherwise = count
    client = SalesforceClient(tokens, max_in_flight=4)
    client.reserve_calls = 5

    def ask(_):
        try:
            return client.org_limits()
        except errors.QuotaExceededError:
            return None

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(20)))

    assert 995 == used[0]
    assert 5 == len(found) - found.count(None)


def test_a_run_spends_what_it_may(client, server, answer):
    """The bound counts attempts: a retry that would cross it isn't made either."""
    server.say(answer(503), answer(body=OK), answer(503), answer(body=OK))
    client.calls_allowed = 3
    client.org_limits()

    with pytest.raises(errors.QuotaExceededError, match="may spend 3 calls"):
        client.org_limits()

    assert 3 == len(server.heard) == client.calls.total


def test_no_more_in_flight_than_allowed(server, tokens, answer):
    """Ten threads, two places."""
    lock, now, most = threading.Lock(), [0], [0]

    def slow(_):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1
        return answer(body=OK)

    server.otherwise = slow
    client = SalesforceClient(tokens, max_in_flight=2)
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: client.org_limits(), range(10)))

    assert 2 == most[0]


# --- queries ------------------------------------------------------------------------------------------


def test_all_pages_are_read(client, server, said):
    """The locator is followed to the end and the sum is checked."""
    server.say(said("query_page_first"), said("query_page_last"))

    assert ["Gonzalez", "O'Brien", "Dürr 😀"] == [row["LastName"] for row in client.records(SELECT)]
    assert {"query": 1, "query_more": 1} == dict(client.calls.by_kind)


def test_pages_that_hold_less_than_promised(client, server, answer):
    """Rows that were promised and didn't come are never a success."""
    first = rows(ID, totalSize=3, done=False, nextRecordsUrl="/services/data/v64.0/query/01g-1")
    server.otherwise = lambda h: answer(
        body=rows(OTHER) | {"totalSize": 3} if "01g" in h.path else first
    )

    with pytest.raises(errors.TruncatedAnswerError, match="promised 3 rows and gave 2"):
        client.records(SELECT)


def test_a_query_whose_pages_fell_apart_is_read_again(client, server, answer, said):
    """An expired locator in mid-read: records() begins anew and returns each row once."""
    first = rows(ID, totalSize=2, done=False, nextRecordsUrl="/services/data/v64.0/query/01g-1")
    server.say(answer(body=first), said("locator_expired"), answer(body=rows(ID, OTHER)))

    assert [{"Id": ID}, {"Id": OTHER}] == client.records(SELECT)


def test_pages_tell_of_an_expired_locator(client, server, answer, said):
    """pages() has handed rows out already and can't begin anew: the caller is told."""
    first = rows(ID, totalSize=2, done=False, nextRecordsUrl="/services/data/v64.0/query/01g-1")
    server.say(answer(body=first), said("locator_expired"))
    pages = client.pages(SELECT)

    assert [{"Id": ID}] == next(pages)
    with pytest.raises(errors.LocatorExpiredError, match="from its start"):
        next(pages)


def test_pages_as_whatever_a_reader_makes_of_them(client, server, answer):
    """The reader gets each page's records once, as JSON lines, and pages without rows are none."""
    more = "/services/data/v64.0/query/01g-"
    server.say(
        answer(body=compact(rows(ID, totalSize=2, done=False, nextRecordsUrl=more + "1"))),
        answer(body=compact(rows(totalSize=2, done=False, nextRecordsUrl=more + "2"))),
        answer(body=compact(rows(OTHER, totalSize=2))),
    )
    seen = []

    def read(found):
        seen.append(found.lines)
        return [record["Id"] for record in found.parsed()]

    assert [[ID], [OTHER]] == list(client.pages_as(SELECT, read))
    assert [f'{{"attributes":{{}},"Id":"{ID}"}}'.encode(), b"",
            f'{{"attributes":{{}},"Id":"{OTHER}"}}'.encode()] == seen  # fmt: skip
    assert (1, 2) == (client.request_timings["query"][0], client.request_timings["query"][2])


def compact(value):
    """JSON as Salesforce writes it, the records last."""
    records = value.pop("records")
    return json.dumps({**value, "records": records}, separators=(",", ":")).encode()


def test_a_single_page_that_is_short_is_asked_for_again_by_itself(client, server, answer):
    """Whoever reads page by page can't begin anew: the only page is told short before it is used."""
    server.say(answer(body=rows(ID, totalSize=2)), answer(body=rows(ID, OTHER)))

    assert [[{"Id": ID}, {"Id": OTHER}]] == list(client.pages(SELECT))


@pytest.mark.parametrize("which", ["first", "second"])
def test_a_page_that_its_reader_cannot_read_is_asked_for_again(which, client, server, answer):
    """Nothing of it was handed out: the same page is asked for, not the whole query."""
    more = "/services/data/v64.0/query/01g-1"
    first = answer(body=rows(ID, totalSize=2, done=False, nextRecordsUrl=more))
    server.otherwise = lambda h: answer(body=rows(OTHER, totalSize=2)) if "01g" in h.path else first
    failed = []

    def read(found):
        ids = [record["Id"] for record in found.parsed()]
        if ids == [{"first": ID, "second": OTHER}[which]] and not failed:
            failed.append(ids)
            raise errors.TruncatedAnswerError("unreadable")
        return ids

    assert [[ID], [OTHER]] == list(client.pages_as(SELECT, read))
    assert 3 == client.calls.total == len(server.heard)


def test_a_reader_that_makes_fewer_rows_is_not_believed(client, server, answer):
    """What a reader loses is missed, as if Salesforce had not sent it."""
    server.otherwise = lambda _: answer(body=rows(ID, OTHER))

    with pytest.raises(errors.TruncatedAnswerError, match="promised 2 rows and gave 1"):
        list(client.pages_as(SELECT, lambda found: found.parsed()[:1]))


def test_a_long_statement_is_read_the_same_way(tokens, server, answer):
    """What travelled in a composite body comes to the reader like any page."""
    statement = soql.select([f"Field_{n}__c" for n in range(60)], "Contact")
    part = {"referenceId": "r0", "httpStatusCode": 200, "body": rows(ID, OTHER)}
    server.say(answer(body={"compositeResponse": [part]}))
    client = SalesforceClient(tokens, limits=TINY)
    seen = list(client.pages_as(statement, lambda found: found.parsed()))

    assert [[{"Id": ID}, {"Id": OTHER}]] == seen


def test_a_reading_that_falls_apart_is_begun_again_once(client):
    """The second time is the last; other errors are told at once."""
    asked = []

    def reading(*failures):
        errors_left = iter(failures)

        def read():
            asked.append(1)
            if error := next(errors_left, None):
                raise error
            return "whole"

        return read

    cut, expired = errors.TruncatedAnswerError("cut"), errors.LocatorExpiredError("expired")

    assert "whole" == client.read_twice(reading())
    assert "whole" == client.read_twice(reading(cut))
    assert "whole" == client.read_twice(reading(expired))
    assert 5 == len(asked)
    with pytest.raises(errors.TruncatedAnswerError):
        client.read_twice(reading(expired, cut))
    with pytest.raises(errors.QueryError):
        client.read_twice(reading(errors.QueryError("no")))
    assert 8 == len(asked)


def test_pages_that_go_round(client, server, answer):
    """A next page that was already read would never end."""
    again = rows(ID, totalSize=9, done=False, nextRecordsUrl="/services/data/v64.0/query/01g-1")
    server.otherwise = lambda _: answer(body=again)

    with pytest.raises(errors.TruncatedAnswerError, match="circle"):
        client.records(SELECT)


def test_a_short_single_page_is_asked_for_again(client, server, answer):
    """One answer that contradicts itself is asked for again; no row is missed."""
    server.say(answer(body=rows(ID, totalSize=2)), answer(body=rows(ID, OTHER)))

    assert 2 == len(client.records(SELECT))


def test_count(client, server, said):
    """One call, one number; anything but SELECT COUNT() is no count."""
    server.say(said("query_count"))

    assert 2392 == client.count(soql.select([soql.aggregate("COUNT")], "TaskWhoRelation"))
    with pytest.raises(errors.ConfigurationError):
        client.count(SELECT)


def test_a_long_statement_travels_in_a_body(tokens, server, answer):
    """What is too long for a URI is sent by composite, for one call, and pages on as usual."""
    statement = soql.select([f"Field_{n}__c" for n in range(60)], "Contact")
    first = rows(ID, totalSize=2, done=False, nextRecordsUrl="/services/data/v64.0/query/01g-1")
    server.say(
        answer(body={"compositeResponse": [{"referenceId": "r0", "httpStatusCode": 200, "body": first}]}),
        answer(body=rows(OTHER) | {"totalSize": 2}),
    )  # fmt: skip
    client = SalesforceClient(tokens, limits=TINY)

    assert 2 == len(client.records(statement, all_rows=True))
    (part,) = json.loads(server.heard[0].body)["compositeRequest"]
    assert [statement] == parse_qs(urlsplit(part["url"]).query)["q"]
    assert "/queryAll?" in part["url"]
    assert {"composite": 1, "query_more": 1} == dict(client.calls.by_kind)


def test_a_long_statement_that_is_refused(tokens, server, answer, sample):
    """The refusal inside is told as if it had come alone."""
    refused = json.loads(sample("invalid_field").body)
    server.say(
        answer(
            body={
                "compositeResponse": [{"referenceId": "r0", "httpStatusCode": 400, "body": refused}]
            }
        )
    )
    client = SalesforceClient(tokens, limits=TINY)

    with pytest.raises(errors.QueryError, match="INVALID_FIELD"):
        client.records(soql.select([f"Field_{n}__c" for n in range(60)], "Contact"))


# --- describe and collections -----------------------------------------------------------------------


def test_several_describes_are_one_call(client, server, said):
    """An object that isn't there is an error in its place, not of the call."""
    server.say(said("composite_mixed"))
    found = client.describes(["Contact", "Nope", "Contact"])

    assert {"name": "Contact", "fields": [{"name": "Id", "type": "id"}]} == found["Contact"]
    assert isinstance(found["Nope"], errors.NotFoundError)
    assert {"composite": 1} == dict(client.calls.by_kind)


def test_describes_without_composite(client, server, answer, said):
    """Where composite is refused the objects are described one by one."""
    server.say(said("api_disabled"), answer(body={"name": "A", "fields": []}), said("not_found"))
    found = client.describes(["A", "B"])

    assert {"name": "A", "fields": []} == found["A"]
    assert isinstance(found["B"], errors.NotFoundError)
    assert {"composite": 1, "describe": 2} == dict(client.calls.by_kind)


def test_describes_in_batches(tokens, server, answer):
    """No more subrequests than allowed in one composite."""

    def parts(heard):
        asked = json.loads(heard.body)["compositeRequest"] if heard.body else []
        return answer(body={"compositeResponse": [
            {"referenceId": p["referenceId"], "httpStatusCode": 200, "body": {"fields": []}} for p in asked]}
            if asked else {"fields": []})  # fmt: skip

    server.otherwise = parts
    client = SalesforceClient(tokens, limits=TINY)

    assert list("ABCD") == list(client.describes(list("ABCD")))
    assert {"composite": 1, "describe": 1} == dict(client.calls.by_kind)


def test_a_describe_without_fields(client, server, answer):
    """A describe that is none isn't used."""
    server.otherwise = lambda _: answer(body={"name": "Contact"})

    with pytest.raises(errors.TruncatedAnswerError):
        client.describe("Contact")


def test_collections_keep_the_order_of_the_ids(client, server, answer):
    """Should Salesforce answer in another order, the caller doesn't notice."""
    absent = to_18("003D000000QOMyr")
    server.say(answer(body=[None, {"Id": OTHER, "A": 1}, {"Id": ID, "A": 2}]))
    found = client.collections("Contact", [ID[:15], absent, OTHER], ["A"])

    assert [{"Id": ID, "A": 2}, None, {"Id": OTHER, "A": 1}] == found
    assert {"ids": [ID, absent, OTHER], "fields": ["Id", "A"]} == json.loads(server.heard[0].body)


def test_collections_with_strangers(client, server, answer):
    """Records that weren't asked for spoil the answer."""
    server.otherwise = lambda _: answer(body=[{"Id": OTHER}])

    with pytest.raises(errors.TruncatedAnswerError, match="weren't asked for"):
        client.collections("Contact", [ID], ["Id"])


def test_a_short_collection_is_asked_for_again(client, server, answer):
    """One entry too few is asked for again, then it is an error."""
    server.say(answer(body=[]), answer(body=[{"Id": ID}]))

    assert [{"Id": ID}] == client.collections("Contact", [ID], [])


def test_collections_of_nothing_cost_nothing(client, server):
    """No ids, no call; too many or none at all are refused here."""
    assert [] == client.collections("Contact", [], ["Id"])
    with pytest.raises(ValueError, match="at most 2000"):
        client.collections("Contact", [ID] * 2001, ["Id"])
    with pytest.raises(ValueError, match="not a Salesforce id"):
        client.collections("Contact", ["x"], ["Id"])
    assert [] == server.heard


def test_a_request_for_collections_to_be_sent_otherwise(client, server):
    """What collections() sends, unsent: ids in their long form and their order, Id among the fields."""
    request, asked = client.collection_request("Contact", [OTHER[:15], ID], ["A", "Id", "A"])

    assert [OTHER, ID] == asked
    assert ("POST", "collections") == (request.method, request.kind)
    assert "/services/data/v64.0/composite/sobjects/Contact" == request.path
    assert {"ids": [OTHER, ID], "fields": ["Id", "A"]} == json.loads(request.body)
    assert [] == server.heard


@pytest.mark.parametrize(
    ("name", "ids", "fields", "error", "says"),
    [
        ("Contact", [ID] * 2_001, ["A"], ValueError, "at most 2000"),
        ("Contact", ["x"], ["A"], ValueError, "not a Salesforce id"),
        ("Contact/../x", [ID], ["A"], errors.ConfigurationError, "can't be a name"),
        ("Contact", [ID], ["A FROM B"], errors.ConfigurationError, "can't be a name"),
    ],
)
def test_a_request_for_collections_is_checked(client, name, ids, fields, error, says):
    """Too many ids, ids and names that are none: refused before anything is sent."""
    with pytest.raises(error, match=says):
        client.collection_request(name, ids, fields)


def test_collections_five_to_a_call(tokens, server, answer):
    """Requests for collections travel together, and each is answered for itself."""

    def parts(heard):
        asked = json.loads(heard.body)["compositeRequest"]
        found = [
            {"referenceId": p["referenceId"], "httpStatusCode": 200 if p["body"]["ids"] == [ID] else 404,
             "body": [{"attributes": {}, "Id": ID}] if p["body"]["ids"] == [ID] else
                     [{"errorCode": "NOT_FOUND", "message": "no"}]}
            for p in asked
        ]  # fmt: skip
        return answer(body={"compositeResponse": found})

    server.otherwise = parts
    client = SalesforceClient(tokens)
    requests_made = [client.collection_request("Contact", [i], ["A"])[0] for i in (ID, OTHER, ID)]
    one, none, other = client.together(requests_made)

    assert isinstance(none, errors.NotFoundError)
    assert [[{"Id": ID}]] * 2 == [wire.collection(found, 1) for found in (one, other)]
    assert {"composite": 1} == dict(client.calls.by_kind)


def test_record_counts(client, server, answer):
    """Counts by name; what isn't counted is left out."""
    server.say(answer(body={"sObjects": [{"name": "Contact", "count": 600000}, {"name": "X"}, 1]}))

    assert {"Contact": 600000} == client.record_counts(["Contact", "X"])


# --- silence -----------------------------------------------------------------------------------------


def test_no_log_line_tells_a_secret_or_a_value(client, server, said, answer, caplog, tokens):
    """At the most talkative level: no token, no literal, no value."""
    caplog.set_level(logging.DEBUG)
    tokens.tokens = ["sesame-1", "sesame-2"]
    server.say(
        said("expired_session"),
        answer(503),
        answer(body=rows(ID, totalSize=1)),
        said("invalid_field"),
    )
    statement = soql.select(["Id"], "Contact", soql.eq("LastName", "Schmidt"))
    client.records(statement)
    with pytest.raises(errors.QueryError):
        client.records(statement)

    assert "HTTP 401" in caplog.text
    assert all(word not in caplog.text + repr(client) for word in ("sesame", "Schmidt", ID))


def test_an_echoed_token_is_blanked(client, server, answer):
    """A proxy that repeats our header in its error page doesn't bring the token into a log."""
    server.say(answer(403, [{"errorCode": "X", "message": "you sent Bearer token-0"}]))

    with pytest.raises(errors.PermissionDeniedError) as caught:
        client.org_limits()

    assert "token-0" not in f"{caught.value}{caught.value!r}{caught.value.args}"


def test_cookies_are_not_kept(client, server, answer):
    """What a server sets isn't sent back: the header alone says who we are."""
    server.otherwise = lambda _: answer(body=OK, headers={"Set-Cookie": "sid=abc; Path=/"})
    client.org_limits()
    client.org_limits()

    assert "cookie" not in server.heard[1].headers


def test_tls_is_verified(tokens, pauses, tls_url):
    """A certificate that nobody trusts: nothing is sent, nothing tried again, by client and door."""
    tokens.url = tls_url
    app = credentials.ClientCredentials(client_id="i", client_secret="s", login_url=tls_url)

    for spec in (tokens, app):
        with pytest.raises(errors.ConfigurationError, match="REQUESTS_CA_BUNDLE"):
            SalesforceClient(spec, sleep=pauses.append).org_limits()
    assert [] == pauses


def test_proxies_are_passed_by_on_loopback(client, server, answer, monkeypatch):
    """A proxy of the environment isn't asked for this machine itself."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.say(answer(body=OK))

    assert OK == client.org_limits()


def test_the_bounds_can_be_read(client):
    """What was set is what is kept."""
    client.reserve_calls, client.calls_allowed = 5, 7

    assert (5, 7) == (client.reserve_calls, client.calls_allowed)
