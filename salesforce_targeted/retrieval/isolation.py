"""One record or field that makes a whole call fail costs itself alone: the others are read.

Rules.
- Only what can be of a record's making is looked into: a refused or unreadable answer and a 500,
  once they stayed. An outage, a spent day or a lost session are not.
- First the ids are searched, then the fields of each bad record; what of it can be read is its row.
- Where nothing answers, a field that can't be read of any record is left out, and rejected once
  for all of them. Where that is not it, the error is the org's and not a record's: it is raised.
- Parts go into one billed ``composite`` call, else into a call each.

Sources: REST API Developer Guide, "Composite" (five Collections to a call), "Status Codes and Error
Responses".
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import SalesforceError
from salesforce_targeted.arrow.batch import EVERY_RECORD, Rejected
from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.from_json import from_records
from salesforce_targeted.retrieval.bisection import find_failing
from salesforce_targeted.retrieval.results import Answer

# Names of fields, and why each can't be read.
Fields = Mapping[str, SalesforceError]
# Ids, and the fields that are asked for.
Asked = tuple[Sequence[str], Sequence[str]]
Record = dict[str, Any]
# A 500 is asked for once more, not four times: one that stays is of a record's making, and the
# calls that find the record are to stay fewer than those of a search by halves.
ATTEMPTS = 2


class PartialReader(Protocol):
    """Read some fields of some ids: several parts at once, each with a response of its own.

    Attributes:
        hopeless_calls: So many calls without any row say that no record is to blame.
    """

    hopeless_calls: int

    def join(self, parts: Sequence[Sequence[str]]) -> list[Sequence[str]]:
        """Put parts together, as far as that can be; see :func:`culprits`."""

    def rows(self, parts: Sequence[Asked]) -> Sequence[Answer | SalesforceError]:
        """Rows, and the ids that the org does not show."""

    def values(self, parts: Sequence[Asked]) -> Sequence[Record | SalesforceError | None]:
        """One record for each part, by API name; None where the org does not show it."""


class Isolation:
    """Reads ids of which a call failed, of one object; what it learns of fields helps later calls.

    Attributes:
        unreadable: Fields that can't be read of any record, with why. Replaced, never changed.
    """

    def __init__(self, client: SalesforceClient, columns: Columns, asking: PartialReader) -> None:
        self.client, self.columns, self.asking = client, columns, asking
        self.unreadable: Fields = {}
        self._one_at_a_time = threading.Lock()

    def answers(self, ids: Sequence[str], without: Fields, error: SalesforceError) -> list[Answer]:
        """Return what can be read, and what is rejected.

        Args:
            ids: At most ``limits.ids_per_collection``.
            without: The fields that the call left out.
            error: What it failed with.

        Returns:
            Batches of rows with the ids that are absent. A record of which nothing can be read is
            only in a batch's ``rejected``, with an empty ``field``; a field that can't be read of
            any record is rejected for :data:`EVERY_RECORD`.

        Raises:
            SalesforceError: the call's own, where nothing that it asks for can be read.
        """
        with self._one_at_a_time:
            search = _Search(
                self.client, self.columns, self.asking, ids, error, dict(self.unreadable)
            )
            if len(self.unreadable) > len(without) and search.answers_whole():
                bad = []
            else:
                bad = search.bad_ids()
            rescued = [search.readable_part_of(id_, why) for id_, why in bad]
            if len(ids) > 1 and not search.answers and not any(len(one) for one, _ in rescued):
                raise error
            self.unreadable = search.unreadable
        return [self.noted(answer, search.unreadable) for answer in [*search.answers, *rescued]]

    def noted(self, answer: Answer, without: Fields) -> Answer:
        """Note in an answer's batch which fields its rows were read without."""
        answer[0].rejected += [
            Rejected(self.columns.object_name, EVERY_RECORD, name, str(why), "")
            for name, why in without.items()
        ]
        return answer


class _NobodyAnswersError(Exception):
    """All parts of the first call failed."""


