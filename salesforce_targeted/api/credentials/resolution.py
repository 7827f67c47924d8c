"""Choose the method of signing in, of what dlt's configuration and the environment hold.

Rules:
1. dlt configuration wins. A method that is complete in it is used whatever the environment holds.
2. Where several are possible the one that uses most of what is set is used; see METHODS.

Source: the design of this project, section 8.
"""

from collections.abc import Collection, Mapping
from typing import ClassVar, Optional, Union, cast, get_args

from dlt.common.configuration.specs import configspec
from dlt.common.typing import TSecretStrValue

from salesforce_targeted.api.credentials.base import ENVIRONMENT, SignInCredentials
from salesforce_targeted.api.credentials.oauth import (
    ClientCredentials,
    JwtCredentials,
    PasswordCredentials,
    RefreshTokenCredentials,
    SessionCredentials,
)
from salesforce_targeted.api.credentials.salesforce_cli import SfOrgCredentials
from salesforce_targeted.api.credentials.soap import SoapCredentials
from salesforce_targeted.api.errors import ConfigurationError
from salesforce_targeted.api.login import LoginEndpoint, Session


class IncompleteCredentialsError(ConfigurationError):
    """No method of signing in has all that it needs."""


@configspec
class AnyCredentials(SignInCredentials):
    """Take whatever is set in dlt's configuration and in ``SALESFORCE_*`` together.

    The last of the union: it is tried when no method is complete in dlt's configuration alone.
    """

    chosen: str = None  # type: ignore[assignment]  # the class's name; set once one is complete
    login_url: Optional[str] = None
    domain: Optional[str] = None
    client_id: Optional[str] = None
    client_secret: Optional[TSecretStrValue] = None
    username: Optional[str] = None
    password: Optional[TSecretStrValue] = None
    security_token: Optional[TSecretStrValue] = None
    private_key: Optional[TSecretStrValue] = None
    private_key_file: Optional[str] = None
    audience: Optional[str] = None
    refresh_token: Optional[TSecretStrValue] = None
    refresh_token_file: Optional[str] = None
    instance_url: Optional[str] = None
    access_token: Optional[TSecretStrValue] = None
    sf_org: Optional[str] = None

    method: ClassVar[str] = "whatever is set"

    def on_partial(self) -> None:
        """Choose a method from what is there (dlt calls this)."""
        self._fill(self.accepted())
        # dlt's own error would list every setting of every method: some 240 lines.
        self.chosen = type(self.resolved).__name__
        self.resolve()

    @property
    def resolved(self) -> SignInCredentials:
        """Return the complete credentials; always the same, which may hold a rotated token.

        Raises:
            IncompleteCredentialsError: no method is complete; says what the nearest one lacks.
        """
        if "_resolved" not in self.__dict__:
            self._clean()
            self.__dict__["_resolved"] = _credentials({n: getattr(self, n) for n in self.given})
        return cast("SignInCredentials", self.__dict__["_resolved"])

    @property
    def stale_remedy(self) -> str:
        """Return that of the credentials that sign in."""
        return self.resolved.stale_remedy

    def sign_in(self, endpoint: LoginEndpoint) -> Session:
        """Sign in by the chosen method, as it does."""
        return self.resolved.sign_in(endpoint)


# In this order: the first that is complete uses most of what is set. The CLI's org comes first:
# who names it asks for nothing else.
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
METHODS: tuple[type[SignInCredentials], ...] = get_args(SalesforceCredentials)[:-1]


def missing_settings(settings: Collection[str]) -> str:
    """Say what the nearest methods lack of these settings, by name; "" where one is complete."""
    begun = [kind for kind in METHODS if set(kind.required()) & set(settings)] or [
        ClientCredentials
    ]
    lacking = {kind.method: kind.lacking(settings) for kind in begun}
    least = min(map(len, lacking.values()))
    return "; ".join(
        f"{method} lacks {' and '.join(ENVIRONMENT[n] for n in missing)}"
        for method, missing in lacking.items()
        if missing and len(missing) == least
    )


def _credentials(settings: Mapping[str, str]) -> SignInCredentials:
    for kind in METHODS:
        if not kind.lacking(settings):
            return kind(**{n: value for n, value in settings.items() if n in kind.accepted()})
    raise IncompleteCredentialsError(
        f"no sign-in method has all its settings: {missing_settings(settings)}",
        remedy="Set them in the environment, or the same names without the prefix under "
        "[sources.salesforce_targeted.credentials] in .dlt/secrets.toml.",
    )
