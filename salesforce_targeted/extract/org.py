"""See an org as a run sees it: one explicit first call, and what follows from its responses.

The describes, the first batch of discovery and the counts of the relations travel in one composite
call. An org that refuses ``composite``, or one of its parts, is asked for that part on its own.

Source: REST API Developer Guide, "Composite" (25 subrequests, 5 of them queries; billed as one).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from salesforce_targeted.api import endpoints, errors, readers
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.models import Page, Record, Request, Response
from salesforce_targeted.extract.name_checks import check_names
from salesforce_targeted.relations import queries
from salesforce_targeted.target import CONTACT, TASK_WHO_ID, Junction, Target


@dataclass
class VisibleOrg:
    """Hold what the first call of a run showed.

    Attributes:
        describes: Object name to its describe, or to why there is none.
        opened_at: The org's clock before anything was read: what is committed from then on may
            have been missed, so no cursor passes it.
        first_groups: The first batch of discovery; None where it is still to be asked for.
        relation_count: How many relations the org shows; None where that was not asked.
        settled_count: How many of them were stamped before ``settled_before``; None likewise.
        warn: Takes a sentence for the report.
    """

    target: Target
    describes: Mapping[str, dict[str, Any] | errors.SalesforceError]
    opened_at: datetime
    warn: Callable[[str], None]
    first_groups: list[Record] | None = None
    relation_count: int | None = None
    settled_count: int | None = None
    settled_before: datetime | None = None

    @cached_property
    def junction(self) -> Junction:
        """Return the object that relates others to the records that count, in this org.

        Raises:
            SalesforceError: neither it nor its fallback is shown.
        """
        wanted = self.target.discovered_by
        describe = self.describes[wanted.object_name]
        if not isinstance(describe, errors.SalesforceError):
            return wanted
        if not isinstance(describe, errors.NotFoundError) or wanted.fallback is None:
            raise describe
        self.warn(
            f"Shared Activities is off, or {wanted.object_name} is hidden from our user: the own"
            f" WhoId of each {wanted.fallback.object_name} counts as its one relation"
        )
        return wanted.fallback

    @cached_property
    def key_prefix(self) -> str:
        """Return the three characters that the ids of the records that count start with."""
        known = self.target.key_prefix
        prefix = known or self.describe(self.target.object_name).get("keyPrefix")
        if not prefix:
            raise errors.ConfigurationError(
                f"the records of {self.target.object_name} have no ids of a kind of their own",
                remedy="Choose an object whose describe has a keyPrefix.",
            )
        return str(prefix)

    def describe(self, object_name: str) -> dict[str, Any]:
        """Return the describe of an object.

        Raises:
            SalesforceError: the org does not show the object to our user.
        """
        if object_name == "TaskWhoRelation" and self.junction is TASK_WHO_ID:
            return queries.describe_of_task_relations(self.describe("Task"))
        describe = self.describes[object_name]
        if isinstance(describe, errors.SalesforceError):
            raise describe
        return describe

    def shows(self, object_name: str) -> bool:
        """Return whether the org shows an object to our user; the run goes on without it."""
        describe = self.describes[object_name]
        if isinstance(describe, errors.SalesforceError):
            self.warn(f"{object_name} was left out: {describe}")
            return False
        return True

    @cached_property
    def filters_by_stamp(self) -> bool:
        """Return whether relations can be read by ``SystemModstamp``; else all are, each run."""
        name = self.junction.object_name
        entries = {entry["name"]: entry for entry in self.describe(name)["fields"]}
        filterable = bool(entries.get("SystemModstamp", {}).get("filterable"))
        if not filterable:
            self.warn(
                f"{name}.SystemModstamp can't be filtered on in this org: every run reads"
                " all relations"
            )
        return filterable


def described_objects(target: Target) -> list[str]:
    """List the objects that a run describes."""
    junctions = [target.discovered_by, target.discovered_by.fallback]
    names = [junction.object_name for junction in junctions if junction is not None]
    related = ["Task", "User"] if target is CONTACT else []
    return list(dict.fromkeys([names[0], target.object_name, *names[1:], *related]))


def open_org(
    client: SalesforceClient,
    target: Target,
    warn: Callable[[str], None],
    *,
    expected: Junction,
    discovery: bool,
    groups: bool = True,
    since: datetime | None = None,
    settled_before: datetime | None = None,
    along: Sequence[Request] = (),
) -> VisibleOrg:
    """Make a run's first call.

    Args:
        expected: The junction through which the org showed its relations last.
        discovery: Whether to ask for the active records and a count of the relations too.
        groups: Whether the active records are among them: all wait for a query that is slow.
        since: Relations before this moment don't count.
        settled_before: Count the relations stamped before this moment; None: all of them.
        along: Queries that travel with it; whatever sends one of them later takes its response.

    Raises:
        ConfigurationError: the target names what its object does not have.
    """
    names, junction = described_objects(target), target.discovered_by
    requests = [endpoints.describe(client.version, name) for name in names]
    if discovery:
        per_call = client.limits.groups_per_query
        count = queries.count_statement(expected, since, before=settled_before)
        statements = [client.counting(count)]
        if groups:
            first = queries.groups_statement(expected, per_call, target.first_id, since)
            statements.insert(0, first)
        requests += [endpoints.query(client.version, statement) for statement in statements]
    responses = client.composite([*requests, *along])
    client.ahead.keep(along, responses[len(requests) :])
    describes = {
        name: _described(client, name, response)
        for name, response in zip(names, responses[: len(names)], strict=True)
    }
    shown: Any = describes[junction.object_name]
    if isinstance(shown, errors.NotFoundError) and junction.fallback is not None:
        junction = junction.fallback
        shown = describes[junction.object_name]
    if not isinstance(shown, errors.SalesforceError):
        check_names(shown, junction, target)  # before what it was refused for is sent again
    org = VisibleOrg(target, describes, client.org_clock.first or client.org_clock.now(), warn)
    if not discovery or expected is not junction or isinstance(shown, errors.SalesforceError):
        return org
    *grouped, counted = responses[len(names) : len(requests)]
    for page in map(_page, grouped):
        if page is not None and page.next is None and len(page.records) == page.total:
            org.first_groups = page.records
    shown_count = _page(counted)
    total = shown_count.total if shown_count is not None else None
    if isinstance(counted, errors.SalesforceError) and errors.is_of_query(counted):
        total = _counted(client, count, counted)
    if settled_before is None:
        org.relation_count = total
    else:
        org.settled_count, org.settled_before = total, settled_before
    return org


def _described(
    client: SalesforceClient, name: str, response: Response | errors.SalesforceError
) -> dict[str, Any] | errors.SalesforceError:
    """Return a describe, or why the org does not show the object.

    What may pass, or may be of the call that it was a part of, is asked for on its own.
    """
    describe = readers.described(response)
    if isinstance(describe, errors.UnavailableError | errors.QueryError | errors.TooLargeError):
        describe = client.describe(name)
    if isinstance(describe, errors.SalesforceError):
        return describe
    return {**describe, "name": name}  # as it was asked for: to Salesforce case makes no difference


def _counted(
    client: SalesforceClient, statement: str, refused: errors.SalesforceError
) -> int | None:
    """Count rows where the org counts none in time; None where they can't be read either."""
    try:
        return client.count_rows(statement, refused)
    except errors.SalesforceError as error:
        if not errors.is_of_records(error):
            raise
        return None


def _page(response: Response | errors.SalesforceError) -> Page[list[Record]] | None:
    with suppress(errors.SalesforceError):
        return None if isinstance(response, errors.SalesforceError) else readers.page(response)
    return None
