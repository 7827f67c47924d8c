"""Sign in by SOAP login(), with simple-salesforce, through our endpoint.

Salesforce retires it in Summer '27 and it is off in new orgs.
Sources: SOAP API Developer Guide, "login()"; help article 005132110.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from salesforce_targeted.api.error_responses import soap_element, soap_refusal
from salesforce_targeted.api.errors import SalesforceError, TruncatedResponseError
from salesforce_targeted.api.login import LoginEndpoint, Session, origin
from salesforce_targeted.api.models import Response


@dataclass(frozen=True, slots=True)
class _SoapResponse:
    status_code: int
    content: bytes


class _LoginSession:
    """Stand in for simple-salesforce's session: ``post`` alone, through our endpoint."""

    def __init__(self, endpoint: LoginEndpoint, origin_url: str) -> None:
        self.response: Response | None = None
        self._endpoint = endpoint
        self._origin_url = origin_url

    def post(self, url: str, data: str, headers: Mapping[str, str], proxies: Any) -> _SoapResponse:  # noqa: ARG002  # their signature
        path = urlsplit(url).path
        self.response = self._endpoint.post(
            self._origin_url, path, data.encode(), headers, soap_refusal
        )
        return _SoapResponse(self.response.status, self.response.body)


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

    session: Any = _LoginSession(endpoint, origin_url)
    secrets = (username, password, security_token)
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
        raise soap_refusal(session.response).error("SOAP login").without(secrets) from None
    except Exception:  # noqa: BLE001  # its XML parser raises what it likes on HTML
        raise TruncatedResponseError("the response to the SOAP login can't be read") from None
    if soap_element(session.response.body.decode("utf-8", "replace"), "passwordExpired") == "true":
        raise soap_refusal(session.response).error("SOAP login").without(secrets)
    return Session(_instance(session.response), token)


def _instance(response: Response) -> str:
    # Not the host that simple-salesforce returns: it cuts every "-api" out of it, acme-api.my as
    # well.
    found = re.search(rb"<(?:\w+:)?serverUrl>([^<]+)<", response.body)
    parts = urlsplit(html.unescape(found[1].decode("utf-8", "replace")) if found else "")
    return origin(f"{parts.scheme}://{parts.netloc}", "the serverUrl that Salesforce sent")
