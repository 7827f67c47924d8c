"""Send sign-ins: the only place that sends requests with a password in them.

Rules:
1. It posts to ``/services/oauth2/token`` and ``/services/Soap/u/NN.0`` of one origin and nowhere
   else.
2. ``https://`` always; ``http://`` only to a loopback address. No redirect is followed.
3. An error says which of user, password, token, key, app and domain is the likely culprit, and
   never repeats one of them.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlencode, urlsplit

from salesforce_targeted.api.errors import (
    AuthenticationError,
    ConfigurationError,
    SalesforceError,
    UnavailableError,
    scrub,
)
from salesforce_targeted.api.limits import DOCUMENTED, Limits
from salesforce_targeted.api.models import Response
from salesforce_targeted.api.readers import json_object
from salesforce_targeted.api.transport import Transport, TransportError, is_loopback

_log = logging.getLogger(__name__)

_SERVER_ERRORS = 500
CERTIFICATE_REMEDY = (
    "Check the address; behind a proxy that opens TLS, set REQUESTS_CA_BUNDLE to its certificate."
)
STALE_REMEDY = "Set a new SALESFORCE_ACCESS_TOKEN, or sign in by another way."
_PATH = re.compile(r"/services/(oauth2/token|Soap/u/\d{2}\.0)\Z", re.ASCII)
# A JWT tells its org nowhere. Source: Salesforce Help, "OAuth 2.0 Web Server Flow".
_WITH_ORG_ID = re.compile(r"(00D\w{12})(?:\w{3})?!", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,80}\Z", re.ASCII)
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Session:
    """Hold a session: where the org is and the token for it."""

    instance_url: str
    access_token: str = field(repr=False)

    @property
    def org_id(self) -> str | None:
        """The 15 characters of the org's id, which a token that is no JWT begins with."""
        found = _WITH_ORG_ID.match(self.access_token)
        return found[1] if found else None


class Credentials(Protocol):
    """Be what ``SalesforceClient`` needs of credentials."""

    def sign_in(self, endpoint: "LoginEndpoint") -> Session:
        """Get a session, through the endpoint or without it."""


def origin(url: str, setting: str) -> str:
    """Reduce the URL to scheme, host and port; anything else in it is refused rather than dropped.

    Raises:
        ConfigurationError: no https (http only on loopback), a path, a user, a query.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError(f"{setting} is no URL") from None
    if "://" not in url:
        raise ConfigurationError(
            f"{setting} does not begin with https://", remedy="Write it as https://host."
        )
    if parts.username or parts.password:
        raise ConfigurationError(f"{setting} must not hold a user or a password")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "\\" in url or not host:
        raise ConfigurationError(
            f"{setting} must be an origin and no more", remedy="Write it as https://host."
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigurationError(
            f"{setting} must begin with https://", remedy="http:// is accepted on loopback only."
        )
    shown = f"[{host}]" if ":" in host else host
    if not re.fullmatch(r"[A-Za-z0-9.\-]+|\[[0-9a-fA-F:.]+\]", shown, re.ASCII):
        raise ConfigurationError(f"{setting} has a host that can't be one")
    return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")


def login_origin(login_url: str | None, domain: str | None) -> str:
    """Return where to sign in: SALESFORCE_LOGIN_URL if set, else what SALESFORCE_DOMAIN means.

    "login" (the default) and "test" are Salesforce's own hosts; any other name is a My Domain:
    "acme", "acme.my", "acme--uat.sandbox.my".

    Raises:
        ConfigurationError: neither a URL nor a domain name.
    """
    if login_url:
        return origin(login_url, "SALESFORCE_LOGIN_URL")
    name = (domain or "login").strip().lower().removesuffix(".salesforce.com")
    if not _DOMAIN.match(name):
        raise ConfigurationError(
            "SALESFORCE_DOMAIN is no domain name",
            remedy="Give login, test or a My Domain name such as acme.my; a URL belongs into "
            "SALESFORCE_LOGIN_URL.",
        )
    if name not in ("login", "test") and not name.endswith(".my"):
        # "acme" means acme.my; a sandbox is acme--uat.sandbox.my, and "acme--uat" alone isn't
        # served.
        name += ".sandbox.my" if "--" in name and "." not in name else ".my"
    return f"https://{name}.salesforce.com"


class LoginEndpoint:
    """Post a sign-in and return the response, retried where that can help."""

    def __init__(
        self,
        transport: Transport,
        *,
        limits: Limits = DOCUMENTED,
        attempts: int = 3,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.limits = limits
        self.sign_ins = 0
        self._transport = transport
        self._attempts = attempts
        self._sleep = sleep

    def post(self, origin_url: str, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
        """Send one sign-in.

        Raises:
            ConfigurationError: the origin or the path isn't one that signs in.
            UnavailableError: no response, or only 5xx pages, after several attempts.
        """
        if not _PATH.match(path):
            raise ConfigurationError("sign-in is sent to the token or the SOAP endpoint only")
        base = origin(origin_url, "the sign-in address")
        failure = ""
        for attempt in range(self._attempts):
            if attempt:
                self._sleep(0.5 * 2**attempt)
            self.sign_ins += 1
            try:
                response = self._transport.exchange("POST", base + path, dict(headers), body)
            except TransportError as error:
                failure = str(error)
                if error.lasting:
                    raise ConfigurationError(failure, remedy=CERTIFICATE_REMEDY) from None
                continue
            # A SOAP fault is a 500 with an answer in it; a 500 without one is worth another
            # attempt.
            if response.status < _SERVER_ERRORS or b"exceptionCode>" in response.body:
                return response
            failure = f"HTTP {response.status}"
        raise UnavailableError(
            f"sign-in at {base} got no answer ({failure})",
            remedy="Check SALESFORCE_DOMAIN or SALESFORCE_LOGIN_URL and the network.",
            call=f"POST {path}",
        )

    def token(
        self, origin_url: str, form: Mapping[str, str], secrets: Iterable[str]
    ) -> dict[str, object]:
        """Post to the token endpoint; return its JSON, with access_token and instance_url checked.

        Source: "OAuth Authorization Flows", Salesforce Help.
        """
        response = self.post(
            origin_url,
            "/services/oauth2/token",
            urlencode(form).encode(),
            {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        )
        if response.status != HTTPStatus.OK:
            raise refused_token(response, form.get("grant_type", ""), secrets)
        try:
            answer = json_object(response)
        except SalesforceError as error:
            # It quotes the title of a web page, and a proxy's page may quote what it was sent.
            raise error.without(secrets) from None
        for key in ("access_token", "instance_url"):
            if not isinstance(answer.get(key), str) or not answer[key]:
                raise AuthenticationError(f"the token endpoint answered without {key}")
        return answer


def session_of(answer: Mapping[str, object]) -> Session:
    """Return the session of a token response, at the org's own host and not the login host."""
    url = origin(str(answer["instance_url"]), "the instance_url that Salesforce sent")
    return Session(url, str(answer["access_token"]))


