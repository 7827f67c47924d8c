"""Indexes, foreign keys and comments: made once, kept in step, and nothing of the user's is touched."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dlt
import psycopg2
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.pipeline.helpers import pipeline_drop

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.destination import catalog, indexes
from salesforce_targeted.destination.stored_catalog import StoredCatalog
from salesforce_targeted.settings import Settings
from tests.conftest import Synced
from tests.support.oracles.recovery import something_happens, tell
from tests.support.recipes import RECIPES, Targeted
from tests.support.script import Script

ON_POSTGRES = pytest.mark.parametrize("synced", ["postgres"], indirect=True)
INDEXED = {
    ("sf_active_contacts", "is_active"),
    ("sf_activities", "account_id"), ("sf_activities", "owner_id"),
    ("sf_activities", "what_id"), ("sf_activities", "who_id"),
    ("sf_activities", "system_modstamp"), ("sf_contacts", "system_modstamp"),
    ("sf_taskwhorelations", "system_modstamp"),
    ("sf_contacts", "account_id"), ("sf_contacts", "owner_id"),
    ("sf_taskwhorelations", "relation_id"), ("sf_taskwhorelations", "task_id"),
}  # fmt: skip
REFERENCES = {
    ("sf_active_contacts", "sf_contacts"), ("sf_activities", "sf_users"),
    ("sf_contacts", "sf_users"), ("sf_taskwhorelations", "sf_activities"),
    ("sf_taskwhorelations", "sf_contacts"),
}  # fmt: skip
# PostgreSQL itself writes down each statement that changes the catalog.
WATCH = (
    "CREATE TABLE public.changed (at serial, command text)",
    "CREATE FUNCTION public.note_change() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
    " INSERT INTO public.changed (command) SELECT tg_tag || ' ' || object_identity"
    " FROM pg_event_trigger_ddl_commands(); END $$",
    "CREATE EVENT TRIGGER note_change ON ddl_command_end"
    " WHEN TAG IN ('CREATE INDEX', 'ALTER TABLE', 'COMMENT') EXECUTE FUNCTION public.note_change()",
)


def ours(url: str) -> set[tuple[str, str]]:
    """Return table and column of each index with a name of ours."""
    return set(
        tell(
            url,
            "SELECT t.relname, a.attname FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid"
            " JOIN pg_class i ON i.oid = x.indexrelid"
            " JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]"
            f" WHERE x.indisvalid AND i.relname LIKE '{indexes.PREFIX}%'",
        )
    )


def references(url: str) -> set[tuple[str, str]]:
    """Return the tables that our foreign keys join."""
    return set(
        tell(
            url,
            "SELECT t.relname, r.relname FROM pg_constraint c"
            " JOIN pg_class t ON t.oid = conrelid JOIN pg_class r ON r.oid = confrelid"
            f" WHERE contype = 'f' AND conname LIKE '{indexes.PREFIX}%'",
        )
    )


def expected_references(url: str) -> set[tuple[str, str]]:
    """Return the tables that should be joined: none before PostgreSQL 18."""
    ((version,),) = tell(url, "SELECT current_setting('server_version_num')::int")
    return REFERENCES if version >= indexes.NOT_ENFORCED_SINCE else set()


def comment(url: str, table: str, column: str) -> str | None:
    """Return the comment of a column."""
    ((text,),) = tell(
        url,
        f"SELECT col_description('salesforce.{table}'::regclass, attnum) FROM pg_attribute"
        f" WHERE attrelid = 'salesforce.{table}'::regclass AND attname = '{column}'",
    )
    return text


def changed(url: str) -> list[str]:
    """Return what changed in the catalog since this was last looked at."""
    rows = tell(url, "SELECT command FROM public.changed ORDER BY at")
    tell(url, "TRUNCATE public.changed")
    return [command for (command,) in rows]


def relabel(org: DemoOrg, name: str, label: str, help_text: str | None = None) -> None:
    """Change what an administrator wrote about a field of Contact; no record changes."""
    org.change_field_type("Contact", name, "string", label=label, inlineHelpText=help_text)


@pytest.mark.postgres
@ON_POSTGRES
def test_a_first_run_completes_the_catalog_and_a_quiet_one_leaves_it_alone(
    org: DemoOrg, synced: Synced, postgres: str
) -> None:
    """Indexes, references, comments after the first run; then statements only for what changed."""
    relabel(org, "NPI__c", "NPI", "The registry's number: 10 % are empty.")
    synced.ok()
    catalog = ours(postgres)
    tell(postgres, *WATCH)
    quiet = (synced.ok(), changed(postgres))[1]
    relabel(org, "NPI__c", "Provider")
    something_happens(org)
    before = comment(postgres, "sf_contacts", "npi__c")
    facts = synced.ok()

    assert catalog == INDEXED
    assert references(postgres) == expected_references(postgres)
    assert [] == quiet
    assert before == "NPI: The registry's number: 10 % are empty. [NPI__c]"
    assert ["COMMENT salesforce.sf_contacts.npi__c"] == changed(postgres)
    assert "Provider [NPI__c]" == comment(postgres, "sf_contacts", "npi__c")
    assert [] == facts["warnings"]


@pytest.mark.postgres
@ON_POSTGRES
def test_what_is_the_users_stays_and_is_not_made_twice(
    org: DemoOrg, synced: Synced, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Switched off, no index is made; then none where theirs serves; their comments stay."""
    monkeypatch.setenv("SOURCES__SALESFORCE_TARGETED__INDEXES", "false")
    synced.ok()
    off = ours(postgres) | references(postgres)
    tell(
        postgres,
        "ALTER TABLE salesforce.sf_contacts ADD mine text",
        "COMMENT ON COLUMN salesforce.sf_contacts.mine IS 'a note'",
        "COMMENT ON COLUMN salesforce.sf_contacts.email IS 'never write to it'",
        "CREATE INDEX theirs ON salesforce.sf_contacts (account_id, last_name)",
        "CREATE INDEX of_some ON salesforce.sf_contacts (owner_id) WHERE email IS NULL",
    )
    monkeypatch.delenv("SOURCES__SALESFORCE_TARGETED__INDEXES")
    synced.ok()

    assert set() == off
    assert INDEXED - {("sf_contacts", "account_id")} == ours(postgres)
    assert "a note" == comment(postgres, "sf_contacts", "mine")
    assert "never write to it" == comment(postgres, "sf_contacts", "email")
    assert "Title [Title]" == comment(postgres, "sf_contacts", "title")


