"""Read Salesforce record ids: 15 characters, or 18 with a checksum.

Rules: ids are case-sensitive, always. Two records can have ids that differ only by case; the three
characters of the checksum say which letters of the first fifteen are capitals.
Source: Object Reference, "ID Field Type"; help article 000385008.
"""

from __future__ import annotations

import re
import string

_FIFTEEN = re.compile(r"[0-9A-Za-z]{15}\Z", re.ASCII)
_EIGHTEEN = re.compile(r"[0-9A-Za-z]{15}[0-5A-Z]{3}\Z", re.ASCII)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
# A character of an id -> whether it is a capital; five of those -> a character of the checksum.
_CAPITALS = str.maketrans(
    dict.fromkeys(string.ascii_uppercase, "1")
    | dict.fromkeys(string.digits + string.ascii_lowercase, "0")
)
_OF_FIVE = {f"{number:05b}"[::-1]: char for number, char in enumerate(_ALPHABET)}


def _checksum(fifteen: str) -> str:
    """Make one character per five: bit n is set where character n is a capital letter."""
    capitals = fifteen.translate(_CAPITALS)  # a page has thousands of ids: tables, not loops
    return _OF_FIVE[capitals[:5]] + _OF_FIVE[capitals[5:10]] + _OF_FIVE[capitals[10:]]


def to_18(record_id: str) -> str:  # the word that Salesforce and its users have for it
    """Return the 18-character form, which is unique even where case is ignored.

    Raises:
        ValueError: it is no id: wrong length, other characters, or a checksum that doesn't fit
            (which is what lower-casing an id leaves behind).
    """
    if _FIFTEEN.match(record_id):
        return record_id + _checksum(record_id)
    if _EIGHTEEN.match(record_id) and record_id[15:] == _checksum(record_id[:15]):
        return record_id
    raise ValueError("not a Salesforce id: 15 letters and digits, or 18 with a fitting checksum")


_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def evenly_between(first: str, last: str, pieces: int) -> list[str]:
    """List ids that part the way from one to another into pieces of about the same length.

    They need not be ids of records: Salesforce compares by the order of the digits, 0-9, A-Z, a-z.
    None where the two are closer together than that, or of two objects.
    """
    if first[:3] != last[:3]:
        return []
    low, high = _number(first), _number(last)
    wanted = sorted({low + (high - low) * n // pieces for n in range(1, pieces)} - {low})
    return [to_18(first[:3] + _base62(number)) for number in wanted]


def _number(record_id: str) -> int:
    value = 0
    for char in record_id[3:15]:
        value = value * len(_DIGITS) + _DIGITS.index(char)
    return value


def _base62(number: int) -> str:
    digits = ""
    for _ in range(12):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
