"""Hold what all methods of signing in share: their settings, what is missing, what stays secret.

Rules:
1. dlt configuration wins: what an optional setting lacks, and only that, comes from
   ``SALESFORCE_*``.
2. A secret never shows in ``repr``, ``str``, an error or a log line.
3. A refusal says which method was used, with which settings: their names, never a value.
"""

import os
import string
from collections.abc import Collection
from dataclasses import field
from inspect import get_annotations
from pathlib import Path
from typing import Any, ClassVar, Optional

from dlt.common.configuration.specs import CredentialsConfiguration, configspec
from dlt.common.typing import is_optional_type

from salesforce_targeted.api.addresses import login_origin
from salesforce_targeted.api.credentials.config_keys import CREDENTIALS, raw
from salesforce_targeted.api.errors import ConfigurationError, SalesforceError
from salesforce_targeted.api.login import STALE_REMEDY, LoginEndpoint, Session

# setting -> environment name
ENVIRONMENT = {
    setting: f"SALESFORCE_{setting.upper()}"
    for setting in (
        "login_url", "domain", "client_id", "client_secret", "username", "password",
        "security_token", "private_key", "private_key_file", "refresh_token", "refresh_token_file",
        "audience", "instance_url", "access_token", "sf_org",
    )
}  # fmt: skip
# Settings that mean the same: one of them set in dlt keeps the environment's other out.
_SAME = (("login_url", "domain"), ("private_key", "private_key_file"))
_NOT_SECRET = {
    "domain", "login_url", "audience", "instance_url", "private_key_file", "refresh_token_file",
    "sf_org",
}  # fmt: skip


# What comes along unseen when a value is copied, or read from a file that an editor wrote.
_UNSEEN = "\ufeff\u200b\u200c\u200d\u2060"
_MAY_BE_QUOTED = {"password", "security_token"}


def cleaned(setting: str, value: str) -> str:
    """Return a value without the blanks, marks and quotes that were never meant.

    ``docker --env-file`` takes the quotes of ``KEY="value"`` for a part of the value. A password
    alone may begin and end with them.
    """
    value = value.strip(_UNSEEN + string.whitespace + "\xa0")
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1].strip() if quoted and setting not in _MAY_BE_QUOTED else value


def path_in(setting: str, value: str) -> Path:
    """Return the path that a setting holds, with its ``~`` as the user's home.

    Raises:
        ConfigurationError: there is no such user, or none whose home is known.
    """
    try:
        return Path(value).expanduser()
    except RuntimeError:  # a container's user may stand in no list of users
        raise ConfigurationError(
            f"{ENVIRONMENT[setting]} begins with a ~, and there is no such home folder",
            remedy="Write the whole path.",
        ) from None


