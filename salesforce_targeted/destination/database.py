"""Tell which database a pipeline loads into; refuse what can't be meant before anything is sent.

Rules:
- A DuckDB file is a catalog of its name's first word. Where a dataset has that name, in any case,
  each table is ambiguous, and dlt would find out after everything has been retrieved.
- A dataset whose staging dataset is the same schema would be emptied by each load.
- In a connection string an ``@`` that is not percent-encoded ends the password, and the rest of the
  password stands where host or database are expected: every later message would repeat it.
- Rows are sent as UTF-8, whatever the session takes them for: a server that converts them to
  another encoding, or from one, would hold other texts.

Source: PostgreSQL Documentation, "Connection URIs", "Character Set Support", "Identifiers and Key
Words" (63 bytes); DuckDB, "ATTACH" (the name of a database).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import dlt

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.destination.clients import client_of

# MERGE, which dlt's upsert is made of, came with this version.
OLDEST_POSTGRES = 150_000
# What libpq takes; anything else is to it a list of options, and its message repeats all of it.
_SCHEMES = {"postgresql", "postgres"}
# What no host's name holds, and the rest of an address where a database's name is expected.
_NO_HOST = re.compile(r"[@#%?\s]")
_ADDRESS = re.compile(r"@[^@/]*/")
# "md:mydb"; a drive of Windows has one letter.
_SCHEME = re.compile(r"([A-Za-z]\w+):")
# The quotes of KEY="value" that docker --env-file keeps, a piece of JSON, parameters of an address.
_NO_FILE = re.compile(r"""["'{?]""")
# Catalogs, which DuckDB takes a dataset of that name for. Source: DuckDB, "ATTACH".
_DUCKDBS_OWN = ("temp", "system")
_LONGEST_NAME = 63
_LAST_PORT = 65_535
_UNQUOTED = "-cquote_all_identifiers=off"
# Parameters of a connection string that are paths.
_PATHS = ("ssl", "pass", "service", "host", "krb")


def is_postgres(pipeline: dlt.Pipeline) -> bool:
    """Tell whether the pipeline loads into PostgreSQL."""
    return _destination_type(pipeline).endswith("postgres")


def is_duckdb(pipeline: dlt.Pipeline) -> bool:
    """Tell whether the pipeline loads into DuckDB."""
    return _destination_type(pipeline).endswith("duckdb")


def is_files(pipeline: dlt.Pipeline) -> bool:
    """Tell whether the pipeline loads into files, which SQL reads and does not update."""
    return _destination_type(pipeline).endswith("filesystem")


def check(pipeline: dlt.Pipeline, client: Any = None) -> None:
    """Resolve the destination's credentials and refuse those that can't work; connects to nothing.

    Args:
        client: dlt's client of the destination, where there is one: each resolves the whole
            configuration again.

    Raises:
        ConfigurationError: a setting is missing, the dataset has a name of the database's or the
            DuckDB file's, that is a folder or no file's name, the credentials are another
            database's, the staging dataset would be the dataset itself, or the connection string
            is another program's or holds a password that is not percent-encoded.
    """
    if not _destination_type(pipeline):
        return
    client = client or client_of(pipeline)  # dlt says which settings are missing
    if is_duckdb(pipeline):
        _check_dataset(client.sql_client, _DUCKDBS_OWN)
        _check_scheme(client.config.credentials)
        if file := _file(client.config.credentials):
            _check_file(file)
            _check_catalog(client.sql_client, file)
    elif is_postgres(pipeline):
        _check_dataset(client.sql_client, longest=_LONGEST_NAME)
        _check_address(client.config.credentials)


def check_server(connection: Any) -> None:
    """Refuse a PostgreSQL server or session that can't merge rows or would change their texts.

    Args:
        connection: psycopg2's; nothing is sent through it.

    Raises:
        ConfigurationError: the server is too old, or its encoding or the session's is not UTF-8.
    """
    version = connection.server_version
    if version < OLDEST_POSTGRES:
        raise ConfigurationError(
            f"PostgreSQL {version // 10_000} has no MERGE, with which rows are loaded",
            remedy="Use PostgreSQL 15 or newer.",
        )
    encoding = connection.get_parameter_status("server_encoding")
    if encoding not in {"UTF8", "SQL_ASCII", None}:  # None: a proxy that does not tell
        raise ConfigurationError(
            f"the database's encoding is {encoding}, which lacks characters that Salesforce has",
            remedy="Load into another: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.",
        )
    encoding = connection.get_parameter_status("client_encoding")
    if encoding not in {"UTF8", "UNICODE"}:
        raise ConfigurationError(
            f"the session's client_encoding is {encoding}, and rows are sent as UTF-8",
            remedy=(
                "End the connection string with ?client_encoding=utf8 (& where a ? is there): that"
                " wins over PGCLIENTENCODING and over what is SET for the database or the role."
            ),
        )


