"""Run the command line: parse, dispatch, exit code.

Rule: a command's module is imported when it is called, and nothing slow before; ``--help`` waits
for nothing.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from salesforce_targeted.cli import options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    import dlt
    from rich.console import RenderableType

    from salesforce_targeted.cli.screen import Screen
    from salesforce_targeted.settings import Settings


def main(argv: Sequence[str] | None = None, prog: str = "targeted-contacts") -> int:
    """Run the command line.

    Args:
        argv: What follows the program's name; None: what this process was called with.
        prog: What it is called, in help and errors.

    Returns:
        0 done, 1 failed, 2 wrong use or configuration, 3 stopped early, 4 drift found.
    """
    args = options.parser(prog).parse_args(argv)
    from salesforce_targeted.cli import exit_codes, interrupts, logs, memory
    from salesforce_targeted.cli.screen import Screen

    screen = Screen(prog, json=args.json, logs=args.verbose or args.debug)
    try:
        logs.log_to(screen, debug=args.debug, quiet=bool(args.every and not args.verbose))
        memory.limit_memory()
        screen.so_far = lambda: {"mode": args.look}
        with interrupts.ended_soon(screen.interrupted), ExitStack() as stack:
            return _dispatch(args, screen, stack)
    except KeyboardInterrupt:
        screen.interrupted()
        return exit_codes.FAILED
    except Exception as raised:  # noqa: BLE001  # whatever it is, it is told in one paragraph
        logs.logger.debug("failed", exc_info=raised)
        error, explained = _explained(raised, args.destination or "as configured")
        code = exit_codes.of_error(error)
        screen.error(explained)
        if args.json and code != exit_codes.WRONG_USE:
            status = "partial" if code == exit_codes.PARTIAL else "failed"
            screen.report({"status": status, "mode": args.look, "error": explained}, str)
        return code
    finally:
        screen.close()


def _explained(raised: Exception, destination: str) -> tuple[Exception, str]:
    """Find what dlt wrapped, and say in one paragraph what happened and what to do."""
    from salesforce_targeted.api.errors import SalesforceError

    if isinstance(raised, SalesforceError):  # a user's mistake is told without loading dlt
        return raised, str(raised)
    from salesforce_targeted.destination.errors import explained, original_error

    error = original_error(raised)
    return error, explained(error, destination)


def _dispatch(args: argparse.Namespace, screen: Screen, stack: ExitStack) -> int:
    from salesforce_targeted.cli import selection

    scope, only = selection.scope(args), selection.only(args.only)
    with screen.busy("starting"):  # dlt takes a second to import
        from salesforce_targeted.cli.pipeline import PIPELINE_NAME, open_pipeline
        from salesforce_targeted.sync import configuration

        stack.enter_context(configuration.section_of(PIPELINE_NAME))
        given = selection.given(args)
        settings = configuration.settings(**given)
        credentials = _credentials(args, stack)
        if args.look != "sign-in":
            pipeline = open_pipeline(args, screen, args.pipelines_dir)
    if args.look == "sign-in":
        from salesforce_targeted.cli import sign_in

        return sign_in.run(credentials, screen, settings.api_version)
    if args.look is not None:
        return _look(args, credentials, pipeline, screen, settings, given, stack)
    from salesforce_targeted.cli import sync

    return sync.run(args, scope, only, credentials, pipeline, settings, given, screen)


def _look(
    args: argparse.Namespace,
    credentials: Any,
    pipeline: dlt.Pipeline,
    screen: Screen,
    settings: Settings,
    given: dict[str, Any],
    stack: ExitStack,
) -> int:
    """Run one of the commands that load nothing."""
    from tempfile import TemporaryDirectory

    from salesforce_targeted.api.client import SalesforceClient
    from salesforce_targeted.cli import exit_codes
    from salesforce_targeted.cli.pipeline import open_pipeline
    from salesforce_targeted.extract.run import Run
    from salesforce_targeted.ledger import Ledger
    from salesforce_targeted.settings import Scope
    from salesforce_targeted.sync.pending_packages import other_dataset

    if other_dataset(pipeline):  # a demo's, say; a look leaves it alone
        pipeline = open_pipeline(args, screen, stack.enter_context(TemporaryDirectory()))
    client = SalesforceClient(credentials, api_version=settings.api_version)
    run = Run(client, settings, Scope(allow_shrink=True), Ledger(), pipeline)
    stack.callback(run.close)
    if args.look == "test":
        from salesforce_targeted.cli import checklist

        return checklist.run(run, credentials, pipeline, screen)
    facts: Any
    shown: Callable[[Any], RenderableType]
    with screen.busy("asking the org"):
        if args.look != "count" and pipeline.default_schema_name is None:  # a new working folder
            pipeline.sync_destination()
        if args.look == "count":
            from salesforce_targeted.cli import count

            facts, shown = count.count(run), count.count_shown
        elif args.look == "plan":
            from salesforce_targeted.cli.plan import plan_shown
            from salesforce_targeted.sync.forecast import forecast

            facts, shown = forecast(run), plan_shown
        else:
            from salesforce_targeted.cli import verify

            facts = verify.verify(run, pipeline, credentials, repairs=args.repair, given=given)
            shown = verify.summary
    screen.report(facts, shown)
    return exit_codes.OF_STATUS[facts["status"]]


def _credentials(args: argparse.Namespace, stack: ExitStack) -> Any:
    from salesforce_targeted.api.credentials import SessionCredentials, SfOrgCredentials
    from salesforce_targeted.sync import configuration

    if args.demo:
        from salesforce_targeted.demo_org import DemoOrg, serve

        server = stack.enter_context(serve(DemoOrg()))
        return SessionCredentials(instance_url=server.url, access_token=server.token)
    if args.sf_org:
        return SfOrgCredentials(sf_org=args.sf_org)
    return configuration.credentials()
