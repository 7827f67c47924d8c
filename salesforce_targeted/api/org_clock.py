"""Tell the org's time by the ``Date`` of its responses: this machine's clock may be off.

Source: RFC 9110, 6.6.1 (whole seconds, GMT).
"""

import threading
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from salesforce_targeted.api.models import Response


class OrgClock:
    """Note the dates of responses. Safe to use from several threads.

    Attributes:
        first: The earliest ``Date`` of a billed response, in UTC and whole seconds; None before
            one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.first: datetime | None = None
        self._latest: datetime | None = None

    def note(self, response: Response, *, billed: bool) -> None:
        """Read the ``Date`` of a response; one that is absent or no date changes nothing."""
        moment = http_date(response.header("Date"))
        if moment is None:
            return
        with self._lock:
            if billed:
                # Of several calls that began together, the earliest says when reading began.
                self.first = moment if self.first is None else min(self.first, moment)
            # Responses overtake each other; time doesn't go back.
            self._latest = moment if self._latest is None else max(self._latest, moment)

    def now(self) -> datetime:
        """Return the latest ``Date`` so far, or this machine's time where no response had one."""
        return self._latest or datetime.now(UTC)


def http_date(text: str) -> datetime | None:
    """Read a header's date, in UTC; None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
        # "-0000" makes a time without a zone of it; HTTP knows GMT alone.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # no date, or of no calendar
        return None
