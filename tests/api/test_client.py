"""Describes, records by id and the org's counts: what is asked for them, and what is made of the answers."""

import json

import pytest

from salesforce_targeted.api import errors, readers
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.ids import to_18
from salesforce_targeted.api.limits import TINY
from tests.support.responses import ID, OTHER, collections, describes


def test_several_describes_are_one_call(client, server, reply):
    """An object that isn't there is an error in its place, not of the call."""
    server.say(reply("composite_mixed"))
    objects = describes(client, ["Contact", "Nope"])

    assert {"name": "Contact", "fields": [{"name": "Id", "type": "id"}]} == objects["Contact"]
    assert isinstance(objects["Nope"], errors.NotFoundError)
    assert {"composite": 1} == dict(client.meter.calls)


def test_describes_without_composite(client, server, answer, reply):
    """Where composite is refused the objects are described one by one."""
    server.say(
        reply("api_disabled"),
        answer(body={"name": "A", "fields": [{"name": "Id"}]}),
        reply("not_found"),
    )
    objects = describes(client, ["A", "B"])

    assert {"name": "A", "fields": [{"name": "Id"}]} == objects["A"]
    assert isinstance(objects["B"], errors.NotFoundError)
    assert {"composite": 1, "describe": 2} == dict(client.meter.calls)


def test_describes_in_batches(tokens, server, answer):
    """No more subrequests than allowed in one composite."""

    def parts(heard):
        asked = json.loads(heard.body)["compositeRequest"] if heard.body else []
        return answer(body={"compositeResponse": [
            {"referenceId": p["referenceId"], "httpStatusCode": 200, "body": {"name": "A", "fields": [{"name": "Id"}]}} for p in asked]}
            if asked else {"name": "A", "fields": [{"name": "Id"}]})  # fmt: skip

    server.fallback = parts
    client = SalesforceClient(tokens, limits=TINY)

    assert list("ABCD") == list(describes(client, list("ABCD")))
    assert {"composite": 2} == dict(client.meter.calls)


@pytest.mark.parametrize("odd", [
    {}, {"fields": []}, {"fields": [None]}, {"fields": [{"type": "id"}]}, {"fields": [{"name": 5}]},
    {"fields": [{"name": "LastName"}]}, {"name": None, "fields": [{"name": "Id"}]},
], ids=str)  # fmt: skip
def test_a_describe_without_fields(client, server, answer, odd):
    """A describe that is none isn't used."""
    server.fallback = lambda _: answer(body={"name": "Contact", **odd})

    with pytest.raises(errors.TruncatedResponseError):
        client.describe("Contact")


def test_collections_keep_the_order_of_the_ids(client, server, answer):
    """Should Salesforce answer in another order, the caller doesn't notice."""
    absent = to_18("003D000000QOMyr")
    server.say(answer(body=[None, {"Id": OTHER, "A": 1}, {"Id": ID, "A": 2}]))
    records = collections(client, "Contact", [ID[:15], absent, OTHER], ["A"])

    assert [{"Id": ID, "A": 2}, None, {"Id": OTHER, "A": 1}] == records
    assert {"ids": [ID, absent, OTHER], "fields": ["Id", "A"]} == json.loads(server.heard[0].body)


def test_collections_with_strangers(client, server, answer):
    """Records that weren't asked for spoil the answer."""
    server.fallback = lambda _: answer(body=[{"Id": OTHER}])

    with pytest.raises(errors.TruncatedResponseError, match="weren't asked for"):
        collections(client, "Contact", [ID], ["Id"])


def test_a_short_collection_is_asked_for_again(client, server, answer):
    """One entry too few is asked for again, then it is an error."""
    server.say(answer(body=[]), answer(body=[{"Id": ID}]))

    assert [{"Id": ID}] == collections(client, "Contact", [ID], [])


def test_ids_that_can_t_be_asked_for(client, server):
    """Too many, or one that is none, are refused here."""
    with pytest.raises(ValueError, match="at most 2000"):
        client.collection_request("Contact", [ID] * 2001, ["Id"])
    with pytest.raises(ValueError, match="not a Salesforce id"):
        client.collection_request("Contact", ["x"], ["Id"])
    assert [] == server.heard


