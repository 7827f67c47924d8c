"""How a dlt user may have rows written: taken up where tables stay true, refused where they don't."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dlt
import pytest
import yaml

from salesforce_targeted.demo_org import DemoOrg
from tests.conftest import BOTH, Synced
from tests.support.plain_pipeline import (
    DELETE_INSERT,
    Change,
    as_it_is,
    changed,
    everywhere,
    of_contacts,
    refused,
    run,
)

TABLES = {
    "sf_contacts": "id",
    "sf_taskwhorelations": "id",
    "sf_activities": "id",
    "sf_users": "id",
    "sf_active_contacts": "contact_id",
}


def held_tables(held: Synced) -> dict[str, dict[str, dict[str, Any]]]:
    """Every row of every table of records, by table and key, without when it was looked at."""
    looked = {"first_seen_at", "last_seen_at"}
    return {
        table: {
            id_: {name: value for name, value in row.items() if name not in looked}
            for id_, row in held.rows(table, key).items()
        }
        for table, key in TABLES.items()
    }


@pytest.mark.brief(1)
@pytest.mark.parametrize(
    ("synced", "refresh"),
    [
        ("duckdb", "drop_sources"),
        ("duckdb", "drop_resources"),
        ("duckdb", "drop_data"),
        pytest.param("postgres", "drop_data", marks=pytest.mark.postgres),
    ],
    indirect=["synced"],
)
def test_a_refresh_loads_everything_anew(org: DemoOrg, synced: Synced, refresh: Any) -> None:
    """What dlt drops or empties counts as not held, so unchanged rows come back with the others."""
    run(synced)
    _, fresh = changed(org)
    run(synced)
    before = held_tables(synced)
    run(synced, refresh=refresh)

    assert org.active_ids() == sorted(synced.rows("sf_contacts"))
    assert fresh in synced.rows("sf_contacts")
    assert before == held_tables(synced)


@pytest.mark.deep
def test_a_refresh_of_one_resource_leaves_the_others(org: DemoOrg, synced: Synced) -> None:
    """drop_data on the contacts alone empties and fills their table; no other table loses a row."""
    run(synced)
    changed(org)
    run(synced)
    before = held_tables(synced)
    source_part: Change = lambda source: source.resources.select("contact")  # noqa: E731
    run(synced, source_part, refresh="drop_data")

    assert before == held_tables(synced)


@pytest.mark.deep
@pytest.mark.parametrize(
    ("change", "options"),
    [
        (as_it_is, {"write_disposition": "replace"}),
        (of_contacts(write_disposition="replace"), {}),
        (everywhere(write_disposition=DELETE_INSERT), {}),
        (of_contacts(write_disposition="merge"), {}),
    ],
    ids=["replace in run()", "replace contacts", "delete-insert", "dlt's own merge"],
)
def test_ways_to_write_that_keep_tables_true(
    org: DemoOrg, synced: Synced, change: Change, options: dict[str, Any]
) -> None:
    """After a second run with changes every table is what the default would have made it."""
    run(synced, change, **options)
    edited, fresh = changed(org)
    run(synced, change, **options)
    run(synced, change, **options)
    held = synced.rows("sf_contacts")

    assert org.active_ids() == sorted(held)
    assert ("Edited", "Fresh") == (held[edited]["last_name"], held[fresh]["last_name"])
    assert sorted(org.rows("TaskWhoRelation")) == sorted(synced.rows("sf_taskwhorelations"))
    assert org.active_ids() == sorted(synced.rows("sf_active_contacts", "contact_id"))
    assert [(13,)] == synced.sql("SELECT COUNT(*) FROM sf_contacts")


@pytest.mark.parametrize(
    ("change", "beginning"),
    [
        (
            of_contacts(write_disposition="append"),
            "contact: write_disposition 'append' would not leave one row per record",
        ),
        (
            of_contacts(write_disposition={"disposition": "merge", "strategy": "scd2"}),
            "contact: merge strategy 'scd2'",
        ),
        (
            of_contacts(write_disposition={"disposition": "merge", "strategy": "insert-only"}),
            "contact: merge strategy 'insert-only'",
        ),
        (of_contacts(table_name="people"), "contact: its table can't be called people"),
        (of_contacts(table_name=lambda row: "people"), "contact: hints that depend on the data"),
        (of_contacts(primary_key="email"), "contact: rows are merged by id, not by email"),
        (
            of_contacts(write_disposition=DELETE_INSERT, merge_key="last_name"),
            "contact: rows are merged by id, not by id, last_name",
        ),
        (
            of_contacts(incremental=dlt.sources.incremental("SystemModstamp")),
            "contact: by an incremental hint rows are left out that are not held",
        ),
        (
            of_contacts(schema_contract={"columns": "discard_row"}),
            "contact: by a schema contract that discards rows",
        ),
        (
            of_contacts(schema_contract={"tables": "discard_value"}),
            "contact: by a schema contract that discards rows or tables",
        ),
        (
            of_contacts(columns={"fee__c": {"data_type": "decimal"}}),
            "contact: column fee__c can't be decimal",
        ),
        (
            of_contacts(columns={"email": {"hard_delete": True}}),
            "contact: by a hard_delete hint on email",
        ),
        (
            lambda source: source.resources["contact_life"].apply_hints(primary_key="id"),
            "contact_life: rows are merged by contact_id, not by id",
        ),
    ],
    ids=[
        "append",
        "scd2",
        "insert-only",
        "table",
        "dynamic",
        "key",
        "merge key",
        "incremental",
        "discarded rows",
        "discarded table",
        "decimal",
        "delete",
        "key of lives",
    ],
)
def test_hints_that_would_make_tables_untrue_are_refused(
    org: DemoOrg, synced: Synced, change: Change, beginning: str
) -> None:
    """Before the first call, in one paragraph that names the resource, the hint and what to do."""
    message = refused(synced, change)

    assert message.startswith(beginning)
    assert "Leave" in message or "Give" in message or "Choose" in message
    assert 0 == len(org.requests)


@pytest.mark.brief(1)
@BOTH
def test_a_type_that_was_asked_for_is_what_is_loaded(org: DemoOrg, synced: Synced) -> None:
    """The first load too fits values to it: PostgreSQL would take another type's bytes as they are."""
    asked: Any = {
        "rank__c": {"data_type": "double"},
        "Visits__c": {"data_type": "bigint"},
        "score__c": {"data_type": "text"},
        "npi__c": {"data_type": "bigint"},
    }
    run(synced, of_contacts(columns=asked))
    org_rows = org.rows("Contact", ids=org.active_ids())
    held = synced.rows("sf_contacts")
    whole = {id_: row["Visits__c"] for id_, row in org_rows.items() if _whole(row["Visits__c"])}
    digits = {id_: int(row["NPI__c"]) for id_, row in org_rows.items() if _digits(row["NPI__c"])}
    types = synced.pipeline.default_schema.tables["sf_contacts"]["columns"]
    rejected = synced.rows("sf_rejected_records", "record_id")

    assert {i: row["Rank__c"] for i, row in org_rows.items()} == {
        i: row["rank__c"] for i, row in held.items()
    }
    assert whole == {i: held[i]["visits__c"] for i in whole}
    assert len(whole) > 3
    assert digits == {i: held[i]["npi__c"] for i in digits}
    assert ["double", "bigint", "text", "bigint"] == [
        types[name]["data_type"] for name in ("rank__c", "visits__c", "score__c", "npi__c")
    ]
    assert {i for i, row in org_rows.items() if row["NPI__c"] and i not in digits} <= set(rejected)


