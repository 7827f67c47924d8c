"""The Salesforce client: ``send`` is the only door out.

Rules:
1. Nothing leaves but what the allow-list lets through (read_only.py), to the origin of the session
   only.
2. A call is counted when the org may have seen it, whether or not an answer came.
3. Trying again is decided here and nowhere else: never after 400 and 404, at most once after 401.
4. Log lines carry method, path and status; never a token, a query or a value.
"""

import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence, Sized
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar

from . import ids as record_ids
from . import soql as soql_text
from . import wire
from .calls import CallLedger, CallMeter
from .errors import (
    AuthenticationError,
    ConfigurationError,
    LocatorExpiredError,
    NotFoundError,
    PermissionDeniedError,
    QueryError,
    ReadOnlyError,
    SalesforceError,
    TooLargeError,
    TruncatedAnswerError,
    UnavailableError,
)
from .limits import DOCUMENTED, Limits
from .sign_in import CERTIFICATE_REMEDY, Credentials, Door, Session, origin
from .transport import Transport, TransportError
from .wire import JsonRows, Page, Record, Request, Response

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_S = TypeVar("_S", bound=Sized)

_UNAUTHORIZED = 401
_OK = re.compile(r"2\d\d")
# Asking the same again gets the same answer, whatever class the error has.
_FINAL = {400, 404}
_EXPIRED = {"INVALID_SESSION_ID", "INVALID_AUTH_HEADER"}
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0
# A server that asks for more patience than this is down; the caller decides whether to wait.
_LONGEST_RETRY_AFTER_SECONDS = 300.0


