"""Several calls in one: composite (billed once) and composite/batch (each part billed).

Source: REST API Developer Guide, "Composite", "Composite Batch".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from salesforce_targeted.demo_org.http.exchange import Reply, Request, refusal, reply
from salesforce_targeted.demo_org.refusals import Refused, not_found
from salesforce_targeted.demo_org.storage.state import OrgState

MAX_PARTS = 25
MAX_QUERIES = 5
_QUERY = re.compile(r"/(query|queryAll|composite/sobjects)(/|\?|\Z)")
_INNER = re.compile(r"/?(?:services/data/)?v(\d+)\.0/(.*)\Z", re.DOTALL)

Resource = Callable[[OrgState, Request, str, str], Reply]


def _parts(request: Request, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        body = orjson.loads(request.body)
        parts = body[name]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise Refused(400, "JSON_PARSER_ERROR", f"{name} is required") from None
    if not isinstance(parts, list) or not 1 <= len(parts) <= MAX_PARTS:
        raise Refused(400, "LIMIT_EXCEEDED", f"between 1 and {MAX_PARTS} subrequests are allowed")
    if not all(isinstance(part, dict) and "url" in part for part in parts):
        raise Refused(400, "JSON_PARSER_ERROR", "each subrequest needs a method and a url")
    return body, parts


def calls_in(request: Request) -> int:
    """Count how many calls a composite/batch is billed as."""
    try:
        return max(1, len(orjson.loads(request.body)["batchRequests"]))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return 1


def _run(org: OrgState, part: dict[str, Any], resource: Resource, body_name: str) -> Reply:
    url = str(part["url"])
    outer = _INNER.match(url)
    content = part.get(body_name)
    inner = Request(
        str(part.get("method", "GET")).upper(), url,
        {k.lower(): str(v) for k, v in (part.get("httpHeaders") or {}).items()},
        b"" if content is None else orjson.dumps(content),
    )  # fmt: skip
    org.begin_call("part")
    try:
        path = _INNER.match(inner.path)
        if outer is None or path is None:
            raise not_found()
        return resource(org, inner, f"{path[1]}.0", path[2].rstrip("/"))
    except Refused as error:
        return refusal(error)


def _value(part: Reply) -> Any:
    return orjson.Fragment(part.body) if isinstance(part.body, bytes) and part.body else None


def composite(org: OrgState, request: Request, resource: Resource) -> Reply:
    """``POST composite``."""
    body, parts = _parts(request, "compositeRequest")
    urls = [str(part["url"]) for part in parts]
    if sum(1 for url in urls if _QUERY.search(url)) > MAX_QUERIES:
        message = f"at most {MAX_QUERIES} query or sObject Collections subrequests are allowed"
        raise Refused(400, "LIMIT_EXCEEDED", message)
    if any(not isinstance(part.get("referenceId"), str) for part in parts):
        raise Refused(400, "JSON_PARSER_ERROR", "each subrequest needs a referenceId")
    if len({part["referenceId"] for part in parts}) < len(parts):
        raise Refused(400, "INVALID_INPUT", "referenceId provided in the request is not unique")
    replies = [_run(org, part, resource, "body") for part in parts]
    halted = bool(body.get("allOrNone")) and any(r.status >= 400 for r in replies)
    responses = []
    for part, response in zip(parts, replies, strict=True):
        value, status = _value(response), response.status
        if halted and status < 400:
            status = 400
            value = [{"errorCode": "PROCESSING_HALTED",
                      "message": "The transaction was rolled back since another operation in the "
                                 "same transaction failed."}]  # fmt: skip
        responses.append({"body": value, "httpHeaders": {}, "httpStatusCode": status,
                          "referenceId": part["referenceId"]})  # fmt: skip
    rows, columns = sum(r.rows for r in replies), max((r.columns for r in replies), default=0)
    seconds = sum(r.seconds for r in replies)
    return reply({"compositeResponse": responses}, rows=rows, columns=columns, seconds=seconds)


def batch(org: OrgState, request: Request, resource: Resource) -> Reply:
    """``POST composite/batch``."""
    body, parts = _parts(request, "batchRequests")
    results: list[dict[str, Any]] = []
    failed, rows, seconds = False, 0, 0.0
    for part in parts:
        if failed and body.get("haltOnError"):
            halted = [{"errorCode": "BATCH_PROCESSING_HALTED", "message":
                       "Batch processing halted per request"}]  # fmt: skip
            results.append({"statusCode": 412, "result": halted})
            continue
        response = _run(org, part, resource, "richInput")
        failed, rows = failed or response.status >= 400, rows + response.rows
        seconds += response.seconds
        results.append({"statusCode": response.status, "result": _value(response)})
    return reply({"hasErrors": failed, "results": results}, rows=rows, seconds=seconds)
