"""How the tests of retrieval ask: every way to fetch, and what came of the ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa
import pytest

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.limits import DOCUMENTED, TINY, Limits
from salesforce_targeted.arrow.columns import Columns, columns
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.retrieval import retrieve as retrieval
from salesforce_targeted.retrieval.planner import Plan, cheapest
from salesforce_targeted.retrieval.results import Gone, Retrieved
from salesforce_targeted.settings import Api
from tests.support.fields import normalize

BULK_SCAN = "bulk_scan"
WAYS = [*Api, BULK_SCAN]
EVERY_WAY = pytest.mark.parametrize("way", WAYS, ids=lambda way: getattr(way, "value", way))
BOTH_LIMITS = pytest.mark.parametrize("limits", [TINY, DOCUMENTED], ids=["tiny", "documented"])


@contextmanager
def client_of(credentials: SessionCredentials, limits: Limits) -> Iterator[SalesforceClient]:
    """Provide a client that keeps these limits and does not wait between attempts."""
    client = SalesforceClient(credentials, limits=limits, sleep=lambda _seconds: None)
    try:
        yield client
    finally:
        client.close()


def columns_in(org: DemoOrg, object_name: str = "Contact") -> Columns:
    """All columns of an object, as the library makes them of its describe."""
    return columns({"name": object_name, "fields": org.fields(object_name)}, normalize=normalize)


def retrieve(
    credentials: SessionCredentials,
    limits: Limits,
    way: Api | str,
    ids: Sequence[str],
    of: Columns,
    *,
    fallback: bool = False,
) -> list[Retrieved]:
    """Retrieve the ids in this order, by a way that is forced.

    Args:
        fallback: Whether another way takes what a failed Bulk job leaves.
    """
    force = way if isinstance(way, Api) else Api.BULK
    plan = cheapest(of.object_name, of.fields, len(ids), limits=limits, force=force)
    if way == BULK_SCAN:
        plan = replace(plan, bulk_by_ids=False)

    def plan_without_bulk(_api: Api, left: int, _error: Exception) -> Plan:
        return cheapest(of.object_name, of.fields, left, limits=limits, exclude=[Api.BULK])

    other = plan_without_bulk if fallback else None
    with client_of(credentials, limits) as client:
        return list(retrieval.retrieve(client, plan, pa.array(ids, pa.string()), of, other))


def rows_of(answers: Sequence[Retrieved]) -> pa.Table | None:
    """All rows of the answers in the order of their ids; None where there are none."""
    tables = [part.batch.table for part in answers if part.batch.table.num_rows]
    return pa.concat_tables(tables).combine_chunks().sort_by("id") if tables else None


def ids_of(answers: Sequence[Retrieved]) -> list[str]:
    """Return the ids of all rows, in the order in which they came."""
    return [id_ for part in answers for id_ in part.batch.table.column("id").to_pylist()]


def gone_of(answers: Sequence[Retrieved]) -> dict[str, Gone]:
    """Why the others did not come."""
    records = [gone for part in answers for gone in part.gone]
    assert len(records) == len({gone.id for gone in records})
    return {gone.id: gone for gone in records}


def hostile_first(org: DemoOrg) -> list[str]:
    """Return the active contacts, the hostile one and the empty one at the front."""
    first = [org.hostile_id, org.empty_id]
    return [*first, *(id_ for id_ in org.active_ids() if id_ not in first)]
