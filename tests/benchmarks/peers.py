"""(e) The same contacts by other tools that PyPI has, each in an environment of its own.

Kind to them: airbyte and the tap stop at a file of JSON, which is not loaded yet; their
catalogues were discovered before the clock started; singer's Bulk 1.0 and Meltano's tap are left
out, for the demo org does not model the former and PyPI does not have the latter.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.command_line import sync
from tests.benchmarks.environments import python_of
from tests.benchmarks.served_org import Counted, ServedOrg
from tests.benchmarks.timed import Ran, interleaved, median
from tests.benchmarks.timed import run as run_process
from tests.benchmarks.workbench import Workbench

PROGRAMS = Path(__file__).parent / "peer_programs"
REQUIREMENTS = {
    "airbyte": ["airbyte-source-salesforce==2.10.3"],
    "singer": ["tap-salesforce==2.8.1"],
    "simple": ["simple-salesforce==1.12.10", "psycopg2-binary"],
}
SIZES = {(20_000, 20_000): 3, (20_000, 817): 3}
QUICK = {(3_000, 817): 1}
SLOW_TO_INSTALL = {"airbyte"}


@dataclass(frozen=True)
class Moved:
    """A run of anybody's: how many contacts came out of the org, and at what cost."""

    ran: Ran
    contacts: int
    counted: Counted


Contender = Callable[[], Moved]


def run(bench: Workbench) -> None:
    """Make the environments, then let everybody take turns."""
    pythons = {name: _python(bench, name) for name in REQUIREMENTS}
    rows: list[list[object]] = []
    for (contacts, active), rounds in (QUICK if bench.quick else SIZES).items():
        if active > bench.largest:
            continue
        with bench.org(contacts, active) as org, bench.room() as room:
            rows += _of_size(bench, org, room, pythons, bench.rounds(rounds))
    bench.show(
        "contacts with all fields out of one org, at zero latency but where it says realistic",
        ("active of contacts, tool → where to", "s", "contacts moved", "moved/s", "wanted/s",
         "calls", "CPU s", "RSS MB", "s ÷ our four tables"),
        rows,
    )  # fmt: skip
    bench.say(
        "moved: contacts that left the org; wanted: the active ones among them. Our four tables"
        " are relations, contacts, tasks and users."
    )


def _of_size(
    bench: Workbench, org: ServedOrg, room: Path, pythons: dict[str, Path | None], rounds: int
) -> list[list[object]]:
    contenders: dict[str, Contender] = {
        "ours, four tables → PostgreSQL": lambda: _ours(bench, org),
        "ours, --only contact → PostgreSQL": lambda: _ours(bench, org, "--only", "contact"),
        "ours, --only contact, realistic → PostgreSQL": lambda: _ours(
            bench, org, "--only", "contact", latency="realistic"
        ),
    }
    if python := pythons["simple"]:
        ids = room / "ids.json"
        ids.write_text(json.dumps(org.ids()))
        contenders["simple-salesforce, all → PostgreSQL"] = _simple(bench, org, python)
        contenders["simple-salesforce, all, realistic → PostgreSQL"] = _simple(
            bench, org, python, latency="realistic"
        )
        contenders["simple-salesforce, IN × 400 → PostgreSQL"] = _simple(bench, org, python, ids)
    for name, make in (("airbyte", _airbyte), ("singer", _singer)):
        if python := pythons[name]:
            try:
                contenders |= make(org, room, python)
            except RuntimeError as error:
                bench.say(f"{name} is left out: {error}")
    by_name = interleaved(rounds, contenders)
    seconds = {name: median([r.ran.seconds for r in runs]) for name, runs in by_name.items()}
    ours = next(iter(seconds.values()))
    rows: list[list[object]] = []
    for name, runs in by_name.items():
        run = runs[0]
        rows.append([
            f"{org.active:,} of {org.contacts:,}, {name}", seconds[name], run.contacts,
            run.contacts / seconds[name], min(org.active, run.contacts) / seconds[name],
            run.counted.calls, median([r.ran.cpu_seconds for r in runs]), max(r.ran.rss_mb for r in runs), seconds[name] / ours,
        ])  # fmt: skip
    return rows


