"""Fills a new org: users, accounts, leads, tasks and exactly so many relations to so many contacts.

Rules:
- Everything follows from the seed; no clock, no global random state.
- Of the relations, shares 61/30/20 in 2,392 point at archived, deleted and hidden tasks, and are
  shown although their task is not: the case that the project grew from.
"""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING, Any

from salesforce_targeted.demo_org.ids import Numbering
from salesforce_targeted.demo_org.instants import bare, day_text
from salesforce_targeted.demo_org.schema import activities as activity_schema
from salesforce_targeted.demo_org.schema import core
from salesforce_targeted.demo_org.schema.activity_kinds import activity_of
from salesforce_targeted.demo_org.seeding import hostile
from salesforce_targeted.demo_org.storage import people

if TYPE_CHECKING:
    from salesforce_targeted.demo_org.schema.fields import Entry
    from salesforce_targeted.demo_org.storage.people import Row
    from salesforce_targeted.demo_org.storage.state import OrgState
    from salesforce_targeted.demo_org.storage.tables import Table

SYSTEM_BUMPS = ("2026-06-01T03:00:07.000+0000", "2026-06-08T03:00:11.000+0000")
NOON_OF_THE_END = 1_795_176_000  # 2026-11-20T12:00:00Z
TROUBLED = {"archived": 61, "deleted": 30, "hidden": 20}  # in 2,392


def audit(when: int, user: str, stamp: str | None = None) -> Row:
    """Audit values of a row made at *when* (seconds) by *user*."""
    text = bare(when) + "+0000"
    return {
        "CreatedDate": text, "CreatedById": user, "LastModifiedDate": text,
        "LastModifiedById": user, "SystemModstamp": stamp or text, "IsDeleted": False,
    }  # fmt: skip


def blank(entries: dict[str, Entry]) -> Row:
    """Return an empty row: false where a field cannot be null; what is absent is null."""
    return {name: False for name, entry in entries.items() if entry["type"] == "boolean"}


def users(table: Table, count: int) -> list[str]:
    """Make users; return their ids."""
    ids = []
    for number in range(count):
        id_ = table.numbering.id_of(number)
        first, last = people.FIRST_NAMES[number % 20], people.LAST_NAMES[number % 20]
        row = audit(people.FIRST_CREATED + number, table.numbering.id_of(0))
        del row["IsDeleted"]
        table.add(number, {
            **blank(table.entries), **row, "FirstName": first, "LastName": last,
            "Name": f"{first} {last}", "Username": f"user{number}@demo.example",
            "Email": f"user{number}@demo.example", "Alias": f"user{number}",
            "IsActive": number % 7 != 6, "TimeZoneSidKey": "America/Los_Angeles",
            "LocaleSidKey": "en_US", "LanguageLocaleKey": "en_US", "EmailEncodingKey": "UTF-8",
            "UserType": "Standard", "CommunityNickname": f"user{number}",
        })  # fmt: skip
        ids.append(id_)
    return ids


def accounts(table: Table, count: int, owners: list[str], rng: random.Random) -> dict[str, Any]:
    """Make accounts; return the tier of each by id."""
    tiers = {}
    for number in range(count):
        values = {e["name"]: people.invented(e, rng) for e in table.entries.values()
                if e["type"] not in ("address", "location", "reference")}  # fmt: skip
        tier = rng.choice(core.TIERS)
        row = audit(people.FIRST_CREATED + number * 60, owners[number % len(owners)])
        table.add(number, {
            **values, **row, "MasterRecordId": None, "ParentId": None, "Tier__c": tier,
            "Name": f"{rng.choice(people.LAST_NAMES)} Clinic {number}",
            "OwnerId": owners[number % len(owners)],
        })  # fmt: skip
        tiers[table.numbering.id_of(number)] = tier
    return tiers


def leads(
    table: Table, count: int, owners: list[str], rng: random.Random, seed: int
) -> list[str]:  # fmt: skip
    """Make leads; return their ids. None is converted, unless a test converts it."""
    rows = people.plausible(table.entries.values(), f"{seed}/leads", count)
    fresh = {"IsConverted": False, "ConvertedDate": None, "JigsawContactId": None}
    for number in range(count):
        first, last = rng.choice(people.FIRST_NAMES), rng.choice(people.LAST_NAMES)
        row = audit(people.FIRST_CREATED + number * 3600, owners[number % len(owners)])
        id_ = table.numbering.id_of(number)
        table.add(number, {
            **rows[number % len(rows)], **fresh, **row, "FirstName": first, "LastName": last,
            "Name": f"{first} {last}", "Company": f"{last} & Co", "Status": "Open",
            "OwnerId": owners[number % len(owners)], "Email": f"lead{number}@example.net",
            "PhotoUrl": f"/services/images/photo/{id_}",
        })  # fmt: skip
    return [table.numbering.id_of(number) for number in range(count)]


def active_ordinals(contacts: int, active: int, rng: random.Random) -> list[int]:
    """List the active contacts, ascending; a pair whose ids differ only by case is among them."""
    chosen = set(rng.sample(range(contacts), active))
    numbering = Numbering("003")
    for first in range(min(200, contacts - 26)):
        id15, other = numbering.id_of(first)[:15], numbering.id_of(first + 26)[:15]
        if id15.lower() == other.lower() and active > 4:
            for wanted in {first, first + 26} - chosen:
                chosen.remove(rng.choice(sorted(chosen - {first, first + 26})))
                chosen.add(wanted)
            break
    return sorted(chosen)


