"""Discovery: whom the org's relations point at now, and a guard against losing them all."""

from __future__ import annotations

from salesforce_targeted import relations
from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.held import ACTIVE_CONTACTS
from salesforce_targeted.run import Run

CONTACT_PREFIX = "003"

# A set that shrinks under this share of what was active, by more than this many, is more likely a
# permission that was lost than a sales team that stopped working.
SHRINK_SHARE = 0.5
SHRINK_CONTACTS = 20


class ShrinkError(SalesforceError):
    """Discovery returned far fewer active contacts than are held as active."""

    default_remedy = (
        "Check that the user still sees the activities (View All Data, sharing). If the contacts"
        " really left, run again with --allow-shrink."
    )


def discovered(run: Run) -> dict[str, int]:
    """Active contacts that the org shows, with how many relations each has; asked once per run.

    Raises:
        ShrinkError: far fewer than were active; nothing has been marked or loaded.
    """
    if run.active_contacts is None:
        run.active_contacts = _discover(run)
    return run.active_contacts


def _discover(run: Run) -> dict[str, int]:
    since = run.scope.since or run.settings.since
    found: dict[str, int] = {}
    opened = run.first_groups is not None
    for batch in relations.active(
        run.client,
        run.junction,
        CONTACT_PREFIX,
        since=since if run.filters_by_stamp else None,
        first=run.first_groups,
    ):
        found.update(batch)
    run.ledger.predict("query", len(found) // run.client.limits.groups_per_query + (not opened))
    run.ledger.step(f"discovered {len(found):,} active contacts")
    if run.scope.complete and not run.scope.allow_shrink:
        _check_shrink(run, len(found))
    return found


def _check_shrink(run: Run, found: int) -> None:
    before = run.held.count(ACTIVE_CONTACTS, "is_active")
    few = found < before * SHRINK_SHARE and before - found > SHRINK_CONTACTS
    if before and (found == 0 or few):
        raise ShrinkError(
            f"the org shows {found:,} active contacts where {before:,} were active; nothing was"
            " marked as left and nothing was loaded"
        )
