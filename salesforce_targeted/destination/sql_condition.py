"""Write the conditions of SQL over what is held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Where:
    """Hold an SQL condition, and the values of the ``%s`` in it.

    Rule: no moment and no truth value is written into the SQL. Each database has literals of its
    own; its driver knows how it keeps the value. A ``%`` of LIKE and a value don't go together.
    """

    sql: str
    values: tuple[Any, ...] = ()

    @classmethod
    def of(cls, condition: str | Where) -> Where:
        """Return a condition, one without values from its SQL."""
        return condition if isinstance(condition, Where) else cls(condition)

    def __and__(self, other: Where) -> Where:
        return Where(f"{self.sql} AND {other.sql}", (*self.values, *other.values))
