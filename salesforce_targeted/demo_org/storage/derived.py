"""Compute what an org computes from a stored row's other fields: names, stages, formulas.

Rules:
- A computed value moves when a field that it is made of is written; a change that writes the
  computed field itself wins: tests set what no user could.
- Contacts are not stored whole and compute theirs when read: see ``people.derive``.

Source: Object Reference, "Lead", "Opportunity", "Event".
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from salesforce_targeted.demo_org.instants import text_of
from salesforce_targeted.demo_org.schema.sales import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from salesforce_targeted.demo_org.schema.fields import Entry
    from salesforce_targeted.demo_org.storage.people import Row

FORECASTS = {"BestCase": "Best Case", "Forecast": "Commit"}


def _name(row: Row) -> Row:
    return {"Name": " ".join(filter(None, (row.get("FirstName"), row.get("LastName"))))}


def _stage(row: Row) -> Row:
    """Derive from the stage; one of the org's own (not in ``STAGES``) is open."""
    closed, won, percent, category = STAGES.get(row["StageName"], (False, False, 50, "Pipeline"))
    return {
        "IsClosed": closed, "IsWon": won, "Probability": float(percent),
        "ForecastCategory": category,
        "ForecastCategoryName": FORECASTS.get(category, category),
    }  # fmt: skip


def _expected(row: Row) -> Row:
    amount, percent = row.get("Amount"), row.get("Probability")
    if amount is None or percent is None:
        return {"ExpectedRevenue": None}
    return {"ExpectedRevenue": round(amount * percent / 100, 2)}


def _fiscal(row: Row) -> Row:
    year, month = int(row["CloseDate"][:4]), int(row["CloseDate"][5:7])
    quarter = (month + 2) // 3
    return {"FiscalYear": year, "FiscalQuarter": quarter, "Fiscal": f"{year} {quarter}"}


def _times(row: Row) -> Row:
    start = row.get("StartDateTime")
    if start is None:
        return {}
    end = datetime.fromisoformat(start) + timedelta(minutes=row.get("DurationInMinutes") or 0)
    return {
        "ActivityDateTime": start, "ActivityDate": start[:10], "EndDateTime": text_of(end),
        "EndDate": text_of(end)[:10],
    }  # fmt: skip


def _long(row: Row) -> Row:
    return {"Is_Long__c": (row.get("Minutes__c") or 0) > 45}


RULES: dict[str, tuple[tuple[frozenset[str], Callable[[Row], Row]], ...]] = {
    "Lead": ((frozenset({"FirstName", "LastName"}), _name),),
    "Opportunity": (
        (frozenset({"StageName"}), _stage),
        (frozenset({"Amount", "Probability"}), _expected),
        (frozenset({"CloseDate"}), _fiscal),
    ),
    "Event": ((frozenset({"StartDateTime", "DurationInMinutes"}), _times),),
    "Visit__c": ((frozenset({"Minutes__c"}), _long),),
}


def computed(object: str, entries: dict[str, Entry], row: Row, written: Iterable[str]) -> Row:
    """Return what follows from the fields written; *row* holds the new values already."""
    given = set(written)
    values: Row = {}
    for sources, rule in RULES.get(object, ()):
        if sources & (given | values.keys()) and sources <= entries.keys():
            values.update({k: v for k, v in rule({**row, **values}).items() if k not in given})
    return {name: value for name, value in values.items() if name in entries}
