"""What the tests of relations have in common: the org's own relations, and what was read of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.arrow.batch import Batch
from salesforce_targeted.arrow.columns import Columns, columns
from salesforce_targeted.arrow.id_counts import IdCounts
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.relations import queries
from salesforce_targeted.target import SHARED_ACTIVITIES, TASK_WHO_ID, Junction
from tests.support.fields import normalize

FIELDS = ["Id", "RelationId", "TaskId", "Type", "SystemModstamp"]
JUNCTIONS = pytest.mark.parametrize(
    "junction", [SHARED_ACTIVITIES, TASK_WHO_ID], ids=["shared", "who_id"]
)


def shown(org: DemoOrg, junction: Junction) -> dict[str, dict[str, str | None]]:
    """Return the relations as the org shows them, by id, made here of its rows."""
    rows = org.rows(junction.object_name)
    if junction is SHARED_ACTIVITIES:
        return {id_: {name: row[name] for name in FIELDS} for id_, row in rows.items()}
    kinds = {"003": "Contact", "00Q": "Lead"}
    return {
        id_: {
            "Id": id_, "TaskId": id_, "RelationId": row["WhoId"],
            "Type": kinds[row["WhoId"][:3]], "SystemModstamp": row["SystemModstamp"],
        }
        for id_, row in rows.items() if row["WhoId"]
    }  # fmt: skip


def columns_in(org: DemoOrg, junction: Junction = SHARED_ACTIVITIES) -> Columns:
    """Return the columns of relations, as a run makes them of what the org describes."""
    described = {"name": junction.object_name, "fields": org.fields(junction.object_name)}
    if junction is TASK_WHO_ID:
        described = queries.describe_of_task_relations(described)
    return columns(described, normalize=normalize)


def rows_in(batches: Iterable[Batch]) -> list[dict[str, Any]]:
    """Return the rows of some batches with the values of FIELDS, as Salesforce spells them."""
    return [
        {"Id": row["id"], "SystemModstamp": _as_salesforce(row["SystemModstamp"])}
        | {name: row[name] for name in ("RelationId", "TaskId", "Type")}
        for batch in batches
        for row in batch.table.to_pylist()
    ]


def _as_salesforce(stamp: datetime) -> str:
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{stamp.microsecond // 1000:03}+0000"


def counts_in(discovered: tuple[IdCounts, str | None]) -> list[tuple[str, int]]:
    """Ids and numbers of discovery that came to its end, in the order of ids."""
    counts, last = discovered
    assert last is None
    return [(row["id"], row["count"]) for row in counts.table().to_pylist()]


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")


def stamps(rows: dict[str, dict[str, str | None]]) -> list[str]:
    """Return the rows' stamps, ascending."""
    return sorted(str(row["SystemModstamp"]) for row in rows.values())


def groups_of(client: SalesforceClient, per_call: int) -> SalesforceClient:
    """Return the client, as if Salesforce answered so many groups a call."""
    client.limits = replace(client.limits, groups_per_query=per_call)
    return client


def pages_of(client: SalesforceClient, rows: int) -> SalesforceClient:
    """Return the client, as if Salesforce answered so many rows a page."""
    client.limits = replace(client.limits, rows_per_query_page=rows)
    return client
