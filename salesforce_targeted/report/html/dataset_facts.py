"""Read what the tables hold for the page: a few short queries, each on its own.

Rule: a query that fails costs its own part of the page and no other. A
run that failed because the database is away gets its page too, and waits for it only once.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from sqlglot import exp

from salesforce_targeted.arrow.columns import FIELD_HINT
from salesforce_targeted.destination.errors import explained, original_error
from salesforce_targeted.destination.held_tables import HeldTables
from salesforce_targeted.destination.org_identity import held_org
from salesforce_targeted.destination.stored_values import in_utc
from salesforce_targeted.destination.table_names import (
    OBJECTS,
    REJECTED_RECORDS,
    RELATIONS,
    SYNC_RUNS,
)
from salesforce_targeted.run_facts import RunFacts

logger = logging.getLogger("salesforce_targeted")

T = TypeVar("T")
WEEKS_SHOWN, RUNS_SHOWN = 52, 20
VERIFY = "verify"
_LIFE = {"is_active", "relation_count", "gone_reason"}
# Of ``sf_sync_runs``; what a run didn't count is None.
OF_RUN = (
    "started_at", "mode", "status", "seconds", "calls_total", "contacts_held", "contacts_new",
    "contacts_updated", "relations_new", "warning_count", "error",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableFacts:
    """Describe one table of Salesforce's rows.

    Attributes:
        newest: The newest ``SystemModstamp`` in it.
        always: Fields that have a value in every row.
        sometimes: Fields that have a value in some rows.
        empty: API names of the fields without any value.
        hidden: API names of the fields that the org no longer shows to our user.
    """

    table: str
    rows: int
    newest: datetime | None
    always: int
    sometimes: int
    empty: tuple[str, ...]
    hidden: tuple[str, ...]

    @property
    def described(self) -> int:
        """Count the fields that the org shows to our user and that can be a column."""
        return self.always + self.sometimes + len(self.empty)


@dataclass(frozen=True, slots=True)
class Verification:
    """Hold what the last ``--verify`` showed: cause to rows, table to rows compared."""

    at: datetime
    drift: Mapping[str, int]
    compared: Mapping[str, int]


@dataclass(slots=True)
class DatasetFacts:
    """Hold what the dataset adds to the run's own facts; None is what could not be read.

    Attributes:
        stages: Life stage to contacts: ``active``, ``left`` or why the org does not return them.
        weeks: Monday to the relations made in that week, without a gap, the newest last.
        before: Relations that are older than those weeks.
        runs: Columns of ``sf_sync_runs`` by their names, the newest first.
        failures: One sentence for each query that failed.
    """

    place: str = ""
    org: str = ""
    stages: dict[str, int] | None = None
    weeks: list[tuple[date, int]] | None = None
    before: int = 0
    tables: list[TableFacts] = field(default_factory=list)
    runs: list[dict[str, Any]] | None = None
    verified: Verification | None = None
    rejected: int | None = None
    failures: list[str] = field(default_factory=list)


def read_dataset(held: HeldTables, facts: RunFacts) -> DatasetFacts:
    """Query the tables; the run's facts name the fields that the org no longer shows."""
    pipeline = held.pipeline
    place = str(pipeline.destination.destination_name)
    org = held_org(pipeline.state.get("sources", {}).get(held.schema.name, {}))
    dataset = DatasetFacts(
        place=f"{place}, dataset {pipeline.dataset_name}", org=org.host if org else ""
    )

    def query(what: str, read: Callable[..., T], *given: Any) -> T | None:
        try:
            return read(held, *given)
        except Exception as raised:  # a page with a gap is worth more than no page
            logger.debug("the page: %s could not be read", what, exc_info=True)
            reason = explained(original_error(raised), place)
            dataset.failures.append(f"{what}: {reason}" if what else reason)
            return None

    # Counts nothing: a database that is away is waited for only once.
    if query("", HeldTables.count, SYNC_RUNS, "1 = 0") is None:
        return dataset
    dataset.stages = query("Life stages", _stages)
    if (days := query("Relations per week", _days)) is not None:
        dataset.weeks, dataset.before = weeks(days)
    for table in held.schema.data_table_names():
        hints = held.column_hints(table).items()
        if fields_of := {name: str(h[FIELD_HINT]) for name, h in hints if FIELD_HINT in h}:
            hidden = facts["hidden_fields"].get(OBJECTS.get(table, facts["object"]), [])
            of_table = query(table, _table, table, fields_of, hidden)
            dataset.tables.extend([of_table] if of_table is not None else [])
    if (runs := query("Last runs", _runs)) is not None:
        dataset.runs = runs
        dataset.verified = query("Drift", _verification)
    dataset.rejected = query("Rejected rows", HeldTables.count, REJECTED_RECORDS)
    return dataset


