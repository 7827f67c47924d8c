"""The engine is not about contacts only: leads, accounts and custom objects keep its promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from salesforce_targeted import targeted
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.errors import ConfigurationError, SalesforceError
from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.demo_org.http.server import DemoServer
from salesforce_targeted.extract.run import Run
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.settings import Scope, Settings
from salesforce_targeted.sync.runner import sync
from salesforce_targeted.sync.verify import verify
from salesforce_targeted.target import target_of
from tests.conftest import BOTH, Synced
from tests.support.recipes import RECIPES, Recipe, Targeted, cells

LEADS = RECIPES["leads"]
SOME = ("leads", "contacts_of_events", "accounts", "visits")
EACH = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


@pytest.fixture
def org() -> Iterator[DemoOrg]:
    """Provide some of everything; nothing unknown or writing may be asked."""
    org = DemoOrg.varied()
    named = sorted(org.rows("Opportunity"))[:3] + sorted(org.rows("Visit__c"))[:4]
    for id_ in (*named, named[0]):
        org.log_task([], WhatId=id_)
    yield org

    assert [] == org.unexpected
    assert [] == org.writes_attempted


@pytest.fixture
def held(synced: Synced) -> Targeted:
    return Targeted(synced.pipeline, synced.credentials)


@pytest.mark.brief(1)
@EACH
def test_a_record_is_held_whole_while_somebody_names_it(
    org: DemoOrg, held: Targeted, recipe: Recipe
) -> None:
    """Every field of every named record; few calls; a second run loads nothing."""
    named = recipe.named(org)
    first = held.go(recipe)
    rows = held.rows(recipe.table)
    name = held.pipeline.default_schema.naming.normalize_path
    expected = cells(org, recipe.given["object"], named)
    repeat = held.go(recipe)
    loaded = repeat["contacts"]["new"] + repeat["contacts"]["updated"]

    assert len(named) > 2
    assert named == sorted(rows) == held.active(recipe)
    assert expected == {
        id_: {field: rows[id_][name(field)] for field in row} for id_, row in expected.items()
    }
    assert first["calls"]["total"] <= 5
    assert (0, len(named)) == (loaded, repeat["contacts"]["unchanged"])
    assert {life["relation_count"] for life in held.lives(recipe).values()} >= {1}


@pytest.mark.deep
@pytest.mark.parametrize("recipe", [RECIPES[name] for name in SOME], ids=SOME)
def test_nobody_names_it_any_more(org: DemoOrg, held: Targeted, recipe: Recipe) -> None:
    """It has left, its row stays; named again, it is back."""
    held.go(recipe)
    by, at = recipe.by
    gone = recipe.named(org)[0]
    keep = recipe.keep or bool
    naming = [row for row in org.rows(by).values() if row[at] == gone and keep(row)]
    for row in naming:
        if by.endswith("WhoRelation"):
            org.remove_relation(row["Id"])
        else:
            org.edit(by, row["Id"], **{at: None})
    held.go(recipe)
    left = held.lives(recipe)[gone]
    if by == "TaskWhoRelation":
        org.log_task([gone])
    elif by == "EventWhoRelation":
        org.log_event([gone])
    else:
        org.edit(by, naming[0]["Id"], **{at: gone})
    held.go(recipe)

    assert (False, 0, "relation_removed") == (
        left["is_active"], left["relation_count"], left["left_reason"],
    )  # fmt: skip
    assert gone in held.rows(recipe.table)
    assert recipe.named(org) == held.active(recipe)
    assert held.lives(recipe)[gone]["left_at"] is None


@pytest.mark.brief(1)
@pytest.mark.parametrize("recipe", [RECIPES[name] for name in SOME], ids=SOME)
def test_what_becomes_of_a_record(org: DemoOrg, held: Targeted, recipe: Recipe) -> None:
    """Edited, deleted, hidden: the row says it, or the life why it can't."""
    org.lookups_outlive_parents = org.relations_outlive_contacts = True
    object_name = recipe.given["object"]
    held.go(recipe)
    edited, deleted, hidden = recipe.named(org)[:3]
    text = {"Lead": "Description", "Visit__c": "Notes__c"}.get(object_name, "Description")
    if text not in {entry["name"] for entry in org.fields(object_name)}:
        text = "Name"
    org.edit(object_name, edited, **{text: "another text"})
    org.delete(object_name, deleted)
    org.hide(object_name, hidden)
    held.go(recipe)
    lives = held.lives(recipe)
    column = held.pipeline.default_schema.naming.normalize_path(text)

    assert "another text" == held.rows(recipe.table)[edited][column]
    assert ("deleted", "hidden", None) == tuple(
        lives[id_]["gone_reason"] for id_ in (deleted, hidden, edited)
    )
    assert {deleted, hidden} <= set(held.rows(recipe.table))


