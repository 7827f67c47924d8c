"""The ways to sign in: one dlt configspec for each.

Rules:
1. A sign-in that fails never falls back to another way.
2. A secret never shows in ``repr``, ``str``, an error or a log line (see way.py).

Sources: Salesforce Help, "OAuth Authorization Flows"; each way names its page.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ClassVar, Optional

from dlt.common.configuration.specs import configspec
from dlt.common.configuration.specs.base_configuration import NotResolved
from dlt.common.typing import TSecretStrValue

from salesforce_targeted.api.credentials import soap
from salesforce_targeted.api.credentials.base import LoginHostCredentials, SignInCredentials
from salesforce_targeted.api.credentials.token_file import TokenFile
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.api.login import LoginEndpoint, Session, origin, session_of

_log = logging.getLogger(__name__)


@configspec
class SessionCredentials(SignInCredentials):
    """A session that already exists; it can't be renewed when it expires."""

    instance_url: str = None  # type: ignore[assignment]  # dlt's way to say: required
    access_token: TSecretStrValue = None  # type: ignore[assignment]

    way: ClassVar[str] = "an existing session"
    needs: ClassVar[tuple[str, ...]] = ("instance_url", "access_token")
    takes: ClassVar[tuple[str, ...]] = needs

    def _sign_in(self, door: LoginEndpoint) -> Session:
        del door  # nothing to ask
        token = self.access_token.strip()
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigurationError("SALESFORCE_ACCESS_TOKEN holds characters that no token has")
        return Session(origin(self.instance_url, "SALESFORCE_INSTANCE_URL"), token)


@configspec
class JwtCredentials(LoginHostCredentials):
    """OAuth JWT bearer: an app's certificate speaks for a user.

    Source: "OAuth 2.0 JWT Bearer Flow".
    """

    client_id: str = None  # type: ignore[assignment]
    username: str = None  # type: ignore[assignment]
    private_key: TSecretStrValue = None  # type: ignore[assignment]
    private_key_file: Optional[str] = None

    way: ClassVar[str] = "OAuth JWT bearer"
    needs: ClassVar[tuple[str, ...]] = ("client_id", "username", "private_key")
    takes: ClassVar[tuple[str, ...]] = (*needs, "private_key_file", "login_url", "domain")

    def on_partial(self) -> None:
        """A key in a file is as good as one in the settings (dlt calls this)."""
        if not self.private_key and self.private_key_file:
            self.private_key = _key_in(self.private_key_file)
            if not self.is_partial():
                self.resolve()

    def sign_in(self, door: LoginEndpoint) -> Session:
        """As in every way; the key file is read now if no key is set."""
        if not self.private_key and self.private_key_file:
            self.private_key = _key_in(self.private_key_file)
        return super().sign_in(door)

    def _sign_in(self, door: LoginEndpoint) -> Session:
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
class RefreshTokenCredentials(LoginHostCredentials):
    """OAuth refresh token; a rotated one is stored before it is used (see rotation.py).

    ``store_refresh_token`` is called with each new token; without it, and beside it, the token is
    kept in ``refresh_token_file`` (default: in dlt's own folder, ``DLT_DATA_DIR`` or ``~/.dlt``).
    Source: "OAuth 2.0 Refresh Token Flow".
    """

    client_id: str = None  # type: ignore[assignment]
    refresh_token: TSecretStrValue = None  # type: ignore[assignment]
    client_secret: Optional[TSecretStrValue] = None
    refresh_token_file: Optional[str] = None
    store_refresh_token: Annotated[Optional[Callable[[str], None]], NotResolved()] = None

    way: ClassVar[str] = "OAuth refresh token"
    needs: ClassVar[tuple[str, ...]] = ("client_id", "refresh_token")
    takes: ClassVar[tuple[str, ...]] = (
        *needs, "client_secret", "refresh_token_file", "login_url", "domain",
    )  # fmt: skip

    def _sign_in(self, door: LoginEndpoint) -> Session:
        base = self._origin()
        file = self.kept_in()
        if self.store_refresh_token is None:
            file.warn_if_unwritable()
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

    def kept_in(self) -> TokenFile:
        """Where a rotated token is kept, for this app at this origin.

        Raises:
            ConfigurationError: the origin is none.
        """
        return TokenFile(self.refresh_token_file or self._default_file(self._origin()))

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
class PasswordCredentials(LoginHostCredentials):
    """OAuth username-password; blocked in orgs made since Summer '23 unless an admin allows it.

    Source: "OAuth 2.0 Username-Password Flow".
    """

    client_id: str = None  # type: ignore[assignment]
    client_secret: TSecretStrValue = None  # type: ignore[assignment]
    username: str = None  # type: ignore[assignment]
    password: TSecretStrValue = None  # type: ignore[assignment]
    security_token: Optional[TSecretStrValue] = None

    way: ClassVar[str] = "OAuth username-password"
    needs: ClassVar[tuple[str, ...]] = ("client_id", "client_secret", "username", "password")
    takes: ClassVar[tuple[str, ...]] = (*needs, "security_token", "login_url", "domain")

    def _sign_in(self, door: LoginEndpoint) -> Session:
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
class SoapCredentials(LoginHostCredentials):
    """SOAP login with user, password and security token; retired by Salesforce in Summer '27."""

    username: str = None  # type: ignore[assignment]
    password: TSecretStrValue = None  # type: ignore[assignment]
    security_token: Optional[TSecretStrValue] = None

    way: ClassVar[str] = "SOAP login"
    needs: ClassVar[tuple[str, ...]] = ("username", "password")
    takes: ClassVar[tuple[str, ...]] = (*needs, "security_token", "login_url", "domain")

    def _sign_in(self, door: LoginEndpoint) -> Session:
        _log.warning(
            "SOAP login is retired by Salesforce in Summer '27 (June 2027): move to OAuth client "
            "credentials or JWT (SALESFORCE_CLIENT_ID and a secret or a key)"
        )
        token = self.security_token or ""
        return soap.login(door, self._origin(), self.username, self.password, token)


@configspec
class ClientCredentials(LoginHostCredentials):
    """OAuth client credentials: the app signs in as its Run As user, at the org's My Domain.

    Source: "OAuth 2.0 Client Credentials Flow".
    """

    client_id: str = None  # type: ignore[assignment]
    client_secret: TSecretStrValue = None  # type: ignore[assignment]

    way: ClassVar[str] = "OAuth client credentials"
    needs: ClassVar[tuple[str, ...]] = ("client_id", "client_secret")
    takes: ClassVar[tuple[str, ...]] = (*needs, "login_url", "domain")

    def _sign_in(self, door: LoginEndpoint) -> Session:
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
