"""Recipes for ``targeted``, a pipeline that runs them, and what the org shows of their records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from salesforce_targeted import targeted
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.settings import Scope
from salesforce_targeted.sync.runner import sync
from salesforce_targeted.target import target_of
from tests.conftest import Synced
from tests.support.oracles.held_values import as_held

EVENTS = {"object": "Contact", "discovered_by": "EventWhoRelation", "table": "sf_event_contacts"}


@dataclass
class Recipe:
    """Hold what ``targeted`` is told, what it lands in, and by what its records are named."""

    given: dict[str, Any]
    table: str
    lives: str
    by: tuple[str, str]
    keep: Callable[[dict[str, Any]], bool] | None = None

    @property
    def key(self) -> str:
        return f"{target_of(self.given['object'], self.given['discovered_by']).resource}_id"

    def named(self, org: DemoOrg) -> list[str]:
        return org.named_ids(*self.by, self.given["object"], self.keep)


RECIPES = {
    "leads": Recipe(
        {"object": "Lead", "discovered_by": "TaskWhoRelation"},
        "sf_leads", "sf_active_leads", ("TaskWhoRelation", "RelationId"),
    ),
    "leads_of_events": Recipe(
        {"object": "Lead", "discovered_by": "EventWhoRelation"},
        "sf_leads", "sf_active_leads", ("EventWhoRelation", "RelationId"),
    ),
    "contacts_of_events": Recipe(
        EVENTS, "sf_event_contacts", "sf_active_event_contacts", ("EventWhoRelation", "RelationId")
    ),
    "accounts": Recipe(
        {"object": "Account", "discovered_by": "Opportunity.AccountId",
         "where": {"IsClosed": False}},
        "sf_accounts", "sf_active_accounts", ("Opportunity", "AccountId"),
        lambda row: not row["IsClosed"],
    ),
    "accounts_of_visits": Recipe(
        {"object": "Account", "discovered_by": "Visit__c.Account__c",
         "where": {"Status__c": ["Planned", "Done"]}},
        "sf_accounts", "sf_active_accounts", ("Visit__c", "Account__c"),
        lambda row: row["Status__c"] in ("Planned", "Done"),
    ),
    "opportunities": Recipe(
        {"object": "Opportunity", "discovered_by": "Task.WhatId"},
        "sf_opportunities", "sf_active_opportunities", ("Task", "WhatId"),
    ),
    "visits": Recipe(
        {"object": "Visit__c", "discovered_by": "Task.WhatId"},
        "sf_visits", "sf_active_visits", ("Task", "WhatId"),
    ),
}  # fmt: skip


class Targeted(Synced):
    """A pipeline that runs ``targeted``."""

    def go(self, recipe: Recipe, scope: Scope | None = None, **settings: Any) -> dict[str, Any]:
        """Sync once; the report."""
        ledger = Ledger()
        source = targeted(self.credentials, **recipe.given, scope=scope, ledger=ledger, **settings)
        outcome = sync(self.pipeline, source, ledger)
        assert outcome.error is None, outcome.facts["error"]
        return outcome.facts

    def lives(self, recipe: Recipe) -> dict[str, dict[str, Any]]:
        return self.rows(recipe.lives, recipe.key)

    def active(self, recipe: Recipe) -> list[str]:
        return sorted(id_ for id_, life in self.lives(recipe).items() if life["is_active"])


def cells(org: DemoOrg, object_name: str, ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return what the org shows of some records, as the destination holds it."""
    kinds = {entry["name"]: entry["type"] for entry in org.fields(object_name)}
    return {
        id_: {
            name: as_held(kinds[name], value)
            for name, value in row.items()
            if kinds[name] not in {"address", "location", "base64"}
        }
        for id_, row in org.rows(object_name, ids=ids).items()
    }
