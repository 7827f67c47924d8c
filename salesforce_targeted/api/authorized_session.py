"""Send one request to an org and read its response: signed in, let through, retried, counted.

Rules:
1. Nothing leaves but what the allow-list lets through (read_only.py), to the origin of the session
   only.
2. A call is counted when the org may have seen it, whether or not a response came.
3. What fails and may pass is sent again (retries.py), after 401 once with a new session.
4. Log lines carry method, path and status; never a token, a query or a value.
"""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar, overload

from salesforce_targeted.api import endpoints, error_responses, readers
from salesforce_targeted.api.call_meter import CallMeter
from salesforce_targeted.api.concurrency import SentAhead
from salesforce_targeted.api.error_responses import Refusal, TransportError
from salesforce_targeted.api.errors import (
    AuthenticationError,
    ConfigurationError,
    LocatorExpiredError,
    ReadOnlyError,
    SalesforceError,
    TruncatedResponseError,
)
from salesforce_targeted.api.limits import DOCUMENTED, Limits, version_of
from salesforce_targeted.api.login import (
    STALE_REMEDY,
    Credentials,
    LoginEndpoint,
    Session,
    origin,
)
from salesforce_targeted.api.models import Request, Response, refusal
from salesforce_targeted.api.retries import Retries

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_UNAUTHORIZED = 401
# What a version that is too new gets (404), as well as an object that is not there; a retired one
# gets 410. Source: "SOAP API End-of-Life Policy".
_NO_RESOURCE = "requested resource does not exist"
_OK = re.compile(r"2\d\d")


