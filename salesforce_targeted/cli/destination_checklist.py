"""Check the destination and the disk for ``--test``; leave nothing behind.

Whether a database may be written is tried: a table is made in it and filled, in a transaction that
is rolled back. Source: PostgreSQL Documentation, "CREATE TABLE"; DuckDB, "Transactions" (both undo
what was created).
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import dlt
from dlt.destinations.sql_client import SqlClientBase
from rich.filesize import decimal

from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.destination import catalog
from salesforce_targeted.destination.database import check_server, duckdb_file, is_postgres
from salesforce_targeted.destination.errors import ROW_SECURITY
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.org_identity import Org, held_org
from salesforce_targeted.destination.table_names import CONTACTS, RELATIONS, SCHEMA_NAME, SYNC_RUNS
from salesforce_targeted.extract.org_changes import OtherOrgError
from salesforce_targeted.sync import configuration

# A first load of 100,000 contacts is about so many bytes in dlt's folder.
_TIGHT_BYTES = 500 * 1024**2
_FULL_BYTES = 20 * 1024**2


class Finding(NamedTuple):
    """Hold what a check found, where it is worth a note although nothing has to be fixed."""

    detail: str
    remedy: str = ""


Look = Callable[[], str | Finding]


class _UndoneError(Exception):
    """End a transaction that was only a trial."""


def destination_checks(pipeline: dlt.Pipeline, org: Org | None) -> Iterator[tuple[str, Look]]:
    """List the checks in order; without a destination neither its rights nor its rows.

    Args:
        org: The org of the session; None where signing in failed.
    """
    reached: list[str] = []

    def reach() -> str:
        reached.append(_reachable(pipeline))
        return reached[0]

    yield "destination", reach
    if reached:
        yield "writable", lambda: _writable(pipeline)
        yield "dataset", lambda: _dataset(pipeline, org)
        if is_postgres(pipeline):
            yield "indexes", lambda: _indexes(pipeline)
    yield "disk", lambda: _disk(pipeline)


def _reachable(pipeline: dlt.Pipeline) -> str:
    name, file = str(pipeline.destination.destination_name), duckdb_file(pipeline)
    if file is not None and not file.exists():
        return f"{name}: {file.name}, which the first run makes"
    with pipeline.sql_client() as client:
        if is_postgres(pipeline):
            connection = client.native_connection
            check_server(connection)
            of: Any = pipeline.destination_client().config.credentials
            name += f": PostgreSQL {connection.server_version // 10_000}, {of.database}"
            name += f" at {of.host}" if of.host else ""
        elif file is not None:
            name += f": {file.name}"
        client.execute_sql("SELECT 1")
    return f"{name}, reachable"


def _writable(pipeline: dlt.Pipeline) -> str | Finding:
    file = duckdb_file(pipeline)
    if file is not None and not file.exists():
        folder = _existing(file.parent)
        with tempfile.TemporaryFile(dir=folder):
            return f"yes: a file can be made in {_short(folder)}"
    if file is None and not is_postgres(pipeline):
        return Finding("not tried: this kind of destination could not undo it")
    hidden: Any = ()
    with pipeline.sql_client() as client, suppress(_UndoneError), client.begin_transaction():
        if is_postgres(pipeline):
            client.execute_sql("SET LOCAL lock_timeout = '5s'")
        datasets = [_try_schema(client, staging) for staging in (False, True)]
        if is_postgres(pipeline):  # some rows of which may be hidden from this role
            hidden = client.execute_sql(_ROW_SECURITY_ON, client.fully_qualified_dataset_name())
        raise _UndoneError
    tried = f"yes: tried in {' and '.join(datasets)}, and undone"
    if hidden:
        on = f"policies of row security are on {', '.join(table for (table,) in hidden)}"
        return Finding(f"{tried}; {on}", ROW_SECURITY)
    return tried


def _try_schema(client: SqlClientBase[Any], staging: bool) -> str:
    """Make and fill a table in the dataset or in its staging dataset, which may not exist yet."""
    dataset = client.fully_qualified_dataset_name(staging=staging)
    name = client.fully_qualified_dataset_name(staging=staging, quote=False).rpartition(".")[2]
    with client.with_alternative_dataset_name(name):
        # Not IF NOT EXISTS: PostgreSQL asks for the right to create one that is there, too.
        if not client.has_dataset():
            client.execute_sql(f"CREATE SCHEMA {dataset}")
    table = f"{dataset}.{client.escape_column_name(f'trial_{uuid.uuid4().hex}')}"
    client.execute_sql(f"CREATE TABLE {table} (id VARCHAR PRIMARY KEY)")
    client.execute_sql(f"INSERT INTO {table} VALUES ('1')")  # noqa: S608
    return name


def _dataset(pipeline: dlt.Pipeline, org: Org | None) -> str | Finding:
    name, file = pipeline.dataset_name, duckdb_file(pipeline)
    if file is not None and not file.exists():
        return f"{name}: empty, the first run reads everything"
    if pipeline.default_schema_name is None:
        pipeline.sync_destination()  # a new working folder: what the dataset says of itself
    with HeldTables.of(pipeline) as held:
        contacts, relations = held.count(CONTACTS), held.count(RELATIONS)
        if not contacts and not relations:
            return f"{name}: empty, the first run reads everything"
        rows = f"{contacts:,} contacts, {relations:,} relations"
        last, sources = _last_run(held), pipeline.state.get("sources", {})
        state: Any = dict(sources).get(SCHEMA_NAME, {})
        of = held_org(state) if state.get("held_in") == held.location else None
    if of and org and org.is_another_than(of):
        raise OtherOrgError(
            f"{name} holds {rows} of the org {of}, and the credentials are those of {org}"
        )
    return f"{name}: {f'of {of}, ' if of else ''}{rows}; {last}"


def _indexes(pipeline: dlt.Pipeline) -> str | Finding:
    if not configuration.settings().indexes:
        return "switched off (indexes = false)"
    if pipeline.default_schema_name is None:
        return "the first run makes them"
    if missing := catalog.missing_rights(pipeline):
        return Finding(missing, _OWNER)
    return "they and the comments are there, or the next run makes them"


def _last_run(held: HeldTables) -> str:
    columns = [held.name(name) for name in ("started_at", "mode", "status")]
    for at, mode, status in held.rows(SYNC_RUNS, columns, newest=(held.name("run_id"), 1)):
        return f"last run {at:%Y-%m-%d %H:%M}, {mode}: {status}"
    return "no run is recorded"


def _disk(pipeline: dlt.Pipeline) -> str | Finding:
    folders = {Path(pipeline.working_dir)}
    if (file := duckdb_file(pipeline)) is not None:
        folders.add(_existing(file.parent))
    for folder in folders:
        try:
            with tempfile.TemporaryFile(dir=folder) as trial:
                trial.write(b"x" * 4096)
                trial.flush()
        except OSError as error:
            raise SalesforceError(
                f"nothing can be written in {_short(folder)}: {error.strerror}", remedy=_ROOM
            ) from None
    free, folder = min((shutil.disk_usage(folder).free, folder) for folder in folders)
    room = f"{decimal(free)} free in {_short(folder)}"
    if free < _FULL_BYTES:
        raise SalesforceError(f"only {room}", remedy=_ROOM)
    return (
        Finding(room, f"A large first load may need more. {_ROOM}") if free < _TIGHT_BYTES else room
    )


_ROW_SECURITY_ON = """
    SELECT relname FROM pg_class c
    WHERE relnamespace = to_regnamespace(%s) AND row_security_active(c.oid)
      AND NOT EXISTS (
        SELECT 1 FROM pg_policy WHERE polrelid = c.oid AND pg_get_expr(polqual, polrelid) = 'true')
    ORDER BY relname
"""
_OWNER = (
    "Loading does not need it. ALTER TABLE … OWNER TO that role and GRANT it CREATE on the schema,"
    " or set indexes = false."
)
_ROOM = (
    "Make room, or work elsewhere: --pipelines-dir (or DLT_DATA_DIR), and another folder to run in."
)


def _existing(folder: Path) -> Path:
    """Find the folder, or the one in which the first run makes it."""
    return next(parent for parent in (folder, *folder.parents) if parent.is_dir())


def _short(folder: Path) -> str:
    """Write a folder as its owner would."""
    home = Path.home()
    return f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)
