"""What can happen in an org between two runs, as rules of a state machine; each writes a sentence.

Every row of the table "What an org does" is a rule here. ``pick`` chooses among what the org has at
that moment; ``late`` commits the change with stamps that far in the past, up to the lag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from salesforce_targeted.demo_org import DemoOrg

PICK = st.integers(0, 10_000)
LATE = st.sampled_from([0, 0, 0, 300, 900])
WORDS = st.sampled_from(["x", 'Zoë "quoted", \\ and\r\nmore', "null", "", None, "nul\0in", "😈"])
# Fields without which a deleted record can't be told from a live one, or a relation from none.
STRUCTURAL = {"Id", "IsDeleted", "IsArchived", "MasterRecordId", "SystemModstamp", "WhoId"}
# Field, its new type, and what becomes of a value: some fit the old column, some do not.
NEW_TYPES: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("Degree__c", "double", lambda text: float(len(text))),
    ("Market_Share__c", "string", lambda share: f"{share}" if share > 40 else f"about {share}"),
    ("Rank__c", "double", lambda rank: rank + 0.5 if rank % 2 else float(rank)),
    ("Active__c", "string", lambda flag: "yes" if flag else "false"),
    ("First_Contact__c", "datetime", lambda day: f"{day}T{day[-2:][:1]}0:00:00.000+0000"),
    ("Last_Visit__c", "date", lambda moment: moment[:10]),
    ("Region__c", "multipicklist", str),
]
# Type and two values of fields that get added.
NEW_FIELDS: dict[str, list[Any]] = {
    "string": ["a", "b\tc"], "double": [1.5, -0.0], "int": [7, -1], "boolean": [True, True],
    "date": ["2024-02-29", "1700-01-01"], "datetime": ["2024-02-29T01:02:03.004+0000"] * 2,
    "time": ["23:59:59.999Z", "00:00:00.000Z"], "multipicklist": ["a;b", "c"],
}  # fmt: skip


class Happenings(RuleBasedStateMachine):
    """An org that things happen to."""

    org: DemoOrg

    def say(self, sentence: str) -> None:
        """One line of the history, printed if it fails."""
        note(sentence)

    def do(self, sentence: str, change: Callable[[], Any], late: int = 0) -> None:
        """Let something happen, late if so, and say it."""
        note(sentence + (f", committed {late} s late" if late else ""))
        if late:
            self.org.commit_late(change, late)
        else:
            change()

    @staticmethod
    def one_of(ids: Iterable[Any], pick: int) -> Any:
        """One of some ids, or None where there are none."""
        listed = sorted(ids)
        return listed[pick % len(listed)] if listed else None

    def live(self, name: str) -> list[str]:
        """Ids of the records that our user sees."""
        return list(self.org.rows(name))

    def who(self, pick: int) -> str:
        """Return a contact that our user sees; every other pick is an active one."""
        live = self.live("Contact")
        active = set(self.org.active_ids()) & set(live)
        return str(self.one_of(active if pick % 2 and active else live, pick // 2))

    def deleted(self, name: str) -> list[str]:
        """Ids in the recycle bin, merged records left out."""
        rows = self.org.rows(name, all_rows=True)
        return [
            id_ for id_, row in rows.items() if row["IsDeleted"] and not row.get("MasterRecordId")
        ]

    def hidden(self, name: str) -> list[str]:
        """Ids of the records that exist and that our user does not see."""
        table = self.org.tables[name]
        return [table.numbering.id_of(ordinal) for ordinal in table.hidden]

    # ------------------------------------------------------------ activity

    @rule(pick=PICK, picks=st.lists(PICK, max_size=2), late=LATE)
    def task_logged(self, pick: int, picks: list[int], late: int) -> None:
        who = [self.who(p) for p in (pick, *picks)]
        self.do(f"a task is logged on {', '.join(who)}", lambda: self.org.log_task(who), late)

    @rule(pick=PICK, lead=st.booleans(), late=LATE)
    def lead_or_nobody_related(self, pick: int, lead: bool, late: int) -> None:
        task = self.one_of(self.live("Task"), pick)
        who = self.one_of(self.live("Lead"), pick) if lead else None
        if task and (lead or self.org.shared_activities):
            self.do(f"{who} is related to {task}", lambda: self.org.relate(task, who), late)

    @rule(pick=PICK)
    def relation_removed(self, pick: int) -> None:
        relation = self.one_of(self.org.tables["TaskWhoRelation"].changed, pick)
        if relation is None:
            return
        id_ = self.org.tables["TaskWhoRelation"].numbering.id_of(relation)
        self.do(f"relation {id_} is removed", lambda: self.org.remove_relation(id_))

    @rule(pick=PICK, late=LATE)
    def task_deleted(self, pick: int, late: int) -> None:
        task = self.one_of(self.live("Task"), pick)
        if task:
            self.do(f"task {task} is deleted", lambda: self.org.delete_task(task), late)

    @rule(pick=PICK)
    def task_undeleted(self, pick: int) -> None:
        task = self.one_of(self.deleted("Task"), pick)
        if task:
            self.do(f"task {task} is undeleted", lambda: self.org.undelete_task(task))

    @rule(pick=PICK, late=LATE)
    def task_archived(self, pick: int, late: int) -> None:
        task = self.one_of(self.live("Task"), pick)
        if task:
            self.do(f"task {task} is archived", lambda: self.org.archive_task(task), late)

    @rule(pick=PICK)
    def task_purged(self, pick: int) -> None:
        task = self.one_of(self.deleted("Task"), pick)
        if task:
            self.do(f"task {task} is purged", lambda: self.org.purge_task(task))

    @rule(pick=PICK, shown=st.booleans())
    def record_hidden_or_shown(self, pick: int, shown: bool) -> None:
        name = ("Contact", "Contact", "Task", "User")[pick % 4]
        ids = self.hidden(name) if shown else self.live(name)
        id_ = self.who(pick) if name == "Contact" and not shown else self.one_of(ids, pick)
        if id_ is None:
            return
        table = self.org.tables[name]
        ordinal = table.numbering.ordinal_of(id_)
        change = table.hidden.discard if shown else table.hidden.add
        self.do(f"{name} {id_} is {'shown' if shown else 'hidden'}", lambda: change(ordinal))

    # ------------------------------------------------------------ contacts

    @rule(pick=PICK, word=WORDS, late=LATE)
    def record_edited(self, pick: int, word: str | None, late: int) -> None:
        name, field = (("Contact", "Title"), ("Contact", "Description"), ("Task", "Subject"),
                       ("User", "Department"))[pick % 4]  # fmt: skip
        id_ = self.who(pick) if name == "Contact" else self.one_of(self.live(name), pick)
        if id_ and field in self.org.tables[name].entries:
            self.do(
                f"{name} {id_} is edited: {field} = {word!r}",
                lambda: self.org.edit(name, id_, **{field: word}),
                late,
            )

    @rule(pick=PICK, owner=PICK)
    def owner_changed(self, pick: int, owner: int) -> None:
        name = ("Contact", "Task")[pick % 2]
        id_ = self.who(pick) if name == "Contact" else self.one_of(self.live(name), pick)
        user = self.one_of(self.live("User"), owner)
        if id_ and user:
            self.do(f"{name} {id_} is now {user}'s", lambda: self.org.edit(name, id_, OwnerId=user))

    @rule(pick=PICK, tier=st.sampled_from(["Lead", "Tin", None]))
    def formula_moves(self, pick: int, tier: str | None) -> None:
        if pick % 2:
            id_ = self.who(pick)
            self.do(
                f"a formula of {id_} becomes {tier!r}; no stamp moves",
                lambda: self.org.set_silently("Contact", id_, Full_Label__c=tier),
            )
        else:
            account = self.one_of(self.live("Account"), pick)
            self.do(
                f"account {account} becomes {tier!r}; its contacts show it, no stamp of theirs moves",
                lambda: self.org.edit("Account", account, Tier__c=tier),
            )

    @rule(pick=PICK, late=LATE)
    def contact_deleted(self, pick: int, late: int) -> None:
        id_ = self.who(pick)
        self.do(f"contact {id_} is deleted", lambda: self.org.delete_contact(id_), late)

    @rule(pick=PICK)
    def contact_undeleted(self, pick: int) -> None:
        id_ = self.one_of(self.deleted("Contact"), pick)
        if id_:
            self.do(f"contact {id_} is undeleted", lambda: self.org.undelete_contact(id_))

    @rule(pick=PICK)
    def contact_purged(self, pick: int) -> None:
        rows = self.org.rows("Contact", all_rows=True)
        id_ = self.one_of([id_ for id_, row in rows.items() if row["IsDeleted"]], pick)
        if id_:
            self.do(f"contact {id_} is purged", lambda: self.org.purge_contact(id_))

    @rule(winner=PICK, losers=st.lists(PICK, min_size=1, max_size=2), late=LATE)
    def contacts_merged(self, winner: int, losers: list[int], late: int) -> None:
        kept = self.who(winner)
        lost = sorted({self.who(loser) for loser in losers} - {kept})
        if lost:
            self.do(
                f"{', '.join(lost)} are merged into {kept}",
                lambda: self.org.merge(kept, lost),
                late,
            )

    @rule(pick=PICK)
    def stamps_bumped(self, pick: int) -> None:
        name = ("TaskWhoRelation", "Contact", "Task")[pick % 3]
        self.do(f"a system job bumps all stamps of {name}", lambda: self.org.bump_stamps(name))

    # ------------------------------------------------------------ fields

    @rule(pick=PICK, kind=st.sampled_from(sorted(NEW_FIELDS)), filled=st.booleans())
    def field_added(self, pick: int, kind: str, filled: bool) -> None:
        name = ("Contact", "Contact", "Task", "User")[pick % 4]
        field = f"Added_{pick % 3}__c"
        if field in self.org.tables[name].entries:
            return
        ids = sorted(self.org.rows(name))[pick % 3 :: 2] if filled else []
        values = {id_: NEW_FIELDS[kind][at % 2] for at, id_ in enumerate(ids)}
        self.do(
            f"field {name}.{field} ({kind}) is added with {len(values)} values",
            lambda: self.org.add_field(name, field, kind, values),
        )

    @rule(pick=PICK, how=st.sampled_from(["hidden", "shown", "dropped"]))
    def field_hidden_shown_or_dropped(self, pick: int, how: str) -> None:
        name = ("Contact", "Contact", "Task", "User")[pick % 4]
        table = self.org.tables[name]
        if how == "shown":
            field = self.one_of(table.unseen & table.entries.keys(), pick)
        else:
            names = set(table.visible_entries()) - STRUCTURAL
            dropped = {"Title", "Department"} | {f for f in names if f.endswith("__c")}
            favoured = {"Title", "Description", "Full_Label__c", "Subject", "OwnerId"} | {
                f for f in names if f.startswith("Added_")
            }
            names &= favoured if pick % 3 else names if how == "hidden" else dropped
            field = self.one_of((n for n in names if n.endswith("__c") or how == "hidden"), pick)
        if field is None:
            return
        act = {"hidden": self.org.hide_field, "shown": self.org.show_field,
               "dropped": self.org.drop_field}[how]  # fmt: skip
        self.do(f"field {name}.{field} is {how}", lambda: act(name, field))

    @rule(pick=PICK)
    def field_changes_type(self, pick: int) -> None:
        field, kind, convert = NEW_TYPES[pick % len(NEW_TYPES)]
        entry = self.org.tables["Contact"].entries.get(field)
        if entry is not None and entry["type"] != kind:
            self.do(
                f"field Contact.{field} changes from {entry['type']} to {kind}",
                lambda: self.org.change_field_type("Contact", field, kind, convert),
            )
