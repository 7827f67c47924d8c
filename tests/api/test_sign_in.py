"""Every way to sign in: what is sent where, and what is said when it fails."""

import json
import logging
import subprocess
import sys
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from salesforce_targeted.api import credentials as ways
from salesforce_targeted.api import errors
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.sign_in import Door, Session, login_origin, origin, refused_token
from salesforce_targeted.api.transport import Transport
from salesforce_targeted.api.wire import Response

SECRETS = {
    "SALESFORCE_PASSWORD": "pass-word-1", "SALESFORCE_SECURITY_TOKEN": "tok-en-2",
    "SALESFORCE_CLIENT_SECRET": "sec-ret-3", "SALESFORCE_REFRESH_TOKEN": "ref-resh-4",
    "SALESFORCE_ACCESS_TOKEN": "acc-ess-5", "SALESFORCE_PRIVATE_KEY": "pri-vate-6",
}  # fmt: skip
EVERYTHING = {**SECRETS, "SALESFORCE_USERNAME": "u@acme.example", "SALESFORCE_CLIENT_ID": "3MVG9-app",
              "SALESFORCE_DOMAIN": "acme", "SALESFORCE_INSTANCE_URL": "https://acme.my.salesforce.com"}  # fmt: skip


@pytest.fixture(scope="module")
def key():
    """An RSA key, as PEM and as an object."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made, pem.decode()


@pytest.fixture
def door(pauses):
    """The door for sign-in, without real pauses."""
    transport = Transport(connections=1, connect_seconds=2, read_seconds=2, total_seconds=10)
    yield Door(transport, sleep=pauses.append)
    transport.close()


@pytest.fixture
def granted(server, answer):
    """A token answer of the scripted server, with more members if wanted."""
    return lambda **more: answer(
        body={"access_token": "00Dx!granted", "instance_url": server.url, **more}
    )


def environ(server, *names, **values):
    """Make an environment that signs in at the scripted server."""
    return (
        {"SALESFORCE_LOGIN_URL": server.url}
        | {f"SALESFORCE_{n}": EVERYTHING[f"SALESFORCE_{n}"] for n in names}
        | values
    )


def form(heard) -> dict[str, str]:
    """Read the form that was posted to the token endpoint."""
    assert ("POST", "/services/oauth2/token") == (heard.method, heard.path)
    return {k: v for k, (v,) in parse_qs(heard.body.decode(), strict_parsing=True).items()}


# --- the ways ----------------------------------------------------------------------------------------


def test_client_credentials(door, server, granted):
    """The app's id and secret, in the body."""
    server.say(granted())
    spec = ways.from_environment(environ(server, "CLIENT_ID", "CLIENT_SECRET"))

    assert Session(server.url, "00Dx!granted") == spec.sign_in(door)
    assert {
        "grant_type": "client_credentials",
        "client_id": "3MVG9-app",
        "client_secret": "sec-ret-3",
    } == form(server.heard[0])


@pytest.mark.parametrize("domain", ["login", "test", ""])
def test_client_credentials_need_a_my_domain(domain, door):
    """Refused here, before Salesforce refuses it with a riddle."""
    spec = ways.from_environment(
        {"SALESFORCE_CLIENT_ID": "a", "SALESFORCE_CLIENT_SECRET": "b", "SALESFORCE_DOMAIN": domain}
    )

    with pytest.raises(errors.ConfigurationError, match="My Domain"):
        spec.sign_in(door)
    assert 0 == door.sign_ins


@pytest.mark.parametrize("how", ["text", "one line", "file"])
def test_jwt(how, door, server, granted, key, tmp_path):
    """A signed claim: the app, the user, the audience, three minutes."""
    made, pem = key
    server.say(granted())
    path = tmp_path / "key.pem"
    path.write_text(pem)
    given_as = {"text": {"SALESFORCE_PRIVATE_KEY": pem},
                "one line": {"SALESFORCE_PRIVATE_KEY": pem.replace("\n", "\\n")},
                "file": {"SALESFORCE_PRIVATE_KEY_FILE": str(path)}}[how]  # fmt: skip
    ways.from_environment(environ(server, "CLIENT_ID", "USERNAME", **given_as)).sign_in(door)
    sent = form(server.heard[0])
    claims = jwt.decode(sent["assertion"], made.public_key(), ["RS256"], audience=server.url)

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
    ],
)
def test_whom_a_jwt_is_for(base, audience):
    """Production, sandbox, or the site's own address."""
    assert audience == ways._audience(base)


