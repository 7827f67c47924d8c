"""List what Salesforce and the way to it can say, and what each message means, as data.

Rules:
1. The first row that fits is the message's. A row fits if all that it names is there: Salesforce's
   code, words of the text (in lower case), the kind of the request, the HTTP status. Codes and
   statuses that mean the same share a row, as in "413|414".
2. What is refused by Bulk and has no row there means the same as in REST.
3. "Please report it" is said only of what we alone can have caused: the SOQL that we wrote.

Sources: each row names its own; "REST" is "Status Codes and Error Responses" in the REST API
Developer Guide, "SOAP" is "ExceptionCode" in the SOAP API Developer Guide, "OAuth" is "OAuth 2.0
Authorization Errors" in Salesforce Help, "ours" is what we chose where Salesforce says nothing.
"""

# ruff: noqa: E501  # a table: its rows are as long as they are

from dataclasses import dataclass
from enum import StrEnum

from salesforce_targeted.api.errors import (
    AuthenticationError,
    BulkJobError,
    BulkRefusedError,
    ConfigurationError,
    LocatorExpiredError,
    NotFoundError,
    PermissionDeniedError,
    QueryError,
    QueryTimeoutError,
    QuotaExceededError,
    SalesforceError,
    SlowResponseError,
    TooLargeError,
    TruncatedResponseError,
    UnavailableError,
    UnsupportedObjectError,
)

# Stands for the code, of which a web page has none.
PAGE = "WEB PAGE"


class Where(StrEnum):
    """Name what a message comes from."""

    REST = "Salesforce REST"
    BULK = "Bulk API"
    TOKEN = "token endpoint"  # noqa: S105  # a place
    SOAP = "SOAP login"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Message:
    """Hold one row: how to recognise a message, and what to do about it.

    Attributes:
        where: What it comes from.
        error: The class to raise.
        source: Where the message or its meaning is documented or was reported.
        code: Salesforce's code, in upper case (of the token endpoint: lower case); "*" for any, ""
            for any or none; of the network the condition, in our words.
        words: What must occur in the text, in lower case.
        status: "401", "5xx", or "" for any.
        kind: The kind of the request, or the grant of a sign-in; "" for any.
        retried: Whether sending the same again may help, but never after 400 and 404.
        renews: Whether a new session may help.
        throttles: Whether fewer calls at once may help.
        remedy: What the reader can do; "" for that of the class.
    """

    where: Where
    error: type[SalesforceError]
    source: str
    code: str = ""
    words: str = ""
    status: str = ""
    kind: str = ""
    retried: bool = False
    renews: bool = False
    throttles: bool = False
    remedy: str = ""

    def fits(self, status: int, code: str, text: str, kind: str) -> bool:
        """Tell whether this is the row of such a message; ``text`` is in lower case."""
        codes, statuses = self.code.split("|"), self.status.split("|")
        return (
            (code in codes or self.code == "" or (self.code == "*" and code != ""))
            and self.words in text
            and not {"", str(status), f"{status // 100}xx"}.isdisjoint(statuses)
            and self.kind in ("", kind)
        )


def message(where: Where, status: int, code: str, text: str, kind: str = "") -> Message:
    """Find the row of a message."""
    code = code.lower() if where is Where.TOKEN else code.upper()
    places = (Where.BULK, Where.REST) if where is Where.BULK else (where,)
    lowered = text.lower()
    return next(
        row
        for place in places
        for row in TABLE
        if row.where is place and row.fits(status, code, lowered, kind)
    )


def network(condition: str) -> Message:
    """Find the row of a condition of the network."""
    return next(row for row in TABLE if row.where is Where.NETWORK and row.code == condition)


# --- remedies that several rows share -------------------------------------------------------------

