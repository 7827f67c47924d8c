"""One sync from the command line: run it, keep its report in files, show it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import dlt

from salesforce_targeted.cli import every, exit_codes, interrupts
from salesforce_targeted.cli.pipeline import place
from salesforce_targeted.cli.screen import Screen
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.report import markdown, text
from salesforce_targeted.settings import Scope, Settings
from salesforce_targeted.source import salesforce_targeted
from salesforce_targeted.sync import configuration
from salesforce_targeted.sync.run_lock import AnotherRunError
from salesforce_targeted.sync.runner import Outcome, sync

# Whatever part of the tables is synced, these tell what happened.
_ALWAYS = ("contact_life", "rejected_record", "sync_run")


def run(
    args: argparse.Namespace,
    scope: Scope,
    only: list[str],
    credentials: Any,
    pipeline: dlt.Pipeline,
    settings: Settings,
    given: dict[str, Any],
    screen: Screen,
) -> int:
    """Sync once, or with ``--every`` again and again; return the exit code.

    Args:
        only: The resources that are loaded; all if there are none.
        given: Those of the settings that the command line sets; dlt gives the source the others.
    """

    def one_pass() -> Outcome:
        ledger = Ledger(mode=scope.mode)
        screen.so_far = lambda: ledger.facts("failed")
        source = salesforce_targeted(credentials, scope=scope, ledger=ledger, **given)
        if only:
            source = source.with_resources(*only, *_ALWAYS)
        statistics = configuration.statistics()
        return sync(pipeline, source, ledger, id_column=settings.id_column, statistics=statistics)

    if args.every:
        with interrupts.asked_to_end() as ending:
            return every.repeat(
                one_pass,
                lambda facts: screen.report(facts, every.line),
                args.every,
                ending,
                reserve=settings.daily_call_reserve,
            )
    outcome = one_pass()
    files = _write_report(args, pipeline, screen, outcome)
    screen.report(outcome.facts, lambda facts: text.summary(facts, files, place(pipeline)))
    return exit_codes.of_error(outcome.error) if outcome.error else exit_codes.DONE


def _write_report(
    args: argparse.Namespace, pipeline: dlt.Pipeline, screen: Screen, outcome: Outcome
) -> list[Path]:
    """Write the report's files; return those that could be written."""
    files: list[Path] = []
    try:
        files.append(markdown.write(outcome.facts, args.report_dir))
        # A look into a DuckDB file would lock out the run that is at work on it.
        if (args.report_html or args.demo) and not isinstance(outcome.error, AnotherRunError):
            from salesforce_targeted.report.html import page

            with HeldTables.of(pipeline) as held:
                files.append(page.write(outcome.facts, held, files[0].with_suffix(".html")))
    except OSError as error:  # the report is shown all the same
        screen.error(f"no report can be written in {args.report_dir}: {error.strerror}")
    return files
