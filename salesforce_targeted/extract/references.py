"""Find the ids of other records that rows name: those that are read, and those that are held."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from salesforce_targeted.arrow.columns import Columns
from salesforce_targeted.arrow.id_set import id_array
from salesforce_targeted.destination.held_tables import CONTACTS, RELATIONS, TASKS
from salesforce_targeted.extract.run import Run

# Fields that name a user who must be held with the row.
_USER_FIELDS = ("OwnerId", "CreatedById", "LastModifiedById")


def named_users(rows: pa.Table, columns: Columns) -> set[str]:
    """Return the ids of the users that rows name.

    Queues and groups, which can own a record, are not users.
    """
    named: set[str] = set()
    for field in _USER_FIELDS:
        column = columns.named(field)
        if column is not None:
            ids = pc.unique(rows.column(column.name)).to_pylist()
            named.update(id_ for id_ in ids if id_ and id_.startswith("005"))
    return named


def tasks_of_held(run: Run) -> pa.Array:
    """Return the tasks that held relations name; none in a run over less."""
    column = run.held.name("TaskId")
    if not run.scope.complete or column not in run.held.column_hints(RELATIONS):
        return id_array(())
    return run.held.id_array(RELATIONS, column)


def users_of_held(run: Run) -> pa.Array:
    """Return the users that held rows name; none in a run over less."""
    if not run.scope.complete:
        return id_array(())
    names = [run.held.name(field) for field in _USER_FIELDS]
    tables = (RELATIONS, CONTACTS, TASKS)
    return run.held.ids_like("005", [(table, name) for table in tables for name in names])
