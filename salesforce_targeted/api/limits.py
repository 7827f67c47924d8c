"""Hold every number that Salesforce documents, with its page, and a small profile for tests.

Rule: limits are facts about Salesforce, not preferences, so they are code and not configuration.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from salesforce_targeted.api.errors import ConfigurationError

# "v59", "59" and "59.0" are one version. Ours: no other spelling is guessed at.
_VERSION = re.compile(r"v?(\d{2})(?:\.0)?\Z", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bound what one request and one response may hold; the defaults are what is documented."""

    # The newest version in which all six ways to sign in exist: SOAP login() is absent from 65.0
    # on. "SOAP API End-of-Life Policy"; help article 005132110. Anything from 58.0 on would do for
    # reading.
    api_version: str = "64.0"
    # "Get Parallel Results for a Query Job", Bulk API 2.0: from 58.0 on; all else that is read is
    # older. Each org serves the versions of some ten years, so nothing older is of use.
    oldest_api_version: str = "58.0"
    # "Get Multiple Records with sObject Collections" (POST), REST API Developer Guide.
    ids_per_collection: int = 2_000
    # "Query", REST API Developer Guide: up to 2,000 rows in a batch; it may be fewer.
    rows_per_query_page: int = 2_000
    # "GROUP BY Considerations", SOQL and SOSL Reference: no queryMore() over grouped results.
    groups_per_query: int = 2_000
    # "SOQL and SOSL Limits", Limits and Allocations Quick Reference: characters of a statement …
    soql_chars: int = 100_000
    # … and characters of each string within a WHERE clause (same page).
    literal_chars: int = 4_000
    # "Status Codes and Error Responses": 414 if the URI, 431 if URI and headers exceed 16,384
    # bytes.
    uri_bytes: int = 16_384
    # Ours: room for the headers in that sum. A session token has 112 characters, a JWT one about
    # 1,000.
    header_bytes: int = 1_500
    # Derived, not documented: 16,384 bytes hold at most this many ids at 25 bytes each
    # (%27<18>%27, with a comma). soql.ids_that_fit() gives the number for a given statement.
    ids_per_query: int = 16_384 // 25
    # "Composite", REST API Developer Guide: 25 subrequests …
    composite_subrequests: int = 25
    # … of which 5 may be query, queryAll or sObject Collections.
    composite_queries: int = 5
    # "Get Results for a Query Job", Bulk API 2.0: maxRecords is ours to choose. 20,000 rows of a
    # hundred fields are about 20 MB of CSV, and some pages are in memory at once.
    bulk_rows_per_page: int = 20_000
    # "Get Parallel Results for a Query Job": at most five result links in a response.
    bulk_result_pages: int = 5
    # "OAuth 2.0 JWT Bearer Flow": exp at most three minutes ahead.
    jwt_seconds: int = 180
    # "API Request Limits and Allocations": a REST call is cut after ten minutes.
    call_seconds: int = 600
    # Help article 005132110.
    newest_soap_login: str = "64.0"


DOCUMENTED = Limits()

# For tests, ours and others': a dozen ids cross every boundary.
TINY = Limits(
    ids_per_collection=3,
    rows_per_query_page=4,
    groups_per_query=4,
    soql_chars=2_000,
    literal_chars=60,
    uri_bytes=1_000,
    header_bytes=300,
    ids_per_query=2,
    composite_subrequests=3,
    composite_queries=2,
    bulk_rows_per_page=4,
    bulk_result_pages=2,
)


def version_of(value: object, limits: Limits = DOCUMENTED) -> str:
    """Read a version of the API as people write it (``"59.0"``, ``"v59"``, ``59``); return "59.0".

    Raises:
        ConfigurationError: it is none, or one that this library doesn't read through.
    """
    number = _VERSION.match(str(value).strip())
    if number is None:
        raise ConfigurationError(
            f"api_version = {value!r} is no version of the API",
            remedy=f"Write it as {limits.api_version}, for example; --test says which the org has.",
        )
    version = f"{number[1]}.0"
    if float(version) < float(limits.oldest_api_version):
        raise ConfigurationError(
            f"api_version = {version} is too old to read through",
            remedy=f"Set {limits.oldest_api_version} or newer; all orgs have {limits.api_version}.",
        )
    return version


def not_served(
    version: str, served: Sequence[str], limits: Limits = DOCUMENTED, status: int | None = None
) -> ConfigurationError:
    """Make the error about a version that the org does not serve; it advises only what is taken.

    Args:
        served: The versions that the org serves, oldest first.
    """
    usable = [v for v in served if float(v) >= float(limits.oldest_api_version)]
    return ConfigurationError(
        f"the org does not serve API version {version}",
        remedy=f"Set api_version to one that it serves: {usable[0]} to {usable[-1]}."
        if usable
        else f"It serves {served[0]} to {served[-1]}, and {limits.oldest_api_version} is the oldest"
        " one that can be read through: is SALESFORCE_INSTANCE_URL, SALESFORCE_LOGIN_URL or"
        " SALESFORCE_DOMAIN that of a Salesforce org of today?",
        status=status,
    )
