"""Markup that can't be broken by what stands in it: any text is escaped, cut and made visible.

Rule: a plain ``str`` is text of others and is escaped where it becomes markup; only ``Html`` goes
into the page as it is, and only this module and the plots make it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from html import escape

# An error of Salesforce or of a database may be as long as the value that it quotes.
MOST_CHARACTERS = 300
# What a run has to say about itself, with the remedy.
MOST_OF_A_SENTENCE = 800
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CODE = re.compile(r"`([^`]+)`")
_NO_CLOSING = frozenset({"meta"})
UNKNOWN = "–"  # noqa: RUF001


class Html(str):
    """Markup, safe to put into the page as it is."""

    __slots__ = ()


Content = str | int | float | datetime | None


def plain(value: object, most: int = MOST_CHARACTERS) -> str:
    r"""Write a value as text of one line, cut with a note; spell out what can't be seen.

    Controls, among them those that turn the reading direction of what follows, come as ``\u202e``.
    """
    whole = str(value)
    seen = "".join(_visible(character) for character in whole[:most])
    return seen if len(whole) <= most else f"{seen}… (cut: {len(whole):,} characters in all)"


def html(value: Content) -> Html:
    """Write a value as markup: numbers with separators, instants in UTC, None as a dash."""
    if isinstance(value, Html):
        return value
    if value is None:
        return tag("span", UNKNOWN, aria_label="not known", role="img")
    if isinstance(value, datetime):
        # Where there is little room, a line ends between the two and nowhere else.
        parts = tag("span", f"{value:%Y-%m-%d}"), tag("span", f"{value:%H:%M:%S}")
        return tag("time", joined(parts, " "), datetime=f"{value:%Y-%m-%dT%H:%M:%SZ}")
    if isinstance(value, float):
        return Html(f"{value:,.1f}")
    if isinstance(value, int):
        return Html(f"{value:,}")
    return Html(escape(plain(value)))


def tag(name: str, /, *children: Content, **attributes: str) -> Html:
    """Write an element.

    Args:
        children: Text, which is escaped, or markup, which is not.
        attributes: ``class_`` is written ``class``, ``aria_label`` is ``aria-label``.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(plain(value, 2_000))}"'
        for key, value in attributes.items()
    )
    inside = "".join(html(child) for child in children)
    return Html(f"<{name}{written}>{inside}" + ("" if name in _NO_CLOSING else f"</{name}>"))


def joined(parts: Iterable[Html], between: str = "\n") -> Html:
    """Join markup."""
    return Html(between.join(parts))


def foreign(value: object, most: int = MOST_CHARACTERS) -> Html:
    """Write text of others, set apart so that its reading direction stays its own."""
    return tag("bdi", Html(escape(plain(value, most))))


def prose(sentence: str) -> Html:
    """Write a sentence of ours: what stands in back quotes is code."""
    return Html(_CODE.sub(r"<code>\1</code>", escape(plain(sentence, MOST_OF_A_SENTENCE))))


def plural(count: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{count:,} {noun}" + ("s" if count != 1 else "")


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Content]]) -> Html:
    """Write a table whose first column names the row; numbers stand to the right.

    It scrolls by itself, with the keyboard too, where the screen is narrower.
    """
    listed = [list(row) for row in rows]
    numeric = [
        bool(listed) and all(isinstance(row[at], int | float | None) for row in listed)
        for at in range(len(head))
    ]
    kinds = [{"class_": "n"} if right else {} for right in numeric]
    heads = [tag("th", name, scope="col", **kind) for name, kind in zip(head, kinds, strict=True)]
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(tag("td", cell, **kind) for cell, kind in zip(row[1:], kinds[1:], strict=True)),
        )
        for row in listed
    ]
    made = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *heads)),
        tag("tbody", joined(body)),
    )
    label = f"{caption}, a table"
    return tag("div", made, class_="wide", tabindex="0", role="region", aria_label=label)


def details(summary: str, *children: Content, opened: bool = False) -> Html:
    """Write a part that is folded until it is opened."""
    more = {"open": ""} if opened else {}
    return tag("details", tag("summary", summary), *children, **more)


def numbers(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[Content]], *, drawn: bool
) -> Html:
    """Write the table of what a plot shows: folded below it, open where there is no plot."""
    return details("Numbers", table(caption, head, rows), opened=not drawn)


def section(name: str, title: str, *children: Content, kind: str = "plain") -> Html:
    """Write a part of the page with its heading."""
    heading = tag("h2", title, id=name)
    return tag("section", heading, *children, class_=kind, aria_labelledby=name)


def lasting(span: timedelta) -> str:
    """Write a span of time in the unit that people would use."""
    seconds = span.total_seconds()
    for unit, size, upto in (
        ("s", 1, 120),
        ("min", 60, 120 * 60),
        ("h", 3_600, 48 * 3_600),
        ("days", 86_400, 730 * 86_400),
    ):
        if abs(seconds) < upto:
            return f"{seconds / size:.0f}\u00a0{unit}"
    return f"{seconds / (365.25 * 86_400):.0f}\u00a0years"


def _visible(character: str) -> str:
    if character in "\n\t":
        return " "
    if unicodedata.category(character) in {"Cc", "Cs"} or character in _BIDI:
        return f"\\u{ord(character):04x}"
    return character
