"""How to sign in: one dlt configspec per way, and the environment names that Salesforce users have.

Rules:
1. dlt configuration wins. A way that is complete in it is taken whatever the environment holds;
   what an optional setting lacks, and only that, comes from ``SALESFORCE_*``.
2. Where several ways are possible the one that uses most of what is set is taken; see WAYS.
3. A sign-in that fails never falls back to another way.
4. A secret never shows in ``repr``, ``str``, an error or a log line.

Sources: Salesforce Help, "OAuth Authorization Flows"; the design of this project, section 8.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Optional, Union

from dlt.common.configuration.specs import CredentialsConfiguration, configspec
from dlt.common.configuration.specs.base_configuration import NotResolved
from dlt.common.typing import TSecretStrValue

from . import soap_login
from .errors import ConfigurationError
from .rotation import TokenFile
from .sign_in import Door, Session, login_origin, origin, session_of

_log = logging.getLogger(__name__)

# setting -> environment name
ENVIRONMENT = {
    setting: f"SALESFORCE_{setting.upper()}"
    for setting in (
        "login_url", "domain", "client_id", "client_secret", "username", "password",
        "security_token", "private_key", "private_key_file", "refresh_token", "refresh_token_file",
        "instance_url", "access_token",
    )
}  # fmt: skip
# Settings that say the same thing in two ways: one of them set in dlt keeps the environment's other
# out.
_SAME = (("login_url", "domain"), ("private_key", "private_key_file"))


class _Way(CredentialsConfiguration):
    """What the ways have in common."""

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
        open_ = {"domain", "login_url", "instance_url", "private_key_file", "refresh_token_file"}
        return [*more, *(v for n in self.takes if n not in open_ and (v := getattr(self, n, None)))]

    def _origin(self) -> str:
        return login_origin(getattr(self, "login_url", None), getattr(self, "domain", None))

    def sign_in(self, door: Door) -> Session:
        """Get a session.

        Raises:
            ConfigurationError: a setting is missing or can't be meant that way; nothing was sent.
            AuthenticationError: Salesforce refuses; the remedy names the likely culprit.
            UnavailableError: no answer.
        """
        self._required()
        return self._sign_in(door)

    def _sign_in(self, door: Door) -> Session:
        raise AssertionError(f"{type(self).__name__} has no way to sign in with {door}")

    def on_resolved(self) -> None:
        """Complete the optional settings from the environment (dlt calls this)."""
        self._fill(os.environ, tuple(n for n in self.takes if n not in self.needs))

    def __repr__(self) -> str:
        # Names only: even a user name or a host says more than a log needs.
        held = ", ".join(n for n in self.takes if getattr(self, n, None))
        return f"{type(self).__name__}({held})"

    __str__ = __repr__


@configspec
class SessionCredentials(_Way):
    """A session that already exists; it can't be renewed when it expires."""

    instance_url: str = None  # type: ignore[assignment]  # dlt's way to say: required
    access_token: TSecretStrValue = None  # type: ignore[assignment]

    way: ClassVar[str] = "an existing session"
    needs: ClassVar[tuple[str, ...]] = ("instance_url", "access_token")
    takes: ClassVar[tuple[str, ...]] = needs

    def _sign_in(self, door: Door) -> Session:
        del door  # nothing to ask
        token = self.access_token.strip()
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigurationError("SALESFORCE_ACCESS_TOKEN holds characters that no token has")
        return Session(origin(self.instance_url, "SALESFORCE_INSTANCE_URL"), token)


