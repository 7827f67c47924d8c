"""Read what a failed attempt says, and find its row in the table of messages.

Source: REST API Developer Guide, "Status Codes and Error Responses".
"""

import html
import re
from dataclasses import dataclass
from http import HTTPStatus

from salesforce_targeted.api.errors import SalesforceError, code_word
from salesforce_targeted.api.models import Response
from salesforce_targeted.api.readers import html_title, is_page, json_object, parsed
from salesforce_targeted.api.refusals.messages import PAGE, Message, Where, message, network

# Sending the same again gets the same response, whatever its code says.
_FINAL = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
# The last words of each message of SOAP, whatever its prefix.
_END = "Envelope>"


class TransportError(Exception):
    """No whole response came; ``sent`` is False where the org can't have seen the request."""

    def __init__(self, condition: str, *, sent: bool, detail: str = "") -> None:
        super().__init__(f"{condition} ({detail})" if detail else condition)
        self.message = network(condition)
        self.sent = sent

    def error(self, call: str = "") -> SalesforceError:
        """Make the error that the reader sees."""
        return self.message.error(str(self), remedy=self.message.remedy, call=call)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Hold what a refusal says in Salesforce's words, and the row of the table that it is.

    Attributes:
        default: What happened, where Salesforce gives no words.
        fields: The field names that it blames.
    """

    status: int
    message: Message
    default: str
    code: str = ""
    text: str = ""
    fields: tuple[str, ...] = ()

    @property
    def retried(self) -> bool:
        """Tell whether sending the same again may help."""
        # The token endpoint has 400 for whatever it refuses: there the code decides.
        by_code = self.message.where is Where.TOKEN and self.message.code != ""
        return self.message.retried and (by_code or self.status not in _FINAL)

    def error(self, call: str) -> SalesforceError:
        """Make the error that the reader sees."""
        return self.message.error(
            f"{_reason(self.text)} (HTTP {self.status})" if self.text else self.default,
            remedy=self.message.remedy,
            call=call,
            error_code=self.code,
            status=self.status,
            fields=self.fields,
        )


def refusal(response: Response, kind: str = "other") -> Refusal:
    """Read a refusal of REST or of Bulk; ``kind`` is that of the request.

    Salesforce's code decides, else the HTTP status.
    Source: REST API Developer Guide, "Status Codes and Error Responses".
    """
    where = Where.BULK if kind.startswith("bulk_") else Where.REST
    code, text, fields = _first_error(response)
    # Salesforce has words for what it denies; a page is of a proxy or a firewall before it.
    page = PAGE if not code and response.body and is_page(response) else ""
    row = message(where, response.status, code or page, text, kind)
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:  # 3xx
        default = f"the org sends a redirect (HTTP {response.status}), which is never followed"
    else:
        default = f"HTTP {response.status}{html_title(response.body)}"
    text = text or ("no reason given" if code else "")
    return Refusal(response.status, row, default, code, text, fields)


def token_refusal(response: Response, grant: str) -> Refusal | None:
    """Read a refusal of the token endpoint, as which a 200 without whole JSON counts, too.

    None where there is none. A gateway may turn a refusal's 400 into a 200.

    Source: RFC 6749, 5.2; Salesforce Help, "OAuth 2.0 Authorization Errors".
    """
    try:
        payload = json_object(response)
    except SalesforceError:
        payload = {}
    if response.is_success and payload and not payload.get("error"):
        return None
    code, text, _ = _first_error(response)
    code, text = code_word(code), text if code_word(code) else ""
    row = message(Where.TOKEN, response.status, code, text, grant)
    default = f"the token endpoint sent HTTP {response.status} and gave no reason"
    return Refusal(response.status, row, default, code, text)


def soap_refusal(response: Response) -> Refusal | None:
    """Read a fault of SOAP login(), as which a 200 without a whole result counts, too.

    None where there is none. A password that has expired comes with a session.

    Source: SOAP API Developer Guide, "login()".
    """
    body = response.body.decode("utf-8", "replace")
    # A fault may come without its detail; the code has a prefix there, as in "sf:INVALID_LOGIN".
    code = soap_element(body, "exceptionCode") or soap_element(body, "faultcode") or ""
    code = code_word(code.rpartition(":")[2])
    text = soap_element(body, "exceptionMessage") or soap_element(body, "faultstring") or ""
    text = text if code else ""
    if soap_element(body, "passwordExpired") == "true":
        # The session may do nothing but set a new password. Source: LoginResult.
        code, text = "passwordExpired", "the user's password has expired"
    if response.is_success and not code and soap_element(body, "sessionId") and _END in body:
        return None
    row = message(Where.SOAP, response.status, code, text)
    default = f"the SOAP login got HTTP {response.status} and no reason"
    return Refusal(response.status, row, default, code, text.removeprefix(f"{code}: "))


def soap_element(body: str, name: str) -> str | None:
    """Return the text of an XML element; None where there is none."""
    element = re.search(rf"<(?:\w+:)?{name}(?:\s[^<>]*)?>([^<]*)<", body)
    return html.unescape(element[1]).strip() if element else None


def _first_error(response: Response) -> tuple[str, str, tuple[str, ...]]:
    """Return the code, the words and the fields of the first error; all empty where there is none.

    REST has errorCode and message, Bulk v1 exceptionCode and exceptionMessage, OAuth error and
    error_description.
    """
    try:
        payload = parsed(response)
    except SalesforceError:
        return _error_in_xml(response)
    for entry in payload if isinstance(payload, list) else [payload]:
        match entry:
            case {"errorCode": str(code)} | {"exceptionCode": str(code)} | {"error": str(code)}:
                texts = map(entry.get, ("message", "exceptionMessage", "error_description"))
                blamed = entry.get("fields")
                fields = tuple(map(str, blamed)) if isinstance(blamed, list) else ()
                return code, str(next(filter(None, texts), "")), fields
    return "", "", ()


def _error_in_xml(response: Response) -> tuple[str, str, tuple[str, ...]]:
    """Read an error as XML, which a request that does not take JSON may get."""
    body = response.body.decode("utf-8", "replace")
    code = soap_element(body, "errorCode") or soap_element(body, "exceptionCode") or ""
    text = soap_element(body, "message") or soap_element(body, "exceptionMessage") or ""
    return (code, text, ()) if code_word(code) else ("", "", ())


def _reason(text: str) -> str:
    """Cut the piece of the query out of Salesforce's words: it holds literals."""
    echo = re.search(r"ERROR at Row:-?\d+:Column:-?\d+\s*", text)
    return (text[echo.end() :] if echo else text) or "no reason given"
