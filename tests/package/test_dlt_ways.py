"""dlt's own ways work: references, selection, limits, contracts, its command line after a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from dlt.extract.exceptions import ResourceExtractionError
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.sources import SourceReference

from salesforce_targeted import Scope, salesforce_targeted
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.limits import DOCUMENTED, TINY
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.destination.errors import original_error
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.sync.runner import sync
from tests.conftest import BOTH, Synced
from tests.support.plain_pipeline import as_it_is, into, of_contacts, refused, run
from tests.support.script import DLT, Ended, command, process, python, rows, session_of

REFERENCE = "salesforce_targeted.salesforce_targeted"
BY_REFERENCE = """\
import dlt
source = dlt.sources.SourceReference.from_reference("{reference}")
pipeline = dlt.pipeline("crm", destination="duckdb", dataset_name="people")
pipeline.run(source)
print(pipeline.last_trace.last_normalize_info.row_counts["sf_contacts"])
"""


@pytest.mark.deep
def test_another_project_names_the_source_by_a_reference(
    server: DemoServer, tmp_path: Path
) -> None:
    """``package.source`` is found, configured and run; nothing of ours is imported by hand."""
    (tmp_path / "crm.py").write_text(BY_REFERENCE.format(reference=REFERENCE))
    ended = python("crm.py", cwd=tmp_path, environ=session_of(server))

    assert (0, "12") == (ended.code, ended.out.strip())


def test_a_reference_takes_arguments_and_another_name(org: DemoOrg, synced: Synced) -> None:
    """from_reference passes the source's parameters and dlt's own, such as a schema contract."""
    source = SourceReference.from_reference(
        REFERENCE,
        schema_contract={"data_type": "freeze"},
        source_args=(synced.credentials,),
        source_kwargs={"fields": ["LastName"], "id_column": "salesforce_id"},
    )
    synced.pipeline.run(source)
    held = synced.rows("sf_contacts", "salesforce_id")

    assert org.active_ids() == sorted(held)
    assert "email" not in next(iter(held.values()))


def test_the_registry_has_the_source_under_its_module() -> None:
    """Imported, it is listed as dlt lists every decorated source, with its section and name."""
    listed = SourceReference.SOURCES["salesforce_targeted.source.salesforce_targeted"]

    assert ("salesforce_targeted", salesforce_targeted) == (listed.name, listed.factory)


@pytest.mark.deep
@BOTH
def test_parallelize_changes_no_row(org: DemoOrg, synced: Synced) -> None:
    """Resources in threads share one connection and one reading; they wait for one another."""
    for last_name in ("Edited", "Edited again"):
        run(synced, lambda source: source.parallelize())
        org.edit("Contact", org.active_ids()[0], LastName=last_name)
        org.log_task([org.add_contact(LastName="Fresh")])
    run(synced, lambda source: source.parallelize())
    held = synced.rows("sf_contacts")

    assert org.active_ids() == sorted(held)
    assert "Edited again" == held[org.active_ids()[0]]["last_name"]
    assert sorted(org.rows("TaskWhoRelation")) == sorted(synced.rows("sf_taskwhorelations"))
    assert org.active_ids() == sorted(synced.rows("sf_active_contacts", "contact_id"))


def test_what_add_limit_counts_is_said(
    org: DemoOrg, synced: Synced, caplog: pytest.LogCaptureFixture
) -> None:
    """Batches: all of a small org comes; what counts relations is named."""
    with caplog.at_level("WARNING", "salesforce_targeted"):
        synced.pipeline.run(salesforce_targeted(synced.credentials).add_limit(1))

    messages = [text for text in caplog.messages if text.startswith("task_who_relation: add_limit")]
    assert ["Scope(limit=...) counts relations"] == [text.rpartition("; ")[2] for text in messages]
    assert set(org.active_ids()) == set(synced.rows("sf_contacts"))


@pytest.mark.deep
def test_a_limited_run_loses_nothing_and_the_next_one_completes(tmp_path: Path) -> None:
    """add_limit counts batches: part of the rows come, none is taken for gone, no cursor jumps."""
    org = DemoOrg(12_000, 10_000, 21_000, leads=50)
    with serve(org) as server:
        credentials = SessionCredentials(instance_url=server.url, access_token=server.token)
        held = into(dlt.destinations.duckdb(str(tmp_path / "held.duckdb")), tmp_path, credentials)

        def sample() -> dict[str, int]:
            source = salesforce_targeted(credentials, fields=["LastName"])
            chosen = source.with_resources("task_who_relation", "contact", "contact_life")
            held.pipeline.run(chosen.add_limit(1) if limited else chosen)
            counted = held.sql("SELECT COUNT(*), COUNT(removed_at) FROM sf_taskwhorelations")[0]
            left = held.sql("SELECT COUNT(left_at) FROM sf_active_contacts")[0]
            return dict(zip(("relations", "removed", "left"), (*counted, *left), strict=True))

        limited = True
        first = sample()
        limited = False
        last = sample()

    assert 0 < first["relations"] < 21_000
    assert (0, 0) == (first["removed"], first["left"])
    assert {"relations": 21_000, "removed": 0, "left": 0} == last


@pytest.mark.brief(1)
@pytest.mark.parametrize("resource", ["", "task_who_relation", "contact", "sync_run"])
def test_outside_of_a_pipeline_nothing_is_iterated(
    org: DemoOrg, credentials: SessionCredentials, resource: str
) -> None:
    """One sentence says where it runs; no call is made."""
    source = salesforce_targeted(credentials)
    with pytest.raises(ResourceExtractionError) as caught:
        list(source.resources[resource] if resource else source)

    assert "this source runs in a pipeline" in str(original_error(caught.value))
    assert "Write pipeline.run(source)" in str(caught.value)
    assert 0 == len(org.requests)


@pytest.mark.deep
def test_a_column_of_the_users_own_is_not_taken_for_a_hidden_field(
    org: DemoOrg, synced: Synced
) -> None:
    """What add_map adds has never been Salesforce's: it is kept, and no warning names it."""

    def signed(table: pa.Table) -> pa.Table:
        names = [name for name in table.column_names if name != "loaded_by"]
        return table.select(names).append_column(
            "loaded_by", pa.array(["me"] * table.num_rows, pa.string())
        )

    ledgers = [Ledger() for _ in range(3)]
    for ledger in ledgers:
        source = salesforce_targeted(synced.credentials, ledger=ledger)
        source.contact.add_map(signed)
        assert sync(synced.pipeline, source, ledger).error is None
        org.edit("Contact", org.active_ids()[0], LastName="Edited")
    facts = synced.ok()

    assert [] == [text for ledger in ledgers for text in ledger.warnings if "loaded_by" in text]
    assert ([], []) == (facts["warnings"], facts["hidden_fields"].get("Contact", []))
    assert {"me"} == {row["loaded_by"] for row in synced.rows("sf_contacts").values()}


