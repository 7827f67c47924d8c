"""Carry out a plan: ids become batches of Arrow rows, records rejected, and ids gone.

Rules. Every id asked for comes out exactly once: as a row, as rejected or as gone. Whatever a plain
read does not return is asked for again through ``queryAll``, which shows deleted, merged and
archived records, before it is called gone. The way that fetched a row can't be seen in it.

Sources: REST API Developer Guide, "QueryAll"; see also the three ways, ``by_…``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import (
    BulkJobError,
    QueryError,
    SalesforceError,
    UnavailableError,
    is_of_records,
    is_refused,
)
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.id_set import IdSet, Texts, in_batches, minus, union
from salesforce_targeted.retrieval.bulk import by_bulk
from salesforce_targeted.retrieval.gone_records import last_winners
from salesforce_targeted.retrieval.parts import Lessons
from salesforce_targeted.retrieval.planner import Plan
from salesforce_targeted.retrieval.query import by_query, shown_by_query_all
from salesforce_targeted.retrieval.results import DELETED, HIDDEN, MERGED, Gone, Retrieved
from salesforce_targeted.retrieval.sobject_collections import RecordReader
from salesforce_targeted.settings import Api

_log = logging.getLogger(__name__)

# Told which API failed, how many ids it left, and why; gives the plan for those, or raises that.
Replan = Callable[[Api, int, SalesforceError], Plan]
# Ids that a plain read left out, asked about together: their rows are in memory as Python values.
FOLLOWED_UP = 20_000


def retrieve(
    client: SalesforceClient,
    plan: Plan,
    ids: pa.Array,
    columns: Columns,
    replan: Replan | None = None,
    *,
    apart: Sequence[pa.Array] = (),
    left_out: pa.Array | None = None,
    lessons: Lessons | None = None,
    tell: Callable[[str], None] = _log.info,
) -> Iterator[Retrieved]:
    """Fetch records by id, all columns, the planned way; several calls are in flight.

    Args:
        ids: 18-character ids of one object, as an array of ``id_set``.
        replan: Plans again for what a way that is refused left. None: its error is raised.
        apart: Those that were asked for ahead, as each request has them.
        left_out: Ids that a plain read is known to leave out; ``queryAll`` is asked at once.
        lessons: What the run has learnt of reading this object; more is added.
        tell: Told in a sentence, every so often, that a Bulk job is not complete yet.

    Yields:
        Batches in the order in which they arrive, then what became of those that a plain read did
        not return.
    """
    shown, rejected, lessons = IdSet(), IdSet(), lessons or Lessons()
    reader, left = RecordReader(client, columns, lessons), ids
    while True:
        if plan.api is Api.BULK:
            fetched = by_bulk(reader, plan, left, tell)
        elif plan.api is Api.QUERY:
            fetched = by_query(reader, left)
        else:
            fetched = reader.by_collections(left, apart, composite=plan.api is Api.COMPOSITE)
        try:
            for batch in fetched:
                shown.add(batch.table.column(columns.key.name))
                rejected.update(row.record_id for row in batch.rejected if not row.field)
                if batch.table.num_rows or batch.rejected:
                    yield Retrieved(batch)
            break
        except SalesforceError as error:
            if replan is None or not _may_serve_otherwise(reader, plan.api, error):
                raise
            left, apart = minus(ids, union(shown.ids, rejected.ids)), ()
            plan = replan(plan.api, len(left), error)
    lessons.check()  # what came is loaded, with it or after it
    absent = minus(ids, union(shown.ids, rejected.ids))
    for missing in (ids[:0] if left_out is None else left_out, absent):
        for batch_ids in in_batches(Texts(missing), FOLLOWED_UP):
            yield follow_up(reader, batch_ids, shown)
            lessons.check()


def _may_serve_otherwise(reader: RecordReader, api: Api, error: SalesforceError) -> bool:
    """Return whether another way may serve what one refuses.

    A gateway may let no POST through or answer for one address itself; a right may be Bulk's alone.
    Bulk refuses, too, what REST is asked for in portions.

    Raises:
        SalesforceError: the org is down, or no longer shows the object, which is then not tried by
            each way.
    """
    if isinstance(error, UnavailableError):
        try:
            reader.client.describe(reader.columns.object_name, attempts=1)
        except UnavailableError:
            raise error from None
    elif is_refused(error):
        reader.client.describe(reader.columns.object_name)
    of_bulk = isinstance(error, BulkJobError) or is_of_records(error)
    refused = is_refused(error) or isinstance(error, QueryError | UnavailableError)
    return refused or (api is Api.BULK and of_bulk)


def follow_up(
    reader: RecordReader, ids: Sequence[str], plainly_shown: IdSet | None = None
) -> Retrieved:
    """Ask ``queryAll`` about ids that a plain read left out, and say what became of each.

    Args:
        plainly_shown: Ids of the object that a plain read showed: such a one was never merged away.
    """
    shown, columns = shown_by_query_all(reader, ids), reader.columns
    live, gone = list[str](), list[Gone]()
    for id_ in ids:
        record = shown.records.get(id_)
        if (id_, "") in shown.rejected or id_ in shown.unread:
            continue
        if record is None:
            gone.append(Gone(id_, HIDDEN))
        elif record.get("MasterRecordId"):
            gone.append(Gone(id_, MERGED, record["MasterRecordId"]))
        elif record.get("IsDeleted"):
            gone.append(Gone(id_, DELETED))
        else:
            live.append(id_)
    archived = [id_ for id_ in live if shown.records[id_].get("IsArchived")]
    last = [entry.id for entry in gone if entry.reason != HIDDEN]
    gone = last_winners(reader, gone, shown.records, plainly_shown or IdSet())
    unreadable = reader.lessons.unreadable
    last_rows = shown.batch(last, columns, unreadable) if last else None
    return Retrieved(shown.batch(live, columns, unreadable), last_rows, gone, archived)
