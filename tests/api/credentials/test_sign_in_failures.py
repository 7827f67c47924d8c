"""Sign-ins that fail: who is the likely culprit, what is tried again, and no secret in what is said."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from salesforce_targeted.api import errors
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.models import Response
from salesforce_targeted.api.refusals.error_responses import soap_refusal, token_refusal
from tests.api.conftest import load_sample
from tests.support.sign_in import EVERYTHING, SECRETS, credentials, environ, form


@pytest.mark.parametrize(
    ("status", "code", "description", "culprit"),
    [
        (400, "invalid_grant", "authentication failure", "The user, the password"),
        (400, "invalid_grant", "request not supported on this domain", "Wrong domain"),
        (400, "invalid_grant", "no client credentials user enabled", "Run As user"),
        (400, "invalid_grant", "user hasn't approved this consumer", "pre-authorize"),
        (400, "invalid_grant", "audience is invalid", "SALESFORCE_AUDIENCE"),
        (400, "invalid_grant", "invalid assertion", "The key"),
        (400, "invalid_grant", "expired access/refresh token", "refresh token"),
        (400, "invalid_grant", "inactive user", "inactive"),
        (400, "invalid_client_id", "client identifier invalid", "SALESFORCE_CLIENT_ID"),
        (401, "invalid_client", "invalid client credentials", "the secret has expired"),
        (400, "invalid_client_id", "External client app is not installed in this org", "install"),
        (400, "invalid_request", "refresh_token scope is required and ...", "OAuth scopes"),
        (400, "invalid_grant", "no valid scopes defined", "OAuth scopes"),
        (400, "OAUTH_APPROVAL_ERROR_GENERIC", "An unexpected error", "install the connected app"),
        (200, "invalid_grant", "authentication failure", "The user, the password"),
        (400, "unsupported_grant_type", "grant type not supported", "switched off"),
    ],
)
def test_the_likely_culprit(status, code, description, culprit, endpoint, server, answer):
    """One row per refusal of the token endpoint: what to look at."""
    server.say(answer(status, {"error": code, "error_description": description}))

    assert culprit in refused(endpoint, server)
    assert 1 == len(server.heard)


def test_a_host_that_is_not_salesforce(endpoint, server, answer):
    """A page instead of a refusal: the address is the likely culprit."""
    server.say(answer(404, "<html><title>Not here</title></html>"))

    assert "is it a Salesforce host?" in refused(endpoint, server)
    assert 1 == len(server.heard)


@pytest.mark.parametrize("token", ["00Dx!gr\u00e4nted", "00Dx!gran\nted", "00Dx! granted", " \n"])
def test_a_token_that_can_not_be_sent(token, server, answer, pauses):
    """It is refused where it comes from, once: the network and Salesforce's status have no part in it."""
    server.fallback = lambda _: answer(body={"access_token": token, "instance_url": server.url})
    spec = credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET"))
    client = SalesforceClient(spec, sleep=pauses.append)

    with pytest.raises(errors.AuthenticationError, match="characters that no token has") as caught:
        client.org_limits()
    assert (1, []) == (len(server.heard), pauses)
    assert "status.salesforce.com" not in str(caught.value)
    assert "granted" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_an_address_that_has_moved(status, endpoint, server, answer):
    """A renamed My Domain redirects: the secret is not sent after it, and the remedy says why."""
    headers = {"Location": "https://renamed.my.salesforce.com/services/oauth2/token"}
    server.say(answer(status, "", headers))

    with pytest.raises(errors.ConfigurationError, match="The address has moved"):
        credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET")).sign_in(endpoint)
    assert 1 == len(server.heard)


@pytest.mark.parametrize(
    ("code", "description"),
    [
        ("unknown_error", "retry your request"),
        ("invalid_grant", "token request is already being processed"),
    ],
)
def test_a_400_that_passes(code, description, endpoint, server, answer, granted, pauses):
    """The token endpoint has 400 for whatever it refuses, what passes as well: the code decides."""
    server.say(answer(400, {"error": code, "error_description": description}), granted())
    credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET")).sign_in(endpoint)

    assert (2, 1) == (len(server.heard), len(pauses))


@pytest.mark.parametrize(
    ("status", "body"), [(503, "<html>Maintenance</html>"), (429, ""), (500, "")]
)
def test_an_outage_does_not_blame_the_settings(status, body, endpoint, server, answer):
    """What to do about it is to wait."""
    server.fallback = lambda _: answer(status, body)

    with pytest.raises(errors.UnavailableError, match="Try again in some minutes") as caught:
        credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET")).sign_in(endpoint)
    assert "SALESFORCE_DOMAIN" not in str(caught.value)


def refused(endpoint, server) -> str:
    """Sign in with user and password, in vain; what is said then."""
    names = ("CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD")
    with pytest.raises(errors.AuthenticationError) as caught:
        credentials(environ(server, *names)).sign_in(endpoint)
    return str(caught.value)