@pytest.mark.parametrize("synced", ["postgres"], indirect=True)
def test_a_filter_may_leave_no_row(org: DemoOrg, synced: Synced) -> None:
    """What is left out is new to every run, so that a repeat has nothing else: it is no error."""
    edited = org.active_ids()[0]

    def all_but_one(table: pa.Table) -> pa.Table:
        return table.filter(pc.not_equal(table["id"], edited))

    for _ in range(2):
        run(synced, lambda source: source.contact.add_map(all_but_one))

    assert org.active_ids()[1:] == sorted(synced.rows("sf_contacts"))
    assert edited in synced.rows("sf_active_contacts", "contact_id")


def test_rows_that_a_function_doubles_are_refused(org: DemoOrg, synced: Synced) -> None:
    """A join, say: DuckDB held each twice and PostgreSQL could never load them."""
    error = refused(
        synced, lambda source: source.contact.add_map(lambda table: pa.concat_tables([table] * 2))
    )
    run(synced)

    assert error.startswith("sf_contacts: what add_map returned has an id twice")
    assert [(12,)] == synced.sql("SELECT COUNT(*) FROM sf_contacts")


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("contact", "id"),
        ("task_who_relation", "RelationId"),
        ("rejected_record", "payload"),
    ],
)
def test_columns_that_later_runs_read_back_are_not_taken_out(
    org: DemoOrg, synced: Synced, name: str, column: str
) -> None:
    """The table would lack them, and no later run could read it: with add_map or without."""
    error = refused(
        synced,
        lambda source: source.resources[name].add_map(lambda table: table.drop_columns([column])),
    )
    run(synced)

    assert f"what add_map returned lacks {column}, by which later runs" in error
    assert sorted(synced.rows("sf_contacts")) == org.active_ids()


@pytest.mark.deep
def test_frozen_columns_stop_the_run_until_they_are_released(org: DemoOrg, synced: Synced) -> None:
    """A new field raises dlt's own error, names the column, leaves nothing pending and no row."""
    run(synced)
    fresh = org.add_contact(LastName="Fresh")
    org.log_task([fresh])
    org.add_field("Contact", "New__c", "double", {fresh: 1.5})
    error = refused(synced, schema_contract={"columns": "freeze"})
    before = synced.rows("sf_contacts")
    run(synced)

    assert "`new__c`" in error
    assert fresh not in before
    assert 1.5 == synced.rows("sf_contacts")[fresh]["new__c"]


