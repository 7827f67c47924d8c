"""No personal data where it doesn't belong: whole runs with marked people, then everything is searched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.http.server import DemoServer
from tests.security.test_secrets import Marked, files_below, listener, run, sign_in

__all__ = ["listener", "run"]  # fixtures

PERSONAL = {
    "Contact": ("LastName", "FirstName", "Email", "Phone", "Description", "MailingStreet", "Notes__c", "NPI__c"),
    "Task": ("Subject", "Description"),
    "User": ("LastName", "Email"),
}  # fmt: skip


def mark(org: DemoOrg) -> Marked:
    """Give every record that is synced values that can be recognised."""
    marked = Marked("people")
    rows = {
        "Contact": org.active_ids(),
        "Task": list(org.rows("Task")),
        "User": list(org.rows("User")),
    }
    for object_name, ids in rows.items():
        for number, id_ in enumerate(ids[:4]):
            values = {
                name: marked.make(f"{object_name} {number} {name}")
                for name in PERSONAL[object_name]
            }
            org.edit(object_name, id_, **values)
    return marked


def unloadable(org: DemoOrg, marked: Marked, sql: Callable[[str], Any]) -> None:
    """Values that their columns can't hold."""
    for number, (id_, name) in enumerate(
        zip(org.active_ids(), ("Birthdate", "Rank__c", "Last_Visit__c"), strict=False)
    ):
        org.edit("Contact", id_, **{name: marked.make(f"bad {number}")})


def checked(org: DemoOrg, marked: Marked, sql: Callable[[str], Any]) -> None:
    """Add a constraint that refuses a row: PostgreSQL quotes the whole row."""
    sql("ALTER TABLE salesforce.sf_contacts ADD CONSTRAINT short CHECK (length(last_name) < 70)")
    org.edit("Contact", org.active_ids()[0], LastName=marked.make("refused").ljust(80, "x"))


def unique(org: DemoOrg, marked: Marked, sql: Callable[[str], Any]) -> None:
    """Add a unique index: the database quotes the value that is there already."""
    sql("CREATE UNIQUE INDEX once ON salesforce.sf_contacts (email)")
    email = marked.make("twice")
    for id_ in org.active_ids()[:2]:
        org.edit("Contact", id_, Email=email)


def retyped(org: DemoOrg, marked: Marked, sql: Callable[[str], Any]) -> None:
    """Make a column a number: the database quotes the text that is none."""
    sql(
        "ALTER TABLE salesforce.sf_contacts ALTER COLUMN department TYPE INTEGER USING length(department)"
    )
    org.edit("Contact", org.active_ids()[0], Department=marked.make("no number"))


def as_is(org: DemoOrg, marked: Marked, sql: Callable[[str], Any]) -> None:
    """All goes well."""
    org.edit("Contact", org.active_ids()[0], LastName=marked.make("changed"))


POSTGRES = pytest.mark.postgres
CASES = pytest.mark.parametrize(
    ("database", "mishap"),
    [
        ("duckdb", as_is),
        ("duckdb", unloadable),
        ("duckdb", unique),
        ("duckdb", retyped),
        pytest.param("postgres", as_is, marks=POSTGRES),
        pytest.param("postgres", checked, marks=POSTGRES),
        pytest.param("postgres", unique, marks=POSTGRES),
        pytest.param("postgres", retyped, marks=POSTGRES),
    ],
    indirect=["database"],
    ids=lambda value: getattr(value, "__name__", str(value)),
)


@pytest.fixture
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Any]:
    """Provide the script's destination; runs a statement of its owner there."""
    if request.param == "duckdb":

        def sql(statement: str) -> Any:
            with duckdb.connect(str(tmp_path / "targeted_contacts.duckdb")) as held:
                return held.execute(statement).fetchall()

        return sql
    import psycopg2

    url = request.getfixturevalue("postgres")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", url)

    def sql_of_postgres(statement: str) -> Any:
        connection = psycopg2.connect(url)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
        connection.close()

    return sql_of_postgres


@pytest.mark.brief(1)
@CASES
def test_nobodys_data_is_found_after_a_run(
    mishap: Callable[..., None], org: DemoOrg, server: DemoServer, database: Callable[[str], Any], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., tuple[int, str]],
) -> None:  # fmt: skip
    """Not on the terminal, in a log or a report, at DEBUG; in dlt's folder only what is still to load.

    What is still to load is for its owner alone.
    """
    for name, value in sign_in("session", org, server).environ.items():
        monkeypatch.setenv(name, value)
    marked = mark(org)
    code, output = run()
    assert (0, set(), {}) == (
        code,
        marked.within(output),
        found_outside_of_the_database(tmp_path, marked),
    )
    mishap(org, marked, database)
    code, output = run(*["--report-html"] * (mishap is as_is))
    files = found_outside_of_the_database(tmp_path, marked)
    dlts = {path for path in files if "pipelines" in path.parts}

    assert set() == marked.within(output)
    assert [] == sorted(str(path.relative_to(tmp_path)) for path in set(files) - dlts)
    assert [] == sorted(
        str(path.relative_to(tmp_path)) for path in dlts if not is_private(path, tmp_path)
    )
    assert code in (0, 1)
    assert not dlts or code == 1


def test_records_are_written_for_their_owner_alone_if_asked_for(
    org: DemoOrg,
    server: DemoServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[..., tuple[int, str]],
) -> None:
    """--log-records: the values are in that file, mode 0600, and still nowhere else."""
    for name, value in sign_in("session", org, server).environ.items():
        monkeypatch.setenv(name, value)
    marked = mark(org)
    code, output = run("--log-records")
    files = found_outside_of_the_database(tmp_path, marked)

    assert (0, set()) == (code, marked.within(output))
    assert [".jsonl"] == [path.suffix for path in files]
    assert [0o600] == [path.stat().st_mode & 0o777 for path in files]
    assert set(marked.cores) == set().union(*files.values())


def is_private(path: Path, below: Path) -> bool:
    """Return whether only its owner gets at a file: by its own mode, or by a folder's."""
    modes = [
        part.stat().st_mode & 0o077 for part in (path, *path.parents) if part.is_relative_to(below)
    ]
    return 0 in modes[:-1]


def found_outside_of_the_database(folder: Path, marked: Marked) -> dict[Path, set[str]]:
    """Files that hold marked values, but for the destination itself."""
    return {
        path: names
        for path, text in files_below(folder)
        if path.suffix not in (".duckdb", ".wal") and (names := marked.within(text))
    }
