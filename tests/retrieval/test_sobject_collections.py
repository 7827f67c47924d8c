"""Records by id through sObject Collections: what these refuse is asked for in another way."""

from __future__ import annotations

import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.settings import Api
from tests.support.retrieval import columns_in, ids_of, retrieve
from tests.support.scripted_server import Bytes, Heard, answer, handed_on, scripted_server

REFUSED = [{"errorCode": "BAD_REQUEST", "message": "The body is not accepted"}]


@pytest.mark.parametrize("api", [Api.COLLECTIONS, Api.COMPOSITE])
@pytest.mark.parametrize("others", [0, 40])
def test_a_record_that_they_refuse_is_read_by_a_query(
    org: DemoOrg, server: DemoServer, api: Api, others: int
) -> None:
    """A 400 says nothing of the record: it comes, alone or with others, and none is rejected."""
    ids = org.active_ids()[: others + 1]

    def without_the_last(heard: Heard) -> Bytes:
        if b"/composite/" in heard.path.encode() + heard.body and ids[-1].encode() in heard.body:
            return answer(400, REFUSED)
        return handed_on(server.url, heard)

    with scripted_server() as gateway:
        gateway.fallback = without_the_last
        session = SessionCredentials(instance_url=gateway.url, access_token=server.token)
        parts = retrieve(session, DOCUMENTED, api, ids, columns_in(org))

    assert ids == sorted(ids_of(parts))
    assert [] == [rejected for part in parts for rejected in part.batch.rejected]
