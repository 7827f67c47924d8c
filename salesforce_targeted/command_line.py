"""The command line: parse, sync or look, report."""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from salesforce_targeted.cli import options as arguments

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    import dlt

    from salesforce_targeted.cli.screen import Screen
    from salesforce_targeted.extract.run import Run
    from salesforce_targeted.settings import Scope
    from salesforce_targeted.sync.verify import VerifyFacts

PIPELINE_NAME = "targeted_contacts"
LOG_FILE = "targeted_contact_sync.log"
DONE, FAILED, WRONG_USE, PARTIAL, DRIFT = 0, 1, 2, 3, 4


def main(argv: Sequence[str] | None = None, prog: str = "targeted-contacts") -> int:
    """Run the command line.

    Args:
        argv: What follows the program's name; None: what this process was called with.
        prog: What it is called, in help and errors.

    Returns:
        0 done, 1 failed, 2 wrong use or configuration, 3 stopped early, 4 drift found.
    """
    args = arguments.parser(prog).parse_args(argv)
    from salesforce_targeted.api.errors import ConfigurationError, SalesforceError
    from salesforce_targeted.cli.memory import limit_memory
    from salesforce_targeted.cli.screen import Screen

    screen = Screen(prog)
    _log(args, screen)
    limit_memory()
    try:
        with ExitStack() as stack:
            return _dispatch(args, screen, stack)
    except SalesforceError as error:
        screen.error(str(error))
        return WRONG_USE if isinstance(error, ConfigurationError) else FAILED
    except Exception as raised:  # a user's mistake gets no traceback; --debug shows it
        from salesforce_targeted.destination.errors import (
            describe_disk_failure,
            describe_failure,
            first_line,
            is_destination_error,
            original_error,
        )

        logging.getLogger("salesforce_targeted").debug("failed", exc_info=True)
        inner = original_error(raised)
        said = describe_disk_failure(inner) or f"{type(inner).__name__}: {first_line(inner)}"
        if is_destination_error(inner):
            said = describe_failure(inner, args.destination or "as configured")
        screen.error(said)
        return FAILED
    except KeyboardInterrupt:
        screen.error("interrupted; the next run goes on from here")
        return FAILED


def _dispatch(args: argparse.Namespace, screen: Screen, stack: ExitStack) -> int:
    from salesforce_targeted.cli import selection

    scope = selection.scope(args)
    only = selection.only(args.only)
    with _busy(args, screen, "starting"):  # dlt takes a second to import
        from salesforce_targeted.sync import configuration

        stack.enter_context(configuration.section_of(PIPELINE_NAME))
        credentials = _credentials(args, stack)
        pipeline = None if args.sign_in else _pipeline(args, screen, args.pipelines_dir)
    if pipeline is None:
        return _sign_in(args, credentials, screen, stack)
    if selection.looks_only(args):
        return _look(args, credentials, pipeline, screen, stack)
    return _sync(args, credentials, pipeline, screen, scope, only)


def _credentials(args: argparse.Namespace, stack: ExitStack) -> Any:
    from salesforce_targeted.sync import configuration

    if args.demo:
        return _demo(stack)
    return configuration.sf_org(args.sf_org) if args.sf_org else configuration.credentials()


def _demo(stack: ExitStack) -> Any:
    from salesforce_targeted.demo_org import DemoOrg, serve
    from salesforce_targeted.sync import configuration

    server = stack.enter_context(serve(DemoOrg()))
    return configuration.session(server.url, server.token)


def _sign_in(args: argparse.Namespace, credentials: Any, screen: Screen, stack: ExitStack) -> int:
    from salesforce_targeted.api.client import SalesforceClient
    from salesforce_targeted.cli import sign_in

    client = SalesforceClient(credentials, attempts=2)
    stack.callback(client.close)
    with _busy(args, screen, "signing in"):
        facts = sign_in.sign_in(client, credentials)
    _print(args, facts, sign_in.sign_in_shown(facts), screen)
    return DONE if facts["status"] == "done" else FAILED


def _look(
    args: argparse.Namespace,
    credentials: Any,
    pipeline: dlt.Pipeline,
    screen: Screen,
    stack: ExitStack,
) -> int:
    from salesforce_targeted.api.client import SalesforceClient
    from salesforce_targeted.cli import checklist, plan, selection, verify
    from salesforce_targeted.extract.run import Run
    from salesforce_targeted.ledger import Ledger
    from salesforce_targeted.settings import Scope
    from salesforce_targeted.sync import configuration
    from salesforce_targeted.sync.pending_packages import other_dataset

    if other_dataset(pipeline):  # a demo's, say; who only looks leaves it alone
        pipeline = _pipeline(args, screen, stack.enter_context(TemporaryDirectory()))
    settings = configuration.settings(**selection.given(args))
    run = Run(SalesforceClient(credentials), settings, Scope(allow_shrink=True), Ledger(), pipeline)
    stack.callback(run.close)
    facts: Mapping[str, Any]
    if args.test:
        facts = checklist.checks(run, credentials, pipeline, None if args.json else screen)
        _print(args, facts, checklist.verdict(facts), screen)
        return DONE if facts["status"] == "done" else FAILED
    with _busy(args, screen, "asking the org"):
        if not args.count and pipeline.default_schema_name is None:
            pipeline.sync_destination()
        if args.count:
            facts = plan.count(run)
        elif args.plan:
            facts = plan.plan(run)
        else:
            facts = _verify(args, credentials, pipeline, run)
    shown: dict[str, Callable[[Any], Any]] = {
        "count": plan.count_shown,
        "plan": plan.plan_shown,
        "verify": verify.summary,
    }
    _print(args, facts, shown[facts["mode"]](facts), screen)
    return DONE if facts["status"] == "done" else DRIFT


