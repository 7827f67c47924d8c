"""Ways into the org: OAuth grants, SOAP login, and what a session is checked for.

Source: OAuth flows of the Salesforce help; SOAP API Developer Guide, "login()"; its retirement
with v65.0: Salesforce help 005132110.
"""

from __future__ import annotations

from .exchange import Reply, Request, reply
from .refusals import Refused
from .state import OrgState


def check_session(org: OrgState, request: Request) -> None:
    """Refuse a request without a valid session.

    Raises:
        Refused: 401 INVALID_AUTH_HEADER or INVALID_SESSION_ID.
    """
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind not in ("Bearer", "OAuth") or not token.strip():
        raise Refused(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE")
    if token.strip() not in org.sessions:
        raise Refused(401, "INVALID_SESSION_ID", "Session expired or invalid")


def token(org: OrgState, request: Request) -> Reply:
    """``POST /services/oauth2/token``."""
    made = org.issue_token()
    host = request.headers.get("host", "127.0.0.1")
    return reply({"access_token": made, "instance_url": f"http://{host}",
                  "id": f"http://{host}/id/{org.org_id}/x", "token_type": "Bearer",
                  "issued_at": str(int(org.now.timestamp() * 1000)), "signature": "c2ln"})  # fmt: skip


def soap(org: OrgState, request: Request) -> Reply:
    """``POST /services/Soap/u/NN.0``."""
    raise Refused(500, "UNKNOWN_EXCEPTION", "SOAP")


def userinfo(org: OrgState) -> Reply:
    """``GET /services/oauth2/userinfo``."""
    user = org.tables["User"].row(0) or {}
    return reply({"sub": user.get("Id"), "user_id": user.get("Id"), "organization_id": org.org_id,
                  "preferred_username": user.get("Username"), "name": user.get("Name"),
                  "email": user.get("Email"), "zoneinfo": "America/Los_Angeles"})  # fmt: skip