@configspec
class JwtCredentials(_Way):
    """OAuth JWT bearer: an app's certificate speaks for a user.

    Source: "OAuth 2.0 JWT Bearer Flow".
    """

    client_id: str = None  # type: ignore[assignment]
    username: str = None  # type: ignore[assignment]
    private_key: TSecretStrValue = None  # type: ignore[assignment]
    private_key_file: Optional[str] = None
    login_url: Optional[str] = None
    domain: Optional[str] = None

    way: ClassVar[str] = "OAuth JWT bearer"
    needs: ClassVar[tuple[str, ...]] = ("client_id", "username", "private_key")
    takes: ClassVar[tuple[str, ...]] = (*needs, "private_key_file", "login_url", "domain")

    def on_partial(self) -> None:
        """A key in a file is as good as one in the settings (dlt calls this)."""
        if not self.private_key and self.private_key_file:
            self.private_key = _key_in(self.private_key_file)
            if not self.is_partial():
                self.resolve()

    def sign_in(self, door: Door) -> Session:
        """As in every way; the key file is read now if no key is set."""
        if not self.private_key and self.private_key_file:
            self.private_key = _key_in(self.private_key_file)
        return super().sign_in(door)

    def _sign_in(self, door: Door) -> Session:
        base = self._origin()
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": self._assertion(_audience(base), door.limits.jwt_seconds),
        }
        return session_of(door.token(base, form, self._secrets(form["assertion"])))

    def _assertion(self, audience: str, lifetime_seconds: int) -> str:
        import jwt  # brings cryptography: slow to start, and only this way needs it

        claims = {
            "iss": self.client_id,
            "sub": self.username,
            "aud": audience,
            "exp": int(time.time()) + lifetime_seconds,
        }
        # A key in one line of a .env file has its line breaks written as \n.
        key = self.private_key.replace("\\n", "\n").strip() + "\n"
        try:
            return jwt.encode(claims, key, algorithm="RS256")
        except Exception:  # noqa: BLE001  # its causes quote the key
            raise ConfigurationError(
                "SALESFORCE_PRIVATE_KEY is no RSA private key that can be read",
                remedy="Give the PEM text without passphrase (-----BEGIN PRIVATE KEY-----), or its "
                "path in SALESFORCE_PRIVATE_KEY_FILE.",
            ) from None


@configspec
class RefreshTokenCredentials(_Way):
    """OAuth refresh token; a rotated one is stored before it is used (see rotation.py).

    ``store_refresh_token`` is called with each new token; without it, and beside it, the token is
    kept in ``refresh_token_file`` (default: in dlt's own folder, ``DLT_DATA_DIR`` or ``~/.dlt``).
    Source: "OAuth 2.0 Refresh Token Flow".
    """

    client_id: str = None  # type: ignore[assignment]
    refresh_token: TSecretStrValue = None  # type: ignore[assignment]
    client_secret: Optional[TSecretStrValue] = None
    refresh_token_file: Optional[str] = None
    login_url: Optional[str] = None
    domain: Optional[str] = None
    store_refresh_token: Annotated[Optional[Callable[[str], None]], NotResolved()] = None

    way: ClassVar[str] = "OAuth refresh token"
    needs: ClassVar[tuple[str, ...]] = ("client_id", "refresh_token")
    takes: ClassVar[tuple[str, ...]] = (
        *needs, "client_secret", "refresh_token_file", "login_url", "domain",
    )  # fmt: skip

    def _sign_in(self, door: Door) -> Session:
        base = self._origin()
        file = TokenFile(self.refresh_token_file or self._default_file(base))
        with file.alone():
            # What the file holds is newest, unless what we hold could not be written to it.
            current = self._unwritten or file.newest(self.refresh_token)
            form = {
                "grant_type": "refresh_token",
                "client_id": self.client_id,
                "refresh_token": current,
            }
            if self.client_secret:
                form["client_secret"] = self.client_secret
            answer = door.token(base, form, self._secrets(current))
            fresh = answer.get("refresh_token")
            if isinstance(fresh, str) and fresh and fresh != current:
                written = file.keep(self.refresh_token, fresh)
                self.__dict__["unwritten_token"] = None if written else fresh
                if self.store_refresh_token is not None:
                    self.store_refresh_token(fresh)
                _log.info("the refresh token was rotated")
        return session_of(answer)

    @property
    def _unwritten(self) -> str | None:
        found: str | None = self.__dict__.get("unwritten_token")
        return found

    def _default_file(self, base: str) -> Path:
        from dlt.common.runtime.run_context import active  # slow; seldom needed

        name = hashlib.sha256(f"{base}\n{self.client_id}".encode()).hexdigest()[:16]
        # Where DLT_DATA_DIR points: in a container ~/.dlt is gone with the next start.
        return Path(active().data_dir) / "salesforce_targeted" / f"refresh_token_{name}.json"


@configspec
class PasswordCredentials(_Way):
    """OAuth username-password; blocked in orgs made since Summer '23 unless an admin allows it.

    Source: "OAuth 2.0 Username-Password Flow".
    """

    client_id: str = None  # type: ignore[assignment]
    client_secret: TSecretStrValue = None  # type: ignore[assignment]
    username: str = None  # type: ignore[assignment]
    password: TSecretStrValue = None  # type: ignore[assignment]
    security_token: Optional[TSecretStrValue] = None
    login_url: Optional[str] = None
    domain: Optional[str] = None

    way: ClassVar[str] = "OAuth username-password"
    needs: ClassVar[tuple[str, ...]] = ("client_id", "client_secret", "username", "password")
    takes: ClassVar[tuple[str, ...]] = (*needs, "security_token", "login_url", "domain")

    def _sign_in(self, door: Door) -> Session:
        form = {
            "grant_type": "password",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "username": self.username,
            # There is no field for the security token: it follows the password.
            "password": self.password + (self.security_token or ""),
        }
        return session_of(door.token(self._origin(), form, self._secrets()))


