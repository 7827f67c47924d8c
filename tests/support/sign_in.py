"""Settings that sign in at the scripted server, and the form that arrives there."""

from collections.abc import Mapping
from urllib.parse import parse_qs

from salesforce_targeted.api.credentials.base import ENVIRONMENT, SignInCredentials
from salesforce_targeted.api.credentials.resolution import AnyCredentials

SECRETS = {
    "SALESFORCE_PASSWORD": "pass-word-1", "SALESFORCE_SECURITY_TOKEN": "tok-en-2",
    "SALESFORCE_CLIENT_SECRET": "sec-ret-3", "SALESFORCE_REFRESH_TOKEN": "ref-resh-4",
    "SALESFORCE_ACCESS_TOKEN": "acc-ess-5", "SALESFORCE_PRIVATE_KEY": "pri-vate-6",
}  # fmt: skip
EVERYTHING = {**SECRETS, "SALESFORCE_USERNAME": "u@acme.example", "SALESFORCE_CLIENT_ID": "3MVG9-app",
              "SALESFORCE_DOMAIN": "acme", "SALESFORCE_INSTANCE_URL": "https://acme.my.salesforce.com"}  # fmt: skip


def environ(server, *names, **values):
    """Make an environment that signs in at the scripted server."""
    return (
        {"SALESFORCE_LOGIN_URL": server.url}
        | {f"SALESFORCE_{n}": EVERYTHING[f"SALESFORCE_{n}"] for n in names}
        | values
    )


def credentials(environ: Mapping[str, str]) -> SignInCredentials:
    """Make the credentials that these ``SALESFORCE_*`` settings are complete for."""
    return AnyCredentials(
        **{setting: environ[name] for setting, name in ENVIRONMENT.items() if name in environ}
    ).resolved


def form(heard) -> dict[str, str]:
    """Read the form that was posted to the token endpoint."""
    assert ("POST", "/services/oauth2/token") == (heard.method, heard.path)
    return {k: v for k, (v,) in parse_qs(heard.body.decode(), strict_parsing=True).items()}
