"""Queries: every page is read, and what was promised is what came."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from salesforce_targeted.api import errors, soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.limits import TINY
from salesforce_targeted.api.models import JsonRows
from tests.support.responses import ID, OTHER, SELECT, rows


def test_all_pages_are_read(client, server, reply):
    """The locator is followed to the end and the sum is checked."""
    server.say(reply("query_page_first"), reply("query_page_last"))

    assert ["Gonzalez", "O'Brien", "Dürr 😀"] == [row["LastName"] for row in client.records(SELECT)]
    assert {"query": 1, "query_more": 1} == dict(client.meter.calls)


def test_pages_that_hold_less_than_promised(client, server, answer):
    """Rows that were promised and didn't come are never a success."""
    first = rows(ID, totalSize=3, done=False, nextRecordsUrl="/services/data/v64.0/query/01g-1")
    server.fallback = lambda h: answer(
        body=rows(OTHER) | {"totalSize": 3} if "01g" in h.path else first
    )

    with pytest.raises(errors.TruncatedResponseError, match="promised 3 rows and gave 2"):
        client.records(SELECT)


def test_a_query_whose_pages_fell_apart_is_read_again(client, server, answer, reply):
    """An expired locator in mid-read: records() begins again and returns each row once."""
    first = rows(ID, totalSize=2, done=False, nextRecordsUrl="/services/data/v64.0/query/01g-1")
    server.say(answer(body=first), reply("locator_expired"), answer(body=rows(ID, OTHER)))

    assert [{"Id": ID}, {"Id": OTHER}] == client.records(SELECT)


def test_pages_tell_of_an_expired_locator(client, server, answer, reply):
    """iter_pages() has handed rows out already and can't begin again: the caller is told."""
    first = rows(ID, totalSize=2, done=False, nextRecordsUrl="/services/data/v64.0/query/01g-1")
    server.say(answer(body=first), reply("locator_expired"))
    pages = client.iter_pages(SELECT, JsonRows.records)

    assert [{"Id": ID}] == next(pages)
    with pytest.raises(errors.LocatorExpiredError, match="from its start"):
        next(pages)


def test_a_locator_dies_with_its_session(client, server, answer, reply, tokens):
    """A new session gets 401 for the old one's locator: the query is run again, and no user is wrong."""
    first = rows(ID, totalSize=2, done=False, nextRecordsUrl="/services/data/v64.0/query/01g-1")
    expired = reply("expired_session")
    server.say(answer(body=first), expired, expired, answer(body=rows(ID, OTHER)))

    assert [{"Id": ID}, {"Id": OTHER}] == client.records(SELECT)
    assert (2, 4) == (tokens.asked, len(server.heard))


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_place_in_a_result_is_gone_whatever_the_status(status, client, server, answer, tokens):
    """The page before was served: the query is run again, with the session that there is."""
    first = rows(ID, totalSize=2, done=False, nextRecordsUrl="/services/data/v64.0/query/01g-1")
    server.say(answer(body=first), answer(status), answer(body=rows(ID, OTHER)))

    assert [{"Id": ID}, {"Id": OTHER}] == client.records(SELECT)
    assert (1, 3) == (tokens.asked, len(server.heard))


def test_pages_as_whatever_a_reader_makes_of_them(client, server, answer):
    """The reader gets each page's records once, as JSON lines, and pages without rows are none."""
    more = "/services/data/v64.0/query/01g-"
    server.say(
        answer(body=compact(rows(ID, totalSize=2, done=False, nextRecordsUrl=more + "1"))),
        answer(body=compact(rows(totalSize=2, done=False, nextRecordsUrl=more + "2"))),
        answer(body=compact(rows(OTHER, totalSize=2))),
    )
    seen = []

    def read(records):
        seen.append(records.lines)
        return [record["Id"] for record in records.parsed()]

    assert [[ID], [OTHER]] == list(client.iter_pages(SELECT, read))
    assert [f'{{"attributes":{{}},"Id":"{ID}"}}'.encode(), b"",
            f'{{"attributes":{{}},"Id":"{OTHER}"}}'.encode()] == seen  # fmt: skip
    assert (1, 2) == (client.meter.timings()["query"][0], client.meter.timings()["query"][2])


