"""Decide whether a request is sent again, how often, and after how long a pause.

Rules:
1. What a message means, and so whether it may pass, stands in its row of messages.py; after 400 and
   404 nothing is sent again (error_responses.py). How often in all: ``attempts`` of
   authorized_session.py.
2. A pause doubles each time, with jitter; a server that asks for a longer one gets it.
3. A session that ended is renewed at most once for a request (authorized_session.py).

Source: REST API Developer Guide, "Status Codes and Error Responses"; RFC 9110, 10.2.3.
"""

import random
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from salesforce_targeted.api.errors import SalesforceError, SlowResponseError
from salesforce_targeted.api.models import Response

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0
# A server that asks for more patience than this is down; the caller decides whether to wait.
_LONGEST_RETRY_AFTER_SECONDS = 300.0


class Retries:
    """Count the attempts of one request.

    Args:
        attempts: How often it is tried in all.
        at_500: Fewer where Salesforce responds with 500; None: as often.
        when_slow: Fewer where nothing comes in the time that we wait; None: as often.
    """

    def __init__(self, attempts: int, at_500: int | None, when_slow: int | None) -> None:
        self._attempts, self._at_500, self._when_slow = attempts, at_500, when_slow
        self._made = 0

    def pause_after(self, failure: SalesforceError, response: Response | None) -> float | None:
        """Return the seconds to wait before the next attempt; None if there is to be none.

        Args:
            failure: What may pass.
            response: Where one came; the server may ask for a pause in it.
        """
        self._made += 1
        most = self._attempts
        if isinstance(failure, SlowResponseError):
            most = min(most, self._when_slow or most)
        elif response is not None and response.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            most = min(most, self._at_500 or most)
        return pause_of(self._made, response) if self._made < most else None


def pause_of(attempt: int, response: Response | None) -> float | None:
    """Return the seconds to wait after an attempt that failed; None if that is too long.

    Args:
        attempt: Its number, from 1.
        response: Where one came; the server may ask for a pause in it.
    """
    pause = max(_backoff(attempt), (_retry_after(response) if response else None) or 0.0)
    return pause if pause <= _LONGEST_RETRY_AFTER_SECONDS else None


def _backoff(attempt: int) -> float:
    pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
    # Jitter, so that several clients that failed together don't come back together.
    return float(pause * random.uniform(0.5, 1.0))  # noqa: S311  # no secret depends on it


def _retry_after(response: Response) -> float | None:
    """Read the pause that the server asks for, in seconds."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(min(int(text[:9]), 86_400))
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time()) if text else None
    except (ValueError, OverflowError):  # a date that is none, or of no calendar
        return None
