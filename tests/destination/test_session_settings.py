"""What is read back is what was loaded, whatever was SET or altered; or the table is named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from salesforce_targeted import Ledger, salesforce_targeted
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.demo_org import DemoOrg
from tests.support.oracles.recovery import CONTACTS, at, failed_with, tell
from tests.support.plain_pipeline import of_contacts
from tests.support.script import Script

pytestmark = pytest.mark.postgres
LATITUDE = 37.123456789012345


def test_values_that_are_kept_keep_all_digits(
    org: DemoOrg, postgres: str, tmp_path: Path, credentials: SessionCredentials
) -> None:
    """A hidden field's number is read back and loaded with the row: the same one, not a rounded one."""
    name, edited = urlsplit(postgres).path[1:], org.active_ids()[0]
    tell(
        postgres,
        f"ALTER DATABASE {name} SET extra_float_digits = 0",
        f"ALTER DATABASE {name} SET timezone = 'America/New_York'",
    )
    first = datetime(1, 1, 1, tzinfo=UTC)
    org.edit("Contact", edited, MailingLatitude=LATITUDE, EmailBouncedDate=first)
    synced = at(postgres, tmp_path, credentials)
    synced.ok()
    for field in ("MailingLatitude", "EmailBouncedDate"):
        org.hide_field("Contact", field)
    org.edit("Contact", edited, Title="Other")
    facts = synced.ok()

    assert 1 == facts["contacts"]["updated"]
    kept = f"mailing_latitude = {LATITUDE!r}::float8 AND email_bounced_date = '0001-01-01Z'"
    assert [(True,)] == tell(postgres, f"SELECT {kept} FROM {CONTACTS} WHERE id = '{edited}'")


def test_a_number_that_a_user_made_numeric_is_kept(
    org: DemoOrg, postgres: str, tmp_path: Path, credentials: SessionCredentials
) -> None:
    """Another type of number is read back as a number."""
    edited = org.active_ids()[0]
    org.edit("Contact", edited, MailingLatitude=37.5)
    synced = at(postgres, tmp_path, credentials)
    synced.ok()
    tell(postgres, f"ALTER TABLE {CONTACTS} ALTER mailing_latitude TYPE numeric")
    org.hide_field("Contact", "MailingLatitude")
    org.edit("Contact", edited, Title="Other")
    synced.ok()
    kept = tell(postgres, f"SELECT mailing_latitude FROM {CONTACTS} WHERE id = '{edited}'")

    assert [(37.5,)] == kept


def test_a_column_that_was_altered_and_rounds_is_told(
    org: DemoOrg, postgres: str, tmp_path: Path, credentials: SessionCredentials
) -> None:
    """The database takes 2.5 for 2 without an error, and an instant for its day."""
    synced = at(postgres, tmp_path, credentials)
    synced.ok()
    tell(
        postgres,
        f"ALTER TABLE {CONTACTS} ALTER visits__c TYPE integer, ALTER created_date TYPE date",
    )
    org.edit("Contact", org.active_ids()[0], Visits__c=2.5)
    warnings = synced.ok()["warnings"]

    assert 2 == len(warnings)
    assert "sf_contacts: column visits__c was altered and is bigint now" in " ".join(warnings)
    assert "sf_contacts: column created_date was altered and is date now" in " ".join(warnings)


def test_a_column_that_was_altered_and_changes_what_comes_is_told(
    org: DemoOrg, postgres: str, tmp_path: Path, credentials: SessionCredentials
) -> None:
    """Without a zone a moment is held in the session's local time; character(n) pads; 18 fit."""
    synced = at(postgres, tmp_path, credentials)
    synced.ok()
    tell(
        postgres,
        f"ALTER DATABASE {urlsplit(postgres).path[1:]} SET timezone = 'Asia/Tokyo'",
        f"ALTER TABLE {CONTACTS} ALTER created_date TYPE timestamp, ALTER title TYPE char(200),"
        " ALTER visits__c TYPE real, ALTER id TYPE char(18), ALTER score__c TYPE numeric(30, 1),"
        " ALTER mailing_latitude TYPE numeric",
    )
    org.edit("Contact", org.active_ids()[0], LastName="Edited")
    text = " ".join(synced.ok()["warnings"])

    assert "created_date was altered and is timestamp without time zone now: it holds the" in text
    assert "title was altered and is character now: it pads what comes" in text
    assert "visits__c was altered and is real now: the database rounds" in text
    assert "score__c was altered and is numeric now: the database rounds" in text
    assert "column id " not in text
    assert "mailing_latitude" not in text


