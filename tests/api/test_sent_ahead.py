"""What is sent ahead counts for the very same request, once, and for nothing else."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from salesforce_targeted.api import endpoints, readers
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.models import Record, Request, Response
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.faults.faults import Fault
from tests.support.responses import collections
from tests.support.threads import until

FIELDS = ["Id", "LastName"]


@pytest.fixture
def org() -> DemoOrg:
    """Provide a small org."""
    return DemoOrg.tiny()


@pytest.fixture
def client(org: DemoOrg) -> Iterator[SalesforceClient]:
    """Provide a client of the org that does not wait between attempts."""
    with serve(org) as server:
        session = SessionCredentials(instance_url=server.url, access_token=server.token)
        client = SalesforceClient(session, sleep=lambda _seconds: None)
        yield client
        client.close()


def test_the_same_request_takes_the_response_that_came(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """Several travel in one call, and each is taken once: the next time it is sent."""
    first, second = org.active_ids()[:3], org.active_ids()[3:5]
    requests = [client.collection_request("Contact", ids, FIELDS) for ids in (first, second)]
    client.send_ahead([requests])
    rows = collections(client, "Contact", first, FIELDS) + collections(
        client, "Contact", second, FIELDS
    )

    assert first + second == [row["Id"] for row in rows if row]
    assert {"composite": 1} == dict(org.calls)

    collections(client, "Contact", first, FIELDS)

    assert {"composite": 1, "collections": 1} == dict(org.calls)


def test_another_request_is_sent(org: DemoOrg, client: SalesforceClient) -> None:
    """With another field, other ids or their order, what came ahead is no response to it."""
    ids = org.active_ids()[:3]
    client.send_ahead([[client.collection_request("Contact", ids, FIELDS)]])
    org.edit("Contact", ids[0], FirstName="Now")
    for asked, fields in ((ids, [*FIELDS, "FirstName"]), (ids[::-1], FIELDS), (ids[1:], FIELDS)):
        rows = collections(client, "Contact", asked, fields)
        assert asked == [row["Id"] for row in rows if row]
    collections(client, "Contact", ids, FIELDS)  # waits for what was sent ahead, and takes it

    assert 1 + 3 == org.calls["collections"]


def test_what_was_refused_ahead_is_sent_again(org: DemoOrg, client: SalesforceClient) -> None:
    """A failure on the way, or of one part, is met where the response is needed."""
    ids = org.active_ids()[:2]
    good = client.collection_request("Contact", ids, FIELDS)
    bad = endpoints.query(client.version, "SELECT Nothing__c FROM Contact")
    org.faults.add(Fault("composite", "part_500"))
    client.send_ahead([[good, bad]])

    assert client.ahead.take(bad) is None
    assert ids == [row["Id"] for row in collections(client, "Contact", ids, FIELDS) if row]


def test_an_org_that_takes_no_composite_is_asked_one_by_one(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """What is on the way is not waited for: neither where it is needed, nor where it is sent."""
    org.faults.add(Fault("composite", "not_enabled_403", times=99))
    first, second = org.active_ids()[:3], org.active_ids()[3:5]
    statement = "SELECT Id FROM TaskWhoRelation"
    query = endpoints.query(client.version, statement)
    requests = [client.collection_request("Contact", ids, FIELDS) for ids in (first, second)]
    client.send_ahead([[query, *requests]])
    refused = until(lambda: not client.composes or org.calls["composite"] > 0)
    rows: list[object] = []

    def need() -> None:
        rows.extend(client.records(statement))
        for ids in (first, second):
            rows.extend(collections(client, "Contact", ids, FIELDS))

    needs = threading.Thread(target=need, daemon=True)
    needs.start()
    needs.join(20)

    assert refused
    assert not needs.is_alive()
    assert len(org.rows("TaskWhoRelation")) + 5 == len(rows)
    assert {"query": 1, "collections": 2} == {
        kind: calls for kind, calls in org.calls.items() if kind != "composite"
    }


def test_a_query_that_came_ahead_goes_on_with_its_pages(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """Its first page came with others; the next ones are requested as ever."""
    org.page_rows = 7
    statement = "SELECT Id FROM TaskWhoRelation"
    request = endpoints.query(client.version, statement)
    client.ahead.keep([request], client.composite([request]))
    rows = client.records(statement)

    assert sorted(org.rows("TaskWhoRelation")) == sorted(row["Id"] for row in rows)
    assert {"composite": 1, "query_more": 4} == dict(org.calls)


def test_a_response_that_reads_as_cut_is_requested_again(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """What came ahead for fewer ids than it was asked for is no answer."""
    ids = org.active_ids()[:3]
    whole = client.collection_request("Contact", ids, FIELDS)
    short = client.collection_request("Contact", ids[:2], FIELDS)
    client.ahead.keep([whole], [client.send(short)])
    rows = client.send(whole, lambda response: readers.records_by_id(response, ids))

    assert set(ids) == set(rows)


class Counting:
    """Read records by id, count how often, and tell when; each is equal to itself alone."""

    def __init__(self, ids: list[str]) -> None:
        self.ids, self.times, self.is_read = ids, 0, threading.Event()

    def __call__(self, response: Response) -> dict[str, Record]:
        """Return the records by id."""
        self.times += 1
        self.is_read.set()
        return readers.records_by_id(response, self.ids)


def test_a_response_is_read_as_it_comes(org: DemoOrg, client: SalesforceClient) -> None:
    """Not only once it is needed: until then the processor would be idle."""
    ids = org.active_ids()[:3]
    request, read = client.collection_request("Contact", ids, FIELDS), Counting(ids)
    client.send_ahead([[request]], early={request: read})
    is_read = read.is_read.wait(20)
    rows = client.send(request, read)

    assert is_read
    assert set(ids) == rows.keys()
    assert (1, {"collections": 1}) == (read.times, dict(org.calls))


def test_what_was_put_off_is_read_as_it_comes(org: DemoOrg, client: SalesforceClient) -> None:
    """It leaves as a stage comes to its end, and its response has as long as any to be read."""
    ids = org.active_ids()[:3]
    request, read = client.collection_request("Contact", ids, FIELDS), Counting(ids)
    client.send_ahead([[request]], early={request: read}, when_idle=True)
    calls = org.billed
    list(client.side_by_side(lambda part: part, [1]))

    assert 0 == calls
    assert read.is_read.wait(20)
    assert set(ids) == client.send(request, read).keys()
    assert 1 == org.billed


def test_what_was_put_off_and_sent_by_its_stage_is_not_sent_again(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """No place was free until the stage came to it: each call would be spent twice."""
    first, second = (
        client.collection_request("Contact", [id_], FIELDS) for id_ in org.active_ids()[:2]
    )
    client.send_ahead([[first], [second]], when_idle=True)
    client.send(first)
    list(client.side_by_side(lambda part: part, [1]))
    client.send(second)

    assert {"collections": 2} == dict(org.calls)


def test_what_another_reader_made_of_a_response_does_not_count(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """With other columns, the rows would be others: the request is sent again."""
    ids = org.active_ids()[:3]
    request, read = client.collection_request("Contact", ids, FIELDS), Counting(ids)
    client.send_ahead([[request]])
    client.ahead.read_early(request, read)
    is_read, other = read.is_read.wait(20), Counting(ids)
    rows = client.send(request, other)

    assert is_read
    assert set(ids) == rows.keys()
    assert (1, 2) == (other.times, org.calls["collections"])


def test_a_response_that_reads_as_cut_early_is_requested_again(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """What the reader refuses as it comes is no response: the stage sends the request itself."""
    ids = org.active_ids()[:3]
    whole = client.collection_request("Contact", ids, FIELDS)
    short = client.collection_request("Contact", ids[:2], FIELDS)
    read = Counting(ids)
    client.ahead.keep([whole], [client.send(short)])
    client.ahead.read_early(whole, read)
    rows = client.send(whole, read)

    assert set(ids) == rows.keys()
    assert (2, 2) == (read.times, org.calls["collections"])


class Held(Response):
    """A response of which it can be told whether anything holds it still."""

    __slots__ = ("__weakref__",)


def test_a_response_goes_as_soon_as_it_is_read(client: SalesforceClient) -> None:
    """What was made of it is smaller; held in a circle it would wait for the garbage collector."""
    request, is_read = endpoints.versions(), threading.Event()
    held: list[weakref.ref[Held]] = []

    def send() -> list[Response]:
        response = Held(200, {}, b"{}")
        held.append(weakref.ref(response))
        return [response]

    gc.disable()
    try:
        client.ahead.begin([request], send, {request: lambda _response: is_read.set()})
        came = is_read.wait(20)
        went = until(lambda: held[0]() is None)
    finally:
        gc.enable()

    assert came
    assert went


def test_a_response_that_no_thread_is_left_for_is_read_by_its_stage(
    org: DemoOrg, client: SalesforceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is out of threads refuses one: the stage would wait for it for ever."""
    ids, start = org.active_ids()[:3], threading.Thread.start
    request, read = client.collection_request("Contact", ids, FIELDS), Counting(ids)
    rows: list[dict[str, Record]] = []

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "read-early":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    client.send_ahead([[request]], early={request: read})
    needs = threading.Thread(target=lambda: rows.append(client.send(request, read)), daemon=True)
    needs.start()
    needs.join(20)

    assert not needs.is_alive()
    assert set(ids) == rows[0].keys()
    assert {"collections": 1} == dict(org.calls)


def test_what_is_put_off_while_another_thread_takes_is_kept(client: SalesforceClient) -> None:
    """One looks through what was put off, to drop what it sends itself, as another one adds to it."""
    first, second, sent = endpoints.versions(), endpoints.limits(client.version), threading.Event()

    class Looked(list[Request]):
        def __contains__(self, request: object) -> bool:
            adds.start()
            adds.join(0.2)
            return False

    def send() -> list[Response]:
        sent.set()
        return [Response(200, {}, b"{}")]

    adds = threading.Thread(target=lambda: client.ahead.put_off([second], send), daemon=True)
    client.ahead.put_off(Looked([first]), send)
    taken = client.ahead.take(endpoints.versions())
    adds.join(20)
    client.ahead.begin_next()
    sent.wait(20)
    sent.clear()
    client.ahead.begin_next()

    assert taken is None
    assert sent.wait(5)