@dataclass(slots=True)
class _Search:
    """Find which ids can't be read, and keep the rows of the others."""

    client: SalesforceClient
    columns: Columns
    asking: PartialReader
    ids: Sequence[str]
    error: SalesforceError
    unreadable: Fields
    answers: list[Answer] = field(default_factory=list)
    _calls: int = 0

    def bad_ids(self) -> list[tuple[str, SalesforceError]]:
        if len(self.ids) == 1:
            return [(self.ids[0], self.error)]
        width = self.client.limits.composite_queries
        try:
            return find_failing(self.ids, self._ask, width, self.asking.join)
        except _NobodyAnswersError:
            found = self._unreadable_of_all()
            self.unreadable = {**self.unreadable, **found}
            if found and self.answers_whole():
                return []
            return find_failing(self.ids, self._ask, width, self.asking.join)

    def answers_whole(self) -> bool:
        """Return whether all of the ids can be read at once, without the fields that can't."""
        return self._ask([self.ids]) == [None]

    @property
    def _fields(self) -> list[str]:
        """List the fields that are asked of every record."""
        return [name for name in self.columns.fields if name not in self.unreadable]

    def _ask(self, parts: Sequence[Sequence[str]]) -> list[SalesforceError | None]:
        self._calls += 1
        asked = [(part, self._fields) for part in parts]
        failures: list[SalesforceError | None] = []
        for answer in self.asking.rows(asked):
            if isinstance(answer, SalesforceError):
                failures.append(answer)
            else:
                failures.append(None)
                self.client.meter.add_rows("composite", len(answer[0]))
                self.answers.append(answer)
        if not self.answers and self._calls == 1 and len(parts) > 1:
            raise _NobodyAnswersError
        if self._calls > self.asking.hopeless_calls and not any(
            len(one) for one, _ in self.answers
        ):
            raise self.error
        return failures

    def _unreadable_of_all(self) -> Fields:
        """Fields that neither the first record nor the last one can be read with."""
        first = _Record(self.client, self.columns, self.asking, self.ids[0])
        bad = first.bad_fields(self._fields)
        last = _Record(self.client, self.columns, self.asking, self.ids[-1])
        failures = [last.ask([[name]])[0] for name, _ in bad]
        return {name: why for (name, why), same in zip(bad, failures, strict=True) if same}

    def readable_part_of(self, id_: str, why: SalesforceError) -> Answer:
        """Read a bad record without its bad fields; no row if nothing of it can be read."""
        record = _Record(self.client, self.columns, self.asking, id_)
        bad = record.bad_fields(self._fields)
        batch = from_records([record.values] if record.values else [], self.columns)
        if record.absent:
            return batch, [id_]
        batch.rejected += [
            Rejected(self.columns.object_name, id_, name, str(error), "")
            for name, error in (bad if record.values else [("", why)])
        ]
        return batch, []


@dataclass(slots=True)
class _Record:
    """Hold what can be read of one record, by API name: nothing if absent or all of it is bad."""

    client: SalesforceClient
    columns: Columns
    asking: PartialReader
    id: str
    values: dict[str, Any] = field(default_factory=dict)
    absent: bool = False

    def bad_fields(self, names: Sequence[str]) -> list[tuple[str, SalesforceError]]:
        """Find the fields that it can't be read with; none if it can't be read at all."""
        names = [name for name in names if name != self.columns.key.field]
        try:
            return find_failing(names, self._ask_first, self.client.limits.composite_queries)
        except _NobodyAnswersError:
            return []

    def _ask_first(self, parts: Sequence[Sequence[str]]) -> list[SalesforceError | None]:
        failures = self.ask(parts)
        # Of many bad fields one may be in each part: whether the record is readable, its id tells.
        if not self.values and not self.absent and self.ask([[]]) != [None]:
            raise _NobodyAnswersError
        return failures

    def ask(self, parts: Sequence[Sequence[str]]) -> list[SalesforceError | None]:
        """Read some parts of the record; what each failed with."""
        asked = [([self.id], ["Id", *part]) for part in parts]
        failures: list[SalesforceError | None] = []
        for answer in self.asking.values(asked):
            if isinstance(answer, SalesforceError):
                failures.append(answer)
            else:
                failures.append(None)
                self.absent = self.absent or answer is None
                self.values.update(answer or {})
        return failures
