"""Keep people's data out of log lines that say what went wrong.

Databases and dlt quote the row that they refuse: in the second line of an error's text, in a
traceback's last line. So of an error that is not ours only its class and its place are written.
"""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType

Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


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
