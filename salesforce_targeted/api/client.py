"""The Salesforce client: what can be asked of an org; ``send`` and ``ask`` are the only doors out.

Rules: those of conversation.py, through which everything goes.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence, Sized
from typing import TypeVar

from salesforce_targeted.api.authorized_session import Conversation
from salesforce_targeted.api.call_meter import CallLedger, CallMeter
from salesforce_targeted.api.login import Credentials
from salesforce_targeted.api.models import JsonRows, Record, Request, Response

from . import composite, endpoints, query_pages, readers
from . import ids as record_ids
from . import soql as soql_text
from .errors import (
    ConfigurationError,
    LocatorExpiredError,
    SalesforceError,
    TruncatedAnswerError,
)
from .limits import DOCUMENTED, Limits

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_S = TypeVar("_S", bound=Sized)


class SalesforceClient:
    """Asks one org. Safe to use from several threads.

    Args:
        credentials: A spec of credentials.py or sign_in_choice.py, or what has ``sign_in(door)``.
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
        self.max_in_flight = max(1, max_in_flight)
        self.sleep = sleep
        self._meter = CallMeter(self.max_in_flight)
        self._conversation = Conversation(
            credentials,
            self._meter,
            limits=limits,
            connections=self.max_in_flight,
            timeout_seconds=timeout_seconds,
            attempts=attempts,
            sleep=sleep,
        )

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
        return self._conversation.sign_ins

    # --- session
    # ------------------------------------------------------------------------------------

    @property
    def instance_url(self) -> str:
        """The org's origin; signs in if that hasn't happened yet."""
        return self._conversation.instance_url

    @property
    def org_id(self) -> str | None:
        """The 15 characters of the org's id; None where the session does not tell it."""
        return self._conversation.org_id

    def close(self) -> None:
        """Close the connections; the client can't be used afterwards."""
        self._conversation.close()

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
        return self.ask(request, readers.as_it_is)

    def ask(
        self,
        request: Request,
        read: Callable[[Response], _T],
        *,
        attempts_at_500: int | None = None,
    ) -> _T:
        """Send one request and read its 2xx answer; one that reads as cut short is asked for again.

        Args:
            request: Any that the allow-list lets through.
            read: Raises TruncatedAnswerError where the answer isn't whole.
            attempts_at_500: Fewer attempts where Salesforce answers 500, for which a record that
                was asked for may be the reason.

        Raises: as ``send``.
        """
        return self._conversation.ask(request, read, attempts_at_500=attempts_at_500)

    # --- queries
    # ------------------------------------------------------------------------------------

    def pages(self, soql: str, all_rows: bool = False) -> Iterator[list[Record]]:
        """The rows of a query, page by page; ``all_rows`` adds deleted, merged and archived ones.

        Raises: as ``pages_as``.
        """
        return self.pages_as(soql, _records, all_rows)

    def pages_as(
        self,
        soql: str,
        read: Callable[[JsonRows], _S],
        all_rows: bool = False,
        *,
        attempts_at_500: int | None = None,
    ) -> Iterator[_S]:
        """The rows of a query, page by page, as whatever a reader makes of them.

        Args:
            soql: The query.
            read: Makes of one answer's records something that has as many rows; raises
                TruncatedAnswerError where they can't be read, and the page is asked for again.
            all_rows: Deleted, merged and archived records as well.
            attempts_at_500: Of the first page, as for ``ask``.

        Raises:
            LocatorExpiredError: the place in the result is gone; run the query again.
            TruncatedAnswerError: fewer or more rows came than Salesforce promised.
        """
        return query_pages.pages_as(self, soql, read, all_rows, attempts_at_500)

    def pages_after(
        self, first: Request, response: Response, read: Callable[[JsonRows], _S]
    ) -> Iterator[_S]:
        """The rows of a query whose first page came with others, in ``together``; all pages.

        Raises: as ``pages_as``.
        """
        return query_pages.pages_after(self, first, response, read)

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
        return self.ask(endpoints.query(self.version, soql), readers.page).total

    # --- metadata and records by id ---------------------------------------------------------------

    def describe(self, name: str) -> Record:
        """Salesforce's describe of an object. Source: "sObject Describe".

        Raises:
            NotFoundError: no such object, or not visible to this user.
        """
        return self.ask(endpoints.describe(self.version, soql_text.name(name)), readers.description)

    def together(
        self, requests: Sequence[Request], *, attempts_at_500: int | None = None
    ) -> list[Response | SalesforceError]:
        """Several reading requests for one billed call each 25; each is answered for itself.

        An org that refuses ``composite`` is asked one by one, a call each.

        Args:
            requests: At most five of each 25 may be queries or Collections.
            attempts_at_500: As for ``ask``, where they are asked one by one.

        Returns:
            The answers in the order of the requests, an error where one was refused or failed.
        """
        return composite.together(self, requests, attempts_at_500)

    def describes(self, names: Sequence[str]) -> dict[str, Record | SalesforceError]:
        """Several describes for one call per 25 names; an error takes the place of its describe."""
        distinct = list(dict.fromkeys(names))
        requests = [endpoints.describe(self.version, soql_text.name(name)) for name in distinct]
        found = self.together(requests)
        return {
            name: readers.described(answer) for name, answer in zip(distinct, found, strict=True)
        }

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
        found = self.ask(request, lambda response: readers.collection_in_order(response, asked))
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
        return endpoints.collections(
            self.version, soql_text.name(object_name), asked, chosen
        ), asked

    # --- the org
    # ------------------------------------------------------------------------------------

    def org_limits(self) -> Record:
        """The org's allocations, as ``{"DailyApiRequests": {"Max": …, "Remaining": …}, …}``."""
        return self.ask(endpoints.limits(self.version), readers.json_object)

    def record_counts(self, names: Sequence[str]) -> dict[str, int]:
        """Approximate row counts by object name, of those that Salesforce answers."""
        request = endpoints.record_count(self.version, [soql_text.name(name) for name in names])
        return self.ask(request, readers.record_counts)

    def versions(self) -> list[str]:
        """The API versions that the org serves, oldest first, as "64.0"; not billed."""
        return self.ask(endpoints.versions(), readers.versions)

    def add_rows(self, kind: str, rows: int) -> None:
        """Book rows that calls of this kind brought, for ``request_timings``."""
        self._meter.add_rows(kind, rows)

    def __repr__(self) -> str:
        return f"SalesforceClient(calls={self.calls.total})"


def _records(rows: JsonRows) -> list[Record]:
    return [record for record in rows.parsed() if record is not None]
