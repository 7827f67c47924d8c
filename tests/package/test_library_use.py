"""The source in pipelines of other people's making: other names, other tables, other plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dlt
import psycopg2
import pytest

from salesforce_targeted import salesforce_targeted
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.conftest import BOTH, Synced
from tests.support.script import python, session_of

TEN_LINES = """\
import dlt
from salesforce_targeted import salesforce_targeted

source = salesforce_targeted()
pipeline = dlt.pipeline("crm", destination="duckdb", dataset_name="people")
pipeline.run(source{suffix})
with pipeline.sql_client() as client:
    for table in ("sf_contacts", "sf_taskwhorelations"):
        if table in pipeline.default_schema.tables:
            print(table, client.execute_sql(f"SELECT COUNT(*) FROM {{table}}")[0][0])
"""
ON_POSTGRES = pytest.mark.parametrize(
    "synced", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)

Pipelines = Callable[..., dlt.Pipeline]


@pytest.fixture
def pipelines(tmp_path: Path) -> Pipelines:
    """Make pipelines of any name and dataset into one DuckDB file."""

    def pipeline_of(name: str, dataset: str) -> dlt.Pipeline:
        return dlt.pipeline(
            name,
            destination=dlt.destinations.duckdb(str(tmp_path / "held.duckdb")),
            dataset_name=dataset,
            pipelines_dir=str(tmp_path / "pipelines"),
        )

    return pipeline_of


@pytest.fixture
def database(postgres: str) -> Iterator[Callable[[str], list[Any]]]:
    """Run a statement of the database's owner, apart from dlt; the rows, if it gives any."""
    connection = psycopg2.connect(postgres)
    connection.autocommit = True

    def run(statement: str) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    yield run
    connection.close()


def held_ids(pipeline: dlt.Pipeline, table: str = "sf_contacts", key: str = "id") -> list[str]:
    """Return the keys in a pipeline's table, ascending."""
    with pipeline.sql_client() as client:
        rows = client.execute_sql(f"SELECT {key} FROM {client.make_qualified_table_name(table)}")
    return sorted(row[0] for row in rows or ())


@pytest.mark.brief(1)
@pytest.mark.parametrize(
    ("suffix", "contacts", "relations"),
    [("", 12, 30), ('.with_resources("contact")', 12, None)],
    ids=["whole", "contact"],
)
def test_ten_lines_in_an_empty_folder_are_a_pipeline(
    server: DemoServer, tmp_path: Path, suffix: str, contacts: int, relations: int | None
) -> None:
    """A script elsewhere imports the source, whole or in part, and comes to its end."""
    (tmp_path / "crm.py").write_text(TEN_LINES.format(suffix=suffix))
    ended = python("crm.py", cwd=tmp_path, environ=session_of(server))
    counted = dict(line.split() for line in ended.out.splitlines())

    assert 0 == ended.code
    assert str(contacts) == counted["sf_contacts"]
    assert relations == (counted.get("sf_taskwhorelations") and relations)
    assert (relations is None) == ("sf_taskwhorelations" not in counted)


@pytest.mark.deep
def test_one_source_object_can_be_run_twice(
    org: DemoOrg, credentials: SessionCredentials, pipelines: Pipelines
) -> None:
    """The second run of the same object is a run of its own and loads what came meanwhile."""
    source, pipeline = salesforce_targeted(credentials), pipelines("crm", "people")
    pipeline.run(source)
    fresh = org.add_contact(LastName="Fresh")
    org.log_task([fresh])
    pipeline.run(source)

    assert 2 == len(held_ids(pipeline, "sf_sync_runs", key="run_id"))
    assert fresh in held_ids(pipeline)
    assert org.active_ids() == held_ids(pipeline)
    assert sorted(org.rows("TaskWhoRelation")) == held_ids(pipeline, "sf_taskwhorelations")


@pytest.mark.deep
def test_several_orgs_go_into_several_datasets(tmp_path: Path, pipelines: Pipelines) -> None:
    """Two orgs, one database: each dataset holds its own org, after a second round as well."""
    orgs = {"north": DemoOrg.tiny(seed=1), "south": DemoOrg(60, 20, 50, 2, leads=4, users=3)}
    with serve(orgs["north"]) as north, serve(orgs["south"]) as south:
        at = {"north": north.url, "south": south.url.replace("127.0.0.1", "localhost")}
        token = {"north": north.token, "south": south.token}
        by_org = {name: pipelines(f"crm_{name}", name) for name in orgs}
        for name in ("north", "south", "north", "south"):
            credentials = SessionCredentials(instance_url=at[name], access_token=token[name])
            by_org[name].run(salesforce_targeted(credentials))
    held = {name: held_ids(pipeline) for name, pipeline in by_org.items()}

    assert {name: org.active_ids() for name, org in orgs.items()} == held
    assert (12, 20) == (len(held["north"]), len(held["south"]))


