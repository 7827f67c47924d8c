"""The token and the password go to one host: whatever an answer, a path or a redirect says of another."""

import contextlib
import json
import socket
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from salesforce_targeted.api import endpoints, read_only
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import ReadOnlyError, SalesforceError
from salesforce_targeted.api.models import Request
from tests.support.bulk_pages import bulk_pages
from tests.support.sign_in import credentials

DATA = "/services/data/v64.0"
ID = "003D000000QOMyqIAH"
REDIRECTS = [300, 301, 302, 303, 305, 307, 308]


class Bystander:
    """A host that listens and that must not be talked to."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0)
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.url = f"http://{self.host}"

    def connections(self) -> int:
        """Count the connections that waited to be accepted."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self.listener.accept()[0].close()
                count += 1
        return count


@pytest.fixture
def bystander():
    """Provide the second host; the test fails if anybody connects to it."""
    host = Bystander()
    yield host
    count = host.connections()
    host.listener.close()

    assert 0 == count


def test_a_bystander_notices_who_connects():
    """The control: a request that does follow a redirect is seen."""
    host = Bystander()
    with pytest.raises(requests.RequestException):
        requests.get(host.url, timeout=0.2)

    assert 1 == host.connections()
    host.listener.close()


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize(
    "request_",
    [
        endpoints.query("64.0", "SELECT Id FROM Contact"),
        endpoints.collections("64.0", "Contact", [ID], ["Id"]),
        endpoints.versions(),
        endpoints.bulk_results("64.0", "750R0000000zlh9IAA", None, 10),
    ],
    ids=lambda request: request.kind,
)
def test_no_redirect_takes_the_token_along(status, request_, client, server, answer, bystander):
    """Of any kind, for any kind of request: one request, to the org alone."""
    where = {"Location": bystander.url + request_.path, "Refresh": f"0; url={bystander.url}"}
    server.fallback = lambda _: answer(status, headers=where)
    with pytest.raises(SalesforceError, match="redirect"):
        client.send(request_)

    assert 1 == len(server.heard)


SIGN_INS = {
    "token": {"SALESFORCE_CLIENT_ID": "i", "SALESFORCE_CLIENT_SECRET": "secret"},
    "password": {"SALESFORCE_CLIENT_ID": "i", "SALESFORCE_CLIENT_SECRET": "secret", "SALESFORCE_USERNAME": "u", "SALESFORCE_PASSWORD": "password"},
    "soap": {"SALESFORCE_USERNAME": "u", "SALESFORCE_PASSWORD": "password", "SALESFORCE_SECURITY_TOKEN": "t"},
}  # fmt: skip


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("way", SIGN_INS)
def test_no_redirect_takes_the_password_along(way, status, server, answer, bystander, pauses):
    """A sign-in that is sent elsewhere ends there."""
    server.fallback = lambda heard: answer(status, headers={"Location": bystander.url + heard.path})
    spec = credentials({**SIGN_INS[way], "SALESFORCE_LOGIN_URL": server.url})
    with pytest.raises(SalesforceError):
        SalesforceClient(spec, sleep=pauses.append).org_limits()

    assert {server.url.removeprefix("http://")} == {heard.headers["host"] for heard in server.heard}


def addresses(host):
    """List how a response may name a page elsewhere, or make ours read as somewhere else."""
    page = f"{DATA}/query/01gRO0000016PIAYA2-500"
    return [
        f"http://{host}{page}", f"//{host}{page}", f"@{host}{page}", f":80@{host}{page}", f".{host}{page}",
        f"\\\\{host}{page}", f"/\\{host}{page}", f"{DATA}/query/x@{host}", f"{DATA}/query/../../..//{host}{page}",
        f"{DATA}/query/%2e%2e/@{host}", f"\t//{host}{page}", f"{page}\r\nHost: {host}", f"{page}#@{host}",
        f"{page}?x=http://{host}", "", "?", "/",
    ]  # fmt: skip


@pytest.mark.parametrize("n", range(17))
def test_no_next_page_is_elsewhere(n, client, server, answer, bystander):
    """A page that names its successor anywhere but among this org's queries is no page."""
    page = {
        "totalSize": 2,
        "done": False,
        "records": [{"Id": ID}],
        "nextRecordsUrl": addresses(bystander.host)[n],
    }
    server.fallback = lambda _: answer(body=page)
    with pytest.raises(SalesforceError):
        client.records("SELECT Id FROM Contact")

    assert {f"{DATA}/query?q=SELECT+Id+FROM+Contact"} == {heard.path for heard in server.heard}


@pytest.mark.parametrize("n", range(17))
def test_no_locator_or_job_leads_elsewhere(n, client, server, answer, bystander):
    """A locator stays a parameter; a job's id that is none spoils the answer."""
    address = addresses(bystander.host)[n].replace("\r\n", "")
    job = {"id": "750R0000000zlh9IAA", "state": "JobComplete", "numberRecordsProcessed": 9}
    csv = {"Content-Type": "text/csv", "Sforce-NumberOfRecords": "1", "Sforce-Locator": address}

    def say(heard):
        if "/results" in heard.path:
            return answer(200, b'"Id"\n"x"\n', csv)
        return answer(body=job)

    server.fallback = say
    with pytest.raises(SalesforceError):
        list(bulk_pages(client, "SELECT Id FROM Contact"))
    job["id"] = address
    with pytest.raises(SalesforceError):
        list(bulk_pages(client, "SELECT Id FROM Contact"))

    assert all(heard.path.startswith(f"{DATA}/jobs/query") for heard in server.heard)
    assert {server.url.removeprefix("http://")} == {heard.headers["host"] for heard in server.heard}


@pytest.mark.parametrize("n", range(17))
def test_no_path_of_ours_leads_elsewhere(n, client, server, bystander):
    """A path that isn't plainly below the org's origin is refused before a byte leaves."""
    for method, body in (
        ("GET", None),
        ("POST", json.dumps({"ids": [ID], "fields": ["Id"]}).encode()),
    ):
        with pytest.raises(ReadOnlyError):
            client.send(
                Request(
                    method, addresses(bystander.host)[n], body, {"Content-Type": "application/json"}
                )
            )

    assert [] == server.heard


PIECES = st.sampled_from(
    ["/services/data/v64.0", "/query", "/limits", "/", "//", "..", ".", "@", ":", "evil.example", "\\", "%2f", "%2e",
     "?q=", "SELECT+Id+FROM+A", "#", ";", "&", "\n", " ", "\x00", "é", "//evil.example", "http://evil.example", "[", "]"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=40))
@example("/services/data/v64.0/limits")
def test_whatever_passes_stays_at_the_org(path):
    """What the endpoint lets through is, as requests prepares it, the same path at the same host."""
    if read_only.refusal(Request("GET", path)) is not None:
        return
    url = requests.Request("GET", "https://acme.my.salesforce.com" + path).prepare().url
    parts = urlsplit(url)

    assert ("https", "acme.my.salesforce.com") == (parts.scheme, parts.netloc)
    assert path.partition("?")[0] == parts.path
    assert path.partition("?")[2] == parts.query
