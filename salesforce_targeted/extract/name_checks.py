"""Compare the names and values that a target gives with what the org describes.

An org refuses most of them, too, but in words that fit a field which was hidden since. A field that
refers to another object it does not refuse at all: no id is of the kind that is looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import pyarrow as pa

from salesforce_targeted.api import soql
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.arrow.columns import ARROW_TYPES
from salesforce_targeted.target import CONTACT, Junction, Target

_NAMED_AT_MOST = 5
_NUMBER = ((int, float, Decimal), "a number")
# A field's type to what it is compared with. Source: SOQL Reference, "fieldExpression Syntax".
_TAKES: dict[str, tuple[tuple[type, ...], str]] = {
    **{kind: ((str,), "a text") for kind, of in ARROW_TYPES.items() if of == pa.string()},
    **dict.fromkeys(("int", "long", "double", "currency", "percent"), _NUMBER),
    "boolean": ((bool,), "True or False"),
    "date": ((date,), "a datetime.date"),
    "datetime": ((datetime,), "a datetime.datetime with its time zone"),
}


def check_names(describe: Mapping[str, Any], junction: Junction, target: Target) -> None:
    """Check the field that holds the ids, and each that is compared.

    Raises:
        ConfigurationError: the object has no such field, or the field is of another kind.
    """
    entries = {str(entry["name"]): entry for entry in describe["fields"]}
    of = junction.object_name
    # By the name that describe spells rows come, so case counts.
    for field in {junction.who, junction.task or junction.who} - entries.keys():
        nearest = None if target is CONTACT else _nearest(field, entries)
        raise ConfigurationError(
            f"{of} shows our user no field {field}, by which the records that count are found",
            remedy=(
                f"Perhaps {of}.{nearest} is meant in discovered_by? Otherwise ask"
                if nearest
                else "Ask"
            )
            + " a Salesforce admin to let this user read it.",
        )
    if target is not CONTACT:
        _check_reference(entries, junction, target.object_name)
    for name, value in junction.compared:
        _check_comparison(entries, of, name, value)


def _check_reference(
    entries: Mapping[str, Mapping[str, Any]], junction: Junction, object_name: str
) -> None:
    def refers_to(entry: Mapping[str, Any]) -> list[str]:
        return [junction.object_name] if entry["type"] == "id" else entry.get("referenceTo") or []

    def fits(entry: Mapping[str, Any]) -> bool:
        return object_name.casefold() in map(str.casefold, refers_to(entry))

    refers = refers_to(entries[junction.who])
    # Text may hold ids, a formula's or those of another system's key; describe can't say of what.
    # WhatId takes whatever object has activities, and describe may list fewer.
    if not refers or fits(entries[junction.who]) or junction.who == "WhatId":
        return
    of = junction.object_name
    more = f" and {len(refers) - _NAMED_AT_MOST} more" if len(refers) > _NAMED_AT_MOST else ""
    fitting = [f"{of}.{name}" for name, entry in entries.items() if fits(entry)]
    raise ConfigurationError(
        f"discovered_by: {of}.{junction.who} refers to {', '.join(refers[:_NAMED_AT_MOST])}{more},"
        f" not to {object_name}",
        remedy=f"Write {' or '.join(fitting[:_NAMED_AT_MOST])}."
        if fitting
        else f"Name a field that refers to {object_name}.",
    )


def _check_comparison(
    entries: Mapping[str, Mapping[str, Any]], of: str, name: str, value: soql.Value
) -> None:
    head, dot, rest = name.partition(".")
    by = "relationshipName" if dot else "name"
    names = {str(entry.get(by) or ""): entry for entry in entries.values()}
    entry = next((entry for key, entry in names.items() if key.casefold() == head.casefold()), None)
    if entry is None:
        nearest = _nearest(head, names)
        raise ConfigurationError(
            f"where: {of} has no {'relationship' if dot else 'field'} {head} that our user may see",
            remedy=f"Write {nearest}{dot}{rest}." if nearest else "Name one of its fields.",
        )
    if dot or value is None or entry["type"] not in _TAKES:
        return
    types, spelt = _TAKES[entry["type"]]
    # A truth value is a number to Python, and a moment is a date.
    odd = next((kind for kind in (bool, datetime) if isinstance(value, kind)), None)
    if not isinstance(value, types) or (odd is not None and odd not in types):
        raise ConfigurationError(
            f"where: {of}.{entry['name']} takes {spelt}, not {value!r}", remedy=f"Write {spelt}."
        )


def _nearest(name: str, names: Iterable[str]) -> str | None:
    by_case = {key.casefold(): key for key in names if key}
    return next((by_case[near] for near in get_close_matches(name.casefold(), by_case, 1)), None)
