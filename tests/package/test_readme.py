"""The documents are true: each block of each runs, commands are CI's, names and links exist."""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import tomllib
import types
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

import dlt
import pytest
import yaml

from pipelines import active_contacts_by_account, orgs
from salesforce_targeted import salesforce_targeted, targeted
from salesforce_targeted.demo_org import DemoOrg, serve
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.settings import Settings
from tests.benchmarks.__main__ import BENCHMARKS as BENCHMARK_NAMES
from tests.benchmarks.__main__ import parser as benchmark_parser
from tests.conftest import Synced
from tests.support.documents import (
    BENCHMARKS,
    PIPELINES,
    README,
    blocks,
    documents,
    languages,
    text,
)
from tests.support.script import ROOT, Script, session_of

# Which blocks the tests below run. A block elsewhere, or in another language, fails the first test.
RUN = {
    README: {"sh", "text", "python", "sql"},
    PIPELINES: {"text", "toml", "yaml", "py", "python"},
    BENCHMARKS: {"text"},
}


def test_each_block_is_run() -> None:
    """No document has a block that no test runs."""
    assert RUN == {name: languages(name) for name in documents() if languages(name)}


def test_links_lead_to_files() -> None:
    """Each relative link, and each test that is named, is there."""
    tests = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    for document in documents():
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", text(document)):
            assert (ROOT / document).parent.joinpath(link).exists(), f"{document}: {link}"
        assert set(re.findall(r"`(test_\w+\.py)`", text(document))) <= tests, document


def test_python_blocks_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The three ways into a pipeline run as they stand, signed in by the environment, in order."""
    org = DemoOrg.varied()
    with serve(org) as server:
        for name, value in session_of(server).items():
            monkeypatch.setenv(name, value)
        printed = []
        for block in blocks(README, "python"):
            exec(compile(block, README, "exec"), {"__name__": "__main__"})
            printed.append(capsys.readouterr().out)
    imported, _, recipes = printed
    expected = {
        "sf_leads": org.named_ids("TaskWhoRelation", "RelationId", "Lead"),
        "sf_event_contacts": org.named_ids("EventWhoRelation", "RelationId"),
        "sf_accounts": org.named_ids(
            "Opportunity", "AccountId", "Account", lambda row: not row["IsClosed"]
        ),
    }

    assert "'sf_contacts': 12" in imported
    for table, ids in expected.items():
        assert f"'{table}': {len(ids)}" in recipes


def test_the_block_of_maps_runs(
    server: DemoServer, org: DemoOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held of the sample's contacts went through both functions and the filter."""
    (block,) = blocks(PIPELINES, "python")
    for name, value in session_of(server).items():
        monkeypatch.setenv(name, value)
    org.edit("Contact", org.active_ids()[0], Email=None)
    namespace: dict[str, Any] = {}
    exec(compile(block, PIPELINES, "exec"), namespace)
    with namespace["pipeline"].sql_client() as client:
        held = dict(client.execute_sql("SELECT id, last_name FROM sf_contacts"))
        (relations,) = client.execute_sql("SELECT COUNT(*) FROM sf_taskwhorelations")[0]
    shown = org.rows("Contact", ids=sorted(held))

    assert held
    assert {id_: row["LastName"].upper() for id_, row in shown.items()} == held
    assert all(row["Email"] for row in shown.values())
    assert 20 == relations


