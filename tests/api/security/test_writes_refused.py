"""What simple-salesforce sends in order to write: recorded once, refused at our door one by one."""

import contextlib
import inspect
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce, bulk, bulk2, metadata
from simple_salesforce.api import SFType

from salesforce_targeted.api import endpoints
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import ReadOnlyError, UnavailableError
from salesforce_targeted.api.login import Session
from salesforce_targeted.api.models import Request
from salesforce_targeted.demo_org import DemoOrg, serve

ID = "003D000000QOMyqIAH"
JOB = "750R0000000zlh9IAA"
ROWS = [{"Id": ID, "LastName": "x"}]
INSERT, QUERY = bulk2.Operation.insert, bulk2.Operation.query


def bulk2_client(org):
    """Return the part of it that sends the requests of Bulk 2.0."""
    return org.bulk2.Contact._client


# Method -> a call of it. Those that write in several steps are refused at the first by the demo org
# too, so the later steps are called on their own.
WRITES = {
    "SFType.create": lambda org, file: org.Contact.create({"LastName": "x"}),
    "SFType.update": lambda org, file: org.Contact.update(ID, {"LastName": "x"}),
    "SFType.upsert": lambda org, file: org.Contact.upsert("NPI__c/1", {"LastName": "x"}),
    "SFType.delete": lambda org, file: org.Contact.delete(ID),
    "SFType.upload_base64": lambda org, file: org.Attachment.upload_base64(file),
    "SFType.update_base64": lambda org, file: org.Attachment.update_base64(ID, file),
    "Salesforce.set_password": lambda org, file: org.set_password("005000000000001AAA", "new"),
    "Salesforce.apexecute": lambda org, file: org.apexecute("Anything", "POST", {"a": 1}),
    "Salesforce.apexecute GET": lambda org, file: org.apexecute("Anything"),
    "Salesforce.toolingexecute": lambda org, file: org.toolingexecute("sobjects/ApexClass", "POST", {"Body": "x"}),
    "Salesforce.toolingexecute GET": lambda org, file: org.toolingexecute("executeAnonymous?anonymousBody=delete+x;"),
    "Salesforce.oauth2": lambda org, file: org.oauth2("revoke", {"token": "x"}, "POST"),
    "Salesforce.deploy": lambda org, file: org.deploy(BytesIO(b"zip"), sandbox=True),
    **{f"Salesforce.restful {method} {path}": lambda org, file, m=method, p=path, b=body: org.restful(p, method=m, json=b)
       for method, path, body in (
        ("POST", "sobjects/Contact", {"LastName": "x"}),
        ("PATCH", f"sobjects/Contact/{ID}", {"LastName": "x"}),
        ("PUT", f"sobjects/Contact/{ID}", {"LastName": "x"}),
        ("DELETE", f"sobjects/Contact/{ID}", None),
        ("POST", f"sobjects/Contact/{ID}?_HttpMethod=DELETE", None),
        ("POST", "composite", {"compositeRequest": [{"method": "DELETE", "url": f"/services/data/v59.0/sobjects/Contact/{ID}", "referenceId": "a"}]}),
        ("POST", "composite/batch", {"batchRequests": [{"method": "DELETE", "url": f"v59.0/sobjects/Contact/{ID}"}]}),
        ("POST", "composite/graph", {"graphs": []}),
        ("POST", "composite/tree/Contact", {"records": ROWS}),
        ("POST", "composite/sobjects", {"records": ROWS}),
        ("PATCH", "composite/sobjects", {"records": ROWS}),
        ("DELETE", f"composite/sobjects?ids={ID}", None),
        ("PATCH", "composite/sobjects/Contact/NPI__c", {"records": ROWS}),
        ("POST", "actions/standard/emailSimple", {"inputs": []}),
        ("POST", "process/approvals", {"requests": []}),
        ("POST", "event/eventSchema", {}),
    )},
    "SFBulkHandler.submit_dml": lambda org, file: org.bulk.submit_dml("Contact", "delete", ROWS),
    "SFBulkType.submit_dml": lambda org, file: org.bulk.Contact.submit_dml("insert", ROWS),
    "SFBulkType.insert": lambda org, file: org.bulk.Contact.insert(ROWS),
    "SFBulkType.update": lambda org, file: org.bulk.Contact.update(ROWS),
    "SFBulkType.upsert": lambda org, file: org.bulk.Contact.upsert(ROWS, "NPI__c"),
    "SFBulkType.delete": lambda org, file: org.bulk.Contact.delete(ROWS),
    "SFBulkType.hard_delete": lambda org, file: org.bulk.Contact.hard_delete(ROWS),
    "SFBulkType.query": lambda org, file: list(org.bulk.Contact.query("SELECT Id FROM Contact")),
    "SFBulkType.query_all": lambda org, file: list(org.bulk.Contact.query_all("SELECT Id FROM Contact")),
    "SFBulkType._add_batch": lambda org, file: org.bulk.Contact._add_batch(JOB, ROWS, "delete"),
    "SFBulkType._close_job": lambda org, file: org.bulk.Contact._close_job(JOB),
    "SFBulk2Type.insert": lambda org, file: org.bulk2.Contact.insert(records=ROWS),
    "SFBulk2Type.update": lambda org, file: org.bulk2.Contact.update(records=ROWS),
    "SFBulk2Type.upsert": lambda org, file: org.bulk2.Contact.upsert(records=ROWS),
    "SFBulk2Type.delete": lambda org, file: org.bulk2.Contact.delete(records=[{"Id": ID}]),
    "SFBulk2Type.hard_delete": lambda org, file: org.bulk2.Contact.hard_delete(records=[{"Id": ID}]),
    "_Bulk2Client.create_job": lambda org, file: bulk2_client(org).create_job(INSERT),
    "_Bulk2Client.upload_job_data": lambda org, file: bulk2_client(org).upload_job_data(JOB, "Id\n"),
    "_Bulk2Client.close_job": lambda org, file: bulk2_client(org).close_job(JOB),
    "_Bulk2Client.abort_job": lambda org, file: bulk2_client(org).abort_job(JOB, is_query=False),
    "_Bulk2Client.abort_job of a query": lambda org, file: bulk2_client(org).abort_job(JOB, is_query=True),
    "_Bulk2Client.delete_job": lambda org, file: bulk2_client(org).delete_job(JOB, is_query=False),
    "_Bulk2Client.delete_job of a query": lambda org, file: bulk2_client(org).delete_job(JOB, is_query=True),
    "SfdcMetadataApi.deploy": lambda org, file: org.mdapi.deploy(BytesIO(b"zip"), sandbox=False),
    "MetadataType.create": lambda org, file: org.mdapi.CustomObject.create([org.mdapi.CustomObject(fullName="A__c")]),
    "MetadataType.update": lambda org, file: org.mdapi.CustomObject.update([org.mdapi.CustomObject(fullName="A__c")]),
    "MetadataType.upsert": lambda org, file: org.mdapi.CustomObject.upsert([org.mdapi.CustomObject(fullName="A__c")]),
    "MetadataType.delete": lambda org, file: org.mdapi.CustomObject.delete(["A__c"]),
    "MetadataType.rename": lambda org, file: org.mdapi.CustomObject.rename("A__c", "B__c"),
}  # fmt: skip