@pytest.mark.parametrize(
    "text", ["pri-vate-6", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_a_key_that_is_none(text, door, server):
    """Said without repeating it; nothing is sent."""
    spec = ways.from_environment(
        environ(server, "CLIENT_ID", "USERNAME", SALESFORCE_PRIVATE_KEY=text)
    )

    with pytest.raises(errors.ConfigurationError, match="SALESFORCE_PRIVATE_KEY") as caught:
        spec.sign_in(door)
    assert text not in str(caught.value)
    assert [] == server.heard


def test_a_key_file_that_is_not_there(door, server):
    """The path is wrong: said with the reason."""
    spec = ways.from_environment(
        environ(server, "CLIENT_ID", "USERNAME", SALESFORCE_PRIVATE_KEY_FILE="/nowhere/x")
    )

    with pytest.raises(errors.ConfigurationError, match="No such file"):
        spec.sign_in(door)


def test_oauth_password(door, server, granted):
    """The security token follows the password."""
    server.say(granted())
    names = ("CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD", "SECURITY_TOKEN")
    ways.from_environment(environ(server, *names)).sign_in(door)

    assert "pass-word-1tok-en-2" == form(server.heard[0])["password"]


def test_soap(door, server, said, caplog):
    """User, password and token in XML, escaped; the host is the one of serverUrl, '-api' and all."""
    server.say(said("soap_login"))
    odd = environ(server, "USERNAME", SALESFORCE_PASSWORD="a<&>b", SALESFORCE_SECURITY_TOKEN="t<k")
    found = ways.from_environment(odd).sign_in(door)

    assert (
        Session(
            "https://acme-api.my.salesforce.com",
            "00Dx0000000BV7z!AR8AQAxo9UfVkh8AlV0Gomt9Czx9LjHnSSpwBMm",
        )
        == found
    )
    assert ("POST", "/services/Soap/u/64.0") == (server.heard[0].method, server.heard[0].path)
    assert b"<n1:password>a&lt;&amp;&gt;bt&lt;k</n1:password>" in server.heard[0].body
    assert "Summer '27" in caplog.text


def test_a_given_session(door):
    """Nothing is asked."""
    spec = ways.from_environment(
        {
            "SALESFORCE_INSTANCE_URL": "https://acme.my.salesforce.com/",
            "SALESFORCE_ACCESS_TOKEN": " 00Dx!a ",
        }
    )

    assert Session("https://acme.my.salesforce.com", "00Dx!a") == spec.sign_in(door)


def test_a_token_with_a_line_break(door):
    """It would end the header: refused, not repeated."""
    spec = ways.from_environment(
        {"SALESFORCE_INSTANCE_URL": "https://a", "SALESFORCE_ACCESS_TOKEN": "00Dx\r\nHost: b"}
    )

    with pytest.raises(errors.ConfigurationError, match="SALESFORCE_ACCESS_TOKEN"):
        spec.sign_in(door)


def test_a_whole_client_through_the_door(server, granted, answer):
    """Sign in, ask, expire, sign in again by the same way."""
    server.say(granted(), answer(401, [{"errorCode": "INVALID_SESSION_ID", "message": "x"}]),
               granted(access_token="00Dx!second"), answer(body={}))  # fmt: skip
    client = SalesforceClient(ways.from_environment(environ(server, "CLIENT_ID", "CLIENT_SECRET")))

    assert {} == client.org_limits()
    assert "Bearer 00Dx!second" == server.heard[-1].headers["authorization"]
    assert (2, 2) == (client.sign_ins, client.calls.total)


# --- refresh tokens ----------------------------------------------------------------------------------


def refreshing(server, tmp_path, **more):
    """Make refresh-token credentials with a file of their own."""
    spec = ways.from_environment(
        environ(server, "CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN", **more)
    )
    spec.refresh_token_file = str(tmp_path / "deep" / "token.json")
    return spec


def test_a_refresh_token_that_stays(door, server, granted, tmp_path):
    """Without rotation nothing is stored."""
    server.otherwise = lambda _: granted()
    spec = refreshing(server, tmp_path)
    spec.sign_in(door)
    spec.sign_in(door)

    assert ["ref-resh-4"] * 2 == [form(h)["refresh_token"] for h in server.heard]
    assert not (tmp_path / "deep" / "token.json").exists()


def test_a_rotated_refresh_token_survives_a_crash(door, server, granted, tmp_path):
    """The new token is on disk, mode 0600, and a new process with the old setting uses it."""
    server.say(
        granted(refresh_token="rotated-1"),
        granted(refresh_token="rotated-2"),
        granted(refresh_token="rotated-3"),
    )
    told = []
    spec = refreshing(server, tmp_path)
    spec.store_refresh_token = told.append
    spec.sign_in(door)
    spec.sign_in(door)
    refreshing(server, tmp_path).sign_in(door)
    file = tmp_path / "deep" / "token.json"

    assert ["ref-resh-4", "rotated-1", "rotated-2"] == [
        form(h)["refresh_token"] for h in server.heard
    ]
    assert ["rotated-1", "rotated-2"] == told
    assert 0o600 == file.stat().st_mode & 0o777
    assert "ref-resh-4" not in file.read_text()
    assert ["token.json", "token.json.lock"] == sorted(p.name for p in file.parent.iterdir())


def test_a_token_set_anew_wins_over_the_file(door, server, granted, tmp_path):
    """The file follows the old setting; a new setting begins anew."""
    server.say(granted(refresh_token="rotated-1"), granted())
    refreshing(server, tmp_path).sign_in(door)
    refreshing(server, tmp_path, SALESFORCE_REFRESH_TOKEN="brand-new").sign_in(door)

    assert "brand-new" == form(server.heard[1])["refresh_token"]


@pytest.mark.parametrize("content", ["", "{}", "[]", "\x00", '{"follows": 1, "refresh_token": 2}'])
def test_a_broken_token_file(content, door, server, granted, tmp_path):
    """The configured token is used."""
    server.say(granted())
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "token.json").write_text(content)
    refreshing(server, tmp_path).sign_in(door)

    assert "ref-resh-4" == form(server.heard[0])["refresh_token"]


def test_a_token_that_can_not_be_stored(door, server, granted, tmp_path, caplog):
    """Where nothing can be written the new token is kept in memory, with a warning without it."""
    (tmp_path / "deep").write_text("a file where a folder should be")
    server.say(granted(refresh_token="rotated-1"), granted())
    spec = refreshing(server, tmp_path)
    spec.sign_in(door)
    spec.sign_in(door)

    assert "rotated-1" == form(server.heard[1])["refresh_token"]
    assert "can't be stored" in caplog.text
    assert "rotated-1" not in caplog.text


def test_the_default_file_is_one_per_app_and_org(tmp_path, monkeypatch):
    """It lies in dlt's own folder, and its name tells nothing."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path))
    spec = ways.from_environment(
        {n: EVERYTHING[n] for n in ("SALESFORCE_CLIENT_ID", "SALESFORCE_REFRESH_TOKEN")}
    )
    one, other = spec._default_file("https://a"), spec._default_file("https://b")

    assert one.parent == other.parent
    assert "salesforce_targeted" == one.parent.name
    assert one != other
    assert "3MVG9" not in one.name


# --- failures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "culprit"),
    [
        (
            400,
            {"error": "invalid_grant", "error_description": "authentication failure"},
            "The user, the password",
        ),
        (
            400,
            {"error": "invalid_grant", "error_description": "request not supported on this domain"},
            "Wrong domain",
        ),
        (
            400,
            {"error": "invalid_grant", "error_description": "no client credentials user enabled"},
            "Run As user",
        ),
        (
            400,
            {"error": "invalid_grant", "error_description": "user hasn't approved this consumer"},
            "pre-authorize",
        ),
        (
            400,
            {"error": "invalid_grant", "error_description": "audience is invalid"},
            "Wrong domain",
        ),
        (400, {"error": "invalid_grant", "error_description": "invalid assertion"}, "The key"),
        (
            400,
            {"error": "invalid_grant", "error_description": "expired access/refresh token"},
            "refresh token",
        ),
        (400, {"error": "invalid_grant", "error_description": "inactive user"}, "inactive"),
        (
            400,
            {"error": "invalid_client_id", "error_description": "client identifier invalid"},
            "SALESFORCE_CLIENT_ID",
        ),
        (
            401,
            {"error": "invalid_client", "error_description": "invalid client credentials"},
            "SALESFORCE_CLIENT_SECRET",
        ),
        (
            400,
            {"error": "unsupported_grant_type", "error_description": "grant type not supported"},
            "switched off",
        ),
        (404, "<html><title>Not here</title></html>", "is it a Salesforce host?"),
        (302, "", "is it a Salesforce host?"),
    ],
)
def test_the_likely_culprit(status, body, culprit, door, server, answer):
    """One row per refusal of the token endpoint: what to look at."""
    server.say(answer(status, body))
    spec = ways.from_environment(
        environ(server, "CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD")
    )

    with pytest.raises(errors.AuthenticationError) as caught:
        spec.sign_in(door)
    assert culprit in str(caught.value)
    assert 1 == len(server.heard)


@pytest.mark.parametrize(
    "grant", ["refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"]
)
def test_an_unknown_reason_still_names_a_culprit(grant):
    """Where Salesforce's words are new to us the way itself says what it could be."""
    answer = Response(400, {}, b'{"error":"invalid_grant","error_description":"new words"}')

    assert "new words" in str(refused_token(answer, grant))
    assert refused_token(answer, grant).remedy != errors.AuthenticationError.default_remedy


@pytest.mark.parametrize(
    ("code", "kind", "culprit"),
    [
        ("INVALID_LOGIN", errors.AuthenticationError, "security token"),
        ("LOGIN_MUST_USE_SECURITY_TOKEN", errors.AuthenticationError, "SALESFORCE_SECURITY_TOKEN"),
        ("INVALID_OPERATION", errors.AuthenticationError, "switched off"),
        ("UNSUPPORTED_API_VERSION", errors.AuthenticationError, "retired"),
        ("API_DISABLED_FOR_ORG", errors.PermissionDeniedError, "API Enabled"),
        ("SERVER_UNAVAILABLE", errors.UnavailableError, "status.salesforce.com"),
        ("NEW_CODE", errors.AuthenticationError, "Check the user"),
    ],
)
def test_soap_faults(code, kind, culprit, door, server, said):
    """A fault is a 500 with an answer in it: not tried again, told with its culprit."""
    fault = said("soap_fault")
    fault.data = fault.data.replace(b"INVALID_LOGIN", code.encode()).replace(
        fault.data[fault.data.index(b"Content-Length: ") : fault.data.index(b"\r\n\r\n")],
        b"Content-Length: %d"
        % len(fault.data.partition(b"\r\n\r\n")[2].replace(b"INVALID_LOGIN", code.encode())),
    )
    server.say(fault)
    spec = ways.from_environment(environ(server, "USERNAME", "PASSWORD", "SECURITY_TOKEN"))

    with pytest.raises(kind) as caught:
        spec.sign_in(door)
    assert kind is type(caught.value)
    assert culprit in str(caught.value)
    assert code in str(caught.value)
    assert 1 == len(server.heard)


@pytest.mark.parametrize("body", ["<html><title>Wi-Fi</title></html>", "", "no XML at all"])
def test_a_page_instead_of_a_soap_answer(body, door, server, answer):
    """A captive portal says 200: our error, not one of an XML parser."""
    server.say(answer(200, body, {"Content-Type": "text/html"}))

    with pytest.raises(errors.SalesforceError):
        ways.from_environment(environ(server, "USERNAME", "PASSWORD")).sign_in(door)


@pytest.mark.parametrize(
    "body",
    ["{}", '{"access_token":"x"}', '{"access_token":1,"instance_url":"https://a"}', "<html>", "[]"],
)
def test_a_token_answer_that_is_none(body, door, server, answer):
    """A 200 without a token is no session."""
    server.say(answer(200, body))

    with pytest.raises(errors.SalesforceError):
        ways.from_environment(environ(server, "CLIENT_ID", "CLIENT_SECRET")).sign_in(door)


def test_an_instance_without_tls(door, server, granted):
    """The token isn't carried to a host without TLS, whoever names it."""
    server.say(granted(instance_url="http://evil.example"))

    with pytest.raises(errors.ConfigurationError, match="https"):
        ways.from_environment(environ(server, "CLIENT_ID", "CLIENT_SECRET")).sign_in(door)


def test_an_outage_is_tried_again(door, server, answer, raw, granted, pauses):
    """5xx pages and resets: three attempts in all."""
    server.say(answer(503, "<html>"), raw(b"", "reset"), granted())
    ways.from_environment(environ(server, "CLIENT_ID", "CLIENT_SECRET")).sign_in(door)
    server.otherwise = lambda _: answer(503)

    with pytest.raises(errors.UnavailableError, match="got no answer"):
        ways.from_environment(environ(server, "CLIENT_ID", "CLIENT_SECRET")).sign_in(door)
    assert (6, 4) == (len(server.heard), len(pauses))


@pytest.mark.parametrize(
    "path",
    [
        "/services/data/v64.0/query",
        "/services/oauth2/token/..",
        "/services/oauth2/token?x",
        "/services/oauth2/revoke",
        "/",
    ],
)
def test_the_door_opens_to_sign_in_only(path, door, server):
    """Nothing else passes it."""
    with pytest.raises(errors.ConfigurationError, match="only"):
        door.post(server.url, path, b"", {})
    assert [] == server.heard


def test_a_failure_never_falls_back(door, server, answer):
    """With settings for five ways the first is tried, and only that."""
    server.otherwise = lambda _: answer(400, {"error": "invalid_grant", "error_description": "x"})
    settings = {
        k: v
        for k, v in EVERYTHING.items()
        if k not in ("SALESFORCE_ACCESS_TOKEN", "SALESFORCE_PRIVATE_KEY")
    }

    with pytest.raises(errors.AuthenticationError):
        ways.from_environment(
            settings
            | {"SALESFORCE_LOGIN_URL": server.url, "SALESFORCE_REFRESH_TOKEN_FILE": "/nowhere/x"}
        ).sign_in(door)
    assert ["refresh_token"] == [form(h)["grant_type"] for h in server.heard]


# --- where ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "domain", "expected"),
    [
        (None, None, "https://login.salesforce.com"),
        (None, "login", "https://login.salesforce.com"),
        (None, "test", "https://test.salesforce.com"),
        (None, "acme", "https://acme.my.salesforce.com"),
        (None, "acme.my", "https://acme.my.salesforce.com"),
        (None, "Acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        (None, "acme--uat.sandbox.my", "https://acme--uat.sandbox.my.salesforce.com"),
        (None, "acme--uat", "https://acme--uat.sandbox.my.salesforce.com"),
        ("https://acme.my.salesforce.com/", "test", "https://acme.my.salesforce.com"),
        ("http://127.0.0.1:8000", None, "http://127.0.0.1:8000"),
        ("http://localhost:8000", None, "http://localhost:8000"),
        ("http://[::1]:8000", None, "http://[::1]:8000"),
    ],
)
def test_where_to_sign_in(url, domain, expected):
    """The URL wins over the domain; a My Domain is completed."""
    assert expected == login_origin(url, domain)


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("http://acme.my.salesforce.com", None), ("http://127.0.0.1.evil.example", None), ("http://localhost.evil.example", None),
        ("http://10.0.0.1", None), ("https://u:p@acme.my.salesforce.com", None), ("https://acme/x", None), ("https://a?b", None),
        ("https://a#b", None), ("acme", None), ("https://", None), ("https://a:b", None), ("https://evil\\@a", None),
        (None, "https://acme"), (None, "a/b"), (None, "a@b"), (None, "a..b/"), (None, "-a"), (None, "evil.example/#"),
    ],
)  # fmt: skip
def test_where_not_to_sign_in(url, domain):
    """Anything but an https origin, or a domain's name, is refused rather than mended."""
    with pytest.raises(errors.ConfigurationError):
        login_origin(url, domain)


