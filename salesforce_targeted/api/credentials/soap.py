"""Sign in by SOAP login(), with simple-salesforce, through our endpoint.

Salesforce retires it in Summer '27 and it is off in new orgs.
Sources: SOAP API Developer Guide, "login()"; help article 005132110.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from salesforce_targeted.api.errors import (
    AuthenticationError,
    PermissionDeniedError,
    QuotaExceededError,
    SalesforceError,
    TruncatedAnswerError,
    UnavailableError,
)
from salesforce_targeted.api.login import LoginEndpoint, Session, origin
from salesforce_targeted.api.models import Response

# SOAP API Developer Guide, "ExceptionCode"; what INVALID_OPERATION means here is from memory.
_FAULTS: dict[str, tuple[type[SalesforceError], str]] = {
    "INVALID_LOGIN": (
        AuthenticationError,
        (
            "The user, the password or the security token (it changes with each new password); or "
            "the user is locked out; or the domain: users of a sandbox sign in at test "
            "(SALESFORCE_DOMAIN)."
        ),
    ),
    "LOGIN_MUST_USE_SECURITY_TOKEN": (
        AuthenticationError,
        "The security token: set SALESFORCE_SECURITY_TOKEN (Salesforce mails it on a reset).",
    ),
    "INVALID_OPERATION_WITH_EXPIRED_PASSWORD": (
        AuthenticationError,
        "The password has expired: the user must set a new one, which changes the token as well.",
    ),
    "INVALID_OPERATION": (
        AuthenticationError,
        "This org has SOAP login switched off: use OAuth (client credentials or JWT).",
    ),
    "UNSUPPORTED_API_VERSION": (
        AuthenticationError,
        "SOAP login is retired here: use OAuth (client credentials or JWT).",
    ),
    "LOGIN_DURING_RESTRICTED_DOMAIN": (
        AuthenticationError,
        "The network: the user's profile doesn't allow signing in from this address.",
    ),
    "LOGIN_DURING_RESTRICTED_TIME": (
        AuthenticationError,
        "The time: the user's profile doesn't allow signing in at this hour.",
    ),
    "API_DISABLED_FOR_ORG": (
        PermissionDeniedError,
        "An admin must give the user API Enabled; some editions have no API.",
    ),
    "API_CURRENTLY_DISABLED": (PermissionDeniedError, "An admin must enable the API."),
    "LOGIN_RATE_EXCEEDED": (QuotaExceededError, "Too many sign-ins: wait an hour."),
    "REQUEST_LIMIT_EXCEEDED": (QuotaExceededError, ""),
    "SERVER_UNAVAILABLE": (UnavailableError, ""),
}


@dataclass(frozen=True, slots=True)
class _Answer:
    status_code: int
    content: bytes


class _LoginSession:
    """Be what simple-salesforce calls its session: ``post`` alone, through our endpoint."""

    def __init__(self, endpoint: LoginEndpoint, origin_url: str) -> None:
        self.response: Response | None = None
        self._endpoint = endpoint
        self._origin_url = origin_url

    def post(self, url: str, data: str, headers: Mapping[str, str], proxies: Any) -> _Answer:  # noqa: ARG002  # their signature
        path = urlsplit(url).path
        self.response = self._endpoint.post(self._origin_url, path, data.encode(), headers)
        return _Answer(self.response.status, self.response.body)


def login(
    endpoint: LoginEndpoint, origin_url: str, username: str, password: str, security_token: str
) -> Session:
    """Sign in with user, password and security token ("" from a trusted network).

    Raises:
        AuthenticationError: which of them is wrong, as far as Salesforce says.
    """
    # Here and not above: it takes a third of a second to import, and few sign in this way.
    from simple_salesforce.exceptions import SalesforceError as Refused
    from simple_salesforce.login import SalesforceLogin

    session: Any = _LoginSession(endpoint, origin_url)
    try:
        token, _ = SalesforceLogin(
            username=username,
            password=password,
            # It escapes the user and the password for XML, but not the token.
            security_token=html.escape(security_token),
            session=session,
            sf_version=endpoint.limits.newest_soap_login,
            scratch_url=origin_url,
        )
    except SalesforceError:
        raise
    except Refused:
        raise _refused(session.response, (username, password, security_token)) from None
    except Exception:  # noqa: BLE001  # its XML parser raises what it likes on HTML
        raise TruncatedAnswerError("the response to the SOAP login can't be read") from None
    return Session(_instance(session.response), token)


def _instance(response: Response) -> str:
    # Not the host that simple-salesforce returns: it cuts every "-api" out of it, acme-api.my as
    # well.
    found = re.search(rb"<(?:\w+:)?serverUrl>([^<]+)<", response.body)
    parts = urlsplit(html.unescape(found[1].decode("utf-8", "replace")) if found else "")
    return origin(f"{parts.scheme}://{parts.netloc}", "the serverUrl that Salesforce sent")


def _refused(response: Response | None, secrets: tuple[str, ...]) -> SalesforceError:
    body = response.body.decode("utf-8", "replace") if response else ""
    code = _element(body, "exceptionCode") or ""
    text = _element(body, "exceptionMessage") or ""
    status = response.status if response else None
    kind, remedy = _FAULTS.get(code, (AuthenticationError, ""))
    if not code:
        return AuthenticationError(
            f"the SOAP login got HTTP {status} and no reason",
            remedy="Check SALESFORCE_DOMAIN or SALESFORCE_LOGIN_URL: is it a Salesforce host?",
            status=status,
        )
    message = text.removeprefix(f"{code}: ") or "sign-in refused"
    error = kind(message, remedy=remedy, call="SOAP login", error_code=code, status=status)
    return error.without(secrets)


def _element(body: str, name: str) -> str | None:
    found = re.search(rf"<(?:\w+:)?{name}>([^<]*)<", body)
    return html.unescape(found[1]).strip() if found else None
