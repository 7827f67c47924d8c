"""Name every error that Salesforce's wire can cause: one class per thing to do about it.

SalesforceError
├── ConfigurationError        fix the settings; nothing useful could be sent
├── AuthenticationError       fix the user, the password, the token, the key or the app
├── PermissionDeniedError     ask the admin for the permission
├── NotFoundError             ask the admin whether the object exists and the user may see it
├── QuotaExceededError        run later; the calls that may be spent are spent
├── QueryError                change the request: Salesforce doesn't accept it as it is
│   └── LocatorExpiredError   run the query again from its start
├── TooLargeError             ask for less: fewer ids, fewer fields, a narrower filter
│   └── QueryTimeoutError     ask for less, or later: the org took over two minutes
├── BulkJobError              Salesforce failed or aborted the job; run it again
│   └── BulkRefusedError      read through another API: Bulk takes no such job now
│       └── UnsupportedObjectError    … nor ever: Bulk doesn't serve this object
├── ReadOnlyError             refused before a byte left: a bug of ours, or an attack
└── UnavailableError          already retried; try again later
    ├── SlowResponseError     ask for less at a time: nothing came in the time that we wait
    └── TruncatedResponseError  already retried; the response was cut short or contradicts itself
        └── WebPageError      the same: a web page came, of a proxy or of an org that is down

Rules: an error never carries a secret, a SOQL literal or a field's value. Its text is one
paragraph: what happened, Salesforce's code and words, the remedy.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Self

# Session ids ("00D<org>!<opaque>") and JWTs are recognisable wherever they turn up. A proxy's error
# page or an echo of our own header must not carry one into a log.
_TOKEN = re.compile(r"00D[0-9A-Za-z]{9,15}![^\s\"'<>]+|\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?")
# A locator and an error text are short; a page of HTML or an echoed query is not worth reading.
_LONGEST_TEXT = 400
_SHORTEST_SECRET = 4
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,80}\Z", re.ASCII)


def code_word(code: object) -> str:
    """Return a code of Salesforce's; "" for anything else, which may echo what was sent."""
    return code if isinstance(code, str) and _CODE.match(code) else ""


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Put the text on one line, cut, without session tokens and the given secrets."""
    # The longest first: of a password with its security token neither half may be left.
    for secret in sorted(secrets, key=len, reverse=True):
        # A one-letter "secret" would blank half the sentence and protect nothing.
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    text = " ".join(_TOKEN.sub("***", text.replace("\0", "")).split())
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"


class SalesforceError(Exception):
    """Never raised itself where a subclass says more.

    Attributes:
        message: What happened, with Salesforce's own words where it gave any.
        remedy: What the reader can do, a sentence.
        call: Which request it was, as "GET /services/data/v64.0/query"; no query string.
        error_code: Salesforce's ``errorCode``, or "".
        status: The HTTP status, or None where no response came.
        fields: The field names that Salesforce blamed, if it named any.
    """

    default_remedy = ""
    stops_early = False  # what ends a run that a later one completes: it has not failed

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        call: str = "",
        error_code: str = "",
        status: int | None = None,
        fields: tuple[str, ...] = (),
    ) -> None:
        self.message = scrub(message)
        super().__init__(self.message)
        self.remedy = remedy or self.default_remedy
        self.call = call
        self.error_code = code_word(error_code)
        self.status = status
        self.fields = fields

    def without(self, secrets: Iterable[str]) -> Self:
        """Remove these secrets, which a response may have echoed, and return the error."""
        secrets = list(secrets)
        self.message = scrub(self.message, secrets)
        self.error_code = scrub(self.error_code, secrets)
        self.fields = tuple(scrub(field, secrets) for field in self.fields)
        self.args = (self.message,)
        return self

    @property
    def what(self) -> str:
        """Say what happened, a sentence without the remedy."""
        where = f"{self.call}: " if self.call else ""
        code = f"{self.error_code}: " if self.error_code else ""
        what = self.message.rstrip()
        if what and what[-1] not in ".!?…":
            what += "."
        return f"{where}{code}{what}".strip()

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}".strip()


class ConfigurationError(SalesforceError):
    """Report a setting that is missing or can't be meant that way."""

    default_remedy = "Correct the settings."


class AuthenticationError(SalesforceError):
    """Salesforce doesn't accept who we say we are."""

    default_remedy = "Check the user, the password, the security token, the app and the domain."


