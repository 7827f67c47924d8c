"""Text that can't break the page: whatever is put into a template is escaped, cut, made visible.

Rule: a plain ``str`` is text of others; only ``Markup`` goes into the page as it is, and only this
module and the templates make it.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from salesforce_targeted.report.rich_text import plural

# An error of Salesforce or of a database may be as long as the value that it quotes.
MOST_CHARACTERS = 300
# What a run has to say about itself, with the remedy.
MOST_OF_A_SENTENCE = 800
# Controls, halves of characters, and what turns the reading direction of the text after it.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_CODE = re.compile(r"`([^`]+)`")
_UNKNOWN = Markup('<span aria-label="not known" role="img">–</span>')  # noqa: RUF001
# Where there is little room, a line ends between the two and nowhere else.
_TIME = Markup(
    '<time datetime="{0:%Y-%m-%dT%H:%M:%SZ}">'
    "<span>{0:%Y-%m-%d}</span> <span>{0:%H:%M:%S}</span></time>"
)
_UNITS = (("s", 1, 120), ("min", 60, 120), ("h", 3_600, 48), ("days", 86_400, 730))


def templates() -> Environment:
    """Return the page's templates, in which every value is written by :func:`written`."""
    environment = Environment(
        loader=PackageLoader("salesforce_targeted.report.html"),
        autoescape=True,
        finalize=written,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "foreign": foreign, "lasting": lasting, "plural": plural, "prose": prose,
    }  # fmt: skip
    return environment


def plain(value: object, most: int = MOST_CHARACTERS) -> str:
    r"""Write a value as text of one line, cut with a note; spell out what can't be seen.

    Controls, among them those that turn the reading direction of what follows, come as ``\u202e``.
    """
    whole = str(value)
    seen = whole[:most].replace("\n", " ").replace("\t", " ")
    seen = _UNSEEN.sub(lambda unseen: f"\\u{ord(unseen[0]):04x}", seen)
    return seen if len(whole) <= most else f"{seen}… (cut: {len(whole):,} characters in all)"


def written(value: Any) -> Any:
    """Write a value for the page: numbers with separators, instants in UTC, None as a dash.

    Text is escaped where it becomes part of the page, as jinja2 does.
    """
    if value is None:
        return _UNKNOWN
    if isinstance(value, datetime):
        return _TIME.format(value)
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, Markup) else plain(value)


def foreign(value: object, most: int = MOST_CHARACTERS) -> Markup:
    """Write text of others, set apart so that its reading direction stays its own."""
    return Markup("<bdi>{}</bdi>").format(plain(value, most))


def prose(sentence: str) -> Markup:
    """Write a sentence of ours: what stands in back quotes is code."""
    parts = _CODE.split(plain(sentence, MOST_OF_A_SENTENCE))
    code = Markup("<code>{}</code>")
    return Markup().join(code.format(part) if n % 2 else part for n, part in enumerate(parts))


def lasting(span: timedelta) -> str:
    """Write a span of time in the unit that people would use."""
    seconds = span.total_seconds()
    for unit, size, upto in _UNITS:
        if abs(seconds) < upto * size:
            return f"{seconds / size:.0f}\u00a0{unit}"
    return f"{seconds / (365.25 * 86_400):.0f}\u00a0years"
