"""What the ways to sign in have in common: their settings, what is missing, what stays secret.

Rules:
1. dlt configuration wins: what an optional setting lacks, and only that, comes from
   ``SALESFORCE_*``.
2. A secret never shows in ``repr``, ``str``, an error or a log line.
3. Of each setting it is known where it was found, so that a refusal can say where to look.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Optional

from dlt.common.configuration.specs import CredentialsConfiguration, configspec
from dlt.common.configuration.utils import get_resolved_traces

from salesforce_targeted.api.errors import ConfigurationError, SalesforceError
from salesforce_targeted.api.login import STALE_REMEDY, LoginEndpoint, Session, login_origin

# setting -> environment name
ENVIRONMENT = {
    setting: f"SALESFORCE_{setting.upper()}"
    for setting in (
        "login_url", "domain", "client_id", "client_secret", "username", "password",
        "security_token", "private_key", "private_key_file", "refresh_token", "refresh_token_file",
        "instance_url", "access_token", "sf_org",
    )
}  # fmt: skip
# Settings that say the same thing in two ways: one of them set in dlt keeps the environment's other
# out.
_SAME = (("login_url", "domain"), ("private_key", "private_key_file"))
THE_ENVIRONMENT = "the environment"
# What dlt calls its own provider of environment variables.
_DLT_ENVIRONMENT = "Environment Variables"


@dataclass(frozen=True, slots=True)
class Found:
    """Where a setting was found: what it is called there, and the place; never its value."""

    name: str
    place: str


def said(origins: Mapping[str, Found]) -> str:
    """Places and the names found there: "secrets.toml (client_id), the environment (…)"."""
    places: dict[str, list[str]] = {}
    for found in origins.values():
        places.setdefault(found.place, []).append(found.name)
    return ", ".join(f"{place} ({', '.join(names)})" for place, names in places.items())


class SignInCredentials(CredentialsConfiguration):
    """One way to sign in, as a dlt configspec.

    Attributes:
        way: What it is called.
        needs: The settings without which it can't sign in.
        takes: All its settings.
    """

    way: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    takes: ClassVar[tuple[str, ...]] = ()

    def _fill(self, environ: Mapping[str, str], settings: tuple[str, ...]) -> None:
        """Take what isn't set from the environment."""
        kept = {n for pair in _SAME if any(getattr(self, p, None) for p in pair) for n in pair}
        for setting in settings:
            value = environ.get(ENVIRONMENT[setting], "")
            if value and setting not in kept and not getattr(self, setting, None):
                setattr(self, setting, value)
                self.note(setting, Found(ENVIRONMENT[setting], THE_ENVIRONMENT))

    @property
    def origins(self) -> dict[str, Found]:
        """Setting -> where it was found, of those that are set; empty where a caller set them."""
        found: dict[str, Found] = self.__dict__.get("found", {})
        return {n: found[n] for n in self.takes if n in found and getattr(self, n, None)}

    def note(self, setting: str, found: Found) -> None:
        """Remember where a setting was found."""
        self.__dict__.setdefault("found", {})[setting] = found

    def _note_what_dlt_found(self) -> None:
        # dlt keeps what it looked up per thread, and only now is it this thread that asked.
        for trace in get_resolved_traces().resolved_traces:
            if trace.config is self and trace.key in self.takes and trace.value:
                if trace.provider_name == _DLT_ENVIRONMENT:
                    name = "__".join([*trace.sections, trace.key]).upper()
                    self.note(trace.key, Found(name, THE_ENVIRONMENT))
                else:
                    place = trace.provider_location or trace.provider_name
                    self.note(trace.key, Found(trace.key, place))

    @property
    def taken(self) -> "SignInCredentials":
        """The way that signs in: this one, or the one that it has chosen."""
        return self

    @property
    def stale_remedy(self) -> str:
        """What to do about a session that has ended and that signing in again gives anew."""
        return self._pointed(STALE_REMEDY)

    def _required(self) -> None:
        missing = [n for n in self.needs if not getattr(self, n, None)]
        if missing:
            raise ConfigurationError(
                f"sign-in by {self.way} lacks {', '.join(missing)}",
                remedy="Set "
                + " and ".join(ENVIRONMENT[n] for n in missing)
                + ", or the same names "
                "without the prefix under [sources.salesforce_targeted.credentials].",
            )

    def _secrets(self, *more: str) -> list[str]:
        """What an error must not repeat, should Salesforce's answer echo it."""
        open_ = {
            "domain",
            "login_url",
            "instance_url",
            "private_key_file",
            "refresh_token_file",
            "sf_org",
        }
        return [*more, *(v for n in self.takes if n not in open_ and (v := getattr(self, n, None)))]

    def sign_in(self, door: LoginEndpoint) -> Session:
        """Get a session.

        Raises:
            ConfigurationError: a setting is missing or can't be meant that way; nothing was sent.
            AuthenticationError: Salesforce refuses; the remedy names the likely culprit.
            UnavailableError: no answer.
        """
        self._required()
        try:
            return self._sign_in(door)
        except SalesforceError as error:
            error.remedy = self._pointed(error.remedy)
            raise

    def _pointed(self, remedy: str) -> str:
        """A remedy, and where the settings are that it is about."""
        found = self.origins
        return f"{remedy} The settings are from {said(found)}.".lstrip() if found else remedy

    def _sign_in(self, door: LoginEndpoint) -> Session:
        raise AssertionError(f"{type(self).__name__} has no way to sign in with {door}")

    def on_resolved(self) -> None:
        """Complete the optional settings from the environment (dlt calls this)."""
        self._note_what_dlt_found()
        self._fill(os.environ, tuple(n for n in self.takes if n not in self.needs))

    def __repr__(self) -> str:
        # Names only: even a user name or a host says more than a log needs.
        held = ", ".join(n for n in self.takes if getattr(self, n, None))
        return f"{type(self).__name__}({held})"

    __str__ = __repr__


@configspec
class LoginHostCredentials(SignInCredentials):
    """A way that signs in at an address of its own choice: a login host or the org's My Domain."""

    # By name only: in each way its own settings come first.
    login_url: Optional[str] = field(default=None, kw_only=True)
    domain: Optional[str] = field(default=None, kw_only=True)

    def _pointed(self, remedy: str) -> str:
        pointed = super()._pointed(remedy)
        try:
            return f"{pointed} Asked was {self._origin()}."
        except ConfigurationError:  # which is what the remedy is about
            return pointed

    def _origin(self) -> str:
        return login_origin(self.login_url, self.domain)
