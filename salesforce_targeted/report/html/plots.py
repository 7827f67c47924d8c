"""Draw the page's plots; each says in words what it shows, with a table that has the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from salesforce_targeted.report.html.markup import Html, joined, plain, tag
from salesforce_targeted.report.html.svg import COLOURS, drawing

# An outcome has a sign too, for those who can't tell the colours apart.
OUTCOMES = {
    "done": ("good", ""), "partial": ("warn", "…"), "failed": ("bad", "✗"), "drift": ("other", "≠"),
}  # fmt: skip
OTHER_OUTCOME = ("empty", "?")
# Plots over time are drawn twice: for a phone's screen and for a wide one. The page shows the one
# whose units are about a pixel, so that the text keeps its size.
SLIM, BROAD = 360, 1040
_KINDS = {SLIM: "slim", BROAD: "broad"}
_MONTHS_SHOWN = {SLIM: 5, BROAD: 13}
_WEEKS_FOR_A_LABEL = 3
_FEWEST_COLUMNS = 12
_APART_FOR_TWO_LABELS = 290
_LABEL_CHARACTERS = 24


def bars(series: Sequence[tuple[str, float]], about: str) -> Html:
    """Draw horizontal bars, each with its number."""
    with drawing(SLIM, 20 + 28 * len(series)) as sheet:
        axes = sheet.axes
        values = [value for _, value in series]
        drawn = axes.barh(
            range(len(series)), values, height=0.6, color=COLOURS["accent"], clip_on=False
        )
        labels = [_label(name) for name, _ in series]
        axes.set_yticks(range(len(series)), labels, color=COLOURS["ink"])
        axes.bar_label(drawn, [_number(value) for value in values], padding=4)
        axes.invert_yaxis()
        axes.margins(x=0.16, y=0.02)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(left=False, bottom=False, labelbottom=False)
        return sheet.svg(f"{about}: {_listed(series)}.")


def shares(
    rows: Sequence[tuple[str, Sequence[int]]], kinds: Sequence[tuple[str, str]], about: str
) -> Html:
    """Draw one bar per row, all of one length, in parts.

    Args:
        rows: Name, and how many of each kind.
        kinds: Name and colour of the parts.
    """
    titles: dict[str, str] = {}
    with drawing(SLIM, 12 + 46 * len(rows)) as sheet:
        axes = sheet.axes
        left = [0.0] * len(rows)
        for at, (kind, colour) in enumerate(kinds):
            widths = [100 * parts[at] / (sum(parts) or 1) for _, parts in rows]
            drawn = axes.barh(
                range(len(rows)), widths, left=left, height=0.42, color=COLOURS[colour],
                edgecolor=COLOURS["card"], linewidth=1, clip_on=False,
            )  # fmt: skip
            for row, bar in enumerate(drawn):
                bar.set_gid(f"part-{row}-{at}")
                titles[f"part-{row}-{at}"] = f"{kind}: {rows[row][1][at]:,}"
            left = [begin + width for begin, width in zip(left, widths, strict=True)]
        for row, (name, parts) in enumerate(rows):
            above = {"y": row - 0.3, "va": "bottom"}
            axes.text(0, s=_label(name), **above)
            axes.text(100, s=f"{sum(parts):,}", ha="right", color=COLOURS["muted"], **above)
        axes.set(ylim=(len(rows) - 0.7, -0.85), xlim=(0, 100))
        axes.axis("off")
        names = [kind for kind, _ in kinds]
        caption = [f"{name}: {_listed(list(zip(names, n, strict=True)))}" for name, n in rows]
        return sheet.svg(f"{about}: {'; '.join(caption)}.", titles)


def weekly(weeks: Sequence[tuple[date, int]], about: str) -> Html:
    """Draw a column per week, for both widths."""
    counts = [count for _, count in weeks]
    caption = (
        f"{about}: {len(weeks)} weeks from {weeks[0][0]} to {weeks[-1][0]}, between"
        f" {min(counts):,} and {max(counts):,} a week."
    )
    titles = {f"week-{at}": f"Week of {day}: {count:,}" for at, (day, count) in enumerate(weeks)}
    return joined(_weekly(weeks, width, caption, titles) for width in _KINDS)


def runs(series: Sequence[tuple[str, str, float, int]], about: str) -> Html:
    """Draw seconds and calls of runs, a column each, coloured by outcome, for both widths.

    Args:
        series: When it began, its outcome, seconds and calls, the oldest first.
    """
    outcomes = [run[1] for run in series]
    caption = (
        f"{about}: {_listed([(one, outcomes.count(one)) for one in dict.fromkeys(outcomes)])}."
    )
    titles = {
        f"{part}-{at}": f"{plain(when)}: {plain(outcome)}, {seconds:,.1f} s, {calls:,} calls"
        for at, (when, outcome, seconds, calls) in enumerate(series)
        for part in ("seconds", "calls")
    }
    return joined(_runs(series, width, caption, titles) for width in _KINDS)


def key(entries: Mapping[str, str]) -> Html:
    """Explain colours.

    Args:
        entries: Name to colour.
    """
    looks = {name: f"background: var(--{colour})" for name, colour in entries.items()}
    return tag(
        "ul",
        *(
            tag("li", tag("span", class_="swatch", style=look, aria_hidden="true"), name)
            for name, look in looks.items()
        ),
        class_="key",
    )


def _weekly(
    weeks: Sequence[tuple[date, int]], width: int, caption: str, titles: Mapping[str, str]
) -> Html:
    with drawing(width, 200) as sheet:
        _columns(sheet.axes, [count for _, count in weeks], ["accent"] * len(weeks), "week")
        # The first Monday of each month has its name below it.
        firsts = [
            at for at, (day, _) in enumerate(weeks) if not at or day.month != weeks[at - 1][0].month
        ]
        if len(firsts) > 1 and firsts[1] < _WEEKS_FOR_A_LABEL:
            firsts = firsts[1:]  # the end of a month would run into the next one
        shown = firsts[:: -(-len(firsts) // _MONTHS_SHOWN[width])]
        years = [weeks[at][0].year for at in shown]
        sheet.axes.set_xticks(
            shown,
            [
                f"{weeks[at][0]:%b}" + (f"\n{year}" if not n or year != years[n - 1] else "")
                for n, (at, year) in enumerate(zip(shown, years, strict=True))
            ],
        )
        return sheet.svg(caption, titles, _KINDS[width])


def _runs(
    series: Sequence[tuple[str, str, float, int]],
    width: int,
    caption: str,
    titles: Mapping[str, str],
) -> Html:
    looks = [OUTCOMES.get(run[1], OTHER_OUTCOME) for run in series]
    parts: list[tuple[str, str, list[float]]] = [
        ("seconds", "Seconds", [run[2] for run in series]),
        ("calls", "API calls", [run[3] for run in series]),
    ]
    with drawing(width, 260, rows=len(parts)) as sheet:
        for axes, (part, title, values) in zip(sheet.axes, parts, strict=True):
            _columns(axes, values, [colour for colour, _ in looks], part)
            axes.set_title(title, loc="left", fontsize=13, color=COLOURS["muted"])
            axes.set_xticks([])
            for at, (_, sign) in enumerate(looks):
                if sign:
                    axes.text(at, values[at], sign, ha="center", va="bottom")
        ends = [0, len(series) - 1]
        apart = width * ends[1] / max(len(series), _FEWEST_COLUMNS)
        ends = ends if apart >= _APART_FOR_TWO_LABELS else ends[:1]
        sheet.axes[-1].set_xticks(ends, [_label(series[at][0]) for at in ends])
        sides = ("left", "right")[: len(ends)]
        for label, side in zip(sheet.axes[-1].get_xticklabels(), sides, strict=True):
            label.set_horizontalalignment(side)
        return sheet.svg(caption, titles, _KINDS[width])


def _columns(axes: Any, values: Sequence[float], colours: Sequence[str], part: str) -> None:
    """Draw columns from nought, with a few lines to read their height by."""
    drawn = axes.bar(
        range(len(values)), values, width=0.8, color=[COLOURS[name] for name in colours],
        clip_on=False,
    )  # fmt: skip
    for at, bar in enumerate(drawn):
        bar.set_gid(f"{part}-{at}")
    axes.grid(axis="y", linewidth=1, clip_on=False)
    axes.locator_params(axis="y", nbins=4)
    axes.yaxis.set_major_formatter(lambda value, _: _number(value))
    axes.tick_params(left=False, bottom=False)
    # A handful of columns stay columns, and don't become walls.
    axes.set_xlim(-0.6, max(len(values), _FEWEST_COLUMNS) - 0.4)
    axes.set_ylim(0, max([*values, 0]) * 1.12 or 1)


def _number(value: float) -> str:
    return f"{value:,.10g}"


def _label(name: str) -> str:
    whole = plain(name)
    return whole if len(whole) <= _LABEL_CHARACTERS else whole[: _LABEL_CHARACTERS - 1] + "…"


def _listed(series: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{_label(name)} {_number(value)}" for name, value in series)
