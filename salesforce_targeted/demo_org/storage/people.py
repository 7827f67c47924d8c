"""Contacts by number: any of 600,000 is made when it is asked for, always the same.

Rules:
- A row is a *variant* (one of a few hundred prepared rows) under the *own* values that depend on
  the contact's number. Both parts are pure functions of seed and number; nothing is stored.
- Own values need no escaping in JSON or CSV, so whole pages can be written from templates.
- Creation follows the number and a stamp follows creation by at most ``STAMP_SPREAD`` seconds:
  a bound on SystemModstamp becomes a bound on the number.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from salesforce_targeted.demo_org.ids import Numbering
from salesforce_targeted.demo_org.instants import bare, day_text
from salesforce_targeted.demo_org.schema import core
from salesforce_targeted.demo_org.schema.fields import COMPOUND_TYPES, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Row = dict[str, Any]

VARIANTS = 251
PLAUSIBLE = 53
STAMP_SPREAD = 21 * 86_400
FIRST_CREATED = 1_451_606_400  # 2016-01-01
LAST_CREATED = 1_790_812_800  # 2026-10-01

FIRST_NAMES = (
    "Ada", "Björn", "Chloé", "Dmitri", "Esmé", "Fatima", "Grace", "Hiro", "Ines", "José",
    "Karin", "Łukasz", "Mei", "Noah", "Olga", "Priya", "Quentin", "Rosa", "Søren", "Tariq",
    "Ursula", "Víctor", "Wen", "Ximena", "Yusuf", "Zoë", "健", "Ольга",
)  # fmt: skip
LAST_NAMES = (
    "Abbott", "Bauer", "Castillo", "Dupont", "Eriksen", "Fischer", "García", "Horváth", "Ivanova",
    "Jansen", "Kowalski", "Lindqvist", "Müller", "Nakamura", "O'Brien", "Petrov", "Quispe", "Rossi",
    "Schäfer", "Tanaka", "Urquhart", "Vargas", "Weiß", "Xu", "Y\u0131lmaz", "Zimmermann",
    "de la Cruz",
)  # fmt: skip
OWN = (
    "Id", "LastName", "Name", "Email", "Phone", "AccountId", "OwnerId", "CreatedDate",
    "LastModifiedDate", "SystemModstamp", "PhotoUrl", "NPI__c", "External_Key__c",
    "Full_Label__c", "Account_Tier__c", "CreatedById", "LastModifiedById",
)  # fmt: skip
INSTANTS = frozenset({"CreatedDate", "LastModifiedDate", "SystemModstamp"})
MAYBE_NULL = {"Email": 0.2, "Phone": 0.15, "NPI__c": 0.6, "External_Key__c": 0.5}

_WORDS = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
]


def invented(entry: Entry, rng: random.Random) -> Any:
    """Return a plausible value of the field's type; null as often as real orgs leave it empty."""
    kind, name, length = entry["type"], entry["name"], entry["length"]
    if kind == "boolean":
        return rng.random() < 0.3
    if entry["nillable"] and rng.random() < 0.35:
        return None
    if entry["picklistValues"]:
        values = [choice["value"] for choice in entry["picklistValues"]]
        if kind == "multipicklist":
            return ";".join(sorted(rng.sample(values, rng.randint(1, 3)), key=values.index))
        return rng.choice(values)
    if kind == "int":
        return rng.randint(0, 5000)
    if kind in ("double", "currency", "percent"):
        if "Latitude" in name or "Longitude" in name:
            return round(rng.uniform(-80, 80), 6)
        whole = min(entry["precision"] - entry["scale"], 6)
        return round(rng.uniform(0, 10**whole - 1), min(entry["scale"], 4))
    if kind == "date":
        return day_text(rng.randint(14_000, 20_700))
    if kind == "datetime":
        return bare(rng.randint(1_500_000_000, 1_790_000_000)) + "+0000"
    if kind == "time":
        return f"{rng.randint(6, 20):02}:{rng.randint(0, 59):02}:00.000Z"
    if kind == "phone":
        return f"({rng.randint(200, 999)}) 555-{rng.randint(0, 9999):04}"
    if kind == "email":
        return f"{rng.choice(_WORDS)}.{rng.randint(1, 9999)}@example.org"
    if kind == "url":
        return f"https://{rng.choice(_WORDS)}.example.org/{rng.randint(1, 999)}"
    if kind == "textarea":
        return "\n".join(" ".join(rng.choices(_WORDS, k=rng.randint(2, 6))) for _ in range(2))
    if kind == "reference":
        return None
    return " ".join(rng.choices(_WORDS, k=2)).title()[:length]


