"""Load the Salesforce contacts that sales teams work with: those with logged activities.

    import dlt
    from salesforce_targeted import salesforce_targeted

    pipeline = dlt.pipeline("crm", destination="duckdb", dataset_name="salesforce")
    pipeline.run(salesforce_targeted())

- ``salesforce_targeted`` makes the source, ``targeted`` one for the records of any object.
- ``Scope`` says what one run looks at, ``Ledger`` keeps what happened in it.
- ``api.credentials`` has the ways to sign in, ``api.errors`` what can be raised, and the remedy.
- ``sync.runner.sync`` runs a source as the command line does: alone on its dataset, finishing what
  an earlier run left, checking what is held afterwards.

These names are imported when they are first used, so that ``--help`` need not wait for dlt.
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


def __dir__() -> list[str]:
    """Name what there is, imported or not, for ``help()`` and completion."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"salesforce_targeted.{_HOMES[name]}"), name)
