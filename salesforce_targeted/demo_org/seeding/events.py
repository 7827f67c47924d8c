"""Fills a new org with events and their relations; everything follows from the org's seed.

Rules:
- Of ten events two are with a lead, one with no person, two with several contacts, five with one.
- Two in three of the events' contacts are met for the first time: the hostile and the empty one,
  active by tasks, are the first; the others are any of the org's.
- The first event with no person has a relation all the same, with a null RelationId.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from salesforce_targeted.demo_org.instants import bare
from salesforce_targeted.demo_org.seeding.core import (
    NOON_OF_THE_END,
    account_of,
    audit,
    relation_row,
)
from salesforce_targeted.demo_org.storage import people
from salesforce_targeted.demo_org.storage.derived import computed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from salesforce_targeted.demo_org.storage.state import OrgState

SIZES = (1, 1, 1, 0, 3, 1, 1, 0, 2, 0)  # contacts by the last digit of the event's number
WITH_LEAD = (3, 7)
WITH_NO_PERSON = 9
LENGTHS = (15, 30, 60, 90)


def _contacts(org: OrgState, count: int, rng: random.Random) -> Iterator[str]:
    """Yield first each of so many contacts, then any of them for ever."""
    numbering, total = org.contacts.numbering, org.crowd.count
    known = [org.hostile_id, org.empty_id]
    sampled = [numbering.id_of(o) for o in rng.sample(range(total), min(total, count))]
    pool = list(dict.fromkeys([*known, *sampled]))[: max(3, count)]
    yield from pool
    while True:
        yield rng.choice(pool)


def _groups(
    org: OrgState, count: int, lead_ids: list[str], rng: random.Random
) -> Iterator[list[str]]:  # fmt: skip
    """Yield who meets in each event; no person twice."""
    contacts, met = _contacts(org, count * 3 // 5, rng), 0
    for number in range(count):
        if number % 10 in WITH_LEAD and lead_ids:
            yield [lead_ids[met % len(lead_ids)]]
            met += 1
            continue
        group: dict[str, None] = {}
        while len(group) < min(SIZES[number % 10], org.crowd.count):
            group[next(contacts)] = None
        yield list(group)


def events(org: OrgState, count: int, lead_ids: list[str], owners: list[str]) -> None:
    """Make so many events, on the last 300 days and the next 30, and their relations."""
    rng = random.Random(f"{org.seed}/events")
    table, relations = org.tables["Event"], org.tables["EventWhoRelation"]
    about = [org.tables[name] for name in ("Account", "Opportunity") if len(org.tables[name])]
    rows = people.plausible(table.entries.values(), f"{org.seed}/event rows", count)
    plain = dict.fromkeys(("IsArchived", "IsChild", "IsGroupEvent", "IsRecurrence",
                           "IsRecurrence2", "IsAllDayEvent"), False)  # fmt: skip
    for number, whos in enumerate(_groups(org, count, lead_ids, rng)):
        owner = owners[number % len(owners)]
        start = NOON_OF_THE_END - rng.randrange(300 * 96) * 900 + 30 * 86_400
        when = audit(min(start, NOON_OF_THE_END) - 3600 - rng.randrange(86_400), owner)
        what = about[number % len(about)] if about and number % 3 == 0 else None
        row = {
            **rows[number % len(rows)], **plain, **when, "OwnerId": owner, "EventSubtype": "Event",
            "WhoId": whos[0] if whos else None, "WhoCount": len(whos),
            "WhatId": what.numbering.id_of(rng.randrange(len(what))) if what else None,
            "WhatCount": int(what is not None), "StartDateTime": bare(start) + "+0000",
            "DurationInMinutes": rng.choice(LENGTHS), "GroupEventType": None,
            "AccountId": account_of(org, whos[0]) if whos else None,
        }  # fmt: skip
        table.add(number, row | computed("Event", table.entries, row, {"StartDateTime"}))
        named: list[str | None] = [None] if number == WITH_NO_PERSON else [*whos]
        for who in named:
            relation = relation_row(org, table.numbering.id_of(number), who, when)
            relations.add(relations.next_ordinal(), relation)
