"""Sync the Salesforce contacts with logged activities into a database: parse, run, report."""

from __future__ import annotations

import argparse
import logging
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dlt

PIPELINE_NAME = "targeted_contacts"
LOG_FILE = "targeted_contact_sync.log"
RESOURCES = ("task_who_relation", "contact", "task", "user")
DONE, FAILED, WRONG_USE, PARTIAL, DRIFT = 0, 1, 2, 3, 4
# A century: more is a slip of the finger, and far more overflows a date.
MOST_DAYS = 36_525

EPILOG = """\
examples:
  %(prog)s --demo              see it work, without an org: into targeted_contacts.duckdb
  %(prog)s --test              is everything in place? loads nothing
  %(prog)s --plan              what would a run do and cost? loads nothing
  %(prog)s                     sync what changed since the last run
  %(prog)s --full              read everything anew

exit codes: 0 done, 1 failed, 2 wrong use or configuration, 3 stopped before the work was complete
(calls are spent, or another run is at work: run again to go on), 4 drift found.

Credentials come from .dlt/secrets.toml (see .dlt/secrets.toml.example) or from SALESFORCE_*
variables. Without a configured destination the data goes to a DuckDB file in this folder.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="targeted_contacts.py",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    look = made.add_argument_group("look, load nothing").add_mutually_exclusive_group()
    look.add_argument("--test", action="store_true", help="check sign-in, permissions, destination")
    look.add_argument("--count", action="store_true", help="activity statistics of the org")
    look.add_argument("--plan", action="store_true", help="what the next run would do and cost")
    look.add_argument("--verify", action="store_true", help="compare what is held with the org")
    made.add_argument(
        "--repair", action="store_true", help="with --verify: load again exactly what drifted"
    )
    what = made.add_argument_group("what to sync (default: what changed since the last run)")
    span = what.add_mutually_exclusive_group()
    span.add_argument("--full", action="store_true", help="everything anew")
    span.add_argument(
        "--incremental", type=_days, metavar="N", help="relations and contacts of the last N days"
    )
    span.add_argument(
        "--since", metavar="DATE", help="relations and contacts modified since a date"
    )
    span.add_argument(
        "--mode", choices=("full", "recent", "custom"),
        help="the same three: full, recent with --days, custom with --start-date",
    )  # fmt: skip
    what.add_argument("--days", type=_days, default=30, metavar="N", help="with --mode recent (30)")
    what.add_argument("--start-date", metavar="DATE", help="with --mode custom")
    span.add_argument(
        "--retry-rejected", action="store_true", help="the rejected rows again, nothing else"
    )
    what.add_argument("--limit", type=_positive, metavar="N", help="at most N relations (a trial)")
    what.add_argument("--only", metavar="NAMES", help=f"some of {','.join(RESOURCES)}")
    what.add_argument(
        "--allow-shrink", action="store_true",
        help="go on although the org shows far fewer active contacts than before",
    )  # fmt: skip
    how = made.add_argument_group("how and where")
    how.add_argument("--demo", action="store_true", help="the demo org, started for this run")
    how.add_argument(
        "--api", choices=("collections", "composite", "query", "bulk"), help="force one retrieval"
    )
    how.add_argument(
        "--max-calls", type=int, metavar="N",
        help="spend at most N API calls; what came is loaded, and the next run goes on",
    )  # fmt: skip
    how.add_argument(
        "--destination", metavar="NAME", help="a dlt destination (postgres, duckdb, …)"
    )
    how.add_argument("--dataset", metavar="NAME", help="dataset or schema (salesforce)")
    how.add_argument("--pipelines-dir", metavar="DIR", help="dlt's working folder")
    how.add_argument("--report-dir", metavar="DIR", type=Path, default=Path("sync_results"))
    out = made.add_argument_group("output")
    out.add_argument("--json", action="store_true", help="the report as JSON on stdout")
    out.add_argument(
        "--report-html", action="store_true", help="the report as a page with plots, beside it"
    )
    out.add_argument(
        "--log-records", action="store_true",
        help="loaded records as JSON lines beside the report (personal data, mode 0600)",
    )  # fmt: skip
    out.add_argument("-v", "--verbose", action="store_true", help="dlt's own log lines too")
    out.add_argument("--debug", action="store_true", help="all log lines; never a secret")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 done, 1 failed, 2 wrong use or configuration, 3 stopped early, 4 drift found.
    """
    args = parser().parse_args(argv)
    _log(args)
    from salesforce_targeted.api.errors import ConfigurationError, SalesforceError
    from salesforce_targeted.memory import frugal

    frugal()
    try:
        with ExitStack() as stack:
            return _dispatch(args, stack)
    except ConfigurationError as error:
        print(f"targeted_contacts.py: {error}", file=sys.stderr)
        return WRONG_USE
    except SalesforceError as error:
        print(f"targeted_contacts.py: {error}", file=sys.stderr)
        return FAILED
    except Exception as raised:  # a user's mistake gets no traceback; --debug shows it
        from salesforce_targeted.destination_errors import cause

        logging.getLogger("salesforce_targeted").debug("failed", exc_info=True)
        inner = cause(raised)
        first = (str(inner).strip() or type(inner).__name__).splitlines()[0]
        print(f"targeted_contacts.py: {type(inner).__name__}: {first}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("targeted_contacts.py: interrupted; the next run goes on from here", file=sys.stderr)
        return FAILED


def _dispatch(args: argparse.Namespace, stack: ExitStack) -> int:
    from salesforce_targeted import configuration
    from salesforce_targeted.api.errors import ConfigurationError

    scope = _scope(args)
    only = _only(args.only)
    credentials: Any = _demo(stack) if args.demo else configuration.credentials()
    pipeline = _pipeline(args)
    if args.repair and not args.verify:
        raise ConfigurationError("--repair goes with --verify", remedy="Give both.")
    if args.test or args.count or args.plan or args.verify:
        return _look(args, credentials, pipeline, stack)
    return _sync(args, credentials, pipeline, scope, only)


def _look(
    args: argparse.Namespace, credentials: Any, pipeline: dlt.Pipeline, stack: ExitStack
) -> int:
    from salesforce_targeted import checks, configuration, preview
    from salesforce_targeted.api.client import SalesforceClient
    from salesforce_targeted.ledger import Ledger
    from salesforce_targeted.run import Run
    from salesforce_targeted.settings import Scope

    settings = configuration.settings(**_given(args))
    run = Run(SalesforceClient(credentials), settings, Scope(allow_shrink=True), Ledger(), pipeline)
    stack.callback(run.close)
    if args.test:
        facts, shown = checks.checks(run, pipeline), checks.checks_text
    elif args.count:
        facts, shown = preview.count(run), preview.count_text
    else:
        if pipeline.default_schema_name is None:
            pipeline.sync_destination()
        if args.verify:
            return _verify(args, credentials, pipeline, run)
        facts, shown = preview.plan(run), preview.plan_text
    _print(args, facts, shown(facts))
    return DONE if facts["status"] == "done" else FAILED


def _verify(args: argparse.Namespace, credentials: Any, pipeline: dlt.Pipeline, run: Any) -> int:
    from salesforce_targeted import configuration, repair, verify
    from salesforce_targeted.run import Run

    facts = verify.verify(run)
    run.close()
    if args.repair and facts["status"] == "drift":
        settings = configuration.settings(**_given(args))
        facts = repair.repair(
            pipeline,
            facts,
            credentials,
            settings,
            lambda ledger: Run(run.client, settings, run.scope, ledger, pipeline),
            **_given(args),
        )
    _print(args, facts, verify.verify_text(facts))
    return DONE if facts["status"] == "done" else DRIFT


def _sync(
    args: argparse.Namespace, credentials: Any, pipeline: dlt.Pipeline, scope: Any, only: list[str]
) -> int:
    from salesforce_targeted import configuration, report, report_html
    from salesforce_targeted.api.errors import ConfigurationError
    from salesforce_targeted.held import Held
    from salesforce_targeted.ledger import Ledger
    from salesforce_targeted.run_lock import AnotherRunError
    from salesforce_targeted.source import salesforce_targeted
    from salesforce_targeted.sync import sync

    ledger = Ledger(mode=scope.mode)
    source = salesforce_targeted(credentials, scope=scope, ledger=ledger, **_given(args))
    if only:
        source = source.with_resources(*only, "contact_life", "rejected_record", "sync_run")
    outcome = sync(
        pipeline,
        source,
        ledger,
        id_column=configuration.settings(**_given(args)).id_column,
        statistics=configuration.statistics(),
    )
    path = report.write(outcome.facts, args.report_dir)
    # A look into a DuckDB file would lock out the run that is at work on it.
    if args.report_html and not isinstance(outcome.error, AnotherRunError):
        with Held.of(pipeline) as held:
            path = report_html.write(outcome.facts, held, path.with_suffix(".html"))
    _print(args, outcome.facts, f"{report.text(outcome.facts)}\nreport     {path}")
    if outcome.error is None:
        return DONE
    if isinstance(outcome.error, ConfigurationError):
        return WRONG_USE
    return PARTIAL if outcome.facts["status"] == "partial" else FAILED


def _pipeline(args: argparse.Namespace) -> dlt.Pipeline:
    import dlt

    from salesforce_targeted import configuration, progress, run_lock
    from salesforce_targeted.discreet_log import quotes_no_row

    configuration.load_settings(PIPELINE_NAME)
    # After dlt has made its logger. Its errors quote whole rows of people and tracebacks; the
    # report says in one sentence what happened.
    shown = logging.DEBUG if args.debug else logging.INFO
    quiet = not (args.verbose or args.debug)
    logging.getLogger("dlt").setLevel(logging.CRITICAL if quiet else shown)
    logging.getLogger("dlt").addFilter(quotes_no_row)
    attaching = run_lock.attaching(PIPELINE_NAME, args.pipelines_dir)
    with configuration.usable_destination(), attaching:
        made = dlt.pipeline(
            PIPELINE_NAME,
            destination=configuration.destination(args.destination, demo=args.demo),
            dataset_name=args.dataset or ("salesforce_demo" if args.demo else "salesforce"),
            pipelines_dir=args.pipelines_dir,
            progress=progress.collector(terminal=sys.stderr.isatty() and not args.json),
        )
        configuration.check_names(made)
    # What a failed load leaves there for the next run are rows of people.
    Path(made.working_dir).chmod(0o700)
    return made


def _demo(stack: ExitStack) -> Any:
    from salesforce_targeted.api.credentials import SessionCredentials
    from salesforce_targeted.demo_org import DemoOrg, serve

    server = stack.enter_context(serve(DemoOrg()))
    return SessionCredentials(instance_url=server.url, access_token=server.token)


def _scope(args: argparse.Namespace) -> Any:
    from salesforce_targeted.api.errors import ConfigurationError
    from salesforce_targeted.settings import Scope, moment

    since = moment(args.since)
    days = args.incremental or (args.days if args.mode == "recent" else None)
    if args.mode == "custom":
        if not args.start_date:
            raise ConfigurationError("--mode custom needs --start-date", remedy="Give a date.")
        since = moment(args.start_date)
    if days:
        since = datetime.now(UTC) - timedelta(days=days)
    log = args.report_dir / f"targeted_contacts_{datetime.now(UTC):%Y%m%d_%H%M%S}.records.jsonl"
    if not (args.test or args.count or args.plan or args.verify):
        _make_report_dir(args.report_dir)
    return Scope(
        full=args.full or args.mode == "full",
        since=since,
        limit=args.limit,
        allow_shrink=args.allow_shrink,
        retry_rejected=args.retry_rejected,
        record_log=log if args.log_records else None,
    )


def _make_report_dir(folder: Path) -> None:
    """Before the first call: a sync whose report can't be written looks like one that failed."""
    from salesforce_targeted.api.errors import ConfigurationError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"--report-dir: {folder} can't be made: {error.strerror}", remedy="Choose another."
        ) from error