def _python(bench: Workbench, name: str) -> Path | None:
    if bench.quick and name in SLOW_TO_INSTALL:
        bench.say(f"{name} is left out of a quick run: its environment takes a minute to make")
        return None
    return python_of(bench.say, name, REQUIREMENTS[name])


def _ours(bench: Workbench, org: ServedOrg, *argv: str, latency: str = "none") -> Moved:
    with bench.database() as database, bench.room() as folder:
        done = sync(org, database, folder, *argv, latency=latency)
        return Moved(done.ran, done.facts["contacts"]["retrieved"], done.counted)


def _simple(
    bench: Workbench,
    org: ServedOrg,
    python: Path,
    ids: Path | None = None,
    *,
    latency: str = "none",
) -> Contender:
    def moved() -> Moved:
        org.reset(latency)
        with ExitStack() as stack:
            database = stack.enter_context(bench.database())
            folder = stack.enter_context(bench.room())
            argv = [
                str(python),
                str(PROGRAMS / "use_simple_salesforce.py"),
                org.url,
                org.token,
                database,
            ]
            ran = run_process([*argv, *([str(ids)] if ids else [])], cwd=folder, library=False)
        return Moved(ran, int(ran.out), org.counted())

    return moved


def _airbyte(org: ServedOrg, room: Path, python: Path) -> dict[str, Contender]:
    """Return the contenders: the connector as it is by default, and set to use Bulk."""
    contenders: dict[str, Contender] = {}
    start = [str(python), str(PROGRAMS / "start_airbyte.py"), org.url, org.token]
    for name, bulk in (("airbyte, REST → a file", False), ("airbyte, Bulk → a file", True)):
        config, catalogue = room / f"airbyte-{bulk}.json", room / f"airbyte-catalogue-{bulk}.json"
        config.write_text(json.dumps({
            "client_id": "x", "client_secret": "x", "refresh_token": "x",
            # Without it the connector leaves out what is older than two years.
            "start_date": "2015-01-01T00:00:00Z", "force_use_bulk_api": bulk,
            "streams_criteria": [{"criteria": "exacts", "value": "Contact"}],
        }))  # fmt: skip
        ran = run_process([*start, "discover", "--config", str(config)], cwd=room, library=False)
        messages = [json.loads(line) for line in ran.out.splitlines() if line.startswith(b"{")]
        streams = next(m["catalog"]["streams"] for m in messages if m["type"] == "CATALOG")
        stream = next(s for s in streams if s["name"] == "Contact")
        catalogue.write_text(json.dumps({"streams": [{
            "stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite",
        }]}))  # fmt: skip
        argv = [*start, "read", "--config", str(config), "--catalog", str(catalogue)]
        contenders[name] = _messages(org, argv, room, b'"type":"RECORD"')
    return contenders


def _singer(org: ServedOrg, room: Path, python: Path) -> dict[str, Contender]:
    config, catalogue = room / "singer.json", room / "singer-catalogue.json"
    config.write_text(json.dumps({
        "client_id": "x", "client_secret": "x", "refresh_token": "x", "api_type": "REST",
        "start_date": "2015-01-01T00:00:00Z", "select_fields_by_default": "true",
    }))  # fmt: skip
    start = [
        str(python),
        str(PROGRAMS / "start_tap.py"),
        org.url,
        org.token,
        "--config",
        str(config),
    ]
    ran = run_process([*start, "--discover"], cwd=room, library=False)
    catalog: dict[str, Any] = json.loads(ran.out)
    stream = next(s for s in catalog["streams"] if s["stream"] == "Contact")
    for entry in stream["metadata"]:
        if not entry["breadcrumb"]:
            entry["metadata"]["selected"] = True
    catalogue.write_text(json.dumps({"streams": [stream]}))
    argv = [*start, "--properties", str(catalogue)]
    return {"tap-salesforce, REST → a file": _messages(org, argv, room, b'"type": "RECORD"')}


def _messages(org: ServedOrg, argv: list[str], room: Path, record: bytes) -> Contender:
    def moved() -> Moved:
        org.reset()
        ran = run_process(argv, cwd=room, library=False)
        return Moved(ran, ran.out.count(record), org.counted())

    return moved