def _verify(
    args: argparse.Namespace, credentials: Any, pipeline: dlt.Pipeline, run: Run
) -> VerifyFacts:
    from salesforce_targeted.cli import selection
    from salesforce_targeted.extract.run import Run
    from salesforce_targeted.sync import configuration, repair, runner

    facts = runner.verified(pipeline, run)
    if not args.repair or facts["status"] != "drift":
        return facts
    settings = configuration.settings(**selection.given(args))
    return repair.repair(
        pipeline,
        facts,
        credentials,
        settings,
        lambda ledger: Run(run.client, settings, run.scope, ledger, pipeline),
        **selection.given(args),
    )


def _sync(
    args: argparse.Namespace,
    credentials: Any,
    pipeline: dlt.Pipeline,
    screen: Screen,
    scope: Scope,
    only: list[str],
) -> int:
    from salesforce_targeted.api.errors import ConfigurationError
    from salesforce_targeted.cli import selection
    from salesforce_targeted.destination.held_tables import HeldTables
    from salesforce_targeted.ledger import Ledger
    from salesforce_targeted.report import text
    from salesforce_targeted.source import salesforce_targeted
    from salesforce_targeted.sync import configuration
    from salesforce_targeted.sync.run_lock import AnotherRunError
    from salesforce_targeted.sync.runner import sync

    ledger, given = Ledger(mode=scope.mode), selection.given(args)
    source = salesforce_targeted(credentials, scope=scope, ledger=ledger, **given)
    if only:
        source = source.with_resources(*only, "contact_life", "rejected_record", "sync_run")
    outcome = sync(
        pipeline,
        source,
        ledger,
        id_column=configuration.settings(**given).id_column,
        statistics=configuration.statistics(),
    )
    files: list[Path] = []
    try:
        files.append(text.write(outcome.facts, args.report_dir))
        # A look into a DuckDB file would lock out the run that is at work on it.
        if (args.report_html or args.demo) and not isinstance(outcome.error, AnotherRunError):
            from salesforce_targeted.report import html

            with HeldTables.of(pipeline) as held:
                page = files[0].with_suffix(".html")
                files.append(html.write(outcome.facts, held, page))
    except OSError as error:  # what happened is shown all the same
        screen.error(f"no report can be written in {args.report_dir}: {error.strerror}")
    _print(args, outcome.facts, None if args.json else text.summary(outcome.facts, files), screen)
    if outcome.error is None:
        return DONE
    if isinstance(outcome.error, ConfigurationError):
        return WRONG_USE
    return PARTIAL if outcome.facts["status"] == "partial" else FAILED


def _pipeline(args: argparse.Namespace, screen: Screen, folder: str | None) -> dlt.Pipeline:
    import dlt

    from salesforce_targeted.cli import progress
    from salesforce_targeted.destination import database
    from salesforce_targeted.sync import configuration, run_lock
    from salesforce_targeted.sync.log_redaction import quotes_no_row

    configuration.load_settings(PIPELINE_NAME)
    # After dlt has made its logger. Its errors quote whole rows of people and tracebacks; the
    # report says in one sentence what happened.
    shown = logging.DEBUG if args.debug else logging.INFO
    quiet = not (args.verbose or args.debug)
    logging.getLogger("dlt").setLevel(logging.CRITICAL if quiet else shown)
    logging.getLogger("dlt").addFilter(quotes_no_row)
    attaching = run_lock.attaching(PIPELINE_NAME, folder)
    with configuration.usable_destination(), configuration.usable_folder(), attaching:
        made = dlt.pipeline(
            PIPELINE_NAME,
            destination=configuration.destination(args.destination, demo=args.demo),
            dataset_name=args.dataset or ("salesforce_demo" if args.demo else "salesforce"),
            pipelines_dir=folder,  # type: ignore[arg-type]  # dlt takes None for its own folder
            progress=progress.collector(screen.err if _live(args, screen) else None),
        )
        database.check(made)
        # What a failed load leaves there for the next run are rows of people.
        Path(made.working_dir).chmod(0o700)
    return made


def _live(args: argparse.Namespace, screen: Screen) -> bool:
    """Whether to draw: not across dlt's own log lines, and not beside JSON."""
    return not (args.json or args.verbose or args.debug) and screen.live


def _busy(args: argparse.Namespace, screen: Screen, doing: str) -> AbstractContextManager[Any]:
    return screen.busy(doing) if _live(args, screen) else nullcontext()


def _log(args: argparse.Namespace, screen: Screen) -> None:
    from salesforce_targeted.cli.screen import ConsoleHandler
    from salesforce_targeted.sync.log_redaction import DiscreetFormatter, LogFile

    console: logging.Handler = logging.StreamHandler(sys.stderr)
    line = DiscreetFormatter("%(asctime)s %(levelname)s %(message)s")
    console.setFormatter(line)
    if _live(args, screen):
        console = ConsoleHandler(screen.err)
        console.setFormatter(DiscreetFormatter("%(asctime)s %(message)s", "%H:%M:%S"))
    file = LogFile(LOG_FILE)
    file.setFormatter(line)
    ours = logging.getLogger("salesforce_targeted")
    ours.setLevel(logging.DEBUG if args.debug else logging.INFO)
    ours.handlers[:] = [console, file]
    ours.propagate = False


def _print(
    args: argparse.Namespace, facts: Mapping[str, object], shown: Any, screen: Screen
) -> None:
    from salesforce_targeted.destination.sync_runs import as_json

    if args.json:
        print(as_json(facts))
    else:
        screen.show(shown)
