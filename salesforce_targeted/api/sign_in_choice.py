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

from .credentials import (
    ClientCredentials,
    JwtCredentials,
    PasswordCredentials,
    RefreshTokenCredentials,
    SessionCredentials,
    SoapCredentials,
)
from .errors import ConfigurationError
from .sign_in import Door, Session
from .way import ENVIRONMENT, Way

# In the order in which they are taken: the first that is complete uses most of what is set.
WAYS: tuple[type[Way], ...] = (
    SessionCredentials,
    JwtCredentials,
    RefreshTokenCredentials,
    PasswordCredentials,
    SoapCredentials,
    ClientCredentials,
)


@configspec
class EnvironmentCredentials(Way):
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

    way: ClassVar[str] = "the environment"
    takes: ClassVar[tuple[str, ...]] = tuple(ENVIRONMENT)

    def on_partial(self) -> None:
        """Choose a way from what is there (dlt calls this)."""
        self._fill(os.environ, self.takes)
        chosen = _choose(self._settings())
        if chosen is not None:
            self.chosen = chosen.__name__
            self.resolve()

    def _settings(self) -> dict[str, str]:
        return {n: v for n in self.takes if (v := getattr(self, n, None))}

    def _sign_in(self, door: Door) -> Session:
        found: Way | None = self.__dict__.get("_spec")
        if found is None:
            # Kept, because a spec may hold a rotated refresh token.
            found = self.__dict__["_spec"] = _spec(self._settings())
        return found.sign_in(door)


SalesforceCredentials = Union[
    SessionCredentials,
    JwtCredentials,
    RefreshTokenCredentials,
    PasswordCredentials,
    SoapCredentials,
    ClientCredentials,
    EnvironmentCredentials,
]


def from_environment(environ: Mapping[str, str]) -> Way:
    """The credentials that ``SALESFORCE_*`` describe.

    Raises:
        ConfigurationError: no way is complete; says what is missing for the nearest one.
    """
    return _spec(_set_in(environ))


def describe_choice(environ: Mapping[str, str]) -> str:
    """One sentence: which way is taken, why, and what is set but not used; no values."""
    settings = _set_in(environ)
    chosen = _choose(settings)
    if chosen is None:
        return f"No way to sign in is complete: {_nearest(settings)}"
    used = [ENVIRONMENT[n] for n in chosen.takes if n in settings]
    idle = [ENVIRONMENT[n] for n in settings if n not in chosen.takes]
    rest = f"; set, but not used by it: {', '.join(idle)}" if idle else ""
    return f"Sign-in by {chosen.way}, because {', '.join(used)} are set{rest}."


def _set_in(environ: Mapping[str, str]) -> dict[str, str]:
    return {n: value for n, name in ENVIRONMENT.items() if (value := environ.get(name, "").strip())}


def _missing(way: type[Way], settings: Mapping[str, str]) -> list[str]:
    if way is JwtCredentials and "private_key_file" in settings:
        settings = {**settings, "private_key": ""}
    return [n for n in way.needs if n not in settings]


def _choose(settings: Mapping[str, str]) -> type[Way] | None:
    return next((way for way in WAYS if not _missing(way, settings)), None)


def _spec(settings: Mapping[str, str]) -> Way:
    chosen = _choose(settings)
    if chosen is None:
        raise ConfigurationError(
            f"no way to sign in to Salesforce is complete: {_nearest(settings)}",
            remedy="Set them in the environment, or the same names without the prefix under "
            "[sources.salesforce_targeted.credentials] in .dlt/secrets.toml.",
        )
    spec: Any = chosen()
    for setting in chosen.takes:
        if setting in settings:
            setattr(spec, setting, settings[setting])
    result: Way = spec
    return result


def _nearest(settings: Mapping[str, str]) -> str:
    """What the way that lacks least still lacks."""
    begun = [way for way in WAYS if set(way.needs) & set(settings)] or [ClientCredentials]
    way = min(begun, key=lambda w: len(_missing(w, settings)))
    names = [ENVIRONMENT[n] for n in _missing(way, settings)]
    return f"{way.way} lacks {' and '.join(names)}"
