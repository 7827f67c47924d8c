"""The command line's options, what ``--help`` teaches, and what a set of options asks for.

Rule: dlt and whatever else is slow is imported inside functions only; ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from salesforce_targeted.settings import Scope

RESOURCES = ("task_who_relation", "contact", "task", "user")
# A century: more is a slip of the finger, and far more overflows a date.
MOST_DAYS = 36_525
_RECENT_DAYS = 30
_COLUMN_OF_HELP = 24
_LOOKS = ("sign_in", "test", "count", "plan", "verify")
_OF_A_SYNC = (
    "full", "incremental", "since", "retry_rejected", "mode", "limit", "only", "report_html",
    "log_records",
)  # fmt: skip

USAGE = "%(prog)s [--test|--count|--plan|--verify|...] [options]"

DESCRIPTION = """\
Sync the Salesforce contacts with logged activities into a database. Salesforce
is only read, never written to. Without options: what changed since the last
run, and the first time everything.

first steps:
  %(prog)s --demo      see it work, without an org
  %(prog)s --sign-in   which credentials are taken, do they work?
  %(prog)s --test      is everything in place? what to mend
  %(prog)s --plan      what would a run do, and cost?
  %(prog)s             sync
  %(prog)s --verify    is what is held what the org shows?
"""

EPILOG = """\
signing in:
  In .dlt/secrets.toml (see .dlt/secrets.toml.example) or as SALESFORCE_*
  variables; what stands in .dlt wins. One way is enough:
    app at its My Domain    login_url, client_id, client_secret
    app and certificate     username, client_id, private_key_file
    refresh token           client_id, refresh_token
    user and password       username, password, security_token
    Salesforce CLI's org    sf_org, or --sf-org ALIAS

where the data goes:
  [destination.postgres.credentials] in .dlt/secrets.toml, or
  DESTINATION__POSTGRES__CREDENTIALS=postgresql://user:password@host/database.
  Without either: targeted_contacts.duckdb in this folder.

more examples:
  %(prog)s --sf-org uat --test    the org that sf calls uat
  %(prog)s --since 2026-01-31     what was modified since
  %(prog)s --limit 100            a trial
  %(prog)s --verify --repair      load again what drifted
  %(prog)s --json | jq .status    for scripts; the log is on stderr

exit codes:
  0  done
  1  failed: the org, the network or the destination; run again once mended
  2  wrong use or configuration: correct it and run again
  3  stopped before the work was complete (the calls are spent, or another run
     is at work): what came is loaded, the next run goes on
  4  drift found by --verify

Colour only on a terminal; NO_COLOR=1 switches it off, FORCE_COLOR=1 on.
"""


class _Parser(argparse.ArgumentParser):
    """Says what was perhaps meant by an option that there is not."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in a line, and end with exit code 2."""
        if message.startswith("unrecognized arguments:"):
            from difflib import get_close_matches  # slow to import, and seldom needed

            wrong = message.partition(":")[2].split()[0].partition("=")[0]
            known = [name for action in self._actions for name in action.option_strings]
            meant = get_close_matches(wrong, known, 1)
            message += f" (is {meant[0]} meant?)" if meant else ""
        super().error(f"{message}; --help explains the options")


def parser(prog: str) -> argparse.ArgumentParser:
    """The command line of a program of that name."""
    made = _Parser(
        prog=prog,
        usage=USAGE,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=partial(
            argparse.RawDescriptionHelpFormatter, max_help_position=_COLUMN_OF_HELP
        ),
        allow_abbrev=False,  # "--re" would mean another thing with the next option
    )
    _look(made)
    _what(made)
    _where(made)
    _output(made)
    return made


def _look(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("look, load nothing")
    look = group.add_mutually_exclusive_group()
    look.add_argument(
        "--sign-in", action="store_true",
        help="which way to sign in is taken and why, where each setting was found; then try it",
    )  # fmt: skip
    look.add_argument(
        "--test", action="store_true",
        help="a checklist: sign-in, permissions, objects, calls left, destination, dataset",
    )  # fmt: skip
    look.add_argument(
        "--count", action="store_true", help="the org's activity: relations, active contacts"
    )
    look.add_argument(
        "--plan", action="store_true", help="the next run's calls, and the ways it rejected"
    )
    look.add_argument(
        "--verify", action="store_true", help="compare what is held with the org, cell by cell"
    )
    group.add_argument(
        "--repair", action="store_true", help="with --verify: load again exactly what drifted"
    )


def _what(made: argparse.ArgumentParser) -> None:
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
        "--retry-rejected", action="store_true", help="the rejected rows again, nothing else"
    )
    span.add_argument(
        "--mode", choices=("full", "recent", "custom"),
        help="the same in other words: full, recent (--days), custom (--start-date)",
    )  # fmt: skip
    what.add_argument("--days", type=_days, metavar="N", help="with --mode recent (30)")
    what.add_argument("--start-date", metavar="DATE", help="with --mode custom")
    what.add_argument("--limit", type=_positive, metavar="N", help="at most N relations (a trial)")
    what.add_argument("--only", metavar="NAMES", help=f"some of {', '.join(RESOURCES)}")
    what.add_argument(
        "--allow-shrink", action="store_true",
        help="go on although the org shows far fewer active contacts than before",
    )  # fmt: skip


