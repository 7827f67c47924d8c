"""Choose which relations a run reads, and which of those that are held it compares.

A count costs a call, however many rows it counts, and five counts travel in one. So where numbers
differ, ranges of ids are parted in five until one is small enough to be compared row by row.

Source: REST API Developer Guide, "Composite" (five queries to a billed call).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from math import ceil

from salesforce_targeted.api import endpoints, readers
from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.arrow.id_set import minus, union
from salesforce_targeted.destination.table_names import RELATIONS
from salesforce_targeted.extract import relation_refresh
from salesforce_targeted.extract.discovery import discover
from salesforce_targeted.extract.held_relations import SLOW_STAMPS
from salesforce_targeted.extract.lessons import is_slow
from salesforce_targeted.extract.record_table import RecordTable
from salesforce_targeted.extract.run import Run
from salesforce_targeted.relations import pages, queries
from salesforce_targeted.relations.queries import Range

# Relations that vanished are asked for by id, and then their tasks, why.
_CALLS_TO_MARK = 2


def relations_since(run: Run, modified: datetime | None) -> datetime | None:
    """Return the moment from which relations are read; None for all of them.

    Args:
        modified: Up to when they were read, less what may come late.
    """
    floor = run.floor
    # A reading that takes several runs is gone on with by whichever may.
    begun = run.state.get(relation_refresh.READING, {}) if run.scope.complete else {}
    if run.org.filters_by_stamp and begun.get("since"):
        moment = datetime.fromisoformat(begun["since"])
        return moment if floor is None else max(moment, floor)
    # After a DROP in a console they all wait to be read, though there is a cursor.
    refills = run.held_relations.wait_to_be_read or not run.held.count(RELATIONS)
    whole = begun or (run.scope.complete and refills)
    # One that a run which was cut has read waits for the records, or none of them would ever come.
    restarts = run.scope.full and not RecordTable(run, RELATIONS).was_read()
    if not run.org.filters_by_stamp or restarts or run.fits_one_page or whole:
        return floor
    if comparison_is_due(run) or is_slow(run, SLOW_STAMPS):
        return floor
    since = run.scope.since or modified
    return since if floor is None or (since and since > floor) else floor


def comparison_is_due(run: Run) -> bool:
    """Return whether all relations are to be read, for the last time is a whole pass ago.

    Or those of then are not all that count now, for the setting ``since`` names an earlier day; or
    a field is shown that was not; or the cursor tells nothing. It waits for a run that has calls
    enough to do so.
    """
    if not (run.scope.complete and run.scope.discovers) or relation_refresh.READING in run.state:
        return False
    before, since = run.state.get(relation_refresh.COMPARED_AT), relation_refresh.counted_since(run)
    fewer = since < run.state.get(relation_refresh.COMPARED_SINCE, since)
    fields = run.columns(RELATIONS).fields
    more = not {*fields} <= {*run.state.get(relation_refresh.READ_FIELDS, fields)}
    ahead = run.is_ahead(run.held_relations.cursor)
    due = before is None or fewer or more or ahead or run.is_due(before)
    return due and can_compare(run, run.held.count(RELATIONS, run.held_relations.counting))


def can_compare(run: Run, relations: int) -> bool:
    """Return whether comparing all relations leaves half of the calls to the rest of the run."""
    left = run.client.meter.left
    number = ceil(relations / run.held_relations.per_page)
    if left is None or number <= max(1, left // 2):
        return True
    run.ledger.warn(
        f"To compare all relations is due and takes {number:,} calls of the {left:,} that are left:"
        " it waits for a run that may spend more"
    )
    return False


def comparison_calls(run: Run) -> int:
    """Foresee the calls of the next run's comparison, as far as counts tell."""
    held, org, before = run.held, run.org, run.held_relations
    live = held.count(RELATIONS, before.counting)
    if run.fits_one_page:
        return _CALLS_TO_MARK if org.relation_count is not None and org.relation_count < live else 0
    if comparison_is_due(run) or org.settled_before is None or org.settled_count is None:
        return 0
    settled = held.count(RELATIONS, before.counting & before.stamped("<", org.settled_before))
    suspects = sum(who.startswith(org.key_prefix) for who in before.counts.unlike(discover(run)))
    calls = ceil(suspects / pages.targets_per_call(org.junction))
    return calls + _CALLS_TO_MARK if settled > org.settled_count else 0


def unread_count(run: Run) -> int:
    """Count the relations that this run could not read and that are not held: no count has them."""
    unread, key = run.relations.unread.ids, run.columns(RELATIONS).key.stored
    held = (
        run.held.by_ids(RELATIONS, key, unread.to_pylist(), ["removed_at"]) if len(unread) else ()
    )
    return len(unread) - sum(removed_at is None for _, removed_at in held)


def differing_ranges(run: Run, most: int) -> Iterator[Range]:
    """Yield ranges of ids where the org shows another number of settled relations than is held.

    Args:
        most: All ids are one range where there would be more of them: so many calls compare all.
    """
    org, held, findings = run.org, run.held, run.relations
    before, shown = org.settled_before, org.settled_count
    if before is None or shown is None:
        return
    key, stored = run.columns(RELATIONS).key.stored, ["removed_at", held.name("SystemModstamp")]
    where = run.held_relations.counting & run.held_relations.stamped("<", before)
    # Edited or removed since, less those that are still that old or came late.
    touched = union(findings.read_ids.ids, findings.removed_ids.ids)
    were = held.by_ids(RELATIONS, key, touched.to_pylist(), stored)
    settled = held.count(RELATIONS, where) + len(findings.read_settled)
    settled -= sum(not removed_at and at is not None and at < before for _, removed_at, at in were)
    if settled in {shown, shown - unread_count(run)}:
        return
    ids = minus(held.id_array(RELATIONS, key, where), touched)
    ids = union(ids, findings.read_settled.ids)  # the org counts them, too
    size = run.held_relations.per_page
    parts = run.client.limits.composite_queries
    # What lies before the first held id and after the last one belongs to the outermost ranges.
    waiting: list[tuple[Range, int, int]] = [((None, None), 0, len(ids))]
    unlike = 0
    while waiting:
        if len(waiting) + unlike > most or not len(ids):
            yield None, None
            return
        (low, high), start, end = waiting.pop()
        if end - start <= size:  # parting it once more costs as much as a page
            unlike += 1
            yield low, high
            continue
        cuts = [start + (end - start) * n // parts for n in range(1, parts)]
        within = list(pairwise([low, *(ids[cut].as_py() for cut in cuts), high]))
        counts, held_in = _counts(run, within, before), pairwise([start, *cuts, end])
        for bounds, count, (first, last) in zip(within, counts, held_in, strict=True):
            if count != last - first:
                waiting.append((bounds, first, last))


def _counts(run: Run, ranges: Sequence[Range], before: datetime) -> list[int]:
    """Count the settled relations that the org shows in some ranges of ids."""
    client = run.client
    statements = [
        queries.count_statement(run.org.junction, run.floor, before=before, within=span)
        for span in ranges
    ]
    counting = map(client.counting, statements)
    responses = client.composite([endpoints.query(client.version, query) for query in counting])
    return [
        client.count(statement)  # alone, or of rows
        if isinstance(response, SalesforceError)
        else readers.page(response).total
        for statement, response in zip(statements, responses, strict=True)
    ]