def test_sql_blocks_run(synced: Synced) -> None:
    """The documented join returns the contacts that sales works with."""
    synced.begin()
    (block,) = blocks(README, "sql")

    assert 12 == len(synced.sql(block))


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")  # of the hostile contact's name
def test_listed_commands_run(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line of the lists succeeds in their order: look, sync, verify, then draw what is there.

    Those of dlt are in test_examples.py, in the folder of a demo.
    """
    (listed, _), (chart,) = blocks(README, "text"), blocks(PIPELINES, "text")
    lines = [re.split(r"  +", line)[0].split() for line in listed.splitlines()]
    codes = {" ".join(words[1:]): script(*words[1:]).code for words in lines}
    drawing, *options = chart.split()
    drawn = active_contacts_by_account.main(options)

    assert {"pipelines/targeted_contacts.py"} == {words[0] for words in lines}
    assert dict.fromkeys(("--sign-in", "--test", "--count", "--plan", "", "--verify"), 0) == codes
    assert (ROOT / drawing).samefile(inspect.getfile(active_contacts_by_account))
    assert 0 == drawn
    assert Path("active_contacts_by_account.svg").exists()


def test_orgs_are_configured_as_documented(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The two files name the orgs, and give one of them credentials of its own."""
    (block,) = blocks(PIPELINES, "toml")
    for name, value in _flat(tomllib.loads(block)):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(
        "TARGETED_CONTACTS_EMEA__SOURCES__SALESFORCE_TARGETED__CREDENTIALS__CLIENT_ID", "app"
    )
    monkeypatch.setenv(
        "TARGETED_CONTACTS_EMEA__SOURCES__SALESFORCE_TARGETED__CREDENTIALS__CLIENT_SECRET", "-"
    )
    with orgs.pipeline_of("emea", str(tmp_path)) as pipeline:
        credentials = orgs.credentials_of(pipeline)

    assert ["emea", "apac"] == orgs.configured().names
    assert "https://emea.my.salesforce.com" == credentials.login_url


def test_dagsters_settings_are_read(tmp_path: Path) -> None:
    """``dagster.yaml`` is taken as it stands; tests/scale_out runs orgs with it."""
    dagster = pytest.importorskip("dagster", reason="Dagster is an extra")
    (block,) = blocks(PIPELINES, "yaml")
    (tmp_path / "dagster.yaml").write_text(block)
    with dagster.DagsterInstance.from_config(str(tmp_path)) as instance:
        limits = instance.get_settings("concurrency")["runs"]["tag_concurrency_limits"]

        assert yaml.safe_load(block)["concurrency"]["runs"]["tag_concurrency_limits"] == limits
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled


class Dag:
    """As much of Airflow's DAG as a block needs: a name, and a context."""

    def __init__(self, name: str, **_options: Any) -> None:
        self.name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None: ...


class TasksGroup:
    """Stands for dlt's helper, which needs Airflow: runs each task at once, in this process."""

    def __init__(self, name: str) -> None:
        self.name = name

    def add_run(self, pipeline: dlt.Pipeline, data: Any, **_options: Any) -> None:
        """Run as the helper does: the pipeline dropped, the source requested afterwards."""
        pipeline.drop().run(data())


def test_the_airflow_block_runs(
    server: DemoServer, org: DemoOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One org's task loads that org; the options are some that dlt's helper takes."""
    (block,) = blocks(PIPELINES, "py")
    monkeypatch.setenv("ORGS__NAMES", '["emea"]')
    section = "TARGETED_CONTACTS_EMEA__SOURCES__SALESFORCE_TARGETED__CREDENTIALS"
    monkeypatch.setenv(f"{section}__INSTANCE_URL", server.url)
    monkeypatch.setenv(f"{section}__ACCESS_TOKEN", server.token)
    for module, names in {
        "airflow": {"DAG": Dag},
        "dlt.helpers.airflow_helper": {"PipelineTasksGroup": TasksGroup},
    }.items():
        stand_in = types.ModuleType(module)
        stand_in.__dict__.update(names)
        monkeypatch.setitem(sys.modules, module, stand_in)
    namespace: dict[str, Any] = {}
    here = block.replace('destination="postgres"', 'destination="duckdb"')
    exec(compile(here, PIPELINES, "exec"), namespace)
    with namespace["pipeline"].sql_client() as client:
        (count,) = client.execute_sql("SELECT COUNT(*) FROM sf_contacts")[0]

    assert len(org.active_ids()) == count
    assert _options_of("add_run", block) <= _options_of_dlts_helper()


def test_benchmark_commands_are_taken() -> None:
    """Each command of the benchmarks' document names a benchmark, and options that it has."""
    named = set()
    for line in "".join(blocks(BENCHMARKS, "text")).splitlines():
        python, _, module, name, *options = line.split()
        named |= set(benchmark_parser().parse_args([name, *options]).names)

        assert ("python", "tests.benchmarks") == (python, module)
    assert set(BENCHMARK_NAMES) == named


def test_the_commands_are_those_of_ci() -> None:
    """Both README commands install what they need; CI runs the second one's very words."""
    first, second = (block.strip() for block in blocks(README, "sh"))
    ci = (ROOT / ".ci/run").read_text()
    install, _, test = second.rpartition(" && ")

    assert first.endswith(".venv/bin/python pipelines/targeted_contacts.py --demo")
    assert install in ci
    assert test in ci


def test_each_part_of_ci_is_documented() -> None:
    """The parts that the README lists are those that ``.ci/run`` takes."""
    (listed,) = re.findall(r"`\.ci/run ([\w |]+)`", text(README))
    usage = re.search(r"usage: \.ci/run \[([\w|]+)\]", (ROOT / ".ci/run").read_text())

    assert usage is not None
    assert sorted(usage[1].split("|")) == sorted(listed.split(" | "))


def test_knobs_are_the_same_everywhere() -> None:
    """What the README names, what config.toml lists and what the source takes are one set."""
    config = text(".dlt/config.toml")
    listed = re.findall(
        r"^#? ?(\w+) = ", config.split("[sources.salesforce_targeted.statistics]")[0], re.MULTILINE
    )
    statistics = tomllib.loads(config)["sources"]["salesforce_targeted"]["statistics"]

    assert {setting.name for setting in fields(Settings)} == set(listed)
    assert [] == [name for name in listed if f"`{name}`" not in text(README)]
    for source in (salesforce_targeted, targeted):
        parameters = inspect.signature(source).parameters
        assert {field.name: field.default for field in fields(Settings)} == {
            name: parameters[name].default for name in listed
        }
    assert {"physicians", "with_npi"} == set(statistics)


def _flat(table: dict[str, Any], above: str = "") -> list[tuple[str, str]]:
    """List a TOML table's values under the names that dlt gives them in the environment."""
    flat = []
    for key, value in table.items():
        name = f"{above}{key.upper()}"
        flat += _flat(value, f"{name}__") if isinstance(value, dict) else [(name, _spelt(value))]
    return flat


def _spelt(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _options_of(function: str, block: str) -> set[str | None]:
    calls = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    return {
        keyword.arg
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == function
        for keyword in call.keywords
    }


def _options_of_dlts_helper() -> set[str | None]:
    """Read the options from dlt's source: importing it needs Airflow.

    The group's own settings (``retries``) go on to Airflow's operator.
    """
    source = Path(inspect.getfile(dlt)).parent / "helpers" / "airflow_helper.py"
    (helper,) = [
        node
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name == "add_run"
    ]
    return {argument.arg for argument in helper.args.kwonlyargs} | {"retries"}
