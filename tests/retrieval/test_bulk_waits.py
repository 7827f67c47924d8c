"""A Bulk job gets the time that its size explains; it is said that it takes long, then REST reads."""

from __future__ import annotations

import pyarrow as pa
import pytest

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.errors import BulkJobError
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.faults.faults import Fault
from salesforce_targeted.retrieval import retrieve as retrieval
from salesforce_targeted.retrieval.planner import Plan, cheapest
from salesforce_targeted.settings import Api
from tests.support.retrieval import columns_in, ids_of


class Patience:
    """Keep how long the client pauses, and what was said meanwhile."""

    def __init__(self, credentials: SessionCredentials) -> None:
        self.now, self.news = 0.0, list[str]()
        self.client = SalesforceClient(credentials, sleep=self.wait)

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("forced", [False, True])
def test_a_job_that_never_ends_is_left_to_rest(
    org: DemoOrg, credentials: SessionCredentials, forced: bool
) -> None:
    """After five minutes, told every 20 seconds or so."""
    patience, of, ids = Patience(credentials), columns_in(org), org.active_ids()
    org.faults.add(Fault("bulk_poll", "bulk_stuck", times=10**6))
    plan = cheapest("Contact", of.fields, len(ids), force=Api.BULK)
    errors: list[Exception] = []

    def plan_without_bulk(_api: Api, left: int, error: Exception) -> Plan:
        errors.append(error)
        return cheapest("Contact", of.fields, left, exclude=[Api.BULK])

    def read() -> list[str]:
        asked, other = pa.array(ids, pa.string()), None if forced else plan_without_bulk
        batches = retrieval.retrieve(
            patience.client, plan, asked, of, other, tell=patience.news.append
        )
        return sorted(ids_of(list(batches)))

    if forced:
        with pytest.raises(BulkJobError, match="still InProgress after 300 s"):
            read()
    else:
        assert sorted(ids) == read()
        assert "still InProgress after 300 s" in str(errors[0])
    patience.client.close()

    assert 250 <= patience.now <= 310
    assert 8 <= len(patience.news) <= 16
    assert "Contact: Bulk job 750" in patience.news[0]
    assert "is InProgress after" in patience.news[0]


@pytest.mark.parametrize("call", ["bulk_create", "bulk_poll", "bulk_results"])
@pytest.mark.parametrize("outage", ["unavailable_503", "http_429", "not_found_404"])
def test_an_outage_of_bulk_alone_is_left_to_rest(
    call: str, outage: str, org: DemoOrg, client: SalesforceClient
) -> None:
    """Else no run could succeed until it ends, although REST serves every record."""
    of, ids = columns_in(org), org.active_ids()
    org.faults.add(Fault(call, outage, times=10**6))

    def plan_without_bulk(api: Api, left: int, _error: Exception) -> Plan:
        return cheapest("Contact", of.fields, left, exclude=[api])

    plan = cheapest("Contact", of.fields, len(ids), force=Api.BULK)
    asked = pa.array(ids, pa.string())
    batches = list(retrieval.retrieve(client, plan, asked, of, plan_without_bulk))

    assert sorted(ids) == sorted(ids_of(batches))


def test_a_job_that_ends_soon_is_not_talked_about(
    org: DemoOrg, credentials: SessionCredentials
) -> None:
    """No news is good news."""
    patience, of, ids = Patience(credentials), columns_in(org), org.active_ids()
    plan = cheapest("Contact", of.fields, len(ids), force=Api.BULK)
    asked = pa.array(ids, pa.string())
    batches = list(retrieval.retrieve(patience.client, plan, asked, of, tell=patience.news.append))
    patience.client.close()

    assert sorted(ids) == sorted(ids_of(batches))
    assert [] == patience.news