class SalesforceClient:
    """Asks one org. Safe to use from several threads.

    Args:
        credentials: One of the specs of credentials.py, or anything with ``sign_in(door)``.
        timeout_seconds: How long to wait for a connection or the next bytes of an answer.
        attempts: How often one request is tried in all.
        sleep: Called with the seconds to pause between attempts.
        max_in_flight: How many requests may be on the way at once; more wait.
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
    ) -> None:
        self.limits = limits
        self.version = limits.api_version
        self._credentials = credentials
        self._attempts = max(1, attempts)
        self.max_in_flight = max(1, max_in_flight)
        self.sleep = sleep
        self._transport = Transport(
            connections=self.max_in_flight,
            connect_seconds=min(timeout_seconds, 30.0),
            read_seconds=timeout_seconds,
            total_seconds=max(limits.call_seconds, timeout_seconds),
        )
        self._door = Door(self._transport, limits=limits, sleep=sleep)
        self._session: Session | None = None
        self._signing_in = threading.Lock()
        self._meter = CallMeter(self.max_in_flight)

    # --- what the run may spend and has spent
    # -------------------------------------------------------

    @property
    def calls(self) -> CallLedger:
        """The calls so far, by kind; sign-in and versions are not billed and not counted."""
        return self._meter.ledger

    @property
    def request_timings(self) -> dict[str, tuple[int, float, int]]:
        """Kind -> (calls, seconds, rows)."""
        return self._meter.timings()

    @property
    def at_once(self) -> int:
        """How many requests are let on their way at once now; the org's answers decide."""
        return self._meter.at_once

    @property
    def usage(self) -> tuple[int, int] | None:
        """(used, maximum) of the org's calls in 24 hours, as the org last said; None before."""
        return self._meter.usage

    @property
    def remaining(self) -> int | None:
        """Calls that the org still allows in these 24 hours, as it last said; None before."""
        return None if self.usage is None else max(0, self.usage[1] - self.usage[0])

    @property
    def reserve_calls(self) -> int:
        """Calls of the org's 24 hours that are left to others; the next one is refused."""
        return self._meter.reserve_calls

    @reserve_calls.setter
    def reserve_calls(self, calls: int) -> None:
        self._meter.reserve_calls = calls

    @property
    def calls_allowed(self) -> int | None:
        """How many calls this client may spend in all; None for no bound."""
        return self._meter.calls_allowed

    @calls_allowed.setter
    def calls_allowed(self, calls: int | None) -> None:
        self._meter.calls_allowed = calls

    @property
    def sign_ins(self) -> int:
        """How many sign-in requests were sent."""
        return self._door.sign_ins

    # --- session
    # ------------------------------------------------------------------------------------

    @property
    def instance_url(self) -> str:
        """The org's origin; signs in if that hasn't happened yet."""
        return self._current().instance_url

    def _current(self) -> Session:
        session = self._session
        return session if session is not None else self._renewed(None)

    def _renewed(self, stale: Session | None) -> Session:
        """A session other than the stale one; of several threads that ask, one signs in."""
        with self._signing_in:
            if self._session is None or self._session is stale:
                found = self._credentials.sign_in(self._door)
                # Whoever made the session: the token goes to https, or to this machine.
                address = origin(found.instance_url, "SALESFORCE_INSTANCE_URL")
                self._session = Session(address, found.access_token)
                _log.debug("signed in")
            return self._session

    # --- the door
    # -----------------------------------------------------------------------------------

    def send(self, request: Request) -> Response:
        """Send one request that only reads, and return its 2xx answer.

        Raises:
            ReadOnlyError: not on the allow-list; nothing was sent.
            QuotaExceededError: it would cross ``reserve_calls`` or ``calls_allowed``; nothing was
                sent.
            SalesforceError: what Salesforce answered, by class; UnavailableError after all
                attempts.
        """
        return self.ask(request, _as_it_is)

    def ask(self, request: Request, read: Callable[[Response], _T]) -> _T:
        """Send one request and read its 2xx answer; one that reads as cut short is asked for again.

        Args:
            request: Any that the allow-list lets through.
            read: Raises TruncatedAnswerError where the answer isn't whole.

        Raises: as ``send``.
        """
        if reason := wire.refusal(request):
            raise ReadOnlyError(f"refused to send: {reason}", call=request.method)
        session = None if request.kind == "versions" else self._current()
        may_renew = session is not None
        attempt = 1
        while True:
            pause = _backoff(attempt)
            try:
                response = self._attempt(request, session)
                if response.status == _UNAUTHORIZED and session is not None and may_renew:
                    session, may_renew = self._after_401(response, request, session), False
                    continue
                if _OK.fullmatch(str(response.status)):
                    return read(response)
                failure = _refused(response, request)
                if wire.is_concurrency(response):
                    self._meter.crowded()
                retry = isinstance(failure, UnavailableError) and response.status not in _FINAL
                pause = max(pause, _retry_after(response) or 0.0)
            except TransportError as error:
                failure, retry = _not_answered(error, request), not error.lasting
            except TruncatedAnswerError as error:
                error.call = error.call or request.call
                failure, retry = error, True
            if not retry or attempt >= self._attempts or pause > _LONGEST_RETRY_AFTER_SECONDS:
                raise failure.without([session.access_token] if session else [])
            _log.debug("%s: attempt %d failed, pausing", request.call, attempt)
            self.sleep(pause)
            attempt += 1

    def _attempt(self, request: Request, session: Session | None) -> Response:
        base = session or self._current()
        headers = {"Accept": "application/json", **request.headers}
        if session is not None:
            headers["Authorization"] = f"Bearer {session.access_token}"
        with self._meter.call(request.kind, request.call) as metered:
            try:
                response = self._transport.exchange(
                    request.method, base.instance_url + request.path, headers, request.body
                )
            except TransportError as error:
                metered.reached = error.sent
                raise
            metered.reached = True
            metered.usage = wire.usage(response)
        _log.debug("%s: HTTP %d, %d bytes", request.call, response.status, len(response.body))
        return response

    def _after_401(self, response: Response, request: Request, session: Session) -> Session:
        if not _EXPIRED & set(wire.error_codes(response)):
            failure = wire.error_from(response, request.call, request.kind)
            raise failure.without([session.access_token])
        fresh = self._renewed(session)
        if fresh.access_token == session.access_token:
            raise AuthenticationError(
                "the session has expired or is invalid, and signing in again gives the same one",
                remedy="Set a new SALESFORCE_ACCESS_TOKEN, or sign in by another way.",
                call=request.call,
                error_code="INVALID_SESSION_ID",
                status=401,
            )
        return fresh

    # --- queries
    # ------------------------------------------------------------------------------------

    def pages(self, soql: str, all_rows: bool = False) -> Iterator[list[Record]]:
        """The rows of a query, page by page; ``all_rows`` adds deleted, merged and archived ones.

        Raises: as ``pages_as``.
        """
        return self.pages_as(soql, _records, all_rows)

    def pages_as(
        self, soql: str, read: Callable[[JsonRows], _S], all_rows: bool = False
    ) -> Iterator[_S]:
        """The rows of a query, page by page, as whatever a reader makes of them.

        Args:
            soql: The query.
            read: Makes of one answer's records something that has as many rows; raises
                TruncatedAnswerError where they can't be read, and the page is asked for again.
            all_rows: Deleted, merged and archived records as well.

        Raises:
            LocatorExpiredError: the place in the result is gone; run the query again.
            TruncatedAnswerError: fewer or more rows came than Salesforce promised.
        """

        def read_page(response: Response) -> Page[_S]:
            page = wire.raw_page(response)
            return Page(read(page.records), page.next, page.total)

        def read_first(response: Response) -> Page[_S]:
            page = read_page(response)
            if page.next is None and len(page.records) != page.total:
                raise TruncatedAnswerError(
                    f"a query promised {page.total} rows and gave {len(page.records)}"
                )
            return page

        first = wire.query(self.version, soql, all_rows)
        current = self._query(first, read_first)
        promised, seen = current.total, 0
        addresses = set()
        while True:
            seen += len(current.records)
            self.add_rows(first.kind, len(current.records))
            if len(current.records):
                yield current.records
            if current.next is None:
                break
            if current.next.path in addresses:
                raise TruncatedAnswerError("the pages of a query go round in a circle")
            addresses.add(current.next.path)
            current = self.ask(current.next, read_page)
        if seen != promised:
            raise TruncatedAnswerError(
                f"a query promised {promised} rows and gave {seen}",
                remedy="Rows were deleted meanwhile, or an answer was cut: run the query again.",
                call=first.call,
            )

    def _query(self, request: Request, read: Callable[[Response], _T]) -> _T:
        """The first page; a statement too long for a URI travels in a composite body, for one call.

        Source: help article 000386264 (414 and 431).
        """
        if len(request.path) <= self.limits.uri_bytes - self.limits.header_bytes:
            return self.ask(request, read)

        def read_part(response: Response) -> _T:
            ((status, body),) = wire.composite_results(response, 1)
            inner = wire.part(status, body)
            if status != HTTPStatus.OK:
                raise wire.error_from(inner, request.call, request.kind)
            return read(inner)

        return self.ask(wire.composite(self.version, [request]), read_part)

    def records(self, soql: str, all_rows: bool = False) -> list[Record]:
        """All rows of a query; read a second time if the first reading fell apart."""
        return self.read_twice(lambda: [row for page in self.pages(soql, all_rows) for row in page])

    def read_twice(self, read: Callable[[], _T]) -> _T:
        """What a reading of whole queries gives; of a second one if the first fell apart."""
        try:
            return read()
        except (LocatorExpiredError, TruncatedAnswerError):
            _log.debug("a query's pages fell apart: reading it once more")
            return read()

    def count(self, soql: str) -> int:
        """What a ``SELECT COUNT()`` gives. Source: SOQL and SOSL Reference, "COUNT()"."""
        if not soql.upper().startswith("SELECT COUNT() "):
            raise ConfigurationError("count() takes SELECT COUNT() only")
        return self.ask(wire.query(self.version, soql), wire.page).total

    # --- metadata and records by id ---------------------------------------------------------------

    def describe(self, name: str) -> Record:
        """Salesforce's describe of an object. Source: "sObject Describe".

        Raises:
            NotFoundError: no such object, or not visible to this user.
        """
        return self.ask(wire.describe(self.version, soql_text.name(name)), _description)

    def together(self, requests: Sequence[Request]) -> list[Response | SalesforceError]:
        """Several reading requests for one billed call each 25; each is answered for itself.

        An org that refuses ``composite`` is asked one by one, a call each.

        Returns:
            The answers in the order of the requests, an error where one was refused.
        """
        answers: list[Response | SalesforceError] = []
        size = self.limits.composite_subrequests
        for start in range(0, len(requests), size):
            answers += self._bundle(requests[start : start + size])
        return answers

    def _bundle(self, requests: Sequence[Request]) -> list[Response | SalesforceError]:
        if len(requests) > 1:
            try:
                parts = self.ask(
                    wire.composite(self.version, requests),
                    lambda response: wire.composite_results(response, len(requests)),
                )
            except (PermissionDeniedError, NotFoundError, QueryError, TooLargeError):
                _log.debug("composite refused: asking one by one")
            else:
                return [
                    _part(wire.part(*part), request)
                    for request, part in zip(requests, parts, strict=True)
                ]
        answers: list[Response | SalesforceError] = []
        for request in requests:
            try:
                answers.append(self.send(request))
            except (PermissionDeniedError, NotFoundError, QueryError, TooLargeError) as error:
                answers.append(error)
        return answers

    def describes(self, names: Sequence[str]) -> dict[str, Record | SalesforceError]:
        """Several describes for one call per 25 names; an error takes the place of its describe."""
        distinct = list(dict.fromkeys(names))
        requests = [wire.describe(self.version, soql_text.name(name)) for name in distinct]
        answers = self.together(requests)
        return {name: described(answer) for name, answer in zip(distinct, answers, strict=True)}

    def collections(
        self,
        object_name: str,  # Salesforce's word for it
        ids: Sequence[str],
        fields: Sequence[str],
    ) -> list[Record | None]:
        """The records with these ids, in their order; None for one that Salesforce doesn't show.

        Args:
            object_name: Its API name.
            ids: At most ``limits.ids_per_collection``; either form.
            fields: Field names; ``Id`` is always among the answer's.

        Raises:
            ValueError: too many ids, or one that is none.
            QueryError: a field that is gone or hidden; ``fields`` of the error names it if it can.
        """
        if not ids:
            return []
        request, asked = self.collection_request(object_name, ids, fields)
        found = self.ask(
            request, lambda response: _in_order(wire.collection(response, len(asked)), asked)
        )
        self.add_rows("collections", len(found) - found.count(None))
        return found

    def collection_request(
        self, object_name: str, ids: Sequence[str], fields: Sequence[str]
    ) -> tuple[Request, list[str]]:
        """What ``collections`` sends, to be sent by ``ask`` or ``together``; and the ids in it.

        Raises: ValueError, as ``collections``.
        """
        if len(ids) > self.limits.ids_per_collection:
            raise ValueError(f"at most {self.limits.ids_per_collection} ids in one call")
        asked = [record_ids.to_18(id_) for id_ in ids]
        chosen = list(dict.fromkeys(["Id", *map(soql_text.name, fields)]))
        return wire.collections(self.version, soql_text.name(object_name), asked, chosen), asked

    # --- the org
    # ------------------------------------------------------------------------------------

    def org_limits(self) -> Record:
        """The org's allocations, as ``{"DailyApiRequests": {"Max": …, "Remaining": …}, …}``."""
        return self.ask(wire.limits(self.version), wire.json_object)

    def record_counts(self, names: Sequence[str]) -> dict[str, int]:
        """Approximate row counts by object name, of those that Salesforce answers."""
        request = wire.record_count(self.version, [soql_text.name(name) for name in names])
        entries = self.ask(request, wire.json_object).get("sObjects")
        counts = entries if isinstance(entries, list) else []
        return {
            e["name"]: e["count"]
            for e in counts
            if isinstance(e, dict)
            and isinstance(e.get("name"), str)
            and isinstance(e.get("count"), int)
        }

    def versions(self) -> list[str]:
        """The API versions that the org serves, oldest first, as "64.0"; not billed."""
        entries = self.ask(wire.versions(), wire.parsed)
        found = (
            [e.get("version") for e in entries if isinstance(e, dict)]
            if isinstance(entries, list)
            else []
        )
        return [version for version in found if isinstance(version, str)]

    def add_rows(self, kind: str, rows: int) -> None:
        """Book rows that calls of this kind brought, for ``request_timings``."""
        self._meter.add_rows(kind, rows)

    def close(self) -> None:
        """Close the connections; the client can't be used afterwards."""
        self._transport.close()

    def __repr__(self) -> str:
        return f"SalesforceClient(calls={self.calls.total})"