@pytest.mark.deep
@pytest.mark.postgres
@ON_POSTGRES
def test_what_comes_later_is_indexed_then(org: DemoOrg, synced: Synced, postgres: str) -> None:
    """A field that is shown later, an index left unfinished, tables that were dropped."""
    org.hide_field("Contact", "AccountId")
    synced.ok()
    first = ours(postgres)
    org.show_field("Contact", "AccountId")
    tell(
        postgres,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid ="
        " 'salesforce.salesforce_targeted_sf_contacts_owner_id'::regclass",
    )
    something_happens(org)
    synced.ok()
    shown = ours(postgres)
    synced.pipeline.refresh = "drop_sources"
    facts = synced.ok()

    assert INDEXED - {("sf_contacts", "account_id")} == first
    assert INDEXED == shown
    assert (INDEXED, expected_references(postgres)) == (ours(postgres), references(postgres))
    assert 13 == facts["contacts"]["new"]


@pytest.mark.postgres
@ON_POSTGRES
def test_a_table_that_was_renamed_keeps_what_it_has(synced: Synced, postgres: str) -> None:
    """The one that takes its place is indexed and referred to as it was; then there is quiet."""
    synced.begin()
    tell(postgres, "ALTER TABLE salesforce.sf_contacts RENAME TO contacts_before")
    warnings, again = synced.ok()["warnings"], synced.ok()["warnings"]
    kept = {("contacts_before", column) for table, column in INDEXED if table == "sf_contacts"}

    assert (["the table sf_contacts was gone"], []) == ([w[:30] for w in warnings], again)
    assert INDEXED | kept == ours(postgres)
    assert expected_references(postgres) <= references(postgres)


