"""Send sign-ins, the only requests with a password in them, and keep the session that they give.

Rules:
1. It posts to ``/services/oauth2/token`` and ``/services/Soap/u/NN.0`` of one origin and nowhere
   else.
2. ``https://`` always; ``http://`` only to a loopback address. No redirect is followed.
3. An error says which of user, password, token, key, app and domain is the likely culprit, and
   never repeats one of them.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

from salesforce_targeted.api.addresses import origin
from salesforce_targeted.api.errors import (
    AuthenticationError,
    ConfigurationError,
    SalesforceError,
    UnavailableError,
)
from salesforce_targeted.api.limits import DOCUMENTED, Limits
from salesforce_targeted.api.models import Response
from salesforce_targeted.api.readers import is_page, json_object
from salesforce_targeted.api.refusals.error_responses import (
    Refusal,
    TransportError,
    token_refusal,
)
from salesforce_targeted.api.refusals.retries import pause_after

if TYPE_CHECKING:
    from salesforce_targeted.api.transport import Transport

_log = logging.getLogger(__name__)

STALE_REMEDY = "Set a new SALESFORCE_ACCESS_TOKEN, or sign in by another way."
# The assertion of a JWT, made before the first attempt, ends after three minutes.
_LONGEST_PAUSE_SECONDS = 60.0
_PATH = re.compile(r"/services/(oauth2/token|Soap/u/\d{2}\.0)\Z", re.ASCII)
_TOKEN = re.compile(r"[!-~]+")
# An org's id alone, before the "!" of a token (a JWT tells its org nowhere), or in an identity URL,
# …/id/<org>/<user>. Sources: Salesforce Help, "OAuth 2.0 Web Server Flow", "Identity URLs".
_ORG_ID = re.compile(r"(?:^|/id/)(00D[0-9A-Za-z]{12})(?:[0-9A-Za-z]{3})?(?:\Z|!|/005)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Session:
    """Hold a session: where the org is and the token for it.

    Attributes:
        instance_url: The org's origin.
        access_token: The token.
        org_id: The 15 characters of the org's id, made of whatever text names it; None where
            neither that nor the token does.

    Raises:
        AuthenticationError: the token can't be one.
    """

    instance_url: str
    access_token: str = field(repr=False)
    org_id: str | None = None

    def __post_init__(self) -> None:
        token = self.access_token.strip()
        # In a header it could not be sent, and each attempt would blame the network.
        if not _TOKEN.fullmatch(token):
            raise AuthenticationError("the session's token holds characters that no token has")
        object.__setattr__(self, "access_token", token)
        org_id = _ORG_ID.search(self.org_id or "") or _ORG_ID.match(token)
        object.__setattr__(self, "org_id", org_id[1] if org_id else None)


class Credentials(Protocol):
    """Be what ``SalesforceClient`` needs of credentials."""

    def sign_in(self, endpoint: "LoginEndpoint") -> Session:
        """Get a session, through the endpoint or without it."""


class LoginEndpoint:
    """Post a sign-in and return the response, retried where that can help."""

    def __init__(
        self,
        transport: "Transport",
        *,
        limits: Limits = DOCUMENTED,
        attempts: int = 3,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.limits = limits
        self._transport = transport
        self._attempts = attempts
        self._sleep = sleep

    def post(
        self,
        origin_url: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        refusal: Callable[[Response], Refusal | None],
    ) -> Response:
        """Send one sign-in.

        Args:
            refusal: Reads a response as the refusal that it is; None of one with a session.

        Raises:
            ConfigurationError: the origin or the path isn't one that signs in.
            UnavailableError: no response, or no usable one, after several attempts.
            SalesforceError: what Salesforce refuses, by class.
        """
        if not _PATH.match(path):
            raise ConfigurationError("sign-in is sent to the token or the SOAP endpoint only")
        base = origin(origin_url, "the sign-in address")
        failure = remedy = ""
        for attempt in range(1, self._attempts + 1):
            response = None
            try:
                response = self._transport.exchange("POST", base + path, dict(headers), body)
            except TransportError as error:
                failure, remedy = str(error), error.message.remedy
                if not error.message.retried:
                    raise error.error(f"POST {path}") from None
            else:
                refused = refusal(response)
                if refused is None:
                    return response
                if not refused.retried or (refused.code and attempt == self._attempts):
                    raise refused.error(f"POST {path}")
                # No word of a page: it may quote what it was sent.
                page = ", a web page" if is_page(response) and response.body else ""
                cut = ", no whole response" if response.is_success and not page else ""
                failure, remedy = f"HTTP {response.status}{page}{cut}", refused.message.remedy
            pause = pause_after(attempt, response)
            if attempt == self._attempts or pause is None or pause > _LONGEST_PAUSE_SECONDS:
                break
            self._sleep(pause)
        raise UnavailableError(
            f"sign-in at {base} got no usable response ({failure})",
            remedy=remedy,
            call=f"POST {path}",
        )

    def token(
        self, origin_url: str, form: Mapping[str, str], secrets: Iterable[str]
    ) -> dict[str, object]:
        """Post to the token endpoint; return its JSON, with access_token and instance_url checked.

        Source: "OAuth Authorization Flows", Salesforce Help.
        """
        path = "/services/oauth2/token"
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        refusal = partial(token_refusal, grant=form["grant_type"])
        try:
            response = self.post(origin_url, path, urlencode(form).encode(), headers, refusal)
        except SalesforceError as error:
            raise error.without(secrets) from None
        granted = json_object(response)
        for key in ("access_token", "instance_url"):
            if not isinstance(granted.get(key), str) or not granted[key]:
                raise AuthenticationError(f"the token endpoint gave a session without {key}")
        return granted


def session_of(granted: Mapping[str, object]) -> Session:
    """Return the session of a token response, at the org's own host and not the login host."""
    url = origin(str(granted["instance_url"]), "the instance_url that Salesforce sent")
    return Session(url, str(granted["access_token"]), str(granted.get("id") or ""))