@pytest.mark.deep
def test_discarded_columns_come_whole_when_the_contract_is_lifted(
    org: DemoOrg, synced: Synced
) -> None:
    """discard_value keeps a new field out; afterwards it is filled for every contact."""
    run(synced)
    values = {id_: number + 0.5 for number, id_ in enumerate(org.active_ids())}
    org.add_field("Contact", "New__c", "double", values)
    for _ in range(2):
        run(synced, schema_contract={"columns": "discard_value"})
    discarded = synced.rows("sf_contacts")
    loaded = synced.pipeline.last_trace.last_normalize_info.row_counts
    run(synced, schema_contract="evolve")

    assert "new__c" not in next(iter(discarded.values()))
    assert "sf_contacts" not in loaded
    assert values == {id_: row["new__c"] for id_, row in synced.rows("sf_contacts").items()}


@BOTH
def test_the_dataset_is_read_as_dlt_reads_it(org: DemoOrg, synced: Synced) -> None:
    """Relations, SQL, row counts and descriptions of ``pipeline.dataset()``, on both databases."""
    synced.begin()
    dataset = synced.pipeline.dataset()
    sql = "SELECT contact_id FROM sf_active_contacts WHERE is_active"

    tables = synced.pipeline.default_schema.tables

    assert len(org.active_ids()) == len(dataset.sf_contacts.fetchall())
    assert [] == [
        name for name in tables if name[:3] == "sf_" and not tables[name].get("description")
    ]
    assert org.active_ids() == sorted(row[0] for row in dataset(sql).fetchall())
    assert ("sf_contacts", 12) in [tuple(row) for row in dataset.row_counts().fetchall()]


def test_hints_for_all_resources_and_descriptions_of_columns(synced: Synced) -> None:
    """apply_hints adds what it is asked for: a column of the user's, a description, a table hint."""
    run(
        synced,
        lambda source: source.contact.apply_hints(
            columns={"last_name": {"description": "surname"}, "my_note": {"data_type": "text"}}
        ),
    )
    columns = synced.pipeline.default_schema.tables["sf_contacts"]["columns"]

    assert {None} == {row["my_note"] for row in synced.rows("sf_contacts").values()}
    assert "text" == columns["my_note"]["data_type"]


@pytest.mark.brief(1)
@pytest.mark.parametrize("parts", [("task_who_relation",), ("contact",), ("contact", "user")])
def test_parts_load_their_own_tables(org: DemoOrg, synced: Synced, parts: tuple[str, ...]) -> None:
    """with_resources loads those tables and no others."""
    run(synced, lambda source: source.resources.select(*parts))
    tables = {
        "task_who_relation": "sf_taskwhorelations",
        "contact": "sf_contacts",
        "user": "sf_users",
    }

    assert {tables[part] for part in parts} == set(
        synced.pipeline.default_schema.data_table_names()
    )


@pytest.mark.deep
def test_small_batches_and_a_file_format_of_ones_own(org: DemoOrg, synced: Synced) -> None:
    """A dozen rows across every limit of the API land the same; jsonl is as good as parquet."""
    source = salesforce_targeted(synced.credentials, scope=Scope(limits=TINY))
    of_contacts(file_format="jsonl")(source)
    synced.pipeline.run(source)
    run(synced, as_it_is)
    kinds = {
        row["last_name"]: type(row["created_date"]).__name__
        for row in synced.rows("sf_contacts").values()
    }

    assert org.active_ids() == sorted(synced.rows("sf_contacts"))
    assert {"datetime"} == set(kinds.values())


def dlt_pipeline(folder: Path, *words: str) -> Ended:
    """``dlt pipeline targeted_contacts …`` in a folder, every question answered with yes."""
    return command(DLT, "-y", "pipeline", "targeted_contacts", *words, cwd=folder)


@pytest.mark.deep
def test_dlts_commands_that_change_something_are_survived(tmp_path: Path) -> None:
    """After load-package, sync and drop the next run goes on: nothing is loaded again but what was dropped."""

    def demo() -> dict[str, Any]:
        return process("--demo", "--json", cwd=tmp_path).facts

    demo()
    (package,) = [
        line.split()[2]
        for line in dlt_pipeline(tmp_path, "trace").out.splitlines()
        if line.startswith("Load package") and "LOADED and" in line
    ][:1]
    shown = dlt_pipeline(tmp_path, "load-package", package)
    restored = dlt_pipeline(tmp_path, "sync")
    info = dlt_pipeline(tmp_path, "info")
    goes_on = demo()
    dropped = dlt_pipeline(tmp_path, "drop", "contact")
    gone = rows(tmp_path, "sf_contacts", "salesforce_demo")
    refill = demo()

    assert "The package was LOADED" in shown.out
    assert (0, 0, 0) == (restored.code, info.code, dropped.code)
    assert "contact with 1 table(s)" in info.out
    assert (0, 817, 0) == (
        goes_on["contacts"]["new"],
        goes_on["contacts"]["unchanged"],
        goes_on["relations"]["new"],
    )
    assert [] == gone
    assert (817, 0) == (refill["contacts"]["new"], refill["relations"]["new"])
    assert 817 == len(rows(tmp_path, "sf_contacts", "salesforce_demo"))
    assert 817 == len(rows(tmp_path, "sf_active_contacts", "salesforce_demo"))


