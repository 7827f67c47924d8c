"""Progress by dlt's own collectors: a bar on a terminal, plain log lines otherwise."""

from __future__ import annotations

import logging

from dlt.common.runtime.collector import LogCollector, TqdmCollector
from dlt.common.runtime.collector_base import Collector

LOG_PERIOD_SECONDS = 5.0


class LongWorkLog(LogCollector):
    """The progress lines of dlt in our log, for steps that take longer than the period."""

    def __init__(self) -> None:
        super().__init__(
            log_period=LOG_PERIOD_SECONDS,
            logger=logging.getLogger("salesforce_targeted"),
            dump_system_stats=False,
        )
        self._began = 0.0

    def _start(self, step: str) -> None:
        super()._start(step)
        # dlt would print at once; a step of a second needs no block of counters.
        self._began = self.last_log_time = self._clock()

    def on_log(self) -> None:
        """Log the counters, of long steps only (dlt calls this at a step's end too)."""
        if self._clock() - self._began >= self.log_period:
            super().on_log()


def collector(*, terminal: bool) -> Collector:
    """The collector that fits where the output goes."""
    return TqdmCollector(single_bar=True) if terminal else LongWorkLog()
