"""(c) Records into Arrow: rows per second, against the parsers alone and other ways to a table.

What the others leave out: the described types (they guess), empty texts as null, NUL characters,
values that don't fit, and the row hash.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import orjson
import pyarrow as pa
import requests
from pyarrow import csv as pa_csv
from pyarrow import json as pa_json

from salesforce_targeted.api import bulk_job, json_lines, models, soql
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.arrow.batch import add_row_hash
from salesforce_targeted.arrow.columns import ROW_HASH, Columns
from salesforce_targeted.arrow.from_csv import csv_texts, from_csv
from salesforce_targeted.arrow.from_json import from_json, from_records
from tests.benchmarks.retrieval import all_columns
from tests.benchmarks.served_org import ServedOrg
from tests.benchmarks.timed import interleaved, median, seconds_of
from tests.benchmarks.workbench import Workbench

ROWS = 20_000
QUICK_ROWS = 4_000
PER_ANSWER = 2_000

T = TypeVar("T")


def run(bench: Workbench) -> None:
    """Time the same contacts as a response of Collections and as a page of Bulk results."""
    rows = QUICK_ROWS if bench.quick else ROWS
    with bench.org(rows, rows) as org:
        client = SalesforceClient(SessionCredentials(instance_url=org.url, access_token=org.token))
        columns = all_columns(client)
        answers = _answers(org, client, columns)
        statement = soql.select(columns.fields, "Contact")
        job = bulk_job.job_of(client, statement)
        (page,) = bulk_job.results_as(client, job, lambda body: (rows, body))
        client.close()
    _show(bench, "JSON to Arrow", _of_json(answers, columns), rows, sum(map(len, answers)))
    _show(bench, "CSV to Arrow", _of_csv(page, columns), rows, len(page))


def _answers(org: ServedOrg, client: SalesforceClient, columns: Columns) -> list[bytes]:
    ids = org.ids()
    url = f"{org.url}/services/data/v{client.version}/composite/sobjects/Contact"
    return [
        requests.post(
            url,
            json={"ids": ids[start : start + PER_ANSWER], "fields": columns.fields},
            headers={"Authorization": f"Bearer {org.token}"},
            timeout=60,
        ).content
        for start in range(0, len(ids), PER_ANSWER)
    ]


def _of_json(answers: list[bytes], columns: Columns) -> Mapping[str, Callable[[], object]]:
    parsed = [orjson.loads(answer) for answer in answers]
    lines = [b"\n".join(map(orjson.dumps, records)) for records in parsed]
    tables = [from_records(records, columns).table.drop([ROW_HASH]) for records in parsed]

    def each(what: Callable[[T], object], over: Sequence[T]) -> Callable[[], None]:
        def all_of_them() -> None:
            for part in over:
                what(part)  # and let go, as a sync does: a million dicts kept slow every collector

        return all_of_them

    return {
        "from_json (ours)": each(lambda answer: _ours(answer, columns), answers),
        "orjson + from_records (ours, where that can't)": each(
            lambda answer: from_records(orjson.loads(answer), columns), answers
        ),
        "  of which add_row_hash": each(add_row_hash, tables),
        "json.loads alone": each(json.loads, answers),
        "orjson.loads alone": each(orjson.loads, answers),
        "orjson + Table.from_pylist, types guessed": each(
            lambda answer: pa.Table.from_pylist(orjson.loads(answer)), answers
        ),
        "pyarrow.json, types guessed, from lines": each(
            lambda text: pa_json.read_json(
                pa.BufferReader(text), pa_json.ReadOptions(block_size=len(text) + 1)
            ),
            lines,
        ),
    }


def _ours(answer: bytes, columns: Columns) -> object:
    return from_json(
        json_lines.raw_collection(models.Response(200, {}, answer), PER_ANSWER), columns
    )


def _of_csv(page: bytes, columns: Columns) -> Mapping[str, Callable[[], object]]:
    table = from_csv(csv_texts(page, columns), columns).table.drop([ROW_HASH])
    text = page.decode()
    quoted = pa_csv.ParseOptions(newlines_in_values=True)
    strings = pa_csv.ConvertOptions(column_types=dict.fromkeys(columns.fields, pa.string()))
    types = pa_csv.ConvertOptions(
        column_types={column.field: column.wire_type for column in columns.items
                      if not pa.types.is_time(column.wire_type)},
    )  # fmt: skip
    return {
        "from_csv (ours)": lambda: from_csv(csv_texts(page, columns), columns),
        "  of which add_row_hash": lambda: add_row_hash(table),
        "csv.reader alone": lambda: list(csv.reader(io.StringIO(text))),
        "pyarrow.csv, all texts": lambda: pa_csv.read_csv(
            pa.BufferReader(page), parse_options=quoted, convert_options=strings
        ),
        "pyarrow.csv, described types": lambda: pa_csv.read_csv(
            pa.BufferReader(page), parse_options=quoted, convert_options=types
        ),
        "pyarrow.csv, types guessed": lambda: pa_csv.read_csv(
            pa.BufferReader(page), parse_options=quoted
        ),
    }


def _show(
    bench: Workbench, title: str, ways: Mapping[str, Callable[[], object]], rows: int, size: int
) -> None:
    timed = interleaved(bench.rounds(5), {name: _timer(what) for name, what in ways.items()})
    wall = {name: median([run[0] for run in runs]) for name, runs in timed.items()}
    cpu = {name: median([run[1] for run in runs]) for name, runs in timed.items()}
    ours = next(iter(cpu.values()))
    bench.show(
        f"{title}: {rows:,} contacts, {size / 1e6:.0f} MB",
        ("way", "s", "CPU s", "rows/CPU s", "MB/CPU s", "ours ÷ it"),
        [(name, wall[name], s, rows / s, size / 1e6 / s, ours / s) for name, s in cpu.items()],
    )


def _timer(what: Callable[[], object]) -> Callable[[], tuple[float, float]]:
    return lambda: seconds_of(what)
