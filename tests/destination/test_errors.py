"""Each refusal of PostgreSQL and DuckDB has a row of one table; dlt's of its settings are ours."""

from __future__ import annotations

import duckdb
import psycopg2
import pytest
from dlt.common.configuration.exceptions import ConfigValueCannotBeCoercedException
from dlt.common.exceptions import TerminalValueError

from salesforce_targeted.api.errors import ConfigurationError, SalesforceError
from salesforce_targeted.destination.errors import REFUSALS, message_and_remedy, original_error


class Refused(Exception):  # noqa: N818  # as PostgreSQL says it
    """An error of PostgreSQL with a code."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.pgcode = code


# What the database says (with its SQLSTATE), and words of the remedy; one or more for each row.
SAMPLES = [
    (Refused("value too long for type character varying(5)", "22001"), "give it back its name"),
    (Refused('null value in column "mine"', "23502"), "Drop or relax the constraint"),
    (Refused("cannot execute INSERT in a read-only transaction", "25006"), "into the primary"),
    (Refused("invalid authorization specification", "28000"), "Are user and password right"),
    (Refused("cannot drop table x because other objects depend on it", "2BP01"), "drop_data"),
    (Refused('database "crm" does not exist', "3D000"), "Is the server up and reachable"),
    (Refused('schema "salesforce" does not exist', "3F000"), "give it back its name"),
    (Refused("deadlock detected", "40P01"), "Run again"),
    (Refused("permission denied for table sf_contacts", "42501"), "GRANT"),
    (Refused('violates row-level security policy for table "t"', "42501"), "BYPASSRLS"),
    (Refused('relation "sf_contacts" already exists', "42P07"), "may not see it"),
    (Refused("terminating connection due to transaction timeout", "25P04"), "On this server"),
    (psycopg2.OperationalError("terminating connection due to idle-session timeout"), "On this s"),
    (psycopg2.OperationalError("server closed the connection unexpectedly"), "Where it is up"),
    (Refused('column "x" does not exist', "42703"), "give it back its name"),
    (Refused("sorry, too many clients already", "53300"), "Raise the limit"),
    (Refused("could not extend file", "53100"), "Make room in the database"),
    (Refused("row is too big: size 8200, maximum size 8160", "54000"), "the setting `fields`"),
    (Refused("tables can have at most 1600 columns", "54011"), "at most 1,600 columns"),
    (Refused("stack depth limit exceeded", "54001"), "Make room in the database"),
    (Refused("canceling statement due to lock timeout", "55P03"), "Raise the limit"),
    (
        Refused('cannot update table "t" because it does not have a replica identity', "55000"),
        "REPLICA IDENTITY USING INDEX",
    ),
    (Refused("canceling statement due to statement timeout", "57014"), "Raise the limit"),
    (Refused("terminating connection due to administrator command", "57P01"), "Is the server up"),
    (Refused("could not read block 7 in file", "58030"), "Make room in the database"),
    (Refused("connection does not exist", "08003"), "Is the server up"),
    (Refused("could not read block: XX", "XX001"), "Run again"),
    (
        Refused('column "_dlt_load_id" of relation "t" contains null values', "23502"),
        "Give add_dlt_load_id and add_dlt_id back",
    ),
    (
        Refused('duplicate key value violates unique constraint "sf_contacts_id_key"', "23505"),
        "Row security keeps rows from the loading user",
    ),
    (Refused('… constraint "sf_active_leads_lead_id_key"', "23505"), "BYPASSRLS"),
    (Refused('… constraint "sf_contacts_account_id_key"', "23505"), "Drop or relax the constraint"),
    (Refused("no updates today", "P0001"), "A trigger, a rule or a function of this database"),
    (Refused('cannot execute MERGE on relation "sf_contacts"', "0A000"), "a rule or a function"),
    (
        Exception(
            'IO: [libpq] Failed to connect: connection to server at "127.0.0.1", port 5432 failed:'
            ' FATAL:  too many connections for role "loader"'
        ),
        "Raise the limit",
    ),
    (
        psycopg2.OperationalError("FATAL:  unsupported startup parameter: options"),
        "A connection pooler",
    ),
    (
        psycopg2.OperationalError("FATAL: unsupported startup parameter in options: search_path"),
        "ignore_startup_parameters",
    ),
    (psycopg2.OperationalError('invalid sslmode value: "bogus"'), "behind the ?"),
    (
        psycopg2.OperationalError(
            'connection to server at "h" failed: FATAL:  unrecognized configuration parameter "+role"'
        ),
        "behind the ?",
    ),
    (psycopg2.ProgrammingError('invalid dsn: invalid URI query parameter: "foo"'), "behind the ?"),
    (
        psycopg2.OperationalError(
            'connection to server at "h", port 9 failed: invalid integer value "x" for connection'
            ' option "connect_timeout"'
        ),
        "behind the ?",
    ),
    (
        psycopg2.OperationalError(
            'connection to server at "h" failed: FATAL:  password authentication failed for user "x"'
        ),
        "@ as %40",
    ),
    (
        psycopg2.OperationalError(
            'connection to server at "h" failed: FATAL:  sorry, too many clients'
        ),
        "Raise the limit",
    ),
    (psycopg2.OperationalError("server does not support SSL, but SSL was required"), "sslmode"),
    (
        psycopg2.OperationalError('connection to server at "h", port 9 failed: Connection refused'),
        "Is the server up and reachable",
    ),
    (duckdb.Error('IO Error: Could not set lock on file "/a/b.duckdb"'), "Another program"),
    (
        duckdb.Error(
            "Connection Error: Can't open a connection to same database file with a different configuration"
        ),
        "in another way",
    ),
    (
        duckdb.Error(
            "IO Error: Trying to read a database file with version number 99, but we can only read 64"
        ),
        "pip install -U duckdb",
    ),
    (duckdb.Error('IO Error: Could not write file "/a/b.duckdb": No space left'), "Make room"),
    (duckdb.Error('IO Error: Cannot open file "/a/b.duckdb": Permission denied'), "give the right"),
    (
        duckdb.Error('IO Error: Cannot open file "/a/b.duckdb": No such file or directory'),
        "Make that folder",
    ),
    (duckdb.Error('IO Error: The file "/a/b.duckdb" is not valid'), "move it away"),
    (duckdb.Error("Corrupt database file: computed checksum 1"), "move it away"),
    (duckdb.Error("Out of Memory Error: could not allocate block"), "file_max_items"),
    (
        duckdb.Error('Constraint Error: Duplicate key "email: Could not write"'),
        "relax the constraint",
    ),
    (duckdb.Error("Conversion Error: Could not convert string 'IO Error: email'"), "give it back"),
]


def row_of(error: Exception) -> int | None:
    """Return the place of the row whose remedy an error gets."""
    remedy = message_and_remedy(error)[1]
    code = getattr(error, "pgcode", None)
    source = "SQLSTATE" if code else "PostgreSQL" if isinstance(error, psycopg2.Error) else "DuckDB"
    text = f"{code or ''} {error}".lstrip()
    places = [n for n, row in enumerate(REFUSALS) if row.matches(source, text)]
    return next((n for n in places if REFUSALS[n].remedy == remedy), None)


@pytest.mark.parametrize(("error", "remedy"), SAMPLES, ids=lambda value: str(value)[:40])
def test_a_refusal_names_its_remedy(error: Exception, remedy: str) -> None:
    """One paragraph each; a value that a database quotes is left out, a file's name is not."""
    message, given = message_and_remedy(error)

    assert remedy in given
    assert "email" not in message
    assert ("/a/b.duckdb" in str(error)) == ("/a/b.duckdb" in message)


