"""Pages of ``--report-html`` for tests: facts to make them of, and what they say."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.report.html.dataset_facts import DatasetFacts, read_dataset
from salesforce_targeted.report.html.page import page
from tests.conftest import Synced

STARTED = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRET = "Ada Lovelace"


def facts(ledger: Ledger | None = None, status: str = "done", **more: Any) -> dict[str, Any]:
    """Return a run's facts, as :func:`salesforce_targeted.sync.sync` reports them."""
    return {**(ledger or Ledger(started_at=STARTED)).facts(status), "seconds": 2.0, **more}


def shown(facts: dict[str, Any], dataset: DatasetFacts | None = None) -> str:
    """Return the text of a page, without its markup; one space between words."""
    body = page(facts, dataset or DatasetFacts()).partition("<body>")[2]
    return " ".join(unescape(re.sub("<[^>]+>", " ", body)).split())


def dataset_of(synced: Synced, facts: dict[str, Any]) -> DatasetFacts:
    """Return what the page reads of a pipeline's tables."""
    with HeldTables.of(synced.pipeline) as held:
        return read_dataset(held, facts)
