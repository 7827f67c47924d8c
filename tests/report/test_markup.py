"""The page's markup and plots: no value breaks them, and plots can be read by everybody."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from salesforce_targeted.report.html import page
from salesforce_targeted.report.html.markup import foreign, lasting, plain, prose, templates

STYLE = (Path(page.__file__).parent / "templates" / "style.css").read_text("utf-8")


def rendered(template: str, **values: Any) -> str:
    """Return what a template makes of values, with the page's parts at hand."""
    parts = '{% from "parts.html" import bar, column, columns, row, table %}'
    return templates().from_string(parts + template).render(values)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<script>&\"'", "&lt;script&gt;&amp;&#34;&#39;"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),  # what follows would be read backwards
        ("a\x00b\x1bc\x85", "a\\u0000b\\u001bc\\u0085"),
        ("\ud800", "\\ud800"),  # half a character can't be written as UTF-8
        ("two\nlines\there", "two lines here"),
        ("שלום 👩‍⚕️ ñ", "שלום 👩‍⚕️ ñ"),
    ],
)
def test_text_is_escaped_and_visible(value: str, expected: str) -> None:
    """Nothing in a text is markup, and nothing in it is unseen; foreign scripts stay as they are."""
    assert expected == rendered("{{ value }}", value=value)
    assert f"<bdi>{expected}</bdi>" == rendered("{{ value|foreign }}", value=value)
    assert f'<p title="{expected}">' == rendered('<p title="{{ value }}">', value=value)


def test_a_long_text_is_cut_with_its_length() -> None:
    """An error of 131,072 characters is its beginning, and says so, once."""
    cut = "é" * 300 + "… (cut: 131,072 characters in all)"

    assert cut == plain("é" * 131_072)
    assert f"<bdi>{cut}</bdi>" == foreign("é" * 131_072)
    assert "é" * 300 == plain("é" * 300)
    assert plain("x" * 900, 800) == "x" * 800 + "… (cut: 900 characters in all)"


def test_code_in_a_sentence() -> None:
    """Back quotes become code, and what stands between them is escaped all the same."""
    assert "run <code>a &lt;b&gt;</code> now" == prose("run `a <b>` now")


def test_a_table_has_its_headers() -> None:
    """The first column names the row; numbers have separators, and what is not known is a dash."""
    html = rendered(
        '{% call table("Counts", ["What", "How many"]) %}{{ row(["<b>", n]) }}'
        '{{ row(["c", none]) }}{% endcall %}', n=1_234,
    )  # fmt: skip

    assert '<th scope="col">What</th><th scope="col">How many</th>' in html
    assert '<th scope="row">&lt;b&gt;</th><td>1,234</td>' in html
    assert "<caption>Counts</caption>" in html
    assert 'aria-label="not known"' in html


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 days"),
        (41 * 86_400, "41 days"), (3_600 * 24 * 3_653, "10 years"), (-90, "-90 s"),
    ],
)  # fmt: skip
def test_a_span_of_time_in_its_unit(seconds: int, expected: str) -> None:
    """As people would say it; a stamp of the future, by an org's clock, is not hidden."""
    assert expected == lasting(timedelta(seconds=seconds)).replace("\u00a0", " ")


# --- plots


def test_bars_and_columns_are_as_long_as_their_numbers() -> None:
    """Each says its number when it is pointed at, and the whole of them to who does not see them."""
    bar = rendered(
        '{{ bar([("a<b", 1500, "accent"), ("none", 0, "warn"), ("c", 500, "empty")], 2000) }}'
    )
    plot = rendered(
        '{% call columns("Two weeks", "Weeks", 4) %}'
        '{{ column(1, 4, "Week of x: 1", "failed", "✗") }}{% endcall %}'
    )

    assert 'aria-label="a&lt;b: 1,500, none: 0, c: 500"' in bar
    assert ["75.0", "25.0"] == re.findall(r"width: ([\d.]+)%", bar)
    assert '<figure role="img" aria-label="Two weeks">' in plot
    assert '<span class="failed" title="Week of x: 1"><b>✗</b><i style="height: 25.0%">' in plot


def test_months_below_weeks() -> None:
    """Each month's first week, but for the rest of a first month; a phone shows five at most."""
    year = page.months([date(2025, 11, 24) + timedelta(weeks=n) for n in range(52)])

    assert (date(2025, 12, 1), date(2026, 11, 2)) == (min(year), max(year))
    assert [0, 3, 6, 9] == [n for n, rare in enumerate(year.values()) if not rare]
    assert {date(2026, 11, 16): False} == page.months([date(2026, 11, 16)])
    assert {} == page.months([])


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_bars_can_be_told_from_their_ground(scheme: int) -> None:
    """3 to 1 at least, for every colour that a plot is drawn in (WCAG 2.2, AA)."""
    block = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): #(\w{6})", block))
    drawn = ("accent", "accent-2", "empty", "good", "warn", "bad", "other")

    assert [] == [name for name in drawn if contrast(colours[name], colours["card"]) < 3]


def contrast(mark: str, ground: str) -> float:
    """WCAG's contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(mark), luminance(ground)))
    return (light + 0.05) / (dark + 0.05)