class PermissionDeniedError(SalesforceError):
    """Signed in, but not allowed."""

    default_remedy = "Ask a Salesforce admin to give this user the permission."


class NotFoundError(SalesforceError):
    """No such object or path, or this user may not see it; Salesforce doesn't tell."""

    default_remedy = "Ask a Salesforce admin whether it exists and whether this user may see it."


class QuotaExceededError(SalesforceError):
    """Stop at the last call that may be spent, of the org's day or of this run's allowance."""

    default_remedy = "Run again later: Salesforce counts the calls of the last 24 hours."
    stops_early = True


class QueryError(SalesforceError):
    """Salesforce doesn't accept the request as it is."""

    default_remedy = "Salesforce's words above say what it doesn't accept."


class LocatorExpiredError(QueryError):
    """Report that the place in a result is gone. Locators live for two days."""

    default_remedy = "Run the query again from its start; a locator can't be renewed."


class TooLargeError(SalesforceError):
    """Report a request or a response that is larger than Salesforce allows."""

    default_remedy = "Ask for less at a time: fewer ids, fewer fields or a narrower filter."


class QueryTimeoutError(TooLargeError):
    """Report a query on which the org worked for about two minutes before it gave up."""

    default_remedy = "Ask for less at a time (fewer rows or fields), or when the org is quieter."


class BulkJobError(SalesforceError):
    """Report a Bulk job that ended in any state but ``JobComplete``, or never ended."""

    default_remedy = "Run it again; if it fails again, read through sObject Collections instead."


class BulkRefusedError(BulkJobError):
    """Report a Bulk job that Salesforce does not create, now or ever; REST may have calls left."""

    default_remedy = "Read through sObject Collections instead, or run later."


class UnsupportedObjectError(BulkRefusedError):
    """Report an object, or a kind of query, that Bulk does not support."""

    default_remedy = "Read it through another API (REST query or sObject Collections)."


class ReadOnlyError(SalesforceError):
    """Refuse a request that isn't on the list of those that only read. Nothing was sent."""

    default_remedy = "This library only reads. If you did not try to write, please report a bug."


class UnavailableError(SalesforceError):
    """Report an org, or a way to it, that is down or overloaded after several attempts."""

    default_remedy = "Try again in some minutes; status.salesforce.com shows known trouble."


class SlowResponseError(UnavailableError):
    """Report a response that did not come, or not to its end, in the time that we wait."""

    default_remedy = "Try again when the org is quieter, or look at the proxy in between."


class TruncatedResponseError(UnavailableError):
    """Report a response that is cut short, isn't what was announced, or contradicts itself.

    It has no ``status`` where it came whole and contradicts itself.
    """

    default_remedy = (
        "Run again; if it happens again, look at the proxy between here and Salesforce."
    )


class WebPageError(TruncatedResponseError):
    """Report a web page where data was expected, although the status says success."""

    default_remedy = (
        "Salesforce may be down for maintenance: try again later. A page that stays is a proxy's or"
        " a firewall's: ask who runs it to allow GET and POST below /services/data."
    )


# Codes of an org, or of a user, without the API: nothing is answered.
API_OFF = ("API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED")

# What ends a run where it is, and has no bearing on what came before: that is loaded.
ENDS_EARLY = (QuotaExceededError, UnavailableError)
# What a result ends with whose rows moved between pages while they were read: it is read again.
FELL_APART = (LocatorExpiredError, TruncatedResponseError)


def is_refused(error: SalesforceError) -> bool:
    """Tell whether a way of asking is refused, where another one may be served."""
    return isinstance(error, PermissionDeniedError | NotFoundError)


def is_of_records(error: SalesforceError) -> bool:
    """Tell whether one of the requested records or fields may be what makes a call fail."""
    if isinstance(error, UnavailableError):
        unreadable = isinstance(error, TruncatedResponseError)
        return error.status == 500 or (unreadable and not isinstance(error, WebPageError))  # noqa: PLR2004
    return isinstance(error, QueryError | TooLargeError) and not isinstance(
        error, LocatorExpiredError
    )


def is_of_query(error: SalesforceError) -> bool:
    """Tell whether a query may be what fails, where the org serves others: it takes too long.

    A gateway says so by a status that an org that is down has, too; all attempts are used by then.
    """
    late = isinstance(error, UnavailableError) and (error.status or 0) > HTTPStatus.BAD_GATEWAY
    return late or isinstance(error, SlowResponseError) or is_of_records(error)
