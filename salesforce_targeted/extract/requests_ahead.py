"""Ask ahead, with a run's first call, for what a repeat will ask for anyway.

Most of a repeat is waiting: for the describes, then the relations, then the records that they name.
But what is held was named before. So the requests for held records, with the fields of the last
run, leave at once; see ``SentAhead`` in ``api.concurrency`` for when their responses count. What
turns out new is asked for in a second wave, of records and tasks together.

Of more than a few calls' worth the first ones leave so, and the next ones as discovery leaves
places free; as one table's calls come to their end the next one's begin. Records of which none is
held are asked for as they are discovered, where nothing else is read before. What comes is read
while the run waits for others. A run over less than everything asks stage by stage.

Source: REST API Developer Guide, "Composite" (25 subrequests, 5 of them queries or Collections).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import pyarrow as pa

from salesforce_targeted.api import endpoints
from salesforce_targeted.api.authorized_session import CALLS_TO_SPARE
from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.api.models import Request
from salesforce_targeted.arrow.id_set import Texts, minus, union
from salesforce_targeted.destination.table_names import RELATIONS
from salesforce_targeted.relations import pages, queries
from salesforce_targeted.retrieval.planner import Wanted, shared
from salesforce_targeted.retrieval.query import query_all_requests
from salesforce_targeted.retrieval.sobject_collections import RowReader
from salesforce_targeted.settings import Api

from .discovery import Each, no_batch
from .findings import Selection
from .held_relations import SLOW_STAMPS
from .id_selection import calls_of, held_now
from .lessons import limits, readable_before, refused_apis
from .org_changes import expected_junction
from .record_refresh import plan_of
from .record_table import RecordTable
from .relation_refresh import READING
from .run import ASKED_FIELDS, CALLS_LEFT, CALLS_WORTH_A_COUNT, LAG, Run

# Calls that may be on the way at once, and whose responses may wait in memory. With a run's first
# call it is one less: everything else waits for what that one tells.
MOST_CALLS = 8
# Queries of the first call itself: the first batch of discovery, and a count.
_OPENING_QUERIES = 2


@dataclass(slots=True)
class Ahead:
    """Hold what a run asks for at once.

    Attributes:
        along: Queries that travel with the first call.
        calls: Requests for held records, a list for each call of its own.
        held: Table to the ids of those records, as they are cut into requests.
        is_all: Whether they are all of those tables, with what a plain read left out before.
    """

    along: list[Request]
    calls: list[list[Request]]
    held: dict[str, list[pa.Array]]
    is_all: bool = True


def ask_for_held(run: Run, tables: Collection[str]) -> Ahead:
    """Send what asks for held records of the loaded tables; return what was chosen."""
    ahead = held_ahead(run, tables)
    run.asked.update(ahead.held)
    run.client.send_ahead(ahead.calls)
    return ahead


def ask_for_rest(run: Run, ahead: Ahead) -> None:
    """Put off the next calls for what is held, and read early what comes, once columns are known.

    Where all that is held was asked for there is nothing more, and its stages wait for it anyway.
    """
    for name, asked in ahead.held.items():
        table, size = RecordTable(run, name), run.client.limits.ids_per_collection
        if ahead.is_all or isinstance(run.org.describes[table.object_name], SalesforceError):
            continue  # its stage tells what the org does not show
        fields, held = readable_before(table, table.columns.fields), held_now(table)[0]
        if not fields:
            continue
        calls = [[_request(table, ids, fields)] for ids in asked]
        for request, read in _readers(table, calls, asked).items():
            run.client.ahead.read_early(request, read)
        if plan_of(table, len(held)).api is not Api.COLLECTIONS:
            continue  # what is left is asked for in fewer calls
        rest = held[sum(map(len, asked)) :]
        whole = rest[: len(rest) // size * size]  # new ones have room in the last call
        calls, parts = _first_calls(table, whole, fields, size)
        run.client.send_ahead(calls, early=_readers(table, calls, parts), when_idle=True)
        run.asked[name] = [*asked, *parts]


def held_ahead(run: Run, tables: Collection[str]) -> Ahead:
    """Choose what a run asks for at once: all that is held, or of much the first calls' worth."""
    along = _relation_query(run) if RELATIONS in tables else []
    room = run.client.limits.composite_queries - _OPENING_QUERIES - len(along)
    if room < 0:
        return Ahead([], [], {})
    each = [RecordTable(run, name) for name in tables if may_share(run)]
    fields = {table.name: readable for table in each if (readable := _fields_before(table))}
    known, size = [t for t in each if t.name in fields], run.client.limits.ids_per_collection
    numbers = {name: ceil(run.held.count(name) / size) for name in fields}
    are_few = all(number <= MOST_CALLS for number in numbers.values())
    ids, queries, alone = dict[str, pa.Array](), list[Request](), list[list[Request]]()
    for table in known if are_few else known[:1]:
        if not are_few and not _suffice(table, numbers):
            continue
        held, left_out = held_now(table)
        if calls_of(run, len(held), len(left_out)) > run.settings.refresh_call_budget:
            continue
        ids[table.name], name = held, table.object_name
        queried = query_all_requests(run.client, name, fields[table.name], Texts(left_out))
        if len(queries) + len(queried) <= room:
            queries += queried
        else:
            alone += [[query] for query in queried]
    calls, asked = _cut(run, ids, fields)
    if are_few and len(calls) + len(alone) < MOST_CALLS:
        return Ahead([*along, *queries], [*calls, *alone], asked)
    first = next((table for table in known if table.name in ids), None)
    if first is None or not len(ids[first.name]) or not _suffice(first, numbers):
        return Ahead(along, [], {})
    some = ids[first.name][: size * (MOST_CALLS - 1)]
    calls, parts = _first_calls(first, some, fields[first.name], size)
    return Ahead(along, calls, {first.name: parts}, is_all=False)