class AuthorizedSession:
    """Send requests to one org. Safe to use from several threads.

    Args:
        credentials: A spec of ``api.credentials``, or what has ``sign_in(endpoint)``.
        timeout_seconds: How long to wait for a connection or the next bytes of a response.
        attempts: How often one request is tried in all.
        sleep: Called with the seconds to pause between attempts.
        max_in_flight: How many requests may be in flight at once; more wait.
        api_version: As "64.0"; by default that of ``limits``.

    Attributes:
        meter: Counts the calls, and keeps the bounds of how many may be spent.
        ahead: Responses to requests that were sent before they were needed; ``send`` takes them.
        warn: Told, in a sentence, which other way is taken to read what the org refuses, and why.
        composes: Whether the org takes ``composite``; False once it refused it for good.
        together: Whether queries may share a call; False once that took longer than we wait.
        counts: Whether the org counts in time; False once it didn't, and rows are counted.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        limits: Limits = DOCUMENTED,
        timeout_seconds: float = 150.0,
        attempts: int = 5,
        sleep: Callable[[float], None] = time.sleep,
        max_in_flight: int = 4,
        api_version: str | None = None,
    ) -> None:
        # Here and not above: it brings requests, and who only imports the source sends nothing.
        from salesforce_targeted.api.transport import Transport

        if api_version is not None:
            limits = replace(limits, api_version=version_of(api_version, limits))
        self.limits = limits
        self.version = limits.api_version
        self.max_in_flight = max(1, max_in_flight)
        self.sleep = sleep
        self.meter = CallMeter(self.max_in_flight)
        self.ahead = SentAhead()
        self.warn: Callable[[str], None] = _log.warning
        self.composes = self.together = self.counts = True
        self._org_clock = OrgClock()
        self._credentials = credentials
        self._attempts = max(1, attempts)
        self._transport = Transport(
            connections=self.max_in_flight,
            connect_seconds=min(timeout_seconds, 30.0),
            read_seconds=timeout_seconds,
            total_seconds=max(limits.call_seconds, timeout_seconds),
        )
        self._login = LoginEndpoint(self._transport, limits=limits, sleep=sleep)
        self._session: Session | None = None
        self._failed: _FailedSignIn | None = None
        self._failures = 0
        self._version_served = False
        self._signing_in = threading.Lock()

    @property
    def sign_ins(self) -> int:
        """Count the sign-in requests that were sent."""
        return self._login.sign_ins

    @property
    def instance_url(self) -> str:
        """Return the org's origin; signs in if that hasn't happened yet."""
        return self._current().instance_url

    @property
    def org_id(self) -> str | None:
        """Return the org's id, where the session tells it; signs in if that hasn't happened yet."""
        return self._current().org_id

    @property
    def first_response_at(self) -> datetime | None:
        """Return the org's time of the first billed response, in UTC and whole seconds.

        None before that response, or where it had no ``Date``.
        """
        return self._org_clock.first

    def clock(self) -> datetime:
        """Return the org's time as its latest response had it; this machine's before the first."""
        return self._org_clock.now()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _current(self) -> Session:
        session = self._session
        return session if session is not None else self._renewed(None)

    def _renewed(self, stale: Session | None) -> Session:
        """Return a session other than the stale one; of several threads one signs in.

        A sign-in that failed, failed for all that waited for it; one that was refused is not tried
        again: a wrong password, sent by each of several threads, locks its user out.
        """
        failures = self._failures
        with self._signing_in:
            if self._session is None or self._session is stale:
                last = self._failed
                if last and last.stale is stale and (last.is_final or failures < self._failures):
                    raise last.error
                try:
                    found = self._credentials.sign_in(self._login)
                except SalesforceError as error:
                    self._failed, self._failures = _FailedSignIn(stale, error), self._failures + 1
                    raise
                # However the session was made, its token goes to https, or to this machine.
                address = origin(found.instance_url, "SALESFORCE_INSTANCE_URL")
                self._session = Session(address, found.access_token, found.org_id)
                _log.debug("signed in")
            return self._session

    @overload
    def send(
        self,
        request: Request,
        *,
        attempts_at_500: int | None = None,
    ) -> Response: ...
    @overload
    def send(
        self,
        request: Request,
        read: Callable[[Response], _T],
        *,
        attempts_at_500: int | None = None,
    ) -> _T: ...
    def send(
        self,
        request: Request,
        read: Callable[[Response], Any] = readers.as_it_is,
        *,
        attempts_at_500: int | None = None,
    ) -> Any:
        """Send one request that only reads, and read its 2xx response.

        A response that reads as cut short is asked for again.

        Args:
            request: Any that the allow-list lets through.
            read: Makes a value of the response; raises TruncatedResponseError where it isn't whole.
                The default returns the :class:`Response` itself.
            attempts_at_500: Fewer attempts where Salesforce responds with 500, for which a record
                that was asked for may be the reason.

        Raises:
            ReadOnlyError: not on the allow-list; nothing was sent.
            QuotaExceededError: it would cross ``meter.reserve_calls`` or ``meter.calls_allowed``;
                nothing was sent.
            SalesforceError: what Salesforce responded, by class; UnavailableError after all
                attempts.
        """
        if (value := self.ahead.read(request, read)) is not None:
            return value[0]
        return self.send_now(request, read, attempts_at_500=attempts_at_500)

    def send_now(
        self,
        request: Request,
        read: Callable[[Response], _T],
        *,
        attempts: int | None = None,
        attempts_at_500: int | None = None,
        attempts_when_slow: int | None = None,
    ) -> _T:
        """Send one request as :meth:`send` does, whatever was sent ahead.

        What sends ahead sends so: with :meth:`send` it would wait for its own response.

        Args:
            attempts: How often it is tried in all, where that is not the session's number.
            attempts_when_slow: Fewer attempts where nothing comes in the time that we wait, for
                which so much that was asked for together may be the reason.
        """
        if reason := refusal(request):
            raise ReadOnlyError(f"refused to send: {reason}", call=request.method)
        session = None if request.kind == "versions" else self._current()
        may_renew = session is not None
        retries = Retries(attempts or self._attempts, attempts_at_500, attempts_when_slow)
        while True:
            response = None
            try:
                response = self._attempt(request, session)
                if _OK.fullmatch(str(response.status)):
                    # UserInfo, for one, is served whatever the version.
                    self._version_served |= f"/v{self.version}/" in request.path
                    try:
                        return read(response)
                    except readers.UnauthorizedPartError as part:
                        response = part.response
                if response.status == _UNAUTHORIZED and session is not None and may_renew:
                    session, may_renew = self._after_401(response, request, session), False
                    continue
                failure, retry = self._refused(response, request)
            except TransportError as error:
                failure, retry = error.error(request.call), error.message.retried
            except TruncatedResponseError as error:
                error.call = error.call or request.call
                failure, retry = error, True
            pause = retries.pause_after(failure, response) if retry else None
            if pause is None:
                raise failure.without([session.access_token] if session else [])
            _log.debug("%s: an attempt failed, pausing", request.call)
            self.sleep(pause)

    def _refused(self, response: Response, request: Request) -> tuple[SalesforceError, bool]:
        """Read a refusal: the error, and whether sending the same again may help."""
        refused = error_responses.refusal(response, request.kind)
        if refused.status == HTTPStatus.GONE or _NO_RESOURCE in refused.text.lower():
            self._check_version(request, response.status)
        if refused.message.throttles:
            self.meter.throttle()
        return _error(refused, response, request), refused.retried

    def _check_version(self, request: Request, status: int) -> None:
        """Find out whether the org serves our version, unless it has served something before.

        Raises:
            ConfigurationError: it doesn't; names the versions that it serves.
        """
        # A Bulk job's address ends with an id, which may be gone as well.
        if self._version_served or request.kind.startswith(("bulk_", "versions")):
            return
        try:
            served = self.send(endpoints.versions(), readers.versions, attempts_at_500=1)
        except SalesforceError:
            return  # what was refused is told as it is
        self._version_served = self.version in served
        if served and not self._version_served:
            raise ConfigurationError(
                f"the org does not serve API version {self.version}",
                remedy=f"Set api_version to one that it serves: {served[0]} to {served[-1]}.",
                status=status,
            )

    def _attempt(self, request: Request, session: Session | None) -> Response:
        base = session or self._current()
        headers = {"Accept": "application/json", **request.headers}
        if session is not None:
            headers["Authorization"] = f"Bearer {session.access_token}"
        with self.meter.call(request.kind, request.call) as metered:
            try:
                response = self._transport.exchange(
                    request.method, base.instance_url + request.path, headers, request.body
                )
            except TransportError as error:
                metered.reached = error.sent
                raise
            metered.reached = True
            metered.usage = readers.usage(response)
        self._org_clock.note(response, billed=metered.billed)
        _log.debug("%s: HTTP %d, %d bytes", request.call, response.status, len(response.body))
        return response

    def _after_401(self, response: Response, request: Request, session: Session) -> Session:
        refused = error_responses.refusal(response, request.kind)
        # A web page is a proxy's, and says nothing of the session.
        of_a_proxy = bool(response.body) and readers.is_page(response)
        if not refused.message.renews or of_a_proxy:
            raise _error(refused, response, request).without([session.access_token])
        fresh = self._renewed(session)
        if fresh.access_token == session.access_token:
            raise AuthenticationError(
                "the session has expired or is invalid, and signing in again gives the same one",
                remedy=getattr(self._credentials, "stale_remedy", STALE_REMEDY),
                call=request.call,
                error_code="INVALID_SESSION_ID",
                status=401,
            )
        return fresh


@dataclass(frozen=True, slots=True)
class _FailedSignIn:
    """Hold a sign-in that failed, and the session that it was to renew."""

    stale: Session | None
    error: SalesforceError

    @property
    def is_final(self) -> bool:
        return isinstance(self.error, AuthenticationError | ConfigurationError)


class OrgClock:
    """Tell the org's time by the ``Date`` of its responses: this machine's clock may be off.

    Safe to use from several threads. Source: RFC 9110, 6.6.1: whole seconds, GMT.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: datetime | None = None
        self._latest: datetime | None = None

    def note(self, response: Response, *, billed: bool) -> None:
        """Read the ``Date`` of a response; one that is absent or no date changes nothing."""
        moment = _date(response)
        if moment is None:
            return
        with self._lock:
            if billed:
                # Of several calls that began together, the earliest says when reading began.
                self._first = moment if self._first is None else min(self._first, moment)
            # Responses overtake each other; time doesn't go back.
            self._latest = moment if self._latest is None else max(self._latest, moment)

    @property
    def first(self) -> datetime | None:
        """Return the earliest ``Date`` of a billed response, with its zone; None before one."""
        return self._first

    def now(self) -> datetime:
        """Return the latest ``Date`` so far, or this machine's time where no response had one."""
        return self._latest or datetime.now(UTC)


def _date(response: Response) -> datetime | None:
    try:
        moment = parsedate_to_datetime(response.headers.get("Date", ""))
        # "-0000" makes a time without a zone of it; HTTP knows GMT alone.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# --- pure decisions -------------------------------------------------------------------------------


def _error(refused: Refusal, response: Response, request: Request) -> SalesforceError:
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:  # 3xx
        default = f"the org sends a redirect (HTTP {response.status}), which is never followed"
    else:
        default = f"HTTP {response.status}{readers.html_title(response.body)}"
    error = refused.error(default, request.call)
    if refused.message.renews and request.kind == "query_more":
        # A locator is its session's: sent with a new one it is refused like an expired session.
        return LocatorExpiredError(error.message, call=request.call, status=response.status)
    return error
