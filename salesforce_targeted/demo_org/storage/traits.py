"""Say what an org may be that the usual one is not: permissions, limits, habits. All are off.

``org.traits.view_setup = False`` takes a permission from our user, for as long as it stands. What
happens to single calls is a fault instead, see ``faults``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

NEWEST_VERSION = 68


@dataclass
class Traits:
    """Hold how an org and our user differ from the usual; a test sets them at any time.

    Attributes:
        api_enabled: Whether our user has *API Enabled*; without it every request for data is 403.
            Source: REST API Developer Guide, "Status Codes and Error Responses".
        identity_scope: Whether the app has the scope ``openid`` or ``id``; without it UserInfo is
            403. Source: Salesforce help, "UserInfo Endpoint"; the words are [K].
        view_setup: Whether our user has *View Setup and Configuration*; without it ``limits`` and
            ``limits/recordCount`` are 403. Source: REST API Developer Guide, "Limits", "Record
            Count".
        view_all_data: Without it, queries on the relations of tasks and events are refused with
            OPERATION_TOO_LARGE. Source: singer-io/tap-salesforce PR 98.
        bulk_jobs_used: Query jobs that others made today; from 10,000 on, no more are made.
            Source: airbyte and estuary, recorded text.
        without_bulk: Objects for which Bulk jobs are refused with INVALIDENTITY, by name. Source:
            airbyte issue 13088.
        most_fields: Above so many fields query, queryAll and Collections are refused with
            QUERY_TOO_COMPLICATED, whatever the rows. Source: estuary PR 2519.
        most_cells: A response of more cells (rows times fields) takes longer than the gateway
            before the org waits: 504, with a page of HTML. Source: RFC 9110, "504 Gateway Timeout".
        aggregates_left: So many queries with GROUP BY or an aggregate are run, all later ones
            time out. Source: airbyte issues 19947, 17503.
        aggregates_status: The status that those later ones get, where a gateway gives up before the
            org does: 503 or 504. Source: RFC 9110, 15.6.4, 15.6.5.
        most_aggregate_rows: An aggregate over more rows than this times out.
        slow_stamps: Objects of which no query with a condition on SystemModstamp ends in time.
            Source: airbyte issue 19947 (incremental queries of Task).
        aggregate_seconds: How long each of them takes; in a composite they come one after the
            other. Source: REST API Developer Guide, "Composite".
        locators_of_session: Whether a query locator is refused, with 401, for any other session
            than the one that made it. Source: airbyte PR 84302.
        lower_case_pages: Whether Bulk names the next list of pages ``resultpages``, as the guide
            prints it, and takes it so. Source: Bulk API 2.0 Developer Guide, "Get Parallel Results
            for a Query Job".
        jwt_tokens: Whether access tokens are JWTs, in which no org id stands. Source: Salesforce
            help, "JWT-Based Access Tokens".
        newest_version: The newest API version that the org serves.
        fields_since: By object and field, the first API version that shows it.
        password_expired: Whether SOAP login answers so, with a session that can't read. Source:
            SOAP API Developer Guide, "LoginResult".
    """

    api_enabled: bool = True
    identity_scope: bool = True
    view_setup: bool = True
    view_all_data: bool = True
    bulk_jobs_used: int = 0
    without_bulk: set[str] = field(default_factory=set)
    most_fields: int | None = None
    most_cells: int | None = None
    aggregates_left: int | None = None
    aggregates_status: int = 400
    most_aggregate_rows: int | None = None
    slow_stamps: set[str] = field(default_factory=set)
    aggregate_seconds: float = 0.0
    locators_of_session: bool = False
    lower_case_pages: bool = False
    jwt_tokens: bool = False
    newest_version: int = NEWEST_VERSION
    fields_since: dict[tuple[str, str], int] = field(default_factory=dict)
    password_expired: bool = False
