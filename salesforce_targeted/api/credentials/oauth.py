"""Sign in by OAuth, or with its session: one dlt configspec for each flow.

Rules:
1. A sign-in that fails never falls back to another method.
2. A secret never shows in ``repr``, ``str``, an error or a log line (see base.py).

Sources: Salesforce Help, "OAuth Authorization Flows"; each method names its page.
"""

import base64
import codecs
import hashlib
import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Annotated, ClassVar, Optional

from dlt.common.configuration.specs import configspec
from dlt.common.configuration.specs.base_configuration import NotResolved
from dlt.common.typing import TSecretStrValue

from salesforce_targeted.api.addresses import audience, origin
from salesforce_targeted.api.credentials.base import (
    LoginHostCredentials,
    SignInCredentials,
    path_in,
)
from salesforce_targeted.api.credentials.token_file import TokenFile
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.api.login import LoginEndpoint, Session, session_of

_log = logging.getLogger(__name__)


@configspec
class SessionCredentials(SignInCredentials):
    """Use a session that already exists; it can't be renewed when it expires."""

    instance_url: str = None  # type: ignore[assignment]  # dlt's way to say: required
    access_token: TSecretStrValue = None  # type: ignore[assignment]

    method: ClassVar[str] = "an existing session"

    def _sign_in(self, endpoint: LoginEndpoint) -> Session:
        del endpoint  # nothing to send
        token = self.access_token.strip()
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigurationError("SALESFORCE_ACCESS_TOKEN holds characters that no token has")
        return Session(origin(self.instance_url, "SALESFORCE_INSTANCE_URL"), token)


@configspec
class JwtCredentials(LoginHostCredentials):
    """Sign in by OAuth JWT bearer: an app's certificate speaks for a user.

    Source: "OAuth 2.0 JWT Bearer Flow".
    """

    client_id: str = None  # type: ignore[assignment]
    username: str = None  # type: ignore[assignment]
    private_key: TSecretStrValue = None  # type: ignore[assignment]
    private_key_file: Optional[str] = None
    audience: Optional[str] = None

    method: ClassVar[str] = "OAuth JWT bearer"

    def on_partial(self) -> None:
        """Read the key from its file, if that is set (dlt calls this)."""
        self._read_key()
        if not self.is_partial():
            self.resolve()

    @classmethod
    def lacking(cls, settings: Collection[str]) -> list[str]:
        """List what it needs and these settings lack: a key, or the file of one."""
        in_file = "private_key_file" in settings
        return [n for n in super().lacking(settings) if not (in_file and n == "private_key")]

    def _read_key(self) -> None:
        if not self.private_key and self.private_key_file:
            self.private_key = _key_in(self.private_key_file)

    def _sign_in(self, endpoint: LoginEndpoint) -> Session:
        self._read_key()
        base = self._origin()
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": self._assertion(base, endpoint.limits.jwt_seconds),
        }
        return session_of(endpoint.token(base, form, self._secrets(form["assertion"])))

    def _assertion(self, base: str, lifetime_seconds: int) -> str:
        import jwt  # brings cryptography: slow to start, and only this method needs it

        claims = {
            "iss": self.client_id,
            "sub": self.username,
            "aud": self.audience or audience(base),
            "exp": int(time.time()) + lifetime_seconds,
        }
        key = _pem(self.private_key)
        try:
            return jwt.encode(claims, key, algorithm="RS256")
        except Exception:  # noqa: BLE001  # its causes quote the key
            raise ConfigurationError(
                f"SALESFORCE_PRIVATE_KEY is no RSA private key that can be read{_kind_of(key)}",
                remedy="Give the PEM text without passphrase (-----BEGIN PRIVATE KEY-----), or its "
                "path in SALESFORCE_PRIVATE_KEY_FILE.",
            ) from None