def enriched(tables: pa.Table) -> Any:
    """Make of contacts what a transformer of the user's makes of them."""
    yield tables.select(["id"])


@pytest.mark.parametrize(
    "of",
    [
        lambda source: source.contact.with_name("people"),
        lambda source: source.task_who_relation.with_name("links"),
        lambda source: source.contact | dlt.transformer(enriched, name="mine"),
    ],
)
def test_a_resource_that_is_not_loaded_by_its_name_is_refused(synced: Synced, of: Any) -> None:
    """Nothing came of it, and nothing said so."""
    with pytest.raises(PipelineStepFailed) as caught:
        synced.pipeline.run(of(salesforce_targeted(synced.credentials)))

    assert "is not loaded by this name" in str(original_error(caught.value))


def test_a_transformer_of_ones_own_beside_the_contacts(org: DemoOrg, synced: Synced) -> None:
    """It gets the rows that are loaded, as the remedy of that refusal says."""
    source = salesforce_targeted(synced.credentials)
    source.resources["mine"] = source.contact | dlt.transformer(enriched, name="mine")
    synced.pipeline.run(source)

    assert org.active_ids() == sorted(synced.rows("mine")) == sorted(synced.rows("sf_contacts"))


def test_a_dataset_that_is_named_in_run_is_refused_once_it_can_be_told(
    org: DemoOrg, synced: Synced
) -> None:
    """What the first run into it lacks no later one could load; read again, all of it is there."""
    synced.ok()
    run(synced, dataset_name="second")
    why = refused(synced, dataset_name="second")
    run(synced, dataset_name="second", refresh="drop_sources")

    assert "Name the dataset in dlt.pipeline(dataset_name=…)" in why
    assert "second" == synced.pipeline.dataset_name
    assert org.active_ids() == sorted(synced.rows("sf_contacts"))
    assert sorted(org.rows("TaskWhoRelation")) == sorted(synced.rows("sf_taskwhorelations"))


@pytest.mark.parametrize("second", [("held", "two"), ("other", "one")], ids=["name", "database"])
@pytest.mark.parametrize("budget", [0, 100])
def test_a_pipeline_may_change_between_datasets(
    org: DemoOrg, tmp_path: Path, budget: int, second: tuple[str, str]
) -> None:
    """Dlt keeps its local state: what was modified since this dataset was loaded is read."""
    first = ("held", "one")
    with serve(org) as server:
        credentials = SessionCredentials(instance_url=server.url, access_token=server.token)
        for turn, (file, dataset) in enumerate((first, second, second, first, first, second)):
            database = dlt.destinations.duckdb(str(tmp_path / f"{file}.duckdb"))
            org.advance(3_600)
            org.edit("Contact", org.active_ids()[turn], LastName=f"Edited {turn}")
            org.log_task([org.add_contact(LastName="Fresh")])
            pipeline = dlt.pipeline("crm", destination=database, dataset_name=dataset)
            pipeline.run(
                salesforce_targeted(
                    credentials,
                    refresh_call_budget=budget,
                    scope=Scope(limits=replace(DOCUMENTED, rows_per_query_page=5)),
                )
            )
            held = pipeline.dataset()["sf_contacts"].select("id", "last_name").fetchall()
            shown = org.rows("Contact", ids=org.active_ids())

            assert {id_: row["LastName"] for id_, row in shown.items()} == dict(held)


def test_tasks_that_no_relation_names_are_not_left_out_in_silence(
    synced: Synced, caplog: pytest.LogCaptureFixture
) -> None:
    """Which tasks count the relations say; once those are held, the tasks alone can be loaded."""
    warned = []
    for parts in (["task"], ["task_who_relation"], ["task"]):
        caplog.clear()
        synced.pipeline.run(salesforce_targeted(synced.credentials).with_resources(*parts))
        warned.append(any("held relations name, and none is held" in m for m in caplog.messages))

    assert [True, False, False] == warned
    assert synced.rows("sf_activities")