@pytest.mark.parametrize(
    "grant", ["refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"]
)
def test_an_unknown_reason_still_names_a_culprit(grant):
    """Where Salesforce's words are new to us the way itself says what it could be."""
    answer = Response(400, {}, b'{"error":"invalid_grant","error_description":"new words"}')

    refusal = token_refusal(answer, grant)

    assert "new words" == refusal.text
    assert refusal.message.remedy


@pytest.mark.parametrize(
    ("code", "kind", "culprit"),
    [
        ("INVALID_LOGIN", errors.AuthenticationError, "security token"),
        ("LOGIN_MUST_USE_SECURITY_TOKEN", errors.AuthenticationError, "SALESFORCE_SECURITY_TOKEN"),
        ("PASSWORD_LOCKOUT", errors.AuthenticationError, "locked out"),
        ("LOGIN_CHALLENGE_ISSUED", errors.AuthenticationError, "verify this machine"),
        ("MUTUAL_AUTHENTICATION_FAILED", errors.AuthenticationError, "client certificate"),
        ("TRIAL_EXPIRED", errors.AuthenticationError, "trial"),
        ("INVALID_OPERATION", errors.AuthenticationError, "switched off"),
        ("UNSUPPORTED_API_VERSION", errors.AuthenticationError, "retired"),
        ("API_DISABLED_FOR_ORG", errors.PermissionDeniedError, "API Enabled"),
        ("SERVER_UNAVAILABLE", errors.UnavailableError, "status.salesforce.com"),
        ("NEW_CODE", errors.AuthenticationError, "Check the user"),
    ],
)
def test_soap_faults(code, kind, culprit, endpoint, server, reply):
    """A fault is a 500 with a reason in it: sent again only if that may help; with its culprit."""
    fault = reply("soap_fault")
    fault.data = fault.data.replace(b"INVALID_LOGIN", code.encode()).replace(
        fault.data[fault.data.index(b"Content-Length: ") : fault.data.index(b"\r\n\r\n")],
        b"Content-Length: %d"
        % len(fault.data.partition(b"\r\n\r\n")[2].replace(b"INVALID_LOGIN", code.encode())),
    )
    server.fallback = lambda _: fault
    spec = credentials(environ(server, "USERNAME", "PASSWORD", "SECURITY_TOKEN"))

    with pytest.raises(kind) as caught:
        spec.sign_in(endpoint)
    assert kind is type(caught.value)
    assert culprit in str(caught.value)
    assert code in str(caught.value)
    assert (3 if kind is errors.UnavailableError else 1) == len(server.heard)


@pytest.mark.parametrize(
    "fault",
    [
        "<faultcode>sf:INVALID_LOGIN</faultcode><faultstring>INVALID_LOGIN: Locked out.</faultstring>",
        '<sf:exceptionCode xsi:type="sf:ExceptionCode">INVALID_LOGIN</sf:exceptionCode>'
        '<sf:exceptionMessage xsi:type="xsd:string">Locked out.</sf:exceptionMessage>',
    ],
    ids=["without detail", "with attributes"],
)
def test_a_soap_fault_that_is_written_otherwise(fault, endpoint, server, answer):
    """A wrong password is sent once, whatever its fault looks like: the third time locks the user out."""
    body = f"<soapenv:Envelope><soapenv:Fault>{fault}</soapenv:Fault></soapenv:Envelope>"
    server.fallback = lambda _: answer(500, body, {"Content-Type": "text/xml"})

    with pytest.raises(errors.AuthenticationError, match="INVALID_LOGIN: Locked out") as caught:
        credentials(environ(server, "USERNAME", "PASSWORD")).sign_in(endpoint)
    assert "security token" in str(caught.value)
    assert 1 == len(server.heard)


@pytest.mark.parametrize("body", ["<html><title>Wi-Fi</title></html>", "", "no XML at all"])
def test_a_page_instead_of_a_soap_answer(body, endpoint, server, answer):
    """A captive portal says 200: our error, not one of an XML parser."""
    server.say(answer(200, body, {"Content-Type": "text/html"}))

    with pytest.raises(errors.SalesforceError):
        credentials(environ(server, "USERNAME", "PASSWORD")).sign_in(endpoint)


@pytest.mark.parametrize(
    "body",
    ["{}", '{"access_token":"x"}', '{"access_token":1,"instance_url":"https://a"}', "<html>", "[]"],
)
def test_a_token_answer_that_is_none(body, endpoint, server, answer):
    """A 200 without a token is no session."""
    server.say(answer(200, body))

    with pytest.raises(errors.SalesforceError):
        credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET")).sign_in(endpoint)


def test_an_instance_without_tls(endpoint, server, granted):
    """The token isn't carried to a host without TLS, wherever it is named."""
    server.say(granted(instance_url="http://evil.example"))

    with pytest.raises(errors.ConfigurationError, match="https"):
        credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET")).sign_in(endpoint)