@pytest.mark.postgres
@ON_POSTGRES
@pytest.mark.deep
@pytest.mark.parametrize("naming", ["direct", "sql_cs_v1", "sql_ci_v1"])
def test_whatever_columns_are_called_they_are_indexed(
    org: DemoOrg, synced: Synced, postgres: str, naming: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names in mixed case are quoted; as many indexes and references as by dlt's own naming."""
    monkeypatch.setenv("SCHEMA__NAMING", naming)
    facts = synced.ok()

    assert [] == facts["warnings"]
    assert {(t.lower(), c.replace("_", "").lower()) for t, c in ours(postgres)} == {
        (table, column.replace("_", "")) for table, column in INDEXED
    }
    assert len(expected_references(postgres)) == len(references(postgres))


@pytest.mark.postgres
@ON_POSTGRES
@pytest.mark.deep
def test_records_of_any_object_are_indexed(synced: Synced, postgres: str) -> None:
    """Leads: their owner, their life; the life refers to the records."""
    held = Targeted(synced.pipeline, synced.credentials)
    held.go(RECIPES["leads"])

    assert {
        ("sf_leads", "owner_id"),
        ("sf_leads", "system_modstamp"),
        ("sf_active_leads", "is_active"),
    } == ours(postgres)
    if expected_references(postgres):
        assert {("sf_active_leads", "sf_leads")} == references(postgres)


@pytest.fixture
def loader(postgres: str) -> Iterator[str]:
    """Provide the URL of the database for a role that may load and owns nothing."""
    name = f"loader_{uuid.uuid4().hex[:8]}"
    tell(postgres, f"CREATE ROLE {name} LOGIN PASSWORD 'trust'")
    url = urlsplit(postgres)
    yield url._replace(netloc=f"{name}:trust@{url.netloc.rpartition('@')[2]}").geturl()
    tell(postgres, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.mark.deep
@pytest.mark.postgres
def test_a_role_that_owns_no_table_loads_and_is_told(
    org: DemoOrg, script: Script, postgres: str, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is done with one warning; --test notes what is missing; the setting ends both."""
    setting, user = "SOURCES__SALESFORCE_TARGETED__INDEXES", urlsplit(loader).username
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", postgres)
    monkeypatch.setenv(setting, "false")
    script()
    for schema in ("salesforce", "salesforce_staging_targeted_contacts"):
        tell(
            postgres,
            f"GRANT ALL ON SCHEMA {schema} TO {user}",
            f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {user}",
        )
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", loader)
    something_happens(org)
    off = script("--json").facts["warnings"]
    monkeypatch.delenv(setting)
    something_happens(org)
    (warning,) = script("--json").facts["warnings"]
    checks = script("--test", "--json").facts["checks"]
    (check,) = (check for check in checks if check["name"] == "indexes")

    assert [] == off
    for text in (warning, check["detail"]):
        assert f"the rows are loaded): {user} does not own sf_contacts, sf_taskwhorelati" in text
    assert (True, True) == (check["ok"], check["note"])
    assert "OWNER TO" in check["remedy"]
    assert set() == ours(postgres)


@pytest.mark.postgres
@ON_POSTGRES
@pytest.mark.deep
def test_a_lock_in_the_way_costs_seconds_and_no_run(
    org: DemoOrg, synced: Synced, postgres: str
) -> None:
    """A transaction that keeps writers out: one warning after five seconds; the next run makes all."""
    settings = {"indexes": False}
    synced.ok(**settings)
    with closing(psycopg2.connect(postgres)) as console, console.cursor() as cursor:
        cursor.execute("UPDATE salesforce.sf_contacts SET title = title")
        facts = synced.ok()
        held = ours(postgres)
    after = synced.ok()

    assert "canceling statement due to lock timeout" in facts["warnings"][0]
    assert 1 == len(facts["warnings"])
    assert 60 > facts["seconds"]
    assert INDEXED > held
    assert ([], INDEXED) == (after["warnings"], ours(postgres))


@pytest.mark.deep
@pytest.mark.postgres
@ON_POSTGRES
def test_a_table_that_others_refer_to_is_dropped_with_cascade(
    org: DemoOrg, synced: Synced, postgres: str
) -> None:
    """``dlt pipeline … drop contact`` changes nothing and names a reference; CASCADE and a run do it."""
    synced.begin()
    if not expected_references(postgres):
        pytest.skip("this server has no keys that are not enforced")
    with pytest.raises(PipelineStepFailed, match="constraint salesforce_targeted_sf_"):
        pipeline_drop(synced.pipeline, resources=["contact"])()
    quiet = synced.ok()
    tell(postgres, "DROP TABLE salesforce.sf_contacts CASCADE")
    filled = synced.ok()

    assert (0, 12) == (quiet["contacts"]["new"], filled["contacts"]["new"])
    assert (INDEXED, expected_references(postgres)) == (ours(postgres), references(postgres))


LOOKUPS = {
    "SELECT * FROM sf_taskwhorelations WHERE relation_id = '003000000000042'":
        "sf_taskwhorelations_relation_id",
    "SELECT * FROM sf_taskwhorelations WHERE task_id = '00T000000000042'":
        "sf_taskwhorelations_task_id",
    "SELECT * FROM sf_contacts WHERE account_id = '001000000000042'": "sf_contacts_account_id",
    "SELECT * FROM sf_contacts WHERE owner_id = '005000000000042'": "sf_contacts_owner_id",
    "SELECT * FROM sf_activities WHERE who_id = '003000000000042'": "sf_activities_who_id",
    "SELECT * FROM sf_activities WHERE what_id = '006000000000042'": "sf_activities_what_id",
    "SELECT * FROM sf_activities WHERE account_id = '001000000000042'":
        "sf_activities_account_id",
    "SELECT * FROM sf_activities WHERE owner_id = '005000000000042'": "sf_activities_owner_id",
    "SELECT * FROM sf_active_contacts WHERE NOT is_active": "sf_active_contacts_is_active",
    "SELECT MAX(system_modstamp) FROM sf_contacts": "sf_contacts_system_modstamp",
    # A contact's tasks, by way of both tables.
    "SELECT t.* FROM sf_taskwhorelations r JOIN sf_activities t ON t.id = r.task_id"
    " WHERE r.relation_id = '003000000000042'": "sf_taskwhorelations_relation_id",
}  # fmt: skip
FILL = """
    INSERT INTO sf_contacts (id, account_id, owner_id) SELECT '003' || lpad(i::text, 12, '0'),
        '001' || lpad((i / 4)::text, 12, '0'), '005' || lpad((i % 300)::text, 12, '0')
        FROM generate_series(1, 60000) i;
    INSERT INTO sf_active_contacts (contact_id, is_active) SELECT '003' || lpad(i::text, 12, '0'),
        i % 100 <> 0 FROM generate_series(1, 60000) i;
    INSERT INTO sf_activities (id, who_id, what_id, account_id, owner_id)
        SELECT '00T' || lpad(i::text, 12, '0'), '003' || lpad((i / 2)::text, 12, '0'),
        '006' || lpad((i % 9999)::text, 12, '0'), '001' || lpad((i / 8)::text, 12, '0'),
        '005' || lpad((i % 300)::text, 12, '0') FROM generate_series(1, 120000) i;
    INSERT INTO sf_taskwhorelations (id, relation_id, task_id)
        SELECT '0RT' || lpad(i::text, 12, '0'), '003' || lpad((i / 3)::text, 12, '0'),
        '00T' || lpad((i * 2 / 3)::text, 12, '0') FROM generate_series(1, 180000) i;
    ANALYZE
"""


@pytest.mark.postgres
@ON_POSTGRES
@pytest.mark.deep
def test_lookups_at_size_go_by_the_indexes(synced: Synced, postgres: str) -> None:
    """60,000 contacts, three relations each: who knows an id reads no table from end to end."""
    synced.begin()
    path = "SET search_path = salesforce"
    tell(postgres, path, FILL)
    plans = {
        query: "\n".join(line for (line,) in tell(postgres, path, f"EXPLAIN {query}"))
        for query in LOOKUPS
    }

    assert {} == {query: plan for query, plan in plans.items() if "Seq Scan" in plan}
    assert [] == [query for query, index in LOOKUPS.items() if index not in plans[query]]


@pytest.mark.deep
def test_duckdb_has_the_comments(org: DemoOrg, synced: Synced) -> None:
    """Labels on columns, what it is on the table; a column of the user's keeps his."""
    synced.begin()
    synced.sql("ALTER TABLE salesforce.sf_contacts ADD COLUMN mine VARCHAR")
    synced.sql("COMMENT ON COLUMN salesforce.sf_contacts.mine IS 'a note'")
    relabel(org, "NPI__c", "Provider", "The registry's %s; 10 % are empty.")
    something_happens(org)
    facts = synced.ok()
    columns = dict(
        synced.sql(
            "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'sf_contacts'"
            " AND schema_name = 'salesforce'"
        )
    )
    ((table,),) = synced.sql(
        "SELECT comment FROM duckdb_tables() WHERE table_name = 'sf_contacts'"
        " AND schema_name = 'salesforce'"
    )

    assert [] == facts["warnings"]
    assert "Provider: The registry's %s; 10 % are empty. [NPI__c]" == columns["npi__c"]
    assert "a note" == columns["mine"]
    assert table.endswith("[Contact]")


def test_each_column_of_our_own_tables_is_described(org: DemoOrg, synced: Synced) -> None:
    """Runs and rejections say what their columns hold, as do the tables of Salesforce's rows."""
    org.set_silently("Contact", org.active_ids()[0], Birthdate="no date")
    synced.ok()
    comments = dict(
        synced.sql(
            "SELECT table_name || '.' || column_name, comment FROM duckdb_columns()"
            " WHERE table_name IN ('sf_sync_runs', 'sf_rejected_records')"
            " AND schema_name = 'salesforce' AND NOT starts_with(column_name, '_dlt')"
        )
    )

    assert 28 + 8 == len(comments)
    assert [] == [name for name, text in comments.items() if not text]
    assert "API calls of the run [salesforce_targeted]" == comments["sf_sync_runs.calls_total"]


def test_references_are_made_where_they_are_not_enforced(synced: Synced) -> None:
    """None before PostgreSQL 18, and none to a table whose key is not unique."""
    synced.begin()
    schema = synced.pipeline.default_schema

    columns = [
        (name, column) for name, table in schema.tables.items() for column in table["columns"]
    ]

    def statements(version: int, unique: set[str]) -> list[str]:
        stored = StoredCatalog(
            dict.fromkeys(columns),
            version=version,
            unique={(name, column) for name, column in columns if column in unique},
        )
        with synced.pipeline.sql_client() as client:
            return [sql for _, sql in indexes.foreign_key_statements(client, schema, stored)]

    assert ([], []) == (statements(170_000, {"id"}), statements(180_000, set()))
    assert len(REFERENCES) == len(statements(180_000, {"id"}))
    assert all(sql.endswith("NOT ENFORCED") for sql in statements(180_000, {"id"}))


def test_names_fit_and_stay_apart() -> None:
    """At most 63 bytes, and two long names do not become one."""
    long = [
        indexes.object_name("sf_" + "visits_of_practices_" * 3, end) for end in ("a_id", "b_id")
    ]

    assert "salesforce_targeted_sf_contacts_owner_id" == indexes.object_name(
        "sf_contacts", "owner_id"
    )
    assert [63, 63] == [len(name.encode()) for name in long]
    assert long[0] != long[1]


def test_elsewhere_nothing_is_tried(tmp_path: Path, credentials: Any) -> None:
    """Files have no catalog."""
    lake = dlt.destinations.filesystem((tmp_path / "lake").as_uri())
    pipeline = dlt.pipeline("lake", destination=lake, pipelines_dir=str(tmp_path / "pipelines"))

    assert "" == catalog.update(pipeline)
    assert Settings().indexes