class SharedSession:
    """Keep the session of credentials; of several threads one signs in, and the others wait."""

    def __init__(self, credentials: Credentials, endpoint: LoginEndpoint) -> None:
        self._credentials = credentials
        self._endpoint = endpoint
        self._session: Session | None = None
        # The sign-in that failed last, and the session that it was to renew.
        self._failed: tuple[Session | None, SalesforceError] | None = None
        self._signing_in = threading.Lock()

    def current(self) -> Session:
        """Return the session; signs in if that hasn't happened yet, and raises as ``sign_in``."""
        return self._session or self._other_than(None)

    def renewed(self, ended: Session, call: str) -> Session:
        """Return a session other than one that has ended, with which a call was refused.

        Raises:
            AuthenticationError: signing in again gives the same one.
        """
        fresh = self._other_than(ended)
        if fresh.access_token == ended.access_token:
            raise AuthenticationError(
                "the session has expired or is invalid, and signing in again gives the same one",
                remedy=getattr(self._credentials, "stale_remedy", STALE_REMEDY),
                call=call,
                error_code="INVALID_SESSION_ID",
                status=401,
            )
        return fresh

    def _other_than(self, stale: Session | None) -> Session:
        # A sign-in that failed, failed for all that waited for it; one that was refused is not
        # tried again: a wrong password, sent by each of several threads, locks its user out.
        before = self._failed
        with self._signing_in:
            if self._session is None or self._session is stale:
                if self._failed and self._failed[0] is stale:
                    error = self._failed[1]
                    refused = isinstance(error, AuthenticationError | ConfigurationError)
                    if refused or self._failed is not before:
                        raise error
                try:
                    session = self._credentials.sign_in(self._endpoint)
                except SalesforceError as error:
                    self._failed = stale, error
                    raise
                # However the session was made, its token goes to https, or to this machine.
                address = origin(session.instance_url, "SALESFORCE_INSTANCE_URL")
                self._session = replace(session, instance_url=address)
                _log.debug("signed in")
            return self._session