def test_an_outage_is_tried_again(endpoint, server, answer, raw, granted, pauses):
    """5xx pages and resets: three attempts in all."""
    server.say(answer(503, "<html>"), raw(b"", "reset"), granted())
    credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET")).sign_in(endpoint)
    server.fallback = lambda _: answer(503)

    with pytest.raises(errors.UnavailableError, match="got no usable response"):
        credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET")).sign_in(endpoint)
    assert (6, 4) == (len(server.heard), len(pauses))


@pytest.mark.parametrize(
    ("case", "names"),
    [("token", ("CLIENT_ID", "CLIENT_SECRET")), ("soap_login", ("USERNAME", "PASSWORD"))],
)
@pytest.mark.parametrize("part", [0.3, 0.97])
def test_half_a_session_is_asked_for_again(part, case, names, endpoint, server, answer, reply):
    """It came with 200 and a Content-Length that fits: three attempts in all."""
    whole = load_sample(case)
    half = answer(200, whole.body[: int(len(whole.body) * part)], dict(whole.headers))
    spec = credentials(environ(server, *names))
    server.say(half, reply(case))
    token = spec.sign_in(endpoint).access_token
    server.fallback = lambda _: half

    assert token.encode() in whole.body
    with pytest.raises(errors.UnavailableError, match="HTTP 200, no whole response") as caught:
        spec.sign_in(endpoint)
    assert 2 + 3 == len(server.heard)
    assert token not in str(caught.value)


@pytest.mark.parametrize(("asks_for", "tried"), [("7", 2), ("600", 1)])
def test_a_pause_that_the_server_asks_for(
    asks_for, tried, endpoint, server, answer, granted, pauses
):
    """It is kept to, unless it is longer than a signed assertion is valid."""
    server.say(answer(503, "<html>", {"Retry-After": asks_for}), granted())
    signing_in = credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET"))
    if tried == 1:
        with pytest.raises(errors.UnavailableError, match="503"):
            signing_in.sign_in(endpoint)
    else:
        signing_in.sign_in(endpoint)

    assert tried == len(server.heard)
    assert [float(asks_for)] * (tried - 1) == pauses


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
def test_the_door_opens_to_sign_in_only(path, endpoint, server):
    """Nothing else passes it."""
    with pytest.raises(errors.ConfigurationError, match="only"):
        endpoint.post(server.url, path, b"", {}, soap_refusal)
    assert [] == server.heard


def test_a_failure_never_falls_back(endpoint, server, answer):
    """With settings for five ways the first is tried, and only that."""
    server.fallback = lambda _: answer(400, {"error": "invalid_grant", "error_description": "x"})
    settings = {
        k: v
        for k, v in EVERYTHING.items()
        if k not in ("SALESFORCE_ACCESS_TOKEN", "SALESFORCE_PRIVATE_KEY")
    }

    with pytest.raises(errors.AuthenticationError):
        credentials(
            settings
            | {"SALESFORCE_LOGIN_URL": server.url, "SALESFORCE_REFRESH_TOKEN_FILE": "/nowhere/x"}
        ).sign_in(endpoint)
    assert ["refresh_token"] == [form(h)["grant_type"] for h in server.heard]


@pytest.mark.parametrize("names", [("CLIENT_ID", "CLIENT_SECRET", "USERNAME", "PASSWORD", "SECURITY_TOKEN"),
                                   ("USERNAME", "PASSWORD", "SECURITY_TOKEN"), ("CLIENT_ID", "CLIENT_SECRET"),
                                   ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN")])  # fmt: skip
@pytest.mark.parametrize("echo", ["token", "soap"])
def test_no_failure_shows_a_secret(names, echo, endpoint, server, answer, caplog, tmp_path):
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

    server.fallback = parrot
    spec = credentials(
        environ(server, *names, SALESFORCE_REFRESH_TOKEN_FILE=str(tmp_path / "x"))
        if "REFRESH_TOKEN" in names
        else environ(server, *names)
    )
    with pytest.raises(errors.SalesforceError) as caught:
        spec.sign_in(endpoint)
    held = [SECRETS[f"SALESFORCE_{n}"] for n in names if f"SALESFORCE_{n}" in SECRETS]

    assert not any(secret in f"{caught.value}{caught.value!r}{caplog.text}" for secret in held)
    assert caught.value.__cause__ is None


def test_a_refused_sign_in_is_not_repeated_by_every_thread(endpoint, server, answer):
    """Eight calls at once with a wrong secret are one sign-in: more would lock the user out."""
    server.fallback = lambda _: answer(
        400, {"error": "invalid_grant", "error_description": "authentication failure"}
    )
    client = SalesforceClient(
        credentials(environ(server, "CLIENT_ID", "CLIENT_SECRET")), sleep=lambda _seconds: None
    )
    with ThreadPoolExecutor(8) as pool:
        tried = [pool.submit(client.org_limits) for _ in range(8)]

    assert {errors.AuthenticationError} == {type(call.exception()) for call in tried}
    assert 1 == len(server.heard)
