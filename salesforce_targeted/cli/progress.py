"""Progress of dlt's steps: a live display on a terminal, plain log lines otherwise.

The display is dlt's own collector protocol drawn by rich: log lines go above it, where dlt's
collectors for tqdm would have them cut through the bar.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from dlt.common.runtime.collector import LogCollector
from dlt.common.runtime.collector_base import Collector

if TYPE_CHECKING:
    from rich.console import Console

LOG_PERIOD_SECONDS = 5.0
# dlt's step -> what happens, the counter of it that has an end, and what that counts.
_STEPS = {
    "Extract": ("reading from the org", "Resources", "tables"),
    "Normalize": ("preparing the load", "Files", "files"),
    "Load": ("loading", "Jobs", "jobs"),
}


class LongWorkLog(LogCollector):
    """Write dlt's progress lines into our log, for steps that take longer than the period."""

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


class LiveProgress(Collector):
    """Show a line at the bottom of a terminal, gone when the step ends.

    Args:
        on: The console that the log is printed on, too.
    """

    def __init__(self, on: Console) -> None:
        self.step = ""
        self._on = on
        self._display: Any = None
        self._task: Any = None
        self._counted = ""
        self._rows = 0
        # dlt counts from several threads.
        self._lock = threading.Lock()

    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,
        label: str | None = None,
    ) -> None:
        """Count; what is neither the step's own counter nor a part of one are rows."""
        del message
        with self._lock:
            if self._display is None:
                return
            if name == self._counted and not label:
                if inc_total:
                    total = (self._display.tasks[0].total or 0) + inc_total
                more = {} if total is None else {"total": total}
                self._display.update(self._task, advance=inc, **more)
            elif not label and total is None:
                self._rows += inc
                self._display.update(self._task, rows=f"{self._rows:,} rows")

    def _start(self, step: str) -> None:
        from rich import progress

        doing, self._counted, unit = _STEPS.get(step.partition(" ")[0], (step, "", ""))
        self._rows = 0
        self._display = progress.Progress(
            progress.SpinnerColumn(style="cyan"),
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=24),
            progress.MofNCompleteColumn(),
            progress.TextColumn(unit),
            progress.TextColumn("{task.fields[rows]}", justify="right"),
            progress.TimeElapsedColumn(),
            console=self._on,
            transient=True,
        )
        self._task = self._display.add_task(doing, total=None, rows="")
        self._display.start()

    def _stop(self) -> None:
        with self._lock:
            if self._display is not None:
                self._display.stop()
            self._display = None
