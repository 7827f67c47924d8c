"""Read what the options of a command line ask for: a scope, resources, parameters of the source.

Rule: an option that would be ignored is refused.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.cli.options import RESOURCES
from salesforce_targeted.settings import Scope, moment

_RECENT_DAYS = 30
_OF_ONE_RUN = (
    "full", "incremental", "since", "retry_rejected", "mode", "limit", "report_html", "log_records",
)  # fmt: skip


def scope(args: argparse.Namespace) -> Scope:
    """Return what this run looks at.

    Raises:
        ConfigurationError: a date is none or in the future, an option would be ignored, or reports
            can't be kept where they shall be.
    """
    _check_combinations(args)
    since = moment(args.start_date if args.mode == "custom" else args.since)
    days = args.incremental or ((args.days or _RECENT_DAYS) if args.mode == "recent" else None)
    if days:
        since = datetime.now(UTC) - timedelta(days=days)
    log = args.report_dir / f"targeted_contacts_{datetime.now(UTC):%Y%m%d_%H%M%S}.records.jsonl"
    if args.look is None:
        try:  # before the first call: a sync without a report looks like a failed one
            args.report_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"--report-dir: {args.report_dir} can't be made: {error.strerror}",
                remedy="Choose another.",
            ) from error
    return Scope(
        full=args.full or args.mode == "full",
        since=since,
        limit=args.limit,
        allow_shrink=args.allow_shrink,
        retry_rejected=args.retry_rejected,
        record_log=log if args.log_records else None,
    )


def _check_combinations(args: argparse.Namespace) -> None:
    """Refuse options that would be ignored together with others, or without them.

    Raises:
        ConfigurationError: says which.
    """
    if args.repair and args.look != "verify":
        raise ConfigurationError("--repair goes with --verify", remedy="Give both.")
    for name, mode in (("days", "recent"), ("start_date", "custom")):
        if getattr(args, name) and args.mode != mode:
            raise ConfigurationError(
                f"{_option(name)} goes with --mode {mode}", remedy="Give both, or use --since."
            )
    if args.mode == "custom" and not args.start_date:
        raise ConfigurationError("--mode custom needs --start-date", remedy="Give a date.")
    if args.look and (idle := _given_of(args, (*_OF_ONE_RUN, "only"))):
        raise ConfigurationError(
            f"--{args.look} loads nothing, so {_option(idle[0])} has no effect",
            remedy="Leave one of them out.",
        )
    if args.every and (
        clashes := [*filter(None, [args.look]), *_given_of(args, (*_OF_ONE_RUN, "allow_shrink"))]
    ):
        raise ConfigurationError(
            f"--every repeats the default run, which takes no {_option(clashes[0])}",
            remedy="Leave one of them out.",
        )


def _given_of(args: argparse.Namespace, names: Iterable[str]) -> list[str]:
    return [name for name in names if getattr(args, name) not in (None, False)]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def only(names: str | None) -> list[str]:
    """Return the resources that ``--only`` names.

    Raises:
        ConfigurationError: there is no such resource.
    """
    chosen = [name.strip() for name in (names or "").split(",") if name.strip()]
    unknown = [name for name in chosen if name not in RESOURCES]
    if unknown or (names is not None and not chosen):
        what = f": there is no resource {', '.join(unknown)}" if unknown else " names nothing"
        raise ConfigurationError(f"--only{what}", remedy=f"Choose some of {', '.join(RESOURCES)}.")
    return chosen


def given(args: argparse.Namespace) -> dict[str, Any]:
    """Return the source parameters that the command line sets; configuration has the others."""
    parameters = {"api": args.api, "api_version": args.api_version, "calls_per_run": args.max_calls}
    return {name: value for name, value in parameters.items() if value is not None}