def test_a_request_for_collections_to_be_sent_otherwise(client, server):
    """Unsent: ids in their long form and their order, Id among the fields."""
    request = client.collection_request("Contact", [OTHER[:15], ID], ["A", "Id", "A"])

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
        results = [
            {"referenceId": p["referenceId"], "httpStatusCode": 200 if p["body"]["ids"] == [ID] else 404,
             "body": [{"attributes": {}, "Id": ID}] if p["body"]["ids"] == [ID] else
                     [{"errorCode": "NOT_FOUND", "message": "no"}]}
            for p in asked
        ]  # fmt: skip
        return answer(body={"compositeResponse": results})

    server.fallback = parts
    client = SalesforceClient(tokens)
    requests_made = [client.collection_request("Contact", [i], ["A"]) for i in (ID, OTHER, ID)]
    first, missing, last = client.composite(requests_made)
    (alone,) = client.composite(requests_made[:1])  # asked the same way, or it fares otherwise

    assert isinstance(missing, errors.NotFoundError)
    assert [[{"Id": ID}]] * 3 == [readers.collection(part, 1) for part in (first, last, alone)]
    assert {"composite": 2} == dict(client.meter.calls)


def test_record_counts(client, server, answer):
    """Counts by name; what isn't counted is left out."""
    server.say(answer(body={"sObjects": [{"name": "Contact", "count": 600000}, {"name": "X"}, 1]}))

    assert {"Contact": 600000} == client.record_counts(["Contact", "X"])


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "INSUFFICIENT_ACCESS"), (403, "FUNCTIONALITY_NOT_ENABLED"), (400, "API_ERROR")],
)
def test_what_this_user_may_not_see_is_not_known(status, code, client, server, answer):
    """A user with least privilege may read records, and not the org's allocations and sizes."""
    refused = [{"errorCode": code, "message": "insufficient access rights"}]
    usage = {"Sforce-Limit-Info": "api-usage=18/15000"}
    server.fallback = lambda _: answer(status, refused, usage)

    assert client.visible_limits() is None
    assert {} == client.record_counts(["Contact"])
    assert 14_982 == client.meter.remaining


def test_a_closed_api_is_not_a_hidden_resource(client, server, reply):
    """Without API Enabled nothing works: said, not passed over."""
    server.fallback = lambda _: reply("api_disabled")

    for read in (client.visible_limits, lambda: client.record_counts(["Contact"])):
        with pytest.raises(errors.PermissionDeniedError, match="API Enabled"):
            read()


def versions(answer, *served):
    """Serve the org's list of versions."""
    return answer(body=[{"version": v, "url": f"/services/data/v{v}"} for v in served])


@pytest.mark.parametrize("status", [404, 410])
def test_an_org_that_does_not_serve_the_version(status, tokens, server, answer):
    """The versions that it serves are named; asked once, for nothing, and only at the start."""
    missing = [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]
    gone = answer(status, missing if status == 404 else b"")
    server.say(gone, versions(answer, "31.0", "58.0", "62.0"))
    client = SalesforceClient(tokens, api_version="66")

    with pytest.raises(errors.ConfigurationError, match=r"api_version.*58\.0 to 62\.0"):
        client.describe("Contact")
    assert ["/services/data/v66.0/sobjects/Contact/describe", "/services/data"] == [
        heard.path for heard in server.heard
    ]
    assert 1 == client.meter.calls.total()


def test_a_hidden_object_of_an_org_that_serves_the_version(client, server, answer, reply):
    """One look at the start; what is not found is then not found."""
    server.say(reply("not_found"), versions(answer, "64.0"), reply("not_found"))

    for _ in range(2):
        with pytest.raises(errors.NotFoundError):
            client.describe("Nothing")
    assert 3 == len(server.heard)


def test_no_look_once_something_was_served(client, server, answer, reply):
    """What the org has served once it serves."""
    server.say(answer(body={"name": "A", "fields": [{"name": "Id"}]}), reply("not_found"))
    client.describe("A")

    with pytest.raises(errors.NotFoundError):
        client.describe("Nothing")
    assert 2 == len(server.heard)


@pytest.mark.parametrize("text", ["", "latest", "6", "64.5", "64.0/../x", "٦٤.0"])
def test_a_version_that_is_none(text, tokens):
    """It would stand in every path."""
    with pytest.raises(errors.ConfigurationError, match="api_version"):
        SalesforceClient(tokens, api_version=text)
