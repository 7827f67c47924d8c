"""What a run is configured to do (Settings) and asked to do this time (Scope), checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

import pendulum

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.api.limits import DOCUMENTED, Limits


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run looks at, where that is not the default (all that changed since the last run).

    Attributes:
        full: Everything anew.
        since: Only relations and contacts modified since; the stored cursor stays where it is.
        limit: At most so many relations, the oldest first; the cursor follows what was loaded.
        allow_shrink: Go on although discovery returned far fewer contacts than are held.
        retry_rejected: Only what ``sf_rejected_records`` lists, again.
        record_log: A file for the loaded records as JSON lines; personal data.
        limits: What one call takes; tests let a dozen records cross every boundary.
    """

    full: bool = False
    since: datetime | None = None
    limit: int | None = None
    allow_shrink: bool = False
    retry_rejected: bool = False
    record_log: Path | None = None
    limits: Limits = DOCUMENTED

    @property
    def complete(self) -> bool:
        """Whether the run sees all relations, so that what it doesn't see is not there."""
        return self.since is None and self.limit is None and not self.retry_rejected

    @property
    def discovers(self) -> bool:
        """Whether the run asks the org who is active, beside those whom its relations name."""
        return self.limit is None and not self.retry_rejected

    @property
    def mode(self) -> str:
        """The report's word for it."""
        if self.retry_rejected:
            return "retry_rejected"
        if self.full:
            return "full"
        return "since" if self.since else "limit" if self.limit is not None else "incremental"


@dataclass(frozen=True, slots=True)
class Settings:
    """The source's parameters, as configured; see :func:`salesforce_targeted.source`."""

    since: datetime | None = None
    fields: tuple[str, ...] | None = None
    refresh_call_budget: int = 100
    full_refresh_days: int = 7
    daily_call_reserve: float = 0.1
    calls_per_run: int | None = None
    api: Api | None = None
    id_column: str = "id"


def settings_of(
    since: str | datetime | None,
    fields: Sequence[str] | None,
    refresh_call_budget: int,
    full_refresh_days: int,
    daily_call_reserve: float,
    calls_per_run: int | None,
    api: str | None,
    id_column: str,
) -> Settings:
    """The source's parameters, checked.

    Raises:
        ConfigurationError: one of them can't be meant that way.
    """
    if not 0 <= daily_call_reserve < 1:
        raise ConfigurationError(
            f"daily_call_reserve = {daily_call_reserve} is not a share of the org's calls",
            remedy="Write it as 0.1 for ten per cent.",
        )
    if calls_per_run is not None and calls_per_run < 1:
        raise ConfigurationError(
            f"calls_per_run = {calls_per_run} leaves no call to a run",
            remedy="Leave it unset for as many as the day allows.",
        )
    return Settings(
        since=moment(since),
        fields=tuple(fields) if fields else None,
        refresh_call_budget=refresh_call_budget,
        full_refresh_days=full_refresh_days,
        daily_call_reserve=daily_call_reserve,
        calls_per_run=calls_per_run,
        api=_api(api),
        id_column=id_column,
    )


def moment(text: str | datetime | None) -> datetime | None:
    """A date or an instant that somebody typed, in UTC where no zone is given."""
    if text is None:
        return None
    if isinstance(text, datetime):
        return text if text.tzinfo else text.replace(tzinfo=UTC)
    try:
        return pendulum.parse(text, tz="UTC")  # type: ignore[return-value]
    except ValueError:
        raise ConfigurationError(
            f"since = {text!r} is not a date",
            remedy="Write it as 2024-01-31 or 2024-01-31T08:00:00Z.",
        ) from None


def _api(name: str | None) -> Api | None:
    if name is None:
        return None
    try:
        return Api(name)
    except ValueError:
        ways = ", ".join(api.value for api in Api)
        raise ConfigurationError(
            f"api = {name!r} is not a way to retrieve", remedy=f"Choose one of {ways}."
        ) from None


class Api(Enum):
    """A way to retrieve records whose ids are known."""

    COLLECTIONS = "collections"
    COMPOSITE = "composite"
    QUERY = "query"
    BULK = "bulk"