# What is left of their public methods: none of it changes an org.
READS = {
    "SFType": "deleted describe describe_layout get get_base64 get_by_custom_id metadata parse_result_to_json updated",
    "Salesforce": "checkDeployStatus describe is_sandbox limits parse_api_usage parse_result_to_json query query_all "
    "query_all_iter query_more quick_search search",
    "SFBulkHandler": "",
    "SFBulkType": "worker",
    "SFBulk2Handler": "",
    "SFBulk2Type": "download get_all_ingest_records get_failed_records get_successful_records get_unprocessed_records "
    "query query_all",
    "_Bulk2Client": "download_ingest_results download_job_data filter_null_bytes get_ingest_results get_job "
    "get_query_results wait_for_job",
    "SfdcMetadataApi": "check_deploy_status check_retrieve_status describe_metadata download_unit_test_logs "
    "get_component_error_count list_metadata retrieve retrieve_retrieve_result retrieve_zip",
    "MetadataType": "describe read",
}
CLASSES = (
    SFType, Salesforce, bulk.SFBulkHandler, bulk.SFBulkType, bulk2.SFBulk2Handler, bulk2.SFBulk2Type,
    bulk2._Bulk2Client, metadata.SfdcMetadataApi, metadata.MetadataType,
)  # fmt: skip


