"""Fills a new org with opportunities and visits; everything follows from the org's seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from salesforce_targeted.demo_org.instants import day_text
from salesforce_targeted.demo_org.schema.sales import STAGES, VISIT_STATUSES
from salesforce_targeted.demo_org.seeding.core import NOON_OF_THE_END, account_of, audit
from salesforce_targeted.demo_org.seeding.hostile import AWKWARD, hostile
from salesforce_targeted.demo_org.storage import people
from salesforce_targeted.demo_org.storage.derived import computed

if TYPE_CHECKING:
    from salesforce_targeted.demo_org.storage.state import OrgState

OPEN = tuple(stage for stage, (closed, *_) in STAGES.items() if not closed)
CLOSED = tuple(stage for stage, (closed, *_) in STAGES.items() if closed)
TODAY = NOON_OF_THE_END // 86_400


def opportunities(org: OrgState, count: int, owners: list[str]) -> None:
    """Make so many: the first and third of each five are open, each thirteenth has no account."""
    rng = random.Random(f"{org.seed}/opportunities")
    table, accounts = org.tables["Opportunity"], org.tables["Account"]
    rows = people.plausible(table.entries.values(), f"{org.seed}/opportunity rows", count)
    for number in range(count):
        owner, is_open = owners[number % len(owners)], number % 5 in (0, 2)
        account = 0 if number == 0 else rng.randrange(len(accounts))
        age, contact = rng.randrange(20, 400), rng.randrange(org.crowd.count)
        row = {
            **rows[number % len(rows)], **audit(NOON_OF_THE_END - age * 86_400 + number, owner),
            "OwnerId": owner,
            "Name": f"{rng.choice(people.LAST_NAMES)} \u2013 Ausstattung {number}",
            "AccountId": None if number % 13 == 12 else accounts.numbering.id_of(account),
            "ContactId": org.contacts.numbering.id_of(contact) if number % 2 else None,
            "StageName": rng.choice(OPEN if is_open else CLOSED),
            "CloseDate": day_text(TODAY + (1 if is_open else -1) * rng.randrange(1, 90)),
        }  # fmt: skip
        table.add(number, row | computed("Opportunity", table.entries, row,
                                         {"StageName", "CloseDate"}))  # fmt: skip


def visits(org: OrgState, count: int, owners: list[str]) -> None:
    """Make so many: of each seven, the sixth names no contact, the seventh no account either."""
    rng = random.Random(f"{org.seed}/visits")
    table, accounts = org.tables["Visit__c"], org.tables["Account"]
    rows = people.plausible(table.entries.values(), f"{org.seed}/visit rows", count)
    for number in range(count):
        owner, age = owners[number % len(owners)], rng.randrange(1, 300)
        id_ = org.contacts.numbering.id_of(rng.randrange(org.crowd.count))
        contact = org.hostile_id if number == 0 else id_
        other = accounts.numbering.id_of(rng.randrange(len(accounts)))
        row = {
            **rows[number % len(rows)], **audit(NOON_OF_THE_END - age * 86_400 + number, owner),
            "OwnerId": owner, "Name": f"V-{number:05}",
            "Status__c": VISIT_STATUSES[number % len(VISIT_STATUSES)],
            "Contact__c": None if number % 7 in (5, 6) else contact,
            "Account__c": None if number % 7 == 6 else account_of(org, contact) or other,
            "Visit_Date__c": day_text(TODAY - age),
        }  # fmt: skip
        table.add(number, row | computed("Visit__c", table.entries, row, {"Minutes__c"}))


def hostile_records(org: OrgState) -> None:
    """Make a lead, an account, an opportunity and a visit hostile; what they are found by stays.

    The lead is one that tasks and events name, the account one of an open opportunity.
    """
    kept = {"StageName", "Probability", "CloseDate", "Status__c", "Tier__c", "Minutes__c"}
    for name, number in (("Lead", 0), ("Account", 0), ("Opportunity", 1), ("Visit__c", 1)):
        table = org.tables[name]
        row = hostile(table.entries)
        values = {field: value for field, value in row.items() if field not in kept}
        # Few text fields: the longest holds all that others would have to be there for.
        long = "Description" if "Description" in table.entries else "Notes__c"
        values[long] = ("\r\n".join(AWKWARD) * 100)[:32_000]
        old = table.row(number) or {}
        table.update(number, values | computed(name, table.entries, {**old, **values}, values))
        org.hostile_ids[name] = table.numbering.id_of(number)
