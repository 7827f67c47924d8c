"""Which way to sign in is taken, of what dlt's configuration and the environment hold.

Rules:
1. dlt configuration wins. A way that is complete in it is taken whatever the environment holds.
2. Where several ways are possible the one that uses most of what is set is taken; see WAYS.

Source: the design of this project, section 8.
"""

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Optional, Union

from dlt.common.configuration.specs import configspec
from dlt.common.typing import TSecretStrValue

from salesforce_targeted.api.credentials.base import (
    ENVIRONMENT,
    THE_ENVIRONMENT,
    Found,
    SignInCredentials,
)
from salesforce_targeted.api.credentials.oauth import (
    ClientCredentials,
    JwtCredentials,
    PasswordCredentials,
    RefreshTokenCredentials,
    SessionCredentials,
    SoapCredentials,
)
from salesforce_targeted.api.credentials.salesforce_cli import SfOrgCredentials
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.api.login import LoginEndpoint, Session

# In the order in which they are taken: the first that is complete uses most of what is set. The
# CLI's org comes first: whoever names it asks for nothing else with that.
WAYS: tuple[type[SignInCredentials], ...] = (
    SfOrgCredentials,
    SessionCredentials,
    JwtCredentials,
    RefreshTokenCredentials,
    PasswordCredentials,
    SoapCredentials,
    ClientCredentials,
)


class IncompleteCredentialsError(ConfigurationError):
    """No way to sign in has all that it needs."""


@configspec
class AnyCredentials(SignInCredentials):
    """Whatever is set in dlt's configuration and in ``SALESFORCE_*`` taken together.

    The last of the union: it is tried when no way is complete in dlt's configuration alone.
    """

    chosen: str = None  # type: ignore[assignment]  # the class's name; set once a way is complete
    login_url: Optional[str] = None
    domain: Optional[str] = None
    client_id: Optional[str] = None
    client_secret: Optional[TSecretStrValue] = None
    username: Optional[str] = None
    password: Optional[TSecretStrValue] = None
    security_token: Optional[TSecretStrValue] = None
    private_key: Optional[TSecretStrValue] = None
    private_key_file: Optional[str] = None
    refresh_token: Optional[TSecretStrValue] = None
    refresh_token_file: Optional[str] = None
    instance_url: Optional[str] = None
    access_token: Optional[TSecretStrValue] = None
    sf_org: Optional[str] = None

    way: ClassVar[str] = "whatever is set"
    takes: ClassVar[tuple[str, ...]] = tuple(ENVIRONMENT)

    def on_partial(self) -> None:
        """Choose a way from what is there (dlt calls this).

        Raises:
            IncompleteCredentialsError: no way is complete.
        """
        self._note_what_dlt_found()
        self._fill(os.environ, self.takes)
        # dlt's own error would list every setting of every way: some 240 lines.
        self.chosen = type(self.taken).__name__
        self.resolve()

    def _settings(self) -> dict[str, str]:
        return {n: v for n in self.takes if (v := getattr(self, n, None))}

    @property
    def taken(self) -> SignInCredentials:
        """The way that is complete; always the same spec, for one may hold a rotated token."""
        found: SignInCredentials | None = self.__dict__.get("_spec")
        if found is None:
            found = self.__dict__["_spec"] = _spec(self._settings(), self.origins)
        return found

    @property
    def stale_remedy(self) -> str:
        """As in every way: that of the one that is taken."""
        return self.taken.stale_remedy

    def sign_in(self, door: LoginEndpoint) -> Session:
        """As in every way, by the one that is taken."""
        return self.taken.sign_in(door)


SalesforceCredentials = Union[
    SfOrgCredentials,
    SessionCredentials,
    JwtCredentials,
    RefreshTokenCredentials,
    PasswordCredentials,
    SoapCredentials,
    ClientCredentials,
    AnyCredentials,
]


def from_environment(environ: Mapping[str, str]) -> SignInCredentials:
    """The credentials that ``SALESFORCE_*`` describe.

    Raises:
        IncompleteCredentialsError: no way is complete; says what is missing for the nearest one.
    """
    settings = _set_in(environ)
    return _spec(settings, {n: Found(ENVIRONMENT[n], THE_ENVIRONMENT) for n in settings})


def what_is_missing(environ: Mapping[str, str]) -> str:
    """What the nearest way lacks of what ``SALESFORCE_*`` hold; empty where one is complete."""
    settings = _set_in(environ)
    return "" if _choose(settings) else _nearest(settings)


def _set_in(environ: Mapping[str, str]) -> dict[str, str]:
    return {n: value for n, name in ENVIRONMENT.items() if (value := environ.get(name, "").strip())}


def _missing(way: type[SignInCredentials], settings: Mapping[str, str]) -> list[str]:
    if way is JwtCredentials and "private_key_file" in settings:
        settings = {**settings, "private_key": ""}
    return [n for n in way.needs if n not in settings]


def _choose(settings: Mapping[str, str]) -> type[SignInCredentials] | None:
    return next((way for way in WAYS if not _missing(way, settings)), None)


def _spec(settings: Mapping[str, str], origins: Mapping[str, Found]) -> SignInCredentials:
    chosen = _choose(settings)
    if chosen is None:
        raise IncompleteCredentialsError(
            f"no way to sign in to Salesforce is complete: {_nearest(settings)}",
            remedy="Set them in the environment, or the same names without the prefix under "
            "[sources.salesforce_targeted.credentials] in .dlt/secrets.toml.",
        )
    spec: Any = chosen()
    for setting in chosen.takes:
        if setting in settings:
            setattr(spec, setting, settings[setting])
        if setting in origins:
            spec.note(setting, origins[setting])
    result: SignInCredentials = spec
    return result


def _nearest(settings: Mapping[str, str]) -> str:
    """What the ways that lack least still lack."""
    begun = [way for way in WAYS if set(way.needs) & set(settings)] or [ClientCredentials]
    least = min(len(_missing(way, settings)) for way in begun)
    return "; ".join(
        f"{way.way} lacks {' and '.join(ENVIRONMENT[n] for n in missing)}"
        for way in begun
        if len(missing := _missing(way, settings)) == least
    )
