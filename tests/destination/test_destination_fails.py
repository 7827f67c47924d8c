"""The destination fails: one paragraph that names the remedy, and the next run mends everything."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.source import salesforce_targeted
from salesforce_targeted.sync.runner import Outcome, sync
from tests.conftest import BOTH, Synced
from tests.support.oracles.recovery import (
    CONTACTS,
    at,
    failed_with,
    mended,
    something_happens,
    tell,
)

pytestmark = pytest.mark.postgres
ON_POSTGRES = pytest.mark.parametrize("synced", ["postgres"], indirect=True)
# What a test sets for all sessions does not hold for the one that takes it back.
FREE = "&options=-c%20statement_timeout%3D0%20-c%20transaction_timeout%3D0%20-c%20default_transaction_read_only%3Doff"
STAGING = "salesforce_staging_synced"


def impatient(synced: Synced, seconds: float) -> Outcome:
    """Run once, and wait for locks no longer than so many seconds."""
    ledger = Ledger()
    source = salesforce_targeted(synced.credentials, ledger=ledger)
    return sync(synced.pipeline, source, ledger, lock_patience_seconds=seconds)


@ON_POSTGRES
def test_a_full_disk(org: DemoOrg, synced: Synced, postgres: str) -> None:
    """No room for the contacts: what to do, and once there is room everything comes."""
    synced.begin()
    something_happens(org)
    tell(
        postgres,
        # What PostgreSQL says when write() fails with ENOSPC.
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE 'could not extend file \"base/5/16384\": No space left on device'"
        " USING ERRCODE = 'disk_full', HINT = 'Check free disk space.'; END $$",
        f"CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {CONTACTS}"
        " FOR EACH ROW EXECUTE FUNCTION full_disk()",
    )
    failed = synced.run()
    tell(postgres, "DROP FUNCTION full_disk CASCADE")
    facts = mended(org, synced)

    failed_with(failed, "No space left on device", "Make room in the database", "run again")
    assert "the leftover package is loaded" in facts["steps"]


@pytest.mark.brief(1)
@ON_POSTGRES
@pytest.mark.parametrize(
    ("spoil", "heal", "words"),
    [
        (
            [f"ALTER TABLE {CONTACTS} ALTER last_name TYPE integer USING 1"],
            [
                f"ALTER TABLE {CONTACTS} ALTER last_name TYPE varchar USING NULL",
                f"UPDATE {CONTACTS} SET row_hash = NULL",  # as --verify --repair does
            ],
            ['column "last_name" is of type integer', "give it back its name and type"],
        ),
        (
            [
                f"ALTER TABLE {CONTACTS} ADD mine text DEFAULT 'x' NOT NULL",
                f"ALTER TABLE {CONTACTS} ALTER mine DROP DEFAULT",
            ],
            [f"ALTER TABLE {CONTACTS} ALTER mine DROP NOT NULL"],
            ['null value in column "mine"', "Drop or relax the constraint"],
        ),
        (
            ["ALTER DATABASE {} SET default_transaction_read_only = on"],
            ["ALTER DATABASE {} RESET default_transaction_read_only"],
            ["in a read-only transaction", "Load into the primary"],
        ),
        (
            ["ALTER DATABASE {} SET statement_timeout = 1"],
            ["ALTER DATABASE {} RESET statement_timeout"],
            ["due to statement timeout", "Raise the limit for the loading user"],
        ),
        (
            ["ALTER DATABASE {} SET transaction_timeout = 1"],
            ["ALTER DATABASE {} RESET transaction_timeout"],
            ["a time limit ends its sessions: ALTER ROLE … SET transaction_timeout"],
        ),
    ],
    ids=["altered column", "their NOT NULL", "read-only", "statement_timeout", "transaction"],
)
def test_what_the_database_refuses_names_the_remedy(
    org: DemoOrg, synced: Synced, postgres: str, spoil: list[str], heal: list[str], words: list[str]
) -> None:
    """The run fails with the remedy, twice if it is not followed; after the remedy the next one mends."""
    database = urlsplit(postgres).path[1:]
    synced.begin()
    something_happens(org)
    tell(postgres, *(statement.format(database) for statement in spoil))
    failed, repeat = synced.run(), synced.run()
    tell(postgres + FREE, *(statement.format(database) for statement in heal))
    mended(org, synced)

    failed_with(failed, *words)
    failed_with(repeat, *words)


@ON_POSTGRES
def test_a_load_that_went_on_without_what_was_refused_has_failed(
    org: DemoOrg, synced: Synced, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That dlt may be told not to raise is one thing; a contact that is not held is another."""
    synced.begin()
    something_happens(org)
    tell(postgres, f"ALTER TABLE {CONTACTS} ADD CONSTRAINT own CHECK (last_name <> 'Fresh')")
    monkeypatch.setenv("LOAD__RAISE_ON_FAILED_JOBS", "false")
    failed = synced.run()
    monkeypatch.delenv("LOAD__RAISE_ON_FAILED_JOBS")
    named = synced.run()
    tell(postgres, f"ALTER TABLE {CONTACTS} DROP CONSTRAINT own")
    mended(org, synced)

    failed_with(failed, "the load went on without them", "load.raise_on_failed_jobs")
    failed_with(named, "A constraint of this database refuses what Salesforce holds")