@pytest.mark.each_value
@pytest.mark.deep
@BOTH
@pytest.mark.parametrize("recipe", [LEADS, RECIPES["accounts"]], ids=["leads", "accounts"])
def test_a_merged_record_names_its_winner(org: DemoOrg, synced: Synced, recipe: Recipe) -> None:
    """As a contact does."""
    held = Targeted(synced.pipeline, synced.credentials)
    held.go(recipe)
    loser, winner = recipe.named(org)[:2]
    org.merge(winner, [loser])
    held.go(recipe)
    life = held.lives(recipe)[loser]

    assert ("merged", winner, False) == (
        life["gone_reason"], life["merged_into"], life["is_active"],
    )  # fmt: skip


@pytest.mark.deep
@pytest.mark.parametrize("since", [None, "2001-01-01"])
def test_contacts_are_not_walked_through_to_find_leads(
    org: DemoOrg, held: Targeted, since: str | None
) -> None:
    """Ids are answered in their order, and those of leads come after all contacts'."""
    few = Scope(limits=replace(DOCUMENTED, groups_per_query=2))
    facts = held.go(LEADS, few, since=since)

    assert LEADS.named(org) == held.active(LEADS)
    assert facts["calls"]["by_kind"]["query"] <= 2 < len(org.active_ids()) / 2


@pytest.mark.deep
def test_which_rows_count(org: DemoOrg, held: Targeted) -> None:
    """An account whose last open opportunity is closed has left."""
    recipe = RECIPES["accounts"]
    held.go(recipe)
    account = recipe.named(org)[0]
    for row in org.rows("Opportunity").values():
        if row["AccountId"] == account and not row["IsClosed"]:
            org.edit("Opportunity", row["Id"], StageName="Closed Won")
    held.go(recipe)

    assert account not in recipe.named(org) == held.active(recipe)


@pytest.mark.deep
@pytest.mark.parametrize(
    ("discoverer", "activity"), [("TaskWhoRelation", "Task"), ("EventWhoRelation", "Event")]
)
def test_without_shared_activities(
    org: DemoOrg, held: Targeted, discoverer: str, activity: str
) -> None:
    """The activity's own WhoId names the lead."""
    recipe = Recipe(
        {"object": "Lead", "discovered_by": discoverer},
        "sf_leads", "sf_active_leads", (activity, "WhoId"),
    )  # fmt: skip
    org.shared_activities = False
    facts = held.go(recipe)

    assert recipe.named(org) == held.active(recipe)
    assert [text for text in facts["warnings"] if f"WhoId of each {activity}" in text]


@pytest.mark.brief(1)
@pytest.mark.parametrize("api", ["collections", "composite", "query", "bulk"])
def test_every_api_brings_the_same_rows(org: DemoOrg, held: Targeted, api: str) -> None:
    """The planner's ways are open to any object."""
    facts = held.go(RECIPES["accounts"], api=api)
    rows = held.rows("sf_accounts")
    expected = cells(org, "Account", RECIPES["accounts"].named(org))

    assert api == facts["plan"]["api"]
    assert {id_: row["Name"] for id_, row in expected.items()} == {
        id_: row["name"] for id_, row in rows.items()
    }


