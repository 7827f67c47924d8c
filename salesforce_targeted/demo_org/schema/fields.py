"""Describe entries: what Salesforce says of one field, made from a name, a type and what differs.

Source: REST API Developer Guide, "sObject Describe"; Object Reference, "Field Types".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Entry = dict[str, Any]

TEXT_TYPES = frozenset(
    [
        "string",
        "textarea",
        "phone",
        "email",
        "url",
        "picklist",
        "multipicklist",
        "combobox",
        "encryptedstring",
        "anyType",
    ]
)
ID_TYPES = frozenset({"id", "reference"})
NUMBER_TYPES = frozenset({"int", "long", "double", "currency", "percent"})
COMPOUND_TYPES = frozenset({"address", "location"})

_SOAP = {
    "id": "tns:ID", "reference": "tns:ID", "boolean": "xsd:boolean", "int": "xsd:int",
    "long": "xsd:long", "double": "xsd:double", "currency": "xsd:double",
    "percent": "xsd:double", "date": "xsd:date", "datetime": "xsd:dateTime",
    "time": "xsd:time", "base64": "xsd:base64Binary", "address": "urn:address",
    "location": "urn:location", "anyType": "xsd:anyType",
}  # fmt: skip
_LENGTH = {
    "id": 18, "reference": 18, "string": 255, "textarea": 255, "phone": 40, "email": 80,
    "url": 255, "picklist": 255, "multipicklist": 4099, "combobox": 255, "encryptedstring": 175,
}  # fmt: skip
_NOT_GROUPABLE = frozenset(
    [
        "double",
        "currency",
        "percent",
        "datetime",
        "time",
        "multipicklist",
        "encryptedstring",
        "base64",
        "address",
        "location",
        "anyType",
    ]
)
_NOT_SORTABLE = frozenset(["multipicklist", "encryptedstring", "base64", "address", "location"])
_NOT_FILTERABLE = frozenset(["encryptedstring", "base64", "address", "location"])
_NOT_AGGREGATABLE = _NOT_SORTABLE | {"boolean"}


def label_of(name: str) -> str:
    """Return what the user interface would call a field of that name."""
    bare = name.removesuffix("__c").removesuffix("__s").replace("__", " ").replace("_", " ")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare).strip()


def field(
    name: str,
    kind: str = "string",
    length: int | None = None,
    *,
    picklist: Iterable[str] = (),
    refers: str = "",
    **attributes: Any,
) -> Entry:
    """One describe entry.

    Args:
        kind: Salesforce's field type.
        refers: For a reference, the objects it may point at, space-separated.
        attributes: What differs from the usual, by Salesforce's own attribute name.
    """
    size = _LENGTH.get(kind, 0) if length is None else length
    long_text = kind == "textarea" and size > 255
    custom = name.endswith(("__c", "__s"))
    calculated = bool(attributes.get("calculated"))
    relationship = None
    if refers:
        relationship = name[:-1] + "r" if custom else name.removesuffix("Id")
    numeric = kind in ("double", "currency", "percent")
    entry: Entry = {
        "aggregatable": kind not in _NOT_AGGREGATABLE and not long_text,
        "aiPredictionField": False,
        "autoNumber": False,
        "byteLength": size if kind in ID_TYPES else size * 3,
        "calculated": False,
        "calculatedFormula": None,
        "cascadeDelete": False,
        "caseSensitive": False,
        "compoundFieldName": None,
        "controllerName": None,
        "createable": not calculated and kind != "id",
        "custom": custom,
        "defaultValue": False if kind == "boolean" else None,
        "defaultValueFormula": None,
        "defaultedOnCreate": kind == "boolean",
        "dependentPicklist": False,
        "deprecatedAndHidden": False,
        "digits": 8 if kind == "int" else 0,
        "displayLocationInDecimal": kind == "location",
        "encrypted": kind == "encryptedstring",
        "externalId": False,
        "extraTypeInfo": "plaintextarea" if kind == "textarea" else None,
        "filterable": kind not in _NOT_FILTERABLE and not long_text,
        "filteredLookupInfo": None,
        "formulaTreatNullNumberAsZero": False,
        "groupable": kind not in _NOT_GROUPABLE and not long_text and not calculated,
        "highScaleNumber": False,
        "htmlFormatted": False,
        "idLookup": kind == "id",
        "inlineHelpText": None,
        "label": label_of(name),
        "length": size,
        "mask": None,
        "maskType": None,
        "name": name,
        "nameField": False,
        "namePointing": len(refers.split()) > 1,
        "nillable": kind not in ("id", "boolean"),
        "permissionable": custom,
        "picklistValues": [
            {"active": True, "defaultValue": False, "label": value, "validFor": None,
             "value": value} for value in picklist
        ],
        "polymorphicForeignKey": len(refers.split()) > 1,
        "precision": 18 if numeric else 0,
        "queryByDistance": kind in COMPOUND_TYPES,
        "referenceTargetField": None,
        "referenceTo": refers.split(),
        "relationshipName": relationship,
        "relationshipOrder": None,
        "restrictedDelete": False,
        "restrictedPicklist": False,
        "scale": 2 if numeric else 0,
        "searchPrefilterable": kind == "reference",
        "soapType": _SOAP.get(kind, "xsd:string"),
        "sortable": kind not in _NOT_SORTABLE and not long_text,
        "type": kind,
        "unique": False,
        "updateable": not calculated and kind != "id",
        "writeRequiresMasterRead": False,
    }  # fmt: skip
    unknown = set(attributes) - set(entry)
    if unknown:
        raise ValueError(f"describe has no attribute {sorted(unknown)}")
    entry.update(attributes)
    return entry


def fields(names: str, kind: str, length: int | None = None, **attributes: Any) -> list[Entry]:
    """Several like entries; *names* are space-separated, each may carry ``:length``."""
    entries = []
    for item in names.split():
        name, _, size = item.partition(":")
        entries.append(field(name, kind, int(size) if size else length, **attributes))
    return entries


def system(name: str, kind: str, **attributes: Any) -> Entry:
    """Return an entry that no user writes: audit fields and their like."""
    return field(name, kind, createable=False, updateable=False, **attributes)


def audit(*, deletable: bool = True) -> list[Entry]:
    """Return the audit fields that close nearly every object's describe."""
    entries = [
        system("CreatedDate", "datetime", nillable=False, defaultedOnCreate=True),
        system("CreatedById", "reference", refers="User", nillable=False),
        system("LastModifiedDate", "datetime", nillable=False, defaultedOnCreate=True),
        system("LastModifiedById", "reference", refers="User", nillable=False),
        system("SystemModstamp", "datetime", nillable=False, defaultedOnCreate=True),
    ]
    return [system("IsDeleted", "boolean"), *entries] if deletable else entries