def _where(made: argparse.ArgumentParser) -> None:
    how = made.add_argument_group("how, from where, where to")
    org = how.add_mutually_exclusive_group()
    org.add_argument(
        "--demo", action="store_true",
        help="a built-in org of 600,000 contacts, for this run only; draws the page, too",
    )  # fmt: skip
    org.add_argument(
        "--sf-org", metavar="ALIAS",
        help='sign in with the session of the Salesforce CLI ("default": its default org)',
    )  # fmt: skip
    how.add_argument(
        "--api", choices=("collections", "composite", "query", "bulk"), help="force one retrieval"
    )
    how.add_argument(
        "--max-calls", type=int, metavar="N",
        help="spend at most N API calls; what came is loaded, and the next run goes on",
    )  # fmt: skip
    how.add_argument(
        "--destination", metavar="NAME", help="a dlt destination (postgres, duckdb, ...)"
    )
    how.add_argument("--dataset", metavar="NAME", help="dataset or schema (salesforce)")
    how.add_argument(
        "--pipelines-dir", metavar="DIR",
        help="dlt's working folder (DLT_DATA_DIR, or as dlt has it)",
    )  # fmt: skip
    how.add_argument(
        "--report-dir", metavar="DIR", type=Path, default=Path("sync_results"),
        help="where reports are kept (sync_results)",
    )  # fmt: skip


def _output(made: argparse.ArgumentParser) -> None:
    out = made.add_argument_group("output")
    out.add_argument(
        "--json", action="store_true", help="one JSON object on stdout; all else on stderr"
    )
    out.add_argument(
        "--report-html", action="store_true",
        help="the report as a page, beside it (plots need the extra html)",
    )  # fmt: skip
    out.add_argument(
        "--log-records", action="store_true",
        help="loaded records as JSON lines beside the report (personal data, mode 0600)",
    )  # fmt: skip
    out.add_argument("-v", "--verbose", action="store_true", help="dlt's own log lines too")
    out.add_argument("--debug", action="store_true", help="all log lines; never a secret")


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


def scope(args: argparse.Namespace) -> Scope:
    """What this run looks at.

    Raises:
        ConfigurationError: a date is none or is to come, an option would be ignored, or reports
            can't be kept where they shall be.
    """
    from salesforce_targeted.api.errors import ConfigurationError
    from salesforce_targeted.settings import Scope, moment

    _check_combinations(args)
    since = moment(args.start_date if args.mode == "custom" else args.since)
    days = args.incremental or (args.days or _RECENT_DAYS if args.mode == "recent" else None)
    if days:
        since = datetime.now(UTC) - timedelta(days=days)
    if since is not None and since > datetime.now(UTC):
        raise ConfigurationError(
            f"nothing was modified since {since:%Y-%m-%d}: that day is to come",
            remedy="Give an earlier date.",
        )
    log = args.report_dir / f"targeted_contacts_{datetime.now(UTC):%Y%m%d_%H%M%S}.records.jsonl"
    if not looks_only(args):
        _make_report_dir(args.report_dir)
    return Scope(
        full=args.full or args.mode == "full",
        since=since,
        limit=args.limit,
        allow_shrink=args.allow_shrink,
        retry_rejected=args.retry_rejected,
        record_log=log if args.log_records else None,
    )


def _check_combinations(args: argparse.Namespace) -> None:
    """Refuse options that would be ignored beside others, or without them.

    Raises:
        ConfigurationError: says which.
    """
    from salesforce_targeted.api.errors import ConfigurationError

    for option, mode in (("days", "recent"), ("start_date", "custom")):
        name = f"--{option.replace('_', '-')}"
        if getattr(args, option) and args.mode != mode:
            raise ConfigurationError(
                f"{name} goes with --mode {mode}", remedy="Give both, or use --since."
            )
    if args.mode == "custom" and not args.start_date:
        raise ConfigurationError("--mode custom needs --start-date", remedy="Give a date.")
    looks = [name for name in _LOOKS if getattr(args, name)]
    for option in _OF_A_SYNC if looks else ():
        if getattr(args, option) not in (None, False):
            raise ConfigurationError(
                f"--{looks[0].replace('_', '-')} loads nothing: --{option.replace('_', '-')} has no"
                " part in it",
                remedy="Leave one of them out.",
            )


def looks_only(args: argparse.Namespace) -> bool:
    """Whether nothing is to be loaded."""
    return any(getattr(args, name) for name in _LOOKS)


def only(names: str | None) -> list[str]:
    """The resources that ``--only`` names.

    Raises:
        ConfigurationError: there is no such resource.
    """
    from salesforce_targeted.api.errors import ConfigurationError

    chosen = [name.strip() for name in (names or "").split(",") if name.strip()]
    if names is not None and not chosen:
        raise ConfigurationError(
            "--only names nothing", remedy=f"Choose some of {', '.join(RESOURCES)}."
        )
    unknown = [name for name in chosen if name not in RESOURCES]
    if unknown:
        raise ConfigurationError(
            f"--only: there is no resource {', '.join(unknown)}",
            remedy=f"Choose some of {', '.join(RESOURCES)}.",
        )
    return chosen


def given(args: argparse.Namespace) -> dict[str, Any]:
    """Source parameters that the command line sets; the others come from configuration."""
    found = {"api": args.api, "calls_per_run": args.max_calls}
    return {name: value for name, value in found.items() if value is not None}


def _make_report_dir(folder: Path) -> None:
    """Before the first call: a sync whose report can't be written looks like one that failed."""
    from salesforce_targeted.api.errors import ConfigurationError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"--report-dir: {folder} can't be made: {error.strerror}", remedy="Choose another."
        ) from error
