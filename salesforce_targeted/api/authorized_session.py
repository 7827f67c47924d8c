"""Send one request to an org and read its response: signed in, let through, retried, counted.

Rules:
1. Nothing leaves but what the allow-list lets through (read_only.py), to the origin of the session
   only.
2. A call is counted when the org may have seen it, whether or not a response came.
3. What fails and may pass is sent again (refusals), once with a new session where that
   may help.
4. Log lines carry method, path and status; never a token, a query or a value.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any, TypeVar, Unpack, overload

from salesforce_targeted.api import endpoints, readers
from salesforce_targeted.api.call_meter import CallMeter
from salesforce_targeted.api.concurrency import SentAhead
from salesforce_targeted.api.errors import ReadOnlyError, SalesforceError, TruncatedResponseError
from salesforce_targeted.api.limits import DOCUMENTED, Limits, not_served, version_of
from salesforce_targeted.api.login import Credentials, LoginEndpoint, Session, SharedSession
from salesforce_targeted.api.models import Request, Response
from salesforce_targeted.api.org_clock import OrgClock
from salesforce_targeted.api.read_only import refusal
from salesforce_targeted.api.refusals import error_responses
from salesforce_targeted.api.refusals.error_responses import Refusal, TransportError
from salesforce_targeted.api.refusals.retries import Attempts, most_attempts, pause_after

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# What a version that is too new gets (404), as well as an object that is not there; a retired one
# gets 410. Source: "SOAP API End-of-Life Policy".
_NO_RESOURCE = "requested resource does not exist"
# Fewer calls than these are spent one by one, in the order of what matters.
CALLS_TO_SPARE = 20


class AuthorizedSession:
    """Send requests to one org. Safe to use from several threads.

    Args:
        credentials: A spec of ``api.credentials``, or what has ``sign_in(endpoint)``.
        timeout_seconds: How long to wait for a connection or the next bytes of a response.
        attempts: How often one request is tried in all.
        sleep: Called with the seconds to pause between attempts; by default it sleeps.
        max_in_flight: How many requests may be in flight at once; more wait.
        api_version: As "64.0"; by default that of ``limits``.

    Attributes:
        org_clock: Tells the org's time, by its responses.
        meter: Counts the calls, and keeps the bounds of how many may be spent.
        ahead: Responses to requests that were sent before they were needed; ``send`` takes them.
        warn: Told, in a sentence, which other way is taken to read what the org refuses, and why.
        composes: Whether the org takes ``composite``; False once it refused it for good.
        together: Whether queries may share a call; False once that took longer than we wait.
        counts: Whether the org counts in time; False once it didn't, and rows are counted.
        longest_path: The bytes of the longest address that is sent; a longer query travels in a
            body.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        limits: Limits = DOCUMENTED,
        timeout_seconds: float = 150.0,
        attempts: int = 5,
        sleep: Callable[[float], None] | None = None,
        max_in_flight: int = 4,
        api_version: str | None = None,
    ) -> None:
        # Here and not above: it brings requests, and who only imports the source sends nothing.
        from salesforce_targeted.api.transport import Transport

        if api_version is not None:
            limits = replace(limits, api_version=version_of(api_version, limits))
        self.limits = limits
        self.version = limits.api_version
        self._max_in_flight = max(1, max_in_flight)
        self.sleep = sleep or time.sleep
        self.meter = CallMeter(self._max_in_flight)
        self.ahead = SentAhead()
        self.warn: Callable[[str], None] = _log.warning
        self.composes = self.together = self.counts = True
        self.longest_path = limits.uri_bytes - limits.header_bytes
        self.org_clock = OrgClock()
        self._attempts = max(1, attempts)
        self._transport = Transport(
            connections=self._max_in_flight,
            connect_seconds=min(timeout_seconds, 30.0),
            read_seconds=timeout_seconds,
            total_seconds=max(limits.call_seconds, timeout_seconds),
        )
        login = LoginEndpoint(self._transport, limits=limits, sleep=self.sleep)
        self._sessions = SharedSession(credentials, login)
        self._version_served = False

    @property
    def instance_url(self) -> str:
        """Return the org's origin; signs in if that hasn't happened yet."""
        return self._sessions.current().instance_url

    @property
    def org_id(self) -> str | None:
        """Return the org's id, where the session tells it; signs in if that hasn't happened yet."""
        return self._sessions.current().org_id

    @property
    def max_in_flight(self) -> int:
        """Count the requests to send at once: few calls go one by one, in the order of requests.

        Else those that follow take the calls that the search for a bad record needs.
        """
        left = self.meter.left
        return 1 if left is not None and left < CALLS_TO_SPARE else self._max_in_flight

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @overload
    def send(self, request: Request, **attempts: Unpack[Attempts]) -> Response: ...
    @overload
    def send(
        self, request: Request, read: Callable[[Response], _T], **attempts: Unpack[Attempts]
    ) -> _T: ...
    def send(
        self,
        request: Request,
        read: Callable[[Response], Any] = readers.as_it_is,
        **attempts: Unpack[Attempts],
    ) -> Any:
        """Send one request that only reads, and read its 2xx response.

        A response that reads as cut short is asked for again.

        Args:
            read: Makes a value of the response; raises TruncatedResponseError where it isn't whole.
                The default returns the :class:`Response` itself.

        Raises:
            ReadOnlyError: not on the allow-list; nothing was sent.
            QuotaExceededError: it would cross ``meter.reserve_calls`` or ``meter.calls_allowed``;
                nothing was sent.
            SalesforceError: what Salesforce responded, by class; UnavailableError after all
                attempts.
        """
        value = self.ahead.read(request, read)
        return self.send_now(request, read, **attempts) if value is None else value[0]

    def send_now(
        self, request: Request, read: Callable[[Response], _T], **attempts: Unpack[Attempts]
    ) -> _T:
        """Send one request as :meth:`send` does, whatever was sent ahead.

        What sends ahead sends so: with :meth:`send` it would wait for its own response.
        """
        if reason := refusal(request):
            raise ReadOnlyError(f"refused to send: {reason}", call=request.method)
        session = None if request.kind == "versions" else self._sessions.current()
        may_renew, failures = True, 0
        while True:
            response = None
            try:
                response = self._attempt(request, session)
                if response.is_success:
                    # UserInfo, for one, is served whatever the version.
                    self._version_served |= f"/v{self.version}/" in request.path
                    try:
                        return read(response)
                    except readers.UnauthorizedPartError as part:
                        response = part.response
                refused = error_responses.refusal(response, request.kind)
                if session is not None and may_renew and refused.message.renews:
                    session, may_renew = self._sessions.renewed(session, request.call), False
                    continue
                failure, retry = self._refused(refused, request)
            except TransportError as error:
                failure, retry = error.error(request.call), error.message.retried
            except TruncatedResponseError as error:
                error.call = error.call or request.call
                failure, retry = error, True
            failures += 1
            most = most_attempts(failure, self._attempts, attempts)
            pause = pause_after(failures, response) if retry and failures < most else None
            if pause is None:
                raise failure.without([session.access_token] if session else [])
            _log.debug("%s: an attempt failed, pausing", request.call)
            self.sleep(pause)

    def _refused(self, refused: Refusal, request: Request) -> tuple[SalesforceError, bool]:
        """Make the error of a refusal; tell whether sending the same again may help."""
        if refused.status == HTTPStatus.GONE or _NO_RESOURCE in refused.text.lower():
            self._check_version(request, refused.status)
        if refused.message.throttles:
            self.meter.throttle()
        return refused.error(request.call), refused.retried

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
            raise not_served(self.version, served, self.limits, status)

    def _attempt(self, request: Request, session: Session | None) -> Response:
        base = session or self._sessions.current()
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
        self.org_clock.note(response, billed=metered.billed)
        _log.debug("%s: HTTP %d, %d bytes", request.call, response.status, len(response.body))
        return response