class SignInCredentials(CredentialsConfiguration):
    """Be one method of signing in, as a dlt configspec."""

    method: ClassVar[str] = ""  # what it is called

    @classmethod
    def accepted(cls) -> tuple[str, ...]:
        """List all its settings, its own before those of where to sign in."""
        return tuple(n for kind in cls.__mro__ for n in get_annotations(kind) if n in ENVIRONMENT)

    @classmethod
    def required(cls) -> tuple[str, ...]:
        """List the settings without which it can't sign in."""
        hints = cls.get_resolvable_fields()
        return tuple(n for n in cls.accepted() if not is_optional_type(hints[n]))

    @classmethod
    def lacking(cls, settings: Collection[str]) -> list[str]:
        """List what it needs and these settings, by name, lack."""
        return [name for name in cls.required() if name not in settings]

    def _fill(self, settings: Collection[str]) -> None:
        """Take what isn't set, or is blank, from below it in dlt or from the environment."""
        for setting in settings:
            if getattr(self, setting, None) is not None and setting not in self.given:
                # dlt takes a blank variable, and looks no further.
                below = (value for _, value in raw(f"{CREDENTIALS}.{setting}"))
                texts = (value for value in below if isinstance(value, str) and value.strip())
                setattr(self, setting, next(texts, None))
        held = {n for pair in _SAME if any(p in self.given for p in pair) for n in pair}
        for setting in settings:
            value = cleaned(setting, os.environ.get(ENVIRONMENT[setting], ""))
            if value and setting not in held and setting not in self.given:
                setattr(self, setting, value)

    def parse_native_representation(self, native_value: Any) -> None:
        """Refuse what is neither credentials nor a dict of settings (dlt calls this).

        dlt would go on to the next method, and at last sign in by what the environment holds.

        Raises:
            ConfigurationError: says what to give; the value, which may be a secret, is not told.
            NotImplementedError: it is blank, or another method: dlt looks further.
        """
        blank = isinstance(native_value, str) and not native_value.strip()
        if blank or isinstance(native_value, SignInCredentials):  # another method, tried as well
            super().parse_native_representation(native_value)
        raise ConfigurationError(
            f"credentials are given as {type(native_value).__name__}, which is no way to sign in",
            remedy="Give one of salesforce_targeted.api.credentials, such as SessionCredentials, or"
            " a dict of its settings.",
        )

    @classmethod
    def is_field_resolved(cls, value: Any, hint: Any) -> bool:
        """Take a blank for a setting that is not set (dlt calls this)."""
        blank = isinstance(value, str) and not value.strip()
        return bool(super().is_field_resolved(None if blank else value, hint))

    @property
    def resolved(self) -> "SignInCredentials":
        """Return the credentials that sign in: these, or the ones that these have chosen."""
        return self

    @property
    def given(self) -> list[str]:
        """List the settings that are set, by name."""
        return [n for n in self.accepted() if (getattr(self, n, None) or "").strip()]

    @property
    def stale_remedy(self) -> str:
        """Say what to do about a session that has ended if signing in again gives the same one."""
        return self._located(STALE_REMEDY)

    def _secrets(self, *more: str) -> list[str]:
        """List what an error must not repeat, should Salesforce's response echo it."""
        return [*more, *(getattr(self, n) for n in self.given if n not in _NOT_SECRET)]

    def sign_in(self, endpoint: LoginEndpoint) -> Session:
        """Get a session.

        Raises:
            ConfigurationError: a setting is missing or can't be meant that way; nothing was sent.
            AuthenticationError: Salesforce refuses; the remedy names the likely culprit.
            UnavailableError: no response.
        """
        if missing := self.lacking(self.given):
            raise ConfigurationError(
                f"sign-in by {self.method} lacks {', '.join(missing)}",
                remedy=f"Set {' and '.join(ENVIRONMENT[n] for n in missing)}, or the same names"
                " without the prefix under [sources.salesforce_targeted.credentials].",
            )
        self._clean()
        try:
            return self._sign_in(endpoint)
        except SalesforceError as error:
            error.remedy = self._located(error.remedy)
            raise

    def _clean(self) -> None:
        for name in self.given:
            setattr(self, name, cleaned(name, getattr(self, name)))

    def _located(self, remedy: str) -> str:
        """Add to a remedy which settings it is about, and where they are used."""
        at = f" at {place}" if (place := self._place()) else ""
        return f"{remedy} Sign-in was by {self.method} ({', '.join(self.given)}){at}.".lstrip()

    def _place(self) -> str:
        return ""

    def _sign_in(self, endpoint: LoginEndpoint) -> Session:
        raise AssertionError(f"{type(self).__name__} does not sign in with {endpoint}")

    def on_resolved(self) -> None:
        """Complete the optional settings from the environment (dlt calls this)."""
        self._fill(set(self.accepted()) - set(self.required()))
        self._clean()

    def __repr__(self) -> str:
        # Names only: even a user name or a host says more than a log needs.
        return f"{type(self).__name__}({', '.join(self.given)})"

    __str__ = __repr__


@configspec
class LoginHostCredentials(SignInCredentials):
    """Sign in at an address of choice: a login host or the org's My Domain."""

    # By name only: each method has its own settings first.
    login_url: Optional[str] = field(default=None, kw_only=True)
    domain: Optional[str] = field(default=None, kw_only=True)

    def _place(self) -> str:
        try:
            return self._origin()
        except ConfigurationError:  # which is what the remedy is about
            return ""

    def _origin(self) -> str:
        return login_origin(self.login_url, self.domain)

    def _ask(self, endpoint: LoginEndpoint, grant_type: str, **more: str) -> dict[str, object]:
        """Ask the token endpoint for a session, by the app's id and the secret that is set."""
        form = {n: getattr(self, n) for n in self.given if n in ("client_id", "client_secret")}
        form |= {"grant_type": grant_type, **more}
        return endpoint.token(self._origin(), form, self._secrets(*more.values()))