@given(st.text(max_size=40))
def test_any_text_is_an_origin_or_refused(text):
    """No URL makes it fail otherwise, and what passes is https or loopback without path and user."""
    try:
        found = origin("https://" + text, "X")
    except errors.ConfigurationError:
        return
    assert found.startswith("https://")
    assert not set("/@?#\\ \t\r\n") & set(found.removeprefix("https://"))


# --- which way ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        ((), ways.SessionCredentials),
        (("ACCESS_TOKEN",), ways.JwtCredentials),
        (("ACCESS_TOKEN", "PRIVATE_KEY"), ways.RefreshTokenCredentials),
        (("ACCESS_TOKEN", "PRIVATE_KEY", "REFRESH_TOKEN"), ways.PasswordCredentials),
        (("ACCESS_TOKEN", "PRIVATE_KEY", "CLIENT_SECRET", "CLIENT_ID"), ways.SoapCredentials),
        (("ACCESS_TOKEN", "PRIVATE_KEY", "REFRESH_TOKEN", "PASSWORD"), ways.ClientCredentials),
    ],
)
def test_which_way_is_taken(without, expected):
    """The first that is complete, in the design's order; said in one sentence without a value."""
    environ = {k: v for k, v in EVERYTHING.items() if k.removeprefix("SALESFORCE_") not in without}
    sentence = ways.describe_choice(environ)

    assert expected is type(ways.from_environment(environ))
    assert expected.way in sentence
    assert not any(value in sentence for value in environ.values())


