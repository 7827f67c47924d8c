"""Tell which org a dataset holds, and whether the credentials are that org's.

Rules:
- An org is its id. A sandbox that was refreshed keeps its host and is another org; an org whose My
  Domain was renamed is the same one under another host.
- A session's token begins with the id, as a rule. Where it does not (a JWT), the host must do.

Source: Salesforce Help, "OAuth 2.0 Web Server Flow" (the access token of the example response).
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from salesforce_targeted.api.client import SalesforceClient

# In the source's state: the host, and the id since it is known.
ORG_FACTS = _HOST, _ID = "org", "org_id"


@dataclass(frozen=True, slots=True)
class Org:
    """Name an org, as far as it is known.

    Attributes:
        host: Of its My Domain.
        id: Its 15 characters; None where no response named it.
    """

    host: str
    id: str | None = None

    def __str__(self) -> str:
        return f"{self.host} ({self.id})" if self.id else self.host

    def is_another_than(self, other: Org) -> bool:
        """Tell whether these are two orgs."""
        if self.id and other.id:
            return self.id != other.id
        return self.host != other.host


def org_of(client: SalesforceClient) -> Org:
    """Return the org of the client's session; sign in if that hasn't happened yet."""
    return Org(urlsplit(client.instance_url).hostname or client.instance_url, client.org_id)


def held_org(state: Mapping[str, Any]) -> Org | None:
    """Return the org that the source's state is of; None before a first run."""
    return Org(state[_HOST], state.get(_ID)) if state.get(_HOST) else None


def note(org: Org, state: MutableMapping[str, Any]) -> None:
    """Keep it, with the load; an id that is known already is not forgotten."""
    state[_HOST] = org.host
    if org.id:
        state[_ID] = org.id
