"""Every way to sign in: what is sent where."""

import base64
import subprocess
import sys

import jwt
import pytest

from salesforce_targeted.api import addresses, errors
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import oauth
from salesforce_targeted.api.login import Session
from tests.support.script import ROOT
from tests.support.sign_in import credentials, environ, form


def test_client_credentials(endpoint, server, granted):
    """The app's id and secret, in the body."""
    server.say(granted())
    spec = credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET"))

    assert Session(server.url, "00Dx!granted") == spec.sign_in(endpoint)
    assert {
        "grant_type": "client_credentials",
        "client_id": "3MVG9-app",
        "client_secret": "sec-ret-3",
    } == form(server.heard[0])


def test_a_line_end_is_no_part_of_a_secret(endpoint, server, granted):
    """What was pasted or read from a file brings one along; the credentials are sent without it."""
    server.say(granted())
    spec = oauth.ClientCredentials(
        client_id=" 3MVG9-app", client_secret="sec-ret-3\r\n", login_url=f"{server.url}\n"
    )
    spec.sign_in(endpoint)
    sent = form(server.heard[0])

    assert ("3MVG9-app", "sec-ret-3") == (sent["client_id"], sent["client_secret"])


@pytest.mark.parametrize("status", [200, 201, 203])
def test_a_line_end_is_no_part_of_a_token(status, endpoint, server, answer):
    """A gateway in between may add one, or turn the status into another that is no refusal."""
    body = {"access_token": "00Dx!granted\r\n", "instance_url": server.url}
    server.say(answer(status, body))
    spec = credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET"))

    assert Session(server.url, "00Dx!granted") == spec.sign_in(endpoint)
    assert 1 == len(server.heard)


@pytest.mark.parametrize("domain", ["login", "test", ""])
def test_client_credentials_need_a_my_domain(domain, endpoint):
    """Refused here, before Salesforce refuses it with a riddle."""
    spec = credentials(
        {"SALESFORCE_CLIENT_ID": "a", "SALESFORCE_CLIENT_SECRET": "b", "SALESFORCE_DOMAIN": domain}
    )

    with pytest.raises(errors.ConfigurationError, match="My Domain"):
        spec.sign_in(endpoint)


@pytest.mark.parametrize(
    "how", ["text", "one line", "file", "of Windows", "of blanks", "joined", "base64"]
)
def test_jwt(how, endpoint, server, granted, key, tmp_path):
    """A signed claim: the app, the user, the audience, three minutes."""
    private, pem = key
    server.say(granted())
    path = tmp_path / "key.pem"
    path.write_text(pem)
    given_as = {"text": {"SALESFORCE_PRIVATE_KEY": pem},
                "one line": {"SALESFORCE_PRIVATE_KEY": pem.replace("\n", "\\n")},
                "of Windows": {"SALESFORCE_PRIVATE_KEY": pem.replace("\n", "\\r\\n")},
                "of blanks": {"SALESFORCE_PRIVATE_KEY": pem.replace("\n", " ")},
                "joined": {"SALESFORCE_PRIVATE_KEY": pem.replace("\n", "")},
                "base64": {"SALESFORCE_PRIVATE_KEY": base64.b64encode(pem.encode()).decode()},
                "file": {"SALESFORCE_PRIVATE_KEY_FILE": str(path)}}[how]  # fmt: skip
    credentials(environ(server, "CLIENT_ID", "USERNAME", **given_as)).sign_in(endpoint)
    sent = form(server.heard[0])
    claims = jwt.decode(sent["assertion"], private.public_key(), ["RS256"], audience=server.url)

    assert "urn:ietf:params:oauth:grant-type:jwt-bearer" == sent["grant_type"]
    assert ("3MVG9-app", "u@acme.example", server.url) == (
        claims["iss"],
        claims["sub"],
        claims["aud"],
    )
    assert isinstance(claims["exp"], int)


@pytest.mark.parametrize(
    ("base", "audience"),
    [
        ("https://login.salesforce.com", "https://login.salesforce.com"),
        ("https://test.salesforce.com", "https://test.salesforce.com"),
        ("https://acme.my.salesforce.com", "https://login.salesforce.com"),
        ("https://acme--uat.sandbox.my.salesforce.com", "https://test.salesforce.com"),
        ("https://site.example.com", "https://site.example.com"),
        ("https://acme.scratch.my.salesforce.com", "https://test.salesforce.com"),
        ("https://acme-dev-ed.develop.my.salesforce.com", "https://login.salesforce.com"),
        ("https://acme--uat.sandbox.my.salesforce.mil", "https://test.salesforce.mil"),
        ("https://acme.my.salesforce.mil", "https://login.salesforce.mil"),
        ("https://acme.my.sfcrmproducts.cn", "https://login.sfcrmproducts.cn"),
        ("https://cs42.my.salesforce.com", "https://test.salesforce.com"),
        ("https://cs42.salesforce.com", "https://test.salesforce.com"),
        ("https://na50.salesforce.com", "https://login.salesforce.com"),
        ("https://usa9s.salesforce.com", "https://test.salesforce.com"),
        ("https://fra12s.sfdc-lywfpd.salesforce.com", "https://test.salesforce.com"),
        ("https://acme--uat.my.salesforce.com", "https://test.salesforce.com"),
        ("https://acme--uat.cs42.my.salesforce.com", "https://test.salesforce.com"),
        ("https://team7s.my.salesforce.com", "https://login.salesforce.com"),
    ],
)
def test_whom_a_jwt_is_for(base, audience):
    """Production, sandbox, or the site's own address."""
    assert audience == addresses.audience(base)


