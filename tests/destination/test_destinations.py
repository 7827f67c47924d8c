"""Where the tables can go: each destination holds what the org shows, or says why it can't."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
from dlt.common.destination.exceptions import DestinationLoadingViaStagingNotSupported
from dlt.destinations.sql_jobs import SqlMergeFollowupJob
from sqlglot import exp, parse_one

from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.stored_values import Where
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.report.html.dataset_facts import read_dataset, weeks
from salesforce_targeted.source import salesforce_targeted
from salesforce_targeted.sync.runner import sync
from tests.conftest import BOTH, Synced, make_synced
from tests.support.plain_pipeline import (
    DELETE_INSERT,
    Change,
    as_it_is,
    changed,
    everywhere,
    into,
    refused,
    run,
)
from tests.support.story import COUNTED

TABLES = ("sf_contacts", "sf_taskwhorelations", "sf_activities", "sf_users")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
# Naming convention -> what some fields are called by it.
NAMINGS = {
    "snake_case": ("last_name", "npi__c", "system_modstamp"),
    "direct": ("LastName", "NPI__c", "SystemModstamp"),
    "sql_cs_v1": ("LastName", "NPI__c", "SystemModstamp"),
    "sql_ci_v1": ("lastname", "npi__c", "systemmodstamp"),
}


@pytest.mark.postgres
def test_duckdb_and_postgres_hold_the_same_rows(
    request: pytest.FixtureRequest,
    org: DemoOrg,
    tmp_path: Path,
    credentials: SessionCredentials,
) -> None:
    """Every value of every record table is equal, after a first run and after one with changes."""
    in_duckdb = make_synced(request, tmp_path, credentials, "duckdb", "here")
    in_postgres = make_synced(request, tmp_path, credentials, "postgres", "there")
    for _ in range(2):
        in_duckdb.ok()
        in_postgres.ok()
        changed(org)
    for table in TABLES:
        assert in_duckdb.rows(table) == in_postgres.rows(table)

    assert 13 == len(in_duckdb.rows("sf_contacts"))


@pytest.mark.each_value
@pytest.mark.brief(1)
@BOTH
@pytest.mark.parametrize("naming", list(NAMINGS))
def test_naming_conventions_name_columns_and_nothing_else(
    org: DemoOrg, synced: Synced, naming: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever columns are called, a second run updates, inserts and leaves the rest alone."""
    monkeypatch.setenv("SCHEMA__NAMING", naming)
    last_name, npi, stamp = NAMINGS[naming]
    synced.ok()
    edited, fresh = changed(org)
    facts = synced.ok()
    held = synced.rows("sf_contacts")
    shown = org.rows("Contact", ids=org.active_ids())

    assert (1, 1, 11) == tuple(facts["contacts"][key] for key in ("new", "updated", "unchanged"))
    assert ("Edited", "Fresh") == (held[edited][last_name], held[fresh][last_name])
    assert {i: row["NPI__c"] for i, row in shown.items()} == {i: r[npi] for i, r in held.items()}
    assert stamp in held[edited]


def lake(tmp_path: Path, credentials: Any) -> Synced:
    """Return a folder of parquet files."""
    where = (tmp_path / "lake").as_uri()
    return into(dlt.destinations.filesystem(where), tmp_path, credentials, "lake")


def test_a_lake_of_parquet_holds_every_run_whole(
    org: DemoOrg, tmp_path: Path, credentials: SessionCredentials
) -> None:
    """With write_disposition="replace" the files hold what the org shows, once, after each run."""
    held = lake(tmp_path, credentials)
    run(held, write_disposition="replace")
    edited, fresh = changed(org)
    for _ in range(2):
        run(held, write_disposition="replace")
    contacts = held.rows("sf_contacts")

    assert org.active_ids() == sorted(contacts)
    assert ("Edited", "Fresh") == (contacts[edited]["last_name"], contacts[fresh]["last_name"])
    assert [(13,)] == held.sql("SELECT COUNT(*) FROM sf_contacts")
    with HeldTables.of(held.pipeline) as tables:
        stamped = Where(
            "system_modstamp > %s AND system_modstamp < %s", (LONG_AGO, datetime.now(UTC))
        )
        assert 31 == tables.count("sf_taskwhorelations", tables.live & stamped)
    assert sorted(org.rows("TaskWhoRelation")) == sorted(held.rows("sf_taskwhorelations"))
    assert [] != list((tmp_path / "lake" / "salesforce" / "sf_contacts").glob("*.parquet"))


def test_a_run_into_files_leaves_its_row_as_it_was_loaded(
    org: DemoOrg, tmp_path: Path, credentials: SessionCredentials, caplog: pytest.LogCaptureFixture
) -> None:
    """SQL reads files and does not update them: nothing is tried, and nothing warned of."""
    held, ledger = lake(tmp_path, credentials), Ledger()
    source = salesforce_targeted(credentials, ledger=ledger)
    everywhere(write_disposition="replace")(source)
    outcome = sync(held.pipeline, source, ledger)

    assert ("done", []) == (outcome.facts["status"], outcome.facts["warnings"])
    assert "could not be written" not in caplog.text
    assert [("loaded",)] == held.sql("SELECT status FROM sf_sync_runs")


