"""A dlt source for the Salesforce contacts that sales teams work with: the active ones.

The names below are imported when they are first used, so that ``python -m
salesforce_targeted.demo_org`` and ``--help`` need not wait for dlt.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from salesforce_targeted.version import __version__

if TYPE_CHECKING:
    from salesforce_targeted.any_object import targeted
    from salesforce_targeted.ledger import Ledger
    from salesforce_targeted.settings import Scope
    from salesforce_targeted.source import salesforce_targeted

_HOMES = {
    "Ledger": "ledger",
    "Scope": "settings",
    "salesforce_targeted": "source",
    "targeted": "any_object",
}

__all__ = ["Ledger", "Scope", "__version__", "salesforce_targeted", "targeted"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"salesforce_targeted.{_HOMES[name]}"), name)
