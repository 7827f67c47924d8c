"""What a script that needs nothing of what a sync is for does: fetch, COPY, INSERT.

Run as a script: ``floor.py URL TOKEN DATABASE SPEC``. It is told every id beforehand, compares
nothing, checks nothing and keeps no state. SPEC is JSON: a list of ``table``, ``key``, ``fields``
(API name to column) and either ``object`` and ``ids`` (sObject Collections, four calls in flight)
or ``soql``. Prints its seconds by step as JSON.
"""

import csv
import io
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import psycopg2
import requests

Part = dict[str, Any]
Record = dict[str, Any]

VERSION = "v64.0"
PER_CALL = 2_000
IN_FLIGHT = 4

url, token, database, spec = sys.argv[1:]
session = requests.Session()
session.trust_env = False
session.headers["Authorization"] = f"Bearer {token}"
session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=IN_FLIGHT))
seconds: defaultdict[str, float] = defaultdict(float)


def collections(part: Part, ids: list[str]) -> list[Record]:
    address = f"{url}/services/data/{VERSION}/composite/sobjects/{part['object']}"
    body = orjson.dumps({"ids": ids, "fields": list(part["fields"])})
    headers = {"Content-Type": "application/json"}
    return [r for r in orjson.loads(session.post(address, body, headers=headers).content) if r]


def query(soql: str) -> Iterator[list[Record]]:
    address = f"{url}/services/data/{VERSION}/query"
    page = orjson.loads(session.get(address, params={"q": soql}).content)
    yield page["records"]
    while not page["done"]:
        page = orjson.loads(session.get(url + page["nextRecordsUrl"]).content)
        yield page["records"]


def answers(part: Part) -> Iterable[list[Record]]:
    if "soql" in part:
        return query(part["soql"])
    ids = part["ids"]
    starts = range(0, len(ids), PER_CALL)
    return pool.map(lambda at: collections(part, ids[at : at + PER_CALL]), starts)


def load(cursor: Any, part: Part, records: list[Record]) -> None:
    table, fields = part["table"], part["fields"]
    names = ", ".join(f'"{name}"' for name in fields.values())
    begun = time.perf_counter()
    file = io.StringIO()
    csv.writer(file).writerows([record[field] for field in fields] for record in records)
    # The demo org has one hostile contact; PostgreSQL refuses NUL.
    file = io.StringIO(file.getvalue().replace("\0", ""))
    written = time.perf_counter()
    cursor.execute(f"CREATE TEMP TABLE stage (LIKE floor.{table})")
    cursor.copy_expert(f"COPY stage ({names}) FROM STDIN (FORMAT csv)", file)
    copied = time.perf_counter()
    sets = ", ".join(f'"{name}" = excluded."{name}"' for name in fields.values())
    cursor.execute(
        f"INSERT INTO floor.{table} ({names}) SELECT {names} FROM stage"
        f" ON CONFLICT ({part['key']}) DO UPDATE SET {sets}"
    )
    cursor.execute("DROP TABLE stage")
    seconds["csv"] += written - begun
    seconds["copy"] += copied - written
    seconds["insert"] += time.perf_counter() - copied


with ThreadPoolExecutor(IN_FLIGHT) as pool:
    connection = psycopg2.connect(database)
    with connection, connection.cursor() as cursor:
        for part in json.loads(Path(spec).read_text()):
            begun = time.perf_counter()
            records = list(chain.from_iterable(answers(part)))
            seconds["fetch"] += time.perf_counter() - begun
            load(cursor, part, records)
            seconds["rows"] += len(records)
    connection.close()
print(json.dumps(seconds))
