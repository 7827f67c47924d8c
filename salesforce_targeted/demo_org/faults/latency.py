"""Tell how long real orgs take to respond: a model from public measurements, with a seeded spread.

Source: the project's own collection of public figures; every number here is [K], a fair guess.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Latency:
    """Seconds by kind of call and rows returned; one call in a hundred takes five times as long."""

    call_seconds: float = 0.15
    narrow_row_seconds: float = 0.000_25
    wide_row_seconds: float = 0.000_6
    describe_seconds: float = 0.3
    sign_in_seconds: float = 0.4
    bulk_job_seconds: float = 4.0
    bulk_rows_per_second: float = 20_000.0
    slow_share: float = 0.01
    slow_factor: float = 5.0
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    @classmethod
    def realistic(cls) -> Latency:
        """Return the model of the public figures."""
        return cls()

    def seconds(self, kind: str, rows: int = 0, *, columns: int = 5) -> float:
        """Return the seconds that a call of *kind* takes which returns so many rows."""
        if kind == "describe":
            wait = self.describe_seconds
        elif kind in ("token", "soap"):
            wait = self.sign_in_seconds
        elif kind == "bulk_results":
            wait = self.call_seconds + rows / self.bulk_rows_per_second
        else:
            row = self.wide_row_seconds if columns > 30 else self.narrow_row_seconds
            wait = self.call_seconds + rows * row
        return wait * (self.slow_factor if self.rng.random() < self.slow_share else 1.0)

    def job_seconds(self, rows: int) -> float:
        """Return the seconds that a Bulk query job needs until it is complete."""
        return self.bulk_job_seconds + rows / self.bulk_rows_per_second
