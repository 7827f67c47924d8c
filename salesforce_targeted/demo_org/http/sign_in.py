"""Ways into the org: OAuth grants, SOAP login, and what a session is checked for.

Rules:
- OAuth errors are an object with ``error`` and ``error_description``, never the REST list.
- A token reply has no ``expires_in`` and no Sforce-Limit-Info; signing in is not billed.

Source: Salesforce help, "OAuth Authorization Flows"; SOAP API Developer Guide, "login()"; its
retirement with v65.0: Salesforce help 005132110.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import orjson

from salesforce_targeted.demo_org.http.exchange import Reply, Request, reply
from salesforce_targeted.demo_org.refusals import Refused

if TYPE_CHECKING:
    from salesforce_targeted.demo_org.storage.state import OrgState

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
JWT_LIFE_SECONDS = 300  # 3 minutes and what clocks may differ
FIRST_SOAP, LAST_SOAP = 31, 64
_PARTNER = "{urn:partner.soap.sforce.com}"


def check_session(org: OrgState, request: Request) -> None:
    """Refuse a request without a valid session.

    Raises:
        Refused: 401 INVALID_AUTH_HEADER or INVALID_SESSION_ID.
    """
    kind = request.headers.get("authorization", "").partition(" ")[0]
    if kind not in ("Bearer", "OAuth") or not request.token:
        raise Refused(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE")
    if request.token not in org.sessions:
        raise Refused(401, "INVALID_SESSION_ID", "Session expired or invalid")
    if request.token in org.sessions_with_expired_password:
        code = "INVALID_OPERATION_WITH_EXPIRED_PASSWORD"  # [K] that REST refuses it in this way
        raise Refused(403, code, "The users password has expired, you must call SetPassword before "
                                 "attempting any other API operations")  # fmt: skip


# -------------------------------------------------------------------- OAuth
class _Denied(Exception):  # noqa: N818 - as refusals.Refused
    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.description, self.status = error, description, status


def token(org: OrgState, request: Request) -> Reply:
    """``POST /services/oauth2/token``: password, client_credentials, JWT bearer, refresh_token."""
    form = {k: v[-1] for k, v in parse_qs(request.body.decode("utf-8", "replace")).items()}
    grants = {
        "password": _password, "client_credentials": _client_credentials, JWT_GRANT: _jwt,
        "refresh_token": _refresh,
    }  # fmt: skip
    grant = grants.get(form.get("grant_type", ""), _unsupported)
    try:
        extra = grant(org, request, form)
    except _Denied as denied:
        body = {"error": denied.error, "error_description": denied.description}
        return reply(body, denied.status)
    user = org.tables["User"].numbering.id_of(0)
    origin = f"http://{request.headers.get('host', '127.0.0.1')}"
    return reply({
        "access_token": org.issue_token(), "signature": "c2lnbmVkIGJ5IG5vYm9keQ==",
        "scope": "api refresh_token", "instance_url": origin,
        "id": f"{origin}/id/{org.org_id}/{user}", "token_type": "Bearer",
        "issued_at": str(int(org.now.timestamp() * 1000)), **extra,
    })  # fmt: skip


def _unsupported(_org: OrgState, _request: Request, _form: dict[str, str]) -> dict[str, str]:
    raise _Denied("unsupported_grant_type", "grant type not supported")


def _client(org: OrgState, request: Request, form: dict[str, str]) -> None:
    client_id, secret = form.get("client_id"), form.get("client_secret")
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    if kind == "Basic":
        try:
            client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise _Denied("invalid_client", "invalid client credentials", 401) from None
    if client_id != org.client_id:
        raise _Denied("invalid_client_id", "client identifier invalid")
    if secret != org.client_secret:
        raise _Denied("invalid_client", "invalid client credentials")


def _password(org: OrgState, request: Request, form: dict[str, str]) -> dict[str, str]:
    _client(org, request, form)
    known = org.users_by_name.get(form.get("username", ""))
    if known is None or form.get("password") != known + org.security_token:
        raise _Denied("invalid_grant", "authentication failure")
    return {}


def _client_credentials(org: OrgState, request: Request, form: dict[str, str]) -> dict[str, str]:
    if not org.my_domain:
        raise _Denied("invalid_grant", "request not supported on this domain")
    _client(org, request, form)
    if not org.client_credentials_user:
        raise _Denied("invalid_grant", "no client credentials user enabled")
    return {}


def _refresh(org: OrgState, request: Request, form: dict[str, str]) -> dict[str, str]:
    _client(org, request, form)
    held = form.get("refresh_token", "")
    if held not in org.refresh_tokens:
        raise _Denied("invalid_grant", "expired access/refresh token")
    if not org.rotate_refresh_tokens:
        return {}
    renewed = f"{held.split('~')[0]}~{len(org.refreshes) + 1}"
    org.refreshes.append(renewed)
    org.refresh_tokens.remove(held)
    org.refresh_tokens.add(renewed)
    return {"refresh_token": renewed}


def _jwt(org: OrgState, request: Request, form: dict[str, str]) -> dict[str, str]:
    text = form.get("assertion", "")
    try:
        head, body, signature = text.split(".")
        header, claims = orjson.loads(_unpadded(head)), orjson.loads(_unpadded(body))
        expires = float(claims["exp"])  # simple-salesforce sends it as a text
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise _Denied("invalid_grant", "invalid assertion") from None
    if header.get("alg") != "RS256":
        raise _Denied("invalid_grant", "algorithm not supported, must use RS256")
    if claims.get("iss") != org.client_id:
        raise _Denied("invalid_client_id", "client identifier invalid")
    if claims.get("sub") not in org.users_by_name:
        raise _Denied("invalid_grant", "user hasn't approved this consumer")
    origin = f"http://{request.headers.get('host', '')}"
    if claims.get("aud") not in ("https://login.salesforce.com", "https://test.salesforce.com",
                                 origin, origin.replace("http:", "https:")):  # fmt: skip
        raise _Denied("invalid_grant", "audience is invalid")
    if not time.time() < expires < time.time() + JWT_LIFE_SECONDS:
        raise _Denied("invalid_grant", "expired authorization code")
    if org.jwt_public_key is not None and not _signed(
        f"{head}.{body}".encode(), _unpadded(signature), org.jwt_public_key
    ):
        raise _Denied("invalid_grant", "invalid assertion")
    return {}


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _signed(message: bytes, signature: bytes, key: bytes) -> bool:
    """Return whether RS256 holds; where ``cryptography`` is not installed, it is taken to hold."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding
    except ImportError:
        return True
    public: Any = serialization.load_pem_public_key(key)
    try:
        public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def userinfo(org: OrgState) -> Reply:
    """``GET /services/oauth2/userinfo``."""
    if not org.traits.identity_scope:
        return Reply(403, b"Missing_OAuth_Scope", "text/plain;charset=utf-8")
    user = org.tables["User"].row(0) or {}
    return reply({"sub": user.get("Id"), "user_id": user.get("Id"), "organization_id": org.org_id,
                  "preferred_username": user.get("Username"), "name": user.get("Name"),
                  "email": user.get("Email"), "zoneinfo": "America/Los_Angeles"})  # fmt: skip


