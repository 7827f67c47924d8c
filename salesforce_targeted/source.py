"""State the problem: contacts that a logged activity points at, with their tasks and users.

What each resource yields, and the order in which a run goes, is in ``extract.stages``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional

import dlt
from dlt.sources import DltResource

from salesforce_targeted.api.credentials import SalesforceCredentials
from salesforce_targeted.destination.table_names import CONTACTS, RELATIONS, TASKS, USERS
from salesforce_targeted.extract import resources
from salesforce_targeted.extract.resource_feed import Extractions
from salesforce_targeted.extract.stages import TASK, USER
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.settings import Scope, Settings


@dlt.source(name="salesforce_targeted", max_table_nesting=0)
def salesforce_targeted(
    credentials: SalesforceCredentials = dlt.secrets.value,
    since: Optional[str] = None,
    fields: Optional[list[str]] = None,
    refresh_call_budget: int = 100,
    full_refresh_days: int = 7,
    daily_call_reserve: float = 0.1,
    calls_per_run: Optional[int] = None,
    api: Optional[str] = None,
    api_version: Optional[str] = None,
    id_column: str = "id",
    indexes: bool = True,
    scope: Optional[Scope] = None,
    ledger: Optional[Ledger] = None,
) -> Iterable[DltResource]:
    """Sync contacts with logged activities, the relations and tasks that make them so, and users.

    Args:
        credentials (SalesforceCredentials): Any way in ``.dlt/secrets.toml.example``.
        since (Optional[str]): Relations before this date don't count. None: all do.
        fields (Optional[list[str]]): API names of the Contact fields to take. None: all.
        refresh_call_budget (int): Up to so many calls everything held is read again each run.
        full_refresh_days (int): Beyond that budget, a whole pass follows every so many days.
        daily_call_reserve (float): Share of the org's daily calls that is left to others.
        calls_per_run (Optional[int]): A run spends no more calls than this. None: no bound.
        api (Optional[str]): Force "collections", "composite", "query" or "bulk"; the rows are the
            same.
        api_version (Optional[str]): The version of Salesforce's API to read through, as "64.0"; it
            decides which fields the org shows. None: the one this library is tested with.
        id_column (str): What Salesforce's ``Id`` is called in every table.
        indexes (bool): Whether a run of ``sync`` indexes PostgreSQL's tables once they are loaded.
        scope (Optional[Scope]): What this run looks at, where that is not the default.
        ledger (Optional[Ledger]): Where the run writes what happened. A run whose calls are spent
            then loads what came and says so in ``ledger.stopped``; without a ledger it fails.

    Returns:
        Resources ``task_who_relation`` (table ``sf_taskwhorelations``), ``contact``
        (``sf_contacts``), ``task`` (``sf_activities``), ``user`` (``sf_users``), ``contact_life``
        (``sf_active_contacts``), ``rejected_record`` (``sf_rejected_records``) and ``sync_run``
        (``sf_sync_runs``). All are merged by key (upsert); columns of others are left alone.
    """
    settings = Settings.of(locals())
    extractions = Extractions(credentials, settings, scope, ledger)
    to_tasks = _reference("TaskId", TASKS, id_column)
    to_contacts = _reference("RelationId", CONTACTS, id_column)
    relation = dlt.resource(
        resources.task_who_relation,
        references=[to_tasks, to_contacts],
        **resources.table_hints(RELATIONS, id_column),
    )
    contact, contact_life = resources.target_resources(extractions, id_column)
    return resources.completed(
        extractions,
        relation(extractions),
        contact,
        resources.table_resource(extractions, TASK, resources.table_hints(TASKS, id_column)),
        resources.table_resource(extractions, USER, resources.table_hints(USERS, id_column)),
        contact_life,
        *resources.run_resources(extractions),
    )


def _reference(field: str, table: str, id_column: str) -> Any:
    return {"columns": [field], "referenced_table": table, "referenced_columns": [id_column]}
