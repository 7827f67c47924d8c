"""``--verify``: compare what is held with the org, show the drift, repair it with ``--repair``.

A row that drifted loses its hash; the full run that follows loads rows whose hash differs from the
org's, so those and no others, and it finds what is missing, extra or marked wrongly as always.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dlt
from rich.console import Group
from rich.text import Text

from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.extract.run import Run
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.report.rich_text import notes, paragraphs, plural, table
from salesforce_targeted.settings import Scope
from salesforce_targeted.source import salesforce_targeted
from salesforce_targeted.sync import runner
from salesforce_targeted.sync.verify import CAUSES, VerifyFacts


def verify(
    run: Run, pipeline: dlt.Pipeline, credentials: Any, *, repairs: bool, given: dict[str, Any]
) -> VerifyFacts:
    """Compare, and keep how that ended.

    Args:
        repairs: Load again what drifted, then compare once more.
        given: Source parameters that the command line sets.
    """
    facts = runner.verified(pipeline, run)
    if not repairs or facts["status"] == "done":
        return facts
    id_column, ledger = run.settings.id_column, Ledger()
    with HeldTables.of(pipeline) as held:
        for table, ids in facts["to_forget"].items():
            held.clear_row_hashes(table, held.name(id_column), ids)
    source = salesforce_targeted(credentials, scope=Scope(full=True), ledger=ledger, **given)
    outcome = runner.sync(pipeline, source, ledger, id_column=id_column)
    if outcome.error is not None:
        raise outcome.error
    second = Run(run.client, run.settings, run.scope, Ledger(), pipeline)
    return {**runner.verified(pipeline, second), "repaired": facts["drift"]}


def summary(facts: VerifyFacts) -> Group:
    """Draw the report, with what was repaired where something was."""
    drift: Mapping[str, Any] = facts["drift"]
    clean = facts["status"] == "done"
    repaired: Mapping[str, Any] | None = facts.get("repaired")
    heads = ("drift", "", "rows", "repaired") if repaired else ("drift", "", "rows")
    causes = [
        (cause, means, drift[cause], *([repaired[cause]] if repaired else []))
        for cause, means in CAUSES.items()
    ]
    examples = [
        (example["cause"], example["table"], example["id"], ", ".join(example["columns"]))
        for example in drift["examples"]
    ]
    verdict = "no drift" if clean else "drift found"
    advice = "" if clean else "; --verify --repair loads again exactly what drifted"
    return paragraphs(
        table(("compared", "rows"), list(facts["compared"].items())),
        table(heads, causes, texts=2),
        table(("example", "table", "id", "columns"), examples, texts=4) if examples else None,
        notes(facts["warnings"]),
        Text.assemble(
            (verdict, "green" if clean else "red"),
            f"{advice} ({plural(facts['calls']['total'], 'API call')})",
        ),
    )
