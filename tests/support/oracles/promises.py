"""The promises of a run, as sentences about what broke: every table, every cell, every count.

``whole`` is for runs that look at everything (default, full); ``part`` for those that look at less
(since, limit, only): they may leave things undone, and may not make anything false.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.support.oracles.oracle import (
    OBJECTS,
    OURS,
    SHRINK_CONTACTS,
    SHRINK_SHARE,
    Comparison,
    HeldTables,
    Row,
    Shown,
    users_named_by,
)


def must_stop(before: HeldTables, shown: Shown) -> bool:
    """Return whether the org shows so few active contacts that a run may not go on."""
    active = sum(1 for row in before.tables["sf_active_contacts"].values() if row["is_active"])
    count = len(shown.active)
    few = count < active * SHRINK_SHARE and active - count > SHRINK_CONTACTS
    return bool(active) and (count == 0 or few)


def counts_hide(before: HeldTables, shown: Shown) -> bool:
    """Return whether relations of a contact vanished while others of theirs came back or came late.

    Only ids tell that from nothing at all: as many may be shown as were.
    """
    held: dict[str, set[str]] = {}
    now: dict[str, set[str]] = {}
    rows = before.tables["sf_taskwhorelations"]
    newest = max((row["system_modstamp"] for row in rows.values()), default=None)
    for id_, row in rows.items():
        if row["removed_at"] is None:
            held.setdefault(_whose(row["relation_id"]), set()).add(id_)
    for id_, row in shown.relations.items():
        now.setdefault(_whose(row["RelationId"]), set()).add(id_)
    return any(
        held.get(whose, set()) - ids
        and any(
            newest is not None
            and datetime.fromisoformat(shown.relations[id_]["SystemModstamp"]) <= newest
            for id_ in ids - held.get(whose, set())
        )
        for whose, ids in now.items()
    )


def _whose(who: str | None) -> str:
    return who if who and who.startswith("003") else "nobody's and leads'"


def whole(it: Comparison, facts: dict[str, Any]) -> list[str]:
    """Return what a run that looks at everything left untrue."""
    return [
        *it.rows_lost(),
        *_relations(it, facts),
        *_contacts(it),
        *_tasks(it),
        *_users(it),
        *_lives(it, facts),
        *_counts(it, facts),
        *_warnings(it, facts),
    ]


def part(it: Comparison) -> list[str]:
    """Return what a run that looks at less made false: rows that are neither the org's nor as before."""
    broken = list(it.rows_lost())
    for table in OBJECTS:
        for id_, row in it.after[table].items():
            now = list(it.row(table, id_, it.shown.last(table, id_)))
            was = it.before[table].get(id_)
            if now and (was is None or list(_unchanged(table, was, row))):
                broken += now
            newly = row.get("removed_at") and not (was or {}).get("removed_at")
            if newly and id_ in it.shown.relations:
                broken.append(f"{table} {id_} is marked removed")
    for id_, row in it.after["sf_active_contacts"].items():
        before = it.before["sf_active_contacts"].get(id_)
        if before == row:
            continue
        held = sum(
            1 for row in it.after["sf_taskwhorelations"].values()
            if row["relation_id"] == id_ and row["removed_at"] is None
        )  # fmt: skip
        true = row["is_active"] == (id_ in it.shown.active) and (
            row["relation_count"] in {held, it.shown.active[id_]}
        )
        if not true and (before is None or before["is_active"] != row["is_active"]):
            broken.append(f"sf_active_contacts {id_} became {row}")
    return broken


def _relations(it: Comparison, facts: dict[str, Any]) -> Iterator[str]:
    table = "sf_taskwhorelations"
    before, after, shown = it.before[table], it.after[table], it.shown.relations
    yield from _ids(table, set(after), before.keys() | shown.keys())
    for id_, row in after.items():
        flags = (row["removed_at"], row["removed_reason"])
        if id_ in shown:
            yield from it.row(table, id_, shown[id_])
            wanted: tuple[Any, ...] = (None, None)
        elif id_ not in before:
            continue
        else:
            was = before[id_]
            yield from _unchanged(table, was, row)
            wanted = (was["removed_at"], was["removed_reason"])
            if was["removed_at"] is None:
                wanted = (facts["started_at"], it.shown.why_removed(was["task_id"]))
        if flags != wanted:
            yield f"{table} {id_} has removed_at, reason {flags}, not {wanted}"


