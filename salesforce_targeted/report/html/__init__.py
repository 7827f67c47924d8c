"""``--report-html``: a run as one self-contained page, readable on a phone, with nothing to fetch.

Headline numbers first, then detail. The plots are SVG by matplotlib (the extra ``html``); where
that is missing, the numbers stand in their tables alone. Nobody's data is on it: counts, names of
tables and fields, and the ids and errors of rejected rows, as in the report beside it.
"""

from __future__ import annotations

import os
from pathlib import Path

from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.ledger import RunFacts
from salesforce_targeted.report.html.dataset_facts import answers
from salesforce_targeted.report.html.page import page
from salesforce_targeted.report.html.svg import available

__all__ = ["available", "write"]


def write(facts: RunFacts, held: HeldTables, path: Path) -> Path:
    """Write the page, for the user alone (mode 0600); returns its path.

    A database that can't be asked costs the parts that it would fill, and the page says so.
    """
    content = page(facts, answers(held, facts), drawn=available())
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    path.chmod(0o600)  # of a file that was there before, too
    with os.fdopen(opened, "w", encoding="utf-8") as stream:
        stream.write(content)
    return path
