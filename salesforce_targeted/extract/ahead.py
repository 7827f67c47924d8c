"""Ask ahead, with a run's first call, for what a repeat will ask for anyway.

Most of a repeat is waiting: for the describes, then the relations, then the records that they name.
But what is held was named before. So the requests for held records, with the fields of the last
run, leave at once; see ``SentAhead`` in ``api.concurrency`` for when their responses count. What
turns out new is asked for in a second wave, of records and tasks together.

A run that asks for more than a few calls' worth, or for less than everything, asks when it knows.

Source: REST API Developer Guide, "Composite" (25 subrequests, 5 of them queries or Collections).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import pyarrow as pa

from salesforce_targeted.api import endpoints
from salesforce_targeted.api.models import Request
from salesforce_targeted.arrow.id_set import Texts, in_batches, minus
from salesforce_targeted.destination.held_tables import RELATIONS
from salesforce_targeted.extract.id_selection import calls_of, held_now
from salesforce_targeted.extract.known_org import expected_junction
from salesforce_targeted.extract.lessons import readable_before, refused_apis
from salesforce_targeted.extract.relation_refresh import READING
from salesforce_targeted.extract.run import ASKED_FIELDS, CALLS_LEFT, LAG, SLOW_STAMPS, Run
from salesforce_targeted.relations import pages, queries
from salesforce_targeted.retrieval.query import query_all_requests
from salesforce_targeted.settings import Api

# Records of a hundred fields in one composite call: as many as a Collections call brings. The parts
# of a composite are answered one after the other: more of them would be waited for alone.
ROWS_TOGETHER = 2_000
_USUAL_FIELDS = 100
# Calls that may be on the way at once, and whose responses may wait in memory.
MOST_CALLS = 8
# Fewer calls than these are spent one by one, in the order of what matters.
_CALLS_TO_SPARE = 20
# Queries of the first call itself: the first batch of discovery, and a count.
_OPENING_QUERIES = 2


@dataclass(slots=True)
class Ahead:
    """Hold what a run asks for at once.

    Attributes:
        along: Queries that travel with the first call.
        calls: Requests for held records, a list for each call of its own.
        held: Table to the ids of those records.
    """

    along: list[Request]
    calls: list[list[Request]]
    held: dict[str, pa.Array]


def ask_for_held(run: Run, tables: Collection[str]) -> list[Request]:
    """Send what asks for the held records of some tables; return queries for the first call.

    Args:
        tables: Those that the run loads.
    """
    ahead = held_ahead(run, tables)
    run.asked.update({table: [ids] for table, ids in ahead.held.items()})
    run.client.send_ahead(ahead.calls)
    return ahead.along


def held_ahead(run: Run, tables: Collection[str]) -> Ahead:
    """Choose what a run asks for at once."""
    along = _relation_query(run) if RELATIONS in tables else []
    room = run.client.limits.composite_queries - _OPENING_QUERIES
    if room < len(along):
        return Ahead([], [], {})
    relations_alone = Ahead(along, [], {})
    if not may_share(run):
        return relations_alone
    requests, rows, asked = list[Request](), list[int](), dict[str, pa.Array]()
    for table in tables:
        name = run.object_of(table)
        fields = readable_before(run, name, run.state.get(ASKED_FIELDS, {}).get(table, []))
        key = run.held.name(run.settings.id_column)
        if table == RELATIONS or not fields or key not in run.held.column_hints(table):
            continue
        if run.held.count(table) > MOST_CALLS * run.client.limits.ids_per_collection:
            return relations_alone
        held, left_out = held_now(run, table, key)
        if calls_of(run, len(held), len(left_out)) > run.settings.refresh_call_budget:
            continue
        asked[table] = held
        requests += _collections(run, name, fields, held)
        rows += batch_sizes(run, len(held), len(fields))
        queried = query_all_requests(run.client, name, fields, Texts(left_out))
        if len(along) + len(queried) <= room:
            along = along + queried
        else:
            requests += queried
            rows += [ROWS_TOGETHER // 2] * len(queried)
    calls = shared(run, rows)
    if len(calls) > MOST_CALLS:
        return relations_alone
    return Ahead(along, [[requests[n] for n in call] for call in calls], asked)


def ask_for_new(run: Run, named: Mapping[str, pa.Array]) -> None:
    """Send what asks for records that are named and not held, of several tables together.

    Args:
        named: Table to ids.
    """
    requests, rows, asked = list[Request](), list[int](), dict[str, pa.Array]()
    for table, ids in named.items():
        columns = run.columns(table)
        held, left_out = held_now(run, table, columns.key.stored)
        name = run.object_of(table)
        if Api.COLLECTIONS in refused_apis(run, name):
            continue
        if table in run.asked or not len(held):
            asked[table] = new = minus(minus(ids, held), left_out)
            fields = readable_before(run, name, columns.fields) or columns.fields
            requests += _collections(run, name, fields, new)
            rows += batch_sizes(run, len(new), len(fields))
    if is_shared(run, rows):
        run.client.send_ahead([[requests[n] for n in call] for call in shared(run, rows)])
        for table, new in asked.items():
            run.asked.setdefault(table, []).append(new)


def batch_sizes(run: Run, ids: int, fields: int) -> list[int]:
    """Return how many records of usual width each request for some records brings."""
    size, width = run.client.limits.ids_per_collection, max(1.0, fields / _USUAL_FIELDS)
    return [ceil(min(size, ids - start) * width) for start in range(0, ids, size)]


def shared(run: Run, rows: Sequence[int]) -> list[list[int]]:
    """Put requests into calls that bring about as many records each; numbers of requests.

    Args:
        rows: How many records of usual width each request brings.
    """
    most = run.client.limits.composite_queries
    calls: list[list[int]] = []
    for number, more in enumerate(rows):
        for call in calls:
            if len(call) < most and sum(rows[n] for n in call) + more <= ROWS_TOGETHER:
                call.append(number)
                break
        else:
            calls.append([number])
    return calls


def is_shared(run: Run, rows: Sequence[int]) -> bool:
    """Return whether requests for new records are sent together, in fewer calls than one each."""
    return may_share(run) and len(shared(run, rows)) < min(len(rows), MOST_CALLS + 1)


def _collections(run: Run, object_name: str, fields: Sequence[str], ids: pa.Array) -> list[Request]:
    client = run.client
    batches = in_batches(Texts(ids), client.limits.ids_per_collection)
    return [client.collection_request(object_name, batch, fields) for batch in batches]


def may_share(run: Run) -> bool:
    """Return whether the run reads all there is, with calls enough, through Collections."""
    scope = run.scope
    # What the org's day allows is known from the first response on: until then, as it was.
    bounds = [run.client.meter.left, run.state.get(CALLS_LEFT)]
    return (
        scope.complete
        and scope.since is None
        and run.settings.api in (None, Api.COLLECTIONS)
        and all(left is None or left >= _CALLS_TO_SPARE for left in bounds)
    )


def _relation_query(run: Run) -> list[Request]:
    """Return the query for the relations that the run will read, as far as it can be foreseen."""
    scope, cursor, floor = run.scope, run.held_relations.cursor, run.settings.since
    if scope.limit is not None or scope.retry_rejected or READING in run.state:
        return []
    if run.held_relations.wait_to_be_read or SLOW_STAMPS in run.state:
        return []
    junction = expected_junction(run.target, run.state)
    since = floor
    if scope.since is not None:
        since = scope.since
    elif cursor is not None and not scope.full and not run.held_relations.fit_a_page:
        since = cursor - LAG
    if floor is not None and (since is None or since < floor):
        since = floor
    held = run.held.count(RELATIONS)
    if since == floor and pages.pieces_of(held, run.client.limits) > 1:
        return []  # read in ranges
    fields = run.state.get(ASKED_FIELDS, {}).get(RELATIONS, queries.DOCUMENTED_FIELDS)
    statement = queries.rows_statement(junction, fields, queries.where(junction, since))
    return [endpoints.query(run.client.version, statement)]
