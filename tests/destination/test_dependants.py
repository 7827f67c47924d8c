"""What a user puts on our tables in PostgreSQL stays, or the run names it and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import Synced
from tests.support.oracles.recovery import mended, something_happens, tell

pytestmark = pytest.mark.postgres
ON_POSTGRES = pytest.mark.parametrize("synced", ["postgres"], indirect=True)


@dataclass(frozen=True)
class Kind:
    """Something that a user puts on the contacts.

    Attributes:
        make: The statements that put it there.
        look: A query that shows that it works, for 13 contacts of which one is called Edited.
        seen: What it returns then.
        named: How the run names it where the table would be dropped.
    """

    make: tuple[str, ...]
    look: str
    seen: Any
    named: str


KINDS = {
    "view": Kind(
        ("CREATE VIEW mine AS SELECT id, last_name FROM sf_contacts",),
        "SELECT count(*), count(*) FILTER (WHERE last_name = 'Edited') FROM mine",
        (13, 1),
        "view mine on sf_contacts",
    ),
    "materialized view": Kind(
        ("CREATE MATERIALIZED VIEW mine AS SELECT id, last_name FROM sf_contacts",),
        "REFRESH MATERIALIZED VIEW mine;"
        " SELECT count(*), count(*) FILTER (WHERE last_name = 'Edited') FROM mine",
        (13, 1),
        "materialized view mine on sf_contacts",
    ),
    "foreign key": Kind(
        (
            "CREATE TABLE note (contact text CONSTRAINT of_contact REFERENCES sf_contacts (id))",
            "INSERT INTO note SELECT id FROM sf_contacts",
        ),
        "SELECT count(*), count(DISTINCT conname) FROM note, pg_constraint"
        " WHERE conname = 'of_contact'",
        (12, 1),
        "foreign key of_contact on sf_contacts",
    ),
    "trigger": Kind(
        (
            "CREATE TABLE seen (name text)",
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO salesforce.seen VALUES (NEW.last_name); RETURN NEW; END $$",
            "CREATE TRIGGER noting AFTER INSERT OR UPDATE ON sf_contacts"
            " FOR EACH ROW EXECUTE FUNCTION note()",
        ),
        "SELECT count(*) FILTER (WHERE name = 'Edited') >= 1,"
        " count(*) FILTER (WHERE name = 'Fresh') >= 1 FROM seen",
        (True, True),
        "trigger noting on sf_contacts",
    ),
    "generated column": Kind(
        ("ALTER TABLE sf_contacts ADD mine text GENERATED ALWAYS AS (upper(last_name)) STORED",),
        "SELECT count(mine), count(*) FILTER (WHERE mine = 'EDITED') FROM sf_contacts",
        (13, 1),
        "generated column mine on sf_contacts",
    ),
    "row security": Kind(
        (
            "CREATE POLICY mine ON sf_contacts FOR SELECT USING (last_name = 'Edited')",
            "ALTER TABLE sf_contacts ENABLE ROW LEVEL SECURITY",
        ),
        "SELECT count(*), count(DISTINCT polname) FROM sf_contacts, pg_policy",
        (13, 1),
        "policy mine on sf_contacts",
    ),
    "publication": Kind(
        (
            "ALTER TABLE sf_contacts REPLICA IDENTITY USING INDEX sf_contacts_id_key",
            "CREATE PUBLICATION mine FOR TABLE sf_contacts",
        ),
        "SELECT count(*), max(array_length(attnames, 1)) > 100 FROM pg_publication_tables",
        (1, True),
        "publication mine on sf_contacts",
    ),
    "index": Kind(
        ("CREATE INDEX mine ON sf_contacts (lower(email))",),
        "SELECT count(*), count(*) FILTER (WHERE indisvalid) FROM pg_index"
        " WHERE indexrelid = 'mine'::regclass",
        (1, 1),
        "index mine on sf_contacts",
    ),
}


@ON_POSTGRES
@pytest.mark.brief(1)
@pytest.mark.parametrize("kind", list(KINDS))
def test_what_a_user_puts_on_a_table_stays(
    org: DemoOrg, synced: Synced, postgres: str, kind: str
) -> None:
    """Through changed rows, a new column, a hidden field; a refresh that would drop it is refused."""
    its, path = KINDS[kind], "SET search_path = salesforce"
    synced.ok()
    tell(postgres, path, *its.make)
    something_happens(org)
    org.add_field("Contact", "Later__c")
    synced.ok()
    org.hide_field("Contact", "Email")
    org.edit("Contact", org.active_ids()[1], Title="Other")
    synced.ok()
    stayed = tell(postgres, path, its.look)
    org.reset_calls()
    synced.pipeline.refresh = "drop_sources"
    refused = synced.run()
    calls = org.billed
    synced.pipeline.refresh = None
    quiet = synced.ok()

    assert [its.seen] == stayed
    assert f"{its.named}. Nothing was changed" in refused.facts["error"]
    assert 'refresh="drop_data"' in refused.facts["error"]
    assert 0 == calls
    assert (0, 13) == (quiet["contacts"]["updated"], quiet["contacts"]["unchanged"])
    assert [its.seen] == tell(postgres, path, its.look)


@ON_POSTGRES
@pytest.mark.deep
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "foreign key"])
def test_tables_are_emptied_beneath_it(
    org: DemoOrg, synced: Synced, postgres: str, kind: str
) -> None:
    """``refresh="drop_data"`` reads everything again, and what is on the table stays."""
    its, path = KINDS[kind], "SET search_path = salesforce"
    synced.ok()
    tell(postgres, path, *its.make)
    something_happens(org)
    synced.pipeline.refresh = "drop_data"
    facts = synced.ok()

    assert 13 == facts["contacts"]["new"]
    assert [its.seen] == tell(postgres, path, its.look)


@pytest.mark.deep
@ON_POSTGRES
def test_a_table_that_a_users_key_refers_to_is_not_emptied(
    org: DemoOrg, synced: Synced, postgres: str
) -> None:
    """The key is named before the first call; nothing was changed, and without it all is read again."""
    synced.ok()
    tell(postgres, "SET search_path = salesforce", *KINDS["foreign key"].make)
    org.reset_calls()
    synced.pipeline.refresh = "drop_data"
    refused = synced.run()
    calls = org.billed
    tell(postgres, "ALTER TABLE salesforce.note DROP CONSTRAINT of_contact")
    facts = synced.ok()

    assert "foreign key of_contact on sf_contacts. Nothing was" in refused.facts["error"]
    assert 0 == calls
    assert 12 == facts["contacts"]["new"]


@ON_POSTGRES
@pytest.mark.deep
def test_a_publication_without_replica_identity_is_told_its_remedy(
    org: DemoOrg, synced: Synced, postgres: str
) -> None:
    """PostgreSQL refuses to update a published table without a key: the ALTER that helps, and it helps."""
    synced.ok()
    tell(postgres, "CREATE PUBLICATION mine FOR TABLE salesforce.sf_contacts")
    something_happens(org)
    failed = synced.run()
    index = "ALTER TABLE salesforce.sf_contacts REPLICA IDENTITY USING INDEX sf_contacts_id_key"
    tell(postgres, index)
    mended(org, synced)

    assert "does not have a replica identity" in failed.facts["error"]
    assert "REPLICA IDENTITY USING INDEX" in failed.facts["error"]
