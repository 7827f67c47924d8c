"""DemoOrg: a seeded pretend org of any size, ready at once, that a test changes as it likes."""

from __future__ import annotations

import random

from . import schema, seeding
from .changes import OrgChanges
from .people import Crowd
from .state import new_tables
from .tables import ContactTable


class DemoOrg(OrgChanges):
    """A pretend org.

    Args:
        contacts: How many contacts it has; they are made when asked for.
        active: How many of them some relation points at.
        relations: How many TaskWhoRelation rows there are in all, the leads' and one null included.
        seed: Everything in the org follows from it.
    """

    def __init__(
        self, contacts: int = 600_000, active: int = 817, relations: int | None = None,
        seed: int = 7, *, leads: int = 300, lead_relations: int | None = None,
        accounts: int = 500, users: int = 20,
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
        owners = seeding.users(user, users)
        tiers = seeding.accounts(account, accounts, owners, rng)
        lead_ids = seeding.leads(lead, leads, owners, rng)
        crowd = Crowd(seed, contacts, list(tiers), owners, tiers)
        super().__init__([ContactTable(schema.contact(), crowd), *stored], seed)
        chosen = seeding.active_ordinals(contacts, active, rng)
        seeding.special_contacts(self, chosen)
        seeding.activities(self, chosen, relations, lead_ids[:lead_relations], owners)

    @classmethod
    def tiny(cls, seed: int = 7) -> DemoOrg:
        """40 contacts, 12 of them active, 30 relations with 3 leads' and a null among them."""
        return cls(40, 12, 30, seed, leads=8, lead_relations=3, accounts=5, users=4)
