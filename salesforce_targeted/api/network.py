"""Name what goes wrong below HTTP, and tell this machine's own addresses from others."""

import ipaddress

from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.api.messages import network


class TransportError(Exception):
    """No whole response came.

    Attributes:
        message: The row of the table of messages.
        sent: False where the org can't have seen the request.
    """

    def __init__(self, condition: str, *, sent: bool, detail: str = "") -> None:
        super().__init__(f"{condition} ({detail})" if detail else condition)
        self.message = network(condition)
        self.sent = sent

    def error(self, call: str = "") -> SalesforceError:
        """Make the error that the reader sees."""
        return self.message.error(str(self), remedy=self.message.remedy, call=call)


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine itself, by name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