@configspec
class RefreshTokenCredentials(LoginHostCredentials):
    """Sign in by OAuth refresh token; a rotated one is stored before it is used (token_file.py).

    ``store_refresh_token`` is called with each new token; with it or without it, the token is
    kept in ``refresh_token_file`` (default: in dlt's data folder: ``DLT_DATA_DIR``, else
    ``~/.dlt``, as root ``/var/dlt``).
    Source: "OAuth 2.0 Refresh Token Flow".
    """

    client_id: str = None  # type: ignore[assignment]
    refresh_token: TSecretStrValue = None  # type: ignore[assignment]
    client_secret: Optional[TSecretStrValue] = None
    refresh_token_file: Optional[str] = None
    store_refresh_token: Annotated[Optional[Callable[[str], None]], NotResolved()] = None

    method: ClassVar[str] = "OAuth refresh token"

    def _sign_in(self, endpoint: LoginEndpoint) -> Session:
        file = self.token_file()
        if self.store_refresh_token is None:
            file.warn_if_unwritable()
        with file.exclusive():
            # What the file holds is newest, unless what we hold could not be written to it.
            current: str = self.__dict__.get("unwritten") or file.newest(self.refresh_token)
            response = self._ask(endpoint, "refresh_token", refresh_token=current)
            fresh = response.get("refresh_token")
            if isinstance(fresh, str) and fresh and fresh != current:
                written = file.keep(self.refresh_token, fresh)
                self.__dict__["unwritten"] = None if written else fresh
                if self.store_refresh_token is not None:
                    self.store_refresh_token(fresh)
                _log.info("the refresh token was rotated")
        return session_of(response)

    def token_file(self) -> TokenFile:
        """Return the file for a rotated token of this app at this origin."""
        if self.refresh_token_file:
            return TokenFile(path_in("refresh_token_file", self.refresh_token_file))
        from dlt.common.runtime.run_context import active  # slow; seldom needed

        name = hashlib.sha256(f"{self._origin()}\n{self.client_id}".encode()).hexdigest()[:16]
        # Where DLT_DATA_DIR points: in a container ~/.dlt is gone with the next start.
        folder = Path(active().data_dir) / "salesforce_targeted"
        return TokenFile(folder / f"refresh_token_{name}.json")


@configspec
class PasswordCredentials(LoginHostCredentials):
    """Sign in by OAuth username-password; new orgs block it (since Summer '23).

    Source: "OAuth 2.0 Username-Password Flow".
    """

    client_id: str = None  # type: ignore[assignment]
    client_secret: TSecretStrValue = None  # type: ignore[assignment]
    username: str = None  # type: ignore[assignment]
    password: TSecretStrValue = None  # type: ignore[assignment]
    security_token: Optional[TSecretStrValue] = None

    method: ClassVar[str] = "OAuth username-password"

    def _sign_in(self, endpoint: LoginEndpoint) -> Session:
        # There is no field for the security token: it follows the password.
        password = self.password + (self.security_token or "")
        granted = self._ask(endpoint, "password", username=self.username, password=password)
        return session_of(granted)


@configspec
class ClientCredentials(LoginHostCredentials):
    """Sign in by OAuth client credentials, as the app's Run As user, at the org's My Domain.

    Source: "OAuth 2.0 Client Credentials Flow".
    """

    client_id: str = None  # type: ignore[assignment]
    client_secret: TSecretStrValue = None  # type: ignore[assignment]

    method: ClassVar[str] = "OAuth client credentials"

    def _sign_in(self, endpoint: LoginEndpoint) -> Session:
        if self._origin() in ("https://login.salesforce.com", "https://test.salesforce.com"):
            raise ConfigurationError(
                "client credentials are refused at login and test.salesforce.com",
                remedy="Set SALESFORCE_DOMAIN to the org's My Domain (acme.my), or "
                "SALESFORCE_LOGIN_URL to its origin.",
            )
        return session_of(self._ask(endpoint, "client_credentials"))


def _pem(text: str) -> str:
    """Return the PEM of a key that was made one line: line ends as text, or base64 of it all."""
    key = text.replace("\\r", "").replace("\\n", "\n").strip()
    if "-----BEGIN" not in key:
        with suppress(ValueError):
            key = base64.b64decode("".join(key.split()), validate=True).decode("ascii")
    return key + "\n"


def _kind_of(key: str) -> str:
    """Say what a text is instead of a key, by what it begins with; never a part of it."""
    for words, kind in _NO_KEYS.items():
        if words in key:
            return f": {kind}"
    looks_like_path = "\n" not in key.strip() and key.strip().endswith((".key", ".pem"))
    return ": it is a path" if looks_like_path else ""


# Source: RFC 7468, "Textual Encodings of PKIX, PKCS, and CMS Structures".
_NO_KEYS = {
    "BEGIN ENCRYPTED PRIVATE KEY": "it has a passphrase",
    "Proc-Type: 4,ENCRYPTED": "it has a passphrase",
    "BEGIN OPENSSH PRIVATE KEY": "it is in the format of OpenSSH",
    "BEGIN EC PRIVATE KEY": "it is an elliptic-curve key",
    "BEGIN PUBLIC KEY": "it is the public half",
    "BEGIN CERTIFICATE": "it is the certificate",
}


def _key_in(path: str) -> str:
    try:
        file = path_in("private_key_file", path).read_bytes()
        utf16 = file.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return file.decode("utf-16" if utf16 else "utf-8-sig")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(
            f"SALESFORCE_PRIVATE_KEY_FILE can't be read: {why}",
            remedy="Correct the path: the key is a text file (-----BEGIN PRIVATE KEY-----).",
        ) from None
