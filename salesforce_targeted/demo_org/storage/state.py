"""Hold what an org is at one moment: objects, who may see what, clock, sessions and counters.

Rules:
- What ``query`` and ``queryAll`` show is decided here and nowhere else (:meth:`OrgState.shows`).
- Relations follow their task or event: gone from ``query`` while it is deleted or archived, except
  those of ``outliving`` tasks, which the org that this project grew from showed all the same.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter, deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from salesforce_targeted.demo_org.faults.faults import Faults
from salesforce_targeted.demo_org.ids import normal, to_18
from salesforce_targeted.demo_org.instants import END, text_of
from salesforce_targeted.demo_org.schema import activities as activity_schema
from salesforce_targeted.demo_org.schema import core, sales
from salesforce_targeted.demo_org.schema.activity_kinds import (
    ACTIVITIES,
    BY_RELATIONS,
    EVENT,
    TASK,
    Activity,
)
from salesforce_targeted.demo_org.storage.tables import ContactTable, Table, compound
from salesforce_targeted.demo_org.storage.traits import Traits
from salesforce_targeted.demo_org.storage.unreadable import Poisons
from salesforce_targeted.demo_org.storage.waits import longest_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from salesforce_targeted.demo_org.faults.latency import Latency
    from salesforce_targeted.demo_org.schema.fields import Entry
    from salesforce_targeted.demo_org.storage.people import Crowd, Row

NOT_BILLED = frozenset({"token", "soap", "versions", "userinfo"})
OBJECTS_WITHOUT_BULK = frozenset(kind.relations for kind in ACTIVITIES)


class OrgState:
    """One org; every public name may be read or set by a test at any time, under ``lock``."""

    def __init__(self, tables: Iterable[Table], seed: int) -> None:
        self.lock = threading.RLock()
        self.seed = seed
        self.tables: dict[str, Table] = {table.name: table for table in tables}
        self.now: datetime = END
        self.hostile_id = ""  # of a contact
        self.hostile_ids: dict[str, str] = {}  # by object; only ``DemoOrg.varied`` has more
        self.empty_id = ""
        self.outliving: set[int] = set()  # tasks whose relations show although the task does not
        # [K] whether relations of a deleted contact show is not documented; strict: they do not.
        self.relations_outlive_contacts = False  # a deleted lead's neither
        # [K] a lookup is cleared when what it names is deleted, "clear the value of this field"
        # being the default; True: it goes on naming it.
        self.lookups_outlive_parents = False
        self.traits = Traits()
        self.shared_activities = True
        self.hidden_objects: set[str] = set()  # that our user may not see at all
        self.my_domain = True  # False: this host is login.salesforce.com
        self.rotate_refresh_tokens = False
        self.users_by_name = {"integration@demo.example": "demo-password"}
        self.security_token = "SECURITYTOKEN"  # noqa: S105 - known to all
        self.client_id, self.client_secret = "demo-client-id", "demo-client-secret"
        self.client_credentials_user = True
        self.jwt_public_key: bytes | None = None  # PEM; None: signatures are not checked
        self.refresh_tokens: set[str] = {"demo-refresh-token"}
        self.sessions: set[str] = set()
        self.sessions_with_expired_password: set[str] = set()  # these can read nothing
        self._sessions_made = 0
        self.token_secret = "demoSession"  # noqa: S105 - the end of every session's token
        self.page_rows = 2000
        self.bulk_seconds = 0.0
        self.bulk_page_rows = 50_000
        self.jobs_made = 0
        self.daily_limit, self.daily_used = 15_000, 0
        self.latency: Latency | None = None
        self.faults = Faults()
        self.poisons = Poisons(lambda name, id_: self.find(self.tables[name], id_))
        self.refreshes: list[str] = []
        self.calls: Counter[str] = Counter()
        self.arrived: deque[tuple[str, str]] = deque(maxlen=100_000)
        # When each billed call arrived and when its response was ready to be sent.
        self.spans: deque[tuple[float, float]] = deque(maxlen=100_000)
        self.unexpected: list[str] = []
        self.writes_attempted: list[str] = []
        self.cursors: dict[str, Any] = {}
        self.jobs: dict[str, Any] = {}
        # Called with the kind of each call and part of a composite before it is answered.
        self.before_calls: list[Callable[..., object]] = []
        self.page_shifts: dict[str, list[int]] = {}  # by object; see ``Moves.shift_pages``
        self.org_id = to_18(f"00D5g0000{(seed + 1) % 1000:03}XYZ")

    # ---------------------------------------------------------------- sessions and counters
    def issue_token(self) -> str:
        """Sign in: return a new valid access token."""
        with self.lock:
            self._sessions_made += 1
            token = f"{self.org_id[:15]}!AQ{self.seed}.{self._sessions_made:06}.{self.token_secret}"
            if self.traits.jwt_tokens:
                token = self._jwt()
            self.sessions.add(token)
            return token

    def _jwt(self) -> str:
        user = self.tables["User"].numbering.id_of(0)
        claims = {"scp": "api refresh_token", "sub": f"uid:{user}", "jti": self._sessions_made}
        parts = ({"alg": "RS256", "typ": "JWT", "tty": "sfdc-core-token"}, claims)
        texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
        return ".".join([*(text.rstrip("=") for text in texts), self.token_secret])

    def expire_sessions(self) -> None:
        """End every session: the next call of each gets 401."""
        with self.lock:
            self.sessions.clear()

    @property
    def billed(self) -> int:
        """Return the calls billed since the start or :meth:`reset_calls`."""
        return sum(self.calls.values())

    @property
    def waits(self) -> int:
        """Return how many billed calls waited for one another since :meth:`reset_calls`."""
        with self.lock:
            return longest_chain(self.spans)

    def reset_calls(self) -> None:
        """Count calls from zero again; the daily allowance stays used."""
        with self.lock:
            self.calls.clear()
            self.arrived.clear()
            self.spans.clear()

    def bill(self, kind: str, calls: int = 1) -> bool:
        """Count a call of that kind; False if the day's calls are spent."""
        with self.lock:
            if kind in NOT_BILLED:
                return True
            self.calls[kind] += calls
            if self.daily_used + calls > self.daily_limit:
                return False
            self.daily_used += calls
            return True

    def advance(self, seconds: float) -> None:
        """Let time go by."""
        with self.lock:
            self.now += timedelta(seconds=seconds)

    def begin_call(self, kind: str) -> None:
        """Let what waits for a call of that kind happen."""
        for prepare in self.before_calls:
            prepare(kind, billed=kind not in NOT_BILLED)

    @property
    def now_text(self) -> str:
        """Return the clock as JSON carries it."""
        return text_of(self.now)

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Return the last 100,000 requests as (method, path with its query), oldest first."""
        with self.lock:
            return list(self.arrived)

    # ---------------------------------------------------------------- objects and rows
    @property
    def contacts(self) -> ContactTable:
        """Return the table of contacts."""
        table = self.tables["Contact"]
        assert isinstance(table, ContactTable)
        return table

    @property
    def crowd(self) -> Crowd:
        """Return the contacts that are made by number."""
        return self.contacts.crowd

    def object(self, name: str) -> Table | None:
        """Return an object's table by its name in any case; None if our user has no such object."""
        for table in self.tables.values():
            if table.name.lower() == name.lower():
                absent = table.name in BY_RELATIONS and not self.shared_activities
                return None if absent or table.name in self.hidden_objects else table
        return None

    def find(self, table: Table, id_: str) -> int | None:
        """Return the ordinal of an existing row in any state; None if there is none."""
        full = normal(id_)
        ordinal = None if full is None else table.numbering.ordinal_of(full)
        return ordinal if ordinal is not None and ordinal in table else None

    def shows(self, table: Table, ordinal: int, row: Row, *, all_rows: bool) -> bool:
        """Return whether ``query`` (or ``queryAll``) returns the row to our user."""
        if ordinal in table.hidden:
            return False
        if table.name in BY_RELATIONS:
            return self._shows_relation(BY_RELATIONS[table.name], row)
        if all_rows:
            return True
        return not row.get("IsDeleted") and not row.get("IsArchived")

    def _shows_relation(self, kind: Activity, row: Row) -> bool:
        activities = self.tables[kind.name]
        number = activities.numbering.ordinal_of(row[kind.reference])
        activity = None if number is None else activities.row(number)
        if activity is None:
            return False
        outlives = kind is TASK and number in self.outliving
        if not outlives and (activity["IsDeleted"] or activity["IsArchived"]):
            return False
        who = row["RelationId"]
        if who is None or self.relations_outlive_contacts:
            return True
        contact = self.contacts.numbering.ordinal_of(who)
        if contact is None:
            leads = self.tables["Lead"]
            lead = leads.numbering.ordinal_of(who)
            return lead is None or not leads.changed.get(lead, {}).get("IsDeleted")
        changes = self.contacts.changed.get(contact, {})
        return contact not in self.contacts.purged and not changes.get("IsDeleted")

    def visible(
        self, table: Table, *, all_rows: bool, ordinals: Iterable[int] | None = None,
        keep: Callable[[Row], bool] | None = None,
    ) -> Iterator[int]:  # fmt: skip
        """Yield ordinals of the rows that our user sees, of *ordinals* or of all, in that order."""
        plain = isinstance(table, ContactTable)
        for ordinal in table.ordinals() if ordinals is None else ordinals:
            untouched = plain and ordinal not in table.changed and ordinal not in table.hidden
            if untouched and keep is None:
                if ordinal in table:
                    yield ordinal
                continue
            row = table.row(ordinal)
            if row is None or not self.shows(table, ordinal, row, all_rows=all_rows):
                continue
            if keep is None or keep(row):
                yield ordinal

    def value(self, table: Table, row: Row, name: str) -> Any:
        """Return a field's value in a row; compound ones are put together."""
        if table.entries[name]["type"] in ("address", "location"):
            return compound(row, name)
        return row.get(name)

    def parent(self, id_: str | None) -> tuple[Table, Row] | None:
        """Return the row that a reference points at, if our user may see it."""
        if not id_:
            return None
        for table in self.tables.values():
            if id_.startswith(table.numbering.prefix):
                ordinal = table.numbering.ordinal_of(id_)
                row = None if ordinal is None else table.row(ordinal)
                if ordinal is None or row is None:
                    return None
                return (table, row) if self.shows(table, ordinal, row, all_rows=True) else None
        return None

    # ---------------------------------------------------------------- for oracles
    def rows(
        self, object: str, all_rows: bool = False, ids: Iterable[str] | None = None
    ) -> dict[str, Row]:
        """Return what ``query`` (``queryAll``) shows our user: each visible field of each row."""
        with self.lock:
            table = self.object(object)
            if table is None:
                return {}
            names = list(table.visible_entries())
            wanted: Iterable[int] | None = None
            if ids is not None:
                ordinals = {self.find(table, id_) for id_ in ids}
                wanted = sorted(ordinal for ordinal in ordinals if ordinal is not None)
            rows = {}
            for ordinal in self.visible(table, all_rows=all_rows, ordinals=wanted):
                row = table.row(ordinal)
                assert row is not None
                rows[row["Id"]] = {name: self.value(table, row, name) for name in names}
            return rows

    def fields(self, object: str) -> list[Entry]:
        """Return the describe entries that our user sees; none if the object is not there."""
        with self.lock:
            table = self.object(object)
            return [] if table is None else [dict(e) for e in table.visible_entries().values()]

    def active_ids(self) -> list[str]:
        """Return ids of contacts that a visible relation (or Task.WhoId) names, ascending."""
        source = TASK.relations if self.shared_activities else TASK.name
        return self.named_ids(source, "RelationId" if self.shared_activities else "WhoId")

    def named_ids(
        self, by: str, field: str, object: str = "Contact",
        keep: Callable[[Row], bool] | None = None,
    ) -> list[str]:  # fmt: skip
        """Return ids of an object that *field* of visible rows of *by* names, ascending.

        Args:
            keep: Which rows of *by* count; all, if it is not given.
        """
        with self.lock:
            table, prefix = self.tables[by], self.tables[object].numbering.prefix
            ids = set()
            for ordinal in self.visible(table, all_rows=False, keep=keep):
                row = table.row(ordinal)
                ids.add(row.get(field) if row else None)
            return sorted(id_ for id_ in ids if id_ and id_.startswith(prefix))


def new_tables() -> list[Table]:
    """Return the stored objects, empty; contacts need a crowd and are made by the seeding."""
    return [
        Table("Account", "001", core.account()),
        Table("User", "005", core.user()),
        Table("Lead", "00Q", sales.lead()),
        Table(TASK.name, TASK.prefix, activity_schema.task()),
        Table(TASK.relations, TASK.relation_prefix, activity_schema.task_who_relation()),
        Table("UserPermissionAccess", "1C5", core.user_permission_access()),
        Table(EVENT.name, EVENT.prefix, activity_schema.event()),
        Table(EVENT.relations, EVENT.relation_prefix, activity_schema.event_who_relation()),
        Table("Opportunity", "006", sales.opportunity()),
        Table("Visit__c", "a0B", sales.visit()),
    ]
