"""Records by id through sObject Collections: what these refuse is asked for in another way."""

from __future__ import annotations

import re

import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.settings import Api
from tests.conftest import Synced
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


@pytest.mark.usefixtures("short_pauses")
def test_records_that_nobody_asked_for_are_no_rows(
    org: DemoOrg, server: DemoServer, synced: Synced
) -> None:
    """Ids of another form in each JSON response: another API is asked, and no contact is hidden."""

    def shortened(heard: Heard) -> Bytes:
        response = handed_on(server.url, heard)
        return Bytes(re.sub(rb'"Id":( ?)"(003\w{12})\w{3}"', rb'"Id":\1"\2   "', response.data))

    with scripted_server() as gateway:
        gateway.fallback = shortened
        synced.credentials = SessionCredentials(gateway.url, server.token)
        facts = synced.run().facts
    lives = synced.rows("sf_active_contacts", "contact_id").values()

    assert {*org.active_ids()} == {*synced.rows("sf_contacts")}
    assert 0 == facts["contacts"]["left"]
    assert not [row for row in lives if row["gone_reason"]]
