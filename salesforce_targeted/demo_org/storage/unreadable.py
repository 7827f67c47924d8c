"""Records and fields that can't be read: a response that would hold one is refused as a whole.

``org.poisons.add("Contact", id)`` makes every read of that record fail, with ``field`` only reads
of that field, without an id reads of the field of any record. ``org.poisons.clear()`` cures all.

Source: REST API Developer Guide, "Status Codes and Error Responses" (500 UNKNOWN_EXCEPTION). That
one record can cost a response all the others is [K]: recorded of formula fields, not documented.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from salesforce_targeted.demo_org.refusals import Refused, no_such_field, not_found

ANY = "*"


class Poisons:
    """Hold what can't be read in an org.

    Args:
        find: Gives the ordinal of an object's row by its id; None if there is none.
    """

    def __init__(self, find: Callable[[str, str], int | None]) -> None:
        self._find = find
        # Object to field or ANY, to rows (None: all of them) and the refusal.
        self._of: dict[str, list[tuple[str, int | None, Refused]]] = {}

    def add(
        self,
        object: str,
        id: str | None = None,
        field: str = ANY,
        *,
        status: int = 500,
        code: str = "UNKNOWN_EXCEPTION",
    ) -> None:
        """Make a record, or a field of it, or a field of all records, unreadable."""
        ordinal = self._find(object, id) if id is not None else None
        if id is not None and ordinal is None:
            raise not_found()
        refused = Refused(
            status, code, "An unexpected error occurred. Please include this ErrorId: 17-4 (9)"
        )
        if code == "INVALID_FIELD":
            refused = no_such_field(field, object)
        self._of.setdefault(object, []).append((field, ordinal, refused))

    def clear(self) -> None:
        """Make everything readable again."""
        self._of.clear()

    def check(self, object: str, fields: Iterable[str], ordinals: Sequence[int]) -> None:
        """Refuse to return those fields of those rows if one of them can't be read."""
        if object not in self._of or not ordinals:
            return
        read, rows = set(fields), set(ordinals)
        for field, ordinal, refused in self._of[object]:
            if (ordinal is None or ordinal in rows) and (field == ANY or field in read):
                raise refused