@pytest.mark.deep
def test_a_lead_that_cant_be_read_costs_itself_alone(org: DemoOrg, held: Targeted) -> None:
    """And is there as soon as it can be."""
    bad, *rest = LEADS.named(org)
    org.poisons.add("Lead", bad)
    held.go(LEADS)
    first, listed = held.rows("sf_leads"), held.sql("SELECT record_id FROM sf_rejected_records")
    org.poisons.clear()
    held.go(LEADS)

    assert rest == sorted(first)
    assert [(bad,)] == [tuple(row) for row in listed]
    assert [bad, *rest] == sorted(held.rows("sf_leads"))
    assert [] == held.sql("SELECT record_id FROM sf_rejected_records")


@pytest.mark.deep
def test_two_sources_of_one_object_keep_their_rejections_apart(
    org: DemoOrg, held: Targeted, synced: Synced
) -> None:
    """One that comes right for the contacts of tasks is still to be read for those of events."""
    bad = org.active_ids()[0]
    org.log_event([bad])
    org.poisons.add("Contact", bad)
    listed = "SELECT object, record_id FROM sf_rejected_records ORDER BY 1"
    synced.run()
    held.go(RECIPES["contacts_of_events"])
    rejected = held.sql(listed)
    org.poisons.clear()
    synced.run()

    assert [("Contact", bad), ("Contact in sf_event_contacts", bad)] == [*map(tuple, rejected)]
    assert [("Contact in sf_event_contacts", bad)] == [*map(tuple, held.sql(listed))]

    held.go(RECIPES["contacts_of_events"])

    assert [] == held.sql(listed)


def test_drift_is_found(org: DemoOrg, held: Targeted, server: DemoServer) -> None:
    """Verify compares these tables, too."""
    held.go(LEADS)
    target = target_of("Lead", "TaskWhoRelation")

    def looked() -> dict[str, Any]:
        client = SalesforceClient(held.credentials)
        run = Run(client, Settings(), Scope(), Ledger(), held.pipeline, target=target)
        try:
            return verify(run)
        finally:
            run.close()
            client.close()

    clean = looked()
    held.sql(f"UPDATE sf_leads SET last_name = 'Drifted' WHERE id = '{LEADS.named(org)[0]}'")
    held.sql("UPDATE sf_active_leads SET relation_count = 77")
    drifted = looked()["drift"]

    assert ("done", len(LEADS.named(org))) == (clean["status"], clean["compared"]["sf_leads"])
    assert {"sf_leads", "sf_active_leads"} == {example["table"] for example in drifted["examples"]}


@pytest.mark.deep
def test_several_sources_share_a_dataset(org: DemoOrg, held: Targeted) -> None:
    """Contacts with tasks, their leads and the accounts: one pipeline, one run each."""
    held.ok()
    held.pipeline.run(
        [
            targeted(held.credentials, **LEADS.given),
            targeted(held.credentials, **RECIPES["accounts"].given),
        ]
    )
    org.edit("Lead", LEADS.named(org)[0], LastName="Fresh")
    held.ok()
    held.pipeline.run(targeted(held.credentials, **LEADS.given))

    assert LEADS.named(org) == sorted(held.rows("sf_leads"))
    assert RECIPES["accounts"].named(org) == sorted(held.rows("sf_accounts"))
    assert org.active_ids() == sorted(held.rows("sf_contacts"))
    assert "Fresh" == held.rows("sf_leads")[LEADS.named(org)[0]]["last_name"]