def _fields_before(table: RecordTable) -> list[str]:
    """Return the fields that held records were asked for last; none to ask for nothing ahead."""
    run, name = table.run, table.name
    key = run.held.name(run.settings.id_column)
    if name == RELATIONS or key not in run.held.column_hints(name) or table.was_read():
        return []
    return readable_before(table, run.state.get(ASKED_FIELDS, {}).get(name, []))


def _suffice(table: RecordTable, numbers: Mapping[str, int]) -> bool:
    """Return whether all of a table will be read in the order of ids, with calls of Collections.

    Args:
        numbers: Table to the calls that what is held of it takes.
    """
    bounds = table.run.client.meter.left, table.run.state.get(CALLS_LEFT)
    left = all(bound is None or bound >= 2 * sum(numbers.values()) for bound in bounds)
    return left and numbers[table.name] <= CALLS_WORTH_A_COUNT and not table.was_cut()


def ask_for_discovered(table: RecordTable, *, reads_relations: bool) -> Each:
    """Return what asks for active records as they are discovered, where none is held yet.

    Only where they are few enough that Collections are quickest, if each has two relations.

    Args:
        reads_relations: Whether those name the records, all of which are read first.
    """
    run, size = table.run, table.run.client.limits.ids_per_collection
    fields, most = readable_before(table, table.columns.fields), run.org.relation_count
    is_first = not reads_relations and may_share(run) and not run.held.count(table.name)
    if not (is_first and fields) or most is None or most > 2 * CALLS_WORTH_A_COUNT * size:
        return no_batch
    parts = run.asked.setdefault(table.name, [])

    def ask(batch: pa.Table) -> None:
        ids = union(batch.column("id"))
        if 0 < len(ids) <= size and len(parts) < MOST_CALLS:
            calls = [[_request(table, ids, fields)]]
            run.client.send_ahead(calls, early=_readers(table, calls, [ids]))
            parts.append(ids)

    return ask


def ask_for_new(first: RecordTable, chosen: Selection, later: Mapping[str, pa.Array]) -> None:
    """Send what asks for records that are named and not held, of several tables together.

    Args:
        chosen: Of the first table.
        later: Others to the ids that are named of them.
    """
    run, new, fields = first.run, dict[str, pa.Array](), dict[str, list[str]]()
    for name, ids in {first.name: chosen.new, **later}.items():
        table = RecordTable(run, name)
        held, left_out = held_now(table)
        if Api.COLLECTIONS in refused_apis(table):
            continue
        if name in run.asked or not len(held):
            new[name] = minus(ids, union(held, left_out, *run.asked.get(name, ())))
            fields[name] = readable_before(table, table.columns.fields) or table.columns.fields
    if is_shared(run, {table: Wanted(len(ids), len(fields[table])) for table, ids in new.items()}):
        calls, asked = _cut(run, new, fields)
        run.client.send_ahead(calls)
        for name, parts in asked.items():
            run.asked.setdefault(name, []).extend(parts)
    elif later and may_share(run) and len(chosen):
        before = plan_of(first, len(chosen)).calls
        for name, ids in later.items():
            before += _send_when_idle(RecordTable(run, name), ids, before)


