"""Send log lines to the console and a file; keep people's data out of those that say what failed.

Databases and dlt quote the row that they refuse: in the second line of an error's text, in a
traceback's last line. So of an error that is not ours only its class and its place are written,
and dlt's own lines stand only where they are asked for.
"""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.cli.screen import ConsoleHandler, Screen

logger = logging.getLogger("salesforce_targeted")
LOG_FILE = "targeted_contact_sync.log"
Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def log_to(screen: Screen, *, debug: bool, quiet: bool = False) -> None:
    """Send our log lines to stderr and to ``LOG_FILE`` in the current folder.

    Args:
        quiet: Only warnings go to stderr; the file gets all.

    Raises:
        ConfigurationError: there is no current folder any more.
    """
    line = DiscreetFormatter("%(asctime)s %(levelname)s %(message)s")
    console: logging.Handler = logging.StreamHandler(sys.stderr)
    console.setFormatter(line)
    if screen.live:
        console = ConsoleHandler(screen.err)
        console.setFormatter(DiscreetFormatter("%(asctime)s %(message)s", "%H:%M:%S"))
    if quiet and not debug:
        console.setLevel(logging.WARNING)
    try:
        file = LogFile(LOG_FILE, encoding="utf-8", delay=True)
    except FileNotFoundError:
        raise ConfigurationError(
            "the current folder was removed", remedy="Change into one that is there, and run again."
        ) from None
    file.setFormatter(line)
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    logger.handlers[:] = [console, file]
    logger.propagate = False


def show_dlt(*, verbose: bool, debug: bool) -> None:
    """Set which lines of dlt's are shown, after dlt has made its logger.

    Its errors quote whole rows of people, so they are left out: the report says what happened.
    """
    of_dlt = logging.getLogger("dlt")
    shown = logging.DEBUG if debug else logging.INFO
    of_dlt.setLevel(shown if verbose or debug else logging.CRITICAL)
    of_dlt.addFilter(quotes_no_row)


class LogFile(logging.FileHandler):
    """Write a log file; where it can't be written, warn once on the other handlers and go on."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; opening the file may fail as well as writing to it."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's own name
        """Give up; logging's own way is a traceback on stderr for every line."""
        self.setLevel(logging.CRITICAL + 1)
        raised = sys.exc_info()[1]
        why = getattr(raised, "strerror", None) or type(raised).__name__
        logging.getLogger(record.name).warning("%s can't be written: %s", self.baseFilename, why)


class DiscreetFormatter(logging.Formatter):
    """Write tracebacks without the texts of errors that are not ours."""

    def formatException(self, ei: Raised) -> str:  # noqa: N802  # logging's own name
        """Return the places that an error and its causes passed, the outermost first."""
        error, parts = ei[1], []
        while error is not None:
            ours = type(error).__module__.startswith("salesforce_targeted")
            text = f"{type(error).__name__}{f': {error}' if ours else ''}"
            parts.append("".join(traceback.format_tb(error.__traceback__)) + text)
            error = error.__cause__ or error.__context__
        return "\n".join(parts)


def quotes_no_row(record: logging.LogRecord) -> bool:
    """Tell whether a line of dlt's may be written: those of errors carry the refused row."""
    return record.levelno < logging.ERROR and not record.exc_info