@pytest.mark.parametrize(
    ("object_name", "discovered_by", "field"),
    [("Task", "TaskWhoRelation.TaskId", "TaskId"), ("User", "Task.OwnerId", "OwnerId")],
)
def test_objects_of_which_the_source_of_contacts_has_resources(
    org: DemoOrg, held: Targeted, object_name: str, discovered_by: str, field: str
) -> None:
    """The stage of that resource ran for them, and loaded nothing: exit code 0, no row."""
    held.pipeline.run(
        targeted(
            held.credentials, object=object_name, discovered_by=discovered_by, table="sf_others"
        )
    )
    junction = discovered_by.partition(".")[0]
    named = {row[field] for row in org.rows(junction).values()} & {*org.rows(object_name)}

    assert len(named) > 1
    assert named <= {*held.rows("sf_others")}


def test_the_environment_signs_in(
    org: DemoOrg, held: Targeted, server: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without credentials given, as any source of dlt; in names the case makes no difference."""
    monkeypatch.setenv("SALESFORCE_INSTANCE_URL", server.url)
    monkeypatch.setenv("SALESFORCE_ACCESS_TOKEN", server.token)
    held.pipeline.run(targeted(object="lead", discovered_by="taskwhorelation"))

    assert LEADS.named(org) == sorted(held.rows("sf_leads"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"discovered_by": "Opportunity"}, "Write Opportunity.<field>"),
        ({"discovered_by": "Opportunity.Account Id"}, "can't be a name of Salesforce"),
        ({"discovered_by": "Task.WhoId", "where": {"Status": []}}, "IN needs at least one value"),
        ({"discovered_by": "Task.WhoId", "table": "sf_users"}, "a table of salesforce_targeted"),
        ({"object": "Contact", "discovered_by": "Task.WhoId"}, "sf_contacts is a table of"),
        ({"discovered_by": "Task.WhoId", "scope": Scope(limit=3)}, "a limit counts relations"),
        ({"discovered_by": "Task.WhoId", "api": "soap"}, "not a way to retrieve"),
    ],
)
def test_what_cant_be_meant_is_told_at_once(given: dict[str, Any], message: str) -> None:
    """Before anybody signs in."""
    with pytest.raises(ConfigurationError) as caught:
        targeted(**{"object": "Lead", **given})

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"discovered_by": "Nothing__c.Lead__c"}, "Nothing__c"),
        ({"discovered_by": "Task.Nobody__c"}, "Nobody__c"),
        ({"discovered_by": "Task.whoid"}, "Perhaps Task.WhoId is meant"),
        ({"discovered_by": "Opportunity.Account.Id"}, "shows our user no field Account.Id"),
        ({"object": "Nothing__c", "discovered_by": "Task.WhatId"}, "Nothing__c"),
        ({"discovered_by": "Task.WhoId", "where": {"Nothing__c": 1}}, "Nothing__c"),
    ],
)
def test_what_the_org_does_not_have(
    org: DemoOrg, held: Targeted, given: dict[str, Any], message: str
) -> None:
    """The error names it; nothing is loaded."""
    ledger = Ledger()
    source = targeted(held.credentials, **{"object": "Lead", **given}, ledger=ledger)
    outcome = sync(held.pipeline, source, ledger)

    assert isinstance(outcome.error, SalesforceError)
    assert message in outcome.facts["error"]
    assert {} == held.rows("sf_leads")


def test_names_of_tables_and_resources(credentials: SessionCredentials) -> None:
    """Custom objects lose their suffix; English plurals; the name of the source is the table's."""
    source = targeted(credentials, object="Sales_Policy__c", discovered_by="Visit__c.Policy__c")

    assert "salesforce_sales_policies" == source.name
    assert {"sales_policy", "sales_policy_life", "rejected_record", "sync_run"} == set(
        source.resources.selected
    )
    runs = targeted(credentials, object="SyncRun__c", discovered_by="A__c.Run__c", table="sf_mine")
    assert {"sync_run_record", "sync_run_record_life", "rejected_record", "sync_run"} == set(
        runs.resources.selected
    )
    assert ("sf_sales_policies", "sf_active_sales_policies") == tuple(
        source.resources[name].table_name for name in ("sales_policy", "sales_policy_life")
    )
