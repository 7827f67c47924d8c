"""Read queries, records and metadata of one org; ``send`` is the only way out.

Rules: those of authorized_session.py, through which everything goes.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import TypeVar, Unpack

from . import endpoints, errors, queries, readers
from . import ids as record_ids
from . import soql as soql_text
from .authorized_session import AuthorizedSession
from .concurrency import map_as_completed, merge_as_completed
from .models import JsonRows, Record, Request, Response
from .refusals.retries import Attempts

_log = logging.getLogger(__name__)
_COUNT = "SELECT COUNT() "
_Q = TypeVar("_Q")
_T = TypeVar("_T")


def _of_rows(soql: str) -> str:
    return f"SELECT Id {soql[len(_COUNT) :]}"


class SalesforceClient(AuthorizedSession):
    """Read one org. Safe to use from several threads; see :class:`AuthorizedSession`."""

    # --- queries ----------------------------------------------------------------------------------

    # Their docstrings are those of the functions.
    iter_pages = queries.iter_pages
    pages_after = queries.pages_after
    composite = queries.composite
    send_ahead = queries.send_ahead

    def records(
        self, soql: str, all_rows: bool = False, **attempts: Unpack[Attempts]
    ) -> list[Record]:
        """List all rows of a query; read a second time if rows moved between pages.

        Raises:
            TruncatedResponseError: rows moved between the pages both times: one with an ``Id`` came
                twice, so that another was on none.
        """

        def read() -> list[Record]:
            pages = self.iter_pages(soql, JsonRows.records, all_rows, **attempts)
            rows = [row for page in pages for row in page]
            ids = [row["Id"] for row in rows if "Id" in row]
            if len(set(ids)) < len(ids):
                raise errors.TruncatedResponseError("rows moved between pages while they were read")
            return rows

        return self.read_twice(read)

    def side_by_side(self, read: Callable[[_Q], _T], parts: Iterable[_Q]) -> Iterator[_T]:
        """Read parts, several in flight, as they arrive; then what was put off leaves meanwhile."""
        return map_as_completed(read, parts, self.max_in_flight, self.ahead.begin_next)

    def merged(self, sources: Sequence[Iterator[_T]]) -> Iterator[_T]:
        """Read iterators side by side; then what was put off leaves meanwhile."""
        return merge_as_completed(sources, self.max_in_flight, self.ahead.begin_next)

    def read_twice(self, read: Callable[[], _T]) -> _T:
        """Return what a reading of whole queries gives; of a second one if rows moved."""
        try:
            return read()
        except errors.FELL_APART:
            _log.debug("a query's rows moved between pages: reading it once more")
            return read()

    def count(self, soql: str) -> int:
        """Return what a ``SELECT COUNT()`` gives. Source: SOQL and SOSL Reference, "COUNT()".

        Where the org does not count in time, the size of a result of ids says it.
        """
        if not soql.upper().startswith(_COUNT):
            raise errors.ConfigurationError("count() takes SELECT COUNT() only")
        try:
            return self.send(endpoints.query(self.version, self.counting(soql)), readers.page).total
        except errors.SalesforceError as error:
            if not self.counts or not errors.is_of_query(error):
                raise
            return self.count_rows(soql, error)

    def count_rows(self, soql: str, error: errors.SalesforceError) -> int:
        """Return what a ``SELECT COUNT()`` would give that was refused with an error.

        Later counts don't try it, once the org has served this one.
        """
        rows = endpoints.query(self.version, _of_rows(soql))
        total = self.send(rows, readers.page).total
        if self.counts:
            self.counts = False
            self.warn(f"{error.what} The rows are counted instead.")
        return total

    def counting(self, soql: str) -> str:
        """Return the query whose result has the size that a ``SELECT COUNT()`` gives."""
        return soql if self.counts else _of_rows(soql)

    # --- metadata and records by id ---------------------------------------------------------------

    def describe(self, name: str, **attempts: Unpack[Attempts]) -> Record:
        """Return Salesforce's describe of an object. Source: "sObject Describe".

        Raises:
            NotFoundError: no such object, or not visible to this user.
        """
        request = endpoints.describe(self.version, soql_text.name(name))
        return self.send(request, readers.description, **attempts)

    def collection_request(
        self, object_name: str, ids: Sequence[str], fields: Sequence[str]
    ) -> Request:
        """Build what reads the records with these ids, for ``send`` or ``composite``.

        Args:
            ids: At most ``limits.ids_per_collection``; either form.
            fields: Field names; ``Id`` is always among the record's.

        Raises:
            ValueError: too many ids, or one that is none.
        """
        if len(ids) > self.limits.ids_per_collection:
            raise ValueError(f"at most {self.limits.ids_per_collection} ids in one call")
        chosen = dict.fromkeys(["Id", *map(soql_text.name, fields)])
        asked = map(record_ids.to_18, ids)
        return endpoints.collections(
            self.version, soql_text.name(object_name), list(asked), list(chosen)
        )

    # --- the org ----------------------------------------------------------------------------------

    def org_limits(self) -> Record:
        """Read the org's allocations: ``{"DailyApiRequests": {"Max": …, "Remaining": …}, …}``."""
        return self.send(endpoints.limits(self.version), readers.json_object)

    def visible_limits(self) -> Record | None:
        """Read the org's allocations; None where the org does not tell this user.

        Source: REST API, "Limits" (needs View Setup and Configuration).
        """
        return self.if_told(endpoints.limits(self.version), readers.json_object)

    def record_counts(self, names: Sequence[str]) -> dict[str, int]:
        """Read approximate row counts by object name; none where the org does not tell this user.

        Source: REST API, "Record Count" (needs View Setup and Configuration).
        """
        request = endpoints.record_count(self.version, [soql_text.name(name) for name in names])
        return self.if_told(request, readers.record_counts) or {}

    def versions(self) -> list[str]:
        """List the API versions that the org serves, oldest first, as "64.0"; not billed.

        None where a proxy in between hides them.
        """
        return self.if_told(endpoints.versions(), readers.versions) or []

    def if_told(self, request: Request, read: Callable[[Response], _T]) -> _T | None:
        """Read what is only nice to know: None where it is refused; what ends every call raises."""
        try:
            return self.send(request, read)
        except errors.SalesforceError as error:
            if isinstance(error, errors.ConfigurationError):
                # What a proxy redirects is one page; a version that isn't served, or a setting, is
                # not.
                final = error.status is None or error.status >= HTTPStatus.BAD_REQUEST
            else:
                final = isinstance(
                    error,
                    errors.AuthenticationError | errors.QuotaExceededError | errors.ReadOnlyError,
                )
            # The list of versions needs no session: a gateway's 401 says nothing of ours.
            final = final and request.kind != "versions"
            if final or error.error_code in errors.API_OFF:
                raise
            return None

    def __repr__(self) -> str:
        return f"SalesforceClient(calls={self.meter.calls.total()})"