# --- pure decisions
# --------------------------------------------------------------------------------


def _as_it_is(response: Response) -> Response:
    # An empty or an HTML 200 is a maintenance page or a proxy, not an answer. Bulk results are CSV
    # and an empty result may be an empty body.
    kind = response.headers.get("Content-Type", "").lower()
    if "html" in kind or (not response.body and "csv" not in kind):
        raise TruncatedAnswerError("the answer is empty or a web page", status=response.status)
    return response


def _records(rows: JsonRows) -> list[Record]:
    return [record for record in rows.parsed() if record is not None]


def _description(response: Response) -> Record:
    found = wire.json_object(response)
    if not isinstance(found.get("fields"), list):
        raise TruncatedAnswerError("a describe without fields")
    return found


def described(answer: Response | SalesforceError) -> Record | SalesforceError:
    """A describe out of a bundle of answers, or why there is none."""
    if isinstance(answer, SalesforceError):
        return answer
    try:
        return _description(answer)
    except TruncatedAnswerError as error:
        return error


def _part(response: Response, request: Request) -> Response | SalesforceError:
    if not 200 <= response.status < 300:  # noqa: PLR2004  # HTTP 2xx
        return wire.error_from(response, request.call, request.kind)
    return response


def _in_order(found: list[Record | None], asked: list[str]) -> list[Record | None]:
    """Salesforce keeps the order of the ids; that is implied, not promised, so it is checked."""
    if all(row is None or row.get("Id") == id_ for row, id_ in zip(found, asked, strict=True)):
        return found
    by_id = {row["Id"]: row for row in found if row is not None and isinstance(row.get("Id"), str)}
    if not by_id.keys() <= set(asked) or len(by_id) < len(found) - found.count(None):
        raise TruncatedAnswerError("a Collections answer with records that weren't asked for")
    return [by_id.get(id_) for id_ in asked]


def _not_answered(error: TransportError, request: Request) -> SalesforceError:
    if error.lasting:
        return ConfigurationError(str(error), remedy=CERTIFICATE_REMEDY, call=request.call)
    return UnavailableError(str(error), call=request.call)


def _refused(response: Response, request: Request) -> SalesforceError:
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:  # 3xx
        return ConfigurationError(
            f"the org answers with a redirect (HTTP {response.status}), which is never followed",
            remedy="Set SALESFORCE_INSTANCE_URL or SALESFORCE_LOGIN_URL to the org's My Domain.",
            call=request.call,
            status=response.status,
        )
    return wire.error_from(response, request.call, request.kind)


def _backoff(attempt: int) -> float:
    pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
    # Jitter, so that several clients that failed together don't come back together.
    return float(pause * random.uniform(0.5, 1.0))  # noqa: S311  # no secret depends on it  # no secret depends on it


def _retry_after(response: Response) -> float | None:
    """The pause that the server asks for, in seconds or as a date. Source: RFC 9110, 10.2.3."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(min(int(text[:9]), 86_400))
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time()) if text else None
    except ValueError:
        return None