@pytest.mark.parametrize(
    ("synced", "file_format"),
    [("postgres", "parquet"), ("postgres", "csv"), ("duckdb", "jsonl"), ("duckdb", "parquet")],
    indirect=["synced"],
)
def test_formats_may_be_asked_for(org: DemoOrg, synced: Synced, file_format: str) -> None:
    """The first run has no rejected record, and not every format takes a table without rows."""
    run(synced, loader_file_format=file_format)

    assert org.active_ids() == sorted(synced.rows("sf_contacts"))
    assert {} == synced.rows("sf_rejected_records", "record_id")


def test_a_dataset_for_each_source_is_refused(
    org: DemoOrg, synced: Synced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was held looked as if it were not, in every run: no contact ever left."""
    monkeypatch.setenv("USE_SINGLE_DATASET", "false")
    pipeline = dlt.pipeline(
        "two", destination=synced.pipeline.destination, dataset_name="salesforce"
    )
    pipeline.run([{"id": 1}], table_name="mine")
    error = refused(Synced(pipeline, synced.credentials))

    assert "use_single_dataset = false gives a pipeline's second source" in error
    assert 0 == len(org.requests)


@pytest.mark.parametrize("synced", ["postgres"], indirect=True)
def test_a_type_that_its_column_does_not_have_is_refused(
    org: DemoOrg, synced: Synced, tmp_path: Path
) -> None:
    """A later hint and an imported schema change no column; ours take no other type at all."""
    double: Any = {"data_type": "double"}
    own = refused(
        synced,
        lambda source: source.resources["contact_life"].apply_hints(
            columns={"relation_count": double}
        ),
    )
    folders = {f"{way}_schema_path": str(tmp_path / way) for way in ("import", "export")}
    pipeline = dlt.pipeline(
        "synced",
        destination=synced.pipeline.destination,
        dataset_name="salesforce",
        pipelines_dir=synced.pipeline.pipelines_dir,
        **folders,
    )
    held = Synced(pipeline, synced.credentials)
    run(held)
    contact = org.active_ids()[0]
    org.edit("Contact", contact, Rank__c=7)
    hinted = refused(held, of_contacts(columns={"rank__c": double}))
    text = (tmp_path / "export" / "salesforce_targeted.schema.yaml").read_text()
    schema = yaml.safe_load(text)
    schema["tables"]["sf_contacts"]["columns"]["rank__c"] |= double
    file = tmp_path / "import" / "salesforce_targeted.schema.yaml"
    file.write_text(yaml.safe_dump(schema))
    imported = refused(held)
    file.write_text(text)
    run(held)

    assert "sf_active_contacts: column relation_count is double by a hint" in own
    assert "sf_contacts: column rank__c is double by a hint" in hinted
    assert "sf_contacts: column rank__c is bigint in the database" in imported
    assert 7 == held.rows("sf_contacts")[contact]["rank__c"]


def _whole(value: float | None) -> bool:
    return value is not None and value == int(value)


def _digits(value: str | None) -> bool:
    return value is not None and value.isdecimal()