# -------------------------------------------------------------------- SOAP
_FAULT = (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv='
    '"http://schemas.xmlsoap.org/soap/envelope/" xmlns:sf="urn:fault.partner.soap.sforce.com" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><soapenv:Fault>'
    "<faultcode>{code}</faultcode><faultstring>{code}: {text}</faultstring><detail>"
    '<sf:LoginFault xsi:type="sf:LoginFault"><sf:exceptionCode>{code}</sf:exceptionCode>'
    "<sf:exceptionMessage>{text}</sf:exceptionMessage></sf:LoginFault></detail></soapenv:Fault>"
    "</soapenv:Body></soapenv:Envelope>"
)
_LOGIN = (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv='
    '"http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><loginResponse><result>'
    "<metadataServerUrl>{origin}/services/Soap/m/{version}/{org}</metadataServerUrl>"
    "<passwordExpired>{expired}</passwordExpired><sandbox>false</sandbox>"
    "<serverUrl>{origin}/services/Soap/u/{version}/{org}</serverUrl>"
    "<sessionId>{session}</sessionId><userId>{user}</userId><userInfo>"
    "<organizationId>{org}</organizationId><sessionSecondsValid>7200</sessionSecondsValid>"
    "<userId>{user}</userId><userName>{name}</userName></userInfo></result></loginResponse>"
    "</soapenv:Body></soapenv:Envelope>"
)
_XML = "text/xml;charset=utf-8"
_WRONG = "Invalid username, password, security token; or user locked out."


def _fault(code: str, text: str) -> Reply:
    return Reply(500, _FAULT.format(code=code, text=escape(text)).encode(), _XML)


def soap(org: OrgState, request: Request) -> Reply:
    """``POST /services/Soap/u/NN.0``: login, and nothing else."""
    path = re.match(r"/services/Soap/[uc]/(\d+)(?:\.0)?(?:/|\Z)", request.path)
    if path is None or not FIRST_SOAP <= int(path[1]) <= LAST_SOAP:
        return _fault("UNSUPPORTED_API_VERSION", "login() is not available in this API version")
    try:
        root = ET.fromstring(request.body)  # noqa: S314 - the client is ours
    except ET.ParseError:
        return _fault("UNKNOWN_EXCEPTION", "the envelope is not XML")
    login = root.find(f".//{_PARTNER}login")
    if login is None:
        org.writes_attempted.append(f"SOAP {request.path}")
        return _fault("INVALID_OPERATION", "only login is modelled")
    name = login.findtext(f"{_PARTNER}username") or ""
    password = login.findtext(f"{_PARTNER}password") or ""
    known = org.users_by_name.get(name)
    if known is not None and password == known and org.security_token:
        return _fault("LOGIN_MUST_USE_SECURITY_TOKEN", _WRONG)
    if known is None or password != known + org.security_token:
        return _fault("INVALID_LOGIN", _WRONG)
    session, expired = org.issue_token(), org.traits.password_expired
    if expired:
        org.sessions_with_expired_password.add(session)
    body = _LOGIN.format(
        origin=f"http://{request.headers.get('host', '127.0.0.1')}", version=path[1] + ".0",
        org=org.org_id, session=session, name=escape(name), expired=str(expired).lower(),
        user=org.tables["User"].numbering.id_of(0),
    )  # fmt: skip
    return Reply(200, body.encode(), _XML)
