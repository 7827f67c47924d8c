"""Sign in by SOAP login(), with simple-salesforce, through our endpoint.

Salesforce retires it in Summer '27 and it is off in new orgs.
Sources: SOAP API Developer Guide, "login()"; help article 005132110.
"""

import html
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from salesforce_targeted.api.error_responses import soap_element, soap_refusal
from salesforce_targeted.api.errors import SalesforceError, TruncatedResponseError
from salesforce_targeted.api.login import LoginEndpoint, Session, origin
from salesforce_targeted.api.models import Response


def login(
    endpoint: LoginEndpoint, origin_url: str, username: str, password: str, security_token: str
) -> Session:
    """Sign in with user, password and security token ("" from a trusted network).

    Raises:
        AuthenticationError: which of them is wrong, as far as Salesforce says.
    """
    # Here and not above: it takes a third of a second to import, and few sign in this way.
    from simple_salesforce.exceptions import SalesforceError as Refused
    from simple_salesforce.login import SalesforceLogin

    responses: list[Response] = []

    def post(url: str, data: str, headers: Mapping[str, str], **_: Any) -> Any:
        """Stand in for the post of simple-salesforce's session."""
        path = urlsplit(url).path
        response = endpoint.post(origin_url, path, data.encode(), headers, soap_refusal)
        responses.append(response)
        return SimpleNamespace(status_code=response.status, content=response.body)

    session: Any = SimpleNamespace(post=post)
    try:
        token, _ = SalesforceLogin(
            username=username,
            password=password,
            # It escapes the user and the password for XML, but not the token.
            security_token=html.escape(security_token),
            session=session,
            sf_version=endpoint.limits.newest_soap_login,
            scratch_url=origin_url,
        )
    except SalesforceError:
        raise
    except Refused:
        token = ""
    except Exception:  # noqa: BLE001  # its XML parser raises what it likes on HTML
        raise TruncatedResponseError("the response to the SOAP login can't be read") from None
    refused = soap_refusal(responses[0])
    if not token or refused.code:  # a password that has expired comes with a session
        raise refused.error("SOAP login").without((username, password, security_token))
    return Session(_instance(responses[0]), token)


def _instance(response: Response) -> str:
    # Not the host that simple-salesforce returns: it cuts every "-api" out of it, acme-api.my as
    # well.
    parts = urlsplit(soap_element(response.body.decode("utf-8", "replace"), "serverUrl") or "")
    return origin(f"{parts.scheme}://{parts.netloc}", "the serverUrl that Salesforce sent")