def test_contacts_alone_are_complete_and_stay_true(org: DemoOrg, synced: Synced) -> None:
    """with_resources("contact") needs no other table: discovery asks the org itself."""
    assert synced.run(only=("contact",)).error is None
    edited, fresh = org.active_ids()[0], org.add_contact(LastName="Fresh")
    org.edit("Contact", edited, LastName="Edited")
    org.log_task([fresh])
    assert synced.run(only=("contact",)).error is None
    held = synced.rows("sf_contacts")

    assert org.active_ids() == sorted(held)
    assert ("Edited", "Fresh") == (held[edited]["last_name"], held[fresh]["last_name"])
    assert {} == synced.rows("sf_taskwhorelations")


@pytest.mark.postgres
def test_a_table_that_the_user_made_keeps_what_is_the_users(
    org: DemoOrg, credentials: SessionCredentials, database: Callable[[str], list[Any]],
    postgres: str, tmp_path: Path,
) -> None:  # fmt: skip
    """A serial id, a created_at default and a foreign key survive runs with inserts and updates."""
    database("CREATE SCHEMA salesforce")
    database(
        "CREATE TABLE salesforce.sf_contacts (id serial PRIMARY KEY, salesforce_id varchar(18)"
        " UNIQUE NOT NULL, created_at timestamptz DEFAULT now())"
    )
    database("CREATE TABLE visits (contact int REFERENCES salesforce.sf_contacts (id))")
    pipeline = dlt.pipeline(
        "theirs", destination=dlt.destinations.postgres(postgres), dataset_name="salesforce",
        pipelines_dir=str(tmp_path / "pipelines"),
    )  # fmt: skip
    synced = Synced(pipeline, credentials)
    synced.ok(id_column="salesforce_id")
    database("INSERT INTO visits SELECT id FROM salesforce.sf_contacts")
    theirs = "SELECT salesforce_id, id, created_at FROM salesforce.sf_contacts"
    before = {row[0]: row for row in database(theirs)}
    edited, fresh = org.active_ids()[0], org.add_contact(LastName="Fresh")
    org.edit("Contact", edited, LastName="Edited")
    org.log_task([fresh])
    facts = synced.ok(id_column="salesforce_id")
    after = {row[0]: row for row in database(theirs)}

    assert (1, 1) == (facts["contacts"]["new"], facts["contacts"]["updated"])
    assert before == {id_: row for id_, row in after.items() if id_ != fresh}
    assert set(range(1, 14)) == {row[1] for row in after.values()}
    assert all(row[2] is not None for row in after.values())
    assert [(12,)] == database(
        "SELECT count(*) FROM visits JOIN salesforce.sf_contacts c ON c.id = contact"
    )
    assert [("Edited",)] == database(
        f"SELECT last_name FROM salesforce.sf_contacts WHERE salesforce_id = '{edited}'"
    )
    assert {"salesforce_id"} <= synced.rows("sf_activities", key="salesforce_id").popitem()[
        1
    ].keys()


@BOTH
def test_columns_that_the_user_added_survive(org: DemoOrg, synced: Synced) -> None:
    """What the user wrote into a column of theirs is there after an update of the same row."""
    synced.begin()
    synced.sql("ALTER TABLE sf_contacts ADD COLUMN my_note VARCHAR")
    synced.sql("UPDATE sf_contacts SET my_note = 'call back: ' || id")
    edited = org.active_ids()[0]
    org.edit("Contact", edited, LastName="Edited")
    facts = synced.ok()
    held = synced.rows("sf_contacts")

    assert 1 == facts["contacts"]["updated"]
    assert "Edited" == held[edited]["last_name"]
    assert {id_: f"call back: {id_}" for id_ in org.active_ids()} == {
        id_: row["my_note"] for id_, row in held.items()
    }


@BOTH
def test_a_field_added_to_the_org_appears_typed_for_every_contact(
    org: DemoOrg, synced: Synced
) -> None:
    """A new custom field is a column of its type on the next run, though no stamp moved."""
    synced.begin()
    org.add_field("Contact", "Empty__c", "datetime")
    synced.ok()
    empty = {row.get("empty__c", "no such column") for row in synced.rows("sf_contacts").values()}
    values = {id_: number + 0.5 for number, id_ in enumerate(org.active_ids())}
    org.add_field("Contact", "Loyalty__c", "double", values)
    org.add_field("Contact", "Member_Since__c", "date", {org.active_ids()[3]: "2020-02-29"})
    org.add_field("Contact", "Never_Used__c", "boolean")
    synced.ok()
    held = synced.rows("sf_contacts")

    assert {None} == empty
    assert values == {id_: row["loyalty__c"] for id_, row in held.items()}
    assert {date(2020, 2, 29), None} == {row["member_since__c"] for row in held.values()}
    assert {False} == {row["never_used__c"] for row in held.values()}
    assert ("double", "date", "bool") == tuple(
        synced.pipeline.default_schema.tables["sf_contacts"]["columns"][name]["data_type"]
        for name in ("loyalty__c", "member_since__c", "never_used__c")
    )


