"""Fetch records by id through SOQL, as many ids as an address holds to a call.

Sources: REST API Developer Guide, "Query", "QueryAll".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from salesforce_targeted.api import endpoints, soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.concurrency import map_in_order
from salesforce_targeted.api.errors import SalesforceError, is_of_records
from salesforce_targeted.api.models import JsonRows, Request
from salesforce_targeted.arrow.batch import Batch, Rejected
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.from_json import from_json, from_records
from salesforce_targeted.arrow.id_set import Texts, in_batches
from salesforce_targeted.retrieval.bisection import find_failing
from salesforce_targeted.retrieval.results import Answer
from salesforce_targeted.retrieval.sobject_collections import CollectionsReader

Record = dict[str, Any]


def by_query(client: SalesforceClient, ids: pa.Array, columns: Columns) -> Iterator[Answer]:
    """Several statements in flight; one that fails for good is left to Collections."""
    collecting = CollectionsReader(client, columns)

    def ask(some: Sequence[str]) -> list[Answer]:
        try:
            return client.read_twice(lambda: _queried(collecting, some))
        except SalesforceError as error:
            if not is_of_records(error):
                raise
            parts = in_batches(some, client.limits.ids_per_collection)
            return [answer for part in parts for answer in collecting.answers(part, attempts=1)]

    per_call = soql.ids_that_fit(columns.fields, columns.object_name, client.limits)
    for answers in map_in_order(ask, in_batches(Texts(ids), per_call), client.max_in_flight):
        yield from answers


def _queried(collecting: CollectionsReader, ids: Sequence[str]) -> list[Answer]:
    client, columns = collecting.client, collecting.columns
    fields, without = collecting.readable()

    def read(rows: JsonRows) -> Batch:
        return from_json(rows, columns)

    statement = soql.select(fields, columns.object_name, soql.id_in(ids))
    # After a 500 Collections are asked, which find the record of whose making it is.
    pages = list(client.iter_pages(statement, read, attempts_at_500=1))
    found = {id_ for page in pages for id_ in page.table.column(columns.key.name).to_pylist()}
    missed = from_records([], columns), [id_ for id_ in ids if id_ not in found]
    return [*(collecting.isolation.noted((page, []), without) for page in pages), missed]


def query_all_requests(
    client: SalesforceClient, object_name: str, fields: Sequence[str], ids: Sequence[str]
) -> list[Request]:
    """List the requests that :func:`shown_by_query_all` sends for some ids."""
    per_call = soql.ids_that_fit(fields, object_name, client.limits)
    return [
        endpoints.query(
            client.version, soql.select(fields, object_name, soql.id_in(some)), all_rows=True
        )
        for some in in_batches(ids, per_call)
    ]


def shown_by_query_all(
    client: SalesforceClient, ids: Sequence[str], columns: Columns
) -> tuple[dict[str, Record], list[Rejected]]:
    """Read records by id as ``queryAll`` shows them: live, archived, in the recycle bin, merged.

    Returns:
        The records, and those that make the call fail.
    """
    per_call = soql.ids_that_fit(columns.fields, columns.object_name, client.limits)
    records: dict[str, Record] = {}
    rejected: list[Rejected] = []

    def ask(some: Sequence[str]) -> SalesforceError | None:
        statement = soql.select(columns.fields, columns.object_name, soql.id_in(some))
        try:
            records.update((one["Id"], one) for one in client.records(statement, all_rows=True))
        except SalesforceError as error:
            if not is_of_records(error):
                raise
            return error
        return None

    def ask_each(parts: Sequence[Sequence[str]]) -> list[SalesforceError | None]:
        return [ask(part) for part in parts]

    batches = list(in_batches(ids, per_call))
    failures = map_in_order(ask, batches, client.max_in_flight)
    for batch, failure in zip(batches, failures, strict=True):
        if failure is None:
            continue
        bad = find_failing(batch, ask_each, 1) if len(batch) > 1 else [(batch[0], failure)]
        if len(bad) == len(batch) > 1:
            raise failure
        rejected += [Rejected(columns.object_name, id_, "", str(why), "") for id_, why in bad]
    return records, rejected
