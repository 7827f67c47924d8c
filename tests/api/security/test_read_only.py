"""Only what reads may leave; every trick is refused, one by one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_targeted.api import endpoints, read_only
from salesforce_targeted.api.errors import ReadOnlyError
from salesforce_targeted.api.models import Request

DATA = "/services/data/v64.0"
ID = "003D000000QOMyqIAH"
COLLECTION = f"{DATA}/composite/sobjects/Contact"
SELECT = "SELECT Id FROM Contact"


def post(path, payload, kind="application/json"):
    """Make a POST of JSON or bytes, declared to be JSON."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Request("POST", path, body, {"Content-Type": kind} if kind else {})


def composite(*parts):
    """Make a composite request."""
    return post(f"{DATA}/composite", {"allOrNone": False, "compositeRequest": list(parts)})


def part(method="GET", url=f"{DATA}/limits", **more):
    """Make one subrequest of it."""
    return {"method": method, "url": url, "referenceId": "r0", **more}


ALLOWED = [
    endpoints.versions(),
    endpoints.query("64.0", SELECT),
    endpoints.query("64.0", "SELECT Id FROM Contact WHERE Name = 'FOR UPDATE'", all_rows=True),
    endpoints.query_more(f"{DATA}/query/01gRO0000016PIAYA2-500"),
    endpoints.collections("64.0", "Contact", [ID], ["Id"]),
    endpoints.describe("64.0", "Contact"),
    endpoints.composite(
        "64.0",
        [endpoints.describe("64.0", "Task"), endpoints.collections("64.0", "Task", [ID], ["Id"])],
    ),
    endpoints.limits("64.0"),
    endpoints.record_count("64.0", ["Contact", "Task"]),
    endpoints.bulk_status("64.0", "750R0000000zlh9IAA"),
    endpoints.bulk_results("64.0", "750R0000000zlh9IAA", "MTAw+/=", 50_000),
    endpoints.bulk_result_pages("64.0", "750R0000000zlh9IAA", 50_000),
    Request("GET", "/services/oauth2/userinfo"),
]


@pytest.mark.parametrize("request_", ALLOWED, ids=lambda r: f"{r.method} {r.path[:60]}")
def test_what_reads_may_leave(request_):
    """Each builder's request is on the list."""
    assert read_only.refusal(request_) is None


