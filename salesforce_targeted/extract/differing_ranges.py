"""Find where the relations that are held differ in number from those that the org shows.

A count costs a call, however many rows it counts, and five counts travel in one. So ranges of ids
are parted in five until one is small enough to be compared row by row.

Source: REST API Developer Guide, "Composite" (five queries to a billed call).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from salesforce_targeted.api import endpoints, readers
from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.arrow.id_set import minus, union
from salesforce_targeted.destination.table_names import RELATIONS
from salesforce_targeted.extract.run import Run
from salesforce_targeted.relations import queries
from salesforce_targeted.relations.queries import Range


def differing_ranges(run: Run, most: int) -> list[Range]:
    """Find ranges of ids where the org shows another number of settled relations than is held.

    Args:
        most: All ids are one range where there would be more of them: so many calls compare all.
    """
    org, held, findings = run.org, run.held, run.relations
    before, shown = org.settled_before, org.settled_count
    if before is None or shown is None:
        return []
    where = run.held_relations.counting & run.held_relations.stamped("<", before)
    if held.count(RELATIONS, where) - findings.unsettled == shown:
        return []
    known = held.id_array(RELATIONS, run.columns(RELATIONS).key.stored, where)
    ids = minus(minus(known, findings.read_ids.ids), findings.removed_ids.ids)
    ids = union(ids, findings.read_settled.ids)  # the org counts them, too
    size = run.held_relations.per_page
    everything: list[Range] = [(None, None)]
    if not len(ids):
        return everything
    parts = run.client.limits.composite_queries
    # What lies before the first held id and after the last one belongs to the outermost ranges.
    waiting: list[tuple[Range, int, int]] = [((None, None), 0, len(ids))]
    unlike: list[Range] = []
    while waiting:
        if len(waiting) + len(unlike) > most:
            return everything
        (low, high), start, end = waiting.pop()
        if end - start <= size // 2:
            unlike.append((low, high))
            continue
        cuts = [start + (end - start) * n // parts for n in range(1, parts)]
        within = list(pairwise([low, *(ids[cut].as_py() for cut in cuts), high]))
        counts, held_in = _counts(run, within, before), pairwise([start, *cuts, end])
        for bounds, count, (first, last) in zip(within, counts, held_in, strict=True):
            if count != last - first:
                waiting.append((bounds, first, last))
    return unlike


def _counts(run: Run, ranges: Sequence[Range], before: datetime) -> list[int]:
    """Count the settled relations that the org shows in some ranges of ids."""
    client = run.client
    statements = [
        queries.count_statement(run.org.junction, run.floor, before=before, within=span)
        for span in ranges
    ]
    responses = client.composite([endpoints.query(client.version, query) for query in statements])
    return [
        client.count(statement)  # alone, or of rows
        if isinstance(response, SalesforceError)
        else readers.page(response).total
        for statement, response in zip(statements, responses, strict=True)
    ]
