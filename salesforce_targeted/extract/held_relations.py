"""Tell what is held of the relations before a run, and how far they were read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from salesforce_targeted.api.limits import Limits
from salesforce_targeted.arrow.columns import ROW_HASH
from salesforce_targeted.arrow.id_counts import IdCounts
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.stored_values import Where
from salesforce_targeted.destination.table_names import RELATIONS
from salesforce_targeted.extract.org import VisibleOrg

# In the source's state: how many relations the pages of the last long reading held.
PER_PAGE = "relations_per_page"
# In the source's state: until when relations are not asked for by their stamps, not grouped, or not
# counted, for the org did not answer in time. Source: airbyte #19947 (incremental queries of Task).
SLOW_STAMPS, SLOW_GROUPS = "relations_not_by_stamp_until", "relations_not_grouped_until"
SLOW_COUNTS = "relations_not_counted_until"


class HeldRelations:
    """Look at the relations of a dataset.

    Args:
        state: The source's, kept with the load.
        since: Relations before this moment don't count.
        org: Makes the run's first call, once it is needed.
    """

    def __init__(
        self,
        held: HeldTables,
        state: Mapping[str, Any],
        limits: Limits,
        since: datetime | None,
        org: Callable[[], VisibleOrg],
    ) -> None:
        self._held, self._state, self._limits = held, state, limits
        self._since, self._org = since, org

    @property
    def cursor(self) -> datetime | None:
        """Return how far relations were read, as dlt keeps it; None before a first run."""
        resource = self._state.get("resources", {}).get("task_who_relation", {})
        value = resource.get("incremental", {}).get("SystemModstamp", {}).get("last_value")
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        return value if isinstance(value, datetime) else None

    @property
    def per_page(self) -> int:
        """Count the relations that a page holds: Salesforce's most, or fewer where pages had fewer.

        Source: REST API Developer Guide, "Query Options Header" (a page may hold fewer than asked).
        """
        most = self._limits.rows_per_query_page
        return int(min(most, self._state.get(PER_PAGE) or most))

    @cached_property
    def fit_a_page(self) -> bool:
        """Return whether all of them fit one page: reading them whole then costs no more."""
        return self._held.count(RELATIONS, self._held.live) <= self.per_page

    @cached_property
    def wait_to_be_read(self) -> bool:
        """Return whether some are to be read again, whatever their stamps say.

        Their hash was cleared, for a column was dropped and made again.
        """
        if ROW_HASH not in self._held.column_hints(RELATIONS):
            return False
        waiting = self._held.live & self._held.unhashed
        if self._since is not None:  # what is older does not count, and is never read
            waiting &= self.stamped(">=", self._since)
        return self._held.count(RELATIONS, waiting) > 0

    @cached_property
    def counts(self) -> IdCounts:
        """Count the relations of each contact or lead that are held as shown."""
        return IdCounts(self._held.counts(RELATIONS, self._held.name("RelationId"), self.counting))

    @property
    def counting(self) -> Where:
        """Write the SQL of: held as shown, and not older than what counts."""
        if self._since is None or not self._org().filters_by_stamp:
            return self._held.live
        return self._held.live & self.stamped(">=", self._since)

    def stamped(self, operator: str, moment: datetime) -> Where:
        """Write an SQL condition on the stamp of a held relation."""
        stamp = self._held.sql(self._held.name("SystemModstamp"))
        # In UTC: MySQL and SQLite keep moments without a zone, as they are.
        return Where(f"{stamp} {operator} %s", (moment.astimezone(UTC),))
