"""Say how often what failed is sent again, and after what pause.

Rules:
1. Whether it may pass at all stands in its row of messages.py; after 400 and 404 nothing is sent
   again.
2. A pause doubles each time, with jitter; a server that asks for a longer one gets it.
3. What may fail because of what was asked for is tried less often: the caller has another way.

Source: REST API Developer Guide, "Status Codes and Error Responses"; RFC 9110, 10.2.3.
"""

import random
import time
from http import HTTPStatus
from typing import TypedDict

from salesforce_targeted.api import errors
from salesforce_targeted.api.models import Response
from salesforce_targeted.api.org_clock import http_date

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0
# A server that asks for more patience than this is down; the caller decides whether to wait.
_LONGEST_RETRY_AFTER_SECONDS = 300.0
# What came whole and makes no sense is how this org, or the proxy before it, writes responses.
_ATTEMPTS_AT_CONTRADICTION = 2


class Attempts(TypedDict, total=False):
    """Say how often a request is tried in all, where it is less often than others.

    Attributes:
        attempts: Whatever fails.
        attempts_at_500: Where Salesforce responds with 500, for which a record that was asked for
            may be the reason.
        attempts_when_slow: Where nothing comes in the time that we or a gateway wait, for which so
            much that was asked for together may be the reason.
    """

    attempts: int
    attempts_at_500: int | None
    attempts_when_slow: int | None


def most_attempts(failure: errors.SalesforceError, most: int, attempts: Attempts) -> int:
    """Return how often a request that failed so is tried in all; ``most`` where nothing is said."""
    most = attempts.get("attempts", most)
    if isinstance(failure, errors.SlowResponseError):
        # What a gateway says in a moment may pass in one, and is worth a second attempt.
        when_slow = attempts.get("attempts_when_slow") or most
        return min(most, when_slow + (failure.status is not None))
    if isinstance(failure, errors.TruncatedResponseError) and failure.status is None:
        return min(most, _ATTEMPTS_AT_CONTRADICTION)
    if failure.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return min(most, attempts.get("attempts_at_500") or most)
    return most


def pause_after(failures: int, response: Response | None) -> float | None:
    """Return the seconds to wait after so many failures; None if that is too long.

    The server may ask for a pause in its last response, where one came.
    """
    backoff = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (failures - 1))
    # Jitter, so that several clients that failed together don't come back together.
    pause = backoff * random.uniform(0.5, 1.0)  # noqa: S311  # no secret depends on it
    pause = max(pause, _retry_after(response) if response else 0.0)
    return pause if pause <= _LONGEST_RETRY_AFTER_SECONDS else None


def _retry_after(response: Response) -> float:
    text = response.header("Retry-After").strip()
    if text.isdecimal():
        return float(text[:9])
    moment = http_date(text)
    return moment.timestamp() - time.time() if moment else 0.0