def weeks(days: Mapping[date, int]) -> tuple[list[tuple[date, int]], int]:
    """Sum days into the last weeks, empty weeks too; and count those before them."""
    by_week: Counter[date] = Counter()
    for day, count in days.items():
        by_week[day - timedelta(days=day.weekday())] += count
    if not by_week:
        return [], 0
    last = max(by_week)
    first = max(min(by_week), last - timedelta(weeks=WEEKS_SHOWN - 1))
    shown = [first + timedelta(weeks=n) for n in range((last - first).days // 7 + 1)]
    listed = [(monday, by_week[monday]) for monday in shown]
    return listed, by_week.total() - sum(count for _, count in listed)


def _stages(held: HeldTables) -> dict[str, int]:
    """Count rows by life stage in the one table of lives, which is named after the object."""
    tables = [
        name for name in held.schema.data_table_names() if {*held.column_hints(name)} >= _LIFE
    ]
    if not tables:
        return {}
    stages: Counter[str] = Counter()
    columns = ["gone_reason", "is_active", "COUNT(*)"]
    by = ", ".join(map(held.sql, columns[:2]))
    for gone, active, count in held.rows(tables[0], columns, group_by=by):
        stages[gone or ("active" if active else "left")] += int(count)
    return dict(stages.most_common())


def _days(held: HeldTables) -> dict[date, int]:
    """Count live relations by day of creation, as the database's session counts days."""
    column = held.name("CreatedDate")
    if column not in held.column_hints(RELATIONS):
        return {}
    # SQLite, which has no dates, makes a number of CAST(… AS DATE).
    dialect = held.pipeline.destination.capabilities().sqlglot_dialect
    day = exp.TsOrDsToDate(this=exp.var(held.sql(column))).sql(dialect)
    counted = held.rows(
        RELATIONS, [day, "COUNT(*)"], f"{held.live.sql} AND {day} IS NOT NULL", group_by=day
    )
    return {_date(value): int(count) for value, count in counted}


def _table(
    held: HeldTables, table: str, names: Mapping[str, str], hidden: Collection[str]
) -> TableFacts:
    """Count rows and filled fields and find the newest stamp, in one pass over the table."""
    stamp = held.name("SystemModstamp")
    newest = f"MAX({held.sql(stamp)})" if stamp in names else "NULL"
    counts = [f"COUNT({held.sql(name)})" for name in names]
    nothing: tuple[Any, ...] = (0, None, *(0 for _ in names))
    rows, stamped, *filled = next(iter(held.rows(table, ["COUNT(*)", newest, *counts])), nothing)
    shown = {
        name: int(count)
        for (column, name), count in zip(names.items(), filled, strict=True)
        if column not in hidden
    }
    return TableFacts(
        table=table,
        rows=int(rows),
        newest=in_utc(stamped) if isinstance(stamped, datetime) else None,
        always=sum(1 for count in shown.values() if rows and count == rows),
        sometimes=sum(1 for count in shown.values() if 0 < count < rows),
        empty=tuple(name for name, count in shown.items() if not count),
        hidden=tuple(name for column, name in names.items() if column in hidden),
    )


def _runs(held: HeldTables) -> list[dict[str, Any]]:
    began, columns = held.name("started_at"), [held.name(name) for name in OF_RUN]
    known = f"{held.sql(began)} IS NOT NULL"
    rows = held.rows(SYNC_RUNS, columns, known, newest=(began, RUNS_SHOWN))
    return [dict(zip(OF_RUN, (in_utc(row[0]), *row[1:]), strict=True)) for row in rows]


def _verification(held: HeldTables) -> Verification | None:
    began = held.name("started_at")
    verified = f"{held.sql(held.name('mode'))} = '{VERIFY}' AND {held.sql(began)} IS NOT NULL"
    columns = [began, held.name("report")]
    for at, report in held.rows(SYNC_RUNS, columns, verified, newest=(began, 1)):
        facts: dict[str, Any] = json.loads(report)
        drift = {name: count for name, count in facts["drift"].items() if isinstance(count, int)}
        return Verification(in_utc(at), drift, dict(facts.get("compared", {})))
    return None


def _date(day: Any) -> date:
    return day.date() if isinstance(day, datetime) else date.fromisoformat(str(day)[:10])