REFUSED = {
    # methods
    **{f"{m} a record": Request(m, f"{DATA}/sobjects/Contact/{ID}") for m in ("DELETE", "PATCH", "PUT", "get", "HEAD", "TRACE", "")},
    "create a record": post(f"{DATA}/sobjects/Contact", {"LastName": "x"}),
    "upsert": Request("PATCH", f"{DATA}/sobjects/Contact/NPI__c/1", b"{}"),
    "create many": post(f"{DATA}/composite/sobjects", {"records": []}),
    "create a tree": post(f"{DATA}/composite/tree/Contact", {"records": []}),
    "delete many": Request("DELETE", f"{DATA}/composite/sobjects?ids={ID}"),
    "graph": post(f"{DATA}/composite/graph", {"graphs": []}),
    "batch": post(f"{DATA}/composite/batch", {"batchRequests": []}),
    "ingest job": post(f"{DATA}/jobs/ingest", {"object": "Contact", "operation": "delete"}),
    "ingest data": Request("PUT", f"{DATA}/jobs/ingest/750R0000000zlh9IAA/batches", b"Id\n"),
    "bulk v1": post("/services/async/64.0/job", {"operation": "delete"}),
    "abort a job": Request("PATCH", f"{DATA}/jobs/query/750R0000000zlh9IAA", b'{"state":"Aborted"}'),
    "delete a job": Request("DELETE", f"{DATA}/jobs/query/750R0000000zlh9IAA"),
    "apex": Request("GET", f"{DATA}/tooling/executeAnonymous?anonymousBody=delete%20x;"),
    "apex rest": Request("GET", "/services/apexrest/anything"),
    "an action": post(f"{DATA}/actions/standard/emailSimple", {"inputs": []}),
    "SOAP": post("/services/Soap/u/64.0", b"<x/>"),
    "token endpoint": post("/services/oauth2/token", b"grant_type=password"),
    "revoke": post("/services/oauth2/revoke", b"token=x"),
    "search": Request("GET", f"{DATA}/search?q=FIND"),
    # method overrides
    "_HttpMethod": Request("GET", f"{DATA}/sobjects/Contact?_HttpMethod=PATCH"),
    "_HttpMethod on a POST": post(f"{COLLECTION}?_HttpMethod=PATCH", {"ids": [ID], "fields": ["Id"]}),
    "_HttpMethod on a query": Request("GET", f"{DATA}/query?q=SELECT+Id+FROM+A&_HttpMethod=DELETE"),
    "override header": Request("GET", f"{DATA}/limits", None, {"X-HTTP-Method-Override": "DELETE"}),
    "host header": Request("GET", f"{DATA}/limits", None, {"Host": "evil.example"}),
    "authorization header": Request("GET", f"{DATA}/limits", None, {"Authorization": "Bearer x"}),
    "split header": Request("GET", f"{DATA}/limits", None, {"Accept": "a\r\nX-HTTP-Method-Override: PATCH"}),
    # paths
    "dots": Request("GET", f"{DATA}/query/../sobjects/Contact"),
    "one dot": Request("GET", f"{DATA}/./limits"),
    "encoded dots": Request("GET", f"{DATA}/%2e%2e/apexrest"),
    "encoded slash": Request("GET", f"{DATA}/query%2f..%2fsobjects"),
    "double slash": Request("GET", f"{DATA}//limits"),
    "other host": Request("GET", f"//evil.example{DATA}/limits"),
    "absolute URL": Request("GET", f"https://evil.example{DATA}/limits"),
    "user part": Request("GET", f"@evil.example{DATA}/limits"),
    "backslash": Request("GET", f"{DATA}\\..\\limits"),
    "parameters of a segment": Request("GET", f"{DATA}/limits;x=1"),
    "fragment": Request("GET", f"{DATA}/limits#x"),
    "line break": Request("GET", f"{DATA}/limits HTTP/1.1\r\nHost: evil"),
    "line break at the end": Request("GET", f"{DATA}/limits\n"),
    "other letters": Request("GET", f"{DATA}/lіmits"),
    "no path": Request("GET", ""),
    "no version": Request("GET", "/services/data/vXX.0/limits"),
    "body on a GET": Request("GET", f"{DATA}/limits", b"{}"),
    "unknown parameter": Request("GET", f"{DATA}/limits?x=1"),
    "parameter twice": Request("GET", f"{DATA}/query?q=SELECT+Id+FROM+A&q=SELECT+Id+FROM+B"),
    "a bare parameter": Request("GET", f"{DATA}/query?q"),
    "a SOQL that is no text": post(f"{DATA}/jobs/query", {"operation": "query", "query": ["SELECT"]}),
    "a semicolon between parameters": Request("GET", f"{DATA}/query?q=SELECT+Id+FROM+A;_HttpMethod=DELETE"),
    "braces": Request("GET", f"{DATA}/query?q=SELECT+Id+FROM+A+WHERE+B={{c}}"),
    "no query": Request("GET", f"{DATA}/query"),
    # what reads, and that we have no use for
    "all objects": Request("GET", f"{DATA}/sobjects"),
    "an object": Request("GET", f"{DATA}/sobjects/Contact"),
    "records by id, in the address": Request("GET", f"{COLLECTION}?ids={ID}&fields=Id"),
    "all jobs": Request("GET", f"{DATA}/jobs/query?jobType=V2Query"),
    "an option of the query": Request("GET", f"{DATA}/query?q=SELECT+Id+FROM+A", None, {"Sforce-Query-Options": "batchSize=200"}),
    # SOQL that writes
    "for update": endpoints.query("64.0", f"{SELECT} LIMIT 1 FOR UPDATE"),
    "for view": endpoints.query("64.0", f"{SELECT} for\n view"),
    "for reference": endpoints.query("64.0", f"{SELECT} FOR REFERENCE"),
    "update tracking": endpoints.query("64.0", "SELECT Title FROM FAQ__kav UPDATE TRACKING"),
    "update viewstat": endpoints.query("64.0", "SELECT Title FROM FAQ__kav UPDATE VIEWSTAT"),
    "hidden by a quote": endpoints.query("64.0", "SELECT Id FROM A WHERE B = 'x\\'' FOR UPDATE"),
    "for update behind a number": endpoints.query("64.0", f"{SELECT} LIMIT 1FOR UPDATE"),
    "for update behind a literal": endpoints.query("64.0", f"{SELECT} WHERE Name='x'FOR UPDATE"),
    "a space that only some know": endpoints.query("64.0", f"{SELECT} LIMIT 1 FOR\u200bUPDATE"),
    "a NUL for a space": endpoints.query("64.0", f"{SELECT} LIMIT 1 FOR\0UPDATE"),
    "another alphabet": endpoints.query("64.0", f"{SELECT} WHERE Nаme = 'x'"),
    "SELECT as part of a word": endpoints.query("64.0", "SELECTED Id FROM Contact"),
    "open quote": endpoints.query("64.0", f"{SELECT} WHERE Name = 'x"),
    "no select": endpoints.query("64.0", "DELETE FROM Contact"),
    "for update in bulk": endpoints.bulk_create("64.0", f"{SELECT} FOR UPDATE"),
    # bodies
    "ids and records": post(COLLECTION, {"ids": [ID], "fields": ["Id"], "records": []}),
    "no ids": post(COLLECTION, {"fields": ["Id"]}),
    "ids as text": post(COLLECTION, {"ids": ID, "fields": ["Id"]}),
    "ids of objects": post(COLLECTION, {"ids": [{"a": 1}], "fields": ["Id"]}),
    "ids that name another part's answer": post(COLLECTION, {"ids": ["@{r1.id}"], "fields": ["Id"]}),
    "fields that are none": post(COLLECTION, {"ids": [ID], "fields": ["Id FROM Contact"]}),
    "a form": post(COLLECTION, {"ids": [ID], "fields": ["Id"]}, "application/x-www-form-urlencoded"),
    "a form in the shape of JSON": post(COLLECTION, b'{"ids":[],"fields":[]}', "application/json, text/x&_HttpMethod=PATCH"),
    "XML": post(f"{DATA}/jobs/query", {"operation": "query", "query": SELECT}, "application/xml"),
    "undeclared": post(COLLECTION, {"ids": [ID], "fields": ["Id"]}, ""),
    "declared twice": Request("POST", COLLECTION, b'{"ids":["a"],"fields":["Id"]}', {"Content-Type": "application/json", "content-type": "text/plain"}),
    "UTF-16": post(COLLECTION, json.dumps({"ids": [ID], "fields": ["Id"]}).encode("utf-16")),
    "UTF-16 without a mark": post(COLLECTION, json.dumps({"ids": [ID], "fields": ["Id"]}).encode("utf-16-le")),
    "a list": post(COLLECTION, []),
    "key twice": post(COLLECTION, b'{"ids":["x"],"ids":["y"],"fields":["Id"]}'),
    "no JSON": post(COLLECTION, b"ids"),
    "deep JSON": post(COLLECTION, b"[" * 100_000),
    "no body": Request("POST", COLLECTION),
    "job that deletes": post(f"{DATA}/jobs/query", {"operation": "delete", "query": SELECT}),
    "job with an object": post(f"{DATA}/jobs/query", {"operation": "query", "query": SELECT, "object": "A"}),
    "job twice": post(f"{DATA}/jobs/query", b'{"operation":"query","query":"SELECT Id FROM A","operation":"delete"}'),
    "job without SOQL": post(f"{DATA}/jobs/query", {"operation": "query", "query": None}),
    # composite
    **{f"composite {m}": composite(part(m, f"{DATA}/sobjects/Contact/{ID}")) for m in ("DELETE", "PATCH", "PUT", "post")},
    "composite create": composite(part("POST", f"{DATA}/sobjects/Contact", body={"LastName": "x"})),
    "composite second part": composite(part(), part("DELETE")),
    "composite in composite": composite(part("POST", f"{DATA}/composite", body={"compositeRequest": []})),
    "composite other host": composite(part(url="https://evil.example/services/data/v64.0/limits")),
    "composite interpolation": composite(part(url=f"{DATA}/query?q=@{{r1.id}}")),
    "composite interpolation in SOQL": composite(part(url=f"{DATA}/query?q=SELECT+Id+FROM+A+WHERE+B='@{{r1.id}}'")),
    "composite interpolation, encoded": composite(part(url=f"{DATA}/query?q=SELECT+Id+FROM+A+WHERE+B='%40%7Br1.id%7D'")),
    "composite headers": composite(part(httpHeaders={"X-HTTP-Method-Override": "DELETE"})),
    "composite reference": composite({**part(), "referenceId": "@{x}"}),
    "composite body on a GET": composite(part(body={})),
    "composite method of another type": composite(part(["GET"])),
    "composite collection without body": composite(part("POST", COLLECTION)),
    "composite collection of records": composite(part("POST", COLLECTION, body={"records": []})),
    "composite of text": composite("x"),
    "composite of nothing": post(f"{DATA}/composite", {}),
    "composite graph": post(f"{DATA}/composite", {"compositeRequest": [], "graphs": []}),
    "composite for update": composite(part(url=endpoints.query("64.0", f"{SELECT} FOR UPDATE").path)),
}  # fmt: skip


@pytest.mark.parametrize("trick", REFUSED)
def test_what_could_write_may_not_leave(trick, client, server, tokens):
    """Refused by name, before a byte is sent and before anybody signs in."""
    with pytest.raises(ReadOnlyError, match="refused to send"):
        client.send(REFUSED[trick])

    assert [] == server.heard
    assert (0, 0) == (tokens.asked, client.meter.calls.total())


@given(
    st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]),
    st.text(max_size=60) | st.builds(lambda s: DATA + "/" + s, st.text(max_size=40)),
    st.binary(max_size=60) | st.none(),
)
def test_whatever_is_asked_is_judged(method, path, body):
    """No input makes the judge fail, and no other method than GET and POST passes."""
    reason = read_only.refusal(Request(method, path, body))

    assert reason is None or isinstance(reason, str)
    assert reason is not None or method in ("GET", "POST")


def test_a_refusal_holds_nothing_of_the_body():
    """What was refused may be personal data."""
    reason = read_only.refusal(post(f"{DATA}/sobjects/Contact", {"LastName": "Schmidt"}))

    assert "Schmidt" not in reason