def test_a_jwt_for_another_audience(endpoint, server, granted, key):
    """The setting wins: an org behind a site, or a cloud of its own."""
    server.say(granted())
    environment = environ(server, "CLIENT_ID", "USERNAME", SALESFORCE_PRIVATE_KEY=key[1],
                          SALESFORCE_AUDIENCE="https://site.example")  # fmt: skip
    credentials(environment).sign_in(endpoint)
    assertion = form(server.heard[0])["assertion"]

    assert (
        "https://site.example" == jwt.decode(assertion, options={"verify_signature": False})["aud"]
    )


@pytest.mark.parametrize("token", ["eyJhbGciOi.eyJpc3M.c2ln", "00D5g0000008XYZ!AQ7"])
@pytest.mark.parametrize("id_", ["00D5g0000008XYZEA2", "00D5g0000008XYZ"])
def test_the_orgs_id(token, id_, endpoint, server, granted):
    """From the identity URL: a token in JWT format has it nowhere; 15 characters in any case."""
    server.say(granted(access_token=token, id=f"https://login.salesforce.com/id/{id_}/005x"))
    session = credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET")).sign_in(endpoint)

    assert "00D5g0000008XYZ" == session.org_id
    assert None is Session("https://a", "eyJhbGciOi.eyJpc3M.c2ln").org_id


@pytest.mark.parametrize(
    "text", ["pri-vate-6", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_a_key_that_is_none(text, endpoint, server):
    """Said without repeating it; nothing is sent."""
    spec = credentials(environ(server, "CLIENT_ID", "USERNAME", SALESFORCE_PRIVATE_KEY=text))

    with pytest.raises(errors.ConfigurationError, match="SALESFORCE_PRIVATE_KEY") as caught:
        spec.sign_in(endpoint)
    assert text not in str(caught.value)
    assert [] == server.heard


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_key_file_with_a_byte_order_mark(encoding, endpoint, server, granted, key, tmp_path):
    """As editors and shells of Windows write it."""
    server.say(granted())
    path = tmp_path / "server.key"
    path.write_text(key[1], encoding=encoding)
    named = {"SALESFORCE_PRIVATE_KEY_FILE": str(path)}

    assert credentials(environ(server, "CLIENT_ID", "USERNAME", **named)).sign_in(endpoint)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA", "it has a passphrase"),
        ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", "it has a passphrase"),
        ("-----BEGIN CERTIFICATE-----\nAAAA", "it is the certificate"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA", "it is the public half"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", "it is in the format of OpenSSH"),
        ("keys/server.key", "it is a path"),
    ],
)
def test_what_there_is_in_place_of_a_key(text, kind, endpoint, server):
    """Named, for each needs another remedy."""
    spec = credentials(environ(server, "CLIENT_ID", "USERNAME", SALESFORCE_PRIVATE_KEY=text))

    with pytest.raises(errors.ConfigurationError, match=f"can be read: {kind}"):
        spec.sign_in(endpoint)


@pytest.mark.parametrize(
    "write",
    ["{}\n", "{}\r\n", "\ufeff{}", "{}\u200b", '"{}"', "'{}'", " {} "],
    ids=[
        "line end",
        "of Windows",
        "byte order mark",
        "zero width",
        "quotes",
        "single quotes",
        "blanks",
    ],
)
def test_what_comes_along_with_a_value_is_no_part_of_it(write, endpoint, server, granted):
    """Pasted, read from a file, or from an env file whose quotes Docker keeps."""
    server.say(granted())
    settings = environ(server, "CLIENT_ID", "CLIENT_SECRET")
    credentials({name: write.format(value) for name, value in settings.items()}).sign_in(endpoint)

    assert ("3MVG9-app", "sec-ret-3") == (
        form(server.heard[0])["client_id"], form(server.heard[0])["client_secret"]
    )  # fmt: skip


def test_a_password_keeps_its_quotes(endpoint, server, granted):
    """It alone may begin and end with them."""
    server.say(granted())
    names = ("CLIENT_ID", "CLIENT_SECRET", "USERNAME")
    credentials(environ(server, *names, SALESFORCE_PASSWORD='"pass"')).sign_in(endpoint)

    assert '"pass"' == form(server.heard[0])["password"]


