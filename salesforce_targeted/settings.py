"""Hold what a run is configured to do (Settings) and asked to do this time (Scope), checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Self

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.api.limits import DOCUMENTED, Limits, version_of

_CENTURY_DAYS = 36_525


@dataclass(frozen=True, slots=True)
class Scope:
    """Say what a run looks at, where that is not the default (all that changed since the last run).

    Attributes:
        full: Everything is read again.
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
        """Tell whether the run sees all relations, so that what it doesn't see is not there."""
        return self.since is None and self.limit is None and not self.retry_rejected

    @property
    def discovers(self) -> bool:
        """Tell whether the run reads who is active, besides those whom its relations name."""
        return self.limit is None and not self.retry_rejected

    @property
    def mode(self) -> str:
        """Give the report's word for it."""
        if self.retry_rejected:
            return "retry_rejected"
        if self.full:
            return "full"
        return "since" if self.since else "limit" if self.limit is not None else "incremental"


@dataclass(frozen=True, slots=True)
class Settings:
    """Hold the source's parameters, checked.

    The sources repeat names and defaults in their signatures, which dlt reads: a test compares
    them. A new setting stands there, in ``.dlt/config.toml`` and in README's list, too.

    What each means stands at :func:`salesforce_targeted.source.salesforce_targeted`.

    Raises:
        ConfigurationError: a value that can't be meant.
    """

    since: datetime | None = None
    fields: tuple[str, ...] | None = None
    refresh_call_budget: int = 100
    full_refresh_days: int = 7
    daily_call_reserve: float = 0.1
    calls_per_run: int | None = None
    api: Api | None = None
    api_version: str | None = None
    id_column: str = "id"
    indexes: bool = True

    def __post_init__(self) -> None:
        for name in ("refresh_call_budget", "full_refresh_days"):
            if getattr(self, name) < 0:
                raise ConfigurationError(
                    f"{name} = {getattr(self, name)} is negative",
                    remedy="Write 0 or more.",
                )
        if self.full_refresh_days > _CENTURY_DAYS:  # what comes of it is no date any more
            raise ConfigurationError(
                f"full_refresh_days = {self.full_refresh_days} is more than a hundred years",
                remedy=f"Write {_CENTURY_DAYS} or less.",
            )
        if fault := _fault_of_name(self.id_column):
            raise ConfigurationError(
                f"id_column {fault}", remedy='Write a name, such as "id" or "salesforce_id".'
            )
        if not 0 <= self.daily_call_reserve < 1:
            raise ConfigurationError(
                f"daily_call_reserve = {self.daily_call_reserve} is not a share of the org's calls",
                remedy="Write it as 0.1 for ten per cent.",
            )
        if self.calls_per_run is not None and self.calls_per_run < 1:
            raise ConfigurationError(
                f"calls_per_run = {self.calls_per_run} leaves no call to a run",
                remedy="Leave it unset for as many as the day allows.",
            )

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Self:
        """Make settings of a source's arguments, by their names; others may be among them.

        Raises:
            ConfigurationError: a value that can't be meant.
        """
        return cls.parse(**{setting.name: arguments[setting.name] for setting in fields(cls)})

    @classmethod
    def parse(
        cls,
        *,
        since: str | datetime | None = None,
        fields: Sequence[str] | None = None,
        api: str | None = None,
        api_version: str | float | None = None,
        **numbers_and_names: Any,
    ) -> Self:
        """Make settings of what people write: a date as text, an API by its name, a version.

        Raises:
            ConfigurationError: a value that can't be meant.
        """
        names = isinstance(fields, list | tuple) and all(isinstance(name, str) for name in fields)
        if fields and not names:
            raise ConfigurationError(
                f"fields = {fields!r} is no list of names",
                remedy='Write it as ["FirstName", "Email"].',
            )
        return cls(
            since=moment(since),
            fields=tuple(fields) if fields else None,
            api=_api(api),
            # Left empty, as a variable that a container passes on, it is not set.
            api_version=version_of(api_version) if str(api_version or "").strip() else None,
            **numbers_and_names,
        )


# What other columns of our tables are called, in letters alone: the fields that are always read,
# the keys of relations, the hash; and columns that every table of PostgreSQL has already. Source:
# PostgreSQL, "System Columns".
_TAKEN_NAMES = frozenset({
    "isdeleted", "masterrecordid", "systemmodstamp", "taskid", "relationid", "rowhash",
    "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid",
})  # fmt: skip


def _fault_of_name(name: str) -> str:
    """Say why Salesforce's ``Id`` can't be called so; "" where it can."""
    if not name.strip():
        return "is empty"
    if not re.fullmatch(r"[^\W\d][\w .-]*", name.strip()):
        return f"= {name!r} is no name of a column"
    if name.replace("_", "").lower() in _TAKEN_NAMES or name.lower().startswith("_dlt"):
        return f"= {name!r} is the name of another column"
    return ""


def moment(text: str | datetime | None) -> datetime | None:
    """Read a date or an instant in ISO 8601 that has passed, in UTC where no zone is given."""
    if text is None:
        return None
    try:
        read = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"since = {text!r} is not a date",
            remedy="Write it as 2024-01-31 or 2024-01-31T08:00:00Z.",
        ) from None
    read = read if read.tzinfo else read.replace(tzinfo=UTC)
    if read > datetime.now(UTC):
        raise ConfigurationError(
            f"nothing was modified since {read:%Y-%m-%d}: that day is in the future",
            remedy="Give an earlier date.",
        )
    return read


def _api(name: str | None) -> Api | None:
    if name is None or not name.strip():
        return None
    try:
        return Api(name.strip().lower())
    except ValueError:
        ways = ", ".join(api.value for api in Api)
        raise ConfigurationError(
            f"api = {name!r} is not a way to retrieve", remedy=f"Choose one of {ways}."
        ) from None


class Api(Enum):
    """Name a way to retrieve records whose ids are known."""

    COLLECTIONS = "collections"
    COMPOSITE = "composite"
    QUERY = "query"
    BULK = "bulk"


def scope_of(given: Scope | None) -> Scope:
    """Return what a run looks at, all that changed where nothing is given.

    Raises:
        ConfigurationError: it is no scope.
    """
    if given is None or isinstance(given, Scope):
        return given or Scope()
    written = ", ".join(f"{k}={v!r}" for k, v in given.items()) if isinstance(given, dict) else "…"
    raise ConfigurationError(
        f"scope = {given!r} is no Scope",
        remedy=f"Write scope=Scope({written}), after from salesforce_targeted import Scope.",
    )