_API_ENABLED = (
    "Ask a Salesforce admin to tick API Enabled for this user (profile or permission set, System"
    " Permissions); Professional Edition has the API as an add-on."
)
_OUR_SOQL = "This is a bug in the request that we wrote, not in the org: please report it."
_VERSION = "Set api_version to one that the org serves (--test lists them), or upgrade the library."
_ADDRESS = "Check SALESFORCE_DOMAIN or SALESFORCE_LOGIN_URL: is it a Salesforce host?"
_APP_BLOCKED = (
    "A Salesforce admin must install the connected app, or unblock it: Setup, Connected Apps OAuth"
    " Usage. Since September 2025 an app that is not installed is blocked."
)
_SCOPE = (
    "A new session does not help. Give the connected app the OAuth scope api; where API Access"
    " Control is on, an admin must approve the app; a session of SOAP login may need OAuth instead."
)
_USER = (
    "The user, the password or the security token (it changes with each new password); or the"
    " domain: users of a sandbox sign in at test (SALESFORCE_DOMAIN)"
)
_INACTIVE = "The user is inactive: an admin must activate it."
_OTHER_ORG = "The org is inactive, or SALESFORCE_DOMAIN names another one."
_RATE = "Too many sign-ins: wait an hour."
_EXPIRED = (
    "The user must sign in with a browser and set a new password; then set SALESFORCE_PASSWORD and"
    " the new SALESFORCE_SECURITY_TOKEN. A password that never expires: permission Password Never"
    " Expires; better: OAuth."
)
_REFRESH = "authorize the app again and set SALESFORCE_REFRESH_TOKEN."
_CLOCK = "this machine's clock is off: a JWT is good for three minutes."
_APP_POLICY = "The app: an admin must pre-authorize the user's profile or permission set."
_CHALLENGE = (
    "Salesforce wants to verify this machine: an admin can add its address to the trusted ones"
    " (Setup, Network Access), or use OAuth."
)
_CLIENT_CERTIFICATE = (
    "The user's profile enforces mutual authentication (TLS with a client certificate), which this"
    " library does not offer: use another user."
)
_VIEW_ALL_DATA = (
    "Ask a Salesforce admin for the permission View All Data: without it Salesforce works out for"
    " each record whether the user may see it, and gives up."
)
_BY_REST = "Read through sObject Collections instead (api = collections)"
_FIREWALL = (
    "This page is not of Salesforce's API: ask who runs the proxy or firewall on the way to allow"
    " POST and GET below /services/data, or set NO_PROXY to pass a proxy by."
)
_PROXY = "Correct HTTPS_PROXY (http://user:password@host:port), or NO_PROXY to pass it by."
# At sign-in and of a session alike.
_SHUT_OUT = {
    "LOGIN_DURING_RESTRICTED_DOMAIN": "The network: the user's profile doesn't allow signing in from this address.",
    "LOGIN_DURING_RESTRICTED_TIME": "The time: the user's profile doesn't allow signing in at this hour.",
    "ORG_LOCKED": "Salesforce has locked the org: an admin must ask its support.",
    "PASSWORD_LOCKOUT": "The user is locked out after wrong passwords: wait, or an admin unlocks the user.",
    "MUTUAL_AUTHENTICATION_FAILED": _CLIENT_CERTIFICATE,
    "TRIAL_EXPIRED": "The org's trial has ended: ask Salesforce, or sign in to another org.",
}

# What passes though it is a 4xx. Sources: 406 (without a body, now and then) in airbyte PR 35947;
# 408 in RFC 9110, 15.5.9; 420 (the edge has no routing information) in "REST"; 423 (what is locked
# is free in a moment) in RFC 4918, 11.3; 425 in RFC 8470, 5.2; 429 (some edges) in RFC 6585, 4.
_PASSING = "406|408|420|423|425|429"

_REST, _BULK, _TOKEN, _SOAP, _NETWORK = Where
_NO_SESSION = "INVALID_SESSION_ID|INVALID_AUTH_HEADER|INVALIDSESSIONID"
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