def test_a_key_file_that_is_not_there(endpoint, server):
    """The path is wrong: said with the reason."""
    spec = credentials(
        environ(server, "CLIENT_ID", "USERNAME", SALESFORCE_PRIVATE_KEY_FILE="/nowhere/x")
    )

    with pytest.raises(errors.ConfigurationError, match="No such file"):
        spec.sign_in(endpoint)


@pytest.mark.parametrize(
    ("needs", "setting"),
    [("USERNAME", "PRIVATE_KEY_FILE"), ("REFRESH_TOKEN", "REFRESH_TOKEN_FILE")],
)
def test_a_file_in_a_home_that_there_is_not(needs, setting, endpoint, server):
    """A path that begins with the home of no user names the setting; nothing is sent."""
    path = {f"SALESFORCE_{setting}": "~nobody-of-that-name/file"}
    spec = credentials(environ(server, "CLIENT_ID", needs, **path))

    with pytest.raises(errors.ConfigurationError, match=f"{setting} begins with a ~"):
        spec.sign_in(endpoint)
    assert [] == server.heard


def test_oauth_password(endpoint, server, granted):
    """The security token follows the password."""
    server.say(granted())
    names = ("CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD", "SECURITY_TOKEN")
    credentials(environ(server, *names)).sign_in(endpoint)

    assert "pass-word-1tok-en-2" == form(server.heard[0])["password"]


def test_soap(endpoint, server, reply, caplog):
    """User, password and token in XML, escaped; the host is the one of serverUrl, '-api' and all."""
    server.say(reply("soap_login"))
    odd = environ(server, "USERNAME", SALESFORCE_PASSWORD="a<&>b", SALESFORCE_SECURITY_TOKEN="t<k")
    session = credentials(odd).sign_in(endpoint)

    assert (
        Session(
            "https://acme-api.my.salesforce.com",
            "00Dx0000000BV7z!AR8AQAxo9UfVkh8AlV0Gomt9Czx9LjHnSSpwBMm",
        )
        == session
    )
    assert ("POST", "/services/Soap/u/64.0") == (server.heard[0].method, server.heard[0].path)
    assert b"<n1:password>a&lt;&amp;&gt;bt&lt;k</n1:password>" in server.heard[0].body
    assert "Summer '27" in caplog.text


def test_a_given_session(endpoint):
    """Nothing is asked."""
    spec = credentials(
        {
            "SALESFORCE_INSTANCE_URL": "https://acme.my.salesforce.com/",
            "SALESFORCE_ACCESS_TOKEN": " 00Dx!a ",
        }
    )

    assert Session("https://acme.my.salesforce.com", "00Dx!a") == spec.sign_in(endpoint)


def test_a_token_with_a_line_break(endpoint):
    """It would end the header: refused, not repeated."""
    spec = credentials(
        {"SALESFORCE_INSTANCE_URL": "https://a", "SALESFORCE_ACCESS_TOKEN": "00Dx\r\nHost: b"}
    )

    with pytest.raises(errors.ConfigurationError, match="SALESFORCE_ACCESS_TOKEN"):
        spec.sign_in(endpoint)


def test_a_whole_client_through_the_door(server, granted, answer):
    """Sign in, ask, expire, sign in again by the same way."""
    server.say(granted(), answer(401, [{"errorCode": "INVALID_SESSION_ID", "message": "x"}]),
               granted(access_token="00Dx!second"), answer(body={}))  # fmt: skip
    client = SalesforceClient(credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET")))

    assert {} == client.org_limits()
    assert "Bearer 00Dx!second" == server.heard[-1].headers["authorization"]
    assert (4, 2) == (len(server.heard), client.meter.calls.total())


def test_the_start_stays_light():
    """The client loads neither simple-salesforce nor cryptography nor dlt before they are needed."""
    heavy = "{'simple_salesforce','zeep','jwt','cryptography','dlt','pyarrow'}"
    code = (
        f"import sys, salesforce_targeted.api.bulk_job; print(sorted({heavy} & set(sys.modules)))"
    )
    more = f"import sys, salesforce_targeted.api.credentials.resolution; print(sorted(({heavy} - {{'dlt'}}) & set(sys.modules)))"
    modules = [_printed(c) for c in (code, more)]

    assert ["[]\n", "[]\n"] == modules


def test_an_import_of_the_source_loads_what_it_needs():
    """A scheduler imports it to see what there is; requests, drivers and drawing come with a run."""
    heavy = (
        "{'requests','simple_salesforce','jwt','cryptography','psycopg2','duckdb','rich','jinja2'}"
    )
    code = f"import sys, dlt; before = set(sys.modules); import salesforce_targeted.source; print(sorted({heavy} & (set(sys.modules) - before)))"

    assert "[]\n" == _printed(code)


def _printed(code):
    argv = [sys.executable, "-c", code]
    ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    return ran.stdout
