"""Sign in by SOAP login(), with simple-salesforce, through our endpoint.

Salesforce retires it in Summer '27 and it is off in new orgs.
Sources: SOAP API Developer Guide, "login()"; help article 005132110.
"""

import html
import logging
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, ClassVar, Optional
from urllib.parse import urlsplit

from dlt.common.configuration.specs import configspec
from dlt.common.typing import TSecretStrValue

from salesforce_targeted.api.addresses import origin
from salesforce_targeted.api.credentials.base import LoginHostCredentials
from salesforce_targeted.api.errors import SalesforceError, TruncatedResponseError
from salesforce_targeted.api.login import LoginEndpoint, Session
from salesforce_targeted.api.models import Response
from salesforce_targeted.api.refusals.error_responses import soap_element, soap_refusal

_log = logging.getLogger(__name__)


@configspec
class SoapCredentials(LoginHostCredentials):
    """Sign in by SOAP login, with user and password; retired by Salesforce in Summer '27."""

    username: str = None  # type: ignore[assignment]
    password: TSecretStrValue = None  # type: ignore[assignment]
    security_token: Optional[TSecretStrValue] = None

    method: ClassVar[str] = "SOAP login"

    def _sign_in(self, endpoint: LoginEndpoint) -> Session:
        # Here and not above: it takes a third of a second to import, and few sign in this way.
        from simple_salesforce.login import SalesforceLogin

        _log.warning(
            "SOAP login is retired by Salesforce in Summer '27 (June 2027): move to OAuth client "
            "credentials or JWT (SALESFORCE_CLIENT_ID and a secret or a key)"
        )
        base = self._origin()
        responses: list[Response] = []

        def post(url: str, data: str, headers: Mapping[str, str], **_: Any) -> Any:
            """Stand in for the post of simple-salesforce's session."""
            path = urlsplit(url).path
            response = endpoint.post(base, path, data.encode(), headers, soap_refusal)
            responses.append(response)
            return SimpleNamespace(status_code=response.status, content=response.body)

        session: Any = SimpleNamespace(post=post)
        try:
            token, _ = SalesforceLogin(
                username=self.username,
                password=self.password,
                # It escapes the user and the password for XML, but not the token.
                security_token=html.escape(self.security_token or ""),
                session=session,
                sf_version=endpoint.limits.newest_soap_login,
                scratch_url=base,
            )
        except SalesforceError as error:
            raise error.without(self._secrets()) from None
        except Exception:  # noqa: BLE001  # it, and its XML parser, raise what they like
            raise TruncatedResponseError("the response to the SOAP login can't be read") from None
        return Session(_instance(responses[0]), token)


def _instance(response: Response) -> str:
    # Not the host that simple-salesforce returns: it cuts every "-api" out of it, acme-api.my as
    # well.
    parts = urlsplit(soap_element(response.body.decode("utf-8", "replace"), "serverUrl") or "")
    return origin(f"{parts.scheme}://{parts.netloc}", "the serverUrl that Salesforce sent")
