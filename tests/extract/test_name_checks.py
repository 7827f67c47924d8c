"""The names and values of a target are compared with what the org describes, with its first call."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from salesforce_targeted import salesforce_targeted, targeted
from salesforce_targeted.api.credentials import SessionCredentials
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.sync.runner import sync
from tests.conftest import Synced

ACCOUNTS = {"object": "Account", "discovered_by": "Opportunity.AccountId"}


@pytest.fixture
def org() -> Iterator[DemoOrg]:
    """Provide some of everything; nothing unknown or writing may be asked."""
    org = DemoOrg.varied()
    yield org

    assert [] == org.unexpected
    assert [] == org.writes_attempted


@pytest.mark.brief(4)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"object": "Account", "discovered_by": "Opportunity.OwnerId"},
            "Opportunity.OwnerId refers to User, not to Account. Write Opportunity.AccountId.",
        ),
        (
            {"object": "Account", "discovered_by": "Task.WhoId"},
            "Task.WhoId refers to Contact, Lead, not to Account. Write Task.",
        ),
        ({"object": "Account", "discovered_by": "TaskWhoRelation"}, "not to Account"),
        ({"object": "Lead", "discovered_by": "Contact.Id"}, "refers to Contact, not to Lead"),
        ({**ACCOUNTS, "where": {"IsClose": False}}, "no field IsClose that our user may see. Write IsClosed."),
        ({**ACCOUNTS, "where": {"Acount.Name": "x"}}, "no relationship Acount that our user may see. Write Account.Name."),
        ({**ACCOUNTS, "where": {"IsClosed": "no"}}, "takes True or False, not 'no'"),
        ({**ACCOUNTS, "where": {"StageName": ["Won", 5]}}, "takes a text, not 5"),
        ({**ACCOUNTS, "where": {"CloseDate": "2026-01-31"}}, "takes a datetime.date, not"),
        ({**ACCOUNTS, "where": {"CreatedDate": date(2026, 1, 31)}}, "with its time zone, not"),
        ({**ACCOUNTS, "where": {"Amount": True}}, "takes a number, not True"),
    ],
)  # fmt: skip
def test_what_the_org_describes_otherwise(
    org: DemoOrg, synced: Synced, given: dict[str, Any], message: str
) -> None:
    """One sentence and the nearest that works; only the first call was made, nothing is loaded."""
    ledger = Ledger()
    outcome = sync(synced.pipeline, targeted(synced.credentials, **given, ledger=ledger), ledger)

    assert isinstance(outcome.error, ConfigurationError)
    assert message in outcome.facts["error"]
    assert 1 == outcome.facts["calls"]["total"]
    assert [] == synced.pipeline.schema_names


@pytest.mark.brief(1)
@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({**ACCOUNTS, "where": {"isclosed": False, "Account.Name": "None of this name"}}, 0),
        ({**ACCOUNTS, "where": {"Name": None}}, 0),
        ({"object": "Account", "discovered_by": "Account.Id"}, None),
    ],
)
def test_what_the_org_describes_so(
    org: DemoOrg, synced: Synced, given: dict[str, Any], ids: int | None
) -> None:
    """Case and relationships are SOQL's; null compares with anything; an object's own id refers to it."""
    ledger = Ledger()
    outcome = sync(synced.pipeline, targeted(synced.credentials, **given, ledger=ledger), ledger)
    expected = len(org.rows("Account")) if ids is None else ids

    assert outcome.error is None, outcome.facts["error"]
    assert expected == len(synced.rows("sf_accounts"))


def test_text_may_hold_ids(org: DemoOrg, synced: Synced) -> None:
    """Describe does not say what the ids of a formula or of a key of others refer to: it is read."""
    account = min(org.rows("Account"))
    deal = min(org.rows("Opportunity"))
    org.add_field("Opportunity", "Partner__c", values={deal: account})
    ledger = Ledger()
    source = targeted(
        synced.credentials, object="Account", discovered_by="Opportunity.Partner__c", ledger=ledger
    )
    outcome = sync(synced.pipeline, source, ledger)

    assert outcome.error is None, outcome.facts["error"]
    assert [account] == list(synced.rows("sf_accounts"))


@pytest.mark.brief(2)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"where": "IsClosed = false"}, 'Write where={"IsClosed": False}'),
        ({"where": ["IsClosed"]}, "where = ['IsClosed'] does not give each field its value"),
        ({"scope": {"limit": 5}}, "Write scope=Scope(limit=5)"),
    ],
)
def test_what_is_of_another_type(
    credentials: SessionCredentials, given: dict[str, Any], message: str
) -> None:
    """Refused where it is written."""
    with pytest.raises(ConfigurationError, match="Write") as caught:
        targeted(credentials, **ACCOUNTS, **given)

    assert message in str(caught.value)


def test_a_scope_of_another_type(credentials: SessionCredentials) -> None:
    """The source of contacts says it, too."""
    with pytest.raises(ConfigurationError) as caught:
        salesforce_targeted(credentials, scope={"limit": 5})  # type: ignore[arg-type]

    assert "scope = {'limit': 5}" in str(caught.value)
    assert "Write scope=Scope(limit=5)" in str(caught.value)