@configspec
class SoapCredentials(_Way):
    """SOAP login with user, password and security token; retired by Salesforce in Summer '27."""

    username: str = None  # type: ignore[assignment]
    password: TSecretStrValue = None  # type: ignore[assignment]
    security_token: Optional[TSecretStrValue] = None
    login_url: Optional[str] = None
    domain: Optional[str] = None

    way: ClassVar[str] = "SOAP login"
    needs: ClassVar[tuple[str, ...]] = ("username", "password")
    takes: ClassVar[tuple[str, ...]] = (*needs, "security_token", "login_url", "domain")

    def _sign_in(self, door: Door) -> Session:
        _log.warning(
            "SOAP login is retired by Salesforce in Summer '27 (June 2027): move to OAuth client "
            "credentials or JWT (SALESFORCE_CLIENT_ID and a secret or a key)"
        )
        token = self.security_token or ""
        return soap_login.login(door, self._origin(), self.username, self.password, token)


@configspec
class ClientCredentials(_Way):
    """OAuth client credentials: the app signs in as its Run As user, at the org's My Domain.

    Source: "OAuth 2.0 Client Credentials Flow".
    """

    client_id: str = None  # type: ignore[assignment]
    client_secret: TSecretStrValue = None  # type: ignore[assignment]
    login_url: Optional[str] = None
    domain: Optional[str] = None

    way: ClassVar[str] = "OAuth client credentials"
    needs: ClassVar[tuple[str, ...]] = ("client_id", "client_secret")
    takes: ClassVar[tuple[str, ...]] = (*needs, "login_url", "domain")

    def _sign_in(self, door: Door) -> Session:
        base = self._origin()
        if base in ("https://login.salesforce.com", "https://test.salesforce.com"):
            raise ConfigurationError(
                "client credentials are refused at login and test.salesforce.com",
                remedy="Set SALESFORCE_DOMAIN to the org's My Domain (acme.my), or "
                "SALESFORCE_LOGIN_URL to its origin.",
            )
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }
        return session_of(door.token(base, form, self._secrets()))


# In the order in which they are taken: the first that is complete uses most of what is set.
WAYS: tuple[type[_Way], ...] = (
    SessionCredentials,
    JwtCredentials,
    RefreshTokenCredentials,
    PasswordCredentials,
    SoapCredentials,
    ClientCredentials,
)


@configspec
class EnvironmentCredentials(_Way):
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
        found: _Way | None = self.__dict__.get("_spec")
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


def from_environment(environ: Mapping[str, str]) -> _Way:
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


def _missing(way: type[_Way], settings: Mapping[str, str]) -> list[str]:
    if way is JwtCredentials and "private_key_file" in settings:
        settings = {**settings, "private_key": ""}
    return [n for n in way.needs if n not in settings]


def _choose(settings: Mapping[str, str]) -> type[_Way] | None:
    return next((way for way in WAYS if not _missing(way, settings)), None)


def _spec(settings: Mapping[str, str]) -> _Way:
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
    result: _Way = spec
    return result


def _nearest(settings: Mapping[str, str]) -> str:
    """What the way that lacks least still lacks."""
    begun = [way for way in WAYS if set(way.needs) & set(settings)] or [ClientCredentials]
    way = min(begun, key=lambda w: len(_missing(w, settings)))
    names = [ENVIRONMENT[n] for n in _missing(way, settings)]
    return f"{way.way} lacks {' and '.join(names)}"


def _key_in(path: str) -> str:
    try:
        return Path(path).expanduser().read_text("utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(
            f"SALESFORCE_PRIVATE_KEY_FILE can't be read: {why}", remedy="Correct the path."
        ) from None


def _audience(base: str) -> str:
    """Whom a JWT is for. Production and sandbox are each one audience, whatever My Domain is asked.

    Source: "OAuth 2.0 JWT Bearer Flow": login, test, or an Experience Cloud site's own address.
    """
    if base.endswith(".sandbox.my.salesforce.com"):
        return "https://test.salesforce.com"
    if base.endswith(".my.salesforce.com"):
        return "https://login.salesforce.com"
    return base
