"""Describes made for tests: a handful of fields, with dlt's own naming of columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlt.common.normalizers.naming.snake_case import NamingConvention

from salesforce_targeted.columns import Columns, columns

normalize = NamingConvention().normalize_path


def describe(*entries: dict[str, Any], object_name: str = "Contact", **types: str) -> dict[str, Any]:
    """Salesforce's describe of an object with ``Id``, the entries, and fields by name and type."""
    fields = [entry("Id", "id"), *entries, *(entry(name, kind) for name, kind in types.items())]
    return {"name": object_name, "fields": fields}


def entry(name: str, kind: str = "string", **attributes: Any) -> dict[str, Any]:
    """One field of a describe, with what the library reads of it."""
    return {"name": name, "type": kind, "label": f"The {name}", "soapType": "", **attributes}


def columns_of(
    stored: Mapping[str, Mapping[str, Any]] | None = None, **types: str
) -> Columns:
    """The columns of ``Id`` and of fields given by name and type."""
    return columns(describe(**types), normalize=normalize, stored=stored)