@dataclass(frozen=True)
class Sent:
    """A request as simple-salesforce sent it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None


class Recorder(HTTPAdapter):
    """Leads every request to the demo org, whatever host it was for, and keeps a copy."""

    def __init__(self, origin):
        self.origin, self.sent = origin, []
        super().__init__()

    def send(self, request, **options):
        target = request.url.split(urlsplit(request.url).netloc, 1)[1]
        body = request.body.encode() if isinstance(request.body, str) else request.body
        self.sent.append(Sent(request.method, target, dict(request.headers), body))
        request.url = self.origin + target
        return super().send(request, **options)


def recordings(file: Path) -> dict[str, list[Sent]]:
    """Return what each writing method sent to the demo org, which refused it; *file* is one to upload."""
    demo, calls = DemoOrg.tiny(), {}
    with serve(demo) as server, requests.Session() as session:
        session.trust_env = False
        recorder = Recorder(server.url)
        session.mount("https://", recorder)
        org = Salesforce(
            instance="acme.my.salesforce.com", session_id=server.token, session=session
        )
        org.mdapi._client.transport.session.mount("https://", recorder)
        for name, call in WRITES.items():
            before = len(recorder.sent)
            with contextlib.suppress(Exception):  # each is refused, in one of their many ways
                call(org, str(file))
            calls[name] = recorder.sent[before:]
        assert [(sent.method, sent.target) for sent in recorder.sent] == demo.requests
    return calls


@contextlib.contextmanager
def watched_door() -> Iterator[tuple[SalesforceClient, Callable[[], int]]]:
    """Provide a client of a host that listens and never answers, and how many connections it got."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0)

    class HeldTables:
        def sign_in(self, door):
            return Session(
                f"http://127.0.0.1:{listener.getsockname()[1]}", "00D000000000001!secret"
            )

    def connections():
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                listener.accept()[0].close()
                count += 1
        return count

    client = SalesforceClient(HeldTables(), attempts=1, timeout_seconds=0.2)
    yield client, connections
    client.close()
    listener.close()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> dict[str, list[Sent]]:
    """Provide what each writing method sent."""
    file = tmp_path_factory.mktemp("upload") / "file"
    file.write_text("x")
    return recordings(file)


@pytest.fixture
def door():
    """See ``watched_door``."""
    with watched_door() as door:
        yield door


def disguises(sent: Sent) -> Iterator[Request]:
    """Yield the request as it was sent, and in each dress in which the door might let it pass."""
    body = sent.body
    json_only = {"Content-Type": "application/json"}
    plain = sent.target.partition("?")[0]
    yield Request(sent.method, sent.target, body, sent.headers)
    yield Request(sent.method, sent.target, body)
    yield Request(sent.method, sent.target, body, json_only)
    yield Request(sent.method, plain, body, json_only)
    for method in ("GET", "POST"):
        yield Request(
            method, sent.target, body, {**json_only, "X-HTTP-Method-Override": sent.method}
        )
        yield Request(method, f"{plain}?_HttpMethod={sent.method}", body, json_only)
    # A kind says what a call is counted as; it opens no door.
    yield Request(sent.method, sent.target, body, json_only, kind="versions")
    try:
        inner = json.loads(body or b"null")
    except ValueError:
        inner = (body or b"").decode("latin-1")
    part = {"method": sent.method, "url": sent.target, "referenceId": "r0"}
    for parts in ([part], [{**part, "body": inner}], [
        {"method": "GET", "url": "/services/data/v64.0/limits", "referenceId": "r1"}, {**part, "body": inner}
    ]):  # fmt: skip
        wrapped = json.dumps({"allOrNone": False, "compositeRequest": parts}).encode()
        yield Request("POST", "/services/data/v64.0/composite", wrapped, json_only)


@pytest.mark.parametrize("name", WRITES)
def test_no_write_of_simple_salesforce_leaves(name, recorded, door):
    """As it was sent, bare, disguised, and inside composite: refused before anybody connects."""
    client, connections = door
    assert recorded[name], "it sent nothing"

    for sent in recorded[name]:
        for request in disguises(sent):
            with pytest.raises(ReadOnlyError):
                client.send(request)
    assert (0, 0) == (connections(), client.meter.calls.total())


def test_what_reads_does_leave(door):
    """The control: the same client, the same host, and a request that only reads connects."""
    client, connections = door
    with pytest.raises(UnavailableError):
        client.send(endpoints.limits("64.0"))

    assert 1 == connections()


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_method_is_accounted_for(kind):
    """A method that a newer simple-salesforce brings has to be listed as reading or writing."""
    written = {
        name.split(".")[1].split(" ")[0] for name in WRITES if name.startswith(f"{kind.__name__}.")
    }
    public = {
        name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")
    }

    assert public == {name for name in written if not name.startswith("_")} | set(
        READS[kind.__name__].split()
    )
