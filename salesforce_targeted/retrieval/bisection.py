"""Read what can be read of records that can't be read together.

A response fails as a whole where one record, or one field, can't be read. What is to blame is
looked for in ever smaller parts, all else is read, and what is gone is blamed for nothing.

Rules.
1. Only what can be of a record's making is looked into: a refused or unreadable response and a
   500, once they stayed. An outage, a spent day or a lost session are not.
2. A part that fails is read again in five: its ids, then the fields of one record. Five parts
   travel in one billed call, and what responds is kept, so that runs of few calls come further.
3. With the fields of one record goes its key alone. It tells whether the record is there: what is
   gone stays gone, and a record whose key can't be read is rejected whole.
4. Where none of the first five brings a record, the keys say that some are there, and the fields
   that several of those can't be read with are left out for all, and rejected once.
5. Where all fields that can be read are refused together, so many of them are read at a time as
   the org takes, and joined by the id; at once where the org says that they are too many. A record
   that changes meanwhile is read again.
6. A refusal that names fields costs one more call: they are left out for all at once.
7. Where nothing responds the error is the org's and not a record's: it is raised.

So one record among 2,000 costs six calls, and one field of it, or of all records, eight.

Sources: REST API Developer Guide, "Composite" (five Collections or queries to a call), "Status
Codes and Error Responses"; estuary PR 2519 (QUERY_TOO_COMPLICATED above some number of fields).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from math import ceil

from salesforce_targeted.api.errors import (
    QuotaExceededError,
    SalesforceError,
    TruncatedResponseError,
)
from salesforce_targeted.api.models import Record
from salesforce_targeted.arrow.id_set import in_batches
from salesforce_targeted.retrieval.parts import Lessons, Part, Read, Readable, sample_ids

# A 500 is asked for once more, not four times: one that stays is of a record's making, and the
# calls that find the record are to stay few.
ATTEMPTS = 2
# So many calls for keys without any response that can be read say that no record is to blame.
_HOPELESS_CALLS = 2
# A record that changes between two portions of its fields is read so often, ever fewer at a time.
_READINGS = 4
_STAMP = "SystemModstamp"
# No record is to blame for it: that is not searched for. Source: estuary PR 2519.
_TOO_MANY_FIELDS = "QUERY_TOO_COMPLICATED"
# Without these a deleted record can't be told from one that is there.
_TELLING = {_STAMP, "IsDeleted", "IsArchived", "MasterRecordId"}
# Salesforce names one field a response; more than a handful of them are searched for.
_NAMED_FIELDS = 5
# Source: recorded responses of GET query and POST composite/sobjects.
_NO_SUCH_FIELD = re.compile(r"No such column '(\w+)'")


def in_portions(read: Read, lessons: Lessons) -> Read:
    """Make a reader that asks for no more fields at a time than the org takes, and joins by id."""

    def whole(part: Part) -> dict[str, Record] | SalesforceError:
        """Read a part in portions, each with the stamp; where stamps differ, the record again."""
        stamp = [name for name in part.fields if name == _STAMP]
        names = [name for name in part.fields if name != _STAMP]
        portions = list(in_batches(names, max(1, (lessons.portion or len(names)) - 2)))
        records: dict[str, Record] = {}
        left = part.ids
        for _ in range(_READINGS):
            shown: list[dict[str, Record]] = []
            for response in read([Part(left, [*stamp, *portion]) for portion in portions]):
                if isinstance(response, SalesforceError):
                    return response
                shown.append(response)
            torn = []
            for id_ in left:
                pieces = [rows[id_] for rows in shown if id_ in rows]
                if 0 < len(pieces) < len(shown) or len({piece.get(_STAMP) for piece in pieces}) > 1:
                    torn.append(id_)
                elif pieces:
                    records[id_] = {k: v for piece in pieces for k, v in piece.items()}
            if not torn:
                return records
            left = torn
        return TruncatedResponseError("records change faster than their fields can be read")

    def read_parts(parts: Sequence[Part]) -> list[dict[str, Record] | SalesforceError]:
        plain = [part for part in parts if not lessons.apart(part.fields)]
        responses = iter(read(plain) if plain else [])
        return [whole(part) if lessons.apart(part.fields) else next(responses) for part in parts]

    return read_parts


def read_in_portions(read: Read, part: Part, lessons: Lessons) -> Readable:
    """Read a part of more fields than the org takes at a time, or raise what that failed with."""
    (response,) = in_portions(read, lessons)([part])
    if isinstance(response, SalesforceError):
        raise response
    return Readable(response)


def isolate(
    read: Read, ids: Sequence[str], fields: Sequence[str], lessons: Lessons, error: SalesforceError
) -> Readable:
    """Read what can be read of ids that can't be read together.

    Args:
        ids: As many as one response may hold.
        lessons: Fields that are known to be unreadable are left out; what is learnt is added.
        error: What reading all of them failed with.

    Raises:
        SalesforceError: the one given, where nothing can be read.
    """
    read = in_portions(read, lessons)
    for _ in range(_NAMED_FIELDS):
        if not (named := _named(error, lessons.readable(fields))):
            break
        lessons.unreadable = {**lessons.unreadable, **dict.fromkeys(named, error)}
        (response,) = read([Part(ids, [n for n in lessons.readable(fields) if n != "Id"])])
        if not isinstance(response, SalesforceError):
            return Readable(response)
        error = response
    whole = Part(ids, [name for name in lessons.readable(fields) if name != "Id"])
    too_many = error.error_code == _TOO_MANY_FIELDS
    if too_many and (rows := _learn_portion(read, whole, lessons, error)):
        return rows
    if len(ids) == 1:  # what can't be read is its own, not every record's
        rows = _search(read, whole.with_key()) or Readable()
        if rows.records and not rows.rejected:
            _learn_portion(read, whole, lessons, error)
        return rows
    if (rows := _search(read, whole.split(), gives_up=True)) is not None:
        return rows
    present = _some_present(read, ids, error)
    if len(present) > 1:
        return _without_unreadable(read, present, whole, lessons, error)
    return _search(read, whole.split()) or Readable()


def _some_present(read: Read, ids: Sequence[str], error: SalesforceError) -> list[str]:
    """List ids whose key can be read, as soon as any come.

    Raises:
        SalesforceError: the one given, where nothing responds.
    """
    waiting, calls, responded, present = [Part(ids).split()], 0, False, set[str]()
    while waiting:
        parts, calls = waiting.pop(), calls + 1
        for part, rows in zip(parts, read(parts), strict=True):
            if not isinstance(rows, SalesforceError):
                responded, present = True, present.union(rows)
            elif part.ids[1:]:
                waiting.append(part.split())
        if present:
            break
        if not responded and (calls == _HOPELESS_CALLS or not waiting):
            raise error
    return [id_ for id_ in ids if id_ in present]


def _named(error: SalesforceError, fields: Sequence[str]) -> list[str]:
    """List those of some fields that a refusal says the object does not have, or not for us."""
    if error.error_code != "INVALID_FIELD":
        return []
    names = {*error.fields, *_NO_SUCH_FIELD.findall(error.message)}
    named = {name.casefold() for name in names}
    return [name for name in fields if name.casefold() in named and name != "Id"]


def _search(read: Read, parts: Sequence[Part], *, gives_up: bool = False) -> Readable | None:
    """Read parts, and those that fail in ever smaller ones; what fails alone is rejected.

    Returns:
        What was read, until the calls ended; None where it gives up, for no part brought a record.

    Raises:
        QuotaExceededError: they end before anything was read.
    """
    records: dict[str, Record] = {}
    rejected: dict[tuple[str, str], SalesforceError] = {}
    # Ids whose key was asked for alone: of what is not there, nothing is to blame.
    known = {part.ids[0] for part in parts if not part.fields}
    absent: set[str] = set()
    waiting = [parts]
    while waiting:
        unsettled = [
            part
            for part in waiting.pop()  # but for one that is not there, or whose key can't be read
            if len(part.ids) > 1 or not (part.ids[0] in absent or (part.ids[0], "") in rejected)
        ]
        try:
            responses = read(unsettled)
        except QuotaExceededError as error:
            unread = {id_ for parts in (unsettled, *waiting) for part in parts for id_ in part.ids}
            return _whole_rows(Readable(records, rejected, unread, error), unread | absent)
        for part, response in zip(unsettled, responses, strict=True):
            if not isinstance(response, SalesforceError):
                if len(part.ids) == 1 and not response:
                    absent.add(part.ids[0])  # though other fields may have come: half a row is none
                for id_, record in response.items():
                    records.setdefault(id_, {}).update(record)
            elif len(part.ids) == 1 and part.fields and part.ids[0] not in known:
                known.add(part.ids[0])
                waiting.append(part.with_key())
            elif smaller := part.split():
                waiting.append(smaller)
            else:
                rejected[part.ids[0], "".join(part.fields)] = response
        if gives_up and not records and (waiting or rejected):
            return None
    return _whole_rows(Readable(records, rejected), absent)


def _whole_rows(rows: Readable, without: Collection[str]) -> Readable:
    """Return what was read without some ids, and no row of a record that is rejected whole.

    Raises:
        QuotaExceededError: the calls ended before anything was read.
    """
    whole = {id_ for id_, name in rows.rejected if not name}
    rows.records = {
        id_: row for id_, row in rows.records.items() if id_ not in without and id_ not in whole
    }
    rows.rejected = {
        (id_, name): why
        for (id_, name), why in rows.rejected.items()
        if id_ not in without and (not name or id_ not in whole)
    }
    if rows.stopped is not None and not rows.records:
        raise rows.stopped
    return rows


def _without_unreadable(
    read: Read, present: Sequence[str], whole: Part, lessons: Lessons, error: SalesforceError
) -> Readable:
    """Leave out the fields that neither of up to three records can be read with, and read the rest.

    Raises:
        SalesforceError: the one given, where that would be all fields.
    """
    (ids, fields), before = whole, lessons.portion
    first, *other_ids = sample_ids(present)
    unknown, rows = [name for name in fields if name not in _TELLING], None
    try:
        rows = _search(read, [Part([first], fields)]) or Readable()
        suspects = {key: why for key, why in rows.rejected.items() if key[1]}
        unknown = [name for _, name in suspects]
        rest = [name for name in fields if name not in unknown]
        trials = [Part([id_], [name]) for name in unknown for id_ in other_ids]
        together, *responses = read([Part([first], rest), *trials])
    except QuotaExceededError as spent:
        # The next run reads without them, and its first call tells which of them it can read.
        lessons.unreadable = {**lessons.unreadable, **dict.fromkeys(unknown, spent)}
        if rows is not None and not rows.rejected:  # but together: it reads half of them at a time
            lessons.portion = ceil((before or len(fields)) / 2)
        raise
    failed = [isinstance(response, SalesforceError) for response in responses]
    bad = {
        name: why
        for number, ((_, name), why) in enumerate(suspects.items())
        if all(failed[number * len(other_ids) : (number + 1) * len(other_ids)])
    }
    if len(bad) == len(fields):
        raise error
    lessons.unreadable = {**lessons.unreadable, **bad}
    if isinstance(together, SalesforceError):
        _learn_portion(read, Part([first], rest), lessons, together)
        if lessons.portion == before:  # or each record would be read alone
            raise error
    left = Part(ids, lessons.readable(fields))
    return _search(read, [left] if len(present) == len(ids) else left.split()) or Readable()


def _learn_portion(
    read: Read, part: Part, lessons: Lessons, error: SalesforceError
) -> Readable | None:
    """Learn how many fields the org takes at a time; return what was read of the part so.

    Half as many are tried until all portions respond.
    """
    before, size = lessons.portion, lessons.portion or len(part.fields)
    while size > 1:
        lessons.portion = size = ceil(size / 2)
        (response,) = read([part])
        if not isinstance(response, SalesforceError):
            lessons.warn(
                f"{error.what} {len(part.fields):,} fields are refused together, so that {size:,}"
                " are read at a time and joined by id. To spend fewer calls, name the ones to read"
                " in fields."
            )
            return Readable(response)
    lessons.portion = before
    return None