def test_a_lake_that_would_hold_records_twice_is_refused(
    org: DemoOrg, tmp_path: Path, credentials: SessionCredentials
) -> None:
    """Where it can't merge, dlt appends and calls it done; here not even a call is made."""
    error = refused(lake(tmp_path, credentials))

    assert "the destination filesystem can't merge by upsert" in error
    assert 'write_disposition="replace"' in error
    assert 0 == len(org.requests)


def test_a_destination_that_can_not_be_asked_is_refused(
    org: DemoOrg, tmp_path: Path, credentials: SessionCredentials
) -> None:
    """Without SQL nothing held can be read back, and every run would start from nothing."""
    error = refused(into(dlt.destinations.dummy(), tmp_path, credentials, "dummy"), as_it_is)

    assert "the destination dummy can't be asked in SQL what it holds" in error
    assert 0 == len(org.requests)


@pytest.mark.deep
@pytest.mark.filterwarnings("ignore:implicitly coercing SELECT object")  # dlt's merge
def test_a_database_without_upsert_is_refused_and_works_with_delete_insert(
    org: DemoOrg, tmp_path: Path, credentials: SessionCredentials
) -> None:
    """SQLite by way of SQLAlchemy, as MySQL and others: what the refusal says makes it work."""
    where = f"sqlite:///{(tmp_path / 'held.db').as_posix()}"
    held = into(dlt.destinations.sqlalchemy(where), tmp_path, credentials, "by_sqlalchemy")
    error = refused(held)
    asked = len(org.requests)
    instead = everywhere(write_disposition=DELETE_INSERT)
    run(held, instead)
    edited, fresh = changed(org)
    for _ in range(2):
        run(held, instead)
    contacts = dict(held.sql("SELECT id, last_name FROM sf_contacts"))
    relations = [row[0] for row in held.sql("SELECT id FROM sf_taskwhorelations")]

    assert ("can't merge by upsert" in error, "delete-insert" in error, asked) == (True, True, 0)
    assert org.active_ids() == sorted(contacts)
    assert ("Edited", "Fresh") == (contacts[edited], contacts[fresh])
    assert sorted(org.rows("TaskWhoRelation")) == sorted(relations)


def loadable(extension: str) -> bool:
    """Tell whether DuckDB has an extension here; it gets them from a server of its own."""
    try:
        duckdb.connect().execute(f"LOAD {extension}")
    except duckdb.Error:
        return False
    return True


# What a destination needs of the resources to merge by key, and the packages that its tables take.
MERGING: dict[str, tuple[Change, tuple[str, ...]]] = {
    "duckdb": (as_it_is, ()),
    "sqlite": (everywhere(write_disposition=DELETE_INSERT), ("sqlalchemy",)),
    "delta": (everywhere(table_format="delta"), ("deltalake",)),
    "iceberg": (everywhere(table_format="iceberg"), ("pyiceberg",)),
}


@pytest.mark.filterwarnings("ignore:implicitly coercing SELECT object")  # dlt's merge
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the packages of tables in files
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind == "sqlite" else pytest.mark.deep) for kind in MERGING],
)
def test_what_happens_in_an_org_reaches_each_destination(
    org: DemoOrg, tmp_path: Path, credentials: SessionCredentials, kind: str
) -> None:
    """A first run, changed rows, a new field, a hidden field, a hidden contact, and then quiet.

    Each repeat reads since its cursor, and the page of the report is read from what is held.
    """
    change, packages = MERGING[kind]
    for package in packages:
        pytest.importorskip(package)
    if kind in ("delta", "iceberg") and not loadable(kind):
        pytest.skip(
            f"DuckDB {duckdb.__version__} has no extension {kind} here, and can't fetch it;"
            " pipelines/README.md says with which version pip brings it"
        )
    files = dlt.destinations.filesystem((tmp_path / "lake").as_uri())
    destinations = {
        "duckdb": dlt.destinations.duckdb(str(tmp_path / "held.duckdb")),
        "sqlite": dlt.destinations.sqlalchemy(f"sqlite:///{(tmp_path / 'held.db').as_posix()}"),
    }
    held = into(destinations.get(kind, files), tmp_path, credentials)

    def synced() -> Any:
        ledger = Ledger()
        source = salesforce_targeted(credentials, ledger=ledger, scope=COUNTED)
        change(source)
        outcome = sync(held.pipeline, source, ledger)
        assert outcome.error is None, outcome.facts["error"]
        return outcome.facts["contacts"]

    def values(table: str, *columns: str) -> dict[str, Any]:
        with HeldTables.of(held.pipeline) as tables:
            return {row[0]: row[1:] for row in tables.rows(table, columns)}

    first = synced()
    emails = values("sf_contacts", "id", "email", "birthdate", "is_physician__c")
    edited, fresh = changed(org)
    if kind != "iceberg":  # pyiceberg can't update rows that are older than a column
        org.add_field("Contact", "Later__c", values={edited: "x"})
    second = synced()
    for field in ("Email", "Birthdate", "Is_Physician__c"):
        org.hide_field("Contact", field)
    org.edit("Contact", edited, Title="Other")
    third = synced()
    hidden = org.active_ids()[3]
    org.hide("Contact", hidden)
    synced()
    quiet = synced()

    assert (12, 1, 1) == (first["new"], second["new"], second["updated"])
    assert (1, 12) == (third["updated"], third["unchanged"])
    assert (0, 0) == (quiet["new"], quiet["updated"])
    kept = values("sf_contacts", "id", "email", "birthdate", "is_physician__c")
    assert emails == {id_: row for id_, row in kept.items() if id_ != fresh}
    assert 13 == len(values("sf_contacts", "id"))
    assert ("Other",) == values("sf_contacts", "id", "title")[edited]
    if kind != "iceberg":
        assert ("x",) == values("sf_contacts", "id", "later__c")[edited]
    lives = values("sf_active_contacts", "contact_id", "is_active", "gone_reason")
    assert (True, "hidden") == lives[hidden]
    assert 31 == len(values("sf_taskwhorelations", "id"))
    with HeldTables.of(held.pipeline) as tables:
        page = read_dataset(tables, Ledger().facts("done"))
        (newest,) = tables.rows("sf_sync_runs", ["MAX(started_at)"])
    created = [row["CreatedDate"] for row in org.rows("TaskWhoRelation").values()]
    days = Counter(datetime.fromisoformat(str(at)).date() for at in created)
    assert weeks(days) == (page.weeks, page.before)
    assert ([], {"active": 12, "hidden": 1}) == (page.failures, page.stages)
    assert all(table.newest is not None for table in page.tables)
    assert isinstance(newest[0], datetime)


