"""Load again exactly what drifted (``--verify --repair``), then verify once more.

A row that drifted loses its hash; the full run that follows loads rows whose hash differs from the
org's, so those and no others, and it finds what is missing, extra or marked wrongly as always.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dlt

from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.extract.run import Run
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.settings import Scope, Settings
from salesforce_targeted.source import salesforce_targeted
from salesforce_targeted.sync.runner import sync, verified
from salesforce_targeted.sync.verify import VerifyFacts


def repair(
    pipeline: dlt.Pipeline,
    facts: VerifyFacts,
    credentials: Any,
    settings: Settings,
    new_run: Callable[[Ledger], Run],
    **given: Any,
) -> VerifyFacts:
    """Repair what a verification found.

    Args:
        facts: The report of the verification.
        new_run: Makes the run that verifies the repaired state.
        given: Source parameters that count before the configured ones.

    Returns:
        The report of the second verification, with the first one's drift under ``repaired``.
    """
    with HeldTables.of(pipeline) as held:
        for table, ids in facts["to_forget"].items():
            held.clear_row_hashes(table, held.name(settings.id_column), ids)
    ledger = Ledger()
    source = salesforce_targeted(credentials, scope=Scope(full=True), ledger=ledger, **given)
    outcome = sync(pipeline, source, ledger, id_column=settings.id_column)
    if outcome.error is not None:
        raise outcome.error
    return {**verified(pipeline, new_run(Ledger())), "repaired": facts["drift"]}