@pytest.mark.each_value
@pytest.mark.brief(1)
@BOTH
@pytest.mark.parametrize(
    ("statement", "warning"),
    [
        ("ALTER TABLE salesforce.sf_contacts DROP COLUMN last_name", "had lost last_name"),
        ("DROP TABLE salesforce.sf_contacts CASCADE", "the table sf_contacts was gone"),
        ("DROP TABLE salesforce.sf_taskwhorelations", "the table sf_taskwhorelations was gone"),
        (f"DROP TABLE {STAGING}.sf_contacts", ""),
    ],
    ids=["column", "contacts", "relations", "staging"],
)
def test_what_somebody_dropped_is_made_anew_and_filled(
    org: DemoOrg, synced: Synced, statement: str, warning: str
) -> None:
    """A dropped table or column is back after the next run, every cell true, and a warning says so."""
    synced.begin()
    something_happens(org)
    synced.sql(statement)
    facts = mended(org, synced)
    repeat = synced.ok()

    assert ([warning] if warning else []) == [
        warning for text in facts["warnings"] if warning and warning in text
    ]
    assert [] == repeat["warnings"]


@pytest.mark.deep
@pytest.mark.parametrize(
    ("held", "application"),
    [
        ("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", ""),
        ("UPDATE {} SET last_name = last_name", ""),
        ("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", "etl"),
    ],
    ids=["table", "row", "the URL names an application"],
)
def test_a_lock_that_stays_ends_the_run_and_names_its_holder(
    org: DemoOrg,
    credentials: SessionCredentials,
    tmp_path: Path,
    postgres: str,
    held: str,
    application: str,
) -> None:
    """An open transaction is in the way for longer than the run waits: whose, and how to end it."""
    url = f"{postgres}&application_name={application}" if application else postgres
    synced = at(url, tmp_path, credentials)
    synced.ok()
    something_happens(org)
    with closing(psycopg2.connect(postgres, application_name="a console")) as console:
        with console.cursor() as cursor:
            cursor.execute(held.format(CONTACTS))
        begun = time.monotonic()
        failed = impatient(synced, 1.0)
        seconds = time.monotonic() - begun
        pid = console.info.backend_pid
    mended(org, synced)

    failed_with(
        failed, f"held by process {pid}", "a console", "idle in transaction",
        f"pg_terminate_backend({pid})",
    )  # fmt: skip
    assert 60 > seconds  # a machine that is busy takes its time


@ON_POSTGRES
def test_a_lock_that_goes_away_costs_only_time(
    org: DemoOrg,
    synced: Synced,
    postgres: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The run says who keeps it waiting, and goes on when the lock is given back."""
    synced.begin()
    something_happens(org)
    with closing(psycopg2.connect(postgres, application_name="a console")) as console:
        with console.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {CONTACTS} IN ACCESS EXCLUSIVE MODE")

        def give_back() -> None:
            end = time.monotonic() + 60
            while "waiting: a lock on" not in caplog.text and time.monotonic() < end:
                time.sleep(0.05)
            console.rollback()

        release = threading.Thread(target=give_back, daemon=True)
        release.start()
        outcome = impatient(synced, 60.0)
        release.join()

    assert ("done", None) == (outcome.facts["status"], outcome.facts["error"])
    assert "waiting: a lock on" in caplog.text