# Salesforce's error code -> ((words of its description, what to look at), …). The first words that
# occur win; "" always does. Salesforce documents few of these texts: some are from public
# reports, some from memory; a new one falls back to what the way itself suggests (_BY_GRANT).
_REMEDIES: dict[str, tuple[tuple[str, str], ...]] = {
    "invalid_grant": (
        (
            "not supported on this domain",
            (
                "Wrong domain: this way needs the org's My Domain in SALESFORCE_DOMAIN or "
                "SALESFORCE_LOGIN_URL, not login or test."
            ),
        ),
        (
            "no client credentials user",
            "The app: an admin must set a Run As user under its Client Credentials Flow.",
        ),
        (
            "approved this consumer",
            "The app: an admin must pre-authorize the user's profile or permission set.",
        ),
        (
            "audience",
            "Wrong domain: a JWT is for login, test or the site that the user signs in at.",
        ),
        (
            "assertion",
            (
                "The key: SALESFORCE_PRIVATE_KEY doesn't belong to the certificate in the app; or "
                "this machine's clock is off."
            ),
        ),
        (
            "expired access/refresh token",
            (
                "The refresh token is revoked, expired or already used: authorize the app "
                "again and set SALESFORCE_REFRESH_TOKEN."
            ),
        ),
        (
            "token validity expired",
            "The refresh token has expired: authorize the app again, set SALESFORCE_REFRESH_TOKEN.",
        ),
        (
            "already being processed",
            "Another process uses the same refresh token now: run one at a time.",
        ),
        ("inactive user", "The user is inactive: an admin must activate it."),
        ("inactive organization", "The org is inactive, or SALESFORCE_DOMAIN names another one."),
        (
            "ip restricted",
            "The network: this address isn't among the trusted ones of the org or the app.",
        ),
    ),
    "invalid_client_id": (
        (
            "",
            "The app: SALESFORCE_CLIENT_ID isn't known here (a new app takes ten minutes).",
        ),
    ),
    "invalid_client": (
        (
            "",
            "SALESFORCE_CLIENT_ID and _SECRET don't fit, or the secret has expired: copy it anew.",
        ),
    ),
    "unauthorized_client": (
        ("", "The app isn't allowed this way to sign in: an admin must enable the flow."),
    ),
    "unsupported_grant_type": (("", "The app or the org has this way to sign in switched off."),),
    "invalid_app_access": (("", "The app: an admin must assign it to this user's profile."),),
    "login_rate_exceeded": (("", "Too many sign-ins: wait an hour."),),
}

_BY_GRANT = {
    "password": "The user, the password or the security token (it changes with each new password); "
    "or the domain: users of a sandbox sign in at test (SALESFORCE_DOMAIN); or the org blocks this "
    "flow.",
    "refresh_token": "The refresh token: authorize the app again and set SALESFORCE_REFRESH_TOKEN.",
    "client_credentials": "The app: its Client Credentials Flow and Run As user, or the domain.",
    "urn:ietf:params:oauth:grant-type:jwt-bearer": "The user name, the key or the app's approval.",
}


def refused_token(response: Response, grant: str, secrets: Iterable[str] = ()) -> SalesforceError:
    """Make the error of a refusal by the token endpoint; its remedy is the likely culprit."""
    try:
        answer = json_object(response)
    except SalesforceError:
        answer = {}
    text = str(answer.get("error_description") or "")
    # A code is a word; whatever else stands there may be an echo of what was sent.
    code = scrub(str(answer.get("error") or ""), secrets)
    if not _CODE.match(code):
        return AuthenticationError(
            f"the token endpoint answered HTTP {response.status} and gave no reason",
            remedy="Check SALESFORCE_DOMAIN or SALESFORCE_LOGIN_URL: is it a Salesforce host?",
            status=response.status,
        )
    culprit = next(
        (remedy for words, remedy in _REMEDIES.get(code, ()) if words in text.lower()),
        _BY_GRANT.get(grant, ""),
    )
    return AuthenticationError(
        scrub(text or "sign-in refused", secrets),
        remedy=culprit,
        call="POST /services/oauth2/token",
        error_code=code,
        status=response.status,
    )
