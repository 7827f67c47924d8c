"""``--test``: is everything in place? Each check says what it found, and the remedy."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import dlt

from salesforce_targeted import relations
from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.held import CONTACTS, RELATIONS, Held
from salesforce_targeted.run import Run
from salesforce_targeted.run_lock import OLDEST_POSTGRES

# MERGE, which dlt's upsert is made of, came with this version.


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checklist."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    seconds: float = 0.0


def checks(run: Run, pipeline: dlt.Pipeline) -> dict[str, Any]:
    """Run the checklist; a check that needs a failed one is left out.

    Returns:
        The report of mode ``test``: ``status`` ``done`` or ``failed``, and ``checks``.
    """
    found = [_checked("sign-in", lambda: f"as {run.client.instance_url}")]
    if found[0].ok:
        found += [
            _checked("API version", lambda: _version(run)),
            *(
                _checked(name, lambda name=name: _object(run, name))  # type: ignore[misc]
                for name in ("Contact", "Task", "User")
            ),
            _checked("Shared Activities", lambda: _shared_activities(run)),
            _checked("relations", lambda: _relations(run)),
            _checked("API calls left", lambda: f"{run.client.remaining:,}"),
        ]
    found += [
        _checked("destination", lambda: _destination(pipeline)),
        _checked("dataset", lambda: _dataset(pipeline)),
    ]
    return {
        "status": "done" if all(check.ok for check in found) else "failed",
        "mode": "test",
        "checks": [asdict(check) for check in found],
        "calls": {"total": run.client.calls.total, "by_kind": dict(run.client.calls.by_kind)},
        "warnings": list(run.ledger.warnings),
    }


def checks_text(facts: Mapping[str, Any]) -> str:
    """The checklist for a terminal."""
    lines = []
    for check in facts["checks"]:
        mark = "ok  " if check["ok"] else "FAIL"
        lines.append(f"{mark} {check['name']:<18} {check['detail']}  ({check['seconds']:.2f} s)")
        if check["remedy"] and not check["ok"]:
            lines.append(f"     -> {check['remedy']}")
    return "\n".join([*lines, *(f"warning: {warning}" for warning in facts["warnings"])])


def _checked(name: str, look: Callable[[], str]) -> Check:
    begun = time.monotonic()
    try:
        detail, ok, remedy = look(), True, ""
    except SalesforceError as error:
        detail, ok, remedy = str(error), False, error.remedy
    # Whatever a database's driver raises is a line of the checklist, never its end.
    except Exception as error:  # noqa: BLE001
        text = str(error).strip() or type(error).__name__
        detail, ok = text.splitlines()[0], False
        remedy = "Check the destination's credentials, address and permissions."
    return Check(name, ok, detail, remedy, round(time.monotonic() - begun, 3))


def _version(run: Run) -> str:
    versions = run.client.versions()
    if run.client.version not in versions:
        raise SalesforceError(
            f"the org does not serve API version {run.client.version}, only {versions[-1:]}",
            remedy="The library is too old for this org: upgrade it.",
        )
    return f"{run.client.version} (the org serves up to {versions[-1]})"


def _object(run: Run, name: str) -> str:
    return f"{len(run.describe(name)['fields'])} fields visible"


def _shared_activities(run: Run) -> str:
    if run.junction is relations.SHARED_ACTIVITIES:
        return "on: TaskWhoRelation is read"
    return "off: each task's own WhoId is read"


def _relations(run: Run) -> str:
    return f"{relations.count(run.client, run.junction):,} visible to our user"


def _destination(pipeline: dlt.Pipeline) -> str:
    name = str(pipeline.destination.destination_name)
    with pipeline.sql_client() as client:
        if pipeline.destination.destination_type.endswith("postgres"):
            server = int(client.execute_sql("SHOW server_version_num")[0][0])  # type: ignore[index]
            if server < OLDEST_POSTGRES:
                raise SalesforceError(
                    f"PostgreSQL {server // 10_000} has no MERGE",
                    remedy="Use PostgreSQL 15 or newer.",
                )
            may = client.execute_sql("SELECT has_database_privilege(current_database(), 'CREATE')")
            if not client.has_dataset() and not (may and may[0][0]):
                raise SalesforceError(
                    f"the user may not create schema {pipeline.dataset_name!r}",
                    remedy="GRANT CREATE ON DATABASE … TO …, or create the schema for the user.",
                )
            return f"{name}: PostgreSQL {server // 10_000}, reachable"
        client.execute_sql("SELECT 1")
    return f"{name}: reachable"


def _dataset(pipeline: dlt.Pipeline) -> str:
    with Held.of(pipeline) as held:
        contacts, of_relations = held.count(CONTACTS), held.count(RELATIONS)
    if not contacts and not of_relations:
        return f"{pipeline.dataset_name}: empty, the first run reads everything"
    return f"{pipeline.dataset_name}: {contacts:,} contacts, {of_relations:,} relations held"
