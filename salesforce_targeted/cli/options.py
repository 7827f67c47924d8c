"""Declare the options of the command line, and what ``--help`` teaches.

Rule: dlt and whatever else is slow is imported inside functions only; ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import re
from functools import partial
from pathlib import Path
from typing import NoReturn

RESOURCES = ("task_who_relation", "contact", "task", "user")
# A century: more is a slip of the finger, and far more overflows a date.
MOST_DAYS = 36_525
# A pass takes seconds, and a call a second would spend most orgs' day.
LEAST_INTERVAL_SECONDS, MOST_INTERVAL_SECONDS = 10, 86_400
_COLUMN_OF_HELP = 24

USAGE = "%(prog)s [--test|--count|--plan|--verify|...] [options]"

DESCRIPTION = """\
Sync the Salesforce contacts with logged activities into a database. Salesforce
is only read, never written to. Without options: what changed since the last
run, and the first time everything.

first steps:
  %(prog)s --demo      see it work, without an org
  %(prog)s --sign-in   which credentials are used, and do they work?
  %(prog)s --test      is everything in place? if not, what to do
  %(prog)s --plan      what would a run do, and cost?
  %(prog)s             sync
  %(prog)s --verify    does the database hold what the org shows?
"""

EPILOG = """\
signing in:
  In .dlt/secrets.toml (see .dlt/secrets.toml.example) or as SALESFORCE_*
  variables; values in .dlt take precedence. One way is enough:
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
  %(prog)s --every 60s            contacts fresh within a minute
  %(prog)s --sf-org uat --test    the org that sf calls uat
  %(prog)s --since 2026-01-31     what was modified since
  %(prog)s --limit 100            a trial
  %(prog)s --verify --repair      load again what drifted
  %(prog)s --json | jq .status    for scripts; the log is on stderr

exit codes:
  0  done
  1  failed: the org, the network or the destination; the error says what to do
  2  wrong use or configuration: correct it and run again
  3  stopped early: the API calls are spent, or another run is in progress; what
     was retrieved is loaded, and the next run continues
  4  drift found by --verify

Colour only on a terminal; NO_COLOR=1 switches it off, FORCE_COLOR=1 on.
"""


class _Parser(argparse.ArgumentParser):
    """Say what was perhaps meant by an option that there is not."""

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
    """Return the parser of a program of that name."""
    options = _Parser(
        prog=prog,
        usage=USAGE,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=partial(
            argparse.RawDescriptionHelpFormatter, max_help_position=_COLUMN_OF_HELP
        ),
        allow_abbrev=False,  # "--re" would mean another thing with the next option
    )
    _look(options)
    _what(options)
    _where(options)
    _output(options)
    return options


# Commands that load nothing; command_line.py has the function of each.
LOOKS = {
    "sign-in": "show which way to sign in is used and why, then try it",
    "test": "check sign-in, permissions, objects, calls left, destination, dataset",
    "count": "count the org's activity: relations, active contacts",
    "plan": "what the next run would do and cost in API calls",
    "verify": "compare the loaded data with the org, cell by cell",
}


def _flag(group: argparse._ArgumentGroup, name: str, text: str) -> None:
    group.add_argument(name, action="store_true", help=text)


def _look(options: argparse.ArgumentParser) -> None:
    group = options.add_argument_group("inspect only, nothing is loaded")
    look = group.add_mutually_exclusive_group()
    for mode, text in LOOKS.items():
        look.add_argument(f"--{mode}", dest="look", action="store_const", const=mode, help=text)
    _flag(group, "--repair", "with --verify: load again exactly what drifted")


def _what(options: argparse.ArgumentParser) -> None:
    what = options.add_argument_group("what to sync (default: what changed since the last run)")
    span = what.add_mutually_exclusive_group()
    add = what.add_argument
    _flag(span, "--full", "read everything again and compare all ids")
    span.add_argument(
        "--incremental", type=_days, metavar="N", help="only what was modified in the last N days"
    )
    span.add_argument("--since", metavar="DATE", help="only what was modified since a date")
    _flag(span, "--retry-rejected", "only the rows that were rejected before")
    text = "the same in other words: full, recent (--days), custom (--start-date)"
    span.add_argument("--mode", choices=("full", "recent", "custom"), help=text)
    add("--days", type=_days, metavar="N", help="with --mode recent (30)")
    add("--start-date", metavar="DATE", help="with --mode custom")
    add("--limit", type=_positive, metavar="N", help="at most N relations (a trial)")
    add("--only", metavar="NAMES", help=f"some of {', '.join(RESOURCES)}")
    text = "keep running and sync again and again, printing a line each time: 60s, 5m, 1h"
    add("--every", type=_interval, metavar="TIME", help=text)
    text = "sync although the org shows far fewer active contacts than before"
    _flag(what, "--allow-shrink", text)


def _where(options: argparse.ArgumentParser) -> None:
    how = options.add_argument_group("how, from where, where to")
    org = how.add_mutually_exclusive_group()
    add = how.add_argument
    _flag(org, "--demo", "use a built-in org of 600,000 contacts; writes the page, too")
    text = 'sign in with the session of the Salesforce CLI ("default": its default org)'
    org.add_argument("--sf-org", type=_text, metavar="ALIAS", help=text)
    ways = ("collections", "composite", "query", "bulk")
    add("--api", choices=ways, help="fetch records this way only")
    text = "read through this version of Salesforce's API (64.0)"
    add("--api-version", metavar="N", help=text)
    text = "spend at most N API calls; the next run goes on from there"
    add("--max-calls", type=int, metavar="N", help=text)
    text = "a dlt destination (postgres, duckdb, ...)"
    add("--destination", type=_text, metavar="NAME", help=text)
    add("--dataset", type=_text, metavar="NAME", help="dataset or schema (salesforce)")
    text = "dlt's working folder (DLT_DATA_DIR, or as dlt has it)"
    add("--pipelines-dir", type=_text, metavar="DIR", help=text)
    text, folder = "where reports are kept (sync_results)", Path("sync_results")
    add("--report-dir", metavar="DIR", type=_folder, default=folder, help=text)


def _output(options: argparse.ArgumentParser) -> None:
    out = options.add_argument_group("output")
    _flag(out, "--json", "one JSON object on stdout; all else on stderr")
    _flag(out, "--report-html", "the report also as a page")
    _flag(out, "--log-records", "the loaded records as JSON lines (personal data, mode 0600)")
    out.add_argument("-v", "--verbose", action="store_true", help="dlt's own log lines too")
    _flag(out, "--debug", "all log lines; never a secret")


def _text(text: str) -> str:
    # What a script's unset variable leaves would mean the default: another org, another database.
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _folder(text: str) -> Path:
    return Path(_text(text))


def _interval(text: str) -> float:
    read = re.fullmatch(r"(\d{1,6})\s*([smh]?)", text.strip().lower(), re.ASCII)
    if read is None:
        raise argparse.ArgumentTypeError("must be a time such as 60s, 5m or 1h")
    seconds = int(read[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[read[2]]
    if not LEAST_INTERVAL_SECONDS <= seconds <= MOST_INTERVAL_SECONDS:
        raise argparse.ArgumentTypeError(f"must be {LEAST_INTERVAL_SECONDS}s or more, 24h at most")
    return seconds


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
