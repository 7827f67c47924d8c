"""Rows over REST: query, queryAll, queryMore, sObject Collections, one record by its id.

Source: REST API Developer Guide, "Query", "QueryAll", "Query More Results", "Get Multiple Records
with sObject Collections".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from salesforce_targeted.demo_org.http.exchange import JSON, Reply, Request, reply
from salesforce_targeted.demo_org.http.records import JsonWriter
from salesforce_targeted.demo_org.http.templates import json_records
from salesforce_targeted.demo_org.ids import Numbering, normal
from salesforce_targeted.demo_org.refusals import (
    Refused,
    malformed,
    not_found,
    timed_out,
    too_complicated,
)
from salesforce_targeted.demo_org.soql import parser
from salesforce_targeted.demo_org.soql.conditions import Path, resolve
from salesforce_targeted.demo_org.soql.evaluation import Selection, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from salesforce_targeted.demo_org.storage.state import OrgState
    from salesforce_targeted.demo_org.storage.tables import Table

MAX_COLLECTION = 2_000
CURSOR_LIFE = timedelta(days=2)
_BATCH_SIZE = re.compile(r"batchSize\s*=\s*(\d+)", re.IGNORECASE)
_CURSORS = Numbering("01g")


@dataclass
class Cursor:
    """A result set that more pages are asked of."""

    selection: Selection
    version: str
    all_rows: bool
    created_at: datetime
    token: str = ""  # the session that made it
    shift: int = 0  # rows that each page repeats (or, negative, leaves out), see ``Moves``


def query(org: OrgState, request: Request, version: str, *, all_rows: bool) -> Reply:
    """``GET query?q=`` and ``GET queryAll?q=``: the first page."""
    text = request.params.get("q")
    if text is None:
        raise malformed("SOQL statements cannot be empty or null")
    statement = parser.parse(text)
    aggregates = bool(statement.group_by or statement.aggregates)
    if aggregates:
        _aggregate_in_time(org)
    if any(
        re.search(rf"\bFROM {name} WHERE .*SystemModstamp", text) for name in org.traits.slow_stamps
    ):
        raise timed_out()
    result = run(org, statement, all_rows=all_rows)
    if result.selection is None:
        records = result.groups or []
        body = {"totalSize": result.total, "done": True, "records": records}
        return reply(body, rows=len(records), seconds=org.traits.aggregate_seconds)
    _few_fields(org, result.selection.paths)
    cursor = Cursor(result.selection, version, all_rows, org.now, request.token)
    return _page(org, request, cursor, None, 0)


def _aggregate_in_time(org: OrgState) -> None:
    """Count an aggregate query; refuse it once the org runs no more of them in time."""
    left = org.traits.aggregates_left
    if left is not None:
        if left < 1:
            raise timed_out(org.traits.aggregates_status)
        org.traits.aggregates_left = left - 1


def _few_fields(org: OrgState, paths: Sequence[Path]) -> None:
    if org.traits.most_fields is not None and len(paths) > org.traits.most_fields:
        raise too_complicated()


def query_more(org: OrgState, request: Request, locator: str) -> Reply:
    """``GET query/<locator>``: the page that starts at the locator's offset."""
    parts = re.fullmatch(r"([0-9A-Za-z]{18})-(\d+)", locator)
    cursor: Cursor | None = org.cursors.get(parts[1]) if parts else None
    if parts is None or cursor is None:
        raise Refused(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    if org.traits.locators_of_session and cursor.token != request.token:
        raise Refused(401, "INVALID_SESSION_ID", "Session expired or invalid")
    if org.now - cursor.created_at > CURSOR_LIFE:
        raise Refused(400, "INVALID_QUERY_LOCATOR", "invalid query locator: QUERY_LOCATOR_EXPIRED")
    offset = int(parts[2])
    if offset >= len(cursor.selection.ordinals):
        message = "invalid query locator: LOCATOR_LOCATION_EXCEEDS_SIZE"
        raise Refused(400, "INVALID_QUERY_LOCATOR", message)
    return _page(org, request, cursor, parts[1], offset)


def _page(
    org: OrgState, request: Request, cursor: Cursor, cursor_id: str | None, offset: int
) -> Reply:  # fmt: skip
    asked = _BATCH_SIZE.search(request.headers.get("sforce-query-options", ""))
    size = min(org.page_rows, max(200, min(2000, int(asked[1]))) if asked else 2000)
    selection, total = cursor.selection, len(cursor.selection.ordinals)
    table = selection.table
    if cursor_id is None and offset + size < total and org.page_shifts.get(table.name):
        cursor.shift = org.page_shifts[table.name].pop(0)
    start = max(0, offset - offset // size * cursor.shift)
    ordinals = selection.ordinals[start : start + size]
    if offset + size >= total:
        ordinals = selection.ordinals[start : start + total - offset]
    records = _records(org, table, selection.paths, cursor.version, [
        ordinal for ordinal in ordinals if _still_there(org, table, ordinal, cursor.all_rows)
    ])  # fmt: skip
    head = f'{{"totalSize":{total},"done":{"false" if offset + size < total else "true"}'
    if offset + size < total:
        if cursor_id is None:
            cursor_id = _CURSORS.id_of(len(org.cursors))
            org.cursors[cursor_id] = cursor
        url = f"/services/data/v{cursor.version}/query/{cursor_id}-{offset + size}"
        head += f',"nextRecordsUrl":"{url}"'
    body = head.encode() + b',"records":[' + b",".join(records) + b"]}"
    return Reply(200, body, JSON, rows=len(ordinals), columns=len(selection.paths))


def _still_there(org: OrgState, table: Table, ordinal: int, all_rows: bool) -> bool:
    # A cursor is a snapshot of ids: a row that went away since then drops out of later pages.
    if ordinal not in table.changed and ordinal not in table.hidden:
        return ordinal in table
    row = table.row(ordinal)
    return row is not None and org.shows(table, ordinal, row, all_rows=all_rows)


def _records(
    org: OrgState, table: Table, paths: Sequence[Path], version: str, ordinals: Sequence[int]
) -> list[bytes]:  # fmt: skip
    org.poisons.check(table.name, (path.names[0] for path in paths), ordinals)
    return list(json_records(JsonWriter(org, table, paths, version), ordinals))


# -------------------------------------------------------------------- sObject Collections
def collections(org: OrgState, request: Request, version: str, name: str) -> Reply:
    """``POST composite/sobjects/<Object>`` (or GET): records in the order of the ids asked for."""
    table = org.object(name)
    if table is None:
        raise not_found()
    if request.method == "GET":
        ids: Any = [i for i in request.params.get("ids", "").split(",") if i]
        fields: Any = [f for f in request.params.get("fields", "").split(",") if f]
    else:
        ids, fields = _body_lists(request)
    if not ids or not fields:
        missing = "ids" if not ids else "fields"
        raise Refused(400, "REQUIRED_FIELD_MISSING", f"The {missing} list is required")
    if len(ids) > MAX_COLLECTION:
        message = (
            f"record limit reached. cannot submit more than {MAX_COLLECTION} records into this call"
        )
        raise Refused(400, "EXCEEDED_ID_LIMIT", message)
    paths = []
    for field_name in fields:
        if "." in str(field_name):
            raise Refused(400, "INVALID_FIELD", f"No such column '{field_name}' on {table.name}")
        paths.append(resolve(org, table, str(field_name)))
    if not any(path.names == ("Id",) for path in paths):
        paths.append(resolve(org, table, "Id"))
    paths = list({path.names: path for path in paths}.values())
    _few_fields(org, paths)
    ordinals = [_retrievable(org, table, str(id_)) for id_ in ids]
    wanted = [ordinal for ordinal in ordinals if ordinal is not None]
    records = iter(_records(org, table, paths, version, wanted))
    body = b",".join(b"null" if ordinal is None else next(records) for ordinal in ordinals)
    return Reply(200, b"[" + body + b"]", JSON, rows=len(ordinals), columns=len(paths))


def _body_lists(request: Request) -> tuple[Any, Any]:
    try:
        body = orjson.loads(request.body)
        ids, fields = body["ids"], body["fields"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise Refused(400, "JSON_PARSER_ERROR", "ids and fields are required") from None
    if not isinstance(ids, list) or not isinstance(fields, list):
        raise Refused(400, "JSON_PARSER_ERROR", "ids and fields must be lists")
    return ids, fields


def _retrievable(org: OrgState, table: Table, id_: str) -> int | None:
    full = normal(id_)
    if full is not None and not full.startswith(table.numbering.prefix):
        known = any(full.startswith(other.numbering.prefix) for other in org.tables.values())
        if known:
            raise Refused(
                400, "MALFORMED_ID", f"{table.name} ID: id value of incorrect type: {id_}"
            )
    ordinal = org.find(table, id_)
    if ordinal is None:
        return None
    if ordinal not in table.changed and ordinal not in table.hidden:
        return ordinal
    row = table.row(ordinal)
    shown = row is not None and org.shows(table, ordinal, row, all_rows=False)
    return ordinal if shown else None


def retrieve(org: OrgState, request: Request, version: str, name: str, id_: str) -> Reply:
    """``GET sobjects/<Object>/<id>?fields=``: one record."""
    table = org.object(name)
    if table is None:
        raise not_found()
    ordinal = _retrievable(org, table, id_)
    if ordinal is None:
        raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
    names = request.params.get("fields")
    wanted = names.split(",") if names else list(table.visible_entries())
    paths = [resolve(org, table, field_name) for field_name in wanted]
    org.poisons.check(table.name, (path.names[0] for path in paths), [ordinal])
    row = table.row(ordinal)
    assert row is not None
    body = JsonWriter(org, table, paths, version).record(row)
    return Reply(200, body, JSON, rows=1, columns=len(paths))