def test_ten_thousand_active_contacts_are_complete(pipelines: Pipelines) -> None:
    """Beyond 2,000 groups no aggregate can be paged: discovery alone finds every contact."""
    org = DemoOrg(12_000, 10_000, 10_500, leads=300)
    with serve(org) as server:
        credentials = SessionCredentials(instance_url=server.url, access_token=server.token)
        pipeline = pipelines("crm", "people")
        source = salesforce_targeted(credentials, fields=["LastName", "Email"])
        pipeline.run(source.with_resources("contact"))

    assert 10_000 == len(org.active_ids())
    assert org.active_ids() == held_ids(pipeline)
    assert not [target for _, target in org.requests if "OFFSET" in target]


def test_an_allow_list_of_fields_is_kept_to(org: DemoOrg, synced: Synced) -> None:
    """fields=[…] asks for and lands those fields and the few that the library needs itself."""
    synced.ok(fields=["LastName", "NPI__c"])
    needed = {"id", "is_deleted", "master_record_id", "system_modstamp", "row_hash"}
    shown = org.rows("Contact", ids=org.active_ids())
    held = synced.rows("sf_contacts")

    assert {"last_name", "npi__c"} | needed == set(next(iter(held.values())))
    assert {id_: row["NPI__c"] for id_, row in shown.items()} == {
        id_: row["npi__c"] for id_, row in held.items()
    }


def test_the_schema_says_what_columns_mean_and_where_they_point(synced: Synced) -> None:
    """Labels of Salesforce are column descriptions; relations reference tasks and contacts."""
    synced.begin()
    tables = synced.pipeline.default_schema.tables
    relations = tables["sf_taskwhorelations"]
    references = {
        (reference["columns"][0], reference["referenced_table"], reference["referenced_columns"][0])
        for reference in relations["references"]
    }

    assert {("task_id", "sf_activities", "id"), ("relation_id", "sf_contacts", "id")} == references
    assert "NPI" in tables["sf_contacts"]["columns"]["npi__c"]["description"]
    assert "Call" not in tables["sf_contacts"]["columns"]["id"].get("description", "")
    assert [] == [
        f"{name}.{column}"
        for name, table in tables.items()
        for column, hints in table["columns"].items()
        if not name.startswith("_dlt") and not hints.get("description")
    ]


@pytest.mark.deep
@ON_POSTGRES
def test_a_lost_connection_in_mid_load_is_made_good_by_the_next_run(
    org: DemoOrg, synced: Synced, database: Callable[[str], list[Any]]
) -> None:
    """The server ends the connection while contacts are merged; then the leftover is finished."""
    synced.ok()
    database(
        "CREATE FUNCTION drop_me() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"
    )
    database(
        "CREATE TRIGGER drop_me BEFORE UPDATE ON salesforce.sf_contacts"
        " FOR EACH ROW EXECUTE FUNCTION drop_me()"
    )
    edited, fresh = org.active_ids()[0], org.add_contact(LastName="Fresh")
    org.edit("Contact", edited, LastName="Edited")
    org.log_task([fresh])
    failed = synced.run()
    database("DROP TRIGGER drop_me ON salesforce.sf_contacts")
    org.edit("Contact", fresh, LastName="Fresher")
    facts = synced.ok()
    held = synced.rows("sf_contacts")

    assert failed.error is not None
    assert "failed" == failed.facts["status"]
    assert "an earlier run left a package unloaded: finishing it first" in facts["steps"]
    assert "the leftover package is loaded" in facts["steps"]
    assert ("Edited", "Fresher") == (held[edited]["last_name"], held[fresh]["last_name"])
    assert org.active_ids() == sorted(held)
    assert sorted(org.rows("TaskWhoRelation")) == sorted(synced.rows("sf_taskwhorelations"))


@pytest.mark.deep
@ON_POSTGRES
def test_a_package_that_can_never_be_loaded_is_given_up_and_read_again(
    org: DemoOrg, synced: Synced, database: Callable[[str], list[Any]]
) -> None:
    """A constraint refuses a value for good: the run fails; when the org mends it, all comes."""
    synced.ok()
    database(
        "ALTER TABLE salesforce.sf_contacts ADD CONSTRAINT no_x CHECK (last_name <> 'Refused')"
    )
    edited, fresh = org.active_ids()[0], org.add_contact(LastName="Fresh")
    org.edit("Contact", edited, LastName="Refused")
    org.log_task([fresh])
    failed = synced.run()
    org.edit("Contact", edited, LastName="Accepted")
    facts = synced.ok()
    held = synced.rows("sf_contacts")

    assert failed.error is not None
    assert "no_x" in failed.facts["error"]
    assert [] != [warning for warning in facts["warnings"] if "was given up" in warning]
    assert ("Accepted", "Fresh") == (held[edited]["last_name"], held[fresh]["last_name"])
    assert sorted(org.rows("TaskWhoRelation")) == sorted(synced.rows("sf_taskwhorelations"))