@pytest.mark.parametrize(
    ("environ", "lacks"),
    [
        ({}, "SALESFORCE_CLIENT_ID and SALESFORCE_CLIENT_SECRET"),
        ({"SALESFORCE_USERNAME": "u"}, "SALESFORCE_PASSWORD"),
        ({"SALESFORCE_CLIENT_ID": "i"}, "SALESFORCE_REFRESH_TOKEN"),
        ({"SALESFORCE_CLIENT_SECRET": "i"}, "SALESFORCE_CLIENT_ID"),
        ({"SALESFORCE_ACCESS_TOKEN": "i", "SALESFORCE_PASSWORD": " "}, "SALESFORCE_INSTANCE_URL"),
    ],
)
def test_what_is_missing(environ, lacks):
    """Incomplete settings: what the nearest way lacks, and where to set it."""
    with pytest.raises(errors.ConfigurationError, match=lacks) as caught:
        ways.from_environment(environ)
    assert ".dlt/secrets.toml" in str(caught.value)
    assert lacks in ways.describe_choice(environ)


def test_a_spec_made_by_hand_says_what_it_lacks(door):
    """A spec with a hole isn't sent."""
    with pytest.raises(errors.ConfigurationError, match="SALESFORCE_CLIENT_SECRET"):
        ways.ClientCredentials(client_id="a").sign_in(door)