TABLE: tuple[Message, ...] = (
    # --- REST, by code
    Message(_REST, UnavailableError, "API Request Limits and Allocations", "REQUEST_LIMIT_EXCEEDED",
            words="concurrent", retried=True, throttles=True,
            remedy="Other programs keep the org busy with long calls; try again in some minutes."),
    Message(_REST, QuotaExceededError, "API Request Limits and Allocations; SOAP", "REQUEST_LIMIT_EXCEEDED|LIMIT_EXCEEDED"),
    Message(_REST, UnavailableError, "REST; SOAP; public reports", "SERVER_UNAVAILABLE|UNABLE_TO_LOCK_ROW|UNKNOWN_EXCEPTION|ORG_ADMIN_LOCKED", retried=True),
    Message(_REST, LocatorExpiredError, "help article 000004410", "INVALID_QUERY_LOCATOR"),
    # The page before was served: a locator is its session's, and refused with any other.
    Message(_REST, LocatorExpiredError, "ours", _NO_SESSION, kind="query_more"),
    Message(_REST, LocatorExpiredError, "what orgs have sent", status="401|403|404|410", kind="query_more"),
    Message(_REST, AuthenticationError, "jsforce PR 1301, simple-salesforce #422", "INVALID_SESSION_ID",
            words="not valid for use with the", remedy=_SCOPE),
    Message(_REST, AuthenticationError, "REST; airbyte #71024; simple-salesforce #619", _NO_SESSION, renews=True),
    Message(_REST, AuthenticationError, "restforce #607, jsforce #1308", "INVALID_OPERATION_WITH_EXPIRED_PASSWORD", remedy=_EXPIRED),
    Message(_REST, AuthenticationError, "SOAP", "INVALID_LOGIN"),
    *(Message(_REST, AuthenticationError, "SOAP", code, remedy=remedy) for code, remedy in _SHUT_OUT.items()),
    Message(_REST, AuthenticationError, "n8n #21589", "OAUTH_APP_BLOCKED", remedy=_APP_BLOCKED),
    Message(_REST, ConfigurationError, "amazon-connect-salesforce-lambda #4", "URL_NOT_RESET",
            remedy="The session belongs to another host: set SALESFORCE_INSTANCE_URL to the"
            " instance_url that came with the token."),
    Message(_REST, PermissionDeniedError, "REST; SOAP", "API_DISABLED_FOR_ORG|API_CURRENTLY_DISABLED", remedy=_API_ENABLED),
    Message(_REST, PermissionDeniedError, "REST; SOAP", "FUNCTIONALITY_NOT_ENABLED|INSUFFICIENT_ACCESS|INSUFFICIENT_ACCESS_OR_READONLY"),
    Message(_REST, PermissionDeniedError, "SOAP", "TXN_SECURITY_METERING_ERROR|TXN_SECURITY_NO_ACCESS|TXN_SECURITY_END_A_SESSION|TXN_SECURITY_TWO_FA_REQUIRED",
            remedy="A transaction security policy of the org blocks this, or takes too long: ask a Salesforce"
            " admin for the permission Exempt from Transaction Security."),
    Message(_REST, NotFoundError, "Object Reference, TaskWhoRelation", "INVALID_TYPE", words="taskwhorelation",
            remedy="Ask an admin whether Shared Activities are enabled and the user may see tasks."),
    Message(_REST, NotFoundError, "REST; SOAP", "NOT_FOUND|INVALID_TYPE"),
    Message(_REST, QueryTimeoutError, "airbyte #17503, #19947; API Request Limits and Allocations", "QUERY_TIMEOUT|REQUEST_RUNNING_TOO_LONG"),
    Message(_REST, TooLargeError, "estuary PR 2519, sfdx-hardis #1743", "QUERY_TOO_COMPLICATED",
            remedy="The object has very many (formula) fields: name the ones to read in fields."),
    Message(_REST, TooLargeError, "tap-salesforce PR 98", "OPERATION_TOO_LARGE", remedy=_VIEW_ALL_DATA),
    Message(_REST, TooLargeError, "airbyte #26520, #30819", "*", words="implementation restriction", remedy=_VIEW_ALL_DATA),
    Message(_REST, TooLargeError, "SOAP", "EXCEEDED_ID_LIMIT"),
    Message(_REST, QueryError, "REST", "INVALID_FIELD",
            remedy="The field is gone or hidden from this user; read describe again."),
    Message(_REST, TooLargeError, "django-salesforce #164", "MALFORMED_QUERY", words="longer than"),
    Message(_REST, QueryError, "REST; SOAP", "MALFORMED_QUERY|MALFORMED_ID|INVALID_QUERY_FILTER_OPERATOR"
            "|NUMBER_OUTSIDE_VALID_RANGE|JSON_PARSER_ERROR", remedy=_OUR_SOQL),
    Message(_REST, ConfigurationError, "SOAP API End-of-Life Policy", "UNSUPPORTED_API_VERSION|INVALIDVERSION", remedy=_VERSION),
    # --- REST, by status
    Message(_REST, ConfigurationError, "ours: the next host would get the token", status="3xx",
            remedy="Set SALESFORCE_INSTANCE_URL or SALESFORCE_LOGIN_URL to the org's My Domain."),
    Message(_REST, AuthenticationError, "ours: a proxy's page", PAGE, status="401", remedy=_FIREWALL),
    Message(_REST, AuthenticationError, "REST", status="401", renews=True),
    Message(_REST, PermissionDeniedError, "ours: a firewall's page", PAGE, status="403|405", remedy=_FIREWALL),
    Message(_REST, PermissionDeniedError, "REST", status="403"),
    Message(_REST, ConfigurationError, "Salesforce Help, My Domain: URL No Longer Exists", PAGE, status="404",
            remedy="Nothing of Salesforce's API is there: set SALESFORCE_INSTANCE_URL, or SALESFORCE_DOMAIN"
            " or SALESFORCE_LOGIN_URL, to the org's present My Domain (Setup, My Domain)."),
    Message(_REST, NotFoundError, "REST", status="404"),
    Message(_REST, PermissionDeniedError, "REST; RFC 9110, 15.6.2", status="405|415|501",
            remedy="Ask who runs the proxy or firewall on the way to allow POST and GET below /services/data."),
    Message(_REST, ConfigurationError, "RFC 9110, 15.5.8", status="407", remedy=_PROXY),
    Message(_REST, UnavailableError, "see _PASSING", status=_PASSING, retried=True),
    Message(_REST, SlowResponseError, "RFC 9110, 15.6.5", status="504|524", retried=True),
    Message(_REST, ConfigurationError, "SOAP API End-of-Life Policy", status="410", remedy=_VERSION),
    Message(_REST, TooLargeError, "RFC 9110, 15.5.14; REST", status="413|414|431"),
    Message(_REST, QueryError, "ours", status="4xx"),
    Message(_REST, UnavailableError, "REST", retried=True),
    # --- Bulk
    Message(_BULK, BulkRefusedError, "airbyte #26520", "LIMIT_EXCEEDED", words="result size stored",
            remedy=f"{_BY_REST}, or run later: the results of the org's Bulk jobs fill their"
            " allocation of 24 hours."),
    Message(_BULK, BulkRefusedError, "airbyte #26520; Bulk API, Errors", "LIMIT_EXCEEDED|EXCEEDEDQUOTA",
            remedy=f"{_BY_REST}, or run later: the org's Bulk jobs of 24 hours are spent."),
    Message(_BULK, UnsupportedObjectError, "airbyte PR 8206", "INVALIDENTITY"),
    Message(_BULK, UnsupportedObjectError, "airbyte PR 8206", "API_ERROR", kind="bulk_create"),
    Message(_BULK, UnsupportedObjectError, "Bulk API 2.0, Query Jobs; forceworkbench #465", "FUNCTIONALITY_NOT_ENABLED|FEATURENOTENABLED", kind="bulk_create"),
    Message(_BULK, BulkJobError, "Bulk API 2.0, Get Results for a Query Job", "INVALIDJOBSTATE"),
    Message(_BULK, BulkJobError, "Bulk API 2.0, Get Results for a Query Job", status="404|409"),
    # --- token endpoint
    Message(_TOKEN, AuthenticationError, "recorded: tests/samples/token_wrong_domain", "invalid_grant",
            words="not supported on this domain",
            remedy="Wrong domain: this method needs the org's My Domain in SALESFORCE_DOMAIN or"
            " SALESFORCE_LOGIN_URL, not login or test."),
    Message(_TOKEN, AuthenticationError, "OAuth 2.0 Client Credentials Flow", "invalid_grant",
            words="no client credentials user",
            remedy="The app: an admin must set a Run As user under its Client Credentials Flow."),
    Message(_TOKEN, AuthenticationError, "OAuth 2.0 JWT Bearer Flow", "invalid_grant",
            words="approved this consumer", remedy=_APP_POLICY),
    Message(_TOKEN, AuthenticationError, "OAuth: Audience validation failed", "invalid_grant", words="audience",
            remedy="Wrong audience: a JWT is for https://login.salesforce.com, of a sandbox or scratch"
            " org for https://test.salesforce.com; SALESFORCE_AUDIENCE sets another."),
    Message(_TOKEN, AuthenticationError, "OAuth 2.0 JWT Bearer Flow", "invalid_grant", words="assertion",
            remedy=f"The key: SALESFORCE_PRIVATE_KEY doesn't belong to the certificate in the app; or {_CLOCK}"),
    Message(_TOKEN, AuthenticationError, "newrelic-salesforce-exporter #31, simple-salesforce #491", "invalid_grant",
            words="expired", kind=_JWT, remedy=f"The time: {_CLOCK}"),
    Message(_TOKEN, AuthenticationError, "OAuth; public reports", "invalid_grant", words="expired",
            kind="refresh_token", remedy=f"The refresh token is revoked, expired or already used: {_REFRESH}"),
    Message(_TOKEN, AuthenticationError, "public reports", "invalid_grant", words="already being processed",
            retried=True, remedy="Another process uses the same refresh token now: run one at a time."),
    Message(_TOKEN, AuthenticationError, "public reports", "invalid_grant", words="inactive user", remedy=_INACTIVE),
    Message(_TOKEN, AuthenticationError, "public reports", "invalid_grant", words="inactive organization", remedy=_OTHER_ORG),
    Message(_TOKEN, AuthenticationError, "public reports", "invalid_grant", words="ip restricted",
            remedy="The network: this address isn't among the trusted ones of the org or the app."),
    Message(_TOKEN, AuthenticationError, "forcedotcom/cli #3482", "*", words="not installed in this org",
            remedy=_APP_BLOCKED),
    Message(_TOKEN, AuthenticationError, "node-salesforce-jwt #3", "*", words="scope",
            remedy="The app: an admin must give it the OAuth scopes api and refresh_token, and"
            " pre-authorize the user's profile or permission set."),
    Message(_TOKEN, AuthenticationError, "jetstream #1462; n8n #21589; Pipedream #21557; dust PR 26727",
            "oauth_approval_error_generic|oauth_app_blocked|oauth_ec_app_not_found|app_not_found",
            remedy=_APP_BLOCKED),
    Message(_TOKEN, AuthenticationError, "OAuth", "invalid_client_id",
            remedy="The app: SALESFORCE_CLIENT_ID isn't known here (a new app takes ten minutes)."),
    Message(_TOKEN, AuthenticationError, "OAuth", "invalid_client",
            remedy="SALESFORCE_CLIENT_ID and _SECRET don't fit, or the secret has expired: copy it again."),
    Message(_TOKEN, AuthenticationError, "OAuth", "invalid_client_credentials",
            remedy="SALESFORCE_CLIENT_SECRET isn't the app's: copy it again."),
    Message(_TOKEN, AuthenticationError, "RFC 6749, 5.2", "unauthorized_client",
            remedy="The app isn't allowed this way to sign in: an admin must enable the flow."),
    Message(_TOKEN, AuthenticationError, "OAuth", "unsupported_grant_type", remedy="The app or the org has this way to sign in switched off."),
    Message(_TOKEN, AuthenticationError, "RFC 6749, 5.2", "invalid_scope", remedy="The app: an admin must give it the OAuth scope api."),
    Message(_TOKEN, AuthenticationError, "public reports", "invalid_app_access", remedy="The app: an admin must assign it to this user's profile."),
    Message(_TOKEN, AuthenticationError, "OAuth", "access_denied", remedy=_APP_POLICY),
    Message(_TOKEN, AuthenticationError, "OAuth", "inactive_user", remedy=_INACTIVE),
    Message(_TOKEN, AuthenticationError, "OAuth", "inactive_org", remedy=_OTHER_ORG),
    Message(_TOKEN, QuotaExceededError, "OAuth; public reports", "rate_limit_exceeded|login_rate_exceeded", remedy=_RATE),
    Message(_TOKEN, UnavailableError, "OAuth: retry your request; RFC 6749, 4.1.2.1", "unknown_error|server_error|temporarily_unavailable", retried=True),
    Message(_TOKEN, UnavailableError, "see _PASSING; ours", status=f"{_PASSING}|5xx", retried=True),
    Message(_TOKEN, ConfigurationError, "RFC 9110, 15.5.8", status="407", remedy=_PROXY),
    Message(_TOKEN, ConfigurationError, "Salesforce Help, My Domain: a renamed one redirects", status="3xx",
            remedy="The address has moved, and no secret is sent after it: set SALESFORCE_DOMAIN or"
            " SALESFORCE_LOGIN_URL to the org's present My Domain (Setup, My Domain)."),
    Message(_TOKEN, AuthenticationError, "OAuth 2.0 Username-Password Flow", "*", kind="password",
            remedy=f"{_USER}; or the org blocks this flow."),
    Message(_TOKEN, AuthenticationError, "OAuth 2.0 Refresh Token Flow", "*", kind="refresh_token",
            remedy=f"The refresh token: {_REFRESH}"),
    Message(_TOKEN, AuthenticationError, "OAuth 2.0 Client Credentials Flow", "*", kind="client_credentials",
            remedy="The app: its Client Credentials Flow and Run As user, or the domain."),
    Message(_TOKEN, AuthenticationError, "OAuth 2.0 JWT Bearer Flow", "*", kind=_JWT,
            remedy="The user name, the key or the app's approval."),
    Message(_TOKEN, AuthenticationError, "ours", "*"),
    Message(_TOKEN, TruncatedResponseError, "ours: a maintenance page, or a captive portal", status="200", retried=True,
            remedy=_ADDRESS),
    Message(_TOKEN, AuthenticationError, "ours", remedy=_ADDRESS),
    # --- SOAP login
    Message(_SOAP, AuthenticationError, "SOAP", "INVALID_LOGIN",
            remedy=f"{_USER}; or the user is locked out."),
    Message(_SOAP, AuthenticationError, "SOAP", "LOGIN_MUST_USE_SECURITY_TOKEN",
            remedy="The security token: set SALESFORCE_SECURITY_TOKEN (Salesforce mails it on a reset)."),
    Message(_SOAP, AuthenticationError, "SOAP; LoginResult", "INVALID_OPERATION_WITH_EXPIRED_PASSWORD|PASSWORDEXPIRED", remedy=_EXPIRED),
    Message(_SOAP, AuthenticationError, "SOAP; its meaning here is from memory", "INVALID_OPERATION",
            remedy="This org has SOAP login switched off: use OAuth (client credentials or JWT)."),
    Message(_SOAP, AuthenticationError, "SOAP API End-of-Life Policy", "UNSUPPORTED_API_VERSION",
            remedy="SOAP login is retired here: use OAuth (client credentials or JWT)."),
    Message(_SOAP, AuthenticationError, "SOAP", "LOGIN_CHALLENGE_ISSUED|LOGIN_CHALLENGE_PENDING", remedy=_CHALLENGE),
    *(Message(_SOAP, AuthenticationError, "SOAP", code, remedy=remedy) for code, remedy in _SHUT_OUT.items()),
    Message(_SOAP, PermissionDeniedError, "SOAP", "API_DISABLED_FOR_ORG|API_CURRENTLY_DISABLED", remedy=_API_ENABLED),
    Message(_SOAP, QuotaExceededError, "SOAP", "LOGIN_RATE_EXCEEDED", remedy=_RATE),
    Message(_SOAP, QuotaExceededError, "SOAP", "REQUEST_LIMIT_EXCEEDED"),
    Message(_SOAP, UnavailableError, "SOAP", "SERVER_UNAVAILABLE|UNKNOWN_EXCEPTION", retried=True),
    Message(_SOAP, AuthenticationError, "ours", "*"),
    Message(_SOAP, UnavailableError, "see _PASSING; ours", status=f"{_PASSING}|5xx", retried=True),
    Message(_SOAP, TruncatedResponseError, "ours: a maintenance page, or a captive portal", status="200", retried=True,
            remedy=_ADDRESS),
    Message(_SOAP, AuthenticationError, "ours", remedy=_ADDRESS),
    # --- network
    Message(_NETWORK, ConfigurationError, "ssl.SSLCertVerificationError", "the host's certificate isn't trusted",
            remedy="Check the address; behind a proxy that opens TLS, set REQUESTS_CA_BUNDLE to its certificate."),
    Message(_NETWORK, ConfigurationError, "requests.adapters", "the file with trusted certificates is missing",
            remedy="Correct the path in REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE."),
    Message(_NETWORK, ConfigurationError, "ssl: X509, PEM", "the file with trusted certificates can't be read",
            remedy="Correct REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE: a file in PEM format."),
    Message(_NETWORK, ConfigurationError, "ssl: TLSV13_ALERT_CERTIFICATE_REQUIRED",
            "the host wants a client certificate", remedy=_CLIENT_CERTIFICATE),
    Message(_NETWORK, ConfigurationError, "ssl: UNSUPPORTED_PROTOCOL", "the host supports no secure version of TLS",
            remedy="Salesforce speaks TLS 1.2 and 1.3: check the address and the proxy before it."),
    Message(_NETWORK, UnavailableError, "ssl.SSLEOFError", "the TLS handshake was cut short", retried=True,
            remedy="Try again; if it stays so, look at the proxy or firewall between here and"
            " Salesforce."),
    Message(_NETWORK, ConfigurationError, "getaddrinfo: EAI_NONAME", "there is no such host",
            remedy="Correct SALESFORCE_DOMAIN, SALESFORCE_LOGIN_URL or SALESFORCE_INSTANCE_URL."),
    Message(_NETWORK, UnavailableError, "getaddrinfo: EAI_AGAIN", "the host's name can't be resolved now",
            retried=True, remedy="Check this machine's network and its DNS."),
    Message(_NETWORK, UnavailableError, "ECONNREFUSED", "the host refuses connections", retried=True,
            remedy="Check the address and the network."),
    Message(_NETWORK, UnavailableError, "ENETUNREACH, EHOSTUNREACH", "the host can't be reached", retried=True,
            remedy="Check this machine's network."),
    Message(_NETWORK, UnavailableError, "requests.ConnectTimeout", "no connection in time", retried=True,
            remedy="Check the network: a firewall may drop what is sent to Salesforce."),
    Message(_NETWORK, ConfigurationError, "RFC 9110, 15.5.8", "the proxy wants a user and a password",
            remedy=_PROXY),
    Message(_NETWORK, ConfigurationError, "RFC 9110, 9.3.6", "the proxy refuses the way to the host",
            remedy="Ask who runs the proxy to allow the host, or set NO_PROXY."),
    Message(_NETWORK, UnavailableError, "RFC 9110, 9.3.6", "the proxy doesn't reach the host", retried=True,
            remedy="Try again; ask who runs the proxy."),
    Message(_NETWORK, UnavailableError, "requests.exceptions.ProxyError", "the proxy can't be reached",
            retried=True, remedy=_PROXY),
    Message(_NETWORK, ConfigurationError, "requests: SOCKS", "the proxy is a SOCKS proxy, and PySocks isn't installed",
            remedy="Install it (pip install PySocks), or correct HTTPS_PROXY or ALL_PROXY."),
    Message(_NETWORK, ConfigurationError, "requests.exceptions.InvalidProxyURL", "the proxy's address is invalid",
            remedy=_PROXY),
    Message(_NETWORK, SlowResponseError, "requests.ReadTimeout", "no response in time", retried=True),
    Message(_NETWORK, UnavailableError, "ours", "the request couldn't be sent", retried=True),
    Message(_NETWORK, UnavailableError, "ECONNRESET", "the connection was lost", retried=True),
    Message(_NETWORK, SlowResponseError, "ours: Limits.call_seconds", "the response took too long", retried=True),
    Message(_NETWORK, UnavailableError, "requests.ReadTimeout", "the response stopped half-way", retried=True),
    Message(_NETWORK, UnavailableError, "urllib3: ProtocolError", "the response was cut short", retried=True),
    Message(_NETWORK, UnavailableError, "RFC 1952: no end of the stream", "the packed response was cut short",
            retried=True),
    Message(_NETWORK, UnavailableError, "RFC 9110, 8.4", "the response is packed in an unknown way", retried=True),
)  # fmt: skip
