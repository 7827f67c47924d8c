"""What comes by queries: a page that came is kept, whatever ends the calls."""

from __future__ import annotations

import pytest

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import QuotaExceededError
from salesforce_targeted.arrow.id_set import id_array
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.retrieval.planner import cheapest
from salesforce_targeted.retrieval.retrieve import retrieve
from salesforce_targeted.settings import Api
from tests.support.retrieval import columns_in


def test_pages_that_came_before_the_calls_end_are_kept(
    org: DemoOrg, client: SalesforceClient
) -> None:
    """Pages may be smaller than what one query asks for: the next run goes on behind them."""
    columns, ids, came = columns_in(org), sorted(org.active_ids()), list[str]()
    plan = cheapest("Contact", columns.fields, len(ids), 0, force=Api.QUERY)
    org.page_rows = 2
    client.meter.calls_allowed = client.meter.calls.total() + 3
    retrieved = retrieve(client, plan, id_array(ids), columns)
    with pytest.raises(QuotaExceededError):
        came.extend(id_ for part in retrieved for id_ in part.batch.table.column("id").to_pylist())

    assert ids[:6] == came
