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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from salesforce_targeted.api import readers, wire
from salesforce_targeted.api.client import SalesforceClient
from salesforce_targeted.api.errors import SalesforceError, TruncatedAnswerError
from salesforce_targeted.bisection import culprits
from salesforce_targeted.collection_answers import Answer, read_rows
from salesforce_targeted.columns import Columns
from salesforce_targeted.json_records import from_records
from salesforce_targeted.tables import EVERY_RECORD, Rejected

T = TypeVar("T")
# Names of fields, and why each can't be read.
Fields = Mapping[str, SalesforceError]
# A 500 is asked for once more, not four times: one that stays is of a record's making, and the
# calls that find the record are to stay fewer than those of a search by halves.
ATTEMPTS = 2
# So many calls without any answer say that no record is to blame.
_HOPELESS_CALLS = 3


class Isolation:
    """Reads ids of which a call failed, of one object; what it learns of fields helps later calls.

    Attributes:
        unreadable: Fields that can't be read of any record, with why. Replaced, never changed.
    """

    def __init__(self, client: SalesforceClient, columns: Columns) -> None:
        self.client, self.columns = client, columns
        self.unreadable: Fields = {}
        self._one_at_a_time = threading.Lock()

    def answers(self, ids: Sequence[str], without: Fields, error: SalesforceError) -> list[Answer]:
        """What can be read, and what is rejected.

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
            search = _Search(self.client, self.columns, ids, error, dict(self.unreadable))
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
        """An answer whose batch says which fields its rows were read without."""
        answer[0].rejected += [
            Rejected(self.columns.object_name, EVERY_RECORD, name, str(why), "")
            for name, why in without.items()
        ]
        return answer


class _NobodyAnswersError(Exception):
    """All parts of the first call failed."""


@dataclass(slots=True)
class _Search:
    """Which ids can't be read, and the answers about the others."""

    client: SalesforceClient
    columns: Columns
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
            return culprits(self.ids, self._ask, width)
        except _NobodyAnswersError:
            found = self._unreadable_of_all()
            self.unreadable = {**self.unreadable, **found}
            if found and self.answers_whole():
                return []
            return culprits(self.ids, self._ask, width)

    def answers_whole(self) -> bool:
        """Whether all of the ids can be read at once, without the fields that can't."""
        return self._ask([self.ids]) == [None]

    @property
    def _fields(self) -> list[str]:
        """What is asked of every record."""
        return [name for name in self.columns.fields if name not in self.unreadable]

    def _ask(self, parts: Sequence[Sequence[str]]) -> list[SalesforceError | None]:
        self._calls += 1
        asked = [(part, self._fields) for part in parts]
        failures: list[SalesforceError | None] = []
        for answer in _asked(self.client, self.columns, asked, read_rows):
            if isinstance(answer, SalesforceError):
                failures.append(answer)
            else:
                failures.append(None)
                self.client.add_rows("composite", len(answer[0]))
                self.answers.append(answer)
        if not self.answers and self._calls == 1 and len(parts) > 1:
            raise _NobodyAnswersError
        if not self.answers and self._calls > _HOPELESS_CALLS:
            raise self.error
        return failures

    def _unreadable_of_all(self) -> Fields:
        """Fields that neither the first record nor the last one can be read with."""
        first = _Record(self.client, self.columns, self.ids[0])
        bad = first.bad_fields(self._fields)
        last = _Record(self.client, self.columns, self.ids[-1])
        failures = [last.ask([[name]])[0] for name, _ in bad]
        return {name: why for (name, why), same in zip(bad, failures, strict=True) if same}

    def readable_part_of(self, id_: str, why: SalesforceError) -> Answer:
        """A bad record's row without its bad fields; no row if nothing of it can be read."""
        record = _Record(self.client, self.columns, id_)
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
    """What can be read of one record, by API name: nothing if it is absent or all of it is bad."""

    client: SalesforceClient
    columns: Columns
    id: str
    values: dict[str, Any] = field(default_factory=dict)
    absent: bool = False

    def bad_fields(self, names: Sequence[str]) -> list[tuple[str, SalesforceError]]:
        """The fields that it can't be read with; none if it can't be read at all."""
        names = [name for name in names if name != self.columns.key.field]
        try:
            return culprits(names, self._ask_first, self.client.limits.composite_queries)
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
        for answer in _asked(self.client, self.columns, asked, _read_record):
            if isinstance(answer, SalesforceError):
                failures.append(answer)
            else:
                failures.append(None)
                self.absent = self.absent or answer is None
                self.values.update(answer or {})
        return failures


def _read_record(
    response: wire.Response, asked: list[str], _columns: Columns
) -> dict[str, Any] | None:
    return readers.collection_in_order(response, asked)[0]


def _asked(
    client: SalesforceClient,
    columns: Columns,
    parts: Sequence[tuple[Sequence[str], Sequence[str]]],
    read: Callable[[wire.Response, list[str], Columns], T],
) -> list[T | SalesforceError]:
    """Ask for some fields of some ids, part by part, in one call where the org lets us."""
    asked = [client.collection_request(columns.object_name, *part) for part in parts]
    answers = client.together([request for request, _ in asked], attempts_at_500=1)
    found: list[T | SalesforceError] = []
    for answer, (_, ids) in zip(answers, asked, strict=True):
        try:
            found.append(
                answer if isinstance(answer, SalesforceError) else read(answer, ids, columns)
            )
        except TruncatedAnswerError as error:
            found.append(error)
    return found
