"""Instants as Salesforce writes them; always UTC, so that their texts sort as the instants do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

END = datetime(2026, 11, 20, 12, tzinfo=UTC)
_EPOCH = date(1970, 1, 1)
_days: dict[int, str] = {}


def day_text(day: int) -> str:
    """Return ``YYYY-MM-DD`` of the day so many days after 1970-01-01."""
    text = _days.get(day)
    if text is None:
        text = _days[day] = (_EPOCH + timedelta(days=day)).isoformat()
    return text


def bare(seconds: int) -> str:
    """Write an instant without its offset, which is ``+0000`` in JSON and ``Z`` in CSV."""
    day, rest = divmod(seconds, 86_400)
    return f"{day_text(day)}T{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}.000"


def text_of(moment: datetime) -> str:
    """Write an instant as JSON does: ``2024-09-24T06:32:04.000+0000``."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}+0000"
