"""Salesforce record ids as numbers and back: 15 and 18 characters, checksum, key prefix.

Rules:
- An id is a key prefix, seven fixed characters and a five-digit base-62 number. The digits stand
  in binary order (0-9 A-Z a-z), so ids sort as their numbers do, as Salesforce hands them out.
- Ids 26 apart in the last digit differ only by case: every org larger than that holds such pairs.
"""

from __future__ import annotations

import re

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SUFFIXES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
POD = "5g00000"
FIRST_NUMBER = 1_234_567  # so that ids look like those of an org that has lived a while

_VALUE = {digit: value for value, digit in enumerate(DIGITS)}
_ID = re.compile(r"[0-9A-Za-z]{15}(?:[A-Z0-5]{3})?\Z")


def _capitals(chunk: str) -> int:
    return sum(1 << place for place, char in enumerate(chunk) if "A" <= char <= "Z")


_PAIR_VALUE = {a + b: _VALUE[a] * 62 + _VALUE[b] for a in DIGITS for b in DIGITS}
_PAIRS = [(a + b, _capitals(a + b)) for a in DIGITS for b in DIGITS]
_LAST = [[SUFFIXES[mask | _capitals(d) << 4] for mask in range(16)] for d in DIGITS]


def to_18(id15: str) -> str:
    """Append the three characters that make *id15* unique without regard to case."""
    return id15 + "".join(SUFFIXES[_capitals(id15[at : at + 5])] for at in (0, 5, 10))


def normal(text: str) -> str | None:
    """Return the 18-character form of *text*, or None if no id has that form."""
    if not _ID.match(text):
        return None
    full = to_18(text[:15])
    return full if len(text) == 15 or full == text else None


class Numbering:
    """Ids of one object: ordinal 0, 1, 2 … to 18 characters and back."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._head = prefix + POD
        self._mid = "".join(SUFFIXES[_capitals(self._head[at : at + 5])] for at in (0, 5))

    def id_of(self, ordinal: int) -> str:
        """Return the id of the record that was made as number *ordinal*."""
        rest, last = divmod(ordinal + FIRST_NUMBER, 62)
        high, low = divmod(rest, 3844)
        (first, first_mask), (second, second_mask) = _PAIRS[high], _PAIRS[low]
        suffix = _LAST[last][first_mask | second_mask << 2]
        return f"{self._head}{first}{second}{DIGITS[last]}{self._mid}{suffix}"

    def ordinal_of(self, id18: str) -> int | None:
        """Return the number behind *id18*, or None if no record of this object can have that id."""
        if len(id18) != 18 or not id18.startswith(self._head):
            return None
        high, low, last = id18[10:12], id18[12:14], id18[14]
        number = (_PAIR_VALUE[high] * 3844 + _PAIR_VALUE[low]) * 62 + _VALUE[last]
        return number - FIRST_NUMBER if number >= FIRST_NUMBER else None
