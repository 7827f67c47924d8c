"""Keep, with the load, what a run learnt of how records can be read, for the runs of a day.

An org that refuses Bulk, a field of all records, or all fields together does so in the next run,
too. To find that out takes calls each time, and a run of few calls has no others.

Rules.
1. Fields that no record could be read with are tried again by each run, all in one call: one that
   is mended is back with the next run.
2. Anything else is tried again after a day, or by ``--full``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.api.limits import Limits
from salesforce_targeted.api.models import Request
from salesforce_targeted.arrow.id_set import Texts
from salesforce_targeted.extract.held_relations import SLOW_COUNTS
from salesforce_targeted.extract.record_table import RecordTable
from salesforce_targeted.extract.run import Run
from salesforce_targeted.retrieval.parts import Lessons
from salesforce_targeted.retrieval.sobject_collections import RecordReader
from salesforce_targeted.settings import Api

# In the source's state: object name to each API that refused it, and when that may be tried again.
# A refusal costs a call, and a Bulk job that never ends minutes; tomorrow it may be mended.
_AGAIN_AT = "api_again_at"
# In the source's state: object name to the fields that can't be read, with why, to how many are
# read at a time, how many ids, and until when that counts.
_LESSONS = "lessons"
_UNREADABLE, _PORTION, _UNTIL = "unreadable", "portion", "until"
_IDS_AT_ONCE = "ids_at_once"
_DAY = timedelta(days=1)
_BY_COLLECTIONS = {Api.COLLECTIONS, Api.COMPOSITE}


def recall(table: RecordTable, ids: pa.Array) -> Lessons:
    """Return what this run and those before it learnt of reading an object.

    Args:
        ids: Some of its records; fields that an earlier run could not read are tried on three.
    """
    lessons = table.run.lessons.get(table.object_name) or _of_earlier_runs(table)
    table.run.lessons[table.object_name] = lessons
    if lessons.from_earlier_run and len(ids):
        lessons.from_earlier_run = False
        if lessons.unreadable:
            reader = RecordReader(table.run.client, table.columns, lessons)
            reader.retry_unreadable(Texts(ids))
    return lessons


def note(table: RecordTable) -> None:
    """Keep what the run learnt of reading an object, with the load."""
    run, object_name = table.run, table.object_name
    lessons, kept = run.lessons[object_name], run.state.setdefault(_LESSONS, {})
    if not lessons.unreadable and lessons.portion is lessons.ids_at_once is None:
        kept.pop(object_name, None)
        return
    of_object = kept.setdefault(object_name, {_UNTIL: (run.opened_at + _DAY).isoformat()})
    of_object[_UNREADABLE] = {name: str(why) for name, why in lessons.unreadable.items()}
    of_object[_PORTION] = lessons.portion
    of_object[_IDS_AT_ONCE] = lessons.ids_at_once


def limits(table: RecordTable) -> Limits:
    """Return the limits that calls for an object's records keep, as far as this is known."""
    documented, lessons = table.run.client.limits, table.run.lessons.get(table.object_name)
    at_once = lessons.ids_at_once if lessons else _kept(table).get(_IDS_AT_ONCE)
    if at_once is None:
        return documented
    # A query of as many would take as long.
    per_query = min(at_once, documented.ids_per_query)
    return replace(
        documented,
        ids_per_collection=at_once,
        ids_per_query=per_query,
        rows_per_query_page=per_query,
        composite_queries=1,
    )


def retry_calls(table: RecordTable) -> int:
    """Count the calls in which :func:`recall` tries fields again."""
    return 1 if _kept(table).get(_UNREADABLE) else 0


def readable_before(table: RecordTable, fields: list[str]) -> list[str]:
    """Return the fields that a run will ask for together, as far as earlier ones know; or none."""
    state, name = table.run.state, table.object_name
    if {Api(api) for api in state.get(_AGAIN_AT, {}).get(name, {})} & _BY_COLLECTIONS:
        return []
    kept = state.get(_LESSONS, {}).get(name, {})
    if kept.get(_IDS_AT_ONCE):
        return []
    readable = [name for name in fields if name not in kept.get(_UNREADABLE, {})]
    return [] if len(readable) > (kept.get(_PORTION) or len(readable)) else readable


