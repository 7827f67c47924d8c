"""(d) The whole way against a hand-written floor, and the load alone by every file format.

The floor fetches the same records with ``requests``, COPYs them and inserts or updates: no columns
to decide on, no types to keep, no hash, no state, no check.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg2

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from tests.benchmarks import ready_made
from tests.benchmarks.command_line import Synced, sync
from tests.benchmarks.end_to_end import bare
from tests.benchmarks.retrieval import all_columns
from tests.benchmarks.served_org import ServedOrg
from tests.benchmarks.timed import ROOT, Ran, interleaved, median
from tests.benchmarks.timed import run as run_process
from tests.benchmarks.workbench import Workbench

SIZES = {(600_000, 817): 3, (100_000, 20_000): 3}
QUICK = {(5_000, 817): 1}
BY_ID = {"sf_contacts": "Contact", "sf_activities": "Task", "sf_users": "User"}
RELATIONS = ("sf_taskwhorelations", "TaskWhoRelation")
LATENCIES = ("none", "realistic")


def run(bench: Workbench) -> None:
    """Both comparisons, by size."""
    rows: list[list[object]] = []
    loads: list[list[object]] = []
    for (contacts, active), rounds in (QUICK if bench.quick else SIZES).items():
        if active > bench.largest:
            continue
        with bench.org(contacts, active) as org, bench.room() as room, bench.database() as held:
            sync(org, held, room)
            for latency in LATENCIES[: 1 if bench.quick else None]:
                rows += _against_the_floor(bench, org, room, held, latency, bench.rounds(rounds))
            loads += _by_format(bench, org, room, held, bench.rounds(rounds))
    bench.show(
        "the four tables from the org into PostgreSQL",
        ("active of contacts, latency", "rows", "ours s", "again s", "floor s", "again s",
         "ours ÷ floor", "again ÷ floor", "CPU ÷ floor", "floor: fetch", "csv", "copy", "insert"),
        rows,
    )  # fmt: skip
    bench.show(
        "ready-made Arrow tables into PostgreSQL, the second time over what is there",
        ("active of contacts, way", "first s", "again s", "rows/s", "÷ fastest", "RSS MB"),
        loads,
    )


def _against_the_floor(
    bench: Workbench, org: ServedOrg, room: Path, held: str, latency: str, rounds: int
) -> list[list[object]]:
    spec = room / "spec.json"
    spec.write_text(json.dumps(_spec(org, held)))

    def ours() -> tuple[Synced, Synced]:
        with bench.database() as database, bench.room() as folder:
            first = sync(org, database, folder, latency=latency)
            return first, sync(org, database, folder, latency=latency)

    def floor() -> tuple[Ran, Ran]:
        with bench.database() as database:
            _make_tables(held, database)
            return _floor(org, database, spec, latency), _floor(org, database, spec, latency)

    contenders: dict[str, Callable[[], Any]] = {"ours": ours, "floor": floor}
    runs = interleaved(rounds, contenders)
    first, repeat = (median([pair[at].ran.seconds for pair in runs["ours"]]) for at in (0, 1))
    least, least_again = (median([pair[at].seconds for pair in runs["floor"]]) for at in (0, 1))
    cpu = median([pair[0].ran.cpu_seconds for pair in runs["ours"]])
    least_cpu = median([pair[0].cpu_seconds for pair in runs["floor"]])
    steps = json.loads(runs["floor"][0][0].out)
    return [[
        f"{org.active:,} of {org.contacts:,}, {latency}", runs["ours"][0][0].rows,
        first, repeat, least, least_again, first / least, repeat / least_again, cpu / least_cpu,
        *(steps[name] for name in ("fetch", "csv", "copy", "insert")),
    ]]  # fmt: skip


def _floor(org: ServedOrg, database: str, spec: Path, latency: str) -> Ran:
    org.reset(latency)
    script = str(ROOT / "tests/benchmarks/floor.py")
    return run_process(
        [sys.executable, script, org.url, org.token, database, str(spec)], cwd=spec.parent
    )


def _spec(org: ServedOrg, held: str) -> list[dict[str, Any]]:
    """Return the floor's input: the ids that a sync found, and where each field goes."""
    client = SalesforceClient(SessionCredentials(instance_url=org.url, access_token=org.token))
    table, name = RELATIONS
    columns = all_columns(client, name)
    parts: list[dict[str, Any]] = [{
        "table": table, "key": "id", "fields": {c.field: c.stored for c in columns.items},
        "soql": f"SELECT {', '.join(columns.fields)} FROM {name}",
    }]  # fmt: skip
    with psycopg2.connect(held) as connection, connection.cursor() as cursor:
        for table, name in BY_ID.items():
            cursor.execute(f"SELECT id FROM salesforce.{table} ORDER BY id")
            parts.append({
                "table": table, "key": "id", "object": name,
                "fields": {c.field: c.stored for c in all_columns(client, name).items},
                "ids": [row[0] for row in cursor.fetchall()],
            })  # fmt: skip
    connection.close()
    client.close()
    return parts


def _make_tables(held: str, database: str) -> None:
    """Make the floor's empty tables, with the columns and unique keys that a sync made."""
    source, target = psycopg2.connect(held), psycopg2.connect(database)
    with target, target.cursor() as cursor, source.cursor() as known:
        cursor.execute("CREATE SCHEMA floor")
        for table in (RELATIONS[0], *BY_ID):
            known.execute(
                "SELECT string_agg(format('%%I %%s', attname,"
                " format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) FROM pg_attribute"
                " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                (f"salesforce.{table}",),
            )
            ((columns,),) = known.fetchall()
            cursor.execute(f"CREATE TABLE floor.{table} ({columns}, UNIQUE (id))")
    source.close()
    target.close()


def _by_format(
    bench: Workbench, org: ServedOrg, room: Path, held: str, rounds: int
) -> list[list[object]]:
    files = room / "files"
    files.mkdir()
    rows = sum(ready_made.dump(held, files).values())

    def twice(load: Callable[[str, Path], Ran]) -> Callable[[], tuple[Ran, Ran]]:
        def pair() -> tuple[Ran, Ran]:
            with bench.database() as database, bench.room() as folder:
                return load(database, folder), load(database, folder)

        return pair

    ways: Mapping[str, Callable[[str, Path], Ran]] = {
        "no dlt: COPY, ON CONFLICT": lambda db, folder: _raw(db, files, folder, "copy"),
        "no dlt: ADBC, ON CONFLICT": lambda db, folder: _raw(db, files, folder, "adbc"),
        "dlt, parquet by ADBC (ours)": lambda db, folder: bare(files, db, folder),
        "dlt, CSV": lambda db, folder: bare(files, db, folder, "csv"),
        "dlt, CSV packed (dlt's default)": lambda db, f: bare(files, db, f, "csv", "compressed"),
    }
    by_way = interleaved(rounds, {name: twice(load) for name, load in ways.items()})
    first = {name: median([pair[0].seconds for pair in runs]) for name, runs in by_way.items()}
    return [
        [
            f"{org.active:,} of {org.contacts:,}, {name}", first[name],
            median([pair[1].seconds for pair in runs]), rows / first[name],
            first[name] / min(first.values()), max(ran.rss_mb for pair in runs for ran in pair),
        ]
        for name, runs in by_way.items()
    ]  # fmt: skip


def _raw(database: str, files: Path, folder: Path, way: str) -> Ran:
    script = str(ROOT / "tests/benchmarks/raw_load.py")
    return run_process([sys.executable, script, database, str(files), way], cwd=folder)
