"""Sync records of any object that another object's field points at, and nothing else of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

import dlt
from dlt.sources import DltResource, DltSource

from salesforce_targeted.api.credentials.resolution import SalesforceCredentials
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.destination.table_names import OF_CONTACTS
from salesforce_targeted.extract.resource_feed import Extractions
from salesforce_targeted.extract.resources import completed, run_resources, target_resources
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.settings import Scope, Settings, scope_of
from salesforce_targeted.target import Where, target_of


def targeted(
    credentials: Optional[SalesforceCredentials] = None,
    *,
    object: str,  # noqa: A002  # Salesforce's and the caller's word for it
    discovered_by: str,
    where: Optional[Where] = None,
    table: Optional[str] = None,
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
) -> DltSource:
    """Sync the records of an object whose ids another object's field holds, with all their fields.

    The same discovery, planner, refresh, bisection and rejections as in
    :func:`salesforce_targeted`, whose contacts are one use of it. The rows that point at the
    records are not held themselves.

    Args:
        credentials: One of the ways to sign in; None: dlt's configuration and ``SALESFORCE_*``.
        object: API name: ``Lead``, ``Account``, ``Invoice__c``.
        discovered_by: ``TaskWhoRelation``, ``EventWhoRelation``, or any object's field that refers
            to the records: ``Opportunity.AccountId``. The field must be groupable (``describe``).
        where: Which rows of that object count: field to value, or to a list of values, such as
            ``{"IsClosed": False}``.
        table: The records' table. None: ``sf_`` and the plural, such as ``sf_leads``.
        since: Rows of that object modified before this date don't count. None: all do.
        fields: API names of the object's fields to take. None: all.

    The other parameters are those of :func:`salesforce_targeted`, with the same meaning.

    Returns:
        A source, for leads named ``salesforce_leads``, with the resources ``lead`` (table
        ``sf_leads``), ``lead_life`` (``sf_active_leads``, key ``lead_id``; as
        ``sf_active_contacts``), ``rejected_record`` and ``sync_run``; for tasks and users
        ``task_record`` and ``user_record``. In ``sf_sync_runs`` the columns of contacts count the
        records.

    Raises:
        ConfigurationError: a name that can't be one of Salesforce's, a table that another source
            has, a setting that can't be meant.
    """
    arguments, target = locals(), target_of(object, discovered_by, where, table)
    if target.table in OF_CONTACTS:
        raise ConfigurationError(
            f"{target.table} is a table of salesforce_targeted()",
            remedy=f"Choose another, such as table={target.table.replace('sf_', 'sf_other_')!r}.",
        )
    if scope_of(scope).limit is not None:
        raise ConfigurationError(
            f"a limit counts relations, and {target.discovered_by.object_name} is not read",
            remedy="Leave it out, or narrow `where`.",
        )
    settings = Settings.of(arguments)

    def resources(
        credentials: SalesforceCredentials = dlt.secrets.value,
    ) -> Iterable[DltResource]:
        extractions = Extractions(credentials, settings, scope, ledger, target)
        records, lives = target_resources(extractions, id_column)
        return completed(extractions, records, lives, *run_resources(extractions))

    factory = dlt.source(
        resources,
        name=target.source_name,
        section="salesforce_targeted",
        max_table_nesting=0,
    )
    return factory() if credentials is None else factory(credentials)