@pytest.mark.parametrize("address", ["mysql://loader:s3same@h/db?a=b", "psql://a:s3 @'me@h/d?a=b"])
def test_an_address_that_is_quoted_has_no_password(address: str) -> None:
    """What libpq can't read it repeats as a whole; user and password are left out."""
    with pytest.raises(psycopg2.Error) as caught:
        psycopg2.connect(address)
    message, _ = message_and_remedy(caught.value)

    assert "s3" in str(caught.value)
    assert "s3" not in message
    assert "me@" not in message


def test_each_row_of_the_table_has_a_sample() -> None:
    """A row that no sample reaches may be wrong, or stand behind one that takes its place."""
    reached = {row_of(error) for error, _ in SAMPLES}

    assert set(range(len(REFUSALS))) == reached - {None}


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (
            ConfigValueCannotBeCoercedException("workers", "many", int),
            "Configured value for field `workers` cannot be coerced into type `int`.",
        ),
        (
            TerminalValueError("Postgres doesn't support precision=9 for `created_date`"),
            "Postgres doesn't support precision=9 for `created_date`.",
        ),
    ],
)
def test_a_wrong_setting_or_hint(error: Exception, what: str) -> None:
    """Its first line, without the name of a class, and where to correct it."""
    converted = original_error(error)

    assert isinstance(converted, ConfigurationError)
    assert what == converted.what
    assert "Correct that setting or hint" in converted.remedy


def test_another_error_stays_what_it_is() -> None:
    """What is not about a setting is told as before; ours are found first."""
    other, ours = OSError("no"), SalesforceError("yes")

    assert other is original_error(other)
    assert ours is original_error(ours)
