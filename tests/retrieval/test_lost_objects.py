"""An object that is no longer shown is told as that, by a single look, and not by each way."""

from __future__ import annotations

import pyarrow as pa
import pytest

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import NotFoundError
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.retrieval.planner import Plan, cheapest
from salesforce_targeted.retrieval.retrieve import retrieve
from salesforce_targeted.settings import Api
from tests.support.retrieval import columns_in


@pytest.mark.parametrize("api", [Api.COLLECTIONS, Api.QUERY])
def test_an_object_that_is_lost_in_the_middle_of_a_run_is_not_tried_by_each_way(
    org: DemoOrg, client: SalesforceClient, api: Api
) -> None:
    """Two calls and one sentence; the last way's would name Bulk."""
    of, ids = columns_in(org), org.active_ids()
    refused: list[Api] = []

    def plan(api: Api | None = None) -> Plan:
        return cheapest("Contact", of.fields, len(ids), force=api, exclude=refused)

    def plan_without(api: Api, _left: int, error: Exception) -> Plan:
        if api in refused:
            raise error
        refused.append(api)
        return plan()

    org.hidden_objects.add("Contact")
    with pytest.raises(NotFoundError, match="/sobjects/Contact/describe"):
        list(retrieve(client, plan(api), pa.array(ids, pa.string()), of, plan_without))

    assert 2 == client.meter.calls.total()
