"""Cut the records of a response into lines, unread, for a faster reader of JSON.

Rule: what isn't written the way Salesforce writes it is left to the readers of readers.py, which
take any JSON; the same rows come of both.
"""

import re
from contextlib import suppress

from salesforce_targeted.api import readers
from salesforce_targeted.api.errors import TruncatedResponseError
from salesforce_targeted.api.models import JsonRows, Page, Response

# How Salesforce writes a list of records. A quote inside a text is escaped, so neither mark can
# stand in one.
_FIRST_RECORD = re.compile(rb'\[((?:null,)*)(?=\{"attributes":)')
_NEXT_RECORD = re.compile(rb'\},((?:null,)*)(?=\{"attributes":)')
_LAST_RECORD = re.compile(rb"\}((?:,null)*)\]\Z")
_RECORDS = b'"records":['


def raw_page(response: Response) -> Page[JsonRows]:
    """Read one page of a query as ``readers.page``, and leave its records to a faster reader."""
    body = response.body
    at = body.find(_RECORDS)
    if at > 0 and body.endswith(b"]}"):
        lines, nulls = json_lines(body[at + len(_RECORDS) - 1 : -1]) or (None, 0)
        if lines is not None and not nulls:
            envelope = Response(response.status, response.headers, body[:at] + _RECORDS + b"]}")
            # It only parses if the list found is the page's own, and nothing comes after it.
            with suppress(TruncatedResponseError):
                head = readers.page(envelope)
                rows = JsonRows(lines, lambda: readers.page(response).records)
                return Page(rows, head.next, head.total)
    page = readers.page(response)
    return Page(JsonRows(None, lambda: page.records), page.next, page.total)


def raw_collection(response: Response, asked: int) -> JsonRows:
    """Leave the entries of a Collections response to a faster reader; see ``readers``."""
    lines, nulls = json_lines(response.body) or (None, 0)
    if lines is not None and asked != nulls + lines.count(b"\n") + bool(lines):
        # Spaces between some of the records, or not as many as asked for: no line for each.
        lines = None
    return JsonRows(lines, lambda: readers.collection(response, asked))


def json_lines(array: bytes) -> tuple[bytes, int] | None:
    """Write a JSON array of records as one record a line; also count its null entries.

    None where it is not written the way Salesforce writes it: without spaces between the records,
    each of which begins with its ``attributes``.
    """
    if array == b"[]":
        return b"", 0
    first, last = _FIRST_RECORD.match(array), _LAST_RECORD.search(array, max(0, len(array) - 2**16))
    if first is None or last is None or b"\n" in array:  # in a text a line break is escaped
        return None
    inner = array[first.end() : last.start() + 1]
    nulls = (first[1] + last[1]).count(b"null")
    if b',null,{"attributes":' not in inner:
        return inner.replace(b'},{"attributes":', b'}\n{"attributes":'), nulls
    nulls += sum(gap.count(b"null") for gap in _NEXT_RECORD.findall(inner))
    return _NEXT_RECORD.sub(b"}\n", inner), nulls
