"""Sign in with the Salesforce CLI's org: ``sf`` holds the login, we borrow its session.

Rules:
1. ``sf`` is run without a shell, and only to show an org and that org's access token.
2. Its output holds a token: nothing of it is logged or repeated but the message of its own error,
   without what looks like a token.
3. Every sign-in runs it again, for it renews a session that has expired.

Source: Salesforce CLI Command Reference, "org display", "org auth show-access-token" (from CLI
2.136.8 on, "org display" shows ``[REDACTED]`` instead of the token).
"""

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from dlt.common.configuration.specs import configspec

from salesforce_targeted.api import errors
from salesforce_targeted.api.addresses import origin
from salesforce_targeted.api.credentials.base import SignInCredentials
from salesforce_targeted.api.login import LoginEndpoint, Session

_log = logging.getLogger(__name__)

# The name for the org that the CLI itself takes where none is named ("sf config get target-org").
DEFAULT = "default"
# An alias, or a user name. Not what a shell might obey: on Windows "sf" is a batch file.
_NAME = re.compile(r"[\w.@+][\w.@+ -]*\Z")
# One word of ASCII; "[REDACTED] Use 'sf org auth …" is none.
_TOKEN = re.compile(r"[!-Z\\^-~]+")
# The CLI's error name -> what to do; the first that occurs in it wins.
_REMEDIES: tuple[tuple[str, type[errors.SalesforceError], str], ...] = (
    ("NamedOrgNotFound", errors.ConfigurationError,
     "sf org list shows the names it knows; sf org login web --alias {name} adds one."),
    ("NoDefaultEnv", errors.ConfigurationError,
     "Choose one: sf config set target-org <alias>, or name it here."),
    ("CommandNotFound", errors.ConfigurationError, "Update the Salesforce CLI: sf update."),
)  # fmt: skip


@configspec
class SfOrgCredentials(SignInCredentials):
    """Use the session that the Salesforce CLI has of an org: by alias, user name or ``default``."""

    sf_org: str = None  # type: ignore[assignment]  # dlt's way to say: required
    # A Node program that may first look for updates and then renews the session over the network.
    timeout_seconds: float = 90.0

    method: ClassVar[str] = "the Salesforce CLI's org"

    @property
    def stale_remedy(self) -> str:
        """Say what to do once the CLI itself can't renew the session."""
        return self._located(_log_in_again(self.sf_org))

    def _sign_in(self, endpoint: LoginEndpoint) -> Session:
        del endpoint  # the CLI talks to Salesforce itself
        name = self.sf_org.strip()
        if not _NAME.match(name):
            raise errors.ConfigurationError(
                "the name of the Salesforce CLI's org has characters that no alias has",
                remedy="sf org list shows the names it knows.",
            )
        shown = _result(["org", "display"], name, self.timeout_seconds)
        connected = shown.get("connectedStatus")
        if isinstance(connected, str) and connected not in ("", "Connected", "Unknown"):
            raise errors.AuthenticationError(
                f"the Salesforce CLI is not connected to {name}: {connected}",
                remedy=_log_in_again(name),
            )
        token = _token_in(shown) or _token_in(
            _result(["org", "auth", "show-access-token"], name, self.timeout_seconds)
        )
        if not token or not isinstance(shown.get("instanceUrl"), str):
            raise errors.AuthenticationError(
                f"the Salesforce CLI gives no session of {name}",
                remedy=_log_in_again(name),
            )
        _log.debug("the Salesforce CLI gave a session")
        url = origin(shown["instanceUrl"], "the CLI's instanceUrl")
        return Session(url, token, str(shown.get("id") or ""))


def _log_in_again(name: str) -> str:
    alias = "" if name == DEFAULT else f" --alias {name}"
    return f"Log in again: sf org login web{alias}."


def _token_in(shown: Mapping[str, Any]) -> str:
    """Return the token; "" where there is none, or a note instead of it."""
    token = str(shown.get("accessToken") or "")
    return token if _TOKEN.fullmatch(token) else ""


def _result(command: list[str], name: str, timeout_seconds: float) -> dict[str, Any]:
    """Run an ``sf`` command and return the ``result`` of its JSON.

    Raises:
        ConfigurationError: there is no CLI, or it does not know such an org.
        AuthenticationError: it refuses for another reason.
        UnavailableError: it does not end, or writes something that is no JSON.
    """
    target = [] if name == DEFAULT else ["--target-org", name]
    words = " ".join(["sf", *command])
    code, out = _run([*command, "--json", *target], words, timeout_seconds)
    try:
        output = json.JSONDecoder().raw_decode(out, out.index("{"))[0]
    except (ValueError, RecursionError):
        raise errors.UnavailableError(
            f"{words} ended with exit code {code} and wrote nothing that is JSON",
            remedy=f"Run {words} by hand, and fix what it reports.",
        ) from None
    result = output.get("result")
    if code == 0 and isinstance(result, dict):
        return result
    kind, message = str(output.get("name") or ""), str(output.get("message") or f"exit code {code}")
    for part, error, remedy in _REMEDIES:
        if part.lower() in kind.lower():
            raise error(f"the Salesforce CLI refuses: {message}", remedy=remedy.format(name=name))
    raise errors.AuthenticationError(
        f"the Salesforce CLI refuses ({words}): {message}",
        remedy=_log_in_again(name),
    )


def _run(argv: list[str], words: str, timeout_seconds: float) -> tuple[int, str]:
    """Run ``sf``; return its exit code and what it wrote on stdout."""
    program = shutil.which("sf")
    if program is None:
        raise errors.ConfigurationError(
            "an org of the Salesforce CLI is wanted, and there is no sf on the PATH",
            remedy="Install it (npm install --global @salesforce/cli) and log in with"
            " sf org login web, or sign in another way.",
        )
    # Colours would stand between the JSON; our own credentials are none of its business.
    left = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("SALESFORCE_") and key != "FORCE_COLOR"
    }
    try:
        process = subprocess.Popen(  # noqa: S603  # no shell; the name was looked at
            [program, *argv],
            stdin=subprocess.DEVNULL,  # it reads nothing
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**left, "NO_COLOR": "1"},
            start_new_session=sys.platform != "win32",
        )
    except OSError as error:
        raise errors.ConfigurationError(
            f"the Salesforce CLI can't be run: {error.strerror}", remedy="Is sf a program?"
        ) from None
    with process:
        try:
            out, _ = process.communicate(timeout=timeout_seconds)
        except BaseException as error:
            _kill(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise errors.UnavailableError(
                    f"{words} did not end within {timeout_seconds:g} seconds",
                    remedy=f"Run {words} by hand: it may wait for the network.",
                ) from None
            raise
    return process.returncode, out.decode("utf-8", "replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it and what it started: a wrapper's Node would go on."""
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
