"""What answers a composite with something of its own, or too late, may serve its parts alone."""

from __future__ import annotations

import pytest

from salesforce_targeted.api import endpoints
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.errors import UnavailableError, WebPageError
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.settings import Api
from tests.conftest import Synced
from tests.support.retrieval import client_of, columns_in, retrieve
from tests.support.scripted_server import Bytes, Heard, answer, handed_on, scripted_server

PAGE = answer(200, "<html><title>Request Rejected</title></html>", {"Content-Type": "text/html"})


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize(
    ("path", "response"),
    [
        ("/composite", answer(504)),
        ("/composite", answer(503)),
        pytest.param("/composite", answer(500), marks=pytest.mark.deep),
        ("/composite", answer(body=[])),
        ("/composite", PAGE),
        pytest.param("POST", PAGE, marks=pytest.mark.deep),
        ("POST", answer(503)),
    ],
    ids=["504", "503", "500", "list", "page", "a page for every POST", "503 for every POST"],
)
def test_a_gateway_that_spoils_what_is_sent_together(
    org: DemoOrg, server: DemoServer, synced: Synced, path: str, response: Bytes
) -> None:
    """A firewall's page may come with 200: a run goes on by single requests, and by queries."""

    def spoilt(heard: Heard) -> Bytes:
        bad = heard.method == path or heard.path.endswith(path)
        return response if bad else handed_on(server.url, heard)

    with scripted_server() as gateway:
        gateway.fallback = spoilt
        synced.credentials = SessionCredentials(gateway.url, server.token)
        facts = synced.ok()

    assert facts["contacts"]["discovered"] == facts["contacts"]["held"] == len(org.active_ids())
    assert [text for text in facts["warnings"] if "composite" in text]


def test_pages_everywhere_are_an_outage(server: DemoServer) -> None:
    """Once more alone, and no further: not each part of what was to travel together."""
    with scripted_server() as gateway:
        gateway.fallback = lambda _: PAGE
        session = SessionCredentials(gateway.url, server.token)
        with client_of(session, DOCUMENTED) as client, pytest.raises(WebPageError):
            client.composite(
                [endpoints.describe("64.0", name) for name in ("Contact", "Task", "User")]
            )
        assert 5 + 1 == len(gateway.heard)


def test_an_org_that_is_down_is_not_tried_by_each_way(org: DemoOrg, server: DemoServer) -> None:
    """One describe, once, tells it from a gateway that answers for one address."""
    with scripted_server() as gateway:
        # Else a run that tries the same way again would do so for ever.
        gateway.fallback = lambda _: answer(503 if len(gateway.heard) < 20 else 401)
        session = SessionCredentials(gateway.url, server.token)
        with pytest.raises(UnavailableError, match="composite/sobjects/Contact"):
            retrieve(
                session, DOCUMENTED, Api.COLLECTIONS, org.active_ids(), columns_in(org),
                fallback=True,
            )  # fmt: skip

    assert 5 + 1 == len(gateway.heard)
