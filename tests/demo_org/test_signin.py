"""Ways to sign in and the words they are refused with."""

from __future__ import annotations

import base64
import json
import time

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

USER = "integration@demo.example"
CLIENT = {"client_id": "demo-client-id", "client_secret": "demo-client-secret"}
JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def token(server, headers=None, **form):
    """POST to the token endpoint."""
    url = server.url + "/services/oauth2/token"
    with requests.Session() as session:
        session.trust_env = False
        return session.post(url, data=form, headers=headers, timeout=10)


def assertion(key, **changes):
    """Return a signed JWT with the claims that Salesforce wants, but for *changes*."""
    claims = {"iss": "demo-client-id", "sub": USER, "aud": "https://login.salesforce.com",
              "exp": str(int(time.time()) + 120)} | changes  # fmt: skip
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
             for part in ({"alg": "RS256"}, claims)]  # fmt: skip
    signed = key.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())
    return b".".join([*parts, base64.urlsafe_b64encode(signed).rstrip(b"=")]).decode()


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def test_each_grant_gives_a_session_that_works(org, server, rest):
    """No expires_in, no Sforce-Limit-Info, nothing billed."""
    grants = [
        token(server, grant_type="client_credentials", **CLIENT),
        token(server, grant_type="password", username=USER,
              password="demo-passwordSECURITYTOKEN", **CLIENT),
        token(server, grant_type="refresh_token", refresh_token="demo-refresh-token", **CLIENT),
    ]  # fmt: skip

    for answer in grants:
        body = answer.json()
        assert 200 == answer.status_code
        assert server.url == body["instance_url"]
        assert "expires_in" not in body
        assert "Sforce-Limit-Info" not in answer.headers
        assert 0 == org.billed
        rest.session.headers["Authorization"] = f"Bearer {body['access_token']}"
        assert USER != rest.get("/services/oauth2/userinfo").json()["name"]


def test_client_credentials_by_basic_header(server):
    """As simple-salesforce sends them."""
    basic = base64.b64encode(b"demo-client-id:demo-client-secret").decode()
    answer = token(server, {"Authorization": f"Basic {basic}"}, grant_type="client_credentials")

    assert 200 == answer.status_code


@pytest.mark.parametrize(
    ("form", "error", "text"),
    [
        ({"grant_type": "password", "username": USER, "password": "demo-password", **CLIENT},
         "invalid_grant", "authentication failure"),
        ({"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"},
         "invalid_client_id", "client identifier invalid"),
        ({"grant_type": "client_credentials", "client_id": "demo-client-id", "client_secret": "y"},
         "invalid_client", "invalid client credentials"),
        ({"grant_type": "refresh_token", "refresh_token": "old", **CLIENT},
         "invalid_grant", "expired access/refresh token"),
        ({"grant_type": JWT, "assertion": "nonsense"}, "invalid_grant", "invalid assertion"),
        ({"grant_type": "magic"}, "unsupported_grant_type", "grant type not supported"),
        ({}, "unsupported_grant_type", "grant type not supported"),
    ],
)  # fmt: skip
def test_refusals_are_an_object_with_error_and_description(server, form, error, text):
    """Not the list that REST answers."""
    answer = token(server, **form)

    assert 400 == answer.status_code
    assert {"error": error, "error_description": text} == answer.json()


def test_client_credentials_need_my_domain_and_a_user(org, server):
    """On login.salesforce.com, or without a run-as user, they are refused."""
    org.client_credentials_user = False
    no_user = token(server, grant_type="client_credentials", **CLIENT).json()
    org.my_domain = False
    no_domain = token(server, grant_type="client_credentials", **CLIENT).json()

    assert "no client credentials user enabled" == no_user["error_description"]
    assert "request not supported on this domain" == no_domain["error_description"]


def test_a_rotated_refresh_token_is_good_once(org, server):
    """The reply carries the next one."""
    org.rotate_refresh_tokens = True
    form = {"grant_type": "refresh_token", **CLIENT}
    first = token(server, refresh_token="demo-refresh-token", **form).json()
    repeat = token(server, refresh_token="demo-refresh-token", **form)
    second = token(server, refresh_token=first["refresh_token"], **form)

    assert 400 == repeat.status_code
    assert 200 == second.status_code
    assert first["refresh_token"] != second.json()["refresh_token"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, None),
        ({"sub": "stranger@example.com"}, "user hasn't approved this consumer"),
        ({"aud": "https://example.com"}, "audience is invalid"),
        ({"exp": 1}, "expired authorization code"),
        ({"exp": 9_999_999_999}, "expired authorization code"),
        ({"iss": "another app"}, "client identifier invalid"),
    ],
)
def test_jwt_claims_are_checked(server, key, changes, text):
    """Issuer, subject, audience, and an end within three minutes."""
    answer = token(server, grant_type=JWT, assertion=assertion(key, **changes)).json()

    assert text == answer.get("error_description")
    assert (text is None) is ("access_token" in answer)


def test_jwt_signatures_are_checked_when_the_key_is_known(org, server, key):
    """RS256, with the certificate of the connected app."""
    org.jwt_public_key = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    assert 200 == token(server, grant_type=JWT, assertion=assertion(key)).status_code
    assert 400 == token(server, grant_type=JWT, assertion=assertion(other)).status_code


@pytest.mark.parametrize(
    ("version", "password", "expected"),
    [
        ("64.0", "demo-passwordSECURITYTOKEN", "<sessionId>00D"),
        ("65.0", "demo-passwordSECURITYTOKEN", "UNSUPPORTED_API_VERSION"),
        ("30.0", "demo-passwordSECURITYTOKEN", "UNSUPPORTED_API_VERSION"),
        ("64.0", "wrong", "<sf:exceptionCode>INVALID_LOGIN</sf:exceptionCode>"),
        ("64.0", "demo-password", "LOGIN_MUST_USE_SECURITY_TOKEN"),
    ],
)
def test_soap_login_exists_up_to_64(server, version, password, expected):
    """A fault is HTTP 500."""
    envelope = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        f'<login xmlns="urn:partner.soap.sforce.com"><username>{USER}</username>'
        f"<password>{password}</password></login></e:Body></e:Envelope>"
    )
    with requests.Session() as session:
        session.trust_env = False
        url = f"{server.url}/services/Soap/u/{version}"
        answer = session.post(url, data=envelope, headers={"SOAPAction": "login"}, timeout=10)

    assert (500 if "sessionId" not in expected else 200) == answer.status_code
    assert expected in answer.text


def test_an_expired_session_is_401_until_somebody_signs_in(org, server, rest):
    """org.expire_sessions ends all of them."""
    org.expire_sessions()

    assert 401 == rest.get("limits").status_code
    rest.session.headers["Authorization"] = f"Bearer {org.issue_token()}"
    assert 200 == rest.get("limits").status_code