def compact(value):
    """JSON as Salesforce writes it, the records last."""
    records = value.pop("records")
    return json.dumps({**value, "records": records}, separators=(",", ":")).encode()


def test_a_single_page_that_is_short_is_asked_for_again_by_itself(client, server, answer):
    """Who reads page by page can't begin again: the only page is told short before it is used."""
    server.say(answer(body=rows(ID, totalSize=2)), answer(body=rows(ID, OTHER)))

    assert [[{"Id": ID}, {"Id": OTHER}]] == list(client.iter_pages(SELECT, JsonRows.records))


@pytest.mark.parametrize("which", ["first", "second"])
def test_a_page_that_its_reader_cannot_read_is_asked_for_again(which, client, server, answer):
    """Nothing of it was handed out: the same page is asked for, not the whole query."""
    more = "/services/data/v64.0/query/01g-1"
    first = answer(body=rows(ID, totalSize=2, done=False, nextRecordsUrl=more))
    server.fallback = lambda h: answer(body=rows(OTHER, totalSize=2)) if "01g" in h.path else first
    failed = []

    def read(records):
        ids = [record["Id"] for record in records.parsed()]
        if ids == [{"first": ID, "second": OTHER}[which]] and not failed:
            failed.append(ids)
            raise errors.TruncatedResponseError("unreadable")
        return ids

    assert [[ID], [OTHER]] == list(client.iter_pages(SELECT, read))
    assert 3 == client.meter.calls.total() == len(server.heard)


def test_a_reader_that_makes_fewer_rows_is_not_believed(client, server, answer):
    """What a reader loses is missed, as if Salesforce had not sent it."""
    server.fallback = lambda _: answer(body=rows(ID, OTHER))

    with pytest.raises(errors.TruncatedResponseError, match="promised 2 rows and gave 1"):
        list(client.iter_pages(SELECT, lambda records: records.parsed()[:1]))


def test_a_long_statement_is_read_the_same_way(tokens, server, answer):
    """What travelled in a composite body comes to the reader like any page."""
    statement = soql.select([f"Field_{n}__c" for n in range(60)], "Contact")
    part = {"referenceId": "r0", "httpStatusCode": 200, "body": rows(ID, OTHER)}
    server.say(answer(body={"compositeResponse": [part]}))
    client = SalesforceClient(tokens, limits=TINY)
    seen = list(client.iter_pages(statement, lambda records: records.parsed()))

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

    cut, expired = errors.TruncatedResponseError("cut"), errors.LocatorExpiredError("expired")

    assert "whole" == client.read_twice(reading())
    assert "whole" == client.read_twice(reading(cut))
    assert "whole" == client.read_twice(reading(expired))
    assert 5 == len(asked)
    with pytest.raises(errors.TruncatedResponseError):
        client.read_twice(reading(expired, cut))
    with pytest.raises(errors.QueryError):
        client.read_twice(reading(errors.QueryError("no")))
    assert 8 == len(asked)


def test_pages_that_go_round(client, server, answer):
    """A next page that was already read would never end."""
    page = rows(ID, totalSize=9, done=False, nextRecordsUrl="/services/data/v64.0/query/01g-1")
    server.fallback = lambda _: answer(body=page)

    with pytest.raises(errors.TruncatedResponseError, match="circle"):
        client.records(SELECT)


def test_a_short_single_page_is_asked_for_again(client, server, answer):
    """One answer that contradicts itself is asked for again; no row is missed."""
    server.say(answer(body=rows(ID, totalSize=2)), answer(body=rows(ID, OTHER)))

    assert 2 == len(client.records(SELECT))


def test_count(client, server, reply):
    """One call, one number; anything but SELECT COUNT() is no count."""
    server.say(reply("query_count"))

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
    assert {"composite": 1, "query_more": 1} == dict(client.meter.calls)


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
