"""The page's markup and plots: no value breaks them, and they keep to the page's looks."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from salesforce_targeted.report.html import plots
from salesforce_targeted.report.html.markup import foreign, html, lasting, plain, prose, table, tag
from salesforce_targeted.report.html.style import STYLE


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<script>&\"'", "&lt;script&gt;&amp;&quot;&#x27;"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),  # what follows would be read backwards
        ("a\x00b\x1bc\x85", "a\\u0000b\\u001bc\\u0085"),
        ("\ud800", "\\ud800"),  # half a character can't be written as UTF-8
        ("two\nlines\there", "two lines here"),
        ("שלום 👩‍⚕️ ñ", "שלום 👩‍⚕️ ñ"),
    ],
)
def test_text_is_escaped_and_visible(value: str, expected: str) -> None:
    """Nothing in a text is markup, and nothing in it is unseen; foreign scripts stay as they are."""
    assert expected == html(value)
    assert f"<bdi>{expected}</bdi>" == foreign(value)
    assert f'<p title="{expected}"></p>' == tag("p", title=value)


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
    """The first column names the row; a column of numbers is one, whatever is not known in it."""
    made = table("Counts", ["What", "How many"], [["<b>", 1_234], ["c", None]])

    assert '<th scope="col">What</th><th scope="col" class="n">How many</th>' in made
    assert '<th scope="row">&lt;b&gt;</th><td class="n">1,234</td>' in made
    assert "<caption>Counts</caption>" in made
    assert 'aria-label="not known"' in made


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


def test_plots_take_the_colours_of_the_page() -> None:
    """No colour of matplotlib's is left, nor anything that belongs to a file of its own."""
    drawn = [
        plots.bars([("a <b> & $c$", 3), ("none", 0)], "Bars"),
        plots.shares([("t", (1, 0, 2, 3))], [(c, c) for c in ("accent", "empty", "warn", "bad")], "S"),
        plots.weekly([(date(2026, 1, 5) + timedelta(weeks=n), n) for n in range(52)], "Weeks"),
        plots.runs([("2026-11-20 12:00", "failed", 1.5, 3), ("later", "odd", 0.0, 0)], "Runs"),
    ]  # fmt: skip
    text = "".join(drawn)

    assert [] == re.findall(r"#[0-9a-f]{6}", text)
    assert not [word for word in (" id=", "<metadata", "<defs", "url(", "http") if word in text]
    assert ">a &lt;b&gt; &amp; $c$</text>" in text
    assert "Bars: a &lt;b&gt; &amp; $c$ 3, none 0." in text
    assert "<title>Week of 2026-12-28: 51</title>" in text
    assert "✗" in text
    assert {"accent", "empty", "bad", "ink", "muted", "line"} <= set(
        re.findall(r"var\(--([\w-]+)\)", text)
    )
    assert len(text) < 120_000


def test_the_style_of_the_user_changes_no_plot() -> None:
    """A matplotlibrc of somebody's own does not."""
    import matplotlib as mpl

    before = plots.bars([("a", 1)], "Bars")
    with mpl.rc_context({"axes.grid": True, "font.weight": "bold", "svg.fonttype": "path"}):
        after = plots.bars([("a", 1)], "Bars")

    assert before == after


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_bars_can_be_told_from_their_ground(scheme: int) -> None:
    """3 to 1 at least, for every colour that a plot is drawn in (WCAG 2.2, AA)."""
    block = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): #(\w{6})", block))
    drawn = ("accent", "accent-2", "empty", "good", "warn", "bad", "other")

    assert [] == [name for name in drawn if contrast(colours[name], colours["card"]) < 3]


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
