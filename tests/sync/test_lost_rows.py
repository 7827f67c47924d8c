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
