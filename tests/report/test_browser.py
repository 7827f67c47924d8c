"""The page of ``--report-html`` in a real Chromium: wide and narrow, light and dark, friend and foe."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from salesforce_targeted.arrow.batch import Rejected
from salesforce_targeted.ledger import Ledger
from salesforce_targeted.report.html.dataset_facts import OF_RUN, DatasetFacts, TableFacts
from salesforce_targeted.report.html.page import page
from tests.support.browser import NEEDS_CHROMIUM, PHONE, SCREENS, Browser, Screen, chromium
from tests.support.script import process

pytestmark = [pytest.mark.deep, NEEDS_CHROMIUM]

HEADINGS = [
    "Relations per week", "Contacts by life stage", "This run", "Freshness", "Drift", "API calls",
    "Field coverage", "Rejected rows", "Last runs",
]  # fmt: skip
# An org that means harm, or a user with a cat on the keyboard.
HOSTILE = "<script>document.title='ran'</script><img src=x onerror=alert(1)>\"'&amp;\u202eabc\u0000"
LONGEST = 131_072  # a field of Salesforce holds so many characters, and an error may quote them

# Every text with less contrast to what lies behind it than WCAG 2.2 (AA) asks for.
FAINT = """
const light = c => { c /= 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; };
const rgb = text => text.match(/[\\d.]+/g).map(Number);
const luminance = ([r, g, b]) => .2126 * light(r) + .7152 * light(g) + .0722 * light(b);
const behind = tag => {
  for (let at = tag; at; at = at.parentElement) {
    const colour = rgb(getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return null;
};
document.querySelectorAll('details').forEach(tag => { tag.open = true; });
const faint = [];
let seen = 0;
for (const tag of document.body.querySelectorAll('*')) {
  const own = [...tag.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  if (!own || !tag.checkVisibility()) continue;
  const style = getComputedStyle(tag);
  const back = behind(tag);
  const [a, b] = [luminance(rgb(style.color)),
                  luminance(back)];
  const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  seen += 1;
  if (contrast < 4.5) faint.push(`${tag.localName} ${tag.textContent.slice(0, 40)} ${contrast}`);
}
return [seen, faint];
"""
# The size on the screen of the smallest text of each plot that is shown.
PLOT_TEXT = """
return [...document.querySelectorAll('figure')].filter(tag => tag.checkVisibility()).map(tag =>
  Math.min(...[...tag.querySelectorAll('figcaption, small, b')].map(
    text => parseFloat(getComputedStyle(text).fontSize))));
"""
# Texts of a plot that lie on one another.
OVERLAPPING = """
const pairs = [];
for (const plot of [...document.querySelectorAll('figure')].filter(tag => tag.checkVisibility())) {
  const texts = [...plot.querySelectorAll('figcaption, small, b')].filter(
    tag => tag.checkVisibility()).map(tag => [tag, tag.getBoundingClientRect()]);
  texts.forEach(([tag, a], at) => texts.slice(at + 1).forEach(([other, b]) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 3) pairs.push(`${tag.textContent} | ${other.textContent}`);
  }));
}
return pairs;
"""
# Each bar and column with its length in pixels and the share of the whole that it stands for.
LENGTHS = """
return [...document.querySelectorAll('.bar i, .plot i')].map(tag => {
  const whole = tag.closest('.bar, .plot').getBoundingClientRect();
  const own = tag.getBoundingClientRect();
  const shape = tag.style;
  return shape.width ? [own.width / whole.width, parseFloat(shape.width) / 100]
                     : [own.height / (whole.height - 2), parseFloat(shape.height) / 100];
});
"""


# Words of row heads and tiles, and options, that are on two lines.
BROKEN = """
const broken = [];
document.querySelectorAll('details').forEach(tag => { tag.open = true; });
for (const tag of document.querySelectorAll('tbody th, dd, code.whole')) {
  const texts = document.createTreeWalker(tag, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const parts = tag.localName === 'code' ? /.+/g : /[^ \\n]+/g;
    for (const part of text.data.matchAll(parts)) {
      const range = new Range();
      range.setStart(text, part.index);
      range.setEnd(text, part.index + part[0].length);
      if (range.getClientRects().length > 1) broken.push(part[0]);
    }
  }
}
return broken;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all tests."""
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide the page of the second of two demo runs, as the command line writes it."""
    folder = tmp_path_factory.mktemp("real")
    for _ in range(2):
        ended = process("--demo", "--report-html", cwd=folder)
        assert 0 == ended.code, ended.err
    return max((folder / "sync_results").glob("*.html"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a page of which every value was made to break it."""
    path = tmp_path_factory.mktemp("hostile") / "page.html"
    path.write_text(page(hostile_facts(), hostile_answers()), "utf-8")
    return path


def hostile_facts() -> dict[str, object]:
    """Return a failed run of an org whose every name and error means harm."""
    ledger = Ledger(started_at=datetime(2026, 11, 20, 12, tzinfo=UTC), mode=HOSTILE)
    ledger.calls.update({HOSTILE: 3, "$a$ $b": 2})
    for n in range(60):
        ledger.reject(Rejected(HOSTILE, f"{HOSTILE}{n}", HOSTILE, "E" * LONGEST, ""))
    error = HOSTILE + "x" * LONGEST
    return {
        **ledger.facts("failed"),
        "warnings": [HOSTILE + "W" * LONGEST],
        "error": error,
        "versions": {HOSTILE: HOSTILE},
    }


def hostile_answers() -> DatasetFacts:
    """Tables whose every value means harm."""
    field = "f" * 200
    ran = {
        **dict.fromkeys(OF_RUN), "started_at": datetime(2026, 11, 20, 12, tzinfo=UTC),
        "mode": HOSTILE, "status": HOSTILE, "error": HOSTILE + "e" * LONGEST,
    }  # fmt: skip
    return DatasetFacts(
        place=HOSTILE,
        org=HOSTILE * 10,
        stages={HOSTILE: 3, "active": 4},
        weeks=[(date(2026, 11, 16), 1)],
        tables=[TableFacts("t" * 100, 3, None, 1, 1, (field, HOSTILE), (field,))],
        runs=[ran],
        failures=[HOSTILE + "u" * LONGEST],
    )


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_a_page_is_readable(browser: Browser, real: Path, screen: Screen) -> None:
    """Every part is there, nothing stands out at the side, texts of plots keep size and distance."""
    browser.show(real, screen)
    wide, shown = browser.ask("return [document.documentElement.scrollWidth, innerWidth]")
    plots = browser.ask(PLOT_TEXT)

    assert HEADINGS == browser.ask(
        "return [...document.querySelectorAll('h2')].filter(h => h.checkVisibility())"
        ".map(h => h.textContent)"
    )
    assert (screen.width, screen.width) == (shown, wide)
    assert 3 == len(plots)
    assert 10 <= min(plots), plots
    assert max(plots) <= 18, plots
    assert [] == browser.ask(OVERLAPPING)


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_bars_and_columns_are_as_long_as_they_say(
    browser: Browser, real: Path, screen: Screen
) -> None:
    """Nothing on the page makes room for itself at their cost."""
    browser.show(real, screen)
    lengths = browser.ask(LENGTHS)

    assert 50 < len(lengths)
    assert [] == [(seen, meant) for seen, meant in lengths if abs(seen - meant) > 0.02]


def test_no_word_is_broken_on_the_smallest_screen(browser: Browser, real: Path) -> None:
    """A table that is wider scrolls; the page does not."""
    browser.show(real, Screen(320, 700, "light"))

    assert [] == browser.ask(BROKEN)
    assert 320 == browser.ask("return document.documentElement.scrollWidth")


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_every_text_can_be_told_from_what_is_behind_it(
    browser: Browser, real: Path, hostile: Path, screen: Screen
) -> None:
    """4.5 to 1 at least (WCAG 2.2, AA), in plots and in what unfolds too."""
    for page_ in (real, hostile):
        browser.show(page_, screen)
        seen, faint = browser.ask(FAINT)

        assert 100 < seen
        assert [] == faint


def test_a_page_asks_for_nothing(browser: Browser, real: Path) -> None:
    """Opening it makes one request, for the file itself, and no complaint."""
    browser.show(real, SCREENS[0])

    assert [real.as_uri()] == browser.requests()
    assert [] == browser.console()


def test_a_page_is_told_to_those_who_do_not_see_it(browser: Browser, real: Path) -> None:
    """A language, one first heading, names of plots and tables, headers of rows and columns."""
    browser.show(real, SCREENS[0])
    plots = browser.ask(
        "return [...document.querySelectorAll('figure, .bar')].map(mark => mark.ariaLabel)"
    )
    headers = browser.ask("return [...document.querySelectorAll('th')].map(th => th.scope)")

    assert ["en", 1] == browser.ask(
        "return [document.documentElement.lang, document.querySelectorAll('h1').length]"
    )
    assert "active: 817" in plots
    assert "Seconds of the last runs: done 2." in plots
    assert [] == [label for label in plots if not label]
    assert {"row", "col"} == set(headers)
    assert 0 == browser.ask("return document.querySelectorAll('table:not(:has(caption))').length")
    assert [] == browser.ask(
        "return [...document.querySelectorAll('nav a')].filter("
        "a => !document.querySelector(a.getAttribute('href'))).map(a => a.href)"
    )


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_hostile_values_do_nothing(browser: Browser, hostile: Path, screen: Screen) -> None:
    """Whatever an org or a database says is shown as text, cut, and within the page."""
    browser.show(hostile, screen)

    assert [0, 0] == browser.ask(
        "return [document.querySelectorAll('script').length,"
        " document.querySelectorAll('img').length]"
    )
    assert browser.ask("return document.title").startswith("Targeted contact sync, 2026-11-20")
    assert screen.width == browser.ask("return document.documentElement.scrollWidth")
    assert [hostile.as_uri()] == browser.requests()
    assert [] == browser.console()


def test_what_slipped_through_would_be_refused(
    browser: Browser, real: Path, tmp_path: Path
) -> None:
    """The control: a script, a picture and a style sheet in the page are neither run nor fetched."""
    asked = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        away = f"http://127.0.0.1:{server.server_port}"
        evil = (
            f"<script>document.title = 'ran'; fetch('{away}/fetched')</script>"
            f"<img src='{away}/picture'><link rel=stylesheet href='{away}/style'>"
        )
        path = tmp_path / "page.html"
        path.write_text(real.read_text("utf-8").replace("<footer>", evil + "<footer>"), "utf-8")
        browser.show(path, Screen(*PHONE, "light"))
        title, complaints = browser.ask("return document.title"), browser.console()
        server.shutdown()

    assert "ran" != title
    assert [] == asked
    assert 3 <= len([line for line in complaints if "Content Security Policy" in line])