def _send_when_idle(table: RecordTable, named: pa.Array, before: int) -> int:
    """Send the first requests for a later table as those for the tables before it come to an end.

    Args:
        before: The calls of those tables.

    Returns:
        The calls of this one; 0 where nothing is sent.
    """
    run, fields = table.run, readable_before(table, table.columns.fields)
    if not fields or table.name in run.asked or table.was_read():
        return 0
    held, left_out = held_now(table)
    new = minus(minus(named, held), left_out)
    whole = union(new, held)
    within = calls_of(run, len(whole), len(left_out)) <= run.settings.refresh_call_budget
    ids = whole if within or run.scope.full else new
    plan, left = plan_of(table, len(ids)), run.client.meter.left
    is_scarce = left is not None and left < 2 * (before + plan.calls)
    if is_scarce or plan.api is not Api.COLLECTIONS:
        return 0
    size = limits(table).ids_per_collection
    calls, parts = _first_calls(table, ids, fields, size)
    run.asked[table.name] = parts
    run.client.send_ahead(calls, early=_readers(table, calls, parts), when_idle=True)
    return plan.calls


def _first_calls(
    table: RecordTable, ids: pa.Array, fields: Sequence[str], size: int
) -> tuple[list[list[Request]], list[pa.Array]]:
    """Return the first requests for a table's ids, as its stage sends them, and the ids of each."""
    parts = [ids[start : start + size] for start in range(0, len(ids), size)][:MOST_CALLS]
    return [[_request(table, part, fields)] for part in parts], parts


def _readers(
    table: RecordTable, calls: Sequence[Sequence[Request]], parts: Sequence[pa.Array]
) -> dict[Request, RowReader]:
    """Return what reads the response to each call of one request as the table's stage reads it."""
    return {
        request: RowReader(tuple(ids.to_pylist()), table.columns)
        for (request,), ids in zip(calls, parts, strict=True)
    }


def _request(table: RecordTable, ids: pa.Array, fields: Sequence[str]) -> Request:
    return table.run.client.collection_request(table.object_name, ids.to_pylist(), fields)


def is_shared(run: Run, wanted: Mapping[str, Wanted]) -> bool:
    """Return whether new records are asked for together, in fewer calls than table by table."""
    most = run.client.limits
    alone = sum(ceil(want.ids / most.ids_per_collection) for want in wanted.values())
    return may_share(run) and len(shared(most, wanted)) < min(alone, MOST_CALLS + 1)


def _cut(
    run: Run, ids: Mapping[str, pa.Array], fields: Mapping[str, Sequence[str]]
) -> tuple[list[list[Request]], dict[str, list[pa.Array]]]:
    """Return the requests of each call, and each table's ids as those requests have them."""
    wanted = {table: Wanted(len(ids[table]), len(fields[table])) for table in ids}
    asked: dict[str, list[pa.Array]] = {table: [] for table in ids}
    calls: list[list[Request]] = []
    for call in shared(run.client.limits, wanted):
        calls.append([])
        for name, which in call:
            part = ids[name][which]
            asked[name].append(part)
            calls[-1].append(_request(RecordTable(run, name), part, fields[name]))
    return calls, asked


def may_share(run: Run) -> bool:
    """Return whether the run reads all there is, with calls enough, through Collections."""
    scope = run.scope
    # What the org's day allows is known from the first response on: until then, as it was.
    bounds = [run.client.meter.left, run.state.get(CALLS_LEFT)]
    return (
        scope.complete
        and scope.since is None
        and run.settings.api in (None, Api.COLLECTIONS)
        and all(left is None or left >= CALLS_TO_SPARE for left in bounds)
    )


def _relation_query(run: Run) -> list[Request]:
    """Return the query for the relations that the run will read, as far as it can be foreseen."""
    scope, cursor, floor = run.scope, run.held_relations.cursor, run.settings.since
    if scope.limit is not None or scope.retry_rejected or READING in run.state:
        return []
    if run.held_relations.wait_to_be_read or SLOW_STAMPS in run.state:
        return []
    junction = expected_junction(run.target, run.state)
    since = scope.since
    if since is None and cursor and not scope.full and not run.held_relations.fit_a_page:
        since = cursor - LAG
    since = max(filter(None, (since, floor)), default=None)
    held = run.held.count(RELATIONS)
    if since == floor and pages.pieces_of(held, run.client.limits) > 1:
        return []  # read in ranges
    fields = run.state.get(ASKED_FIELDS, {}).get(RELATIONS, queries.DOCUMENTED_FIELDS)
    statement = queries.rows_statement(junction, fields, queries.where(junction, since))
    return [endpoints.query(run.client.version, statement)]