def refused_apis(table: RecordTable) -> set[Api]:
    """Return the APIs that refused an object lately, and are not tried again yet."""
    run, object_name = table.run, table.object_name
    again_at = run.state.get(_AGAIN_AT, {}).get(object_name, {})
    for api in [api for api, moment in again_at.items() if not _is_ahead(run, moment)]:
        del again_at[api]
    refused = {Api(api) for api in again_at}
    if object_name in run.lessons:
        refused |= run.lessons[object_name].refused
    return refused | _BY_COLLECTIONS if refused & _BY_COLLECTIONS else refused


def note_refused(table: RecordTable, api: Api, *, for_a_day: bool) -> None:
    """Keep, for this run or for the runs of a day, that an API did not serve an object."""
    run, object_name = table.run, table.object_name
    run.lessons[object_name].refused.add(api)
    if not for_a_day:
        return
    again_at = run.state.setdefault(_AGAIN_AT, {}).setdefault(object_name, {})
    again_at[api.value] = (run.opened_at + _DAY).isoformat()


def forget_refused(table: RecordTable) -> None:
    """Forget what refused an object where all did: it is no way of asking that is refused."""
    table.run.state.get(_AGAIN_AT, {}).pop(table.object_name, None)


def note_slow(run: Run, what: str) -> None:
    """Keep, for the runs of a day, what the org can't be asked for: ``SLOW_…``."""
    run.state[what] = (run.opened_at + _DAY).isoformat()


def open_run(run: Run, along: Sequence[Request], *, reads_relations: bool) -> None:
    """Make a run's first call, without a count where that took too long in the last day."""
    run.client.counts = SLOW_COUNTS not in run.state
    tried = run.client.counts
    run.open(along, reads_relations=reads_relations)
    if not tried:
        is_slow(run, SLOW_COUNTS)  # or else the next run tries
    elif not run.client.counts:
        note_slow(run, SLOW_COUNTS)


def is_slow(run: Run, what: str) -> bool:
    """Tell whether asking for it took too long in the last day."""
    if _is_ahead(run, run.state.get(what)):
        return True
    run.state.pop(what, None)
    return False


def _of_earlier_runs(table: RecordTable) -> Lessons:
    run, name, fields = table.run, table.object_name, table.columns.fields
    if not (kept := _kept(table)):
        run.state.get(_LESSONS, {}).pop(name, None)
        return Lessons(warn=run.ledger.warn)
    why_not = kept[_UNREADABLE].items()
    lessons = Lessons(
        {field: SalesforceError(why) for field, why in why_not if field in fields},
        kept[_PORTION],
        kept.get(_IDS_AT_ONCE),
        from_earlier_run=True,
        warn=run.ledger.warn,
    )
    if lessons.portion is not None:
        run.ledger.warn(
            f"{name}: {lessons.portion:,} fields are read at a time and joined by id, for an"
            " earlier run found all of them refused together (--full tries it again)"
        )
    if lessons.ids_at_once is not None:
        run.ledger.warn(
            f"{name}: {lessons.ids_at_once:,} records are read at a time, for an earlier run found"
            " more of them too many for one call (--full tries more again)"
        )
    return lessons


def _kept(table: RecordTable) -> dict[str, Any]:
    """Return what earlier runs learnt of an object, as long as that counts."""
    kept: dict[str, Any] = table.run.state.get(_LESSONS, {}).get(table.object_name, {})
    return kept if _is_ahead(table.run, kept.get(_UNTIL)) else {}


def _is_ahead(run: Run, moment: str | None) -> bool:
    """Return whether a moment up to a day ahead, by the org's clock, is yet to come."""
    if run.scope.full or moment is None:
        return False
    return run.opened_at < datetime.fromisoformat(moment) <= run.opened_at + _DAY
