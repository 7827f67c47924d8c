"""Rows that a trigger keeps out without any error are named, whatever the table."""

from __future__ import annotations

import pytest

from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import Synced
from tests.support.oracles.recovery import tell


@pytest.mark.postgres
@pytest.mark.brief(2)
@pytest.mark.parametrize("synced", ["postgres"], indirect=True)
@pytest.mark.parametrize(
    ("event", "table"),
    [
        ("INSERT", "sf_taskwhorelations"),
        ("UPDATE", "sf_contacts"),
        ("INSERT", "sf_active_contacts"),
        ("UPDATE", "sf_active_contacts"),
        ("INSERT", "sf_activities"),
    ],
)
def test_a_trigger_that_keeps_rows_out(
    org: DemoOrg, synced: Synced, postgres: str, event: str, table: str
) -> None:
    """The run says which table lacks them and the next one too; once it lets them in, none does."""
    synced.begin()
    contact = org.active_ids()[1]
    org.edit("Contact", contact, LastName="Edited")
    org.log_task([contact, org.add_contact(LastName="Fresh")])
    tell(
        postgres,
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        f"CREATE TRIGGER nothing BEFORE {event} ON salesforce.{table}"
        " FOR EACH ROW EXECUTE FUNCTION nothing()",
    )
    warned = [synced.ok()["warnings"] for _ in range(2)]
    tell(postgres, "DROP FUNCTION nothing CASCADE")

    for warnings in warned:
        assert f"{table}: " in warnings[-1]
        assert "a trigger of the database keeps them out" in warnings[-1]
    assert [] == synced.ok()["warnings"]


@pytest.mark.postgres
@pytest.mark.parametrize("synced", ["postgres"], indirect=True)
@pytest.mark.parametrize("event", ["INSERT", "UPDATE"])
def test_a_trigger_on_what_a_run_tells_of_itself(
    org: DemoOrg, synced: Synced, postgres: str, event: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A run whose row or whose rejections are not held says so, each time; a healed one is none."""
    synced.begin()
    first, second, *_ = org.active_ids()
    org.set_silently("Contact", first, Birthdate="no date")
    synced.ok()
    org.set_silently("Contact", first, Birthdate="1970-01-02")
    org.set_silently("Contact", second, Birthdate="no date")
    tell(
        postgres,
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        *(
            f"CREATE TRIGGER nothing BEFORE {event} ON salesforce.{table}"
            " FOR EACH ROW EXECUTE FUNCTION nothing()"
            for table in ("sf_rejected_records", "sf_sync_runs")
        ),
    )
    warnings = " ".join(synced.ok()["warnings"])

    assert ("sf_rejected_records: 1 rows" in warnings) == (event == "INSERT"), warnings
    assert (second in warnings) == (event == "INSERT")
    assert "row in sf_sync_runs could not be written: it is not held as it was" in caplog.text
    assert "let it return NEW" in caplog.text
