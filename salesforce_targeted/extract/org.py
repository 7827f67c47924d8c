"""A run's first call: everything that can be asked before anything is known, as one.

The describes, the first batch of discovery and the count of the relations travel in one composite
call. An org that refuses ``composite``, or one of its parts, is asked for that part on its own.

Source: REST API Developer Guide, "Composite" (25 subrequests, 5 of them queries; billed as one).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from salesforce_targeted.api import endpoints, readers
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.api.models import Page, Response
from salesforce_targeted.relations import queries as relations
from salesforce_targeted.relations.queries import Record
from salesforce_targeted.target import CONTACT, Target


@dataclass(frozen=True, slots=True)
class Opening:
    """What the first call brought.

    Attributes:
        describes: Object name to its describe, or to why there is none.
        groups: The first batch of discovery; None where it is still to be asked for.
        relations: How many relations the org shows; None likewise.
    """

    describes: Mapping[str, dict[str, Any] | SalesforceError]
    groups: list[Record] | None = None
    relations: int | None = None


def objects_of(target: Target) -> list[str]:
    """The objects that a run describes."""
    found = [target.discovered_by, target.discovered_by.fallback]
    names = [one.object_name for one in found if one is not None]
    others = ["Task", "User"] if target is CONTACT else []
    return list(dict.fromkeys([names[0], target.object_name, *names[1:], *others]))


def opening(client: SalesforceClient, target: Target, *, discovery: bool) -> Opening:
    """Make a run's first call.

    Args:
        discovery: Whether to ask for the active records and the count of relations too.
    """
    names, junction = objects_of(target), target.discovered_by
    requests = [endpoints.describe(client.version, name) for name in names]
    if discovery:
        per_call = client.limits.groups_per_query
        groups = relations.groups_statement(junction, per_call, target.first_id)
        counted = relations.count_statement(junction)
        requests += [endpoints.query(client.version, statement) for statement in (groups, counted)]
    answers = client.composite(requests)
    describes = {
        name: readers.described(answer) for name, answer in zip(names, answers, strict=False)
    }
    if not discovery:
        return Opening(describes)
    first, total = _page(answers[-2]), _page(answers[-1])
    whole = first is not None and first.next is None and len(first.records) == first.total
    return Opening(
        describes,
        groups=first.records if first is not None and whole else None,
        relations=total.total if total is not None else None,
    )


def _page(answer: Response | SalesforceError) -> Page[list[Record]] | None:
    if isinstance(answer, SalesforceError):
        return None
    try:
        return readers.page(answer)
    except SalesforceError:
        return None
