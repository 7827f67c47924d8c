"""Send log lines to the console and a file; dlt's own only where they are asked for."""

from __future__ import annotations

import logging
import sys

from salesforce_targeted.cli.screen import ConsoleHandler, Screen
from salesforce_targeted.sync.log_redaction import DiscreetFormatter, LogFile, quotes_no_row

LOG_FILE = "targeted_contact_sync.log"


def log_to(screen: Screen, *, debug: bool, quiet: bool = False) -> None:
    """Send our log lines to stderr and to ``LOG_FILE`` in the current folder.

    Args:
        quiet: Only warnings go to stderr; the file gets all.
    """
    console: logging.Handler = logging.StreamHandler(sys.stderr)
    line = DiscreetFormatter("%(asctime)s %(levelname)s %(message)s")
    console.setFormatter(line)
    if screen.live:
        console = ConsoleHandler(screen.err)
        console.setFormatter(DiscreetFormatter("%(asctime)s %(message)s", "%H:%M:%S"))
    if quiet and not debug:
        console.setLevel(logging.WARNING)
    file = LogFile(LOG_FILE, encoding="utf-8", delay=True)
    file.setFormatter(line)
    ours = logging.getLogger("salesforce_targeted")
    ours.setLevel(logging.DEBUG if debug else logging.INFO)
    ours.handlers[:] = [console, file]
    ours.propagate = False


def note(error: Exception) -> None:
    """Log where an error comes from; ``--debug`` shows it."""
    logging.getLogger("salesforce_targeted").debug("failed", exc_info=error)


def show_dlt(*, verbose: bool, debug: bool) -> None:
    """Set which lines of dlt's are shown, after dlt has made its logger.

    Its errors quote whole rows of people, so they are left out: the report says what happened.
    """
    logger = logging.getLogger("dlt")
    shown = logging.DEBUG if debug else logging.INFO
    logger.setLevel(shown if verbose or debug else logging.CRITICAL)
    logger.addFilter(quotes_no_row)
