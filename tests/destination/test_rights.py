"""The loading user lacks a right: which one is said, and it helps."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.cli.destination_checklist import destination_checks
from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import Synced
from tests.support.oracles.recovery import (
    CONTACTS,
    at,
    failed_with,
    mended,
    something_happens,
    tell,
)

pytestmark = pytest.mark.postgres


def writable(synced: Synced) -> str:
    """Return what ``--test`` says of the rights to write."""
    checks = ((name, look()) for name, look in destination_checks(synced.pipeline, None))
    return next(str(outcome) for name, outcome in checks if name == "writable")


@pytest.fixture
def loader(postgres: str) -> Iterator[str]:
    """Provide the URL of the database for a user who may do nothing."""
    name = f"loader_{uuid.uuid4().hex[:8]}"
    tell(postgres, f"CREATE ROLE {name} LOGIN PASSWORD 'trust'")
    url = urlsplit(postgres)
    address = url.netloc.rpartition("@")[2]
    yield url._replace(netloc=f"{name}:trust@{address}").geturl()
    tell(postgres, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.mark.deep
def test_a_user_who_may_not_load(
    org: DemoOrg,
    postgres: str,
    loader: str,
    credentials: SessionCredentials,
    tmp_path: Path,
) -> None:
    """No CREATE on the database, no INSERT, no SELECT on a table: the GRANT that helps, and it helps."""
    synced = at(loader, tmp_path, credentials)
    user = urlsplit(loader).username
    may_not_create = synced.run()
    tell(postgres, f"GRANT CREATE ON DATABASE {urlsplit(postgres).path[1:]} TO {user}")
    mended(org, synced)
    tell(postgres, f"REVOKE INSERT, UPDATE ON {CONTACTS} FROM {user}")
    something_happens(org)
    may_not_insert = synced.run()
    tell(
        postgres,
        f"GRANT INSERT, UPDATE ON {CONTACTS} TO {user}",
        f"REVOKE SELECT ON {CONTACTS} FROM {user}",
    )
    may_not_read = synced.run()
    tell(postgres, f"GRANT SELECT ON {CONTACTS} TO {user}")
    mended(org, synced)

    failed_with(may_not_create, "permission denied for database", "GRANT", "CREATE on the")
    for refused in (may_not_insert, may_not_read):
        failed_with(refused, "permission denied for table sf_contacts", "GRANT")


@pytest.mark.brief(1)
@pytest.mark.parametrize(
    ("spoil", "heal", "words"),
    [
        (
            f"ALTER TABLE {CONTACTS} OWNER TO CURRENT_USER",
            f"ALTER TABLE {CONTACTS} OWNER TO {{}}",
            ['"sf_contacts" already exists', "this user may not see it", "OWNER TO"],
        ),
        (
            f"ALTER TABLE {CONTACTS} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY whole ON {CONTACTS} FOR ALL TO {{}} USING (true)",
            ["row-level security policy", "BYPASSRLS", "FOR ALL TO"],
        ),
        (
            f"ALTER TABLE {CONTACTS} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
            f"CREATE POLICY none ON {CONTACTS} FOR ALL TO {{}} USING (false) WITH CHECK (true)",
            f"ALTER POLICY none ON {CONTACTS} USING (true)",
            ["duplicate key value", "Row security keeps rows from the loading user"],
        ),
    ],
    ids=["owner", "row security", "hidden rows"],
)
def test_what_the_user_may_no_longer_see(
    org: DemoOrg,
    postgres: str,
    loader: str,
    credentials: SessionCredentials,
    tmp_path: Path,
    spoil: str,
    heal: str,
    words: list[str],
) -> None:
    """Another's table, rows that a policy hides: the right that is missing, and it helps."""
    synced = at(loader, tmp_path, credentials)
    user = urlsplit(loader).username
    tell(postgres, f"GRANT CREATE ON DATABASE {urlsplit(postgres).path[1:]} TO {user}")
    synced.ok()
    something_happens(org)
    tell(postgres, spoil.format(user))
    failed, tested = synced.run(), writable(synced)
    tell(postgres, heal.format(user))
    mended(org, synced)

    failed_with(failed, *words)
    assert ("SECURITY" in spoil) == ("policies of row security are on sf_contacts" in tested)
    assert "row security" not in writable(synced)
