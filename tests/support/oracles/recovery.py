"""How the tests of a failing destination see it fail, and the next run mend everything."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import dlt
import psycopg2

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.sync.configuration import load_settings
from salesforce_targeted.sync.runner import Outcome
from tests.conftest import Synced
from tests.support.oracles.oracle import Comparison, HeldTables
from tests.support.oracles.promises import whole

CONTACTS = "salesforce.sf_contacts"


def tell(url: str, *statements: str) -> list[Any]:
    """Run statements as the owner of the database; the rows of the last one."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def something_happens(org: DemoOrg) -> None:
    """Edit a contact, add one and log a task: every table has something to load."""
    org.edit("Contact", org.active_ids()[0], LastName="Edited")
    org.log_task([org.add_contact(LastName="Fresh"), org.active_ids()[1]])


def at(url: str, folder: Path, credentials: Any) -> Synced:
    """Return a pipeline into a database of the test's own."""
    load_settings("synced")
    pipeline = dlt.pipeline(
        "synced",
        destination=dlt.destinations.postgres(url),
        dataset_name="salesforce",
        pipelines_dir=str(folder / "pipelines"),
    )
    return Synced(pipeline, credentials)


def failed_with(outcome: Outcome, *words: str) -> None:
    """Assert that the run failed, and that its one paragraph has these words and no traceback."""
    message = str(outcome.facts["error"])

    assert "failed" == outcome.facts["status"], message
    assert 1 == len(message.splitlines()), message
    assert [] == [word for word in words if word not in message], message
    assert "Traceback" not in message, message


def mended(org: DemoOrg, synced: Synced) -> dict[str, Any]:
    """Run once more, successfully; every cell is then the org's. Return the report."""
    before = HeldTables.read(synced.pipeline)
    facts = synced.ok()
    differences = whole(Comparison(synced.pipeline, org, before), facts)

    # Rows of a leftover package were counted by the run that made it.
    wrong = [broken for broken in differences if not broken.startswith("the report says")]
    assert [] == wrong, wrong
    assert not synced.pipeline.has_pending_data
    return facts