def _only(names: str | None) -> list[str]:
    from salesforce_targeted.api.errors import ConfigurationError

    chosen = [name.strip() for name in (names or "").split(",") if name.strip()]
    unknown = [name for name in chosen if name not in RESOURCES]
    if unknown:
        raise ConfigurationError(
            f"--only: there is no resource {', '.join(unknown)}",
            remedy=f"Choose some of {', '.join(RESOURCES)}.",
        )
    return chosen


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """Source parameters that the command line sets; the others come from configuration."""
    given = {"api": args.api, "calls_per_run": args.max_calls}
    return {name: value for name, value in given.items() if value is not None}


def _log(args: argparse.Namespace) -> None:
    from salesforce_targeted.discreet_log import DiscreetFormatter

    level = logging.DEBUG if args.debug else logging.INFO
    console = logging.StreamHandler(sys.stderr)
    file = logging.FileHandler(LOG_FILE, encoding="utf-8", delay=True)
    for handler in (console, file):
        handler.setFormatter(DiscreetFormatter("%(asctime)s %(levelname)s %(message)s"))
    ours = logging.getLogger("salesforce_targeted")
    ours.setLevel(level)
    ours.handlers[:] = [console, file]
    ours.propagate = False


def _print(args: argparse.Namespace, facts: dict[str, Any], shown: str) -> None:
    from salesforce_targeted.sync_runs import as_json

    print(as_json(facts) if args.json else shown)


def _days(text: str) -> int:
    number = _positive(text)
    if number > MOST_DAYS:
        raise argparse.ArgumentTypeError(f"must be {MOST_DAYS:,} or less")
    return number


def _positive(text: str) -> int:
    # isdecimal: int() would also take "1_000" and " 7 ".
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number, 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
