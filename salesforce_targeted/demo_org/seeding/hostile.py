"""Make the hostile record of an object: every value that readers of text, CSV or JSON trip over."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from salesforce_targeted.demo_org.schema.fields import Entry
    from salesforce_targeted.demo_org.storage.people import Row

AWKWARD = (
    'a "quoted" word', "back\\slash at the end\\", "comma, semicolon; pipe|", "line\nfeed",
    "carriage\r\nreturn", "tab\there", "emoji 😈 and 👩\u200d👩\u200d👧", "astral 𝒳𐍈",
    "u2028\u2028u2029\u2029",
    "nel\x85vt\x0bff\x0c", "fs\x1cgs\x1drs\x1e", "rtl \u202eabc\u202c עברית", "null", "NA", "N/A",
    "None", "\\N", "\\.", "  leading", "trailing  ", '"quoted"', "nul\x00inside", "true", "0123",
    "1e5", "'; DROP TABLE x; --", "NaN", "-", "=1+1", "e\u0301 combining", "\ufeffbom",
)  # fmt: skip
NUMBERS = (1.2345678901234568e17, 0.1 + 0.2, -0.0, 1e-7, 99999999999999.98, -1.5, 123456.789)
DATES = ("1700-01-01", "4000-12-31", "1970-01-01", "2024-02-29")


def hostile(entries: dict[str, Entry]) -> Row:
    """Return values for every field that a user may write, each awkward in its own way."""
    row: Row = {}
    texts = numbers = dates = flags = 0
    for name, entry in entries.items():
        kind = entry["type"]
        if not entry["updateable"] or kind in ("reference", "id", "address", "location"):
            continue
        if kind == "boolean":
            row[name] = bool(flags % 2)
            flags += 1
        elif kind == "int":
            row[name] = (-2_147_483_648, 2_147_483_647)[numbers % 2]
            numbers += 1
        elif kind in ("double", "currency", "percent"):
            row[name] = NUMBERS[numbers % len(NUMBERS)]
            numbers += 1
        elif kind == "date":
            row[name] = DATES[dates % len(DATES)]
            dates += 1
        elif kind == "datetime":
            row[name] = f"{DATES[dates % len(DATES)]}T23:59:59.999+0000"
            dates += 1
        elif kind == "time":
            row[name] = "23:59:59.999Z"
        else:
            row[name] = AWKWARD[texts % len(AWKWARD)][: entry["length"]]
            texts += 1
    special = {
        "Huge_Number__c": 1.2345678901234568e17,
        "Description": ('Ü😈,"\r\n' * 6_400)[:32_000],
        "MailingLatitude": 89.999999999999986, "MailingLongitude": -179.99999999999997,
    }  # fmt: skip
    return row | {name: value for name, value in special.items() if name in entries}


def empty(entries: dict[str, Entry]) -> Row:
    """Return null for every field that may be null."""
    return {
        name: None
        for name, entry in entries.items()
        if entry["nillable"] and entry["type"] not in ("address", "location")
    }