def plausible(entries: Iterable[Entry], seed: str, count: int) -> list[Row]:
    """Return invented rows to vary *count* records by, a few dozen at most; no compound fields."""
    rng = random.Random(seed)
    plain = [entry for entry in entries if entry["type"] not in COMPOUND_TYPES]
    return [{e["name"]: invented(e, rng) for e in plain} for _ in range(min(count, PLAUSIBLE))]


class Crowd:
    """Be the contacts that are unchanged so far."""

    def __init__(
        self, seed: int, count: int, accounts: Sequence[str], users: Sequence[str],
        tiers: dict[str, Any],
    ) -> None:  # fmt: skip
        self.seed, self.count = seed, count
        self.numbering = Numbering("003")
        self.tiers = tiers
        self._accounts, self._users = accounts, users
        self._step = (LAST_CREATED - FIRST_CREATED) / max(count, 1)
        self._entries = [e for e in core.contact() if e["type"] not in COMPOUND_TYPES]
        self._variants: list[Row | None] = [None] * VARIANTS

    def variant(self, number: int) -> Row:
        """Return all values but the own ones; an own name stands here only where it is null."""
        row = self._variants[number]
        if row is None:
            rng = random.Random(f"{self.seed}/{number}")
            row = {e["name"]: invented(e, rng) for e in self._entries}
            row["IsDeleted"] = row["IsEmailBounced"] = False
            row["MasterRecordId"] = None
            row["FirstName"] = rng.choice(FIRST_NAMES)
            row["Preferred_Rep__c"] = rng.choice([None, *self._users])
            visits = row["Visits__c"]
            row["Visits_Doubled__c"] = None if visits is None else visits * 2
            row["Is_Valuable__c"] = (row["Score__c"] or 0) > 50
            for name in OWN:
                del row[name]
                if rng.random() < MAYBE_NULL.get(name, 0):
                    row[name] = None
            self._variants[number] = row
        return row

    def created(self, ordinal: int) -> int:
        """Return the seconds since 1970 at which contact *ordinal* was created."""
        return int(FIRST_CREATED + ordinal * self._step)

    def first_possible(self, seconds: int) -> int:
        """Return the lowest ordinal whose SystemModstamp can be *seconds* or later."""
        return max(0, int((seconds - STAMP_SPREAD - FIRST_CREATED) / self._step) - 1)

    def account_of(self, ordinal: int) -> str:
        """Return the account that contact *ordinal* belongs to."""
        return self._accounts[ordinal * 7919 % len(self._accounts)]

    def own(self, ordinal: int) -> tuple[str, ...]:
        """Return the values of the fields ``OWN``, in that order; instants without their offset."""
        id_ = self.numbering.id_of(ordinal)
        variant = self.variant(ordinal % VARIANTS)
        round_ = ordinal // VARIANTS
        last = LAST_NAMES[(ordinal * 31 + round_) % len(LAST_NAMES)]
        account = self.account_of(ordinal)
        owner = self._users[ordinal * 13 % len(self._users)]
        created = self.created(ordinal)
        modified = created + ordinal * 7919 % (20 * 86_400)
        return (
            id_, last, f"{variant['FirstName']} {last}", f"contact{ordinal}@example.com",
            f"(555) {ordinal // 10_000:03}-{ordinal % 10_000:04}", account, owner,
            bare(created), bare(modified), bare(modified - modified % 900 + 900),
            f"/services/images/photo/{id_}", f"{1_000_000_000 + ordinal * 1487 % 899_999_981}",
            f"K-{ordinal:08x}", f"{last} / {variant['Region__c'] or ''}", self.tiers[account],
            owner, self._users[ordinal * 17 % len(self._users)],
        )  # fmt: skip

    def row(self, ordinal: int) -> Row:
        """Return contact *ordinal*, every field but the compound ones."""
        own = dict(zip(OWN, self.own(ordinal), strict=True))
        for name in INSTANTS:
            own[name] += "+0000"
        return {**own, **self.variant(ordinal % VARIANTS)}


def derive(row: Row, tiers: dict[str, Any]) -> Row:
    """Compute a contact's name and formulas from its other fields."""
    visits = row.get("Visits__c")
    return {
        "Name": " ".join(filter(None, (row.get("FirstName"), row.get("LastName")))),
        "Full_Label__c": f"{row.get('LastName') or ''} / {row.get('Region__c') or ''}",
        "Visits_Doubled__c": None if visits is None else visits * 2,
        "Is_Valuable__c": (row.get("Score__c") or 0) > 50,
        "Account_Tier__c": tiers.get(row.get("AccountId") or ""),
    }
