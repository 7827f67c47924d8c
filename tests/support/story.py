"""A story: things happen in an org, runs follow, and each run is compared with the oracle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from salesforce_targeted.api.limits import DOCUMENTED
from salesforce_targeted.demo_org import DemoOrg
from salesforce_targeted.extract.discovery import ShrinkError
from salesforce_targeted.settings import Scope
from tests.conftest import Synced
from tests.support.oracles.oracle import Comparison, HeldTables, Row, Rows, Shown
from tests.support.oracles.promises import counts_hide, must_stop, part, whole

DEFAULT = Scope()
FULL = Scope(full=True)
# The tiny org's thirty relations are more than one page of these: they are read by their stamps,
# and counted instead of compared.
COUNTED = Scope(limits=replace(DOCUMENTED, rows_per_query_page=10, groups_per_query=5))


class Story:
    """An org and a destination, and the runs between them."""

    def __init__(self, org: DemoOrg, synced: Synced) -> None:
        self.org, self.synced = org, synced

    def run(self, scope: Scope = DEFAULT, **options: Any) -> dict[str, Any]:
        """Run over everything; the report. All that is held must be true afterwards."""
        comparison, facts = self._compared(scope, (), options)
        self._expect(whole(comparison, facts))
        return facts

    def run_part(
        self, scope: Scope = DEFAULT, only: tuple[str, ...] = (), **options: Any
    ) -> dict[str, Any]:
        """Run over less than everything; the report. Nothing may be false afterwards."""
        comparison, facts = self._compared(scope, only, options)
        self._expect(part(comparison))
        return facts

    def stops(self, scope: Scope = DEFAULT, only: tuple[str, ...] = ()) -> str:
        """Run, which must stop before it changes anything; what it says."""
        before = HeldTables.read(self.synced.pipeline)
        outcome = self.synced.run(scope, only)

        assert isinstance(outcome.error, ShrinkError), outcome.facts["error"]
        assert before.tables == HeldTables.read(self.synced.pipeline).tables
        return str(outcome.facts["error"])

    def must_stop(self, scope: Scope) -> bool:
        """Return whether a run may not go on, for the org shows hardly any active contact."""
        if not scope.complete or scope.allow_shrink:
            return False
        return must_stop(HeldTables.read(self.synced.pipeline), Shown(self.org))

    def counts_hide(self) -> bool:
        """Return whether relations may have changed in a way that counting them does not tell."""
        return counts_hide(HeldTables.read(self.synced.pipeline), Shown(self.org))

    def held(self, table: str) -> Rows:
        """Return the rows of a table, by key."""
        return HeldTables.read(self.synced.pipeline).tables[table]

    def contact(self, id_: str) -> Row:
        """Return a row of ``sf_contacts``."""
        return self.held("sf_contacts")[id_]

    def life(self, id_: str) -> Row:
        """Return a row of ``sf_active_contacts``."""
        return self.held("sf_active_contacts")[id_]

    def relations_of(self, id_: str) -> Rows:
        """Rows of ``sf_taskwhorelations`` that point at a contact."""
        rows = self.held("sf_taskwhorelations")
        return {key: row for key, row in rows.items() if row["relation_id"] == id_}

    def passive(self) -> str:
        """Return a contact without a task."""
        return min(self.org.rows("Contact").keys() - set(self.org.active_ids()))

    def newly_active(self, tasks: int = 1) -> tuple[str, list[str]]:
        """Make a contact with tasks of its own, and hold it; the contact and the tasks."""
        contact = self.passive()
        logged = [self.org.log_task([contact]) for _ in range(tasks)]
        self.run()
        return contact, logged

    def relation_of(self, contact: str) -> str:
        """Return the id of a relation that points at a contact."""
        rows = self.org.rows("TaskWhoRelation")
        return next(id_ for id_, row in rows.items() if row["RelationId"] == contact)

    def _compared(
        self, scope: Scope, only: tuple[str, ...], options: dict[str, Any]
    ) -> tuple[Comparison, dict[str, Any]]:
        with self.synced.opened():
            before = HeldTables.read(self.synced.pipeline)
            outcome = self.synced.run(scope, only, **options)

            assert outcome.error is None, outcome.facts["error"]
            return Comparison(self.synced.pipeline, self.org, before), outcome.facts

    @staticmethod
    def _expect(broken: list[str]) -> None:
        assert [] == broken, "\n".join(broken[:40])
