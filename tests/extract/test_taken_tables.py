"""A table belongs to one source, and its key keeps its name: another one is refused, with no call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from salesforce_targeted import salesforce_targeted, targeted
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.destination.errors import original_error
from salesforce_targeted.extract.run import Run
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.settings import Scope, Settings
from salesforce_targeted.sync.runner import sync
from salesforce_targeted.sync.verify import verify
from salesforce_targeted.target import target_of
from tests.conftest import Synced
from tests.support.recipes import RECIPES, Targeted

LEADS = RECIPES["leads"]
OTHERS: list[dict[str, Any]] = [
    {"object": "Lead", "discovered_by": "EventWhoRelation"},
    {"object": "Lead", "discovered_by": "Task.WhoId"},
    {"object": "Contact", "discovered_by": "TaskWhoRelation", "table": "sf_leads"},
]


@pytest.fixture
def org() -> Iterator[DemoOrg]:
    """Provide some of everything; nothing unknown or writing may be asked."""
    org = DemoOrg.varied()
    yield org

    assert [] == org.unexpected
    assert [] == org.writes_attempted


@pytest.fixture
def held(synced: Synced) -> Targeted:
    """Provide a dataset with the leads of tasks."""
    held = Targeted(synced.pipeline, synced.credentials)
    held.go(LEADS)
    return held


def refused(held: Synced, source: Any) -> str:
    """Run what must be refused; what it says."""
    with pytest.raises(Exception) as caught:
        held.pipeline.run(source)
    error = original_error(caught.value)
    assert isinstance(error, ConfigurationError)
    return str(error)


def forget_origin(held: Synced) -> None:
    """Make the state that of version 0.1, which did not keep what fills a table."""
    with held.pipeline.managed_state() as state:
        del state["sources"]["salesforce_leads"]["filled_by"]


@pytest.mark.brief(1)
@pytest.mark.parametrize("given", OTHERS)
@pytest.mark.parametrize("scope", [Scope(), Scope(full=True, allow_shrink=True)], ids=["", "full"])
def test_a_table_is_of_one_source(
    org: DemoOrg, held: Targeted, given: dict[str, Any], scope: Scope
) -> None:
    """Its records would take turns at leaving: which one it is, and what to give the other."""
    asked = len(org.requests)
    error = refused(held, targeted(held.credentials, **given, scope=scope))

    assert "sf_leads holds Lead by TaskWhoRelation.RelationId, and this source is " in error
    assert f"{given['object']} by {given['discovered_by']}" in error
    assert "table=" in error
    assert asked == len(org.requests)


@pytest.mark.brief(1)
@pytest.mark.parametrize("given", [OTHERS[0], OTHERS[2]])
def test_two_sources_of_one_table_in_one_run(
    org: DemoOrg, synced: Synced, given: dict[str, Any]
) -> None:
    """Neither is loaded."""
    error = refused(
        synced,
        [targeted(synced.credentials, **LEADS.given), targeted(synced.credentials, **given)],
    )

    assert "sf_leads holds Lead by TaskWhoRelation.RelationId" in error
    assert {} == synced.rows("sf_leads")


@pytest.mark.deep
@pytest.mark.parametrize("where", [{"IsClosed": True}, {"IsClosed": False}], ids=str)
def test_two_sources_alike_in_one_run(synced: Synced, where: dict[str, Any]) -> None:
    """They differ in what counts, or in nothing: a load of both would hold rows twice."""
    given = {"object": "Account", "discovered_by": "Opportunity.AccountId"}
    error = refused(
        synced,
        [
            targeted(synced.credentials, **given, where={"IsClosed": False}),
            targeted(synced.credentials, **given, where=where),
        ],
    )

    assert "two sources of one run load account" in error
    assert {} == synced.rows("sf_accounts")


def test_two_parts_of_a_source_in_one_run(org: DemoOrg, synced: Synced) -> None:
    """Each loads tables of its own."""
    parts = [("task_who_relation", "task"), ("contact", "contact_life")]
    synced.pipeline.run(
        [salesforce_targeted(synced.credentials).with_resources(*names) for names in parts]
    )

    assert org.active_ids() == sorted(synced.rows("sf_contacts"))
    assert len(org.rows("TaskWhoRelation")) == len(synced.rows("sf_taskwhorelations"))


def test_what_counts_from_now_on_is_said(synced: Synced) -> None:
    """Records leave by it, and two sources of one table would take turns."""
    held = Targeted(synced.pipeline, synced.credentials)
    open_ones, closed = RECIPES["accounts"], {**RECIPES["accounts"].given, "where": {"IsWon": True}}
    held.go(open_ones)
    facts = held.go(replace(open_ones, given=closed), Scope(allow_shrink=True))
    repeat = held.go(replace(open_ones, given=closed))

    assert "where was IsClosed = false and is IsWon = true" in facts["warnings"][0]
    assert [] == repeat["warnings"]


@pytest.mark.brief(1)
@pytest.mark.parametrize("given", [OTHERS[0], OTHERS[2]])
def test_a_dataset_of_before_tells_as_much_as_it_knows(
    org: DemoOrg, held: Targeted, given: dict[str, Any]
) -> None:
    """What it was loaded from names another object; its own source goes on as before."""
    forget_origin(held)
    error = refused(held, targeted(held.credentials, **given))
    repeat = held.go(LEADS)

    assert "sf_leads holds what came of TaskWhoRelation" in error
    assert (0, 0) == (repeat["contacts"]["new"], repeat["contacts"]["updated"])


@pytest.mark.deep
def test_with_a_table_each_both_are_held(org: DemoOrg, held: Targeted) -> None:
    """As the refusal says; and the first one goes on."""
    events = RECIPES["leads_of_events"]
    held.pipeline.run(targeted(held.credentials, **events.given, table="sf_event_leads"))
    held.go(LEADS)

    assert events.named(org) == sorted(held.rows("sf_event_leads"))
    assert LEADS.named(org) == sorted(held.rows("sf_leads"))


@pytest.mark.deep
def test_a_look_at_one_source_is_not_misled_by_another(
    org: DemoOrg, held: Targeted, client: SalesforceClient
) -> None:
    """What is remembered of contacts says nothing of leads."""
    held.ok()
    target = target_of("Lead", "TaskWhoRelation")
    run = Run(client, Settings(), Scope(), Ledger(), held.pipeline, target=target)
    facts = verify(run)
    run.close()

    assert 0 == sum(count for count in facts["drift"].values() if isinstance(count, int))


@pytest.mark.brief(1)
@pytest.mark.parametrize("by_sync", [True, False])
def test_the_key_keeps_its_name(org: DemoOrg, synced: Synced, by_sync: bool) -> None:
    """Another id_column is refused with no call; a dataset that is made again may have it."""
    synced.begin()
    asked = len(org.requests)
    ledger = Ledger()
    source = salesforce_targeted(synced.credentials, id_column="salesforce_id", ledger=ledger)
    if by_sync:
        outcome = sync(synced.pipeline, source, ledger, id_column="salesforce_id")
        error, kind = str(outcome.facts["error"]), type(outcome.error)
    else:
        error, kind = refused(synced, source), ConfigurationError
    refusal_calls = len(org.requests) - asked
    source = salesforce_targeted(synced.credentials, id_column="salesforce_id")
    synced.pipeline.run(source, refresh="drop_sources")

    assert "id_column was 'id' when this dataset was made" in error
    assert (ConfigurationError, 0) == (kind, refusal_calls)
    assert [] == [warning for warning in ledger.warnings if "fields" in warning]
    assert org.active_ids() == sorted(synced.rows("sf_contacts", "salesforce_id"))