def _contacts(it: Comparison) -> Iterator[str]:
    before, after = it.before["sf_contacts"], it.after["sf_contacts"]
    seen = it.shown.active.keys() | it.before["sf_active_contacts"].keys()
    yield from _ids(
        "sf_contacts", set(after), before.keys() | (seen & it.shown.live["Contact"].keys())
    )
    for id_ in after:
        yield from it.row("sf_contacts", id_, it.shown.last("sf_contacts", id_))


def _tasks(it: Comparison) -> Iterator[str]:
    before, after = it.before["sf_activities"], it.after["sf_activities"]
    named = {row["task_id"] for row in it.after["sf_taskwhorelations"].values()}
    existing = {
        id_ for id_ in named
        if not (it.shown.all["Task"].get(id_) or {"IsDeleted": True})["IsDeleted"]
    }  # fmt: skip
    yield from _ids("sf_activities", set(after), before.keys() | existing)
    for id_ in after:
        yield from it.row("sf_activities", id_, it.shown.last("sf_activities", id_))


def _users(it: Comparison) -> Iterator[str]:
    before, after, live = it.before["sf_users"], it.after["sf_users"], it.shown.live["User"]
    needed = before.keys() | (users_named_by(it.after) & live.keys())
    for id_ in needed - after.keys():
        yield f"sf_users lacks {id_}"
    for id_ in after.keys() - needed - users_named_by(it.before):
        yield f"sf_users has {id_}, whom nothing names"
    for id_ in after:
        yield from it.row("sf_users", id_, live.get(id_))


def _lives(it: Comparison, facts: dict[str, Any]) -> Iterator[str]:
    table = "sf_active_contacts"
    before, after, active = it.before[table], it.after[table], it.shown.active
    yield from _ids(table, set(after), {*before, *active, *it.after["sf_contacts"]})
    for id_, row in after.items():
        was = before.get(id_)
        wanted: Row = {
            "contact_id": id_,
            "is_active": id_ in active,
            "relation_count": active[id_],
            "gone_reason": _gone(it, id_, was),
        }
        wanted["merged_into"] = _winner(it, id_) if wanted["gone_reason"] == "merged" else None
        if was is not None:
            wanted["first_seen_at"] = was["first_seen_at"]
        if id_ in active:
            wanted |= {"left_at": None, "left_reason": None}
        elif was is not None:
            wanted["left_at"] = facts["started_at"] if was["is_active"] else was["left_at"]
            reasons = _reasons(it, id_)
            if was["is_active"] or reasons:
                earlier = _reasons_before(it, id_) if was["is_active"] else set()
                if row["left_reason"] not in (reasons or earlier or {None}):
                    yield f"{table} {id_} left for {row['left_reason']}, not for {reasons}"
            else:
                wanted["left_reason"] = was["left_reason"]
        for name, value in wanted.items():
            if row[name] != value:
                yield f"{table} {id_}.{name} is {row[name]!r}, not {value!r}"
        if row["first_seen_at"] > row["last_seen_at"]:
            yield f"{table} {id_} was last seen before it was first seen"


def _gone(it: Comparison, id_: str, was: Row | None) -> str | None:
    reason = it.shown.why_gone(id_)
    known = (was or {}).get("gone_reason")
    return known if reason == "hidden" and known in {"deleted", "merged"} else reason


def _winner(it: Comparison, id_: str) -> str | None:
    """Return the last winner of a chain of merges, as far as the org shows it or a run has seen it."""
    lives = it.before["sf_active_contacts"]
    known = (lives.get(id_) or {}).get("merged_into")
    at, passed = id_, {id_}
    while True:
        row = it.shown.all["Contact"].get(at)
        after = row["MasterRecordId"] if row else (lives.get(at) or {}).get("merged_into")
        if after is None or after in passed:
            break
        passed.add(after)
        at = after
    if at == id_ or (known and at not in it.shown.all["Contact"]):
        return known
    return at