def groups(whos: list[str], rng: random.Random) -> list[list[str]]:
    """Split relation targets into tasks: most with one, some with up to seven, none twice."""
    tasks: list[list[str]] = []
    at = 0
    while at < len(whos):
        size = rng.choice((2, 3, 3, 5, 7)) if rng.random() < 0.03 else 1
        tasks.append(list(dict.fromkeys(whos[at : at + size])))
        # A contact stands once in a task: what the group repeats gets a task of its own.
        spare = list(whos[at : at + size])
        for who in tasks[-1]:
            spare.remove(who)
        tasks += [[who] for who in spare]
        at += size
    return tasks


def task_row(org: OrgState, number: int, whos: list[str], owner: str, rng: random.Random) -> Row:
    """Return a task about those people, logged in the last year."""
    when = NOON_OF_THE_END - 3600 - rng.randrange(300 * 86_400)
    closed = rng.random() < 0.8
    entries = org.tables["Task"].entries
    priority = rng.choice(activity_schema.PRIORITIES)
    return {
        **blank(entries), **audit(when, owner), "OwnerId": owner,
        "WhoId": whos[0] if whos else None, "WhoCount": len(whos), "WhatCount": 0,
        "Subject": rng.choice(("Call", "Email", "Besprechung \u2013 Überblick", "Send Letter")),
        "ActivityDate": day_text(when // 86_400), "Priority": priority, "IsClosed": closed,
        "Status": "Completed" if closed else rng.choice(("Not Started", "In Progress")),
        "IsHighPriority": priority == "High", "TaskSubtype": "Task",
        "AccountId": account_of(org, whos[0]) if whos else None,
        "CompletedDateTime": bare(when) + "+0000" if closed else None,
        "Description": None if number % 3 else f'Spoke about plan {number}.\r\nFollow up, "soon".',
        "Outcome__c": rng.choice((None, "Reached", "Voicemail")),
    }  # fmt: skip


def account_of(org: OrgState, who: str) -> str | None:
    """Return the account of a contact; a lead has none."""
    ordinal = org.contacts.numbering.ordinal_of(who)
    if ordinal is None or ordinal not in org.contacts:
        return None
    if ordinal < org.crowd.count and ordinal not in org.contacts.changed:
        return org.crowd.account_of(ordinal)
    row = org.contacts.row(ordinal)
    return row.get("AccountId") if row else None


def relation_row(org: OrgState, activity_id: str, who: str | None, when: Row) -> Row:
    """Return one relation of a task or an event, with the audit values *when*."""
    kind = None if who is None else "Lead" if who.startswith("00Q") else "Contact"
    return {
        "RelationId": who, activity_of(activity_id).reference: activity_id, "Type": kind,
        "AccountId": account_of(org, who) if who else None, **when,
    }  # fmt: skip


def activities(
    org: OrgState, active: list[int], relations: int, lead_ids: list[str], owners: list[str]
) -> None:
    """Log tasks until there are exactly *relations* relations, one of them with a null target."""
    rng = random.Random(f"{org.seed}/activities")
    ids = [org.contacts.numbering.id_of(ordinal) for ordinal in active]
    more = relations - len(active) - len(lead_ids) - 1
    whos = ids + [ids[int(len(ids) * rng.random() ** 2)] for _ in range(more)]
    rng.shuffle(whos)
    logged: list[list[str | None]] = [list(group) for group in groups(whos, rng)]
    logged += [[lead_id] for lead_id in lead_ids]
    logged.append([None])
    logged += [[] for _ in range(max(1, len(ids) // 16))]
    rng.shuffle(logged)
    tasks, table = org.tables["Task"], org.tables["TaskWhoRelation"]
    number = 0
    for task_number, group in enumerate(logged):
        named = [who for who in group if who]
        task = task_row(org, task_number, named, owners[task_number % len(owners)], rng)
        tasks.add(task_number, task)
        stamp = SYSTEM_BUMPS[task_number % 2] if rng.random() < 0.5 else None
        for who in group:
            when = {k: task[k] for k in ("CreatedDate", "CreatedById", "LastModifiedDate",
                                         "LastModifiedById", "IsDeleted")}  # fmt: skip
            when["SystemModstamp"] = max(stamp or "", task["CreatedDate"])
            row = relation_row(org, tasks.numbering.id_of(task_number), who, when)
            table.add(number, row)
            number += 1
    _trouble(org, relations, [at for at, group in enumerate(logged) if len(group) == 1 and group[0]
                              and group[0].startswith("003")], rng)  # fmt: skip


def _trouble(org: OrgState, relations: int, single: list[int], rng: random.Random) -> None:
    tasks = org.tables["Task"]
    wanted = {cause: max(1, round(share * relations / 2392)) for cause, share in TROUBLED.items()}
    chosen = iter(rng.sample(single, min(len(single), sum(wanted.values()))))
    for cause, count in wanted.items():
        for ordinal in islice(chosen, count):
            org.outliving.add(ordinal)
            if cause == "archived":
                old = {"IsArchived": True, "IsClosed": True, "Status": "Completed",
                       "ActivityDate": "2025-03-0" + str(1 + ordinal % 9)}  # fmt: skip
                tasks.update(ordinal, old)
            elif cause == "deleted":
                tasks.update(ordinal, {"IsDeleted": True})
            else:
                tasks.hidden.add(ordinal)


def special_contacts(org: OrgState, active: list[int]) -> None:
    """Make one active contact hostile and another one as empty as Salesforce allows."""
    contacts = org.contacts
    first, second = active[len(active) // 2], active[len(active) // 3]
    contacts.update(first, hostile.hostile(contacts.entries))
    contacts.update(second, hostile.empty(contacts.entries))
    org.hostile_id = org.hostile_ids["Contact"] = contacts.numbering.id_of(first)
    org.empty_id = contacts.numbering.id_of(second)