def test_a_staging_bucket_is_refused_where_a_database_takes_none(
    tmp_path: Path, credentials: SessionCredentials
) -> None:
    """DuckDB and PostgreSQL load files themselves: dlt says so before anything is read."""
    bucket = dlt.destinations.filesystem((tmp_path / "bucket").as_uri())
    with pytest.raises(DestinationLoadingViaStagingNotSupported, match="duckdb"):
        dlt.pipeline("staged", destination="duckdb", staging=bucket)


# dlt writes these for a warehouse without being connected to it; a parser of its dialect reads them.
WAREHOUSES = {
    "snowflake": lambda: dlt.destinations.snowflake(
        "snowflake://loader:secret@nowhere/analytics?warehouse=w"
    ),
    "bigquery": lambda: dlt.destinations.bigquery(
        {"project_id": "nowhere", "client_email": "loader@nowhere", "private_key": "secret"}
    ),
}
TYPES = {
    "snowflake": ("VARCHAR", "FLOAT", "BOOLEAN", "DATE"),
    "bigquery": ("STRING", "FLOAT64", "BOOL", "DATE"),
}


def warehouse(name: str, schema: dlt.Schema) -> Any:
    """Return a client of an account that does not exist."""
    destination = WAREHOUSES[name]()
    return destination.client(schema, destination.spec()._bind_dataset_name("crm"))


@pytest.mark.parametrize("name", WAREHOUSES)
def test_a_warehouse_is_given_tables_and_merges_by_key(synced: Synced, name: str) -> None:
    """By dry run: a CREATE TABLE with every column for each table, one MERGE by key, no DELETE."""
    run(synced)
    schema = synced.pipeline.default_schema
    client = warehouse(name, schema)
    keys = {"sf_active_contacts": "CONTACT_ID", "sf_sync_runs": "RUN_ID"}
    for table in schema.data_table_names():
        columns = schema.get_table_columns(table)
        (ddl,) = client._get_table_update_sql(table, list(columns.values()), generate_alter=False)
        merged = SqlMergeFollowupJob.generate_sql(
            [client.prepare_load_table(table)], client.sql_client
        )
        created = parse_one(ddl, read=name)
        merge = parse_one(merged[0], read=name)
        assert {name.upper() for name in columns} == {
            column.name.upper() for column in created.find_all(exp.ColumnDef)
        }
        assert (1, True) == (len(merged), isinstance(merge, exp.Merge))
        assert keys.get(table, "") in merge.args["on"].sql().upper()

    types = {
        name: client.type_mapper.to_destination_type(column, schema.tables["sf_contacts"])
        for name, column in schema.get_table_columns("sf_contacts").items()
    }
    assert TYPES[name] == tuple(
        types[name] for name in ("npi__c", "score__c", "is_physician__c", "birthdate")
    )


@pytest.mark.deep
@pytest.mark.parametrize("name", WAREHOUSES)
def test_a_warehouses_staging_bucket_takes_our_files(synced: Synced, name: str) -> None:
    """The parquet that our resources ask for is what it loads from a bucket."""
    run(synced)
    formats = {
        table.get("file_format") for table in synced.pipeline.default_schema.data_tables()
    } - {None}
    taken = warehouse(
        name, synced.pipeline.default_schema
    ).capabilities.supported_staging_file_formats

    assert {"parquet"} == formats
    assert formats <= set(taken)
