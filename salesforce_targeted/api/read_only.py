"""Check requests against the allow-list: everything else may not leave the process.

Rules:
1. Pure: a request in, the reason of a refusal out. ``client.send`` asks it each time, whatever
   built the request.
2. It lists what is allowed and never what is forbidden: a new trick is refused as well.
3. Sign-in isn't here: it has an endpoint of its own (login.py).
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from salesforce_targeted.api.models import Request

_VERSION = r"/services/data/v\d{2,3}\.0"
_OBJECT = r"[A-Za-z][A-Za-z0-9_]*"
_KEY = r"[A-Za-z0-9_-]+"

# (path, the query parameters it may carry, those it must carry).
# REST API Developer Guide, "Reference"; Bulk API 2.0, "Query Jobs".
_GET: tuple[tuple[re.Pattern[str], frozenset[str], frozenset[str]], ...] = tuple(
    (re.compile(path + r"\Z", re.ASCII), frozenset(may.split()), frozenset(must.split()))
    for path, may, must in (
        (r"/services/data", "", ""),
        (rf"{_VERSION}/query(All)?", "q", "q"),
        (rf"{_VERSION}/query(All)?/{_KEY}", "", ""),
        (rf"{_VERSION}/sobjects/{_OBJECT}/describe", "", ""),
        (rf"{_VERSION}/limits", "", ""),
        (rf"{_VERSION}/limits/recordCount", "sObjects", ""),
        (rf"{_VERSION}/jobs/query/{_KEY}", "", ""),
        (rf"{_VERSION}/jobs/query/{_KEY}/results", "locator maxRecords", ""),
        (rf"{_VERSION}/jobs/query/{_KEY}/(?i:resultPages)", "locator maxRecords", ""),
        (r"/services/oauth2/userinfo", "", ""),
    )
)
_POST_JOB = re.compile(rf"{_VERSION}/jobs/query\Z", re.ASCII)
_POST_COLLECTION = re.compile(rf"{_VERSION}/composite/sobjects/{_OBJECT}\Z", re.ASCII)
_POST_COMPOSITE = re.compile(rf"{_VERSION}/composite\Z", re.ASCII)

# Only characters that mean one thing to every server and proxy on the way: no %2e, no backslash, no
# ";" (which some servers read as "&"), no braces (composite reads "@{…}" as another part's).
_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+/?\Z", re.ASCII)
_PLAIN_QUERY = re.compile(r"[A-Za-z0-9_.~%+=&,:/@!$'()*-]*\Z", re.ASCII)
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_.]+\Z", re.ASCII)
_HEADERS = {"accept", "content-type"}
_JOB_KEYS = {"operation", "query", "contentType", "columnDelimiter", "lineEnding"}
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL)
# Outside of literals a statement is printable ASCII: what we take for part of a word, a reader that
# knows more kinds of space might take for the end of one.
_PLAIN_SOQL = re.compile(r"\s*SELECT\s[ -~\t\r\n]*\Z", re.ASCII | re.IGNORECASE)
# SOQL has clauses that write: they lock rows, or stamp LastViewedDate and LastReferencedDate.
# "LIMIT 1FOR UPDATE" may be read as two words: a digit doesn't begin a name.
# SOQL and SOSL Reference, "FOR VIEW", "FOR REFERENCE", "FOR UPDATE", "UPDATE".
_WRITING = re.compile(
    r"(?<![a-z_])(FOR\s+(UPDATE|VIEW|REFERENCE)|UPDATE\s+(TRACKING|VIEWSTAT))\b",
    re.IGNORECASE | re.ASCII,
)


def refusal(request: Request) -> str | None:
    """Say why this request may not leave, with nothing of its body; None if it only reads."""
    if reason := _bad_headers(request.headers):
        return reason
    path, body = request.path, request.body
    if request.method == "GET":
        return "a GET with a body" if body is not None else _bad_get(path)
    if request.method == "POST":
        return _bad_path(path) or _bad_content_type(request.headers) or _bad_post(path, body)
    return f"the method {request.method[:10]!r} can change the org"


def _bad_post(path: str, body: bytes | None) -> str | None:
    # The patterns end where the path ends: query parameters on a POST match none of them.
    for pattern, check in (
        (_POST_COLLECTION, _bad_collection),
        (_POST_JOB, _bad_job),
        (_POST_COMPOSITE, _bad_composite),
    ):
        if pattern.match(path):
            try:
                # Decoded here: json.loads would also take UTF-16, which others read as UTF-8.
                text = (body or b"").decode("utf-8")
                payload = json.loads(text, object_pairs_hook=_no_key_twice)
            except (ValueError, RecursionError):
                return "a POST whose body is no plain JSON"
            return check(payload) if isinstance(payload, dict) else "a POST of no JSON object"
    return "a POST to a resource that isn't known to read only"


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two equal keys each reader picks its own: we might check one and Salesforce obey the other.
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a key occurs twice")
    return entries


def _bad_headers(headers: Mapping[str, str]) -> str | None:
    for key, value in headers.items():
        # X-HTTP-Method-Override, Host and Authorization are refused by not being here.
        if key.lower() not in _HEADERS:
            return "a header that isn't known to be harmless"
        if not value.isascii() or not value.isprintable():
            return "a header value with control characters"
    return None


def _bad_content_type(headers: Mapping[str, str]) -> str | None:
    # As a form, a body that we read as JSON may hold "_HttpMethod=DELETE", which Salesforce obeys.
    # REST API Developer Guide, "Using HTTP Methods" (overriding them).
    types = [value for key, value in headers.items() if key.lower() == "content-type"]
    return None if types == ["application/json"] else "a POST that isn't declared to be JSON"


def _bad_path(path: str) -> str | None:
    plain, _, query = path.partition("?")
    if not _PLAIN_PATH.match(plain) or {".", ".."} & set(plain.split("/")):
        return "a path that isn't plainly below this org's origin"
    if not _PLAIN_QUERY.match(query):
        return "query parameters that aren't encoded"
    return None


def _bad_get(path: str) -> str | None:
    if reason := _bad_path(path):
        return reason
    plain, _, query = path.partition("?")
    try:
        parameters = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        return "query parameters that can't be read"
    keys = [key for key, _ in parameters]
    for pattern, may, must in _GET:
        if pattern.match(plain):
            if len(set(keys)) != len(keys) or not must <= set(keys) <= may:
                return "query parameters that this resource isn't known to take"
            return next((r for k, v in parameters if k == "q" and (r := _bad_soql(v))), None)
    return "a resource that isn't known to read only"


def _bad_soql(soql: object) -> str | None:
    if not isinstance(soql, str):
        return "a query that is no text"
    bare = _QUOTED.sub("''", soql)
    if not _PLAIN_SOQL.match(bare) or "'" in bare.replace("''", ""):
        return "a query that is no plain SELECT"
    if _WRITING.search(bare):
        return "a query with a clause that locks or stamps records"
    return None


def _bad_collection(payload: dict[str, Any]) -> str | None:
    if set(payload) != {"ids", "fields"}:
        return "a Collections request with other keys than ids and fields"
    for part in (payload["ids"], payload["fields"]):
        if not isinstance(part, list) or not all(isinstance(x, str) for x in part):
            return "a Collections request whose ids or fields are no lists of text"
        if not all(_PLAIN_WORD.match(word) for word in part):
            return "a Collections request whose ids or fields are no plain names"
    return None


def _bad_job(payload: dict[str, Any]) -> str | None:
    if not {"operation", "query"} <= set(payload) <= _JOB_KEYS:
        return "a Bulk job with keys that a query job doesn't have"
    if payload["operation"] not in ("query", "queryAll"):
        return "a Bulk job that isn't a query"
    return _bad_soql(payload["query"])


def _bad_composite(payload: dict[str, Any]) -> str | None:
    parts = payload.get("compositeRequest")
    if not set(payload) <= {"allOrNone", "compositeRequest"} or not isinstance(parts, list):
        return "a composite request of another shape"
    for part in parts:
        keys = set(part) if isinstance(part, dict) else set()
        if not {"method", "url", "referenceId"} <= keys <= {"method", "url", "referenceId", "body"}:
            return "a composite subrequest of another shape"
        if reason := _bad_subrequest(part):
            return f"composite: {reason}"
    return None


def _bad_subrequest(part: dict[str, Any]) -> str | None:
    method, url, reference = part["method"], part["url"], part["referenceId"]
    if not all(isinstance(text, str) for text in (method, url, reference)):
        return "a subrequest of another shape"
    if not re.fullmatch(r"[A-Za-z0-9_]+", reference, re.ASCII) or "@{" in unquote(url):
        return "a reference that isn't a plain name, or to another part's response"
    if method == "GET":
        return "a GET with a body" if "body" in part else _bad_get(url)
    if method != "POST":
        return f"the method {method[:10]!r} can change the org"
    if not _POST_COLLECTION.match(url):
        return "a POST that isn't known to read only"
    return _bad_collection(part["body"]) if isinstance(part.get("body"), dict) else "no body"
