"""DemoOrg: a seeded pretend org of any size, ready at once, that a test changes as it likes."""

from __future__ import annotations

import random

from salesforce_targeted.demo_org.changes.moves import Moves
from salesforce_targeted.demo_org.changes.org_changes import OrgChanges
from salesforce_targeted.demo_org.schema import core
from salesforce_targeted.demo_org.seeding import core as records
from salesforce_targeted.demo_org.seeding import events as event_seeding
from salesforce_targeted.demo_org.seeding import sales
from salesforce_targeted.demo_org.storage.people import Crowd
from salesforce_targeted.demo_org.storage.state import new_tables
from salesforce_targeted.demo_org.storage.tables import ContactTable


class DemoOrg(OrgChanges):
    """A pretend org.

    Args:
        contacts: How many contacts it has; they are made when asked for.
        active: How many of them some relation points at.
        relations: How many TaskWhoRelation rows there are in all, the leads' and one null included.
        seed: Everything in the org follows from it.
        opportunities: How many there are; two in five are open.
        events: How many there are; a fifth is with leads, one in ten with no person.
        visits: How many Visit__c there are; a quarter names no contact, half of those no account.
    """

    def __init__(
        self, contacts: int = 600_000, active: int = 817, relations: int | None = None,
        seed: int = 7, *, leads: int = 300, lead_relations: int | None = None,
        accounts: int = 500, users: int = 20, opportunities: int = 0, events: int = 0,
        visits: int = 0,
    ) -> None:  # fmt: skip
        if relations is None:
            relations = 2392 if active == 817 else max(active + 2, round(active * 2.93))
        if lead_relations is None:
            lead_relations = min(leads, relations // 60)
        if not 2 <= active <= contacts or relations < active + lead_relations + 1:
            raise ValueError("relations must cover every active contact, the leads and one null")
        rng = random.Random(f"{seed}/org")
        stored = new_tables()
        account, user, lead = stored[:3]
        owners = records.users(user, users)
        tiers = records.accounts(account, accounts, owners, rng)
        lead_ids = records.leads(lead, leads, owners, rng, seed)
        crowd = Crowd(seed, contacts, list(tiers), owners, tiers)
        super().__init__([ContactTable(core.contact(), crowd), *stored], seed)
        self.moves = Moves(self)
        self.before_calls.insert(0, self.moves.begin_call)  # what it does is kept as history
        permissions = {"PermissionsApiEnabled": True, "PermissionsViewAllData": True}
        self.tables["UserPermissionAccess"].add(0, permissions)
        chosen = records.active_ordinals(contacts, active, rng)
        records.special_contacts(self, chosen)
        records.activities(self, chosen, relations, lead_ids[:lead_relations], owners)
        sales.opportunities(self, opportunities, owners)
        event_seeding.events(self, events, lead_ids[::2], owners)
        sales.visits(self, visits, owners)

    @classmethod
    def tiny(cls, seed: int = 7) -> DemoOrg:
        """Make an org of 40 contacts, 12 of them active, and 30 relations: 3 of leads, one null."""
        return cls(40, 12, 30, seed, leads=8, lead_relations=3, accounts=5, users=4)

    @classmethod
    def varied(cls, seed: int = 7) -> DemoOrg:
        """Make a small org with some of every object, most with a hostile record.

        40 contacts (12 active by tasks), 12 leads (3 of them by tasks), 10 accounts, 15
        opportunities of which 6 are open (one without an account), 20 events with 25 relations
        (4 to leads, one null), 14 visits of which 4 name no contact and 2 no account either.
        """
        org = cls(40, 12, 30, seed, leads=12, lead_relations=3, accounts=10, users=4,
                  opportunities=15, events=20, visits=14)  # fmt: skip
        sales.hostile_records(org)
        return org