# --- silence -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [*ways.WAYS, ways.EnvironmentCredentials])
def test_no_spec_shows_a_secret(way):
    """Neither repr nor str, nor in a list, nor in a format."""
    spec = way()
    for setting in way.takes:
        setattr(spec, setting, EVERYTHING.get(f"SALESFORCE_{setting.upper()}", "other"))
    shown = f"{spec!r} {spec} {[spec]} {Session('https://a', 'acc-ess-5')!r}"

    assert not any(secret in shown for secret in SECRETS.values())


@pytest.mark.parametrize("names", [("CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD", "SECURITY_TOKEN"),
                                   ("USERNAME", "PASSWORD", "SECURITY_TOKEN"), ("CLIENT_ID", "CLIENT_SECRET"),
                                   ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN")])  # fmt: skip
@pytest.mark.parametrize("echo", ["token", "soap"])
def test_no_failure_shows_a_secret(names, echo, door, server, answer, caplog, tmp_path):
    """A server that echoes all it was sent, as an error: nothing of it in the error or the log."""
    caplog.set_level(logging.DEBUG)

    def parrot(heard):
        text = heard.body.decode()
        if echo == "token":
            return answer(
                400,
                {"error": "invalid_grant", "error_description": " ".join(SECRETS.values()) + text},
            )
        return answer(
            500,
            f"<sf:exceptionCode>INVALID_LOGIN</sf:exceptionCode><sf:exceptionMessage>{' '.join(SECRETS.values())}</sf:exceptionMessage>",
        )

    server.otherwise = parrot
    spec = ways.from_environment(
        environ(server, *names, SALESFORCE_REFRESH_TOKEN_FILE=str(tmp_path / "x"))
        if "REFRESH_TOKEN" in names
        else environ(server, *names)
    )
    with pytest.raises(errors.SalesforceError) as caught:
        spec.sign_in(door)
    held = [SECRETS[f"SALESFORCE_{n}"] for n in names if f"SALESFORCE_{n}" in SECRETS]

    assert not any(secret in f"{caught.value}{caught.value!r}{caplog.text}" for secret in held)
    assert caught.value.__cause__ is None


def test_the_start_stays_light():
    """The client loads neither simple-salesforce nor cryptography nor dlt before they are needed."""
    heavy = "{'simple_salesforce','zeep','jwt','cryptography','dlt','pyarrow'}"
    code = f"import sys, salesforce_targeted.api.bulk; print(sorted({heavy} & set(sys.modules)))"
    more = f"import sys, salesforce_targeted.api.credentials; print(sorted(({heavy} - {{'dlt'}}) & set(sys.modules)))"
    found = [
        subprocess.run([sys.executable, "-c", c], capture_output=True, text=True, check=True).stdout
        for c in (code, more)
    ]

    assert ["[]\n", "[]\n"] == found
    assert json.dumps(found)