def test_a_moment_without_a_zone_by_a_hint_is_held_in_utc(
    org: DemoOrg, postgres: str, tmp_path: Path, credentials: SessionCredentials
) -> None:
    """Such a column takes the moments as they come: nothing is to be told."""
    synced, edited = at(postgres, tmp_path, credentials), org.active_ids()[0]
    tell(postgres, f"ALTER DATABASE {urlsplit(postgres).path[1:]} SET timezone = 'Asia/Tokyo'")
    hint = of_contacts(columns={"system_modstamp": {"data_type": "timestamp", "timezone": False}})
    for last_name in ("First", "Second"):
        org.edit("Contact", edited, LastName=last_name)
        ledger = Ledger()
        source = salesforce_targeted(credentials, ledger=ledger)
        hint(source)
        synced.pipeline.run(source)
        assert [] == ledger.warnings
    held = tell(postgres, f"SELECT system_modstamp FROM {CONTACTS} WHERE id = '{edited}'")
    stamp = datetime.fromisoformat(org.rows("Contact", ids=[edited])[edited]["SystemModstamp"])

    assert [(stamp.replace(tzinfo=None),)] == held


@pytest.mark.brief(1)
@pytest.mark.parametrize(
    ("table", "column"),
    [("sf_contacts", "id"), ("sf_active_contacts", "contact_id"), ("sf_taskwhorelations", "id")],
)
def test_ids_that_a_column_pads_are_refused(
    org: DemoOrg,
    postgres: str,
    tmp_path: Path,
    credentials: SessionCredentials,
    table: str,
    column: str,
) -> None:
    """No id is equal to its padded self; which table holds such is said, and the remedy helps."""
    synced = at(postgres, tmp_path, credentials)
    synced.ok()
    org.edit("Contact", org.active_ids()[0], LastName="Edited")
    tell(postgres, f"ALTER TABLE salesforce.{table} ALTER {column} TYPE char(20)")
    failed = synced.run()
    tell(postgres, f"ALTER TABLE salesforce.{table} ALTER {column} TYPE varchar")
    synced.ok()

    failed_with(failed, f"{table} pads ids with blanks", "TYPE varchar")


def test_names_that_the_database_quotes_are_the_same_names(
    org: DemoOrg, script: Script, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver that loads finds no type by a quoted name, and dlt took a date for a text."""
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres)
    monkeypatch.setenv("PGOPTIONS", "-clock_timeout=0")
    tell(postgres, f"ALTER DATABASE {urlsplit(postgres).path[1:]} SET quote_all_identifiers = on")
    first = script()
    org.edit("Contact", org.active_ids()[0], Birthdate="1970-01-02")
    ended = [first, script(), script("--verify")]

    assert [0, 0, 0] == [run.code for run in ended], ended[-1].out + ended[-1].err
    assert [(1,)] == tell(
        postgres, f"SELECT count(*) FROM {CONTACTS} WHERE birthdate = '1970-01-02'"
    )


@pytest.mark.deep
def test_a_table_of_another_program_is_named(
    postgres: str, tmp_path: Path, credentials: SessionCredentials
) -> None:
    """A view that is called as one of ours, with numbers for ids."""
    tell(postgres, "CREATE SCHEMA salesforce", "CREATE VIEW salesforce.sf_users AS SELECT 1 AS id")
    failed = at(postgres, tmp_path, credentials).run()

    failed_with(failed, "sf_users has other types of columns", "choose another --dataset")