def _reasons(it: Comparison, contact_id: str) -> set[str]:
    """Why relations of a contact were found removed, or moved to another one, in this run."""
    before, after = it.before["sf_taskwhorelations"], it.after["sf_taskwhorelations"]
    return {
        after[id_]["removed_reason"] or "relation_removed"
        for id_, row in before.items()
        if row["relation_id"] == contact_id
        and row["removed_at"] is None
        and (after[id_]["removed_at"] is not None or after[id_]["relation_id"] != contact_id)
    }


def _reasons_before(it: Comparison, contact_id: str) -> set[str]:
    """Why relations of a contact were found removed by a run that kept no books about it."""
    held = it.before["sf_taskwhorelations"].values()
    reasons = {
        row["removed_reason"]
        for row in held
        if row["relation_id"] == contact_id and row["removed_at"] is not None
    }
    # Those of one that was merged away were moved to the winner, and no row says whose they were.
    merged = it.shown.why_gone(contact_id) == "merged"
    return reasons or ({"relation_removed"} if merged else reasons)


def _counts(it: Comparison, facts: dict[str, Any]) -> Iterator[str]:
    before, after = it.before["sf_contacts"], it.after["sf_contacts"]
    live, active = it.shown.live["Contact"], it.shown.active
    asked = {*before, *active, *it.before["sf_active_contacts"]}
    updated = sum(it.differs("sf_contacts", id_) for id_ in before if id_ in live)
    wanted = {
        "discovered": len(active),
        "asked": len(asked),
        "retrieved": len(asked & live.keys()),
        "new": len(after.keys() - before.keys()),
        "updated": updated,
        "unchanged": len(asked & live.keys() & before.keys()) - updated,
        "gone": len(asked - live.keys()),
        "rejected": 0,
        "left": 0,
        "held": len(after),
    }
    if wanted != facts["contacts"]:
        yield f"the report says of contacts {facts['contacts']}, not {wanted}"
    rows, rows_before = it.after["sf_taskwhorelations"], it.before["sf_taskwhorelations"]
    relations = {
        "new": len(rows.keys() - rows_before.keys()),
        "removed": sum(
            1 for id_, row in rows_before.items()
            if row["removed_at"] is None and rows[id_]["removed_at"] is not None
        ),
        "held": sum(1 for row in rows.values() if row["removed_at"] is None),
    }  # fmt: skip
    reported = {name: facts["relations"][name] for name in relations}
    if relations != reported:
        yield f"the report says of relations {reported}, not {relations}"
    closure = facts["closure"]
    if (100.0, 0) != (closure["relations_explained_pct"], closure["relations_unexplained"]):
        yield f"the closure is {closure}"
    yield from _missing_tasks(it, closure["task_ids"])


def _missing_tasks(it: Comparison, reported: dict[str, list[str]]) -> Iterator[str]:
    named = {row["task_id"] for row in it.after["sf_taskwhorelations"].values()}
    wanted: dict[str, set[str]] = {"archived": set(), "deleted": set(), "hidden": set()}
    for id_ in named | it.before["sf_activities"].keys():
        row = it.shown.all["Task"].get(id_ or "")
        if id_ and row is None:
            wanted["hidden"].add(id_)
        elif row and (row["IsDeleted"] or row["IsArchived"]):
            wanted["deleted" if row["IsDeleted"] else "archived"].add(id_)
    if wanted != {reason: set(ids) for reason, ids in reported.items()}:
        yield f"the report says of tasks missing {reported}, not {wanted}"


def _warnings(it: Comparison, facts: dict[str, Any]) -> Iterator[str]:
    """Yield each column whose field the org no longer shows and no warning names."""
    text = "\n".join(facts["warnings"])
    for table, object_name in OBJECTS.items():
        fields = {it.normalize(name) for name in it.shown.entries[object_name]}
        for column in it.held.types[table].keys() - fields - OURS:
            if not column.startswith("_dlt") and f"column {column} " not in text:
                yield f"no warning names {table}.{column}, whose field is gone"


def _ids(table: str, held: set[str], wanted: set[str]) -> Iterator[str]:
    for id_ in wanted - held:
        yield f"{table} lacks {id_}"
    for id_ in held - wanted:
        yield f"{table} has {id_}, which nothing calls for"


def _unchanged(table: str, was: Row, row: Row) -> Iterator[str]:
    for name, value in row.items():
        if name not in OURS and was.get(name) != value:
            yield f"{table} {row['id']}.{name} was {was.get(name)!r} and became {value!r}"
