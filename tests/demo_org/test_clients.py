"""Other people's clients take the demo org for Salesforce."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceGeneralError,
    SalesforceMalformedRequest,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

USER = "integration@demo.example"


class ToTheDemoOrg(HTTPAdapter):
    """simple-salesforce insists on https and on its hosts: this leads them all to the demo org."""

    def __init__(self, origin):
        self.origin = origin
        super().__init__()

    def send(self, request, **options):
        host = urlsplit(request.url).netloc
        request.url = self.origin + request.url.split(host, 1)[1]
        return super().send(request, **options)


@pytest.fixture
def session(server):
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", ToTheDemoOrg(server.url))
        yield session


@pytest.fixture
def salesforce(org, session):
    return Salesforce(username=USER, password="demo-password",
                      security_token=org.security_token, session=session)  # fmt: skip


def test_simple_salesforce_signs_in_four_ways(org, session):
    """SOAP, password, client credentials, JWT bearer."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    org.jwt_public_key = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption()).decode()  # fmt: skip
    app = {"consumer_key": org.client_id, "session": session}
    secret = {"consumer_secret": org.client_secret}
    ways = [
        {"username": USER, "password": "demo-password", "security_token": org.security_token,
         "session": session},
        {"username": USER, "password": "demo-passwordSECURITYTOKEN", **app, **secret},
        {"domain": "acme.my", **app, **secret},
        {"username": USER, "privatekey": pem, **app},
    ]  # fmt: skip

    for way in ways:
        assert Salesforce(**way).session_id in org.sessions
    with pytest.raises(SalesforceAuthenticationFailed, match="INVALID_LOGIN"):
        Salesforce(username=USER, password="x", security_token="y", session=session)


def test_simple_salesforce_reads(org, salesforce):
    """query_all over pages, describe, limits, one record, Bulk 2.0 over pages."""
    org.page_rows, org.bulk_page_rows = 7, 11
    contacts = salesforce.query_all("SELECT Id, Account.Name FROM Contact")["records"]
    pages = list(salesforce.bulk2.Contact.query("SELECT Id, Name FROM Contact"))

    assert set(org.rows("Contact")) == {record["Id"] for record in contacts}
    assert 108 == len(salesforce.Contact.describe()["fields"])
    assert 11 == len(salesforce.describe()["sobjects"])
    assert 15_000 == salesforce.limits()["DailyApiRequests"]["Max"]
    assert org.hostile_id == salesforce.Contact.get(org.hostile_id)["Id"]
    assert 4 == len(pages)
    assert [] == org.unexpected


def test_simple_salesforce_is_refused_what_salesforce_refuses(org, salesforce):
    """Its own exception classes recognise each refusal; nothing was written."""
    many = "','".join(org.active_ids() * 100)
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_FIELD"):
        salesforce.query("SELECT Foo FROM Contact")
    with pytest.raises(SalesforceResourceNotFound):
        salesforce.Nope.describe()
    with pytest.raises(SalesforceGeneralError, match="414"):
        salesforce.query(f"SELECT Id FROM Contact WHERE Id IN ('{many}')")
    with pytest.raises(SalesforceRefusedRequest):
        salesforce.Contact.create({"LastName": "x"})
    with pytest.raises(SalesforceRefusedRequest):
        salesforce.Contact.delete(org.hostile_id)

    assert 2 == len(org.writes_attempted)


JSFORCE = """
const jsforce = require(process.argv[2]);
const [instanceUrl, accessToken] = process.argv.slice(3);
const connection = new jsforce.Connection({instanceUrl, accessToken, version: '60.0'});
(async () => {
  const told = {};
  told.fields = (await connection.describe('Contact')).fields.length;
  const relations = await connection.query(
    'SELECT Id FROM TaskWhoRelation', {autoFetch: true, maxFetch: 100000});
  told.relations = relations.records.map(record => record.Id);
  const stream = await connection.bulk2.query('SELECT Id, Description FROM Contact');
  told.contacts = Object.fromEntries(
    (await stream.toArray()).map(record => [record.Id, record.Description]));
  try { await connection.query('SELECT Foo FROM Contact'); }
  catch (error) { told.refused = error.errorCode; }
  console.log(JSON.stringify(told));
})();
"""


def _jsforce() -> str | None:
    """Where jsforce is installed: in JSFORCE_HOME or among npm's global packages."""
    if shutil.which("node") is None:
        return None
    roots = [Path(os.environ["JSFORCE_HOME"])] if "JSFORCE_HOME" in os.environ else []
    if not roots and (npm := shutil.which("npm")):
        process = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False)
        roots.append(Path(process.stdout.strip()))
    for root in roots:
        for place in (root / "jsforce", root / "node_modules" / "jsforce", root):
            if (place / "package.json").is_file() and place.name == "jsforce":
                return str(place)
    return None


@pytest.mark.deep
def test_jsforce_reads(org, server, tmp_path):
    """describe, pages followed, Bulk 2.0 (where null is empty text), an error code."""
    place = _jsforce()
    if place is None:
        pytest.skip("node with jsforce was not found: npm install jsforce, then set JSFORCE_HOME")
    org.page_rows = 7
    script = tmp_path / "read.cjs"
    script.write_text(JSFORCE)
    done = subprocess.run(["node", str(script), place, server.url, server.token],
                          capture_output=True, text=True, timeout=60, check=False)  # fmt: skip

    assert 0 == done.returncode, done.stderr
    facts = json.loads(done.stdout)
    assert 108 == facts["fields"]
    assert list(org.rows("TaskWhoRelation")) == facts["relations"]
    expected = {id_: row["Description"] or "" for id_, row in org.rows("Contact").items()}
    assert expected == facts["contacts"]
    assert "INVALID_FIELD" == facts["refused"]
