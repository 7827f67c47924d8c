"""Read what a response says: its JSON, its records, its parts.

Rules:
1. Every reader raises our errors only, whatever the bytes are: HTML, nothing, half a body. What is
   not whole, or not what was asked for, is a TruncatedResponseError: it is asked for again.
2. ``attributes`` and everything else that only one API sends is taken off here.
"""

import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson

from salesforce_targeted.api.models import Page, Record, Response
from salesforce_targeted.api.read_only import refusal

from . import endpoints
from .errors import SalesforceError, TruncatedResponseError, WebPageError

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# What half a character becomes: the NUL is removed and counted where values are read.
_LOST = "\0\ufffd"
_USAGE = re.compile(r"(?:^|[;,\s])api-usage=(\d{1,18})/(\d{1,18})(?!\d)")
_PART = re.compile(r"r\d{1,4}", re.ASCII)
_VERSION = re.compile(r"\d{1,3}\.\d", re.ASCII)
_HTML_TITLE = re.compile(rb"<(title|h1)[^>]*>(.{1,200}?)</\1>", re.IGNORECASE | re.DOTALL)


# --- JSON -----------------------------------------------------------------------------------------


def parsed(response: Response) -> Any:
    """Parse the JSON of a body; half a character becomes NUL and U+FFFD, NaN a text.

    An error holds nothing of the body but an HTML title.
    """
    try:
        return orjson.loads(response.body)
    except ValueError:
        pass
    if not response.body.strip():
        raise TruncatedResponseError("the response is empty", status=response.status)
    try:
        # Slower, but takes lone surrogates (which orjson and UTF-8 don't), NaN and Infinity (which
        # are no JSON) so that one bad value in one record doesn't cost the 1,999 others. As text
        # such a number is rejected where it is read. Source: tap-salesforce PR 200.
        text = response.body.decode("utf-8-sig", "surrogateescape")
        return _without_surrogates(json.loads(text, parse_constant=str))
    except (ValueError, RecursionError):
        kind = WebPageError if is_page(response) else TruncatedResponseError
        raise kind(
            f"the response is no JSON{html_title(response.body)}", status=response.status
        ) from None


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub(_LOST, value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value


def as_utf8(body: bytes) -> bytes:
    """Return a body that is UTF-8; bytes that are none become what half a character does."""
    return _LONE_SURROGATE.sub(_LOST, body.decode("utf-8", "surrogateescape")).encode()


def html_title(body: bytes) -> str:
    """Say what to add to an error about a web page: its title; "" for any other body."""
    title = _HTML_TITLE.search(body[:4096])
    return f" but a page titled {title[2].decode('utf-8', 'replace')!r}" if title else ""


def json_object(response: Response) -> dict[str, Any]:
    """Read the body as one JSON object (describe, limits, a job)."""
    value = parsed(response)
    if not isinstance(value, dict):
        raise TruncatedResponseError("the response is no JSON object", status=response.status)
    return value


def is_page(response: Response) -> bool:
    """Tell whether a response is empty or a web page: a maintenance page, or a proxy's."""
    start = response.body.lstrip()[:15].lower()
    return (
        not start
        or "html" in response.header("Content-Type").lower()
        or (start.startswith((b"<!doctype html", b"<html")))
    )


def as_it_is(response: Response) -> Response:
    """Return the response itself, if there is something in it."""
    # Bulk results are CSV, and an empty result may be an empty body.
    if is_page(response) and "csv" not in response.header("Content-Type").lower():
        kind = WebPageError if response.body.strip() else TruncatedResponseError
        raise kind("the response is empty or a web page", status=response.status)
    return response


# --- records --------------------------------------------------------------------------------------


def page(response: Response) -> Page[list[Record]]:
    """Read one page of a query. The caller compares the sum of all pages with ``total``.

    Source: REST API Developer Guide, "Query", "Query More Results".
    """
    payload = json_object(response)
    records, done = payload.get("records"), payload.get("done")
    total, address = payload.get("totalSize"), payload.get("nextRecordsUrl")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise TruncatedResponseError("a query page without a list of records")
    if not isinstance(done, bool) or not isinstance(total, int):
        raise TruncatedResponseError("a query page that doesn't say how many rows there are")
    if done:
        return Page(_plain_rows(records), None, total)
    if not isinstance(address, str):
        raise TruncatedResponseError("a query page isn't the last one and names no next page")
    following = endpoints.query_more(address)
    if refusal(following):
        raise TruncatedResponseError("a query page names a next page that is no page of a query")
    return Page(_plain_rows(records), following, total)


def _plain_rows(records: list[Record]) -> list[Record]:
    try:
        return [_plain(record) for record in records]
    except RecursionError:
        raise TruncatedResponseError("a record nested deeper than any query can ask for") from None


def _plain(record: Record) -> Record:
    """Return the record without ``attributes``, nested records and child rows included."""
    record.pop("attributes", None)
    for key, value in record.items():
        if type(value) is dict:
            if isinstance(value.get("records"), list):
                record[key] = [_plain(r) if type(r) is dict else r for r in value["records"]]
            else:
                _plain(value)
    return record


def collection(response: Response, asked: int) -> list[Record | None]:
    """Read a Collections response: one entry per id asked for, None where Salesforce shows nothing.

    Source: REST API Developer Guide, "Get Multiple Records with sObject Collections".
    """
    entries = parsed(response)
    if not isinstance(entries, list) or not all(e is None or type(e) is dict for e in entries):
        raise TruncatedResponseError("a Collections response that is no list of records")
    if len(entries) != asked:
        raise TruncatedResponseError(f"asked for {asked} records, the response has {len(entries)}")
    _plain_rows([entry for entry in entries if entry is not None])
    return entries


def records_by_id(response: Response, asked: Sequence[str]) -> dict[str, Record]:
    """Read the records of a Collections response; their order is implied, not promised."""
    rows = [row for row in collection(response, len(asked)) if row is not None]
    by_id = {row["Id"]: row for row in rows if isinstance(row.get("Id"), str)}
    if not by_id.keys() <= set(asked) or len(by_id) < len(rows):
        raise TruncatedResponseError("a Collections response with records that weren't asked for")
    return by_id


# --- several responses in one ---------------------------------------------------------------------


def composite_results(response: Response, asked: int) -> list[tuple[int, Any]]:
    """Read a composite response: (HTTP status, JSON body) per subrequest, in their order."""
    entries = json_object(response).get("compositeResponse")
    if not isinstance(entries, list):
        raise TruncatedResponseError("a composite response without its parts")
    parts: dict[int, tuple[int, Any]] = {}
    for entry in entries:
        match entry:
            case {"httpStatusCode": int(status), "referenceId": str(name)} if _PART.fullmatch(name):
                parts[int(name[1:])] = (status, entry.get("body"))
            case _:
                raise TruncatedResponseError("a composite response with a part that can't be read")
    if sorted(parts) != list(range(asked)) or len(entries) != asked:
        raise TruncatedResponseError("a composite response without some of its parts")
    return [parts[n] for n in range(asked)]


class UnauthorizedPartError(Exception):
    """Report that the session ended between two subrequests of a call; holds that response."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def part(status: int, body: Any) -> Response:
    """Make a composite subrequest's response one that came alone, for the readers above.

    Raises:
        UnauthorizedPartError: the status is 401, which is of the session, not of the subrequest.
    """
    try:
        response = Response(status, {}, orjson.dumps(body))
    except TypeError:
        # What the fallback parser let through (numbers beyond 64 bits) orjson can't write.
        response = Response(status, {}, json.dumps(body).encode())
    if status == HTTPStatus.UNAUTHORIZED:
        raise UnauthorizedPartError(response)
    return response


# --- the org --------------------------------------------------------------------------------------


def description(response: Response) -> Record:
    """Read a describe: a list of named fields, with ``Id`` among them."""
    describe = json_object(response)
    entries = describe.get("fields")
    named = (
        isinstance(describe.get("name"), str)
        and isinstance(entries, list)
        and all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in entries)
    )
    if not named or "Id" not in {entry["name"] for entry in describe["fields"]}:
        raise TruncatedResponseError("a describe without the names of its fields, or without Id")
    return describe


def described(response: Response | SalesforceError) -> Record | SalesforceError:
    """Read a describe out of a composite response, or why there is none."""
    if isinstance(response, SalesforceError):
        return response
    try:
        return description(response)
    except TruncatedResponseError as error:
        return error


def record_counts(response: Response) -> dict[str, int]:
    """Read the row counts by object name; an object that isn't counted is left out."""
    entries, counts = json_object(response).get("sObjects"), dict[str, int]()
    for entry in entries if isinstance(entries, list) else []:
        match entry:
            case {"name": str(name), "count": int(count)}:
                counts[name] = count
    return counts


def versions(response: Response) -> list[str]:
    """Read the API versions that the org serves, as "64.0", oldest first."""
    entries, numbers = parsed(response), list[str]()
    for entry in entries if isinstance(entries, list) else []:
        match entry:
            case {"version": str(version)} if _VERSION.fullmatch(version):
                numbers.append(version)
    return sorted(numbers, key=float)


def usage(response: Response) -> tuple[int, int] | None:
    """Read (calls used, calls allowed) of 24 hours. Source: "Limit Info Header"."""
    calls = _USAGE.search(response.header("Sforce-Limit-Info"))
    return (int(calls[1]), int(calls[2])) if calls else None