def prepare_session(client: Any) -> None:
    """Make a session of PostgreSQL tell rows and types alike, whatever is SET for the database.

    Source: PostgreSQL Documentation, "Statement Behavior" (extra_float_digits), "Version and
    Platform Compatibility" (quote_all_identifiers), "Environment Variables" (PGOPTIONS).
    """
    # All digits of a number; and no zone moves an instant beyond the years that Python has.
    settings = "SET extra_float_digits = 1; SET TIME ZONE 'UTC'"
    ((quoted,),) = client.execute_sql(
        f"{settings}; SELECT current_setting('quote_all_identifiers', true)"
    )
    if quoted != "on":
        return
    # Types by a quoted name are unknown to dlt and to the ADBC driver, which loads, in sessions of
    # its own: only the environment reaches these.
    client.execute_sql("SET quote_all_identifiers = off")
    options = os.environ.get("PGOPTIONS", "")
    if _UNQUOTED not in options:
        os.environ["PGOPTIONS"] = f"{options} {_UNQUOTED}".lstrip()


def duckdb_file(pipeline: dlt.Pipeline) -> Path | None:
    """Return the file of the pipeline's DuckDB database; None where this machine has none."""
    client: Any = client_of(pipeline) if is_duckdb(pipeline) else None
    return _file(client.config.credentials) if client else None


def _file(credentials: Any) -> Path | None:
    database = str(credentials.database)
    return None if database.startswith(":") else Path(database).absolute()


def _check_dataset(
    sql_client: Any, taken: Collection[str] = (), longest: int | None = None
) -> None:
    """Check a dataset's name.

    Args:
        longest: After so many bytes the database cuts a name, without an error.
    """
    name, staging = sql_client.dataset_name, sql_client.staging_dataset_name
    # Case does not count in DuckDB.
    stored = {dataset.casefold().encode()[:longest] for dataset in (name, staging)}
    if len(stored) == 1:
        raise ConfigurationError(
            f"the dataset {name} and its staging dataset {staging}, which each load empties, would"
            " be one",
            remedy="Choose a --dataset of fewer than 63 bytes, or another"
            " staging_dataset_name_layout.",
        )
    if name.casefold() in taken or name.casefold().startswith(("pg_", "information_schema")):
        raise ConfigurationError(
            f"the dataset can't be called {name}: such schemas are the database's own",
            remedy="Choose another --dataset.",
        )


def _check_file(file: Path) -> None:
    if file.is_dir():
        raise ConfigurationError(
            f"{file} is a folder, and a DuckDB database is a file",
            remedy="Name the file, too: DESTINATION__DUCKDB__CREDENTIALS=folder/name.duckdb.",
        )
    if _NO_FILE.search(file.name):
        raise ConfigurationError(
            f"the DuckDB file would be called {file.name}",
            remedy="Give its path without quotes and parameters:"
            " DESTINATION__DUCKDB__CREDENTIALS=folder/name.duckdb.",
        )


def _check_catalog(sql_client: Any, file: Path) -> None:
    catalog = file.name.lstrip(".").partition(".")[0]
    names = (sql_client.dataset_name, sql_client.staging_dataset_name)
    if catalog.casefold() in {name.casefold() for name in names}:
        raise ConfigurationError(
            f"the dataset and the DuckDB file {file.name} are both called {catalog}",
            remedy="Choose another --dataset, or another name for the file.",
        )


def _check_scheme(credentials: Any) -> None:
    """Refuse the address of another database: of its parts dlt would make a file's name."""
    scheme = _SCHEME.match(Path(str(credentials.database)).name)
    other = scheme[1] if scheme else credentials.drivername
    if other != "duckdb":
        raise ConfigurationError(
            f"the DuckDB credentials are an address of another kind ({other}:)",
            remedy="Set a path; or the address under [destination.<name>.credentials], and choose"
            " that destination: --destination motherduck, for example.",
        )


def _check_address(credentials: Any) -> None:
    if credentials.drivername not in _SCHEMES:
        raise ConfigurationError(
            f"the destination's connection string begins with {credentials.drivername}://",
            remedy="Write postgresql://, which is all that libpq takes.",
        )
    queries = {
        str(value)
        for name, value in (credentials.query or {}).items()
        if not name.startswith(_PATHS)
    }
    if _NO_HOST.search(credentials.host or "") or any(
        _ADDRESS.search(text) for text in (credentials.database or "", *queries)
    ):
        raise ConfigurationError(
            "the destination's connection string can't be read: its password seems to hold a"
            " character that must be percent-encoded",
            remedy=PERCENT_ENCODING,
        )
    ports = str((credentials.query or {}).get("port") or credentials.port)  # one for each host
    for port in filter(None, ports.split(",")):
        if not (port.isdecimal() and 0 < int(port) <= _LAST_PORT):
            raise ConfigurationError(
                f"the destination's connection string names the port {port}, which is none",
                remedy="Correct it in destination.postgres.credentials: ports go from 1 to 65535,"
                " and PostgreSQL's own is 5432.",
            )


PERCENT_ENCODING = (
    "In user and password write @ as %40, # as %23, / as %2F, ? as %3F, : as %3A and % as %25, or"
    " set the parts one by one: DESTINATION__POSTGRES__CREDENTIALS__PASSWORD, __USERNAME, __HOST,"
    " __PORT and __DATABASE."
)


def _destination_type(pipeline: dlt.Pipeline) -> str:
    destination: Any = pipeline.destination  # None where none is set, whatever dlt's type says
    return str(destination.destination_type) if destination is not None else ""
