"""A row that PostgreSQL can't hold is known before it is sent; the others load."""

from __future__ import annotations

import random
from contextlib import closing
from typing import Any

import psycopg2
import pyarrow as pa
import pytest

from salesforce_targeted import Ledger, Scope
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.destination.row_width import too_wide
from salesforce_targeted.extract.run import Run
from salesforce_targeted.settings import Settings
from salesforce_targeted.sync.verify import verify
from tests.conftest import Synced

pytestmark = pytest.mark.postgres
TYPES = [
    (pa.string(), "text"), (pa.float64(), "double precision"), (pa.bool_(), "boolean"),
    (pa.date32(), "date"), (pa.timestamp("us", tz="UTC"), "timestamptz"),
]  # fmt: skip


def value(kind: pa.DataType, rng: random.Random) -> Any:
    """Return a value that PostgreSQL does not compress."""
    if kind == pa.string():
        length = rng.choice([3, 22, 23, 24, 34, 300])
        return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))
    return {pa.bool_(): True, pa.float64(): 1.5}.get(kind, 1)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_taken_for_too_wide_is_what_the_server_refuses(postgres: str, seed: int) -> None:
    """Rows of any mixture of types around the limit: the same as the server, row by row."""
    rng = random.Random(seed)
    count = rng.randrange(700, 1000)
    kinds = [rng.choice(TYPES) if rng.random() < 0.3 else TYPES[0] for _ in range(count)]
    rows = []
    for filled in range(300, count + 1, 7):
        places = set(rng.sample(range(count), filled))
        rows.append(
            [value(kind, rng) if n in places else None for n, (kind, _) in enumerate(kinds)]
        )
    table = pa.table(
        {f"c{n}": pa.array([row[n] for row in rows], kind) for n, (kind, _) in enumerate(kinds)}
    )
    refused = []
    with closing(psycopg2.connect(postgres)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        names = ", ".join(f"c{n} {name}" for n, (_, name) in enumerate(kinds))
        cursor.execute(f"CREATE TABLE wide ({names})")
        for row in table.to_pylist():
            try:
                cursor.execute(
                    f"INSERT INTO wide VALUES ({', '.join(['%s'] * count)})", list(row.values())
                )
                refused.append(False)
            except psycopg2.errors.ProgramLimitExceeded:
                refused.append(True)

    assert refused == too_wide(table).to_pylist()
    assert {True, False} == set(refused)


@pytest.mark.parametrize("synced", ["postgres"], indirect=True)
def test_one_contact_too_wide_is_rejected_and_the_others_load(org: DemoOrg, synced: Synced) -> None:
    """It stands in sf_rejected_records with what to do; with fewer fields it loads."""
    wide, *rest = org.active_ids()
    rng = random.Random(7)
    names = [f"Wide_{n}__c" for n in range(700)]
    for name in names:
        org.add_field("Contact", name, "string", length=80)
    text = "abcdefghijklmnopqrstuvwxyz0123456789"
    org.edit("Contact", wide, **{name: "".join(rng.choices(text, k=34)) for name in names})
    facts = synced.ok()
    listed = synced.sql("SELECT record_id, error FROM sf_rejected_records")
    held = set(synced.rows("sf_contacts"))
    client = SalesforceClient(synced.credentials)
    compared = verify(Run(client, Settings(), Scope(), Ledger(), synced.pipeline))
    narrow = synced.ok(fields=["LastName", "Email"])

    assert set(rest) == held
    assert (1, len(rest)) == tuple(facts["contacts"][n] for n in ("rejected", "retrieved"))
    assert [wide] == [record for record, _ in listed]
    assert "done" == compared["status"], compared["drift"]
    assert "the setting `fields`" in listed[0][1]
    assert 0 == narrow["contacts"]["rejected"]
    assert set(org.active_ids()) == set(synced.rows("sf_contacts"))


@pytest.mark.deep
@pytest.mark.parametrize("synced", ["postgres"], indirect=True)
@pytest.mark.parametrize(("name", "table"), [("Task", "sf_activities"), ("User", "sf_users")])
def test_what_the_setting_is_not_for_is_rejected_with_another_remedy(
    org: DemoOrg, synced: Synced, name: str, table: str
) -> None:
    """``fields`` names those of contacts: of a task or a user the org must show fewer."""
    synced.ok()
    held = synced.rows(table)
    names = [f"Wide_{n}__c" for n in range(700)]
    for field in names:
        org.add_field(name, field, "string", length=80)
    wide, rng = min(held), random.Random(7)
    org.edit(name, wide, **{field: f"{rng.getrandbits(128):034x}" for field in names})
    facts = synced.ok()
    ((record, error),) = synced.sql("SELECT record_id, error FROM sf_rejected_records")

    assert (wide, "done") == (record, facts["status"])
    assert f"where it is not for {name}, hide some from the Salesforce user" in error
    assert held.keys() == synced.rows(table).keys()
    assert held[wide] == {column: synced.rows(table)[wide][column] for column in held[wide]}
